"""What an opened file of jets is, whatever its format: a `Source`, whose blocks hold the jets of successive events."""

import contextlib
import io
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, BinaryIO, TypeAlias

import awkward as ak
import fsspec
import numpy as np

from utils.files import Json
from utils.jets.events import event_ids, listed_ids, merge_empty, run_lengths
from utils.jets.formats.layouts import JetColumns
from utils.jets.table import JetError
from utils.jets.units import BEAM_ENERGY, Units

ROWS = 2**17
"""Rows, or lines, of a file that are in memory at once."""

Array: TypeAlias = np.ndarray | ak.Array
"""A column, of numbers or of lists of numbers: of NumPy, where it may be masked or have two dimensions, or awkward."""

Pieces = Callable[[Sequence[str]], Iterator[Mapping[str, Array]]]
"""Reads columns by name, the rows of a file in pieces one after the other."""

Row = tuple[dict[str, np.ndarray], np.ndarray | None, int]
"""Role -> values of successive rows, the ids of their events, and how many rows these are."""


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


@dataclass(frozen=True)
class Source:
    """An opened file: the names and the `pieces` of its columns, from which `read` makes blocks of events.

    A row holds an event with lists of jets (`jagged`), or one jet. `counter` is the column that says how many places of
    a list of fixed length are jets, `padding` are the values (by role, in file units) of those that are none.
    `empty` are the ids of events without jets, which stand where they belong if events are `ascending`; with
    `empty_rows`, a row with an event and no other value is one of them.
    `unit` is what the file or its format says of all energies, None where it says nothing, and `unit_from` where;
    `units` and the largest momentum `beam_energy` (GeV) were decided for the sample. `total` is the number of rows,
    None where unknown. `notices` are said when it was read, `hints` where it is refused. `state` is what the file was
    when it was opened. `split` makes the `pieces` of a range of rows, where the format can.
    """

    name: str
    format: str
    columns: JetColumns
    pieces: Pieces
    jagged: bool
    counter: str | None = None
    padding: Mapping[str, float] = field(default_factory=dict)
    empty: Sequence[Any] | np.ndarray = ()
    ascending: bool = True
    empty_rows: bool = False
    unit: str | None = None
    unit_from: str = "the unit of its format"
    units: Units | None = None
    beam_energy: float = BEAM_ENERGY
    tree: str | None = None
    note: Json | None = None
    total: int | None = None
    notices: list[str] = field(default_factory=list)
    hints: list[str] = field(default_factory=list)
    state: tuple[int, ...] | None = None
    split: Callable[[int, int], Pieces] | None = None

    def part(self, first: int, last: int) -> "Source":
        """The entries from `first` up to `last`; JetError where the file cannot be read in parts."""
        if self.split is None:
            raise JetError(f"{self.name}: only a ROOT file with one entry an event is read in parts, not {self.format}")
        return replace(self, pieces=self.split(first, last), note=None, total=last - first)

    @property
    def description(self) -> str:
        """What is read of the file, in a line: tree, collection, columns, unit and why, event columns."""
        where = [f"{kind} {name}, " for kind, name in (("tree", self.tree), ("collection", self.columns.name)) if name]
        unit = f"{self.units} ({self.units.why})" if self.units else "not decided"
        columns = ", ".join(self.columns.needed.values())
        events = ", ".join(self.columns.events.values()) or "counted"
        return f"{self.format}, {''.join(where)}columns {columns}, unit {unit}, event numbers: {events}"

    def read(self, columns: Mapping[str, str]) -> Iterator[Block]:
        """Blocks of the named columns, role -> name; without any, of event ids alone. Whatever a library raises on a
        damaged file is turned into a JetError that names the file."""
        with self._unchanged(), reading(self.name, self.format):
            blocks = self._blocks(columns)
        while True:
            with self._unchanged(), reading(self.name, self.format):
                block = next(blocks, None)
            if block is None:
                return
            yield block

    @contextlib.contextmanager
    def _unchanged(self) -> Iterator[None]:
        """JetError, before any other, where the file is another than it was when it was opened."""
        try:
            yield
        finally:
            if self.state is not None and state_of(self.name) != self.state:
                raise JetError(f"{self.name}: changed while it was read; read it again when nothing writes to it")

    def _blocks(self, wanted: Mapping[str, str]) -> Iterator[Block]:
        names = [name for column in wanted.values() for name in self.columns.in_file(column)]
        names += [*self.columns.events.values(), *([self.counter] if self.counter and self.jagged and wanted else [])]
        pieces = self.pieces(list(dict.fromkeys(names)))
        if self.jagged:
            blocks = self._list_blocks(wanted, pieces)
        else:
            blocks = row_blocks(map(partial(self._row, wanted), pieces), self.empty_rows)
        blocks = map(self._unpadded, blocks)
        if not len(self.empty) or not self.columns.events:
            return blocks
        like = event_ids({role: np.empty(0) for role in self.columns.events})
        first = self.empty[0].item() if isinstance(self.empty, np.ndarray) else self.empty[0]
        if np.size(first) != len(self.columns.events):
            raise JetError(
                f"{self.name}: its events without jets are not named by {' and '.join(self.columns.events)} alone, as "
                "those with jets then are; name all columns of events, or none"
            )
        return insert_empty(blocks, listed_ids(self.empty, like), self.ascending)

    def _list_blocks(self, wanted: Mapping[str, str], pieces: Iterator[Mapping[str, Array]]) -> Iterator[Block]:
        start = 0
        for piece in pieces:
            block = self._lists(wanted, piece, start)
            start += block.done
            yield block

    def _row(self, wanted: Mapping[str, str], piece: Mapping[str, Array]) -> Row:
        values = {role: numeric(piece[name], self.name, name) for role, name in wanted.items()}
        return values, self._ids(piece), self._length(piece)

    def _length(self, piece: Mapping[str, Array]) -> int:
        lengths = {name: len(column) for name, column in piece.items()}
        check_lengths(lengths, self.name)
        return next(iter(lengths.values()))

    def _lists(self, wanted: Mapping[str, str], piece: Mapping[str, Array], start: int) -> Block:
        """A block of events from a piece of rows, the first of them number `start`."""
        values, counts, fixed, size = {}, {}, False, self._length(piece)
        for role, name in wanted.items():
            parts = [numeric(piece[part], self.name, part) for part in self.columns.in_file(name) if "{i}" in name]
            column = np.ma.stack(parts, axis=1) if parts else piece[name]
            fixed = isinstance(column, np.ndarray) or column.layout.purelist_isregular
            flat, counts[name] = _flattened(column)
            values[role] = numeric(flat, self.name, name)
        block = Block(values, same_counts(counts, self.name, start, size), self._ids(piece), size)
        if self.counter and fixed and size:
            places = np.arange(int(block.counts.sum())) % max(1, int(block.counts[0]))
            block = block.without(places >= np.repeat(np.asarray(piece[self.counter]), block.counts))
        return block

    def _unpadded(self, block: Block) -> Block:
        """Without the places that are padding, as was said, or else as it shows in lists."""
        if not block.values:
            return block
        if not self.padding:
            return without_padding(block) if self.jagged else block
        with np.errstate(invalid="ignore"):
            same = [
                np.isnan(wide) if np.isnan(value) else np.isclose(wide, value, rtol=1e-6, atol=0)
                for role, value in self.padding.items()
                for wide in [filled(block.values[role])]
            ]
        return block.without(np.all(same, axis=0))

    def _ids(self, piece: Mapping[str, Array]) -> np.ndarray | None:
        """The ids of the events of a piece, or of the jets, of which each row has one; None where there are none."""
        columns = {}
        for role, name in self.columns.events.items():
            column = piece[name]
            if isinstance(column, ak.Array) and column.ndim == 2 and ak.all(ak.num(column) == 1):
                column = ak.flatten(column)
            columns[role] = event_numbers(column, self.name, name)
        return event_ids(columns) if columns else None


