"""Reading files of columns: Parquet, HDF5, NumPy archives and pickled pandas tables."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from utils.jet_columns import choose_collection, find_collections, find_event_column
from utils.jet_note import NOTE_KEY, parse_note
from utils.jets import JetError
from utils.sources import (
    ROWS,
    Block,
    Options,
    Source,
    check_lengths,
    event_numbers,
    insert_empty,
    is_remote,
    numeric,
    open_binary,
    reading,
    row_blocks,
    same_counts,
)
from utils.text import listing


def open_parquet(name: str, options: Options) -> Source:
    """A Parquet file: a jet a row, or an event a row with lists of numbers or of records."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with reading(name, "Parquet"), open_binary(name) as stream:
        file = pq.ParquetFile(stream)
        schema, rows = file.schema_arrow, file.metadata.num_rows
        note = parse_note((file.metadata.metadata or {}).get(NOTE_KEY.encode()), name)
        leaves = [file.schema.column(i).path for i in range(len(file.schema.names))]
    paths: dict[str, str] = {}
    types: dict[str, Any] = {}
    for top in schema:
        records = top.type.value_type if _is_list(top.type) else top.type
        inner = [field.name for field in records] if pa.types.is_struct(records) else [""]
        for key in inner:
            full = f"{top.name}.{key}" if key else top.name
            fitting = [leaf for leaf in leaves if leaf.startswith(top.name + ".") and leaf.endswith("." + key)]
            paths[full] = fitting[0] if key and fitting else top.name
            types[full] = top.type
    columns = choose_collection(paths, options[1], name)
    event_column = find_event_column(paths, columns)
    lists = {column: _is_list(types[column]) for column in columns.needed.values()}
    if len(set(lists.values())) > 1:
        raise JetError(f"{name}: some columns hold lists and some numbers: {lists}")
    jagged = all(lists.values())

    def read(wanted: Mapping[str, str]) -> Iterator[tuple[dict[str, Any], np.ndarray | None]]:
        names = [*wanted.values(), *([event_column] if event_column else [])]
        with open_binary(name) as stream:
            file = pq.ParquetFile(stream, page_checksum_verification=True, pre_buffer=False)
            for batch in file.iter_batches(ROWS, columns=[paths[column] for column in names], use_threads=False):
                arrays = {role: _arrow_column(batch, column) for role, column in wanted.items()}
                event = _arrow_column(batch, event_column) if event_column else None
                yield arrays, None if event is None else event_numbers(event, name, str(event_column))

    def blocks(wanted: Mapping[str, str]) -> Iterator[Block]:
        if not jagged:
            flat = (
                ({role: numeric(array, name, wanted[role]) for role, array in arrays.items()}, event)
                for arrays, event in read(wanted)
            )
            empty = np.asarray((note or {}).get("empty_events", []), np.int64)
            yield from insert_empty(row_blocks(flat), empty, (note or {}).get("ascending", False))
            return
        start = 0
        for arrays, event in read(wanted):
            entries = len(next(iter(arrays.values()))) if arrays else len(event if event is not None else ())
            counts = {wanted[role]: _list_lengths(array) for role, array in arrays.items()}
            values = {role: numeric(array.flatten(), name, wanted[role]) for role, array in arrays.items()}
            yield Block(values, same_counts(counts, name, start, entries), event, entries)
            start += entries

    return Source(name, "Parquet", columns, blocks, event_column, columns.unit, None, note, rows, jagged)


def _is_list(kind: Any) -> bool:
    import pyarrow as pa

    return pa.types.is_list(kind) or pa.types.is_large_list(kind)


