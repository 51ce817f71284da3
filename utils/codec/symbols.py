"""Integers by a network: it tells how frequent each symbol is; places in the interval of a symbol are coded evenly."""

from functools import partial

import numpy as np

from utils.codec.bins import Bins
from utils.codec.rans import BITS, Decoder, Encoder
from utils.networks import IntegerNetwork

BLOCK = 2**13
"""About so many values have their frequencies computed at a time."""


def put_integers(
    encoder: Encoder, network: IntegerNetwork, bins: Bins, features: np.ndarray, values: np.ndarray
) -> np.ndarray:
    """Add int64 values to the run of an encoder, each with its column of features; returns the escapes among them."""
    symbols, places = bins.split(values)
    encoder.put(*_slots(network, features, symbols))
    if bins.inputs > 1:
        evenly = (1 << BITS) // bins.widths_of(symbols)
        encoder.put(places * evenly, evenly)
    return values[symbols == len(bins)]


def get_integers(
    decoder: Decoder, network: IntegerNetwork, bins: Bins, features: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The next values of the run of a decoder, int64, and which of them are escapes, whose numbers mean nothing."""
    size = features.shape[1]
    symbols = np.empty(size, np.int64)
    for part in _blocks(size, decoder.lanes):
        frequencies = network.frequencies(features[:, part])
        ends = np.cumsum(frequencies, 0, dtype=np.int32)
        symbols[part] = decoder.get(frequencies.shape[1], partial(_find, frequencies, ends))
    places = np.zeros(size, np.int64)
    if bins.inputs > 1:
        evenly = (1 << BITS) // bins.widths_of(symbols)
        places = decoder.get(size, partial(_find_evenly, evenly))
    return bins.join(symbols, places), symbols == len(bins)


def symbol_bits(network: IntegerNetwork, features: np.ndarray, symbols: np.ndarray) -> float:
    """The bits that coding symbols takes, without the places in their intervals."""
    _, frequencies = _slots(network, features, symbols)
    return float((BITS - np.log2(frequencies)).sum())


def _blocks(size: int, lanes: int = 1) -> list[slice]:
    """Parts of a run, each of a whole number of lanes."""
    step = max(BLOCK // lanes, 1) * lanes
    return [slice(begin, min(begin + step, size)) for begin in range(0, size, step)]


def _slots(network: IntegerNetwork, features: np.ndarray, symbols: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the slots of symbols begin, and how many there are."""
    starts, found = np.empty(len(symbols), np.int32), np.empty(len(symbols), np.int32)
    for part in _blocks(len(symbols)):
        frequencies = network.frequencies(features[:, part])
        ends = np.cumsum(frequencies, 0, dtype=np.int32)
        at = symbols[part], np.arange(frequencies.shape[1])
        found[part] = frequencies[at]
        starts[part] = ends[at] - found[part]
    return starts, found


def _find(
    frequencies: np.ndarray, ends: np.ndarray, begin: int, end: int, slots: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    below = ends[:, begin:end] <= slots.astype(np.int32)
    found = below.view(np.uint8).sum(0, dtype=np.uint8).astype(np.int64)
    at = found, np.arange(begin, end)
    own = frequencies[at].astype(np.int64)
    return found, ends[at] - own, own


def _find_evenly(
    evenly: np.ndarray, begin: int, end: int, slots: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    own = evenly[begin:end]
    found = slots // own
    return found, found * own, own
