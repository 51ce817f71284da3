"""Networks for jets that nobody trained, and jets of which they know little."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from utils.codec.bins import Bins
from utils.codec.bounded import BoundedScheme
from utils.codec.bounds import Bounds
from utils.codec.jet_networks import KNOWN, JetNetworks
from utils.jets import make_table
from utils.networks import LARGEST_WEIGHT, IntegerNetwork

INTERVALS = {"pt_first": (540, 20), "pt": (-80, 10), "eta": (-300, 50), "phi": (-300, 51), "m": (-400, 60)}
"""Where the intervals of each network begin, and how wide they are."""


def random_networks(seed: int, bounds: Bounds | None = None, symbols: int = 12, hidden: int = 4) -> JetNetworks:
    """Networks of random weights, whose intervals hold most jets of `event_table`."""
    rng = np.random.default_rng(seed)
    bins, networks = {}, {}
    for name, inputs in KNOWN.items():
        low, wide = INTERVALS[name]
        bins[name] = Bins(low + wide * np.arange(symbols), np.full(symbols, wide))
        shapes = (hidden, inputs), (hidden,), (symbols, hidden), (symbols,)
        largest = LARGEST_WEIGHT, 2**14, LARGEST_WEIGHT // 8, 2**8
        arrays = (rng.integers(-most, most + 1, shape) for most, shape in zip(largest, shapes, strict=True))
        networks[name] = IntegerNetwork(*(array.astype(np.int32) for array in arrays))
    plain = BoundedScheme.of(bounds or Bounds())
    return JetNetworks(BoundedScheme(plain.bounds, plain.grids, 11), 545, bins, networks)


def event_table(seed: int, events: int, most: int = 12) -> pd.DataFrame:
    """Events of up to so many jets, which fall in pt, go around a circle and weigh a tenth of pt or so."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, most + 1, events)
    number = np.repeat(np.arange(events), counts)
    pt = 20 + rng.exponential(30, len(number))
    order = np.lexsort((-pt, number))
    pt = pt[order]
    phi = rng.uniform(-3.14159, 3.14159, len(pt))
    table = make_table(rng.lognormal(-2, 0.3, len(pt)) * pt, pt, phi, rng.normal(0, 1.5, len(pt)))
    return table.assign(event=number)


def one_bit_turned(content: bytes) -> Iterator[bytes]:
    """The content of a file of a model, with a bit turned at its beginning, in its header, its middle and its end."""
    for place in (3, 100, len(content) // 2, len(content) - 1):
        yield content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :]
