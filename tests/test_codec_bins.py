"""Intervals of integers: every integer is in one or an escape, and what networks are told is bounded and exact."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from utils.codec.bins import LARGEST, WIDEST, Bins
from utils.networks import LARGEST_INPUT

integers = st.lists(st.one_of(st.integers(-50, 50), st.integers(-(2**53) + 1, 2**53 - 1)), min_size=1, max_size=200)


@given(values=integers, others=integers, most=st.integers(1, 64))
@settings(max_examples=100, deadline=None)
def test_integers_are_their_symbols_and_places_or_escapes(values: list[int], others: list[int], most: int) -> None:
    bins = Bins.fit(np.array(values), most)
    assert 1 <= len(bins) <= most
    every = np.array(values + others)
    symbols, places = bins.split(every)
    inside = symbols < len(bins)
    assert (bins.join(symbols, places)[inside] == every[inside]).all()
    assert (places < bins.widths_of(symbols)).all()
    features = bins.features(every)
    assert features.shape == (bins.inputs, len(every))
    assert np.abs(features).max() <= LARGEST_INPUT
    assert (features == np.rint(features)).all()


def test_few_values_have_an_interval_each_and_a_frequent_one_has_its_own() -> None:
    few = Bins.fit(np.array([5, 5, -3, 1000]), 8)
    assert few.starts.tolist() == [-3, 5, 1000]
    assert few.widths.tolist() == [1, 1, 1]
    many = Bins.fit(np.r_[np.zeros(500, np.int64), np.arange(10_000, 11_000)], 16)
    zero = int(np.flatnonzero(many.starts == 0)[0])
    assert many.widths[zero] == 1
    assert len(many) > 8


def test_values_of_a_column_of_fair_spread_need_no_escape() -> None:
    values = np.random.default_rng(0).normal(0, 300, 5000).astype(np.int64)
    symbols, _ = Bins.fit(values, 48).split(values)
    assert symbols.max() < 48
    assert np.bincount(symbols).max() < 3 * len(values) / 48


def test_features_grow_with_the_integers() -> None:
    values = np.unique(np.random.default_rng(1).exponential(2000, 3000).astype(np.int64))
    features = Bins.fit(values, 32).features(values)
    assert (np.diff(features, axis=1) >= 0).all()
    assert features[0, -1] > 200
    assert features[0, 0] < -200


@pytest.mark.parametrize(
    ("starts", "widths"),
    [([], []), ([0], [0]), ([0], [WIDEST + 1]), ([0, 1], [2, 1]), ([1, 0], [1, 1]), ([-(2**63)], [1]), ([0], [-1]),
     ([LARGEST + 1], [1]), ([0], [1, 1])],
)  # fmt: skip
def test_arrays_that_are_no_intervals_are_refused(starts: list[int], widths: list[int]) -> None:
    with pytest.raises(ValueError, match="interval"):
        Bins(np.array(starts, np.int64), np.array(widths, np.int64))
