"""Jets to integers on grids, every jet within its bounds.

A scheme is fitted once, on the first chunk, and then a constant: `to_dict` and `weights` are all that a file must hold
to decode. Columns are a dict of float32 arrays, one per quantity.
"""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from utils.codec.bounds import Bounds, ErrorBound
from utils.codec.grids import (
    BLOCK,
    GRID_LIMIT,
    CircularGrid,
    Grid,
    grid_from_dict,
    grid_to_dict,
    make_grid,
    to_integers,
    to_values,
)
from utils.codec.streams import DIFFERENT, PLAIN, SEARCHING
from utils.files import Json
from utils.jets import EVENT_COLUMNS, FEATURES, MASS_LIMIT
from utils.limits import require_form
from utils.metrics import absolute_error

Columns = dict[str, np.ndarray]

Arrays = dict[str, tuple[np.ndarray, Json]]
"""Arrays of a chunk by name, each with its PCodec settings."""

FIT_JETS = 2**14
"""Jets of the first chunk that settings are fitted on, evenly spaced."""

RELATIONS = {
    "m": "integers of m = array m + floor(mass_slope_sixteenths * integers of pt / 16)",
    "pt": "with pt_drops: array pt for the first jet of an event, else that of the jet before it - array pt_drop",
    "exact": "where there are arrays <quantity>_exact: value[<quantity>_exact_index] = <quantity>_exact",
}
"""What a reader of the file undoes, in words."""

_LOWEST = {"pt": 0.0, "m": MASS_LIMIT}
"""Jets at or below these, in GeV, are refused by the project."""

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
        sources = sources or columns
        arrays: Arrays = {}
        decoded: Columns = {}
        integers: Columns = {}
        for name, grid in self.grids.items():
            true = columns[name]
            if grid is None:
                decoded[name] = true
                arrays[name] = (true, SEARCHING)
                continue
            integers[name] = to_integers(grid, _finite(true))
            decoded[name] = to_values(grid, integers[name])
            exact = find_violations(name, sources[name], decoded[name], getattr(self.bounds, name))
            if predicted is not None:
                base, ambiguous = _predicted_integers(grid, predicted[name])
                integers[name] = _difference(grid, integers[name], base)
                exact = np.union1d(exact, ambiguous)
            integers[name][exact] = 0
            arrays |= keep_exactly(columns, decoded, {name: exact})
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

    def decode(self, arrays: Columns, counts: np.ndarray, predicted: Columns | None = None) -> Columns:
        """The columns of a chunk from its arrays; ValueError where they have other types than `encode` gives them."""
        if wrong := [name for name, values in arrays.items() if values.dtype != self._type_of(name)]:
            raise ValueError(f"array {wrong[0]} holds {arrays[wrong[0]].dtype}")
        columns: Columns = {}
        integers = {name: arrays[name] for name, grid in self.grids.items() if grid is not None}
        if predicted is None and "pt" in integers:
            if self.pt_drops:
                integers["pt"] = _undo_drops(integers["pt"], arrays["pt_drop"], counts)
            if self.mass_slope and "m" in integers:
                integers["m"] = integers["m"] + _scaled(integers["pt"], self.mass_slope)
        for name, grid in self.grids.items():
            if grid is None:
                columns[name] = arrays[name]
                continue
            if predicted is not None:
                base, _ = _predicted_integers(grid, predicted[name])
                integers[name] = _sum(grid, integers[name], base)
            columns[name] = to_values(grid, integers[name])
        return restore_exactly(columns, arrays)

    def _type_of(self, array: str) -> str:
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


def keep_exactly(columns: Columns, decoded: Columns, positions: dict[str, np.ndarray]) -> Arrays:
    """Put the true values of some positions into the decoded columns; returns the arrays for `restore_exactly`."""
    arrays: Arrays = {}
    for name, exact in positions.items():
        if len(exact):
            decoded[name][exact] = columns[name][exact]
            arrays[f"{name}_exact_index"] = (exact.astype(np.uint32), DIFFERENT)
            arrays[f"{name}_exact"] = (columns[name][exact], SEARCHING)
    return arrays


def restore_exactly(columns: Columns, arrays: Columns) -> Columns:
    """The columns with the values that were kept exactly in their places."""
    for name in columns:
        if f"{name}_exact" in arrays:
            columns[name][arrays[f"{name}_exact_index"]] = arrays[f"{name}_exact"]
    return columns


def find_violations(quantity: str, true: np.ndarray, reconstructed: np.ndarray, bound: ErrorBound) -> np.ndarray:
    """Positions where `reconstructed` is not within `bound` of `true`, or is no jet that the project can use.

    Differences are exact in float64, and taken around the circle for phi. Values that are not finite
    never pass; neither does a pt that vanishes or a mass that falls to the limit below which jets are refused.
    """
    found = []
    for start in range(0, len(true), BLOCK):
        with np.errstate(invalid="ignore"):
            x = np.asarray(true[start : start + BLOCK], np.float64)
        y = reconstructed[start : start + BLOCK]
        error = absolute_error(quantity, x, y)
        good = (error <= bound.at(x)) & (error < np.inf)
        if not good.all():
            found.append(np.flatnonzero(~good) + start)
        if quantity in _LOWEST and len(y) and y.min() <= _LOWEST[quantity]:
            found.append(np.flatnonzero((y <= _LOWEST[quantity]) & (x > _LOWEST[quantity])) + start)
    return np.unique(np.concatenate(found)) if found else np.empty(0, np.int64)


def errors_of_bound(bounds: Bounds, true: Columns, decoded: Columns) -> dict[str, float]:
    """The largest error of each quantity in units of its bound at that jet; quantities that are kept exactly left out.

    >>> from utils.codec import Bounds, ErrorBound
    >>> jets = {name: np.array([10.0, 2000.0], np.float32) for name in ("m", "pt", "phi", "eta")}
    >>> bounds = Bounds(ErrorBound(), ErrorBound(0.01, 0.2), ErrorBound(), ErrorBound())
    >>> errors_of_bound(bounds, jets, jets | {"pt": jets["pt"] + np.float32(0.125)})
    {'pt': 0.625}
    """
    largest = {}
    for name in FEATURES:
        bound = getattr(bounds, name)
        if bound.exact:
            continue
        share = 0.0
        for start in range(0, len(true[name]), BLOCK):
            with np.errstate(invalid="ignore"):
                x = np.asarray(true[name][start : start + BLOCK], np.float64)
            error = absolute_error(name, x, decoded[name][start : start + BLOCK])
            allowed = bound.at(x) if bound.relative else bound.absolute
            parts = np.divide(error, allowed, out=np.zeros_like(error), where=error > 0)  # NaN is kept exactly
            share = max(share, float(parts.max(initial=0.0)))
        largest[name] = round(share, 6)
    return largest


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
