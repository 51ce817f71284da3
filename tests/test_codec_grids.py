"""Grids hold the bounds that they are made for, with as few levels as that takes."""

import math

import numpy as np
import pytest
from hypothesis import given, strategies as st

from utils.codec import (
    Bounds,
    CircularGrid,
    ErrorBound,
    RelativeGrid,
    UniformGrid,
    grid_from_dict,
    grid_to_dict,
    to_integers,
    to_values,
)

RELATIVE = st.floats(1e-4, 0.5)
ABSOLUTE = st.floats(1e-4, 10.0)


@pytest.mark.parametrize(
    ("text", "quantity", "expected"),
    [
        ("1%", "pt", ErrorBound(0.01)),
        ("1%,10MeV", "m", ErrorBound(0.01, 0.01)),
        (" 0.5 GeV , 2e-1 % ", "m", ErrorBound(0.002, 0.5)),
        ("0.005", "eta", ErrorBound(absolute=0.005)),
        ("5mrad", "phi", ErrorBound(absolute=0.005)),
        ("0", "pt", ErrorBound()),
    ],
)
def test_bounds_are_read_as_physicists_write_them(text, quantity, expected):
    assert ErrorBound.parse(text, quantity) == expected


@pytest.mark.parametrize(
    ("text", "quantity", "message"),
    [
        ("1", "pt", "needs another unit"),
        ("1%", "phi", "needs another unit"),
        ("1%,2%", "m", "two relative parts"),
        ("-1%", "pt", "0 <= relative"),
        ("100%", "pt", "relative < 100%"),
        ("1e-8%", "pt", "precision of float32"),
        ("one percent", "m", "cannot read 'one percent'"),
    ],
)
def test_bounds_that_make_no_sense_are_refused_with_the_reason(text, quantity, message):
    with pytest.raises(ValueError, match=f"error bound of {quantity}.*{message}"):
        ErrorBound.parse(text, quantity)


def test_angles_take_no_relative_bound():
    with pytest.raises(ValueError, match="an angle has no relative bound"):
        Bounds(phi=ErrorBound(0.01))


@given(RELATIVE, ABSOLUTE, st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50))
def test_relative_grid_holds_the_larger_part_of_its_bound(relative, absolute, values):
    grid = RelativeGrid(relative, absolute)
    true = np.array(values)
    error = np.abs(grid.levels(grid.quantize(true)) - true)
    assert np.all(error <= np.maximum(relative * np.abs(true), absolute) * (1 + 1e-9))


@given(RELATIVE, ABSOLUTE)
def test_relative_grid_needs_no_more_levels_than_a_greedy_cover(relative, absolute):
    end, lowest, cells = 1e4, absolute, 0  # the cell of level 0 ends at `absolute`
    while lowest < end:
        level = lowest + max(absolute, relative * lowest)
        lowest = max(level + absolute, level / (1 - relative))
        cells += 1
    assert RelativeGrid(relative, absolute).quantize(np.array([end]))[0] == pytest.approx(cells, abs=1)


@given(st.integers(1, 2000), st.floats(-math.pi, math.pi))
def test_circular_grid_holds_half_a_step_the_shorter_way_round(count, angle):
    grid = CircularGrid(count)
    true = np.array([angle])
    integers, value = grid.quantize(true), grid.levels(grid.quantize(true))
    assert 0 <= integers[0] < count
    assert abs(value[0]) < math.pi
    assert abs((value[0] - angle + math.pi) % (2 * math.pi) - math.pi) <= math.pi / count * (1 + 1e-9)


def test_phi_on_both_sides_of_pi_and_beyond_comes_back_inside():
    grid = CircularGrid(315)
    edge = np.nextafter(np.float32(np.pi), np.array([0, 4], np.float32))
    values = to_values(grid, to_integers(grid, np.r_[edge, -edge]))
    assert np.all(np.abs(values) <= np.float32(np.pi))
    assert np.all(np.abs(np.abs(values) - np.pi) <= 0.01)


@pytest.mark.parametrize("grid", [UniformGrid(0.01), CircularGrid(629), RelativeGrid(0.01, 0.01), None])
def test_grids_survive_json(grid):
    assert grid_from_dict(grid_to_dict(grid)) == grid


def test_values_are_the_same_bits_looked_up_or_computed_one_by_one():
    grid = RelativeGrid(1e-3, 1e-3)
    integers = np.random.default_rng(0).integers(-9000, 9000, 20_000).astype(np.int32)
    alone = np.concatenate([to_values(grid, part) for part in np.array_split(integers, 4000)])
    assert np.array_equal(to_values(grid, integers), alone)


def test_levels_need_no_library_function_whose_last_bit_varies():
    grid, level = RelativeGrid(0.01, 0.01), 2 * 0.01 * 50
    for _ in range(300):  # multiplications alone
        level *= grid.ratio
    assert to_values(grid, np.array([350], np.int32))[0] == np.float32(level)


def test_integers_beyond_the_range_are_clipped_not_wrapped():
    assert to_integers(UniformGrid(1e-6), np.array([-1e30, 1e30])).tolist() == [-(2**30), 2**30]
