"""The weights of several networks and the intervals of their symbols as one array of a kind, and back."""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from utils.codec.bins import Bins
from utils.codec.conditional import Collection, Conditional
from utils.limits import require_form
from utils.networks import MOST_HIDDEN, MOST_INPUTS, MOST_SYMBOLS, IntegerNetwork

LAYERS = ("hidden", "hidden_bias", "output", "output_bias")

NAMES = ("starts", "widths", *LAYERS)
"""The arrays: starts and widths of intervals, and the layers."""

MOST_WEIGHTS = 2**22
"""Most weights of all networks that are kept together."""

_COLUMN = 5
"""A column is described by array, way, shift, number of intervals, number of hidden units (0: coded alone)."""


def join_networks(bins: Sequence[Bins], networks: Sequence[IntegerNetwork]) -> dict[str, np.ndarray]:
    """The arrays of `NAMES`: int64 of the intervals, int32 of the layers."""
    intervals = {name: np.concatenate([getattr(one, name) for one in bins]) for name in NAMES[:2]}
    return intervals | {
        layer: np.concatenate([getattr(network, layer).ravel() for network in networks]) for layer in LAYERS
    }


def join_collections(collections: Sequence[Collection]) -> dict[str, np.ndarray]:
    """The same of all columns of some collections."""
    columns = [column for collection in collections for column in collection.columns]
    return join_networks(
        [column.bins for column in columns], [column.network for column in columns if column.network is not None]
    )


def collection_rows(collection: Collection) -> list[list[Any]]:
    """What of a collection is not in the arrays, JSON-safe: a row for each column."""
    return [
        [column.place, *column.scale, len(column.bins), 0 if column.network is None else len(column.network.hidden)]
        for column in collection.columns
    ]


def networks_digest(described: object, arrays: Mapping[str, np.ndarray]) -> str:
    """The SHA-256 that names networks, over what describes them and their arrays."""
    digest = hashlib.sha256(json.dumps(described, sort_keys=True, allow_nan=False).encode())
    for name, values in sorted(arrays.items()):
        digest.update(f"{name} {len(values)}".encode() + values.astype("<i8").tobytes())
    return digest.hexdigest()


class Taken:
    """Takes networks off the front of the arrays that `join_networks` made; ValueError where there are no such."""

    def __init__(self, arrays: Mapping[str, np.ndarray]):
        if set(arrays) != set(NAMES):
            raise ValueError(f"its arrays are {', '.join(arrays)[:200]}")
        self._left = {name: values.ravel() for name, values in arrays.items()}
        for name, values in self._left.items():
            if values.dtype.kind != "i" or values.size > MOST_WEIGHTS:
                raise ValueError(f"{name} of {values.size} {values.dtype}")

    def bins(self, intervals: int) -> Bins:
        """The next intervals, so many of them."""
        if not 1 <= intervals <= MOST_SYMBOLS:
            raise ValueError(f"{intervals} symbols; networks have 1 to {MOST_SYMBOLS}")
        return Bins(*(self._take(name, intervals).astype(np.int64) for name in NAMES[:2]))

    def network(self, inputs: int, hidden: int, symbols: int) -> IntegerNetwork:
        """The next network, of these sizes."""
        if not (0 < hidden <= MOST_HIDDEN and inputs <= MOST_INPUTS):
            raise ValueError(f"a network of {inputs} inputs, {hidden} hidden units and {symbols} symbols")
        shapes = (hidden, inputs), (hidden,), (symbols, hidden), (symbols,)
        return IntegerNetwork(*(self._take(name, *shape) for name, shape in zip(LAYERS, shapes, strict=True)))

    def collection(self, rows: Sequence[list[Any]]) -> Collection:
        """The next collection, which `collection_rows` described."""
        columns: list[Conditional] = []
        inputs = 0
        for row in rows:
            if len(row) != _COLUMN or not isinstance(row[1], str):
                raise ValueError("a column that is not described by five things")
            require_form([row[0], *row[2:]], [int], "a column")
            place, way, shift, intervals, hidden = row
            if hidden < 0 or inputs > MOST_INPUTS:
                raise ValueError(f"a network of {inputs} inputs and {hidden} hidden units")
            bins = self.bins(intervals)
            network = self.network(inputs, hidden, intervals) if hidden else None
            columns.append(Conditional(place, (way, shift), bins, network))
            inputs += bins.inputs
        return Collection(tuple(columns))

    def _take(self, name: str, *shape: int) -> np.ndarray:
        values, size = self._left[name], math.prod(shape)
        if size > len(values):
            raise ValueError(f"{name} is cut short")
        self._left[name] = values[size:]
        return values[:size].reshape(shape)
