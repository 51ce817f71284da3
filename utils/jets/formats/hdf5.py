"""HDF5 files: datasets of numbers, compound datasets, tables of two dimensions, and what pandas wrote."""

import contextlib
import functools
import io
import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import h5py
import numpy as np
import pandas as pd

from utils.jets.events import event_ids
from utils.jets.formats.arrays import (
    MOST_COLUMNS,
    Column,
    Table,
    array_table,
    columns_source,
    joined_tables,
    names_of,
    slices,
)
from utils.jets.formats.layouts import Options
from utils.jets.formats.note import NOTE_KEY, NoteBuilder, find_note
from utils.jets.formats.pickles import read_plain_pickle
from utils.jets.formats.source import Source, file_size, is_remote, open_binary, reading
from utils.jets.formats.streams import require_proportion
from utils.jets.table import FEATURES, UNITS, JetError, empty_ids

FILTERS = {
    307: "bzip2",
    32001: "blosc",
    32004: "LZ4",
    32008: "bitshuffle",
    32013: "ZFP",
    32015: "zstd",
    32026: "blosc2",
}
"""Compressions that the extra "hdf5" brings, by their numbers in HDF5."""

LISTS_AT_ONCE = 2**10
"""Lists of any length, of which many may be one and the same in a file."""


def open_hdf5(name: str, options: Options) -> Source:
    """Datasets of numbers, compound datasets, tables of two dimensions, and what pandas wrote through PyTables; each
    dataset is read when it is needed. Nothing is unpickled but the names in pandas' tables, as plain text."""
    tables: dict[str, Table] = {}
    with reading(name, "HDF5"):
        file = h5py.File(open_binary(name) if is_remote(name) else name, "r")
        note = find_note(file.attrs, name)
        datasets, frames = _contents(file)
        checked = functools.partial(_checked, name, file_size(name), options)
        widths = {dataset.shape[1] for dataset in datasets.values() if dataset.ndim == 2}
        labels = [_strings(dataset) for dataset in datasets.values() if _is_label(dataset, widths)]
        for path, dataset in datasets.items():
            load = functools.cache(functools.partial(checked, dataset))
            if h5py.check_vlen_dtype(dataset.dtype) is not None and dataset.ndim == 1:
                tables[path] = {"": Column(len(dataset), slices(load), lists=True, rows=LISTS_AT_ONCE)}
            else:
                beside = _names_beside(dataset) if dataset.ndim == 2 else []
                names = names_of(dataset.shape[-1], options, beside or labels) if dataset.ndim == 2 else None
                tables[path] = array_table(load, dataset.shape, dataset.dtype, names)
        for path, kind in frames.items():
            with contextlib.suppress(KeyError, TypeError, ValueError):  # of a table that is no frame of jets
                if kind in FRAMES:
                    tables[path] = FRAMES[kind](file[path], checked)
        empty = checked(file["empty_events"])[()] if "empty_events" in file else ()
        titles = {path: _unit(dataset) for path, dataset in datasets.items()}
    return columns_source(name, "HDF5", joined_tables(tables, options, name), options, note, empty, titles)


def _contents(file: h5py.File) -> tuple[dict[str, h5py.Dataset], dict[str, str]]:
    """The datasets of a file by path, and the groups of pandas with what it calls them, whose datasets are left out."""
    datasets: dict[str, h5py.Dataset] = {}
    frames: dict[str, str] = {}

    def visit(path: str, item: Any) -> None:
        if isinstance(item, h5py.Group) and "pandas_type" in item.attrs:
            frames[path] = _text(item.attrs["pandas_type"])
        elif isinstance(item, h5py.Dataset) and item.shape is not None and path != "empty_events":
            with contextlib.suppress(TypeError):  # of a type that NumPy has not
                if item.dtype and not any(str(parent) in frames for parent in PurePosixPath(path).parents):
                    datasets[path] = item

    file.visititems(visit)
    return datasets, frames


def _checked(name: str, size: int, options: Options, dataset: h5py.Dataset) -> h5py.Dataset:
    """A dataset that can be read: it holds its own values, not too many, and in a compression that is known."""
    what = f"dataset {(dataset.name or '').strip('/')}"
    if dataset.is_virtual or dataset.external:
        raise JetError(f"{name}: {what} takes its values from other files, and no other files are read")
    held = max(dataset.size, math.prod(dataset.chunks or ())) * dataset.dtype.itemsize
    require_proportion(held, size, options.read, name, what)
    settings = dataset.id.get_create_plist()
    for code, _, _, label in map(settings.get_filter, range(settings.get_nfilters())):
        if not _has_filter(code):
            known = FILTERS.get(code)
            extra = '; install the extra in the root of a clone: pip install -e ".[hdf5]"'
            advice = extra if known else ", which this HDF5 has not"
            kind = known or label.decode("ascii", "replace") or "a filter"
            raise JetError(f"{name}: {what} is compressed with {kind} (HDF5 filter {code}){advice}")
    return dataset


def _has_filter(code: int) -> bool:
    if not h5py.h5z.filter_avail(code):
        with contextlib.suppress(ImportError):
            import hdf5plugin  # noqa: F401
    return h5py.h5z.filter_avail(code)


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _unit(dataset: h5py.Dataset) -> str:
    return next((_text(dataset.attrs[key]) for key in ("unit", "units") if key in dataset.attrs), "")


def _is_label(dataset: h5py.Dataset, widths: set[int]) -> bool:
    """Whether a dataset may hold the names of the columns of another."""
    text = dataset.dtype.kind == "S" or h5py.check_string_dtype(dataset.dtype) is not None
    return text and dataset.ndim == 1 and dataset.size in widths and dataset.size <= MOST_COLUMNS


