"""Error bounds: the largest error allowed for each quantity."""

import math
import re
from dataclasses import asdict, dataclass

import numpy as np

from utils.files import Json
from utils.jets import FEATURES
from utils.limits import require_form

SMALLEST_BOUND = 1e-6
"""Relative bounds, and bounds in rad, below this come too near to the precision of float32 for a grid."""

_UNITS = {"GeV": 1.0, "MeV": 1e-3, "rad": 1.0, "mrad": 1e-3, "": 1.0}

_PART = re.compile(r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*(%|[A-Za-z]*)\s*")


@dataclass(frozen=True)
class ErrorBound:
    """The largest error allowed at a true value x: max(relative * |x|, absolute). Both zero: kept exactly."""

    relative: float = 0.0
    absolute: float = 0.0

    def __post_init__(self) -> None:
        if not (0 <= self.relative < 1 and 0 <= self.absolute < math.inf):
            raise ValueError(f"an error bound needs 0 <= relative < 100% and 0 <= absolute, found {self}")
        if 0 < self.relative < SMALLEST_BOUND:
            raise ValueError(
                f"a relative bound of {self.relative:g} is at the precision of float32; the smallest is "
                f"{SMALLEST_BOUND:g}, and 0 keeps every bit"
            )

    @property
    def exact(self) -> bool:
        """Whether nothing may change at all."""
        return self.relative == 0 and self.absolute == 0

    def at(self, true: np.ndarray) -> np.ndarray:
        """The bound for each true value, float64."""
        if self.relative == 0:
            return np.full(np.shape(true), self.absolute)
        return np.maximum(self.relative * np.abs(np.asarray(true, np.float64)), self.absolute)

    @staticmethod
    def parse(text: str, quantity: str) -> "ErrorBound":
        """Read a bound such as "1%", "1%,10MeV", "0.5GeV", "0.005" (phi, eta) or "0" (exact).

        m and pt take a relative and an absolute part, in either order; phi and eta one number. ValueError otherwise.

        >>> ErrorBound.parse("1%,10MeV", "m")
        ErrorBound(relative=0.01, absolute=0.01)
        """
        energy = quantity in ("m", "pt")
        example = '"1%", "10MeV" or "1%,10MeV"' if energy else '"0.005"' + (' or "5mrad"' if quantity == "phi" else "")
        allowed = ("%", "GeV", "MeV") if energy else ("", "rad", "mrad") if quantity == "phi" else ("",)
        found: dict[str, float] = {}
        for part in text.split(","):
            match = _PART.fullmatch(part)
            if match is None:
                raise ValueError(f"error bound of {quantity}: cannot read {text!r}; expected {example}")
            number, unit = float(match[1]), match[2]
            kind = "relative" if unit == "%" else "absolute"
            if unit not in allowed and number != 0:
                raise ValueError(f"error bound of {quantity}: {part.strip()!r} needs another unit; expected {example}")
            if kind in found:
                raise ValueError(f"error bound of {quantity}: two {kind} parts in {text!r}; expected {example}")
            found[kind] = number / 100 if unit == "%" else number * _UNITS.get(unit, 1.0)
        try:
            return ErrorBound(**found)
        except ValueError as error:
            raise ValueError(f"error bound of {quantity}: {error}") from error


@dataclass(frozen=True)
class Bounds:
    """The largest error of each quantity: relative and absolute parts (GeV) for m and pt, rad for phi."""

    m: ErrorBound = ErrorBound(0.01, 0.01)
    pt: ErrorBound = ErrorBound(0.01)
    phi: ErrorBound = ErrorBound(absolute=0.005)
    eta: ErrorBound = ErrorBound(absolute=0.005)

    def __post_init__(self) -> None:
        for name in ("phi", "eta"):
            bound = getattr(self, name)
            if bound.relative:
                raise ValueError(f"error bound of {name}: an angle has no relative bound, found {bound}")
            if 0 < bound.absolute < SMALLEST_BOUND:
                raise ValueError(
                    f"error bound of {name}: {bound.absolute:g} is at the precision of float32; the smallest is "
                    f"{SMALLEST_BOUND:g}, and 0 keeps every bit"
                )

    def to_dict(self) -> Json:
        """JSON-safe: quantity -> relative and absolute part."""
        return {name: asdict(getattr(self, name)) for name in FEATURES}

    @staticmethod
    def from_dict(description: Json) -> "Bounds":
        """Rebuild bounds from `to_dict`; ValueError where it describes none."""
        require_form(description, {name: {"relative": float, "absolute": float} for name in FEATURES}, "bounds")
        parts = {name: description[name] for name in FEATURES}
        return Bounds(**{name: ErrorBound(part["relative"], part["absolute"]) for name, part in parts.items()})


EXACT = Bounds(*(ErrorBound() for _ in FEATURES))
"""Bounds of the lossless codec."""
