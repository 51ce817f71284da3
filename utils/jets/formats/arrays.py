"""Files of named arrays: NumPy archives and pickled pandas tables."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from utils.files import Json
from utils.jets.formats.layouts import choose_collection, find_event_column
from utils.jets.formats.pickles import read_pickled_table
from utils.jets.formats.source import (
    ROWS,
    Block,
    Options,
    Source,
    check_lengths,
    event_numbers,
    insert_empty,
    numeric,
    open_binary,
    reading,
    row_blocks,
    same_counts,
)


@dataclass(frozen=True)
class Column:
    """A column that can be read in slices: its length, and `read(start, stop)`, of numbers or of arrays of numbers."""

    length: int
    read: Callable[[int, int], np.ndarray]
    lists: bool = False


def columns_source(
    name: str,
    kind: str,
    table: Mapping[str, Column],
    options: Options,
    note: Json | None = None,
    empty: ArrayLike = (),
    titles: Mapping[str, str] | None = None,
) -> Source:
    """A source of named columns; those of one collection must be of one length. `titles` may name their units."""
    columns = choose_collection(table, options[1], name).with_titles(titles or {})
    event_column = find_event_column(table, columns)
    used = {column: table[column] for column in [*columns.needed.values(), *([event_column] if event_column else [])]}
    check_lengths({column: used[column].length for column in used}, name)
    rows = next(iter(used.values())).length
    jagged = all(table[column].lists for column in columns.needed.values())

    def read(column: str, start: int) -> np.ndarray:
        return table[column].read(start, min(start + ROWS, rows))

    def blocks(wanted: Mapping[str, str]) -> Iterator[Block]:
        if jagged:
            return lists(wanted)
        return insert_empty(row_blocks(flat(wanted)), np.asarray(empty, np.int64), (note or {}).get("ascending", True))

    def events(start: int) -> np.ndarray | None:
        return event_numbers(read(event_column, start), name, event_column) if event_column else None

    def flat(wanted: Mapping[str, str]) -> Iterator[tuple[dict[str, np.ndarray], np.ndarray | None]]:
        for start in range(0, rows, ROWS):
            yield {role: numeric(read(column, start), name, column) for role, column in wanted.items()}, events(start)

    def lists(wanted: Mapping[str, str]) -> Iterator[Block]:
        for start in range(0, rows, ROWS):
            entries = min(ROWS, rows - start)
            found = {role: read(column, start) for role, column in wanted.items()}
            counts = {wanted[role]: np.fromiter(map(len, arrays), np.int64, entries) for role, arrays in found.items()}
            values = {role: numeric(np.concatenate(list(arrays)), name, wanted[role]) for role, arrays in found.items()}
            yield Block(values, same_counts(counts, name, start, entries), events(start), entries)

    return Source(name, kind, columns, blocks, event_column, note=note, total=rows, jagged=jagged)


def slice_of(dataset: np.ndarray, length: int, lists: bool = False) -> Column:
    """A column of `length` values read from an array, or from a dataset, by slices."""
    return Column(length, lambda start, stop: dataset[start:stop], lists)


def open_npz(name: str, options: Options) -> Source:
    """Arrays of a NumPy archive: a jet a row, an event a row of two dimensions, structured; read whole, never
    unpickled."""
    table: dict[str, Column] = {}
    with reading(name, "NumPy archive"), open_binary(name) as file, np.load(file, allow_pickle=False) as archive:
        for key in archive.files:
            array = archive[key]
            if array.ndim == 1 and array.dtype.names:
                table |= {f"{key}.{sub}": slice_of(array[sub], len(array)) for sub in array.dtype.names}
            elif array.ndim in (1, 2):
                table[key] = slice_of(array, len(array), lists=array.ndim == 2)
        empty = table.pop("empty_events").read(0, 2**62) if "empty_events" in table else ()
    return columns_source(name, "NumPy archive", table, options, None, empty)


def open_pickle(name: str, options: Options) -> Source:
    """A pickled pandas DataFrame of numbers, such as the published samples; nothing that it brings is run."""
    frame = read_pickled_table(name)
    table = {str(key): slice_of(frame[key].to_numpy(), len(frame)) for key in frame.columns}
    return columns_source(name, "pandas pickle", table, options)
