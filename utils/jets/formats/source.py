"""What an opened file of jets is, whatever its format: a `Source`, whose blocks hold the jets of successive events."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

import fsspec
import numpy as np
from numpy.typing import ArrayLike

from utils.files import Json
from utils.jets.formats.layouts import JetColumns
from utils.jets.table import JetError, merge_empty, run_lengths
from utils.jets.units import BEAM_ENERGY, Units

ROWS = 2**17
"""Rows, or lines, of a file that are in memory at once."""


@dataclass(frozen=True)
class Block:
    """Jets of successive events: role -> values in file units, jets per event, event numbers, share of the file.

    Left out are `padding`, the ends of arrays of fixed length, and `bare` rows, which hold an event number alone.
    """

    values: dict[str, np.ndarray]
    counts: np.ndarray
    event: np.ndarray | None
    done: int
    padding: int = 0
    bare: int = 0


@dataclass(frozen=True)
class Source:
    """An opened file. `read(columns)` gives the named columns, role -> name; without any, event numbers alone.

    `unit` is what the file or its format says of all energies, None where it says nothing, and `unit_from` where;
    `units` and the largest momentum `beam_energy` (GeV) were decided for the sample. `total` is what the `done` of all
    blocks add up to, None where unknown; `jagged` files hold one entry an event, empty ones included. `split` makes the
    `blocks` of a range of entries, where the format can.
    """

    name: str
    format: str
    columns: JetColumns
    blocks: Callable[[Mapping[str, str]], Iterator[Block]]
    event_column: str | None
    unit: str | None = None
    unit_from: str = "the unit of its format"
    units: Units | None = None
    beam_energy: float = BEAM_ENERGY
    tree: str | None = None
    note: Json | None = None
    total: int | None = None
    jagged: bool = False
    notices: list[str] = field(default_factory=list)
    split: Callable[[int, int], Callable[[Mapping[str, str]], Iterator[Block]]] | None = None

    def part(self, first: int, last: int) -> "Source":
        """The entries from `first` up to `last`; JetError where the file cannot be read in parts."""
        if self.split is None:
            raise JetError(f"{self.name}: only a ROOT file with one entry an event is read in parts, not {self.format}")
        return replace(self, blocks=self.split(first, last), note=None, total=last - first)

    @property
    def description(self) -> str:
        """What is read of the file, in a line: tree, collection, columns, unit and why, event numbers."""
        where = [f"{kind} {name}, " for kind, name in (("tree", self.tree), ("collection", self.columns.name)) if name]
        unit = f"{self.units} ({self.units.why})" if self.units else "not decided"
        columns = ", ".join(self.columns.needed.values())
        numbers = self.event_column or "counted"
        return f"{self.format}, {''.join(where)}columns {columns}, unit {unit}, event numbers: {numbers}"

    def read(self, columns: Mapping[str, str]) -> Iterator[Block]:
        """The blocks, with whatever a library raises on a damaged file turned into a JetError that names the file."""
        with reading(self.name, self.format):
            blocks = self.blocks(columns)
        while True:
            with reading(self.name, self.format):
                block = next(blocks, None)
                if block is None:
                    return
                lengths = {role: len(values) for role, values in block.values.items()}
                check_lengths(lengths | {"jets of the events": int(block.counts.sum())} if lengths else {}, self.name)
                if block.event is not None:
                    check_lengths({"events": len(block.counts), "event numbers": len(block.event)}, self.name)
            yield without_padding(block) if self.jagged and block.values else block


Options = tuple[str | None, str | None]
"""The tree and the collection asked for."""


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


def open_binary(name: str, compression: str | None = None) -> BinaryIO:
    """Open a local or remote file for reading."""
    if is_remote(name):
        return fsspec.open(name, "rb", compression=compression).open()
    return (
        fsspec.open(Path(name).resolve().as_uri(), "rb", compression=compression).open()
        if compression
        else open(name, "rb")
    )


def event_numbers(values: ArrayLike, source: str, column: str) -> np.ndarray:
    """Event numbers as int64; JetError where they are not whole numbers of that size."""
    values = np.asarray(values)
    beyond = values[values >= 2**63] if values.dtype.kind in "uf" else values[:0]
    if len(beyond):
        raise JetError(f"{source}: column {column} holds the event number {beyond[0]}, and int64 ends at 2^63 - 1")
    with np.errstate(invalid="ignore"):
        whole = values.astype(np.int64) if values.dtype.kind in "iuf" else None
    if whole is None or not np.array_equal(whole.astype(values.dtype), values):
        raise JetError(f"{source}: column {column} must hold whole event numbers (int64), found {values.dtype}")
    return whole


def numeric(values: ArrayLike, source: str, column: str) -> np.ndarray:
    """A column of floats or integers, masked where it has no values; JetError where it is text or objects."""
    values = np.asanyarray(values)
    if values.dtype.kind not in "iuf":
        raise JetError(f"{source}: column {column} is not numeric: {values.dtype}")
    return values


def row_blocks(
    rows: Iterator[tuple[dict[str, np.ndarray], np.ndarray | None]], empty_rows: bool = False
) -> Iterator[Block]:
    """Blocks of whole events from rows with event numbers; the last event is held back until the next one begins.

    With `empty_rows`, the row of an event with its number and nothing else (masked values) stands for no jets.
    """
    kept: tuple[dict[str, np.ndarray], np.ndarray] | None = None
    for values, event in rows:
        done = len(next(iter(values.values()))) if values else len(event if event is not None else ())
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
    first, *others = block.values.values()
    if len(block.counts) < 2 or len(first) == 0 or not np.all(block.counts == block.counts[0]):
        return block
    wide = [np.ma.filled(np.ma.asarray(column, np.float64), np.nan) for column in (first, *others)]
    filled = ~(wide[0] > 0)
    for column in wide[1:]:
        filled &= (column == wide[0]) | (np.isnan(column) & np.isnan(wide[0]))
    if not filled.any():
        return block
    at_end = np.logical_and.accumulate(filled.reshape(len(block.counts), -1)[:, ::-1], axis=1)[:, ::-1]
    values = {role: column[~at_end.ravel()] for role, column in block.values.items()}
    return replace(
        block, values=values, counts=np.count_nonzero(~at_end, axis=1), padding=block.padding + int(at_end.sum())
    )


def insert_empty(blocks: Iterator[Block], empty: np.ndarray, ascending: bool) -> Iterator[Block]:
    """Put events without jets where their numbers belong, or behind all others where numbers do not ascend."""
    empty = np.sort(empty) if ascending else empty
    for block in blocks:
        if ascending and block.event is not None and len(block.event):
            upto = int(np.searchsorted(empty, block.event[-1]))
            numbers, counts = merge_empty(block.event, block.counts, empty[:upto])
            block, empty = Block(block.values, counts, numbers, block.done), empty[upto:]
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
