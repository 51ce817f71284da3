"""The resolution of a stream of jets, in bounded memory."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np

from utils.files import Json
from utils.jets import MASSLESS, wrap_angle
from utils.metrics.errors import RESIDUAL_UNITS
from utils.metrics.resolution import CENTRAL_68, Resolution

BLOCK = 2**14
"""Values worked on at a time, so that intermediate results stay in the cache."""

_HISTOGRAM_SHIFT = 16


@dataclass
class StreamingResolution:
    """Errors of one quantity, gathered chunk by chunk in bounded memory.

    Mean and maxima are exact. Quantiles come from a histogram of the residuals whose bins are the float32 numbers that
    share sign, exponent and 7 bits of mantissa, interpolated inside a bin: right to 0.4%.
    """

    quantity: str
    jets: int = 0
    masked: int = 0
    total: float = 0.0
    largest: float = 0.0
    largest_absolute: float = 0.0
    histogram: np.ndarray = field(default_factory=lambda: np.zeros(2 ** (32 - _HISTOGRAM_SHIFT), np.int64))

    def add(self, true: np.ndarray, reconstructed: np.ndarray) -> None:
        """Count jets, float32 arrays; those with a value that is not finite, and massless ones for m, are masked."""
        keys = np.empty(len(true), np.uint32)
        counted = 0
        for start in range(0, len(true), BLOCK):
            x, y = true[start : start + BLOCK], reconstructed[start : start + BLOCK]
            residual = self._residuals(x.astype(np.float64), y)
            if len(residual):
                self.total += float(residual.sum())
                self.largest = max(self.largest, float(residual.max()), -float(residual.min()))
                keys[counted : counted + len(residual)] = residual.astype(np.float32).view(np.uint32)
                counted += len(residual)
        self.jets += counted
        self.masked += len(true) - counted
        keys >>= np.uint32(_HISTOGRAM_SHIFT)
        self.histogram += np.bincount(keys[:counted], minlength=len(self.histogram))

    def _residuals(self, true: np.ndarray, reconstructed: np.ndarray) -> np.ndarray:
        error = reconstructed - true
        if self.quantity == "phi":
            return wrap_angle(error)
        size = np.abs(error)
        self.largest_absolute = max(self.largest_absolute, float(size.max(initial=0.0)))
        if self.quantity == "eta":
            return error
        if self.quantity == "m":
            massive = np.abs(true) >= MASSLESS
            if not massive.all():
                error, true = error[massive], true[massive]
        return error / true

    def __getstate__(self) -> Json:
        """Only the bins that hold jets: a hundredth of all."""
        filled = np.flatnonzero(self.histogram)
        return self.__dict__ | {"histogram": (filled.astype(np.uint32), self.histogram[filled])}

    def __setstate__(self, state: Json) -> None:
        filled, counts = state["histogram"]
        self.__dict__.update(state | {"histogram": np.zeros(2 ** (32 - _HISTOGRAM_SHIFT), np.int64)})
        self.histogram[filled] = counts

    def merge(self, other: "StreamingResolution") -> None:
        """Add the jets that another summary has counted."""
        self.jets += other.jets
        self.masked += other.masked
        self.total += other.total
        self.largest = max(self.largest, other.largest)
        self.largest_absolute = max(self.largest_absolute, other.largest_absolute)
        self.histogram += other.histogram

    def quantiles(self, probabilities: Iterable[float], absolute: bool = False) -> list[float]:
        """Quantiles of the residuals, or of their absolute values."""
        half = len(self.histogram) // 2
        edges = (np.arange(half + 1, dtype=np.uint64) << np.uint64(_HISTOGRAM_SHIFT)).astype(np.uint32)
        floats = edges.view(np.float32)
        values = np.where(np.isfinite(floats), floats, np.finfo(np.float32).max).astype(np.float64)
        positive, negative = self.histogram[:half], self.histogram[half:]
        if absolute:
            edges_of_all, counts = values, positive + negative
        else:
            edges_of_all = np.concatenate([-values[:0:-1], values])
            counts = np.concatenate([negative[::-1], positive])
        found = _histogram_quantiles(edges_of_all, counts, probabilities)
        return np.clip(found, -self.largest, self.largest).tolist()

    def result(self) -> Resolution:
        """What the jets say so far, with the largest absolute error of m and pt."""
        known = Resolution(
            RESIDUAL_UNITS[self.quantity],
            self.jets,
            self.masked,
            max_absolute=self.largest_absolute if self.quantity in ("m", "pt") else math.nan,
        )
        if not self.jets:
            return known
        low, median, high = self.quantiles(CENTRAL_68)
        return replace(
            known,
            mean=self.total / self.jets,
            median=median,
            half_width_68=(high - low) / 2,
            q99=self.quantiles((0.99,), absolute=True)[0],
            max=self.largest,
        )


def _histogram_quantiles(edges: np.ndarray, counts: np.ndarray, probabilities: Iterable[float]) -> list[float]:
    cumulative = np.concatenate([[0], np.cumsum(counts)]).astype(np.float64)
    found = []
    for probability in probabilities:
        target = probability * cumulative[-1]
        bin_ = min(max(int(np.searchsorted(cumulative, target, side="left")) - 1, 0), len(counts) - 1)
        inside = (target - cumulative[bin_]) / max(counts[bin_], 1)
        found.append(float(edges[bin_] + inside * (edges[bin_ + 1] - edges[bin_])))
    return found
