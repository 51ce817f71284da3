"""Columns of integers that others tell: nearly the sum or the difference of two before them, such as counts of parts.

    ["sum", bytes, first, second, sign, way, parameters of the way ...]

stands for the values of two pieces before, the second times the sign, and the rest that `way` stores.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from utils.codec.pieces import Piece, decode_piece, encode_piece
from utils.limits import require_form
from utils.trees import Bound

SUM = "sum"

SAMPLE = 256
"""Values by which relations are looked for."""

MOST_BEFORE = 16
"""Columns before, the nearest, among which they are looked for."""

Relation = tuple[int, int, int]
"""Numbers of two arrays, and the sign of the second."""

_EXACT = Bound("exact")


def may_relate(dtype: np.dtype) -> bool:
    """Whether arrays of this type take part: integers of at most 32 bits, so that no sum overflows."""
    return dtype.kind in "iu" and dtype.itemsize <= 4


def _find(values: np.ndarray, before: Sequence[tuple[int, np.ndarray]]) -> Relation | None:
    """Two of the arrays before, by number and of the same length, whose sum or difference is mostly `values`.

    Mostly is in more than half of what is no repetition of one value; None where there are no such.
    """
    step = -(-len(values) // SAMPLE)
    if len(before) < 2 or len(values) < SAMPLE:
        return None
    own = values[::step].astype(np.int64)
    others = np.stack([array[::step] for _, array in before[-MOST_BEFORE:]]).astype(np.int64)
    numbers = [number for number, _ in before[-MOST_BEFORE:]]
    commonest = np.unique(own, return_counts=True)[1].max() / len(own)
    best, found = (1 + commonest) / 2, None
    for sign in (1, -1):
        shares = (own == others[:, None] + sign * others).mean(2)
        np.fill_diagonal(shares, 0)
        first, second = np.unravel_index(shares.argmax(), shares.shape)
        if shares[first, second] > best:
            best, found = shares[first, second], (numbers[first], numbers[second], sign)
    return found


def by_others(piece: Piece, place: int, values: np.ndarray, before: dict[int, np.ndarray]) -> Piece:
    """What stores values by two arrays before, if it is smaller than their own piece; else they come to those before.

    `place` is the number of the array, `before` has arrays of the same length by their numbers.
    """
    if (relation := _find(values, list(before.items()))) is not None:
        first, second = (before[number].astype(np.int64) for number in relation[:2])
        rest = encode_piece(values.astype(np.int64) - first - relation[2] * second, _EXACT, None, False)
        if len(rest.content) < len(piece.content):
            return Piece(SUM, (*relation, rest.way, *rest.parameters), rest.content, rest.settings)
    before[place] = values
    return piece


def read_relation(parameters: Sequence[Any], number: int) -> Relation:
    """The relation of the piece of this number; ValueError where it is none to pieces before it."""
    require_form(list(parameters[:3]), [int], "a sum")
    if len(parameters) < 4 or parameters[3] not in ("integers", "constant"):
        raise ValueError("a sum without a rest")
    first, second, sign = parameters[:3]
    if not (0 <= first < number and 0 <= second < number and sign in (1, -1)):
        raise ValueError(f"a sum of pieces {first} and {second}, with the sign {sign}")
    return first, second, sign


def decode_sum(parameters: Sequence[Any], content: bytes, arrays: Sequence[np.ndarray], dtype: np.dtype) -> np.ndarray:
    """The values that a piece stores by two arrays, as `read_relation` names them; ValueError where it does not."""
    first, second = arrays
    rest = decode_piece(parameters[3], list(parameters[4:]), content, len(first), np.dtype(np.int64), None)
    if len(rest) and not -(2**34) < rest.min() <= rest.max() < 2**34:
        raise ValueError("a sum that no integers of 32 bits have")
    found = rest + first + parameters[2] * second.astype(np.int64)
    limits = np.iinfo(dtype)
    if len(found) and not limits.min <= found.min() <= found.max() <= limits.max:
        raise ValueError(f"a sum beyond {dtype}")
    return found.astype(dtype)
