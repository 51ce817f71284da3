"""Pieces that networks code, and the integers of those that they do not.

    ["network", bytes, escapes, bytes of their stream, way, parameters of the way ...]

stands for what `way` would store with its integers in a stream of PCodec; behind the table of the way come the stream
of the escapes and the words of rANS, behind the states where the piece is the first of its collection.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Any

import numpy as np

from utils.codec.conditional import Coded, Collection, Conditional, Scale, encode_collection, scale_of
from utils.codec.grids import Grid
from utils.codec.packed import CHECKED
from utils.codec.pieces import split_piece, values_of
from utils.codec.streams import decode_stream
from utils.limits import require_form
from utils.trees import Column

NETWORK = "network"

_WITH_INTEGERS = ("integers", "stored", "levels")

Piece = Sequence[Any]
"""What a chunk says of an array: how it is stored, the bytes, and the parameters."""


@dataclass(frozen=True)
class PlainPieces:
    """The arrays of a chunk as PCodec stores them: pieces, streams behind their checksums, numbers of values.

    `arrays` says what they are: column, label, type.
    """

    pieces: list[list[Any]]
    streams: list[bytes]
    sizes: list[int]
    arrays: list[tuple[Column, str, np.dtype]]

    def size_of(self, places: Iterable[int]) -> int:
        """Bytes of the streams of some arrays."""
        return sum(len(self.streams[place]) for place in places)

    def copy(self) -> "PlainPieces":
        """The same, which changes no more when this does."""
        return replace(self, pieces=list(self.pieces), streams=list(self.streams))

    def scale(self, place: int) -> Scale | None:
        """What the integers of an array mean; None where it has none."""
        way, _, *parameters = self.pieces[place]
        return scale_of(way, parameters) if way in _WITH_INTEGERS else None

    def integers(self, place: int) -> np.ndarray:
        """The integers of an array that has some."""
        scale = self.scale(place)
        assert scale is not None
        content = self.streams[place][CHECKED:]
        return read_integers(self.pieces[place], content, self.sizes[place], self.arrays[place][2], scale)

    def agreeing(self, collection: Collection) -> list[Conditional]:
        """The columns up to the first whose integers mean something else here, or are of another number."""
        size = self.sizes[collection.columns[0].place]
        return list(
            takewhile(
                lambda column: (self.sizes[column.place], self.scale(column.place)) == (size, column.scale),
                collection.columns,
            )
        )

    def use(self, collection: Collection) -> None:
        """Have the networks of a collection code its columns that agree, where it saves bytes."""
        found = collection.only({column.place for column in self.agreeing(collection)})
        if found is None:
            return
        streams = self._coded(found)
        if sum(len(stream) for stream, _ in streams.values()) < self.size_of(streams):
            for place, (stream, piece) in streams.items():
                self.pieces[place], self.streams[place] = piece, stream

    def paying(self, collection: Collection) -> Collection | None:
        """The same with networks for those columns alone that agree, and that each take fewer bytes by them."""
        found = collection.only({column.place for column in self.agreeing(collection)})
        streams = {} if found is None else self._coded(found)
        return collection.only({place for place, (one, _) in streams.items() if len(one) < self.size_of([place])})

    def _coded(self, collection: Collection) -> dict[int, tuple[bytes, list[Any]]]:
        integers = {column.place: self.integers(column.place) for column in collection.columns}
        return {place: self._with_table(place, one) for place, one in encode_collection(collection, integers).items()}

    def _with_table(self, place: int, coded: Coded) -> tuple[bytes, list[Any]]:
        way, _, *parameters = self.pieces[place]
        content, dtype = self.streams[place], self.arrays[place][2]
        _, _, rest = split_piece(way, parameters, content[CHECKED:], self.sizes[place], dtype)
        stream = content[: len(content) - len(rest)] + coded.stream + coded.words
        return stream, [NETWORK, len(stream), coded.escapes, len(coded.stream), way, *parameters]


def read_integers(piece: Piece, content: bytes, size: int, dtype: np.dtype, scale: Scale) -> np.ndarray:
    """The integers of a piece that PCodec stores; ValueError where they do not mean what they should."""
    way, _, *parameters = piece
    width, _, stream = split_piece(way, parameters, content, size, dtype)
    _require(way, parameters, scale)
    return decode_stream(stream, size, width).astype(np.int64)


def read_coded(piece: Piece, content: bytes, size: int, dtype: np.dtype, scale: Scale) -> Coded:
    """What a network codes of a piece; ValueError where there is no such thing."""
    escapes, length, way, parameters = _of_network(piece)
    _, _, rest = split_piece(way, parameters, content, size, dtype)
    _require(way, parameters, scale)
    if not (0 <= escapes <= size and 0 <= length <= len(rest)):
        raise ValueError(f"{escapes} escapes in {length} bytes")
    return Coded(escapes, rest[:length], rest[length:])


def read_values(piece: Piece, content: bytes, integers: np.ndarray, dtype: np.dtype, grid: Grid | None) -> np.ndarray:
    """The values of a piece whose integers a network coded."""
    _, _, way, parameters = _of_network(piece)
    width, table, _ = split_piece(way, parameters, content, len(integers), dtype)
    limits = np.iinfo(width)
    if len(integers) and not limits.min <= integers.min() <= integers.max() <= limits.max:
        raise ValueError(f"an integer beyond {width}")
    return values_of(way, parameters, integers.astype(width), table, dtype, grid)


def _of_network(piece: Piece) -> tuple[int, int, str, list[Any]]:
    if len(piece) < 5 or piece[0] != NETWORK or not isinstance(piece[4], str):
        raise ValueError("a piece that no network codes")
    require_form(list(piece[2:4]), [int], "a piece")
    return piece[2], piece[3], piece[4], list(piece[5:])


def _require(way: str, parameters: Sequence[Any], scale: Scale) -> None:
    if scale_of(way, parameters) != scale:
        raise ValueError(f"integers of {scale_of(way, parameters)}, expected {scale}")
