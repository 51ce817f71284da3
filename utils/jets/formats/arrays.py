"""Files of named arrays: NumPy's, and pickled pandas tables; and how arrays become columns."""

import contextlib
import functools
import math
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import awkward as ak
import numpy as np

from utils.files import Json
from utils.jets.formats.assembly import Array, check_lengths
from utils.jets.formats.finding import choose_columns, find_counter
from utils.jets.formats.layouts import Options
from utils.jets.formats.pickles import read_pickled_table
from utils.jets.formats.source import ROWS, Source, file_size, is_jagged, open_binary, reading
from utils.jets.formats.streams import require_proportion
from utils.jets.table import JetError
from utils.text import listing

MOST_COLUMNS = 1000
"""Columns of an array of two dimensions that are named one by one; a wider one is no table."""

OTHER_OBJECTS = (
    "electron",
    "muon",
    "tau",
    "photon",
    "lepton",
    "track",
    "vert",
    "part",
    "cand",
    "clust",
    "gen",
    "truth",
)
"""What the name of a table holds that is no table of jets: it is read only when it is asked for."""


@dataclass(frozen=True)
class Column:
    """A column that can be read in slices: its length, and `read(start, stop)`, of numbers or of arrays of numbers, of
    which `rows` are read at once."""

    length: int
    read: Callable[[int, int], np.ndarray]
    lists: bool = False
    rows: int = ROWS


Table = dict[str, Column]
"""The columns in one array or table of a file, behind the sign that joins their names to its own: `.pt`; or "" for an
array that is a column itself."""


