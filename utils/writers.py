"""From a stream of jet tables to a file: ROOT, Parquet, HDF5 or CSV, by the suffix of its name."""

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from utils.files import atomic_path
from utils.jet_note import NOTE_KEY, Digest, format_note
from utils.jets import (
    COLUMNS,
    FEATURES,
    MEV_FROM,
    UNITS,
    EventNumbers,
    JetError,
    event_counts,
    require_columns,
    require_usable,
    wrap_phi,
)

HDF5_CHUNK = 2**14

BASKET_EVENTS = 2**15


def write_tables(tables: Iterable[pd.DataFrame], path: str | Path, keep_nonfinite: bool = False) -> None:
    """What `utils.jets.write_jets` promises."""
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in WRITERS:
        raise JetError(
            f"{path}: no jets can be written as {suffix or 'a file without suffix'!r}; {', '.join(WRITERS)} can"
        )
    if path.is_dir():
        raise JetError(f"{path}: a directory, expected the name of a file to write")
    log = _Log(str(path))
    with atomic_path(path) as partial:
        WRITERS[suffix](partial, log, _checked(tables, log, keep_nonfinite))


class _Log:
    """What a writer has to remember of the chunks that passed, for the note at the end of the file."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.numbers = EventNumbers()
        self.empty: list[int] = []
        self.digest = Digest()

    def note(self, **more: Any) -> str:
        return format_note(self.digest, **more)


def _checked(tables: Iterable[pd.DataFrame], log: _Log, keep_nonfinite: bool) -> Iterator[pd.DataFrame]:
    """Chunks that can be written, with phi within +-pi; at the end, whether they make a table together."""
    source = f"jets for {log.name}"
    for table in tables:
        require_columns(table, source)
        require_usable(table, source, log.digest.jets, keep_nonfinite)
        phi = wrap_phi(table["phi"].to_numpy())
        if not np.array_equal(phi, table["phi"].to_numpy()):
            table = table.assign(phi=phi)
        numbers, counts = event_counts(table)
        log.digest.update([table[name].to_numpy() for name in FEATURES], numbers, counts)
        log.numbers.add(numbers)
        yield table
    if log.digest.jets == 0:
        raise JetError(f"{source}: no jets")
    log.numbers.require_distinct(source)


def _write_root(path: Path, log: _Log, tables: Iterator[pd.DataFrame]) -> None:
    """NanoAOD-like: a TTree `Events` with `event`, `nJet` and jagged `Jet_pt, Jet_eta, Jet_phi, Jet_mass`."""
    import awkward as ak
    import uproot

    names = {"pt": "pt", "eta": "eta", "phi": "phi", "mass": "m"}
    jets = ak.types.ListType(ak.types.RecordType([ak.types.NumpyType("float32")] * 4, list(names)))
    with uproot.recreate(path, compression=uproot.ZLIB(4)) as file:
        tree = file.mktree("Events", {"event": "int64", "Jet": jets}, title="Jets, in GeV and rad")
        for table in tables:
            numbers, counts = event_counts(table)
            records = ak.zip({branch: table[name].to_numpy() for branch, name in names.items()})
            lists = ak.unflatten(records, counts)
            for start in range(0, len(numbers), BASKET_EVENTS):
                stop = start + BASKET_EVENTS
                tree.extend({"event": numbers[start:stop], "Jet": lists[start:stop]})
        file[NOTE_KEY] = log.note()


def _write_parquet(path: Path, log: _Log, tables: Iterator[pd.DataFrame]) -> None:
    """A jet a row; the events without jets are in the note, and every page has a checksum.

    Event numbers are stored as differences. The others are not compressed: their mantissas are noise, of which zstd
    takes a tenth away for twice the time.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([(name, pa.int64() if name == "event" else pa.float32()) for name in COLUMNS])
    options: dict[str, Any] = {
        "compression": {name: "zstd" if name == "event" else "none" for name in COLUMNS},
        "use_dictionary": False,
        "column_encoding": {"event": "DELTA_BINARY_PACKED"},
    }
    with pq.ParquetWriter(path, schema, write_page_checksum=True, **options) as file:
        for table in tables:
            log.empty += table.attrs.get("empty_events", [])
            file.write_table(pa.table({name: table[name].to_numpy() for name in COLUMNS}, schema=schema))
        file.add_key_value_metadata({NOTE_KEY: log.note(empty_events=log.empty, ascending=log.numbers.ascending)})


def _write_hdf5(path: Path, log: _Log, tables: Iterator[pd.DataFrame]) -> None:
    """One dataset per column and one for the events without jets; every chunk has a Fletcher checksum."""
    import h5py

    with h5py.File(path, "w", libver=("v108", "v108")) as file:

        def append(name: str, values: np.ndarray) -> None:
            dataset = file[name]
            dataset.resize(len(dataset) + len(values), axis=0)
            dataset[len(dataset) - len(values) :] = values

        for name in (*COLUMNS, "empty_events"):
            kind = np.float32 if name in FEATURES else np.int64
            options = {"chunks": (HDF5_CHUNK,), "shuffle": True, "compression": "gzip", "fletcher32": True}
            file.create_dataset(name, (0,), kind, maxshape=(None,), **options)
            file[name].attrs["unit"] = UNITS.get(name, "")
        for table in tables:
            for name in COLUMNS:
                append(name, table[name].to_numpy())
            append("empty_events", np.asarray(table.attrs.get("empty_events", []), np.int64))
        file.attrs[NOTE_KEY] = log.note(ascending=log.numbers.ascending)


def _write_csv(path: Path, log: _Log, tables: Iterator[pd.DataFrame]) -> None:
    """A jet a row in the fewest digits that give float32 back; an event without jets has a row with its number alone.

    The header is `event,m,pt,phi,eta`; where a reader could take the jets for MeV, it is `event,m_GeV,pt_GeV,phi,eta`.
    """
    import pyarrow as pa
    import pyarrow.csv as pa_csv

    schema = pa.schema([(name, pa.int64() if name == "event" else pa.float32()) for name in COLUMNS])
    options = pa_csv.WriteOptions(include_header=False)
    first = next(tables)
    unit = "_GeV" if len(first) and first["pt"].min() > MEV_FROM else ""
    with path.open("wb") as file:
        file.write(f"event,m{unit},pt{unit},phi,eta\n".encode())
        with pa_csv.CSVWriter(file, schema, write_options=options) as writer:
            for table in chain([first], tables):
                numbers, counts = event_counts(table)
                rows = np.repeat(numbers, np.maximum(counts, 1))
                filled = np.repeat(counts > 0, np.maximum(counts, 1))
                columns = {"event": pa.array(rows)}
                for name in FEATURES:
                    values = np.zeros(len(rows), np.float32)
                    values[filled] = table[name].to_numpy()
                    columns[name] = pa.array(values, mask=~filled)
                writer.write_table(pa.table(columns, schema=schema))


WRITERS: dict[str, Callable[[Path, _Log, Iterator[pd.DataFrame]], None]] = {
    ".root": _write_root,
    ".parquet": _write_parquet,
    ".h5": _write_hdf5,
    ".hdf5": _write_hdf5,
    ".csv": _write_csv,
}