@contextlib.contextmanager
def reading(name: str, kind: str) -> Iterator[None]:
    """Turn whatever a library raises on a damaged file into a JetError that names the file."""
    try:
        yield
    except (JetError, PermissionError):
        raise
    except FileNotFoundError as error:
        raise JetError(f"{name}: no such file") from error
    except Exception as error:
        first_line = (str(error).strip().splitlines() or ["no details"])[0][:200]
        raise JetError(
            f"{name}: cannot be read as {kind}: truncated or damaged? ({type(error).__name__}: {first_line})"
        ) from error


def is_remote(name: str) -> bool:
    """Whether a path is an address that fsspec opens."""
    return "://" in name


def open_binary(name: str) -> BinaryIO:
    """Open a local or remote file for reading."""
    return fsspec.open(name, "rb").open() if is_remote(name) else open(name, "rb")


def file_size(name: str) -> int:
    """Bytes of a local or remote file."""
    with open_binary(name) as file:
        return file.seek(0, io.SEEK_END)


def state_of(name: str) -> tuple[int, ...] | None:
    """What tells a local file from what it is after a change: device, inode, size and time; None for a remote one, and
    nothing of one that is gone."""
    if is_remote(name):
        return None
    with contextlib.suppress(OSError):
        stat = os.stat(name)
        return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns
    return ()