def array_table(load: Callable[[], Any], shape: tuple[int, ...], dtype: np.dtype, names: Sequence[str] | None) -> Table:
    """The columns of an array that `load` gives when they are read: fields of records; an array of one dimension; or of
    two, whose columns have names or else numbers, and which may be a list for each event as well."""
    if len(shape) == 1 and dtype.names:
        return {f".{field}": Column(shape[0], slices(load, field=field)) for field in dtype.names}
    if len(shape) == 1:
        return {"": Column(shape[0], slices(load))}
    if len(shape) != 2:
        return {}
    rows, width = shape
    table = {"": Column(rows, slices(load), lists=True, rows=max(1, ROWS // max(width, 1)))}
    for i, label in enumerate(names or map(str, range(width if width <= MOST_COLUMNS else 0))):
        table[f".{label}"] = Column(rows, slices(load, i))
    return table


def slices(load: Callable[[], Any], *column: int, field: str | None = None) -> Callable[[int, int], np.ndarray]:
    """Reads slices of an array, of NumPy or HDF5, that `load` gives then: of a field of its records, of a column."""

    def read(start: int, stop: int) -> np.ndarray:
        array: Any = load()
        if field is not None:
            array = array[field] if isinstance(array, np.ndarray) else array.fields(field)
            return array[start:stop][(slice(None), *column)]
        return array[(slice(start, stop), *column)]

    return read


def names_of(width: int, options: Options, found: Sequence[Sequence[str]]) -> Sequence[str] | None:
    """The names of so many columns: those that are given, or the only ones `found` in the file that are as many."""
    given = options.read.get("names", "").split(",")
    fitting = [names for names in ([given] if "names" in options.read else found) if len(names) == width]
    return [name.strip() for name in fitting[0]] if len(fitting) == 1 else None


def joined_tables(tables: Mapping[str, Table], options: Options, name: str) -> Table:
    """The columns of all tables by their full names, or of the one that `key` picks.

    Where there is but one table, and its name says neither jets nor another object, columns go by their own names.
    """
    if key := options.read.get("key", "").strip("/"):
        picked = {path: table for path, table in tables.items() if path == key or path.startswith(f"{key}/")}
        if not picked:
            raise JetError(f"{name}: key: nothing is called {key!r}; there are {listing(tables)}")
        tables = {path[len(key) :].strip("/"): table for path, table in picked.items()}
    if "names" in options.read and not any(
        f".{options.read['names'].split(',')[0].strip()}" in table for table in tables.values()
    ):
        raise JetError(f"{name}: names: no array has as many columns as {options.read['names']!r} names")
    wide = [path for path, table in tables.items() if len(table) > 1]
    bare = wide[0] if len(wide) == 1 and options.collection is None else None
    if bare and any(word in bare.lower() for word in ("jet", *OTHER_OBJECTS)):
        bare = None
    columns: Table = {}
    for path, table in tables.items():
        for label, column in table.items():
            own = label[1:] if path in ("", bare) and label else f"{path}{label}"
            columns.setdefault(own, column)
    return columns


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
        held, size, step = 0, file_size(name), min(table[column].rows for column in names)

        def read(column: str, start: int) -> Array:
            nonlocal held
            values = _lists(table[column].read(start, min(start + step, rows)))
            held += values.nbytes
            require_proportion(held, size, options.read, name)
            return values

        for start in range(0, rows, step):
            yield {column: read(column, start) for column in names}

    ascending = (note or {}).get("ascending", True)
    counters = {label: column for label, column in table.items() if column.length == rows and not column.lists}
    counter = find_counter(counters, columns)
    return Source(name, kind, columns, pieces, jagged, counter, empty=empty, ascending=ascending, note=note, total=rows)


def _lists(column: np.ndarray) -> Array:
    """A column, whose arrays of numbers are lists."""
    if column.dtype.kind != "O" or not len(column) or not isinstance(column[0], np.ndarray):
        return column
    return ak.unflatten(np.concatenate(list(column)), np.fromiter(map(len, column), np.int64, len(column)))


def open_npz(name: str, options: Options) -> Source:
    """Arrays of a NumPy archive: a jet a row, an event a row of two dimensions, structured; never unpickled, and each
    read when it is needed."""
    arrays: dict[str, tuple[Callable[[], np.ndarray], tuple[int, ...], np.dtype]] = {}
    with reading(name, "NumPy archive"), open_binary(name) as file, zipfile.ZipFile(file) as archive:
        for member in archive.infolist():
            if member.filename.endswith(".npy"):
                with contextlib.suppress(ValueError), archive.open(member) as stream:  # of an array that is no column
                    shape, dtype = _header(stream)
                    key = member.filename.removesuffix(".npy")
                    load = functools.partial(
                        _member, name, key, math.prod(shape) * dtype.itemsize, member.file_size, options
                    )
                    arrays[key] = functools.cache(load), shape, dtype
    labels = [
        list(map(str, load()))
        for load, shape, dtype in arrays.values()
        if dtype.kind in "SU" and len(shape) == 1 and shape[0] <= MOST_COLUMNS
    ]
    empty = arrays.pop("empty_events")[0]() if "empty_events" in arrays else ()
    tables = {
        key: array_table(load, shape, dtype, names_of(shape[-1] if shape else 0, options, labels))
        for key, (load, shape, dtype) in arrays.items()
    }
    return columns_source(name, "NumPy archive", joined_tables(tables, options, name), options, None, empty)


def _header(file: Any) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and type of the array at the begin of a file."""
    first = np.lib.format.read_magic(file) == (1, 0)
    shape, _, dtype = (np.lib.format.read_array_header_1_0 if first else np.lib.format.read_array_header_2_0)(file)
    return shape, dtype


def _member(name: str, key: str, promised: int, held: int, options: Options) -> np.ndarray:
    """An array of an archive that holds so many bytes of it."""
    require_proportion(held, file_size(name), options.read, name, f"the array {key}")
    with reading(name, "NumPy archive"), open_binary(name) as file, np.load(file, allow_pickle=False) as archive:
        if promised > held:
            raise ValueError(f"the array {key} has {held} of {promised} bytes")
        return archive[key]


def open_npy(name: str, options: Options) -> Source:
    """A NumPy array of records, or of two dimensions, whose columns have the names that are given, or numbers."""
    with reading(name, "NumPy array"), open_binary(name) as file:
        shape, dtype = _header(file)
        promised, held = math.prod(shape) * dtype.itemsize, file_size(name)
        if promised > held and not dtype.hasobject:
            raise ValueError(f"{held} of {promised} bytes")
        file.seek(0)
        array = np.load(file, allow_pickle=False)
    table = array_table(lambda: array, shape, dtype, names_of(shape[-1] if shape else 0, options, ()))
    return columns_source(name, "NumPy array", joined_tables({"array": table}, options, name), options)


def open_pickle(name: str, options: Options) -> Source:
    """A pickled pandas DataFrame of numbers, such as the published samples; nothing that it brings is run."""
    frame = read_pickled_table(name)
    table = {str(key): Column(len(frame), slices(frame[key].to_numpy)) for key in frame.columns}
    return columns_source(name, "pandas pickle", table, options)
