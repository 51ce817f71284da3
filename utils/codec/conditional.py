"""The columns of a collection coded by networks: each from those before it, in a chunk of entries and back."""

import threading
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from utils.codec.bins import Bins
from utils.codec.rans import Decoder, Encoder, lanes_for
from utils.codec.streams import PLAIN, decode_stream, encode_stream
from utils.codec.symbols import get_integers, put_integers
from utils.networks import IntegerNetwork

Scale = tuple[str, int]
"""What integers mean: the way in which a piece is stored, and its shift, 0 where it has none."""


def scale_of(way: str, parameters: Sequence) -> Scale:
    """The scale of the integers of a piece."""
    return way, parameters[3] if way == "stored" else 0


@dataclass(frozen=True)
class Conditional:
    """A column of a collection: the number of its array in the tree, what its integers mean, and their intervals.

    `network` tells the frequencies of its symbols from the features of all columns before it; None where it is coded
    alone, and is here to be seen by others.
    """

    place: int
    scale: Scale
    bins: Bins
    network: IntegerNetwork | None


@dataclass(frozen=True)
class Collection:
    """Columns in the order in which they are decoded; ValueError where a network does not fit what comes before it."""

    columns: tuple[Conditional, ...]

    def __post_init__(self) -> None:
        inputs = 0
        for column in self.columns:
            if column.network is not None:
                shape = column.network.hidden.shape[1], column.network.symbols
                if shape != (inputs, len(column.bins)):
                    raise ValueError(f"a network of {shape} inputs and symbols for {inputs} and {len(column.bins)}")
            inputs += column.bins.inputs
        if not self.places:
            raise ValueError("a collection without a network")

    @cached_property
    def places(self) -> list[int]:
        """The arrays that are coded by networks, in order."""
        return [column.place for column in self.columns if column.network is not None]

    def only(self, places: Container[int]) -> "Collection | None":
        """The same with the networks of these arrays alone, up to the last of them; None where there is none."""
        columns = [column if column.place in places else replace(column, network=None) for column in self.columns]
        coded = [number for number, column in enumerate(columns) if column.network is not None]
        return Collection(tuple(columns[: coded[-1] + 1])) if coded else None


def by_place(collections: Iterable[Collection], coded: Container[int]) -> dict[int, Collection]:
    """What decodes each array that networks code in a chunk, where these arrays are `coded` by them."""
    found = filter(None, (collection.only(coded) for collection in collections))
    return {place: collection for collection in found for place in collection.places}


@dataclass(frozen=True)
class Coded:
    """An array as a network codes it: how many escapes, their stream, and the words, behind the states of the first."""

    escapes: int
    stream: bytes
    words: bytes


def encode_collection(collection: Collection, integers: Mapping[int, np.ndarray]) -> dict[int, Coded]:
    """The arrays that networks code, by number, from the integers of all columns of the collection."""
    size = len(integers[collection.columns[0].place])
    encoder, escaped, features = Encoder(lanes_for(size)), list[np.ndarray](), list[np.ndarray]()
    for column in collection.columns:
        values = integers[column.place].astype(np.int64)
        if column.network is not None:
            encoder.begin()
            escaped.append(put_integers(encoder, column.network, column.bins, stacked(features, size), values))
        features.append(column.bins.features(values))
    states, words = encoder.finish()
    words[0] = states + words[0]
    streams = [encode_stream(values, PLAIN) if len(values) else b"" for values in escaped]
    return {
        place: Coded(len(values), stream, word)
        for place, values, stream, word in zip(collection.places, escaped, streams, words, strict=True)
    }


class Decoding:
    """The integers of a collection in one chunk, decoded in order as far as they are asked for.

    `alone` gives the integers of an array that no network codes, `coded` those parts of one that a network codes.
    """

    def __init__(
        self,
        collection: Collection,
        size: int,
        alone: Callable[[Conditional], np.ndarray],
        coded: Callable[[Conditional], Coded],
    ):
        self.size = size
        self._columns, self._alone, self._coded = iter(collection.columns), alone, coded
        self._found: dict[int, np.ndarray] = {}
        self._features: list[np.ndarray] = []
        self._places = len(collection.places)
        self._decoder: Decoder | None = None
        self._lock = threading.Lock()

    def integers(self, place: int) -> np.ndarray:
        """Those of an array that a network codes, int64; ValueError where the streams do not hold them."""
        with self._lock:
            while place not in self._found:
                column = next(self._columns, None)
                if column is None:
                    raise ValueError("its network was damaged when it was read before")
                values = self._alone(column) if column.network is None else self._decode(column, column.network)
                self._features.append(column.bins.features(values).astype(np.int16))
                if column.network is not None:
                    self._found[column.place] = _small(values)
            if len(self._found) == self._places:
                self._features.clear()
            return self._found[place].astype(np.int64)

    def _decode(self, column: Conditional, network: IntegerNetwork) -> np.ndarray:
        coded = self._coded(column)
        words = coded.words
        if self._decoder is None:
            lanes = lanes_for(self.size)
            self._decoder, words = Decoder(words[: 4 * lanes], lanes), words[4 * lanes :]
        self._decoder.begin(words)
        values, escapes = get_integers(self._decoder, network, column.bins, stacked(self._features, self.size))
        self._decoder.end()
        if np.count_nonzero(escapes) != coded.escapes:
            raise ValueError(f"{np.count_nonzero(escapes)} escapes; expected {coded.escapes}")
        if coded.escapes:
            values[escapes] = decode_stream(coded.stream, coded.escapes, np.dtype(np.int64))
        return values


def _small(values: np.ndarray) -> np.ndarray:
    """Integers as int32 where they fit, for they are kept as long as the chunk is open."""
    limits = np.iinfo(np.int32)
    fits = len(values) == 0 or limits.min <= values.min() <= values.max() <= limits.max
    return values.astype(np.int32) if fits else values


def stacked(features: Sequence[np.ndarray], size: int) -> np.ndarray:
    """Features of columns as inputs of a network, (inputs, size)."""
    return np.concatenate([np.empty((0, size), np.float32), *features])
