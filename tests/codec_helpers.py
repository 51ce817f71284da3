"""Jets and checks that the tests of the codec share."""

import numpy as np
import pandas as pd

from utils.codec import Bounds
from utils.jets import FEATURES, event_counts, make_table
from utils.metrics import absolute_error


def make_jets(jets: int, seed: int = 0, first_event: int = 0) -> pd.DataFrame:
    """Events of falling pt, with masses that grow with it; about one event in ten is empty, one jet in 50 massless."""
    rng = np.random.default_rng(seed)
    counts = rng.poisson(3, jets) + 1
    counts = counts[: np.searchsorted(np.cumsum(counts), jets) + 1]
    counts[-1] -= counts.sum() - jets
    every = np.arange(first_event, first_event + 2 * len(counts))
    numbers = np.sort(rng.choice(every, len(counts), replace=False))
    event = np.repeat(numbers, counts)
    pt = 20 * np.exp(rng.exponential(0.7, jets))
    pt = pt[np.lexsort((-pt, event))]
    m = np.where(rng.random(jets) < 0.02, rng.choice([0.0, -3e-5], jets), pt * rng.lognormal(-2, 0.3, jets))
    empty = rng.choice(np.setdiff1d(every, numbers), max(1, len(counts) // 10), replace=False)
    return make_table(m, pt, rng.uniform(-np.pi, np.pi, jets), rng.normal(0, 1.8, jets), event, np.sort(empty))


def assert_same_events(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    """The same events with as many jets in each, in the same order; those without jets too, where numbers ascend."""
    for ours, theirs in zip(_events(found), _events(expected), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def _events(table: pd.DataFrame) -> list[np.ndarray]:
    numbers, counts = event_counts(table)
    filled = counts > 0
    if np.all(np.diff(numbers[filled]) > 0):
        return [numbers, counts]
    return [numbers[filled], counts[filled], np.sort(numbers[~filled])]


def assert_same_bits(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    """The same jets, bit for bit, NaN and the sign of zero included."""
    assert_same_events(found, expected)
    for name in FEATURES:
        np.testing.assert_array_equal(found[name].to_numpy().view(np.uint32), expected[name].to_numpy().view(np.uint32))


def assert_within(found: pd.DataFrame, expected: pd.DataFrame, bounds: Bounds) -> None:
    """Every jet within its bounds, and still one that the project can use."""
    assert_same_events(found, expected)
    for name in FEATURES:
        true = expected[name].to_numpy().astype(np.float64)
        error = absolute_error(name, true, found[name].to_numpy())
        assert np.all(error <= getattr(bounds, name).at(true)), name
    assert np.all((found["pt"].to_numpy() > 0) | (expected["pt"].to_numpy() <= 0))
    assert np.all(np.abs(found["phi"].to_numpy()) <= np.float32(np.pi) + 1e-4)
