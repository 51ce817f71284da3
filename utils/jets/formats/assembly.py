"""Blocks of events from pieces of the rows of a file, whether a row is an event with lists of jets, or a jet."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import awkward as ak
import numpy as np

from utils.jets.events import event_ids, merge_empty, run_lengths
from utils.jets.formats.layouts import JetColumns
from utils.jets.table import JetError

Array: TypeAlias = np.ndarray | ak.Array
"""A column, of numbers or of lists of numbers: of NumPy, where it may be masked or have two dimensions, or awkward."""

Piece = Mapping[str, Array]
"""Columns by name, of successive rows."""


@dataclass(frozen=True)
class Block:
    """Jets of successive events: role -> values in file units, jets per event, event ids, rows of the file.

    Left out are `padding`, the ends of arrays of fixed length, and `bare` rows, which hold an event id alone.
    """

    values: dict[str, np.ndarray]
    counts: np.ndarray
    event: np.ndarray | None
    done: int
    padding: int = 0
    bare: int = 0

    def without(self, places: np.ndarray) -> "Block":
        """Without the jets at these places, which are padding."""
        if not places.any():
            return self
        owners = np.repeat(np.arange(len(self.counts)), self.counts)
        counts = np.bincount(owners[~places], minlength=len(self.counts))
        values = {role: column[~places] for role, column in self.values.items()}
        return replace(self, values=values, counts=counts, padding=self.padding + int(places.sum()))


def list_blocks(
    pieces: Iterator[Piece], columns: JetColumns, wanted: Mapping[str, str], counter: str | None, source: str
) -> Iterator[Block]:
    """Blocks from rows of lists of jets, or of a place for each; of those of fixed length `counter` says how many are
    jets."""
    start = 0
    for piece in pieces:
        values, counts, fixed, rows = {}, {}, False, _rows(piece, source)
        for role, name in wanted.items():
            parts = [numeric(piece[part], source, part) for part in columns.in_file(name) if "{i}" in name]
            column = np.ma.stack(parts, axis=1) if parts else piece[name]
            fixed = isinstance(column, np.ndarray) or column.layout.purelist_isregular
            flat, counts[name] = _flattened(column)
            values[role] = numeric(flat, source, name)
        block = Block(values, same_counts(counts, source, start, rows), _ids(piece, columns, source), rows)
        if counter and fixed and rows:
            places = np.arange(int(block.counts.sum())) % max(1, int(block.counts[0]))
            block = block.without(places >= np.repeat(np.asarray(piece[counter]), block.counts))
        yield block
        start += rows


def row_blocks(
    pieces: Iterator[Piece], columns: JetColumns, wanted: Mapping[str, str], empty_rows: bool, source: str
) -> Iterator[Block]:
    """Blocks of whole events from rows of a jet each; the last event is held back until the next one begins.

    With `empty_rows`, the row of an event with its id and nothing else (masked values) stands for no jets.
    """
    held: tuple[dict[str, np.ndarray], np.ndarray] | None = None
    while (piece := next(pieces, None)) is not None:
        values = {role: numeric(piece[name], source, name) for role, name in wanted.items()}
        ids, rows = _ids(piece, columns, source), _rows(piece, source)
        del piece  # which may be large
        if ids is None:
            yield Block(values, np.ones(rows, np.int64), None, rows)
            continue
        if held is not None:
            values = {role: _joined([held[0][role], column]) for role, column in values.items()}
            ids = np.concatenate([held[1], ids])
        changes = np.flatnonzero(ids[1:] != ids[:-1])
        last = int(changes[-1]) + 1 if len(changes) else 0
        held = {role: column[last:] for role, column in values.items()}, ids[last:]
        if last:
            yield _events({role: column[:last] for role, column in values.items()}, ids[:last], empty_rows, rows)
    if held is not None and len(held[1]):
        yield _events(*held, empty_rows, 0)


def _events(values: dict[str, np.ndarray], ids: np.ndarray, empty_rows: bool, rows: int) -> Block:
    event, counts = run_lengths(ids)
    block = Block(values, counts, event, rows)
    if not empty_rows or not values:
        return block
    empty = np.all([np.ma.getmaskarray(column) for column in values.values()], axis=0)
    empty &= np.repeat(counts, counts) == 1
    return replace(block.without(empty), padding=0, bare=int(empty.sum()))


def _rows(piece: Piece, source: str) -> int:
    lengths = {name: len(column) for name, column in piece.items()}
    check_lengths(lengths, source)
    return next(iter(lengths.values()))


def _ids(piece: Piece, columns: JetColumns, source: str) -> np.ndarray | None:
    """The ids of the events of rows; None where there are none."""
    found = {}
    for role, name in columns.events.items():
        column = piece[name]
        if isinstance(column, ak.Array) and column.ndim == 2 and ak.all(ak.num(column) == 1):
            column = ak.flatten(column)
        found[role] = event_numbers(column, source, name)
    return event_ids(found) if found else None


def without_padding(block: Block, padding: Mapping[str, float], jagged: bool) -> Block:
    """Without the places of no jet: those that hold the values of `padding`, by role, or else what shows in lists.

    In lists that are all as long, that are the ends that hold one value in all columns, not above 0: 0, -999, NaN or
    nothing.
    """
    values = {role: filled(column) for role, column in block.values.items()} if padding or jagged else {}
    if not values:
        return block
    with np.errstate(invalid="ignore"):
        if padding:
            same = [
                np.isnan(values[role]) if np.isnan(value) else np.isclose(values[role], value, rtol=1e-6, atol=0)
                for role, value in padding.items()
            ]
            return block.without(np.all(same, axis=0))
        if len(block.counts) < 2 or block.counts[0] == 0 or not np.all(block.counts == block.counts[0]):
            return block
        first = next(iter(values.values()))
        same = [(column == first) | (np.isnan(column) & np.isnan(first)) for column in values.values()]
        ends = (np.all(same, axis=0) & ~(first > 0)).reshape(len(block.counts), -1)[:, ::-1]
    return block.without(np.logical_and.accumulate(ends, axis=1)[:, ::-1].ravel())


def insert_empty(blocks: Iterator[Block], empty: np.ndarray, ascending: bool) -> Iterator[Block]:
    """Put events without jets where their ids belong, or behind all others where ids do not ascend."""
    empty = np.sort(empty) if ascending else empty
    for block in blocks:
        if ascending and block.event is not None and len(block.event):
            upto = int(np.searchsorted(empty, block.event[-1]))
            event, counts = merge_empty(block.event, block.counts, empty[:upto])
            block, empty = replace(block, event=event, counts=counts), empty[upto:]
        yield block
    if len(empty):
        yield Block({}, np.zeros(len(empty), np.int64), empty, 0)


def event_numbers(values: Any, source: str, column: str) -> np.ndarray:
    """Event numbers as int64; JetError where they are not whole numbers of that size."""
    values = numeric(values, source, column)
    values = filled(values) if np.ma.is_masked(values) else np.asarray(values)
    beyond = values[values >= 2**63] if values.dtype.kind in "uf" else values[:0]
    if len(beyond):
        raise JetError(f"{source}: column {column} holds the event number {beyond[0]}, and int64 ends at 2^63 - 1")
    if values.dtype.kind == "f" and np.any(np.abs(values) >= 2.0 ** (np.finfo(values.dtype).nmant + 1)):
        raise JetError(f"{source}: column {column} holds event numbers as {values.dtype}, too large to be told apart")
    with np.errstate(invalid="ignore"):
        whole = values.astype(np.int64) if values.dtype.kind in "iuf" else None
    if whole is None or not np.array_equal(whole.astype(values.dtype), values):
        raise JetError(f"{source}: column {column} must hold whole event numbers (int64), found {values.dtype}")
    return whole


def numeric(values: Any, source: str, column: str) -> np.ndarray:
    """A column of floats or integers, masked where it has no values; JetError where it is text or objects."""
    if isinstance(values, ak.Array):
        kind: Any = ak.type(values).content
        flat = isinstance(getattr(kind, "content", kind), ak.types.NumpyType) and values.ndim == 1
        values = ak.to_numpy(values) if flat else np.array(str(kind))
    values = np.asanyarray(values)
    if values.dtype.kind not in "iuf":
        raise JetError(f"{source}: column {column} is not numeric: {values if values.ndim == 0 else values.dtype}")
    return values


def filled(values: np.ndarray) -> np.ndarray:
    """Values as float64, NaN where they are masked."""
    with np.errstate(invalid="ignore"):  # of signalling NaNs
        return np.ma.filled(np.ma.asarray(values, np.float64), np.nan)


def _flattened(lists: Array) -> tuple[Array, np.ndarray]:
    """The values of lists behind each other, and the length of each list, 0 where it is null."""
    if isinstance(lists, np.ndarray):
        return lists.ravel(), np.full(len(lists), lists.shape[1], np.int64)
    counts = np.asarray(ak.fill_none(ak.num(lists), 0), np.int64)
    return ak.flatten(lists), counts


def _joined(columns: Sequence[np.ndarray]) -> np.ndarray:
    """Columns behind each other, with what is masked in them."""
    masked = any(isinstance(column, np.ma.MaskedArray) for column in columns)
    return np.ma.concatenate(columns) if masked else np.concatenate(columns)


def check_lengths(lengths: Mapping[str, int], source: str) -> None:
    """Raise JetError where lengths, by name, differ."""
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise JetError(f"{source}: columns of different lengths: {shown}")


def same_counts(counts: Mapping[str, np.ndarray], source: str, start: int, entries: int) -> np.ndarray:
    """Jets per event, which all columns must agree on."""
    if not counts:
        return np.zeros(entries, np.int64)
    (first, expected), *others = counts.items()
    for name, found in others:
        if not np.array_equal(found, expected):
            event = int(np.flatnonzero(found != expected)[0])
            raise JetError(
                f"{source}: columns of different lengths: entry {event + start} has "
                f"{expected[event]} values of {first} and {found[event]} of {name}"
            )
    return expected