def _arrow_column(batch: Any, name: str) -> Any:
    """A column of a record batch; `Jet.pt` out of records, or lists of records, called `Jet`."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if name in batch.schema.names:
        return batch.column(name)
    top = max((top for top in batch.schema.names if name.startswith(top + ".")), key=len)
    column, inner = batch.column(top), name[len(top) + 1 :]
    if not _is_list(column.type):
        return pc.struct_field(column, inner)
    offsets = pa.array(np.concatenate([[0], np.cumsum(_list_lengths(column))]), pa.int64())
    return pa.LargeListArray.from_arrays(offsets, pc.struct_field(column.flatten(), inner))


def _list_lengths(lists: Any) -> np.ndarray:
    """Length of each list, 0 where it is null."""
    import pyarrow.compute as pc

    return np.asarray(pc.fill_null(pc.list_value_length(lists), 0)).astype(np.int64)


@dataclass(frozen=True)
class Column:
    """A column that can be read in slices: its length, and `read(start, stop)`, of numbers or of arrays of numbers."""

    length: int
    read: Callable[[int, int], np.ndarray]
    lists: bool = False


def _columns_source(
    name: str,
    kind: str,
    table: Mapping[str, Column],
    options: Options,
    note: dict[str, Any] | None = None,
    empty: Any = (),
) -> Source:
    """A source of named columns; those of one collection must be of one length."""
    columns = choose_collection(table, options[1], name)
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

    return Source(name, kind, columns, blocks, event_column, columns.unit, None, note, rows, jagged)


def open_hdf5(name: str, options: Options) -> Source:
    """Datasets of numbers, compound datasets, and tables that pandas wrote through PyTables (nothing is unpickled)."""
    import h5py

    table: dict[str, Column] = {}
    others: list[str] = []
    with reading(name, "HDF5"):
        file = h5py.File(open_binary(name) if is_remote(name) else name, "r")
        note = parse_note(file.attrs.get(NOTE_KEY), name)
        pandas_groups = {path: kind for path, kind in _groups(file) if kind}
        for path, dataset in _datasets(file):
            if any(path.startswith(group + "/") for group in pandas_groups):
                continue
            if dataset.ndim == 1 and dataset.dtype.names:
                table |= {f"{path}.{key}": _slice(dataset.fields(key), len(dataset)) for key in dataset.dtype.names}
            elif dataset.ndim == 1:
                table[path] = _slice(dataset, len(dataset), lists=h5py.check_vlen_dtype(dataset.dtype) is not None)
            else:
                others.append(f"{path} of shape {dataset.shape}")
        for path, kind in pandas_groups.items():
            table |= _pandas_columns(name, file[path], path, kind)
        empty = table.pop("empty_events").read(0, 2**62) if "empty_events" in table else ()
    if not find_collections(table) and others:
        raise JetError(f"{name}: no columns in this HDF5 file, only {listing(others)}; expected one array per column")
    return _columns_source(name, "HDF5", table, options, note, empty)


def _slice(dataset: Any, length: int, lists: bool = False) -> Column:
    return Column(length, lambda start, stop: dataset[start:stop], lists)


def _datasets(file: Any) -> list[tuple[str, Any]]:
    import h5py

    found: list[tuple[str, Any]] = []
    file.visititems(lambda path, item: found.append((path, item)) if isinstance(item, h5py.Dataset) else None)
    return found


def _groups(file: Any) -> list[tuple[str, str]]:
    """Groups, and what pandas calls them: frame, frame_table, or nothing."""
    import h5py

    found: list[tuple[str, str]] = []
    file.visititems(
        lambda path, item: (
            found.append((path, _text(item.attrs.get("pandas_type", b"")))) if isinstance(item, h5py.Group) else None
        )
    )
    return found


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _pandas_columns(name: str, group: Any, path: str, kind: str) -> dict[str, Column]:
    """Columns of a DataFrame stored by pandas: blocks with their names (`fixed`), or data columns (`table`)."""
    found: dict[str, Column] = {}
    if kind == "frame":
        for key in [key for key in group if key.endswith("_values") and key.startswith("block")]:
            items, values = group[key.replace("_values", "_items")], group[key]
            if items.dtype.kind != "S" or values.dtype.kind not in "iuf":
                continue
            for i, item in enumerate(items[:]):
                found[f"{path}/{_text(item)}"] = Column(
                    len(values),
                    lambda start, stop, values=values, i=i: values[start:stop, i],  # type: ignore[misc]
                )
    elif kind == "frame_table":
        rows = group["table"]
        names = [key for key in rows.dtype.names if rows.dtype[key].shape == () and key != "index"]
        found = {f"{path}/{key}": _slice(rows.fields(key), len(rows)) for key in names}
        packed = [key for key in rows.dtype.names if rows.dtype[key].shape != ()]
        if packed and not find_collections(found):
            raise JetError(
                f"{name}: the column names of {path} are pickled, and are not unpickled here; store it with "
                'data_columns=True or format="fixed", or as Parquet'
            )
    return found


def open_npz(name: str, options: Options) -> Source:
    """One-dimensional arrays, or structured ones, of a NumPy archive; they are read whole, never unpickled."""
    table: dict[str, Column] = {}
    with reading(name, "NumPy archive"), open_binary(name) as file, np.load(file, allow_pickle=False) as archive:
        for key in archive.files:
            array = archive[key]
            if array.ndim == 1 and array.dtype.names:
                table |= {f"{key}.{sub}": _slice(array[sub], len(array)) for sub in array.dtype.names}
            elif array.ndim == 1:
                table[key] = _slice(array, len(array))
        empty = table.pop("empty_events").read(0, 2**62) if "empty_events" in table else ()
    return _columns_source(name, "NumPy archive", table, options, None, empty)


def open_pickle(name: str, options: Options) -> Source:
    """A pickled pandas DataFrame of numbers, such as the published samples; nothing that it brings is run."""
    from utils.pickles import read_pickled_table

    frame = read_pickled_table(name)
    table = {str(key): _slice(frame[key].to_numpy(), len(frame)) for key in frame.columns}
    return _columns_source(name, "pandas pickle", table, options)
