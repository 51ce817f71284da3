"""Grids hold the bounds that they are made for, with as few levels as that takes."""

import math

import numpy as np
import pytest
from hypothesis import given, strategies as st

from utils.codec import (
    BoundedScheme,
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
from utils.codec.bounds import SMALLEST_BOUND
from utils.codec.violations import find_violations
from utils.jets import FEATURES

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


@pytest.mark.parametrize("bound", [2e-6, 1e-5, 1e-3, 0.005])
@pytest.mark.parametrize("name", FEATURES)
def test_steps_leave_room_for_the_rounding_to_float32_and_no_more(name, bound):
    allowed = ErrorBound(bound) if name in ("m", "pt") else ErrorBound(absolute=bound)
    grid = BoundedScheme.of(Bounds(**{name: allowed})).grids[name]
    assert grid is not None
    low, high = {"m": (0.1, 500), "pt": (20, 2000), "phi": (-3.1415, 3.1415), "eta": (-7.9, 7.9)}[name]
    true = np.random.default_rng(0).uniform(low, high, 20_000).astype(np.float32)
    integers = to_integers(grid, true)
    assert len(find_violations(name, true, to_values(grid, integers), allowed)) == 0
    spacing = np.abs(grid.levels(integers + 1) - grid.levels(integers))
    widest = 2 * bound * (np.abs(grid.levels(integers)) / (1 - bound) if name in ("m", "pt") else 1)
    assert np.all(spacing <= widest)
    assert np.all(spacing >= 0.7 * widest)


def test_levels_far_beyond_the_linear_part_keep_their_ratio():
    grid = RelativeGrid(1e-3, 1e-3)
    levels = grid.levels(np.arange(grid.linear, grid.linear + 6000))
    np.testing.assert_allclose(levels[1:] / levels[:-1], grid.ratio, rtol=1e-9)
    np.testing.assert_array_equal(grid.levels(np.array([-grid.linear - 3000])), -levels[3000:3001])


def test_the_first_level_beyond_the_linear_part_is_where_the_relative_bound_is_the_larger():
    grid = RelativeGrid(0.01, 0.5)
    levels = grid.levels(np.arange(grid.linear + 1))
    np.testing.assert_allclose(np.diff(levels), 1.0)
    assert levels[-2] < 0.5 / 0.01 - 0.5 <= levels[-1]


def test_the_smallest_bounds_are_bounds():
    assert ErrorBound(SMALLEST_BOUND).relative == SMALLEST_BOUND
    assert Bounds(phi=ErrorBound(absolute=SMALLEST_BOUND)).phi.absolute == SMALLEST_BOUND
    for less in (math.nextafter(SMALLEST_BOUND, 0), SMALLEST_BOUND / 10):
        with pytest.raises(ValueError, match="precision of float32"):
            ErrorBound(less)
        with pytest.raises(ValueError, match=r"error bound of eta: .* precision of float32"):
            Bounds(eta=ErrorBound(absolute=less))


def test_a_bound_is_the_larger_of_its_two_parts():
    bound = ErrorBound(0.1, 2.0)
    np.testing.assert_allclose(bound.at(np.array([0.0, -5.0, 20.0, -50.0])), [2, 2, 2, 5])


def test_an_error_as_large_as_its_bound_is_no_violation():
    true, found = np.array([0, 0, 0], np.float32), np.array([0.25, -0.25, 0.26], np.float32)
    assert find_violations("eta", true, found, ErrorBound(absolute=0.25)).tolist() == [2]
    true, found = np.array([4, 8, 16], np.float32), np.array([5, 10, 12], np.float32)
    assert find_violations("pt", true, found, ErrorBound(0.25)).tolist() == []


@pytest.mark.parametrize(("name", "lowest"), [("pt", 0.0), ("m", -1.0)])
def test_a_value_that_no_reader_would_take_is_a_violation_whatever_the_bound(name, lowest):
    true = np.array([0.5, 0.5, lowest], np.float32)
    found = np.array([lowest, 0.1, lowest], np.float32)
    assert find_violations(name, true, found, ErrorBound(absolute=5.0)).tolist() == [0]


def test_the_nearest_level_is_taken():
    values = np.array([-0.26, -0.24, 0.0, 0.24, 0.26, 0.76])
    assert UniformGrid(0.5).quantize(values).tolist() == [-1, 0, 0, 0, 1, 2]