def is_jagged(dimensions: Mapping[str, int], columns: JetColumns, source: str) -> bool:
    """Whether rows hold lists of jets, by the dimensions of the columns that are needed; JetError for a mixture."""
    found = set(dimensions.values())
    if found == {1} or (found == {2} and not columns.slots):
        return bool(columns.slots) or found == {2}
    raise JetError(f"{source}: expected numbers or lists of numbers, found arrays of dimension {dict(dimensions)}")


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
    return np.ma.filled(np.ma.asarray(values, np.float64), np.nan)


def _flattened(lists: Array) -> tuple[Array, np.ndarray]:
    """The values of lists behind each other, and the length of each list, 0 where it is null."""
    if isinstance(lists, np.ndarray):
        return lists.ravel(), np.full(len(lists), lists.shape[1], np.int64)
    counts = np.asarray(ak.fill_none(ak.num(lists), 0), np.int64)
    return ak.flatten(lists), counts


def row_blocks(rows: Iterator[Row], empty_rows: bool = False) -> Iterator[Block]:
    """Blocks of whole events from rows with event ids; the last event is held back until the next one begins.

    With `empty_rows`, the row of an event with its id and nothing else (masked values) stands for no jets.
    """
    kept: tuple[dict[str, np.ndarray], np.ndarray] | None = None
    for values, event, done in rows:
        if event is None:
            yield Block(values, np.ones(done, np.int64), None, done)
            continue
        if kept is not None:
            values = {role: joined([kept[0][role], column]) for role, column in values.items()}
            event = np.concatenate([kept[1], event])
        if len(event) == 0:
            continue
        changes = np.flatnonzero(event[1:] != event[:-1])
        last = int(changes[-1]) + 1 if len(changes) else 0
        kept = {role: column[last:] for role, column in values.items()}, event[last:]
        if last:
            yield _events({role: column[:last] for role, column in values.items()}, event[:last], empty_rows, done)
    if kept is not None:
        yield _events(*kept, empty_rows, 0)


def _events(values: dict[str, np.ndarray], event: np.ndarray, empty_rows: bool, done: int) -> Block:
    numbers, counts = run_lengths(event)
    bare = 0
    if empty_rows and values:
        empty = np.all([np.ma.getmaskarray(column) for column in values.values()], axis=0)
        empty &= np.repeat(counts, counts) == 1
        if empty.any():
            counts = counts - np.add.reduceat(empty.astype(np.int64), np.cumsum(counts) - counts)
            values = {role: column[~empty] for role, column in values.items()}
            bare = int(empty.sum())
    return Block(values, counts, numbers, done, bare=bare)


def joined(columns: Sequence[np.ndarray]) -> np.ndarray:
    """Columns behind each other, with what is masked in them."""
    masked = any(isinstance(column, np.ma.MaskedArray) for column in columns)
    return np.ma.concatenate(columns) if masked else np.concatenate(columns)


def without_padding(block: Block) -> Block:
    """The jets of events that all have as many, without those at their ends that are nothing but one filling value.

    Such arrays of a fixed length are filled with 0, -999, NaN or masked values: one for all columns, not above 0.
    """
    if len(block.counts) < 2 or block.counts[0] == 0 or not np.all(block.counts == block.counts[0]):
        return block
    first, *others = map(filled, block.values.values())
    padding = ~(first > 0)
    for column in others:
        padding &= (column == first) | (np.isnan(column) & np.isnan(first))
    if not padding.any():
        return block
    backwards = padding.reshape(len(block.counts), -1)[:, ::-1]
    return block.without(np.logical_and.accumulate(backwards, axis=1)[:, ::-1].ravel())


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
