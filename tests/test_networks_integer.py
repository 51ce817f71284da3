"""Networks of integers: the same numbers in any order of sums, frequencies that add up, weights that are too large."""

import math

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from utils.networks import LARGEST_INPUT, LARGEST_WEIGHT, IntegerNetwork


def make_network(rng: np.random.Generator, inputs: int, hidden: int, symbols: int) -> IntegerNetwork:
    weights = [
        rng.integers(-LARGEST_WEIGHT, LARGEST_WEIGHT + 1, shape) for shape in ((hidden, inputs), (symbols, hidden))
    ]
    biases = [rng.integers(-(2**20), 2**20, size) for size in (hidden, symbols)]
    return IntegerNetwork(*(array.astype(np.int32) for pair in zip(weights, biases, strict=True) for array in pair))


def reference(network: IntegerNetwork, inputs: np.ndarray) -> np.ndarray:
    """Logits in integers of 64 bits, shifted as integers are."""
    from utils.networks import HIDDEN_SHIFT, LARGEST_HIDDEN, OUTPUT_SHIFT

    hidden = network.hidden.astype(np.int64) @ inputs.astype(np.int64) + network.hidden_bias.astype(np.int64)[:, None]
    hidden = np.clip(hidden >> HIDDEN_SHIFT, 0, LARGEST_HIDDEN)
    return (network.output.astype(np.int64) @ hidden + network.output_bias.astype(np.int64)[:, None]) >> OUTPUT_SHIFT


@given(seed=st.integers(0, 2**32), inputs=st.integers(0, 120), hidden=st.integers(1, 64), symbols=st.integers(1, 255))
@settings(max_examples=25, deadline=None)
def test_logits_are_those_of_integers_of_64_bits_in_whatever_order_sums_are_taken(
    seed: int, inputs: int, hidden: int, symbols: int
) -> None:
    rng = np.random.default_rng(seed)
    network = make_network(rng, inputs, hidden, symbols)
    features = rng.integers(-LARGEST_INPUT, LARGEST_INPUT + 1, (inputs, 200)).astype(np.float32)
    features[:, 0] = LARGEST_INPUT * np.sign(network.hidden[0]) if inputs else 0
    expected = reference(network, features)
    found = network.logits(features)
    assert (found == expected).all()
    order, units = rng.permutation(inputs), rng.permutation(hidden)
    permuted = IntegerNetwork(
        network.hidden[units][:, order], network.hidden_bias[units], network.output[:, units], network.output_bias
    )
    assert (permuted.logits(features[order]) == expected).all()
    parts = [network.logits(np.ascontiguousarray(features[:, part : part + 7])) for part in range(0, 200, 7)]
    assert (np.concatenate(parts, 1) == expected).all()
    frequencies = network.frequencies(features)
    assert (frequencies.sum(0) == 2**16).all()
    assert frequencies.min() >= 1
    assert (frequencies[-1] == 1).all()
    assert (permuted.frequencies(features[order]) == frequencies).all()


def test_frequencies_are_in_proportion_to_two_to_the_power_of_logits() -> None:
    steps = np.array([0, 32, 64, 16], np.int32)
    network = IntegerNetwork(np.zeros((1, 0), np.int32), np.zeros(1, np.int32), np.zeros((4, 1), np.int32), steps * 8)
    (found,) = network.frequencies(np.empty((0, 1), np.float32)).T
    shares = np.array([1, 2, 4, math.sqrt(2)])
    assert found[:4] / 2**16 == pytest.approx(shares / shares.sum(), rel=2e-3)


@pytest.mark.parametrize("weight", [LARGEST_WEIGHT + 1, -(2**31)])
def test_weights_that_are_too_large_are_refused(weight: int) -> None:
    zeros = [np.zeros(shape, np.int32) for shape in ((2, 3), (2,), (4, 2), (4,))]
    for layer in (0, 2):
        arrays = [array.copy() for array in zeros]
        arrays[layer][0, 0] = weight
        with pytest.raises(ValueError, match="too large"):
            IntegerNetwork(*arrays)


def test_sums_that_leave_the_whole_numbers_of_float32_are_refused() -> None:
    hidden = np.full((1, 300), LARGEST_WEIGHT, np.int32)
    with pytest.raises(ValueError, match="too large"):
        IntegerNetwork(hidden, np.zeros(1, np.int32), np.zeros((1, 1), np.int32), np.zeros(1, np.int32))
    with pytest.raises(ValueError, match="too large"):
        IntegerNetwork(hidden[:, :1], np.array([-(2**31)], np.int32), np.zeros((1, 1), np.int32), np.zeros(1, np.int32))


def test_layers_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="fit"):
        IntegerNetwork(*(np.zeros(shape, np.int32) for shape in ((2, 3), (2,), (4, 3), (4,))))
