"""Jets to integers on grids, every jet within its bounds.

A scheme is fitted once, on the first chunk, and then a constant: `to_dict` and `weights` are all that a file must hold
to decode. Columns are a dict of float32 arrays, one per quantity.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from utils.codec.bounds import Bounds
from utils.codec.grids import (
    GRID_LIMIT,
    CircularGrid,
    Grid,
    grid_from_dict,
    grid_to_dict,
    make_grid,
    to_integers,
    to_values,
)
from utils.codec.streams import PLAIN, SEARCHING
from utils.codec.violations import Arrays, Columns, find_violations, keep_exactly, restore_exactly
from utils.files import Json
from utils.jets import EVENT_COLUMNS, FEATURES
from utils.limits import require_form

FIT_JETS = 2**14
"""Jets of the first chunk that settings are fitted on, evenly spaced."""

RELATIONS = {
    "m": "integers of m = array m + floor(mass_slope_sixteenths * integers of pt / 16)",
    "pt": "with pt_drops: array pt for the first jet of an event, else that of the jet before it - array pt_drop",
    "exact": "where there are arrays <quantity>_exact: value[<quantity>_exact_index] = <quantity>_exact",
}
"""What a reader of the file undoes, in words."""

STEEPEST = 64
"""Largest `mass_slope` in sixteenths."""

_FORM = {
    "bounds": dict,
    "grids": dict.fromkeys(FEATURES, dict),
    "mass_slope_sixteenths": int,
    "pt_drops": bool,
}

_AMBIGUOUS = 1e-9
"""Predictions this close to the border of a cell, relative and absolute, are not trusted to round alike everywhere."""


@dataclass(frozen=True)
class BoundedScheme:
    """Every jet within `bounds`; with `EXACT` bounds, bit for bit.

    Two relations between the integers are used to store less, both undone exactly. m grows with pt: the mass's integer
    is stored minus floor(`mass_slope` / 16 * that of pt). Jets of an event usually stand in order of pt: with
    `pt_drops`, pt is stored for the first jet of each event, and for the others (array pt_drop) as the difference
    from the jet before. Values that the grid cannot hold are in the arrays <quantity>_exact, at the positions
    <quantity>_exact_index; quantities whose grid is None are stored as float32.
    """

    bounds: Bounds
    grids: dict[str, Grid | None]
    mass_slope: int = 0
    pt_drops: bool = False

    guaranteed: ClassVar[bool] = True

    @staticmethod
    def of(bounds: Bounds) -> "BoundedScheme":
        """The scheme with the coarsest grids that hold `bounds`."""
        return BoundedScheme(bounds, {name: make_grid(name, getattr(bounds, name)) for name in FEATURES})

    def fitted(self, columns: Columns, counts: np.ndarray) -> "BoundedScheme":
        """The scheme with the relations that these jets show."""
        grids, slope, drops = self.grids, 0, False
        if grids["pt"] is not None and len(columns["pt"]) > 1:
            later = _is_later(counts)[1:]
            falls = columns["pt"][1:] <= columns["pt"][:-1]
            drops = bool(later.any() and np.mean(falls[later]) > 0.9)
            every = slice(None, None, max(1, len(columns["pt"]) // FIT_JETS))
            if grids["m"] is not None and len(columns["pt"]) >= 256:
                pt, m = (to_integers(grids[name], _finite(columns[name][every])).astype(float) for name in ("pt", "m"))  # type: ignore[arg-type]
                inside = (m > 0) & (np.maximum(pt, m) < GRID_LIMIT)
                covariance = np.cov(pt[inside], m[inside]) if inside.sum() > 2 else np.zeros((2, 2))
                if covariance[0, 0] > 0:
                    slope = int(np.clip(np.rint(16 * covariance[0, 1] / covariance[0, 0]), 0, STEEPEST))
        return replace(self, mass_slope=slope, pt_drops=drops)

    def encode(
        self,
        columns: Columns,
        counts: np.ndarray,
        predicted: Columns | None = None,
        sources: Columns | None = None,
    ) -> tuple[Arrays, Columns]:
        """The arrays to store for a chunk with `counts` jets in its events, and the columns that they decode to.

        Jets are within the bounds of `sources`, the columns before they were rounded to float32. With `predicted`
        columns (float64), integers are stored as differences from theirs.
        """
        used = {name: grid for name, grid in self.grids.items() if grid is not None}
        bases = {name: _predicted_integers(grid, predicted[name]) for name, grid in used.items()} if predicted else {}
        integers, decoded, exact = self.quantize(
            columns, sources, {name: unsure for name, (_, unsure) in bases.items()}
        )
        for name, (base, _) in bases.items():
            integers[name] = _difference(used[name], integers[name], base)
            integers[name][exact[name]] = 0
        arrays = keep_exactly(columns, decoded, exact)
        arrays |= {name: (columns[name], SEARCHING) for name, grid in self.grids.items() if grid is None}
        if predicted is None and "pt" in integers:
            if self.mass_slope and "m" in integers:
                integers["m"] = integers["m"] - _scaled(integers["pt"], self.mass_slope)
            if self.pt_drops:
                later = _is_later(counts)
                drops = integers["pt"][:-1] - integers["pt"][1:]
                arrays["pt_drop"] = (drops[later[1:]], PLAIN)
                integers["pt"] = integers["pt"][~later]
        arrays |= {name: (values, PLAIN) for name, values in integers.items()}
        return arrays, decoded

    def quantize(
        self, columns: Columns, sources: Columns | None = None, unsure: Mapping[str, np.ndarray] | None = None
    ) -> tuple[Columns, Columns, dict[str, np.ndarray]]:
        """The integers of the quantities that have a grid, 0 where values are kept exactly; what all columns decode to,
        those values apart; and the positions of those values, `unsure` ones among them."""
        sources = sources or columns
        integers, decoded, exact = Columns(), dict(columns), dict[str, np.ndarray]()
        for name, grid in self.grids.items():
            if grid is not None:
                integers[name] = to_integers(grid, _finite(columns[name]))
                decoded[name] = to_values(grid, integers[name])
                found = find_violations(name, sources[name], decoded[name], getattr(self.bounds, name))
                exact[name] = np.union1d(found, unsure[name]) if unsure and name in unsure else found
                integers[name][exact[name]] = 0
        return integers, decoded, exact

    def decode(self, arrays: Columns, counts: np.ndarray, predicted: Columns | None = None) -> Columns:
        """The columns of a chunk from its arrays; ValueError where they have other types than `encode` gives them."""
        if wrong := [name for name, values in arrays.items() if values.dtype != self.type_of(name)]:
            raise ValueError(f"array {wrong[0]} holds {arrays[wrong[0]].dtype}")
        integers = {name: arrays[name] for name, grid in self.grids.items() if grid is not None}
        if predicted is None and "pt" in integers:
            if self.pt_drops:
                integers["pt"] = _undo_drops(integers["pt"], arrays["pt_drop"], counts)
            if self.mass_slope and "m" in integers:
                integers["m"] = integers["m"] + _scaled(integers["pt"], self.mass_slope)
        for name, grid in self.grids.items():
            if predicted is not None and grid is not None:
                integers[name] = _sum(grid, integers[name], _predicted_integers(grid, predicted[name])[0])
        return self.restore(integers, arrays)

    def restore(self, integers: Columns, arrays: Columns) -> Columns:
        """The columns that integers stand for, with what `arrays` keep exactly in its place."""
        columns = {
            name: arrays[name] if grid is None else to_values(grid, integers[name]) for name, grid in self.grids.items()
        }
        return restore_exactly(columns, arrays)

    def type_of(self, array: str) -> str:
        """The type of an array, by its name."""
        if array in EVENT_COLUMNS:
            return "int64"
        if array == "jets_per_event":
            return "int32"
        if array.endswith("_exact_index"):
            return "uint32"
        return "float32" if array.endswith("_exact") or self.grids.get(array, ...) is None else "int32"

    def to_dict(self) -> Json:
        """JSON-safe description."""
        return {
            "bounds": self.bounds.to_dict(),
            "grids": {name: grid_to_dict(grid) for name, grid in self.grids.items()},
            "mass_slope_sixteenths": self.mass_slope,
            "pt_drops": self.pt_drops,
            "relations": RELATIONS,
        }

    def weights(self) -> dict[str, np.ndarray]:
        """None."""
        return {}

    @staticmethod
    def from_dict(description: Json) -> "BoundedScheme":
        """Rebuild from `to_dict`; ValueError where it describes none."""
        require_form(description, _FORM, "codec")
        if not 0 <= description["mass_slope_sixteenths"] <= STEEPEST:
            raise ValueError(f"mass_slope_sixteenths outside of 0..{STEEPEST}")
        return BoundedScheme(
            Bounds.from_dict(description["bounds"]),
            {name: grid_from_dict(description["grids"][name]) for name in FEATURES},
            description["mass_slope_sixteenths"],
            description["pt_drops"],
        )


def _finite(values: np.ndarray) -> np.ndarray:
    finite = np.isfinite(values)
    return values if finite.all() else np.where(finite, values, np.float32(0))


def _is_later(counts: np.ndarray) -> np.ndarray:
    """Whether each jet has another of its event before it."""
    later = np.ones(int(counts.sum()), bool)
    later[(np.cumsum(counts) - counts)[counts > 0]] = False
    return later


def _undo_drops(first: np.ndarray, drops: np.ndarray, counts: np.ndarray) -> np.ndarray:
    counts = counts[counts > 0]
    fallen = np.zeros(int(counts.sum()), np.int32)
    fallen[_is_later(counts)] = drops
    fallen = np.cumsum(fallen, dtype=np.int32)
    starts = np.cumsum(counts) - counts
    return np.repeat(first + fallen[starts], counts) - fallen


def _scaled(integers: np.ndarray, sixteenths: int) -> np.ndarray:
    return ((integers.astype(np.int64) * sixteenths) >> 4).astype(np.int32)


def _predicted_integers(grid: Grid, predicted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Integers of a prediction, and the positions where another machine might round it to a neighbour."""
    values = np.nan_to_num(predicted, nan=0.0, posinf=1e30, neginf=-1e30)
    margin = _AMBIGUOUS * (1 + np.abs(values))
    below, above = to_integers(grid, values - margin), to_integers(grid, values + margin)
    ambiguous = (below != above) | ~np.isfinite(predicted) | (np.abs(below) >= GRID_LIMIT)
    return below, np.flatnonzero(ambiguous)


def _difference(grid: Grid, integers: np.ndarray, base: np.ndarray) -> np.ndarray:
    difference = integers - base
    if isinstance(grid, CircularGrid):
        half = grid.count // 2
        return ((difference + half) % grid.count - half).astype(np.int32)
    return difference


def _sum(grid: Grid, difference: np.ndarray, base: np.ndarray) -> np.ndarray:
    return (difference + base) % grid.count if isinstance(grid, CircularGrid) else difference + base
