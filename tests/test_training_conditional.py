"""Networks for columns: they learn what one column tells of the next, the same each time, in whole numbers."""

import numpy as np

from utils.networks import INPUT_UNIT, IntegerNetwork
from utils.training import ConditionalTraining, fit_networks

TRAINING = ConditionalTraining(steps=150, batch_size=128)


def make_columns(size: int = 2000) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Features and symbols of a column of 12 values, and of one that is nearly its mirror image."""
    rng = np.random.default_rng(0)
    first = rng.integers(0, 12, size)
    second = np.clip(11 - first + rng.integers(-1, 2, size), 0, 11)
    symbols = [first, second]
    return [np.rint((one[None] - 5.5) / 3.5 * INPUT_UNIT).astype(np.float32) for one in symbols], symbols


def bits(network: IntegerNetwork, features: list[np.ndarray], symbols: np.ndarray) -> float:
    inputs = np.concatenate([np.empty((0, len(symbols)), np.float32), *features])
    frequencies = network.frequencies(inputs)[symbols, np.arange(len(symbols))]
    return float((16 - np.log2(frequencies)).mean())


def test_a_column_takes_fewer_bits_after_one_that_tells_of_it() -> None:
    features, symbols = make_columns()
    first, second = fit_networks(np.concatenate(features), [0, 1], symbols, [12, 12], 4, TRAINING)
    assert abs(bits(first, [], symbols[0]) - np.log2(12)) < 0.05
    assert np.log2(3) - 0.2 < bits(second, features[:1], symbols[1]) < 2.4
    assert second.hidden.shape == (4, 1)
    assert first.hidden.shape == (4, 0)


def test_the_same_columns_give_the_same_networks() -> None:
    features, symbols = make_columns(500)
    short = ConditionalTraining(steps=20, batch_size=64)
    one, other = (fit_networks(np.concatenate(features), [0, 1], symbols, [12, 12], 4, short)[1] for _ in range(2))
    for layer in ("hidden", "hidden_bias", "output", "output_bias"):
        assert (getattr(one, layer) == getattr(other, layer)).all()


def test_symbols_that_are_left_out_change_nothing_but_their_share() -> None:
    features, symbols = make_columns(500)
    symbols[1][:50] = 12
    (_, second) = fit_networks(
        np.concatenate(features), [0, 1], symbols, [12, 12], 4, ConditionalTraining(steps=20, batch_size=64)
    )
    assert second.symbols == 12
