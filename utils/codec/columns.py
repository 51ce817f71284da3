"""The trees of a container: what its root says of them, and one chunk of entries to a member and back.

The header of a chunk (see `packed`) has the number of its tree, that of its entries, and a list for each array that the
columns consist of, in order (see `StoredTree.arrays`): the way in which it is stored, the bytes of its stream, the
parameters of the way (see `pieces`). The way "same" has the number of an earlier array with the same values instead,
the way "sum" those of two (see `relations`).
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
from awkward.contents import Content
from awkward.forms import from_dict

from utils.codec.conditional import Coded, Collection, Conditional, Decoding, by_place
from utils.codec.fitting import Networks
from utils.codec.grids import Grid, grid_of
from utils.codec.network_pieces import NETWORK, PlainPieces, read_coded, read_integers, read_values
from utils.codec.packed import Packed, checked, pack, read_from, require_checked
from utils.codec.pieces import NAMES, Way, decode_piece, encode_piece
from utils.codec.relations import SUM, by_others, decode_sum, may_relate, read_relation
from utils.files import Json
from utils.limits import require_form
from utils.trees import Bound, Chunk, Column, Plan, assemble, canonical_form, labelled, pieces, rounded, with_floats

MOST_BYTES = 2**28
"""Most bytes of the values of a chunk, decoded."""

MOST_ENTRIES = 2**22

_FORM = {"name": str, "title": str, "kind": str, "columns": [list], "bounds": dict}

_BOUND = {"kind": str, "relative": float, "absolute": float, "bits": int, "text": str}

Ways = dict[tuple[str, int], Way]
"""How the arrays of columns are stored, by the name of the column and the number of the array in it."""


@dataclass(frozen=True)
class StoredTree:
    """A tree as a container has it: name, title, "TTree" or "RNTuple", columns, and what each may have lost."""

    name: str
    title: str
    kind: str
    columns: tuple[Column, ...]
    bounds: Mapping[str, Bound]

    @staticmethod
    def of(plan: Plan) -> "StoredTree":
        """What is stored of a tree that is carried by a plan."""
        return StoredTree(plan.tree.name, plan.tree.title, plan.tree.kind, plan.columns, plan.bounds)

    @cached_property
    def grids(self) -> dict[str, Grid]:
        """The grids of the columns whose errors are bounded."""
        bounded = {name: bound for name, bound in self.bounds.items() if bound.kind == "bound"}
        return {name: grid_of(bound.relative, bound.absolute) for name, bound in bounded.items()}

    @cached_property
    def arrays(self) -> list[tuple[Column, str, np.dtype]]:
        """The arrays of which chunks consist, in order: column, label, and type as it is stored."""
        return [
            (column, label, {"offsets": np.dtype(np.int64), "index": np.dtype(bool)}.get(label, values.dtype))
            for column in self.columns
            for label, values in labelled(column.form.length_zero_array(highlevel=False))
        ]

    @cached_property
    def first(self) -> dict[str, int]:
        """The number of the first array of each column."""
        found: dict[str, int] = {}
        for number, (column, _, _) in enumerate(self.arrays):
            found.setdefault(column.name, number)
        return found

    def to_dict(self) -> Json:
        """JSON-safe description."""
        bounds = {name: bound for name, bound in self.bounds.items() if not bound.lossless}
        return {
            "name": self.name,
            "title": self.title,
            "kind": self.kind,
            "columns": [
                [column.name, column.typename, column.title, column.counter, column.form.to_dict(verbose=False)]
                for column in self.columns
            ],
            "bounds": {name: {key: getattr(bound, key) for key in _BOUND} for name, bound in bounds.items()},
        }

    @staticmethod
    def from_dict(description: Json) -> "StoredTree":
        """Rebuild from `to_dict`; ValueError where it describes none."""
        require_form(description, _FORM, "a tree")
        columns = {column.name: column for column in map(_column, description["columns"])}
        bounds = dict.fromkeys(columns, Bound("stored", text="stored"))
        for name, bound in description["bounds"].items():
            require_form(bound, _BOUND, f"the bound of {name}")
            bounds[name] = Bound(**{key: bound[key] for key in _BOUND})
        if len(columns) < len(description["columns"]) or not columns or len(bounds) > len(columns):
            raise ValueError(f"tree {description['name']}: columns without names of their own, or bounds without any")
        if lost := {column.counter for column in columns.values() if column.counter} - set(columns):
            raise ValueError(f"tree {description['name']}: no column {lost.pop()}, which is to count others")
        if description["kind"] not in ("TTree", "RNTuple"):
            raise ValueError(f"tree {description['name']}: is of kind {description['kind']!r}")
        name, title, kind = (description[key] for key in ("name", "title", "kind"))
        tree = StoredTree(name, title, kind, tuple(columns.values()), bounds)
        if len(tree.first) < len(columns):
            raise ValueError(f"tree {name}: a column without values")
        return tree


def _column(row: list[object]) -> Column:
    if len(row) != 5:
        raise ValueError("a column is not described by five things")
    name, typename, title, counter, form = row
    for text in (name, typename, title):
        require_form(text, str, "a column")
    require_form(counter, (str, None), "a counter")
    described = from_dict(form)
    plain = canonical_form(described)
    if plain != described:
        raise ValueError(f"column {name}: its form is not that of a column")
    if strange := {values.dtype.name for values in pieces(plain.length_zero_array(highlevel=False))} - NAMES:
        raise ValueError(f"column {name}: holds {strange.pop()}")
    return Column(str(name), str(name), str(typename), str(title), plain, counter)  # type: ignore[arg-type]


def encode_entries(
    tree: StoredTree,
    number: int,
    chunk: Chunk,
    entries: int,
    ways: Ways,
    keep_ways: bool,
    networks: Networks | None = None,
) -> tuple[bytes, Chunk]:
    """The member of some entries of a tree, the `number`-th of its file, and what it decodes to.

    `ways` is how arrays are stored, where that is known; with `keep_ways`, it learns what was chosen. `networks` code
    columns where that takes fewer bytes; they are fitted to the first entries that they see.
    """
    described: list[list[Any]] = []
    streams: list[bytes] = []
    sizes: list[int] = []
    seen: dict[tuple[object, ...], int] = {}
    integers: dict[int, dict[int, np.ndarray]] = {}
    for place, (column, values) in enumerate(_stored(tree, chunk)):
        key, bound = _key(tree, column, values), tree.bounds[column.name]
        sizes.append(len(values))
        if (before := seen.setdefault(key, place)) < place and len(values):
            described.append(["same", 0, before])
            streams.append(b"")
            continue
        text = tree.arrays[place][1] == "text"
        grid = tree.grids.get(column.name) if values.dtype.kind == "f" else None
        way = (column.name, place - tree.first[column.name])
        piece = encode_piece(values, bound, grid, text, ways.get(way))
        if keep_ways and piece.way != "constant":
            ways[way] = (piece.way, piece.settings)
        if piece.way == "levels":  # all other ways are exact
            values = decode_piece(piece.way, list(piece.parameters), piece.content, len(values), values.dtype, grid)
        if piece.way == "integers" and tree.arrays[place][1] == "values" and may_relate(values.dtype):
            piece = by_others(piece, place, values, integers.setdefault(len(values), {}))
        streams.append(checked(piece.content, values))
        described.append([piece.way, len(streams[-1]), *piece.parameters])
    collections: Sequence[Collection] = ()
    if networks is not None:
        collections = networks.code(PlainPieces(described, streams, sizes, tree.arrays), entries)
    member = pack({"tree": number, "entries": entries, "pieces": described}, streams)
    return member, Entries(tree, Packed(read_from(member)), collections).chunk()


def entry_sizes(plan: Plan, chunk: Chunk, entries: int) -> dict[str, int]:
    """Bytes of some entries of a tree in a container: of each column, and of what describes them under ""."""
    tree = StoredTree.of(plan)
    member, _ = encode_entries(tree, 0, chunk, entries, {}, False)
    sizes = Entries(tree, Packed(read_from(member))).sizes()
    return sizes | {"": len(member) - sum(sizes.values())}


def _stored(tree: StoredTree, chunk: Chunk) -> Iterator[tuple[Column, np.ndarray]]:
    """The arrays of a chunk as they are stored: counts for offsets, what is there for an index, rounded mantissas."""
    for column in tree.columns:
        bound, layout = tree.bounds[column.name], chunk[column.name]
        if bound.kind == "bits":
            layout = with_floats(layout, partial(rounded, bound=bound))
        for label, values in labelled(layout):
            yield column, np.diff(values) if label == "offsets" else values >= 0 if label == "index" else values


def _key(tree: StoredTree, column: Column, values: np.ndarray) -> tuple[object, ...]:
    """What two arrays have in common of which one need not be stored: what counts and what is counted, or all."""
    counts = values.dtype.kind in "iu" and (values.dtype == np.int64 or column.depth == 0)
    bound = tree.bounds[column.name] if values.dtype.kind == "f" and not tree.bounds[column.name].lossless else None
    common = values.astype(np.int64) if counts else values
    digest = hashlib.blake2b(np.ascontiguousarray(common).data, digest_size=16).digest()
    return "counts" if counts else values.dtype.str, bound, digest


class Entries:
    """The entries of a tree that a member holds; ValueError where it holds none, or is damaged.

    `collections` are those of the tree's networks, which code some of their columns.
    """

    def __init__(self, tree: StoredTree, member: Packed, collections: Sequence[Collection] = ()):
        require_form(member.header, {"tree": int, "entries": int, "pieces": [list]}, "its header")
        self.tree, self._member = tree, member
        self.entries: int = member.header["entries"]
        self._pieces: list[list] = member.header["pieces"]
        if not 0 <= self.entries <= MOST_ENTRIES or len(self._pieces) != len(tree.arrays):
            raise ValueError(f"{self.entries} entries in {len(self._pieces)} arrays; a chunk holds {len(tree.arrays)}")
        for piece in self._pieces:
            require_form(piece[0] if len(piece) > 1 else None, str, "a piece")
            require_form(piece[1], int, "the bytes of a piece")
        self._starts = np.cumsum([0, *(max(0, piece[1]) for piece in self._pieces)]).tolist()
        coded = {number for number, piece in enumerate(self._pieces) if piece[0] == NETWORK}
        self._collections = by_place(collections, coded)
        self._decodings: dict[int, Decoding] = {}

    def sizes(self) -> dict[str, int]:
        """Bytes of the streams of each column."""
        found = dict.fromkeys(self.tree.first, 0)
        for (column, _, _), piece in zip(self.tree.arrays, self._pieces, strict=True):
            found[column.name] += piece[1]
        return found

    def chunk(self) -> Chunk:
        """All columns."""
        found, left = {}, MOST_BYTES
        for column in self.tree.columns:
            found[column.name] = self.column(column.name, left)
            left -= sum(values.nbytes for values in pieces(found[column.name]))
        return found

    def column(self, name: str, most: int = MOST_BYTES) -> Content:
        """One column, of at most so many bytes."""
        first, left = self.tree.first[name], most
        column = self.tree.arrays[first][0]
        numbers = iter(range(first, len(self._pieces)))

        def take(label: str, size: int, dtype: np.dtype) -> np.ndarray:
            nonlocal left
            left -= size * (8 if label in ("offsets", "index") else dtype.itemsize)
            if left < 0:
                raise ValueError(f"{name}: more than {MOST_BYTES} bytes of values in a chunk")
            values = self._values(next(numbers), size)
            if label == "offsets" and not 0 <= values.min(initial=0) <= values.max(initial=0) <= MOST_BYTES:
                raise ValueError(f"{name}: a list of {values.min()} or {values.max()} values")
            return values

        return assemble(column.form, self.entries, take)

    def _values(self, number: int, size: int) -> np.ndarray:
        column, _, dtype = self.tree.arrays[number]
        way, _, *parameters = self._pieces[number]
        source, kind = number, dtype
        if way == "same":
            require_form(parameters, [int], "a piece")
            source = parameters[0] if len(parameters) == 1 and 0 <= parameters[0] < number else number
            kind = self.tree.arrays[source][2]
            if self._pieces[source][0] == "same" or not (kind == dtype or {kind.kind, dtype.kind} <= set("iu")):
                raise ValueError(f"{column.name}: is the same as piece {source}, which it cannot be")
            way, _, *parameters = self._pieces[source]
        grid = self.tree.grids.get(self.tree.arrays[source][0].name) if kind.kind == "f" else None
        checksum, content = self._stream(source)
        if way == SUM:
            values = self._sum(source, parameters, content, size, kind)
        elif way == NETWORK:
            integers = self._decoding(source, size).integers(source)
            values = read_values(self._pieces[source], content, integers, kind, grid)
        else:
            values = decode_piece(way, parameters, content, size, kind, grid)
        require_checked(checksum, values)
        return values.astype(dtype, copy=False)

    def _sum(self, number: int, parameters: list[Any], content: bytes, size: int, dtype: np.dtype) -> np.ndarray:
        others = read_relation(parameters, number)[:2]
        for other in others:
            if self._pieces[other][0] in ("same", SUM) or not may_relate(self.tree.arrays[other][2]):
                raise ValueError(f"{self.tree.arrays[number][0].name}: a sum with piece {other}")
        return decode_sum(parameters, content, [self._values(other, size) for other in others], dtype)

    def _stream(self, number: int) -> tuple[bytes, bytes]:
        return self._member.stream(self._starts[number], self._pieces[number][1])

    def _decoding(self, number: int, size: int) -> Decoding:
        """What decodes an array of so many values that a network codes."""
        if number not in self._collections:
            raise ValueError(f"{self.tree.arrays[number][0].name}: is coded by a network that is not there")
        collection = self._collections[number]
        decoding = self._decodings.setdefault(
            collection.places[0], Decoding(collection, size, partial(self._alone, size), partial(self._coded, size))
        )
        if decoding.size != size:
            raise ValueError(f"{size} values beside {decoding.size} of the same collection")
        return decoding

    def _alone(self, size: int, column: Conditional) -> np.ndarray:
        content, dtype = self._stream(column.place)[1], self.tree.arrays[column.place][2]
        return read_integers(self._pieces[column.place], content, size, dtype, column.scale)

    def _coded(self, size: int, column: Conditional) -> Coded:
        content, dtype = self._stream(column.place)[1], self.tree.arrays[column.place][2]
        return read_coded(self._pieces[column.place], content, size, dtype, column.scale)
