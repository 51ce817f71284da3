"""Jets as integers on the grids of a bound, in the events that they stand in, and what comes before each of them."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from utils.codec import BoundedScheme, Bounds, CircularGrid, UniformGrid, to_integers
from utils.jets import FEATURES, event_counts


@dataclass(frozen=True)
class GriddedJets:
    """Jets on grids: their integers and the values of these by quantity, and how many jets each event has.

    Events stand as in their table, and the jets of each in order of falling pt. Without use of events, each jet is an
    event of its own. All arrays but `counts` have shape (jets,).
    """

    integers: dict[str, np.ndarray]
    values: dict[str, np.ndarray]
    counts: np.ndarray
    phi_grid: CircularGrid
    eta_grid: UniformGrid

    @staticmethod
    def of(table: pd.DataFrame, bounds: Bounds | None = None, events: bool = True) -> "GriddedJets":
        """The jets of a table on the coarsest grids that hold the bounds; ValueError where a bound is exact."""
        grids = BoundedScheme.of(bounds or Bounds()).grids
        counts = event_counts(table)[1] if events else np.ones(len(table), np.int64)
        counts = counts[counts > 0]
        number = np.repeat(np.arange(len(counts)), counts)
        table = table.iloc[np.lexsort((-table["pt"].to_numpy(), number))]
        integers, values = {}, {}
        for name in FEATURES:
            grid = grids[name]
            if grid is None:
                raise ValueError(f"{name}: an exact bound has no grid")
            integers[name] = to_integers(grid, table[name].to_numpy(np.float32)).astype(np.int64)
            values[name] = grid.levels(integers[name])
        return GriddedJets(integers, values, counts, grids["phi"], grids["eta"])  # type: ignore[arg-type]

    def __len__(self) -> int:
        return len(self.integers["pt"])

    @cached_property
    def starts(self) -> np.ndarray:
        """Where each event begins."""
        return np.cumsum(self.counts) - self.counts

    @cached_property
    def rank(self) -> np.ndarray:
        """How many jets of its event stand before each jet."""
        return np.arange(len(self)) - np.repeat(self.starts, self.counts)

    @cached_property
    def left(self) -> np.ndarray:
        """How many jets of its event there are from each jet on, itself among them."""
        return np.repeat(self.counts, self.counts) - self.rank

    def earlier(self, column: np.ndarray, lag: int = 1, otherwise: float = 0) -> np.ndarray:
        """A column of the jet that stands `lag` before each jet in its event; `otherwise` where there is none."""
        moved = np.concatenate([np.full(lag, otherwise, column.dtype), column])[: len(column)]
        return np.where(self.rank >= lag, moved, otherwise)

    def leading(self, column: np.ndarray, place: int, otherwise: float = 0) -> np.ndarray:
        """A column of the jet number `place` of each jet's event; `otherwise` for that jet and those before."""
        at = np.minimum(np.repeat(self.starts, self.counts) + place, len(self) - 1)
        return np.where(self.rank > place, column[at], otherwise)

    def sum_before(self, column: np.ndarray) -> np.ndarray:
        """The sum of a column over the jets before each jet in its event."""
        sums = np.cumsum(column) - column
        return np.where(self.rank > 0, sums - np.repeat(sums[self.starts], self.counts), 0)

    @cached_property
    def recoil(self) -> tuple[np.ndarray, np.ndarray]:
        """Minus the vector sum of the earlier jets' transverse momenta: its size in GeV, its azimuth in rad (0, 0)."""
        pt, phi = self.values["pt"], self.values["phi"]
        x, y = -self.sum_before(pt * np.cos(phi)), -self.sum_before(pt * np.sin(phi))
        return np.hypot(x, y), np.where(self.rank > 0, np.arctan2(y, x), 0.0)

    @cached_property
    def recoil_level(self) -> np.ndarray:
        """The level of phi at which the recoil points; 0 for the first jet of an event."""
        return np.where(self.rank > 0, self.phi_grid.quantize(self.recoil[1]), 0).astype(np.int64)

    @cached_property
    def phi_from_recoil(self) -> np.ndarray:
        """Levels of phi from the recoil on, the shorter way round; from phi = -pi for the first jet of an event."""
        half = self.phi_grid.count // 2
        return (self.integers["phi"] - self.recoil_level + half) % self.phi_grid.count - half

    @cached_property
    def drop(self) -> np.ndarray:
        """How many levels pt lies below that of the jet before; 0 for the first jet of an event."""
        pt = self.integers["pt"]
        return np.where(self.rank > 0, self.earlier(pt) - pt, 0)


def mirrored(table: pd.DataFrame) -> list[pd.DataFrame]:
    """A table of jets, and the same turned over in eta, in phi, and in both: nature knows no difference."""
    return [table.assign(eta=eta * table["eta"], phi=phi * table["phi"]) for eta in (1, -1) for phi in (1, -1)]
