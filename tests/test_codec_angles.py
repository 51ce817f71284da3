"""Angles as whole numbers: near to the true ones, and inverses of each other."""

import numpy as np
from hypothesis import given, strategies as st

from utils.codec.angles import TURN, UNIT, direction, unit_vectors, wrapped


def test_directions_and_vectors_are_near_to_the_true_ones() -> None:
    angles = np.arange(TURN)
    x, y = unit_vectors(angles)
    true = angles * 2 * np.pi / TURN
    assert np.abs(x - UNIT * np.cos(true)).max() < 8
    assert np.abs(y - UNIT * np.sin(true)).max() < 8
    assert np.abs(wrapped(direction(x, y) - angles)).max() <= 8


@given(x=st.integers(-(2**50), 2**50), y=st.integers(-(2**50), 2**50))
def test_any_vector_has_a_direction(x: int, y: int) -> None:
    (found,) = direction(np.array([x]), np.array([y]))
    assert 0 <= found < TURN
    if x or y:
        true = int(np.rint(np.arctan2(y, x) * TURN / (2 * np.pi)))
        assert abs(wrapped(np.array(found - true))) <= 8


def test_a_turn_changes_nothing() -> None:
    angles = np.array([0, 1, TURN // 4, TURN // 2, 3 * TURN // 4])
    for turned in (angles + TURN, angles - 3 * TURN):
        assert all((one == other).all() for one, other in zip(unit_vectors(turned), unit_vectors(angles), strict=True))
    assert (wrapped(angles) == [0, 1, TURN // 4, -TURN // 2, -TURN // 4]).all()
