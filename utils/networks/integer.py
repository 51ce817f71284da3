"""A network of integers: one hidden layer, from whole numbers to frequencies of symbols, the same on every machine.

Weights, biases and inputs are whole numbers, so small that every sum stays below 2^24, where float32 is exact: so
matrix products of float32 give the same numbers in whatever order a machine adds, on whatever number of threads. The
rest is integers as well.
"""

import math
from dataclasses import dataclass

import numpy as np

TOTAL_BITS = 16
"""Frequencies add up to two to the power of this."""

LARGEST_INPUT = 512
"""Inputs are whole numbers up to this, of either sign; `INPUT_UNIT` is a standard deviation."""

INPUT_UNIT = 128

LARGEST_HIDDEN = 1023
"""Activations are whole numbers up to this, in units of 1 / `HIDDEN_UNIT`."""

HIDDEN_UNIT = 16

LARGEST_WEIGHT = 127

HIDDEN_SHIFT, OUTPUT_SHIFT = 7, 3
"""Sums are divided by two to the power of these, and rounded down."""

LOGIT_STEPS = 32
"""Logits count in so many steps a factor of two."""

MOST_INPUTS, MOST_HIDDEN, MOST_SYMBOLS = 1024, 64, 255
"""The largest networks that are known."""

_WEIGHT_BITS = 14


def _powers() -> np.ndarray:
    """2^(14 - d / 32) for d = 0, 1, ..., rounded down; by integer roots, of which no machine thinks differently."""
    found = []
    for step in range(_WEIGHT_BITS * LOGIT_STEPS + 1):
        power = 1 << (LOGIT_STEPS * _WEIGHT_BITS - step)
        for _ in range(int(math.log2(LOGIT_STEPS))):
            power = math.isqrt(power)
        found.append(power)
    return np.array([*found[:-1], 0], np.int32)


POWERS = _powers()


@dataclass(frozen=True)
class IntegerNetwork:
    """Weights and biases of both layers, int32: (hidden, inputs) and (hidden,); (symbols, hidden) and (symbols,).

    ValueError where they are no such network, or where a sum could leave the whole numbers of float32.
    """

    hidden: np.ndarray
    hidden_bias: np.ndarray
    output: np.ndarray
    output_bias: np.ndarray

    def __post_init__(self) -> None:
        symbols, hidden = self.output.shape
        if (
            self.hidden.shape[0] != hidden
            or self.hidden_bias.shape != (hidden,)
            or self.output_bias.shape != (symbols,)
        ):
            raise ValueError("layers of a network that do not fit each other")
        for weights, bias, largest in (
            (self.hidden, self.hidden_bias, LARGEST_INPUT),
            (self.output, self.output_bias, LARGEST_HIDDEN),
        ):
            sizes = np.abs(weights.astype(np.int64))
            sums = largest * sizes.sum(1) + np.abs(bias.astype(np.int64))
            if sizes.max(initial=0) > LARGEST_WEIGHT or sums.max(initial=0) >= 2**24:
                raise ValueError("a network whose weights are too large")

    @property
    def symbols(self) -> int:
        """How many symbols it tells apart; one more stands for all others."""
        return len(self.output)

    @property
    def weights(self) -> int:
        """Number of weights and biases."""
        return sum(array.size for array in (self.hidden, self.hidden_bias, self.output, self.output_bias))

    def logits(self, inputs: np.ndarray) -> np.ndarray:
        """Float32 of whole numbers, (symbols, jets), for inputs (inputs, jets): float32 of whole numbers as well."""
        hidden = _layer(self.hidden, self.hidden_bias, HIDDEN_SHIFT, inputs)
        np.clip(hidden, 0, LARGEST_HIDDEN, out=hidden)
        return _layer(self.output, self.output_bias, OUTPUT_SHIFT, hidden)

    def frequencies(self, inputs: np.ndarray) -> np.ndarray:
        """Frequencies of the symbols, int32 (symbols + 1, jets), none 0, which add up to 2^16 for each jet.

        The last is that of all other symbols, and is 1.
        """
        logits = self.logits(inputs)
        top = logits.argmax(0)
        steps = np.subtract(logits.max(0), logits, out=logits)
        powers = POWERS.take(np.minimum(steps, len(POWERS) - 1, out=steps).astype(np.intp))
        room = (1 << TOTAL_BITS) - self.symbols - 1
        scale = ((room << _WEIGHT_BITS) // powers.sum(0, dtype=np.int64)).astype(np.int32)
        found = np.ones((self.symbols + 1, logits.shape[1]), np.int32)
        powers *= scale
        powers >>= _WEIGHT_BITS
        found[:-1] += powers
        found[top, np.arange(logits.shape[1])] += (1 << TOTAL_BITS) - found.sum(0, dtype=np.int32)
        return found


def _layer(weights: np.ndarray, bias: np.ndarray, shift: int, inputs: np.ndarray) -> np.ndarray:
    sums = weights.astype(np.float32) @ inputs
    sums += bias.astype(np.float32)[:, None]
    sums *= np.float32(2.0**-shift)
    return np.floor(sums, out=sums)
