"""HDF5 files: datasets of numbers, compound datasets, and tables that pandas wrote."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd

from utils.jets.events import event_ids
from utils.jets.formats.arrays import Column, columns_source, slice_of
from utils.jets.formats.finding import find_collections
from utils.jets.formats.layouts import Options
from utils.jets.formats.note import NOTE_KEY, NoteBuilder, parse_note
from utils.jets.formats.source import Source, is_remote, open_binary, reading
from utils.jets.table import FEATURES, UNITS, JetError, empty_ids
from utils.text import listing


def open_hdf5(name: str, options: Options) -> Source:
    """Datasets of numbers, compound datasets, and tables that pandas wrote through PyTables (nothing is unpickled)."""
    table: dict[str, Column] = {}
    titles: dict[str, str] = {}
    others: list[str] = []
    with reading(name, "HDF5"):
        file = h5py.File(open_binary(name) if is_remote(name) else name, "r")
        note = parse_note(file.attrs.get(NOTE_KEY), name)
        pandas_groups = {path: kind for path, kind in _groups(file) if kind}
        for path, dataset in _datasets(file):
            if path == "empty_events" or any(path.startswith(group + "/") for group in pandas_groups):
                continue
            titles[path] = next((_text(dataset.attrs[key]) for key in ("unit", "units") if key in dataset.attrs), "")
            if dataset.ndim == 1 and dataset.dtype.names:
                table |= {f"{path}.{key}": slice_of(dataset.fields(key), len(dataset)) for key in dataset.dtype.names}
            elif dataset.ndim == 1:
                table[path] = slice_of(dataset, len(dataset), lists=h5py.check_vlen_dtype(dataset.dtype) is not None)
            else:
                if dataset.ndim == 2:
                    table[path] = slice_of(dataset, len(dataset), lists=True)
                others.append(f"{path} of shape {dataset.shape}")
        for path, kind in pandas_groups.items():
            table |= _pandas_columns(name, file[path], path, kind)
        empty = file["empty_events"][()] if "empty_events" in file else ()
    if not options.columns and not find_collections(table) and others:
        raise JetError(f"{name}: no columns in this HDF5 file, only {listing(others)}; expected one array per column")
    return columns_source(name, "HDF5", table, options, note, empty, titles)


def _datasets(file: h5py.File) -> list[tuple[str, h5py.Dataset]]:
    found: list[tuple[str, h5py.Dataset]] = []
    file.visititems(lambda path, item: found.append((path, item)) if isinstance(item, h5py.Dataset) else None)
    return found


def _groups(file: h5py.File) -> list[tuple[str, str]]:
    """Groups, and what pandas calls them: frame, frame_table, or nothing."""
    found: list[tuple[str, str]] = []
    file.visititems(
        lambda path, item: (
            found.append((path, _text(item.attrs.get("pandas_type", b"")))) if isinstance(item, h5py.Group) else None
        )
    )
    return found


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _pandas_columns(name: str, group: h5py.Group, path: str, kind: str) -> dict[str, Column]:
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
        index = group.get("axis1")
        if (
            index is not None
            and index.dtype.kind in "iu"
            and (label := _text(index.attrs.get("name", b""))) not in found
        ):
            found[f"{path}/{label}"] = slice_of(index, len(index))
    elif kind == "frame_table":
        rows = group["table"]
        names = [key for key in rows.dtype.names if rows.dtype[key].shape == () and key != "index"]
        found = {f"{path}/{key}": slice_of(rows.fields(key), len(rows)) for key in names}
        packed = [key for key in rows.dtype.names if rows.dtype[key].shape != ()]
        if packed and not find_collections(found):
            raise JetError(
                f"{name}: the column names of {path} are pickled, and are not unpickled here; store it with "
                'data_columns=True or format="fixed", or as Parquet'
            )
    return found


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
