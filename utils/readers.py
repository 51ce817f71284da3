"""Reading jets from files. Parquet only, so far."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from utils.jets import COLUMNS, JetError, make_table, require_distinct_events, require_usable, run_lengths


def stream_tables(path, chunk_jets, *, tree=None, collection=None, unit=None, progress=False) -> Iterator[pd.DataFrame]:
    path = Path(path)
    if not path.is_file():
        raise JetError(f"{path}: no such file")
    try:
        table = pq.read_table(path, page_checksum_verification=True)
    except Exception as error:
        raise JetError(f"{path}: not a whole Parquet file ({error})") from error
    missing = [name for name in COLUMNS if name not in table.column_names]
    if missing:
        raise JetError(f"{path}: missing columns {missing}; those there are: {table.column_names}")
    if len(table) == 0:
        raise JetError(f"{path}: no jets")
    event, *features = (table[name].to_numpy() for name in COLUMNS)
    note = json.loads((table.schema.metadata or {}).get(b"compression_hep", b"{}"))
    numbers, counts = run_lengths(event)
    require_distinct_events(numbers, str(path))
    ends = np.cumsum(counts)
    start = 0
    while start < len(event):
        stop = int(ends[min(np.searchsorted(ends, start + chunk_jets), len(ends) - 1)])
        empty = note.get("empty_events", []) if stop == len(event) else []
        part = make_table(*(column[start:stop] for column in features), event[start:stop], empty)
        require_usable(part, str(path), start)
        yield part
        start = stop
