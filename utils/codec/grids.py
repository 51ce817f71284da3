"""Rounding with a guarantee: the integer grids that respect a bound.

A grid maps values to integers and integers back to levels. Every level is computed with additions and multiplications
of IEEE doubles alone, so the same integers give the same float32 values, bit for bit, on every machine. What a grid
cannot hold within the bound (out of its range, or spoiled by the rounding of the level to float32) the codec finds by
checking every jet, and stores exactly.
"""

import math
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from utils.codec.bounds import ErrorBound
from utils.files import Json
from utils.limits import require_form

GRID_LIMIT = 2**30
"""Integers stay below this in magnitude; values beyond are left to the exceptions."""

SMALLEST = 1e-30
"""Where a bound is relative alone, numbers below this are not told from zero by a grid."""

FINEST = 1e-12
"""Relative bounds below this are left to the exceptions."""

BLOCK = 2**14
"""Values worked on at a time, so that intermediate results stay in the cache."""


@dataclass(frozen=True)
class UniformGrid:
    """Levels q * step."""

    step: float

    kind: ClassVar[str] = "uniform"
    formula: ClassVar[str] = "value = q * step"

    def __post_init__(self) -> None:
        if not 0 < self.step < math.inf:
            raise ValueError(f"a grid has steps above 0, found {self.step}")

    def quantize(self, values: np.ndarray) -> np.ndarray:
        """The nearest level's integer for each finite value, float64 integers."""
        return np.rint(np.asarray(values, np.float64) * (1 / self.step))

    def levels(self, integers: np.ndarray) -> np.ndarray:
        """The values of integers, float64."""
        return np.asarray(integers, np.float64) * self.step


@dataclass(frozen=True)
class CircularGrid:
    """`count` levels spread evenly around the circle, -pi + (q + 1/2) * 2 pi / count; none outside (-pi, pi)."""

    count: int

    kind: ClassVar[str] = "circular"
    formula: ClassVar[str] = "value = -pi + (q + 0.5) * 2 * pi / count"

    def __post_init__(self) -> None:
        if not 1 <= self.count <= GRID_LIMIT:
            raise ValueError(f"a circle has 1 to {GRID_LIMIT} levels, found {self.count}")

    def quantize(self, values: np.ndarray) -> np.ndarray:
        """The nearest level's integer, 0..count-1, for each finite angle in rad; float64 integers."""
        integers = np.floor((np.asarray(values, np.float64) + np.pi) * (self.count / (2 * np.pi)))
        if len(integers) and (integers.min() < 0 or integers.max() >= self.count):
            integers %= self.count
        return integers

    def levels(self, integers: np.ndarray) -> np.ndarray:
        """The angles of integers in rad, float64."""
        return (np.asarray(integers, np.float64) + 0.5) * (2 * np.pi / self.count) - np.pi


@dataclass(frozen=True)
class RelativeGrid:
    """The fewest levels that hold max(relative * |x|, absolute) everywhere; symmetric, and 0 is a level.

    Cells are laid outwards from zero, each as wide as the bound lets it be. A level r serves the true values up to the
    x with x - r = max(relative * x, absolute), where the next cell begins, whose level lies as far above x again. So
    levels are equally spaced, 2 * absolute apart, up to the first, number `linear`, that is no less than
    absolute / relative - absolute, and from there each is (1 + relative) / (1 - relative) times the one before.
    """

    relative: float
    absolute: float
    linear: int = field(init=False)
    ratio: float = field(init=False)

    kind: ClassVar[str] = "relative"
    formula: ClassVar[str] = (
        "value = sign(q) * 2 * absolute * min(|q|, linear) * ratio ** max(|q| - linear, 0), "
        "ratio = (1 + relative) / (1 - relative)"
    )

    def __post_init__(self) -> None:
        if not (0 < self.relative < 1 and 0 < self.absolute < math.inf and self.absolute / self.relative < math.inf):
            raise ValueError(
                f"a grid has parts above 0, the relative one below 1, found {self.relative}, {self.absolute}"
            )
        knee = self.absolute / self.relative - self.absolute
        object.__setattr__(self, "linear", max(1, math.ceil(knee / (2 * self.absolute) * (1 - 1e-9))))
        object.__setattr__(self, "ratio", (1 + self.relative) / (1 - self.relative))

    def quantize(self, values: np.ndarray) -> np.ndarray:
        """The integer of the cell that holds each finite value, float64 integers."""
        values = np.asarray(values, np.float64)
        size = np.abs(values)
        end_of_linear = 2 * self.absolute * self.linear / (1 - self.relative)
        scale = 1 / math.log(self.ratio)
        beyond = np.log(np.maximum(size, self.absolute))
        beyond *= scale
        beyond += 1 - math.log(end_of_linear) * scale
        np.floor(beyond, out=beyond)
        np.maximum(beyond, 0, out=beyond)
        size *= 1 / (2 * self.absolute)
        np.rint(size, out=size)
        np.minimum(size, self.linear, out=size)
        size += beyond
        return np.copysign(size, values, out=size)

    def levels(self, integers: np.ndarray) -> np.ndarray:
        """The values of integers, float64; infinite where the level leaves the range."""
        integers = np.asarray(integers, np.int64)
        size = np.abs(integers)
        beyond = np.maximum(size - self.linear, 0)
        with np.errstate(over="ignore"):
            fine = np.cumprod(np.r_[1.0, np.full(1023, self.ratio)])
            coarse = np.cumprod(np.r_[1.0, np.full(int(beyond.max(initial=0)) >> 10, fine[-1] * self.ratio)])
            values = np.minimum(size, self.linear) * (2 * self.absolute) * coarse[beyond >> 10] * fine[beyond & 1023]
        return np.copysign(values, integers)

    def __reduce__(self) -> Any:
        return RelativeGrid, (self.relative, self.absolute)


