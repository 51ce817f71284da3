"""Files of named arrays: NumPy archives and pickled pandas tables."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import awkward as ak
import numpy as np

from utils.files import Json
from utils.jets.formats.finding import choose_columns
from utils.jets.formats.layouts import Options
from utils.jets.formats.pickles import read_pickled_table
from utils.jets.formats.source import ROWS, Array, Source, check_lengths, is_jagged, open_binary, reading


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
    empty: Sequence[Any] | np.ndarray = (),
    titles: Mapping[str, str] | None = None,
) -> Source:
    """A source of named columns; those that are read must be of one length. `titles` may name their units."""
    columns = choose_columns(table, options, name).with_titles(titles or {})
    needed = [part for column in columns.needed.values() for part in columns.in_file(column)]
    used = [*needed, *columns.events.values()]
    check_lengths({column: table[column].length for column in used}, name)
    rows = table[used[0]].length
    jagged = is_jagged({column: 2 if table[column].lists else 1 for column in needed}, columns, name)

    def pieces(names: Sequence[str]) -> Iterator[Mapping[str, Array]]:
        for start in range(0, rows, ROWS):
            stop = min(start + ROWS, rows)
            yield {column: _lists(table[column].read(start, stop)) for column in names}

    ascending = (note or {}).get("ascending", True)
    return Source(name, kind, columns, pieces, jagged, empty=empty, ascending=ascending, note=note, total=rows)


def _lists(column: np.ndarray) -> Array:
    """A column, whose arrays of numbers are lists."""
    if column.dtype.kind != "O" or not len(column) or not isinstance(column[0], np.ndarray):
        return column
    return ak.unflatten(np.concatenate(list(column)), np.fromiter(map(len, column), np.int64, len(column)))


def slice_of(dataset: np.ndarray, length: int, lists: bool = False) -> Column:
    """A column of `length` values read from an array, or from a dataset, by slices."""
    return Column(length, lambda start, stop: dataset[start:stop], lists)


def open_npz(name: str, options: Options) -> Source:
    """Arrays of a NumPy archive: a jet a row, an event a row of two dimensions, structured; read whole, never
    unpickled."""
    table: dict[str, Column] = {}
    with reading(name, "NumPy archive"), open_binary(name) as file, np.load(file, allow_pickle=False) as archive:
        empty = archive["empty_events"] if "empty_events" in archive.files else ()
        for key in (key for key in archive.files if key != "empty_events"):
            array = archive[key]
            if array.ndim == 1 and array.dtype.names:
                table |= {f"{key}.{sub}": slice_of(array[sub], len(array)) for sub in array.dtype.names}
            elif array.ndim in (1, 2):
                table[key] = slice_of(array, len(array), lists=array.ndim == 2)
    return columns_source(name, "NumPy archive", table, options, None, empty)


def open_pickle(name: str, options: Options) -> Source:
    """A pickled pandas DataFrame of numbers, such as the published samples; nothing that it brings is run."""
    frame = read_pickled_table(name)
    table = {str(key): slice_of(frame[key].to_numpy(), len(frame)) for key in frame.columns}
    return columns_source(name, "pandas pickle", table, options)
