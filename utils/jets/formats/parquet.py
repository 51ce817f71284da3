"""Parquet files: a jet a row, or an event a row with lists."""

import functools
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import awkward as ak
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from utils.jets.events import EVENT_COLUMNS
from utils.jets.formats.assembly import Array
from utils.jets.formats.finding import choose_columns, find_counter
from utils.jets.formats.layouts import Options
from utils.jets.formats.note import NOTE_KEY, NoteBuilder, find_note
from utils.jets.formats.source import ROWS, Source, file_size, is_jagged, open_binary, reading
from utils.jets.formats.streams import require_proportion
from utils.jets.table import FEATURES, JetError


def open_parquet(name: str, options: Options) -> Source:
    """A Parquet file: a jet a row, or an event a row with lists of numbers or of records."""
    with reading(name, "Parquet"), open_binary(name) as stream:
        file = pq.ParquetFile(stream)
        rows = file.metadata.num_rows
        note = find_note(file.metadata.metadata or {}, name) or {}
        if not note and _looks_written_here(file.metadata):
            raise JetError(f"{name}: damaged: the file's note about its jets is gone")
        paths = [file.schema.column(i).path for i in range(len(file.schema.names))]
        found = (leaf for field in file.schema_arrow for leaf in _leaves((field.name,), field.type))
        leaves = {".".join(fields): (fields, dims, path) for (fields, dims), path in zip(found, paths, strict=True)}
        titles = _titles(file.schema_arrow)
    columns = choose_columns(leaves, options, name).with_titles(titles)
    needed = [part for column in columns.needed.values() for part in columns.in_file(column)]
    jagged = is_jagged({column: leaves[column][1] for column in needed}, columns, name)
    used = [paths.index(leaves[column][2]) for column in dict.fromkeys([*needed, *columns.events.values()])]
    require_proportion(_bytes_in(file.metadata, used), file_size(name), options.read, name)

    def pieces(names: Sequence[str]) -> Iterator[Mapping[str, Array]]:
        with open_binary(name) as stream:
            file = pq.ParquetFile(stream, page_checksum_verification=True, pre_buffer=False)
            paths = [leaves[column][2] for column in names]
            for batch in file.iter_batches(ROWS, columns=paths, use_threads=False):
                yield {column: _values(batch, leaves[column][0]) for column in names}

    return Source(
        name,
        "Parquet",
        columns,
        pieces,
        jagged,
        find_counter([column for column, (_, dimensions, _) in leaves.items() if dimensions == 1], columns),
        empty=note.get("empty_events", ()),
        ascending=note.get("ascending", False),
        note=note or None,
        total=rows,
    )


def _bytes_in(metadata: pq.FileMetaData, columns: Sequence[int]) -> int:
    """What columns take in memory, of which one value that repeats takes nothing in the file."""
    groups = map(metadata.row_group, range(metadata.num_row_groups))
    chunks = [group.column(i) for group in groups for i in columns]
    return sum(max(chunk.total_uncompressed_size, 8 * chunk.num_values) for chunk in chunks)


def _looks_written_here(metadata: pq.FileMetaData) -> bool:
    """Whether the columns are stored as `write_parquet` stores them, and nobody else."""
    if metadata.num_row_groups == 0:
        return False
    columns = [metadata.row_group(0).column(i) for i in range(min(metadata.num_columns, 10))]
    found = {
        column.path_in_schema: (column.compression, "DELTA_BINARY_PACKED" in column.encodings) for column in columns
    }
    events = {name: ("ZSTD", True) for name in found if name in EVENT_COLUMNS}
    return bool(events) and found == events | dict.fromkeys(FEATURES, ("UNCOMPRESSED", False))


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


def _leaves(fields: tuple[str, ...], kind: pa.DataType, dimensions: int = 1) -> Iterator[tuple[tuple[str, ...], int]]:
    """The columns of numbers in a column: the fields on the way to them, and their dimensions; in Parquet's order."""
    if isinstance(kind, pa.ExtensionType):
        kind = kind.storage_type
    if pa.types.is_map(kind):
        kind = pa.list_(pa.struct([kind.key_field, kind.item_field]))
    if pa.types.is_struct(kind):
        for field in kind:
            yield from _leaves((*fields, field.name), field.type, dimensions)
    elif pa.types.is_nested(kind):
        yield from _leaves(fields, kind.value_type, dimensions + 1)
    else:
        yield fields, dimensions


def _values(batch: pa.RecordBatch, fields: tuple[str, ...]) -> Array:
    """A column of a record batch: masked where it is null, of awkward where it holds lists or records."""
    column = batch.column(fields[0])
    if pa.types.is_nested(column.type):
        return functools.reduce(ak.Array.__getitem__, fields[1:], ak.from_arrow(column))
    values = column.to_numpy(zero_copy_only=False)
    return np.ma.masked_array(values, np.asarray(column.is_null())) if column.null_count else values


def write_parquet(path: Path, note: NoteBuilder, tables: Iterator[pd.DataFrame]) -> None:
    """A jet a row; the events without jets are in the note, and every page has a checksum.

    What names events is stored as differences. The others are not compressed: their mantissas are noise, of which zstd
    takes a tenth away for twice the time.
    """
    events = [name for name in note.columns if name not in FEATURES]
    schema = pa.schema([(name, pa.int64() if name in events else pa.float32()) for name in note.columns])
    options: dict[str, object] = {
        "compression": {name: "zstd" if name in events else "none" for name in note.columns},
        "use_dictionary": False,
        "column_encoding": dict.fromkeys(events, "DELTA_BINARY_PACKED"),
    }
    with pq.ParquetWriter(path, schema, write_page_checksum=True, **options) as file:
        for table in tables:
            note.empty += table.attrs.get("empty_events", [])
            file.write_table(pa.table({name: table[name].to_numpy() for name in note.columns}, schema=schema))
        file.add_key_value_metadata({NOTE_KEY: note.format(empty_events=note.empty, ascending=note.ids.ascending)})
