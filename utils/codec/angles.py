"""Angles as whole numbers of 65,536 to the circle, by additions and shifts alone (CORDIC, J. Volder, 1959)."""

import numpy as np

TURN = 2**16
"""A full circle."""

UNIT = 2**14
"""Length of the vectors of `unit_vectors`."""

_ARCTANGENTS = (8192, 4836, 2555, 1297, 651, 326, 163, 81, 41, 20, 10, 5, 3, 1)
"""The angles whose tangents are 1, 1/2, 1/4, ..."""

_EXTRA = 8
"""Bits behind the point while vectors are turned."""

_SHRUNK = 9949 << _EXTRA
"""What all turns together lengthen to `UNIT`."""


def direction(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The angle of vectors of integers up to 2^50, 0 to `TURN` - 1; within 4 of the true one where they are long."""
    back = x < 0
    x, y = (np.where(back, -v, v).astype(np.int64) << _EXTRA for v in (x, y))
    angle = np.where(back, TURN // 2, 0)
    for shift, step in enumerate(_ARCTANGENTS):
        sign = np.where(y < 0, -1, 1)
        x, y = x + sign * (y >> shift), y - sign * (x >> shift)
        angle += sign * step
    return angle & (TURN - 1)


def unit_vectors(angles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cosine and sine of angles, int64 up to about `UNIT`."""
    left = wrapped(angles.astype(np.int64))
    back = np.abs(left) > TURN // 4
    left = np.where(back, wrapped(left + TURN // 2), left)
    x, y = np.full_like(left, _SHRUNK), np.zeros_like(left)
    for shift, step in enumerate(_ARCTANGENTS):
        sign = np.where(left < 0, -1, 1)
        x, y = x - sign * (y >> shift), y + sign * (x >> shift)
        left -= sign * step
    flip = np.where(back, -1, 1)
    return flip * (x >> _EXTRA), flip * (y >> _EXTRA)


def wrapped(angles: np.ndarray) -> np.ndarray:
    """The same angles from -`TURN` / 2 on."""
    return ((angles + TURN // 2) & (TURN - 1)) - TURN // 2
