"""rANS in lanes: what is coded comes back, in as many bits as it should, and damage is an error."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from utils.codec.rans import MOST_LANES, Decoder, Encoder, lanes_for


def tables(rng: np.random.Generator, symbols: int, size: int) -> np.ndarray:
    """Frequencies of symbols, (symbols, size), none 0, each column adding up to 2^16."""
    shares = rng.dirichlet(np.full(symbols, 0.3), size).T
    found = 1 + np.floor(shares * (2**16 - symbols)).astype(np.int64)
    found[0] += 2**16 - found.sum(0)
    return found


def encode(frequencies: np.ndarray, runs: list[np.ndarray]) -> tuple[bytes, list[bytes]]:
    encoder = Encoder(lanes_for(frequencies.shape[1]))
    ends = np.cumsum(frequencies, 0)
    for symbols in runs:
        at = symbols, np.arange(len(symbols))
        encoder.begin()
        encoder.put(ends[at] - frequencies[at], frequencies[at])
    return encoder.finish()


def decode(frequencies: np.ndarray, states: bytes, words: list[bytes]) -> list[np.ndarray]:
    size = frequencies.shape[1]
    ends = np.cumsum(frequencies, 0)
    decoder = Decoder(states, lanes_for(size))

    def find(begin: int, end: int, slots: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        symbols = (ends[:, begin:end] <= slots).sum(0)
        at = symbols, np.arange(begin, end)
        return symbols, ends[at] - frequencies[at], frequencies[at]

    found = []
    for run in words:
        decoder.begin(run)
        found.append(decoder.get(size, find))
        decoder.end()
    return found


@given(seed=st.integers(0, 2**32), symbols=st.integers(1, 60), size=st.integers(1, 3000), runs=st.integers(1, 3))
@settings(max_examples=25, deadline=None)
def test_symbols_of_any_frequencies_come_back_run_by_run(seed: int, symbols: int, size: int, runs: int) -> None:
    rng = np.random.default_rng(seed)
    frequencies = tables(rng, symbols, size)
    coded = [rng.integers(0, symbols, size) for _ in range(runs)]
    found = decode(frequencies, *encode(frequencies, coded))
    assert all((one == other).all() for one, other in zip(found, coded, strict=True))


def test_bits_are_those_of_the_frequencies_and_three_bytes_a_lane() -> None:
    rng = np.random.default_rng(1)
    size = 20_000
    frequencies = np.broadcast_to(np.array([[40_000], [20_000], [5_536]]), (3, size))
    symbols = rng.choice(3, size, p=frequencies[:, 0] / 2**16)
    states, words = encode(frequencies, [symbols])
    ideal = (16 - np.log2(frequencies[symbols, 0])).sum() / 8
    assert ideal + lanes_for(size) < len(states) + len(words[0]) < ideal + 3.5 * lanes_for(size)


def test_a_symbol_that_is_certain_takes_no_word() -> None:
    frequencies = np.full((1, 500), 2**16)
    _, words = encode(frequencies, [np.zeros(500, np.int64)])
    assert words == [b""]


def test_lanes_are_few_for_few_symbols_and_bounded() -> None:
    assert [lanes_for(size) for size in (0, 1, 100, 6_400)] == [1, 1, 1, 100]
    assert lanes_for(10**9) == MOST_LANES


def test_what_an_encoder_did_not_write_is_an_error() -> None:
    rng = np.random.default_rng(2)
    frequencies = tables(rng, 20, 1000)
    states, words = encode(frequencies, [rng.integers(0, 20, 1000)])
    for wrong_states, wrong_words in (
        (states[:-4], words[0]),
        (bytes(len(states)), words[0]),
        (states, words[0][:-1]),
        (states, words[0][:-2]),
        (states, words[0] + b"\0\0"),
        (states, b""),
    ):
        with pytest.raises(ValueError, match=r"state|word"):
            decode(frequencies, wrong_states, [wrong_words])


@given(noise=st.binary(max_size=400))
@settings(max_examples=25, deadline=None)
def test_noise_gives_symbols_or_an_error(noise: bytes) -> None:
    frequencies = tables(np.random.default_rng(3), 7, 200)
    states = np.full(lanes_for(200), 2**16, "<u4").tobytes()
    try:
        (found,) = decode(frequencies, states, [noise])
    except ValueError:
        return
    assert found.min() >= 0
    assert found.max() < 7
