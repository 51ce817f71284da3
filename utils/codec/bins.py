"""Integers as symbols of a small alphabet, intervals with about as many values each, and places inside these."""

from dataclasses import dataclass

import numpy as np

from utils.networks import LARGEST_INPUT

WIDEST = 2**14
"""Widest interval, so that places inside it are coded evenly in 16 bits."""

LARGEST = 2**53
"""Largest integers that have intervals."""

_PARTS = 256
"""Into so many parts an interval is told when other columns are predicted from a value."""


@dataclass(frozen=True)
class Bins:
    """Intervals [start, start + width) of integers, in order and without overlap; int64 arrays of one length.

    What lies in none of them is an escape: its symbol is the number of intervals. ValueError for any other arrays.
    """

    starts: np.ndarray
    widths: np.ndarray

    def __post_init__(self) -> None:
        ends = self.starts + self.widths
        wide = len(self.starts) == len(self.widths) > 0 and 1 <= self.widths.min() <= self.widths.max() <= WIDEST
        inside = wide and -LARGEST <= self.starts.min() <= self.starts.max() <= LARGEST
        if not (inside and (self.starts[1:] >= ends[:-1]).all()):
            raise ValueError(f"intervals of integers that overlap, or are not of 1 to {WIDEST} up to +-{LARGEST}")

    def __len__(self) -> int:
        return len(self.starts)

    @staticmethod
    def fit(integers: np.ndarray, most: int) -> "Bins":
        """At most `most` intervals with about as many of the values each; one for each value where these are few.

        A value that is frequent has an interval of its own.
        """
        values, counts = np.unique(integers.astype(np.int64), return_counts=True)
        middle = 2 * np.cumsum(counts) - counts
        groups = np.arange(len(values)) if len(values) <= most else middle * most // (2 * len(integers))
        first = np.flatnonzero(np.diff(groups, prepend=-1))
        starts, ends = values[first], np.r_[values[first[1:]], values[-1] + 1]
        alone = np.diff(np.r_[first, len(values)]) == 1
        return Bins(starts, np.where(alone, 1, np.minimum(ends - starts, WIDEST)))

    def split(self, integers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The symbol of each integer and its place in the interval, 0 for an escape; int64."""
        symbols = np.searchsorted(self.starts, integers, side="right") - 1
        places = integers - self.starts[np.maximum(symbols, 0)]
        outside = (symbols < 0) | (places >= self.widths[symbols])
        return np.where(outside, len(self), symbols), np.where(outside, 0, places)

    def join(self, symbols: np.ndarray, places: np.ndarray) -> np.ndarray:
        """The inverse of `split`; for escapes the numbers mean nothing."""
        return self.starts[np.minimum(symbols, len(self) - 1)] + places

    def widths_of(self, symbols: np.ndarray) -> np.ndarray:
        """How wide the interval of each symbol is; 1 for escapes."""
        return np.r_[self.widths, 1][symbols]

    def features(self, integers: np.ndarray) -> np.ndarray:
        """What a network is told of integers: float32 of whole numbers up to +-`LARGEST_INPUT`, (1 or 2, integers).

        First where each stands among all: from the rank u in (-1, 1) it is 154 u / (1.5 - |u|), nearly normal. Then,
        unless each interval is a single value, the distance from the middle one in units of the spread. Both are made
        of integers, so that all machines agree.
        """
        symbols = np.maximum(np.searchsorted(self.starts, integers, side="right") - 1, 0)
        widths = self.widths[symbols]
        places = np.clip(integers - self.starts[symbols], 0, widths - 1)
        rank = 2 * (_PARTS * symbols + (_PARTS * places + _PARTS // 2) // widths) - _PARTS * len(self)
        ranks = 2 * 154 * rank // (3 * _PARTS * len(self) - 2 * np.abs(rank))
        if self.inputs == 1:
            return ranks[None].astype(np.float32)
        low, middle, high = (int(self.starts[len(self) * part // 32]) for part in (5, 16, 27))
        distances = np.clip(integers, int(self.starts[0]), int(self.starts[-1])).astype(np.int64) - middle
        scaled = np.clip(2 * 128 * distances // max(high - low, 1), -LARGEST_INPUT, LARGEST_INPUT)
        return np.stack([ranks, scaled]).astype(np.float32)

    @property
    def inputs(self) -> int:
        """How many features there are of each integer."""
        return 1 if self.widths.max() == 1 else 2