def _strings(values: Any) -> list[str]:
    with contextlib.suppress(OSError):  # of text that cannot be read, and need not be
        return [_text(value) for value in np.atleast_1d(values[()])]
    return []


def _names_beside(dataset: h5py.Dataset) -> list[list[str]]:
    """Lists of text among the attributes of a dataset, or text with commas."""
    values = [dataset.attrs.get(key) for key in dataset.attrs]
    lists = [_strings(value) for value in values if isinstance(value, np.ndarray) and value.dtype.kind in "OS"]
    return lists + [_text(value).split(",") for value in values if isinstance(value, bytes | str)]


def _fixed_frame(group: h5py.Group, checked: Callable[[h5py.Dataset], h5py.Dataset]) -> Table:
    """The columns and the index of a DataFrame that pandas stored as blocks with their names."""
    table: Table = {}
    for key in [key for key in group if re.fullmatch(r"block\d+_values", key)]:
        items, values = group[key.replace("_values", "_items")], group[key]
        if items.dtype.kind == "S" and values.dtype.kind in "iuf" and items.shape == values.shape[1:]:
            load = functools.partial(checked, values)
            table |= {
                f"/{_text(item)}": Column(len(values), slices(load, i)) for i, item in enumerate(checked(items)[()])
            }
    for i in range(int(group.attrs.get("axis1_nlevels", 0))):
        level, codes = checked(group[f"axis1_level{i}"])[()], checked(group[f"axis1_label{i}"])[()]
        if level.dtype.kind in "iuf" and np.all(codes >= 0):
            numbers = level[codes]
            table.setdefault(
                f"/{_text(group[f'axis1_level{i}'].attrs['name'])}",
                Column(len(codes), slices(functools.partial(np.asarray, numbers))),
            )
    if "axis1" in group and group["axis1"].dtype.kind in "iuf":
        index = group["axis1"]
        load = functools.partial(checked, index)
        table.setdefault(f"/{_text(index.attrs.get('name', b''))}", Column(len(index), slices(load)))
    return table


def _table_frame(group: h5py.Group, checked: Callable[[h5py.Dataset], h5py.Dataset]) -> Table:
    """The columns and the index of a DataFrame that pandas stored as records, with the numbers of a type together."""
    rows = group["table"]
    table: Table = {}
    for key in rows.dtype.names:
        if key == "index":
            labels = [read_plain_pickle(group.attrs["info"]).get("index", {}).get("index_name")]
        else:
            labels = read_plain_pickle(rows.attrs[f"{key}_kind"])
        width = rows.dtype[key].shape
        if width in ((), (len(labels),)):
            for i, label in enumerate(labels):
                column = slices(functools.partial(checked, rows), *((i,) if width else ()), field=key)
                table.setdefault(f"/{label}", Column(len(rows), column))
    return table


FRAMES = {"frame": _fixed_frame, "frame_table": _table_frame}
"""How pandas stores a DataFrame: `format="fixed"`, or "table"."""


HDF5_CHUNK = 2**14


class _Disk(io.FileIO):
    """A file for HDF5 to write to, that never fails while HDF5 looks: it would crash at the end of the process.

    What a full disk doesn't take is kept in memory, from where it is read again, until `require_room`, or the end of
    the block, raises the disk's error; an interrupt waits as long.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, "w+")
        self.error: BaseException | None = None
        self.kept: list[tuple[int, bytes]] = []

    def require_room(self) -> None:
        """Raise what kept data from the disk, if anything did."""
        if self.error is not None:
            raise self.error

    def write(self, data: Any) -> int:
        view, start = memoryview(data).cast("B"), self.tell()
        done = 0
        try:
            while self.error is None and done < len(view):
                done += super().write(view[done:]) or 0
        except BaseException as error:
            self.error = error
        if done < len(view):
            self.kept.append((start + done, bytes(view[done:])))
            self.seek(start + len(view))
        return len(view)

    def readinto(self, buffer: Any) -> int:
        view, start = memoryview(buffer).cast("B"), self.tell()
        done = super().readinto(view) or 0
        for offset, data in self.kept:
            first, last = max(offset, start), min(offset + len(data), start + len(view))
            if first < last:
                view[first - start : last - start] = data[first - offset : last - offset]
                done = max(done, last - start)
        return done

    def truncate(self, size: int | None = None) -> int:
        try:
            return super().truncate(size)
        except BaseException as error:
            self.error = self.error or error
            return size or 0

    def __exit__(self, *raised: Any) -> None:
        super().__exit__(*raised)
        if raised[0] is None:
            self.require_room()


def write_hdf5(path: Path, note: NoteBuilder, tables: Iterator[pd.DataFrame]) -> None:
    """One dataset per column and one for the events without jets; every chunk has a Fletcher checksum."""
    with _Disk(path) as disk, h5py.File(disk, "w", libver=("v108", "v108")) as file:

        def append(name: str, values: np.ndarray) -> None:
            dataset = file[name]
            dataset.resize(len(dataset) + len(values), axis=0)
            dataset[len(dataset) - len(values) :] = values

        ids = event_ids({name: np.empty(0) for name in note.columns if name not in FEATURES})
        kinds = {name: np.float32 if name in FEATURES else np.int64 for name in note.columns}
        for name, kind in (kinds | {"empty_events": ids.dtype}).items():
            options = {"chunks": (HDF5_CHUNK,), "shuffle": True, "compression": "gzip", "fletcher32": True}
            file.create_dataset(name, (0,), kind, maxshape=(None,), **options)
            file[name].attrs["unit"] = UNITS.get(name, "")
        for table in tables:
            for name in note.columns:
                append(name, table[name].to_numpy())
            append("empty_events", empty_ids(table))
            disk.require_room()
        file.attrs[NOTE_KEY] = note.format(ascending=note.ids.ascending)