Grid = UniformGrid | CircularGrid | RelativeGrid

_PARAMETERS = {UniformGrid: ("step",), CircularGrid: ("count",), RelativeGrid: ("relative", "absolute")}

_TYPES = {"step": float, "count": int, "relative": float, "absolute": float}


def make_grid(quantity: str, bound: ErrorBound) -> Grid | None:
    """The coarsest grid that holds `bound` for a quantity; None where it must be kept exactly.

    Steps are narrower than the bound allows by the rounding of the output to float32: half a unit in the last place,
    taken at |eta| = 8 and at phi = pi, but never by more than a quarter of the bound.
    """
    if bound.exact:
        return None
    if quantity == "phi":
        step = 2 * (bound.absolute - min(bound.absolute / 4, 2**-22))
        return CircularGrid(max(1, math.ceil(2 * math.pi / step)))
    if quantity == "eta":
        return UniformGrid(2 * (bound.absolute - min(bound.absolute / 4, 2**-21)))
    return grid_of(bound.relative, bound.absolute or bound.relative * 1e-3)


def grid_of(relative: float, absolute: float) -> Grid:
    """The coarsest grid with errors of at most max(relative * |x|, absolute), but for the rounding to float32.

    That is left a part of a relative bound, half a unit in the last place; where it spoils an absolute one, whoever
    uses the grid finds the values, and keeps them.
    """
    relative -= min(relative / 4, 2**-23)
    if relative < FINEST:
        return UniformGrid(2 * max(absolute, SMALLEST) * (1 - 2**-20))
    return RelativeGrid(relative, absolute * (1 - 2**-20) if absolute else relative * SMALLEST)


def grid_to_dict(grid: Grid | None) -> Json:
    """JSON-safe description of a grid, its formula included; kind "exact" for None."""
    if grid is None:
        return {"kind": "exact", "formula": "value = q"}
    parameters = {name: getattr(grid, name) for name in _PARAMETERS[type(grid)]}
    derived = {"linear": grid.linear} if isinstance(grid, RelativeGrid) else {}
    return {"kind": grid.kind} | parameters | derived | {"formula": grid.formula}


def grid_from_dict(description: Json) -> Grid | None:
    """Rebuild a grid from `grid_to_dict`; ValueError where it describes none."""
    require_form(description, {"kind": str}, "grid")
    if description["kind"] == "exact":
        return None
    kinds: Json = {kind.kind: kind for kind in (UniformGrid, CircularGrid, RelativeGrid)}
    if description["kind"] not in kinds:
        raise ValueError(f"grid: unknown kind {description['kind']!r}; known: exact, {', '.join(kinds)}")
    kind = kinds[description["kind"]]
    require_form(description, {name: _TYPES[name] for name in _PARAMETERS[kind]}, "grid")
    return kind(*(description[name] for name in _PARAMETERS[kind]))


def to_integers(grid: Grid, values: np.ndarray) -> np.ndarray:
    """Quantize finite values; int32, clipped to +-`GRID_LIMIT` where they leave the grid's range."""
    integers = np.empty(len(values), np.int32)
    for start in range(0, len(values), BLOCK):
        with np.errstate(over="ignore"):
            block = grid.quantize(values[start : start + BLOCK])
        np.minimum(block, GRID_LIMIT, out=block)
        np.maximum(block, -GRID_LIMIT, out=block)
        integers[start : start + BLOCK] = block
    return integers


def to_values(grid: Grid, integers: np.ndarray, dtype: Any = np.float32) -> np.ndarray:
    """The levels of integers; looked up in a table where the integers span few enough levels."""
    if len(integers) == 0:
        return np.empty(0, dtype)
    low, high = int(integers.min()), int(integers.max())
    with np.errstate(over="ignore"):
        if high - low < max(len(integers), 2**12):
            table = grid.levels(np.arange(low, high + 1)).astype(dtype)
            values = np.empty(len(integers), dtype)
            for start in range(0, len(integers), BLOCK):
                places = integers[start : start + BLOCK].astype(np.intp)
                places -= low
                table.take(places, out=values[start : start + BLOCK], mode="clip")
            return values
        return grid.levels(integers).astype(dtype)
