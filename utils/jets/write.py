"""Jet tables to a file, checked; and from file to file with cuts."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from utils.files import atomic_path
from utils.jets.checks import require_columns, require_usable
from utils.jets.formats.hdf5 import write_hdf5
from utils.jets.formats.note import NoteBuilder
from utils.jets.formats.parquet import write_parquet
from utils.jets.formats.root import write_root
from utils.jets.formats.text import write_csv
from utils.jets.read import iter_jets
from utils.jets.table import FEATURES, JetError, Paths, event_counts, number_of_events, select_jets, wrap_phi


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
    log = NoteBuilder(str(path))
    with atomic_path(path) as partial:
        WRITERS[suffix](partial, log, _checked(tables, log, keep_nonfinite))


def _checked(tables: Iterable[pd.DataFrame], log: NoteBuilder, keep_nonfinite: bool) -> Iterator[pd.DataFrame]:
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


WRITERS: dict[str, Callable[[Path, NoteBuilder, Iterator[pd.DataFrame]], None]] = {
    ".root": write_root,
    ".parquet": write_parquet,
    ".h5": write_hdf5,
    ".hdf5": write_hdf5,
    ".csv": write_csv,
}


def write_jets(table: pd.DataFrame | Iterable[pd.DataFrame], path: str | Path, *, keep_nonfinite: bool = False) -> None:
    """Write a jet table, or a stream of them such as `iter_jets` gives, in the format that the suffix of `path` names.

    The file appears whole or not at all, and reads back bit for bit. JetError where the jets cannot be used, for NaN
    and infinite values too unless they are to be kept (`keep_nonfinite`).
    """

    write_tables([table] if isinstance(table, pd.DataFrame) else table, path, keep_nonfinite)


def convert_jets(
    source: Paths,
    target: str | Path,
    *,
    pt_min: float | None = None,
    eta_max: float | None = None,
    tree: str | None = None,
    collection: str | None = None,
    unit: str | None = None,
    entries: tuple[int, int] | None = None,
    progress: bool = False,
) -> tuple[int, int, int]:
    """Stream jets from one file, or several, to another, keeping those with pt >= `pt_min` GeV and |eta| <= `eta_max`.

    Events that lose all their jets stay as events without jets. Returns the numbers of jets read, jets written, and
    events.
    """
    jets = kept = events = 0

    def selected() -> Iterator[pd.DataFrame]:
        nonlocal jets, kept, events
        reading: dict[str, Any] = {"tree": tree, "collection": collection, "unit": unit, "entries": entries}
        for table in iter_jets(source, progress=progress, **reading):
            chosen = select_jets(table, pt_min, eta_max)
            jets, kept, events = jets + len(table), kept + len(chosen), events + number_of_events(table)
            yield chosen

    write_jets(selected(), target)
    return jets, kept, events
