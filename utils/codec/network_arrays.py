"""The weights of several networks and the intervals of their symbols as one array of a kind, and back."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from utils.codec.bins import Bins
from utils.networks import MOST_HIDDEN, MOST_INPUTS, MOST_SYMBOLS, IntegerNetwork

LAYERS = ("hidden", "hidden_bias", "output", "output_bias")

NAMES = ("starts", "widths", *LAYERS)
"""The arrays: starts and widths of intervals, and the layers."""

MOST_WEIGHTS = 2**22
"""Most weights of all networks that are kept together."""


def join_networks(bins: Sequence[Bins], networks: Sequence[IntegerNetwork]) -> dict[str, np.ndarray]:
    """The arrays of `NAMES`: int64 of the intervals, int32 of the layers."""
    intervals = {name: np.concatenate([getattr(one, name) for one in bins]) for name in NAMES[:2]}
    return intervals | {
        layer: np.concatenate([getattr(network, layer).ravel() for network in networks]) for layer in LAYERS
    }


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

    def _take(self, name: str, *shape: int) -> np.ndarray:
        values, size = self._left[name], math.prod(shape)
        if size > len(values):
            raise ValueError(f"{name} is cut short")
        self._left[name] = values[size:]
        return values[:size].reshape(shape)
