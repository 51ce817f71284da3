"""What a branch may lose: nothing, up to an error bound, or mantissa bits; and the rounding that gains most in it."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

KINDS = ("exact", "stored", "bound", "bits", "drop")

SENTINELS = (-1, -2, -5, -9, -10, -20, -99, -100, -999, -1000, -9999, -10000, -99999, 999, 9999, 99999, 1e9)
"""Values that stand for none in columns of experiments; they come back as they are, as do zero, NaN and infinity."""

PI = float(np.float32(np.pi))
"""Where angles end in files, slightly beyond pi."""

_PART = re.compile(r"([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*(%|[A-Za-z]*)")

_PLAIN = {"": 1.0, "rad": 1.0, "mrad": 1e-3}

_ENERGIES = {"keV": 1e-6, "MeV": 1e-3, "GeV": 1.0, "TeV": 1e3}
"""In GeV."""


@dataclass(frozen=True)
class Bound:
    """What one branch may lose; `kind` is one of `KINDS`.

    "exact" and "stored" keep every bit ("stored" lets a container code the bits that the values use). "bound" allows an
    error of max(relative * |x|, absolute) at a true value x; "bits" keeps as many mantissa bits, rounded to nearest.
    "drop" leaves the branch out. Integers, booleans and strings are exact under every bound.
    """

    kind: str
    relative: float = 0.0
    absolute: float = 0.0
    bits: int = 0
    text: str = ""

    def __post_init__(self) -> None:
        if not (0 <= self.relative < 1 and 0 <= self.absolute < math.inf):
            raise ValueError(f"{self.text!r}: a bound needs 0 <= relative < 100% and 0 <= absolute")
        if self.kind not in KINDS or not (self.kind == "bits") <= self.bits <= 52:
            raise ValueError(f"{self.text!r}: expected one of {', '.join(KINDS)}, with 1 to 52 bits of the mantissa")

    @staticmethod
    def parse(text: str, unit: Callable[[], str] | None = None) -> "Bound":
        """Read "exact", "stored", "drop", "bits=10", or a bound such as "1%", "0.005", "1%,10MeV", "5mrad".

        A plain number is in the unit of the branch. `unit` tells that of the energies of the file, where the text names
        a unit of energy. ValueError for anything else.

        >>> Bound.parse("1%,10MeV", lambda: "GeV")
        Bound(kind='bound', relative=0.01, absolute=0.01, bits=0, text='1%,10MeV')
        """
        stripped = text.strip()
        if stripped in ("exact", "stored", "drop"):
            return Bound(stripped, text=stripped)
        if match := re.fullmatch(r"bits\s*=\s*(\d+)", stripped):
            return Bound("bits", bits=int(match[1]), text=stripped)
        parts: dict[str, float] = {}
        for part in stripped.split(","):
            match = _PART.fullmatch(part.strip())
            kind = "relative" if match and match[2] == "%" else "absolute"
            if match is None or kind in parts or not (match[2] in _PLAIN or match[2] in _ENERGIES or match[2] == "%"):
                raise ValueError(
                    f"{text!r}: expected exact, stored, drop, bits=10, or a bound such as 1%, 0.005, 1%,10MeV or 5mrad"
                )
            parts[kind] = float(match[1]) * _factor(match[2], unit)
        relative, absolute = (parts.get(kind, 0.0) for kind in ("relative", "absolute"))
        bound = Bound("bound", relative, absolute, text=stripped)
        return bound if relative or absolute else Bound("exact", text=stripped)

    @property
    def lossless(self) -> bool:
        """Whether every bit comes back."""
        return self.kind in ("exact", "stored")

    def at(self, true: np.ndarray) -> np.ndarray:
        """The largest error allowed for each finite true value, float64."""
        relative = 2.0 ** -(self.bits + 1) if self.kind == "bits" else self.relative
        return np.maximum(relative * np.abs(true.astype(np.float64)), self.absolute)


def _factor(unit: str, of_file: Callable[[], str] | None) -> float:
    if unit == "%":
        return 0.01
    if unit in _PLAIN:
        return _PLAIN[unit]
    if of_file is None:
        raise ValueError(f"a bound in {unit} needs a file whose energies have a unit; give it as a plain number")
    return _ENERGIES[unit] / _ENERGIES[of_file()]


def rounded(values: np.ndarray, bound: Bound) -> np.ndarray:
    """Floats of the same type on the coarsest grid of a power of two that a bound allows, so that compressors gain.

    The step is constant, or else that of a fixed number of mantissa bits, whichever is coarser: so order is kept, and
    what was equal stays equal. Zeros, sentinels and what is not finite keep their bits; so does a value that the grid
    would carry out of the range of its type, or of +-pi.
    """
    if bound.lossless:
        return values
    wide = values.astype(np.float64)
    with np.errstate(all="ignore"):
        if bound.kind == "bits":
            step = _mantissa_step(wide, bound.bits)
        else:
            step = np.full(wide.shape, 2.0 ** math.floor(math.log2(2 * bound.absolute)) if bound.absolute else 0.0)
            if bound.relative:
                np.maximum(step, _mantissa_step(wide, math.ceil(-math.log2(bound.relative)) - 1), out=step)
        near = (np.rint(wide / step) * step).astype(values.dtype)
    return np.where(kept(values, near, bound), values, near)


def kept(values: np.ndarray, near: np.ndarray, bound: Bound) -> np.ndarray:
    """Which values keep their bits, because those near to them are not within a bound, or because they mean none."""
    wide = values.astype(np.float64)
    with np.errstate(all="ignore"):
        keep = ~(np.abs(near.astype(np.float64) - wide) <= bound.at(wide)) | ~np.isfinite(wide)
        keep |= (np.abs(near) > PI) & (np.abs(wide) <= PI)
        keep |= (wide == 0) & (np.signbit(wide) != np.signbit(near))
    return keep | np.isin(wide, SENTINELS)


def _mantissa_step(values: np.ndarray, bits: int) -> np.ndarray:
    """The distance of numbers with so many mantissa bits, at each value."""
    return np.ldexp(1.0, np.frexp(values)[1] - 1 - bits)


@dataclass
class Errors:
    """The errors of a branch: of how many values, how many changed; the largest, and the largest share of a bound.

    `squares` sums the squares of the errors in units of the largest.
    """

    values: int = 0
    changed: int = 0
    largest: float = 0.0
    squares: float = 0.0
    share: float = 0.0

    def add(self, true: np.ndarray, found: np.ndarray, bound: Bound) -> bool:
        """Take note of more values; returns whether all are within the bound, bit for bit where nothing may change."""
        kind = f"V{true.dtype.itemsize}"
        same = true.view(kind) == found.view(kind)
        self.values += len(true)
        if bound.lossless or true.dtype.kind != "f" or same.all():
            return bool(same.all())
        before, after = true[~same].astype(np.float64), found[~same].astype(np.float64)
        if not (np.isfinite(before).all() and np.isfinite(after).all()) or np.isin(before, SENTINELS).any():
            return False
        errors, allowed = np.abs(after - before), bound.at(before)
        self._note(errors, allowed)
        return bool((errors <= allowed).all())

    def merge(self, other: "Errors") -> None:
        """Add the errors of other values of the same branch."""
        largest = max(self.largest, other.largest)
        if largest > 0:
            parts = ((errors.squares, errors.largest / largest) for errors in (self, other))
            self.squares = sum(squares * share**2 for squares, share in parts)
        self.values += other.values
        self.changed += other.changed
        self.largest, self.share = largest, max(self.share, other.share)

    def _note(self, errors: np.ndarray, allowed: np.ndarray) -> None:
        self.changed += len(errors)
        largest = max(self.largest, float(errors.max()))
        if largest > 0:
            self.squares = self.squares * (self.largest / largest) ** 2 + float(((errors / largest) ** 2).sum())
            self.largest = largest
        with np.errstate(divide="ignore", invalid="ignore"):
            self.share = max(self.share, float(np.nan_to_num(errors / allowed).max()))

    @property
    def typical(self) -> float:
        """The root mean square over all values."""
        return self.largest * math.sqrt(self.squares / self.values) if self.values else 0.0
