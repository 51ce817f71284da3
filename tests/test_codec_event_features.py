"""What networks are told: whole numbers, of what comes before alone, the same however events are cut."""

import numpy as np
import pytest
from hypothesis import given, strategies as st

from tests.jet_network_helpers import random_networks
from utils.codec import jet_networks
from utils.codec.event_features import FEATURES, OCTAVE, logarithm
from utils.codec.jet_networks import KNOWN, QUANTITY, differences, go_through
from utils.networks import LARGEST_INPUT


@given(number=st.integers(1, 2**60 - 1))
def test_logarithms_are_those_of_integers_rounded_down(number: int) -> None:
    found = int(logarithm(np.array([number]))[0])
    assert 2**found <= number**OCTAVE < 2 ** (found + 1)
    assert logarithm(np.array([0]))[0] == 0


def test_powers_of_two_are_whole_octaves() -> None:
    assert (logarithm(2 ** np.arange(60, dtype=np.int64)) == OCTAVE * np.arange(60)).all()
    assert (logarithm(2 ** np.arange(1, 60, dtype=np.int64) - 1) < OCTAVE * np.arange(1, 60)).all()


def told(integers: dict[str, np.ndarray], counts: np.ndarray) -> dict[str, np.ndarray]:
    """The features that each network sees of each jet, NaN where it sees none."""
    plain = random_networks(0).plain
    given_by = differences(plain, integers)
    found = {name: np.full((known, int(counts.sum())), np.nan) for name, known in KNOWN.items()}

    def code(name: str, features: np.ndarray, jets: np.ndarray, base: np.ndarray) -> np.ndarray:
        found[name][:, jets] = features
        return given_by(name, features, jets, base)

    assert all((one == integers[name]).all() for name, one in go_through(plain, 545, counts, code).items())
    return found


def make_integers(jets: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    ranges = {"pt": (500, 800), "eta": (-480, 480), "phi": (0, 629), "m": (-5, 300)}
    return {name: rng.integers(*ends, jets) for name, ends in ranges.items()}


def test_features_are_whole_numbers_within_their_limit() -> None:
    counts = np.array([1, 4, 9, 2])
    found = told(make_integers(16), counts)
    assert max(KNOWN.values()) == sum(FEATURES)
    for values in found.values():
        seen = values[:, ~np.isnan(values).all(0)]
        assert (seen == np.rint(seen)).all()
        assert np.abs(seen).max() <= LARGEST_INPUT


def test_a_jet_is_told_nothing_of_what_comes_after() -> None:
    counts, jets = np.array([3, 6]), 9
    before = told(make_integers(jets), counts)
    for name in ("pt", "eta", "phi", "m"):
        changed = make_integers(jets)
        changed[name][5] += 7
        after = told(changed, counts)
        earlier = [network for network in KNOWN if list(QUANTITY).index(network) <= list(QUANTITY).index(name)]
        for network in KNOWN:
            rows = 6 if network in earlier else 5
            np.testing.assert_array_equal(after[network][:, :rows], before[network][:, :rows])
        assert not np.array_equal(after["m"][:, 6:], before["m"][:, 6:])


def test_events_know_nothing_of_each_other_in_whatever_blocks_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = np.array([3, 0, 1, 5, 2])
    integers = make_integers(11)
    whole = told(integers, counts)
    monkeypatch.setattr(jet_networks, "EVENTS", 2)
    for name, values in told(integers, counts).items():
        np.testing.assert_array_equal(values, whole[name])
    alone = told({name: values[4:9] for name, values in integers.items()}, np.array([5]))
    for name, values in alone.items():
        np.testing.assert_array_equal(values, whole[name][:, 4:9])
