"""Writing jets to files. Parquet only, so far."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from utils.files import atomic_path
from utils.jets import COLUMNS, concat_tables, validate_jets


def write_tables(tables, path) -> None:
    table = concat_tables(tables)
    validate_jets(table, f"jets for {path}")
    arrow = pa.table({name: table[name].to_numpy() for name in COLUMNS})
    note = json.dumps({"empty_events": table.attrs.get("empty_events", [])})
    with atomic_path(Path(path)) as partial:
        pq.write_table(arrow.replace_schema_metadata({"compression_hep": note}), partial, write_page_checksum=True)
