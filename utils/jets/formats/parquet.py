"""Parquet files: a jet a row, or an event a row with lists."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from utils.files import Json
from utils.jets.formats.layouts import choose_collection, find_event_column
from utils.jets.formats.note import NOTE_KEY, NoteBuilder, parse_note
from utils.jets.formats.source import (
    ROWS,
    Block,
    Options,
    Source,
    event_numbers,
    insert_empty,
    numeric,
    open_binary,
    reading,
    row_blocks,
    same_counts,
)
from utils.jets.table import COLUMNS, JetError


def open_parquet(name: str, options: Options) -> Source:
    """A Parquet file: a jet a row, or an event a row with lists of numbers or of records."""
    with reading(name, "Parquet"), open_binary(name) as stream:
        file = pq.ParquetFile(stream)
        rows = file.metadata.num_rows
        note = parse_note((file.metadata.metadata or {}).get(NOTE_KEY.encode()), name)
        places = _places(file)
        titles = _titles(file.schema_arrow)
    columns = choose_collection(places, options[1], name).with_titles(titles)
    event_column = find_event_column(places, columns)
    lists = {column: places[column].lists for column in columns.needed.values()}
    if len(set(lists.values())) > 1:
        raise JetError(f"{name}: some columns hold lists and some numbers: {lists}")
    jagged = all(lists.values())
    blocks = _ParquetBlocks(name, places, event_column, jagged, note or {})
    return Source(name, "Parquet", columns, blocks, event_column, note=note, total=rows, jagged=jagged)


@dataclass(frozen=True)
class _Place:
    """Where the values of a column lie: the path of its leaf, and whether a row holds a list of them."""

    path: str
    lists: bool


def _places(file: pq.ParquetFile) -> dict[str, _Place]:
    """The columns of a file; `Jet.pt` where `Jet` holds records, or lists of records."""
    leaves = [file.schema.column(i).path for i in range(len(file.schema.names))]
    places: dict[str, _Place] = {}
    for top in file.schema_arrow:
        records = top.type.value_type if _is_list(top.type) else top.type
        inner = [field.name for field in records] if pa.types.is_struct(records) else [""]
        for key in inner:
            full = f"{top.name}.{key}" if key else top.name
            fitting = [leaf for leaf in leaves if leaf.startswith(top.name + ".") and leaf.endswith("." + key)]
            places[full] = _Place(fitting[0] if key and fitting else top.name, _is_list(top.type))
    return places


def _titles(schema: pa.Schema) -> dict[str, str]:
    """Units in the metadata of columns, and in what pandas keeps as the `attrs` of a table."""
    pandas = json.loads((schema.metadata or {}).get(b"pandas", b"{}")).get("attributes", {})
    titles: dict[str, str] = {}
    for key in ("unit", "units"):
        of_table = pandas.get(key)
        for top in schema:
            said = of_table.get(top.name) if isinstance(of_table, dict) else of_table
            own = (top.metadata or {}).get(key.encode())
            titles[top.name] = own.decode() if own else str(said or titles.get(top.name, ""))
    return titles


@dataclass(frozen=True)
class _ParquetBlocks:
    name: str
    places: dict[str, _Place]
    event_column: str | None
    jagged: bool
    note: Json

    def __call__(self, wanted: Mapping[str, str]) -> Iterator[Block]:
        if self.jagged:
            return self._lists(wanted)
        flat = (
            ({role: numeric(_numbers(array), self.name, wanted[role]) for role, array in arrays.items()}, event)
            for arrays, event in self._read(wanted)
        )
        empty = np.asarray(self.note.get("empty_events", []), np.int64)
        return insert_empty(row_blocks(flat), empty, self.note.get("ascending", False))

    def _lists(self, wanted: Mapping[str, str]) -> Iterator[Block]:
        start = 0
        for arrays, event in self._read(wanted):
            entries = len(next(iter(arrays.values()))) if arrays else len(event if event is not None else ())
            counts = {wanted[role]: _list_lengths(array) for role, array in arrays.items()}
            values = {
                role: numeric(_numbers(array.flatten()), self.name, wanted[role]) for role, array in arrays.items()
            }
            yield Block(values, same_counts(counts, self.name, start, entries), event, entries)
            start += entries

    def _read(self, wanted: Mapping[str, str]) -> Iterator[tuple[dict[str, pa.Array], np.ndarray | None]]:
        names = [*wanted.values(), *([self.event_column] if self.event_column else [])]
        with open_binary(self.name) as stream:
            file = pq.ParquetFile(stream, page_checksum_verification=True, pre_buffer=False)
            paths = [self.places[column].path for column in names]
            for batch in file.iter_batches(ROWS, columns=paths, use_threads=False):
                arrays = {role: _arrow_column(batch, column) for role, column in wanted.items()}
                event = None
                if self.event_column:
                    event = event_numbers(_arrow_column(batch, self.event_column), self.name, self.event_column)
                yield arrays, event


def _is_list(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)


def _numbers(array: pa.Array) -> np.ndarray:
    """The values of a column, masked where they are null."""
    values = array.to_numpy(zero_copy_only=False)
    return np.ma.masked_array(values, np.asarray(array.is_null())) if array.null_count else values


def _arrow_column(batch: pa.RecordBatch, name: str) -> pa.Array:
    """A column of a record batch; `Jet.pt` out of records, or lists of records, called `Jet`."""
    if name in batch.schema.names:
        return batch.column(name)
    top = max((top for top in batch.schema.names if name.startswith(top + ".")), key=len)
    column, inner = batch.column(top), name[len(top) + 1 :]
    if not _is_list(column.type):
        return pc.struct_field(column, inner)
    offsets = pa.array(np.concatenate([[0], np.cumsum(_list_lengths(column))]), pa.int64())
    return pa.LargeListArray.from_arrays(offsets, pc.struct_field(column.flatten(), inner))


def _list_lengths(lists: pa.Array) -> np.ndarray:
    """Length of each list, 0 where it is null."""
    return np.asarray(pc.fill_null(pc.list_value_length(lists), 0)).astype(np.int64)


def write_parquet(path: Path, note: NoteBuilder, tables: Iterator[pd.DataFrame]) -> None:
    """A jet a row; the events without jets are in the note, and every page has a checksum.

    Event numbers are stored as differences. The others are not compressed: their mantissas are noise, of which zstd
    takes a tenth away for twice the time.
    """
    schema = pa.schema([(name, pa.int64() if name == "event" else pa.float32()) for name in COLUMNS])
    options: dict[str, object] = {
        "compression": {name: "zstd" if name == "event" else "none" for name in COLUMNS},
        "use_dictionary": False,
        "column_encoding": {"event": "DELTA_BINARY_PACKED"},
    }
    with pq.ParquetWriter(path, schema, write_page_checksum=True, **options) as file:
        for table in tables:
            note.empty += table.attrs.get("empty_events", [])
            file.write_table(pa.table({name: table[name].to_numpy() for name in COLUMNS}, schema=schema))
        file.add_key_value_metadata({NOTE_KEY: note.format(empty_events=note.empty, ascending=note.numbers.ascending)})
