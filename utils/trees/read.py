"""The columns of a tree in chunks of entries, so that a file of any size takes as much memory as one chunk."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from awkward.contents import Content

from utils.jets import reading
from utils.trees.arrays import canonical, pieces
from utils.trees.schema import Column, Tree

CHUNK_BYTES = 2**25
"""Bytes of values, uncompressed, of a chunk of entries."""

PROBE_ENTRIES = 100
"""Entries whose size tells that of all, where the file does not tell."""

Chunk = dict[str, Content]
"""The values of successive entries, canonical, by the name of the column."""


def chunk_entries(tree: Tree, columns: Sequence[Column], name: str) -> int:
    """The entries of a chunk, so that its columns take some `CHUNK_BYTES`."""
    if not columns or not tree.entries:
        return 1
    if (whole := getattr(tree.source, "chunk_entries", None)) is not None:
        return whole
    probe = min(PROBE_ENTRIES, tree.entries)
    each = getattr(tree.source, "uncompressed_bytes", 0) / tree.entries or (
        sum(piece.nbytes for layout in read_chunk(tree, columns, 0, probe, name).values() for piece in pieces(layout))
        / probe
    )
    return int(np.clip(CHUNK_BYTES / max(each, 1), 1, 2**22))


def read_chunk(tree: Tree, columns: Sequence[Column], start: int, stop: int, name: str) -> Chunk:
    """The values of some entries; JetError, a ValueError, that names file and branch where they cannot be read."""
    chunk = {}
    for column in columns:
        with reading(f"{name}: {tree.name}: {column.name}", "a branch"):
            chunk[column.name] = read_column(tree.source, column, start, stop)
    return chunk


def read_column(source: Any, column: Column, start: int, stop: int) -> Content:
    """The values of one column, in its form."""
    layout = canonical(source[column.key].array(entry_start=start, entry_stop=stop, library="ak").layout, column.form)
    if len(layout) != stop - start:
        raise ValueError(f"{len(layout)} entries, expected {stop - start}")
    if layout.form != column.form:
        raise ValueError(f"values of {layout.form.type}, expected {column.form.type}")
    return layout


def iter_chunks(tree: Tree, columns: Sequence[Column], name: str) -> Iterator[tuple[int, int, Chunk]]:
    """The chunks of a tree: first entry, last entry, values."""
    step = chunk_entries(tree, columns, name)
    for start in range(0, tree.entries, step):
        stop = min(start + step, tree.entries)
        yield start, stop, read_chunk(tree, columns, start, stop, name)
