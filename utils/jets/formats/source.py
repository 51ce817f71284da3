"""What an opened file of jets is, whatever its format: a `Source`, whose blocks hold the jets of successive events."""

import contextlib
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, BinaryIO

import fsspec
import numpy as np

from utils.files import Json
from utils.jets.events import event_ids, listed_ids
from utils.jets.formats.assembly import Array, Block, insert_empty, list_blocks, row_blocks, without_padding
from utils.jets.formats.layouts import JetColumns
from utils.jets.table import JetError
from utils.jets.units import BEAM_ENERGY, Units

ROWS = 2**17
"""Rows, or lines, of a file that are in memory at once."""

Pieces = Callable[[Sequence[str]], Iterator[Mapping[str, Array]]]
"""Reads columns by name, the rows of a file in pieces one after the other."""


@dataclass(frozen=True)
class Source:
    """An opened file: the names and the `pieces` of its columns, from which `read` makes blocks of events.

    A row holds an event with lists of jets (`jagged`), or one jet. `counter` is the column that says how many places of
    a list of fixed length are jets, `padding` are the values (by role, in file units) of those that are none.
    `empty` are the ids of events without jets, which stand where they belong if events are `ascending`; with
    `empty_rows`, a row with an event and no other value is one of them.
    `unit` is what the file or its format says of all energies, None where it says nothing, and `unit_from` where;
    `units` and the largest momentum `beam_energy` (GeV) were decided for the sample. `total` is the number of rows,
    None where unknown. `notices` are said when it was read, `hints` where it is refused. `split` makes the `pieces` of
    a range of rows, where the format can.
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
        with reading(self.name, self.format):
            blocks = self._blocks(columns)
        while True:
            with reading(self.name, self.format):
                block = next(blocks, None)
            if block is None:
                return
            yield block

    def _blocks(self, wanted: Mapping[str, str]) -> Iterator[Block]:
        columns, counter = self.columns, self.counter if self.jagged and wanted else None
        names = [name for column in wanted.values() for name in columns.in_file(column)]
        names += [*columns.events.values(), *([counter] if counter else [])]
        pieces = self.pieces(list(dict.fromkeys(names)))
        if self.jagged:
            blocks = list_blocks(pieces, columns, wanted, counter, self.name)
        else:
            blocks = row_blocks(pieces, columns, wanted, self.empty_rows, self.name)
        blocks = (without_padding(block, self.padding, self.jagged) for block in blocks)
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


def is_jagged(dimensions: Mapping[str, int], columns: JetColumns, source: str) -> bool:
    """Whether rows hold lists of jets, by the dimensions of the columns that are needed; JetError for a mixture."""
    found = set(dimensions.values())
    if found == {1} or (found == {2} and not columns.slots):
        return bool(columns.slots) or found == {2}
    raise JetError(f"{source}: expected numbers or lists of numbers, found arrays of dimension {dict(dimensions)}")
