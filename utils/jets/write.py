"""Jet tables to a file, checked; and from file to file with cuts."""

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Unpack

import numpy as np
import pandas as pd

from utils.files import atomic_path, refuse_output
from utils.jets import formats
from utils.jets.checks import require_columns, require_distinct_events, require_usable
from utils.jets.events import event_columns
from utils.jets.formats.note import NoteBuilder
from utils.jets.paths import sample_files
from utils.jets.read import iter_jets
from utils.jets.table import FEATURES, JetError, Paths, event_counts, make_table, number_of_events, table_ids, wrap_phi
from utils.jets.units import Reading

WRITTEN = (".root", ".parquet", ".h5", ".hdf5", ".csv")
"""Suffixes of the files that can be written."""


def write_jets(table: pd.DataFrame | Iterable[pd.DataFrame], path: str | Path, *, keep_nonfinite: bool = False) -> None:
    """Write a jet table, or a stream of them such as `iter_jets` gives, in the format that the suffix of `path` names.

    The file appears whole or not at all, and reads back bit for bit; without jets it is an empty one. JetError for
    another suffix, and where the jets cannot be used, for NaN and infinite values too unless they are to be kept
    (`keep_nonfinite`).

    >>> from tempfile import TemporaryDirectory
    >>> from utils.jets import make_table, read_jets, write_jets
    >>> jets = make_table(m=[5, 10], pt=[50, 100], phi=[0.1, -3], eta=[0, 2], event=[7, 7])
    >>> with TemporaryDirectory() as folder:
    ...     write_jets(jets, f"{folder}/jets.root")
    ...     read_jets(f"{folder}/jets.root").equals(jets)
    True
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in WRITTEN:
        raise JetError(
            f"{path}: no jets can be written as {suffix or 'a file without suffix'!r}; {', '.join(WRITTEN)} can"
        )
    refuse_output(path)
    note = NoteBuilder(str(path))
    tables = _checked([table] if isinstance(table, pd.DataFrame) else table, note, keep_nonfinite)
    first = next(tables)
    note.columns = (*event_columns(table_ids(first)), *FEATURES)
    tables = chain([first], tables)
    with atomic_path(path) as partial:
        match suffix:
            case ".root":
                formats.write_root(partial, note, tables)
            case ".parquet":
                formats.write_parquet(partial, note, tables)
            case ".csv":
                formats.write_csv(partial, note, tables)
            case _:
                formats.write_hdf5(partial, note, tables)


def _checked(tables: Iterable[pd.DataFrame], note: NoteBuilder, keep_nonfinite: bool) -> Iterator[pd.DataFrame]:
    """Chunks that can be written, with phi within +-pi; at the end, whether they make a table together."""
    source = f"jets for {note.name}"
    written = False
    for table in tables:
        require_columns(table, source)
        require_usable(table, source, note.digest.jets, keep_nonfinite)
        phi = wrap_phi(table["phi"].to_numpy())
        if not np.array_equal(phi, table["phi"].to_numpy()):
            table = table.assign(phi=phi)
        ids, counts = event_counts(table)
        if written and (*event_columns(ids), *FEATURES) != note.columns:
            raise JetError(f"{source}: events are named by {', '.join(event_columns(ids))}, those before by others")
        note.digest.update([table[name].to_numpy() for name in FEATURES], ids, counts)
        note.ids.add(ids)
        written = True
        yield table
    if not written:
        yield make_table([], [], [], [])
    require_distinct_events(note.ids.repeated(), source)


def convert_jets(
    source: Paths, target: str | Path, *, progress: bool = False, **reading: Unpack[Reading]
) -> tuple[int, int, int]:
    """Stream jets from one file, or several, to another; `reading`, cuts among it, as in `iter_jets`.

    Events that lose all their jets stay as events without jets. Returns the numbers of jets read, jets written, and
    events. OutputError where the target is one of the sources.
    """
    files = sample_files(source)
    refuse_output(target, files)
    tally = Counter[str]()

    def counted() -> Iterator[pd.DataFrame]:
        for table in iter_jets(files, progress=progress, tally=tally, **reading):
            tally.update(events=number_of_events(table), kept=len(table))
            yield table

    write_jets(counted(), target)
    return tally["read"], tally["kept"], tally["events"]
