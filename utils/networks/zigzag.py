"""A code of three numbers without a network: m and pt share one, by a line that goes back and forth in their plane.

Such a line is what gradient descent bends an autoencoder's surface into (notebook `2c`). Written down, it is a baseline
whose error falls with the number of its folds, and a start for a training (`TrainingConfig.folds`).
"""

from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from utils.jets import FEATURES
from utils.networks.variants import check_folds

M, PT, PHI, ETA = (FEATURES.index(name) for name in ("m", "pt", "phi", "eta"))

BINS = 100
"""Bins along the plane's long axis, in which its density and its edges are tabulated."""

WINDOW = 9
"""Bins that are taken together, for the table to be smooth."""


class Zigzag:
    """The plane of normalized m and pt, cut into `folds` stripes across its long principal axis.

    The line runs through the middle of each stripe, from one edge of the jets to the other and back in the next. A jet
    is coded by how far along the line the nearest point of its stripe lies, from -1 at one end to 1 at the other, and
    by its normalized phi and eta. Stripes are narrower where jets are denser, by the cube root of the density: the best
    for a mean squared error (Panter and Dite, Proc. IRE 39, 44, 1951).
    Jets beyond the edges of those that it was fitted to are moved onto them.
    """

    def __init__(self, folds: int):
        check_folds(folds)
        self.folds = folds

    def fit(self, jets: ArrayLike) -> Self:
        """Find axes, edges and stripes from normalized jets, shape (jets, 4); returns self.

        Raises ValueError where there are fewer than two jets, or an m or pt that is not finite.
        """
        plane = np.asarray(jets, dtype=np.float64)[:, [M, PT]]
        if len(plane) < 2 or not np.isfinite(plane).all():
            raise ValueError(f"a zigzag is fitted to two or more jets with finite m and pt, found {len(plane)} jets")
        self.mean = plane.mean(axis=0)
        _, self.axes = np.linalg.eigh(np.cov(plane - self.mean, rowvar=False))
        self.axes = self.axes * np.where(self.axes[1] < 0, -1, 1)
        across, along = ((plane - self.mean) @ self.axes).T
        self.along = np.linspace(along.min(), along.max(), BINS + 1)
        bins = np.clip(np.digitize(along, self.along) - 1, 0, BINS - 1)
        counts = np.convolve(np.bincount(bins, minlength=BINS), np.ones(WINDOW) / WINDOW, mode="same")
        stripes = np.cumsum(np.cbrt(counts))
        self.stripes = np.concatenate([[0.0], stripes]) * self.folds / stripes[-1]
        self.low, self.high = np.array([self._edges(across, along, centre) for centre in self.along]).T
        return self

    def _edges(self, across: np.ndarray, along: np.ndarray, centre: float) -> np.ndarray:
        """Between which the jets near `centre` lie; where there are too few, the nearest ones tell."""
        distance = np.abs(along - centre)
        near = distance <= WINDOW / 2 * (self.along[1] - self.along[0])
        if near.sum() < 20:
            near = np.argsort(distance)[:20]
        low, high = across[near].min(), across[near].max()
        return np.array([low, max(high, low + 1e-6)])

    def encode(self, jets: ArrayLike) -> np.ndarray:
        """Normalized jets, shape (jets, 4), to codes, float32 of shape (jets, 3)."""
        jets = np.asarray(jets, dtype=np.float64)
        across, along = ((jets[:, [M, PT]] - self.mean) @ self.axes).T
        place = np.interp(along, self.along, self.stripes)
        stripe = np.minimum(np.floor(place), self.folds - 1)
        _, low, high = self._stripe(stripe)
        margin = 2.0**-22 * self.folds  # the ends belong to two stripes, and float32 must not round to the other
        share = np.clip((across - low) / (high - low), margin, 1 - margin)
        line = stripe + np.where(stripe % 2 == 0, share, 1 - share)
        return np.column_stack([2 * line / self.folds - 1, jets[:, PHI], jets[:, ETA]]).astype(np.float32)

    def decode(self, codes: ArrayLike) -> np.ndarray:
        """Codes, shape (jets, 3), to normalized jets, shape (jets, 4)."""
        codes = np.asarray(codes, dtype=np.float64)
        line = (codes[:, 0] + 1) / 2 * self.folds
        stripe = np.clip(np.floor(line), 0, self.folds - 1)
        share = np.where(stripe % 2 == 0, line - stripe, 1 - (line - stripe))
        along, low, high = self._stripe(stripe)
        plane = np.column_stack([low + share * (high - low), along]) @ self.axes.T + self.mean
        jets = np.empty((len(codes), len(FEATURES)))
        jets[:, [M, PT]], jets[:, PHI], jets[:, ETA] = plane, codes[:, 1], codes[:, 2]
        return jets

    def _stripe(self, stripe: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The middle of stripes along the axis, and the ends of the line there."""
        along = np.interp(stripe + 0.5, self.stripes, self.along)
        return along, np.interp(along, self.along, self.low), np.interp(along, self.along, self.high)
