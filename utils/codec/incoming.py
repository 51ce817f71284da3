"""Jets on their way into a container: checked, in chunks of bounded size, with as many digits as their source has."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from utils.codec.violations import Columns
from utils.files import Json, source_sha256
from utils.jets import (
    COLUMNS,
    EVENT_COLUMNS,
    FEATURES,
    EventIds,
    JetError,
    cut_table,
    event_columns,
    event_counts,
    event_numbers,
    iter_jets,
    require_distinct_events,
    require_usable,
    table_ids,
    with_empty_events,
)
from utils.text import listing

TABLE = "jet table"
"""What messages call jets that come from no file."""

MOST_JETS = 2**22
"""Most jets, and most events, of a chunk: what reading one takes is bounded by it, whatever the file says."""


Jets = str | Path | pd.DataFrame | Iterable[pd.DataFrame]
"""A file that can be read, a jet table, or a stream of tables."""


def open_jets(
    source: Jets, chunk_jets: int, keep_nonfinite: bool, progress: bool, reading: Json
) -> tuple[Json, Iterator[pd.DataFrame]]:
    """What is said of a source, and its tables, checked: about `chunk_jets` jets each, but those of a stream as it is.

    `reading` says how to read a file; ValueError where there is none.
    """
    if not 1 <= chunk_jets <= MOST_JETS:
        raise ValueError(f"chunk_jets must lie in 1..{MOST_JETS}, found {chunk_jets}")
    if isinstance(source, str | Path):
        reading = reading | {"keep_nonfinite": keep_nonfinite, "progress": progress, "unrounded": True}
        name: Json = {"file": Path(source).name}
        if reading.get("entries") is not None:
            name["entries"] = list(reading["entries"])
        return name, checked_tables(iter_jets(source, chunk_jets=chunk_jets, **reading), str(source), keep_nonfinite)
    if reading:
        raise ValueError(f"{', '.join(reading)} say how to read a file, and the jets come as a table")
    if isinstance(source, pd.DataFrame):
        source = cut_table(_with_types(source, TABLE), chunk_jets)
    return {"file": None}, checked_tables(iter(source), TABLE, keep_nonfinite)


def checksum_of(source: Jets) -> Json:
    """SHA-256 of the file that was read, where it was one file."""
    if isinstance(source, str | Path) and Path(source).is_file():
        return {"sha256": source_sha256(source)}
    return {}


def checked_tables(tables: Iterator[pd.DataFrame], source: str, keep_nonfinite: bool) -> Iterator[pd.DataFrame]:
    """The tables of a source, refused (JetError) where `decompress` could not give their jets back.

    Event numbers come as int64, quantities as float32 or, where the source has them so, float64. At the end, whether
    each event number stood for one event.
    """
    seen, first_row = EventIds(), 0
    for table in tables:
        table = _with_types(table, source)
        rounded = pd.DataFrame(event_columns(table_ids(table)) | jet_columns(table))
        _refuse_nonfinite(rounded, source, first_row, keep_nonfinite)
        require_usable(rounded, source, first_row, keep_nonfinite=True)
        first_row += len(table)
        seen.add(event_counts(table)[0])
        yield from _of_bounded_size(table, source)
    require_distinct_events(seen.repeated(), source)


def jet_columns(table: pd.DataFrame) -> Columns:
    """The columns m, pt, phi, eta of a jet table as contiguous float32 arrays, in GeV and rad."""
    with np.errstate(over="ignore"):
        return {name: np.ascontiguousarray(table[name].to_numpy(), np.float32) for name in FEATURES}


def source_columns(table: pd.DataFrame) -> Columns:
    """The same columns in the precision of their source."""
    return {name: np.ascontiguousarray(table[name].to_numpy()) for name in FEATURES}


def _with_types(table: pd.DataFrame, source: str) -> pd.DataFrame:
    if not isinstance(table, pd.DataFrame):
        raise JetError(f"{source}: expected jet tables, found {type(table).__name__}")
    if missing := [name for name in COLUMNS if name not in table.columns]:
        raise JetError(f"{source}: missing columns {', '.join(missing)}; those there are: {listing(table.columns)}")
    columns = {}
    for name in EVENT_COLUMNS:
        if name in table.columns and table[name].dtype != np.int64:
            columns[name] = event_numbers(table[name].to_numpy(), source, name)
    for name in FEATURES:
        values = table[name].to_numpy()
        if values.dtype.kind not in "iuf":
            raise JetError(f"{source}: column {name} holds {values.dtype}, expected numbers")
        if values.dtype not in (np.float32, np.float64):
            columns[name] = values.astype(np.float64)
    return table.assign(**columns) if columns else table


def _refuse_nonfinite(table: pd.DataFrame, source: str, first_row: int, keep_nonfinite: bool) -> None:
    """Raise JetError where a value is NaN or infinite, and such values are not to be kept."""
    for name in () if keep_nonfinite else FEATURES:
        bad = np.flatnonzero(~np.isfinite(table[name].to_numpy()))
        if len(bad):
            raise JetError(
                f"{source}: NaN or infinite {name} in {len(bad)} of {len(table)} jets, first at row "
                f"{first_row + bad[0]}; keep_nonfinite (--keep-nonfinite) stores such values exactly"
            )


def _of_bounded_size(table: pd.DataFrame, source: str) -> Iterator[pd.DataFrame]:
    """A table in parts of at most `MOST_JETS` events, which have at most as many jets."""
    ids, counts = event_counts(table)
    if len(table) <= MOST_JETS and len(ids) <= MOST_JETS:
        yield table
        return
    starts = np.concatenate([[0], np.cumsum(counts)])
    first = 0
    while first < len(ids):
        last = min(int(np.searchsorted(starts, starts[first] + MOST_JETS, side="right")) - 1, first + MOST_JETS)
        if last == first:
            raise JetError(f"{source}: {counts[first]} jets in event {ids[first]}; at most {MOST_JETS} are kept")
        empty = ids[first:last][counts[first:last] == 0]
        yield with_empty_events(table.iloc[starts[first] : starts[last]], empty)
        first = last
