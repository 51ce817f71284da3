"""Invertible normalizations of jets, from GeV and rad to numbers of order one.

Every normalization here is y = (f(x) - offset) / scale, column by column in the order m, pt, phi, eta, where f is the
identity or log10(x + shift). They differ in these numbers alone.
"""

import math
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Self, TypeVar

import numpy as np
import torch

from utils.files import Json
from utils.jets import FEATURES, MASSLESS, JetError

Array = TypeVar("Array", np.ndarray, torch.Tensor)

Columns = tuple[float, float, float, float]


@dataclass(frozen=True)
class Normalization:
    """Base of the normalizations; works on NumPy arrays and torch tensors of shape (jets, 4).

    Subclasses set `kind`, and `log_shift`: the shift s of log10(x + s) per column, None where f is the identity.
    """

    offset: Columns = (0.0, 0.0, 0.0, 0.0)
    scale: Columns = (1.0, 1.0, 1.0, 1.0)

    kind: ClassVar[str]
    log_shift: ClassVar[tuple[float | None, ...]] = (None, None, None, None)

    def fit(self, jets: np.ndarray) -> Self:
        """A copy fitted to the training jets, shape (jets, 4), in GeV and rad; fixed ones return themselves."""
        return self

    def normalize(self, jets: Array) -> Array:
        """From GeV and rad to normalized values.

        NumPy input outside the domain raises JetError naming the rows; so does any input without four columns.
        """
        self._check_columns(jets)
        if isinstance(jets, np.ndarray):
            self._check_domain(jets)
        return self._columns(jets, [self._forward(jets[:, i], i) for i in range(len(FEATURES))])

    def unnormalize(self, values: Array) -> Array:
        """From normalized values back to GeV and rad; the exact inverse of `normalize`."""
        self._check_columns(values)
        return self._columns(values, [self._backward(values[:, i], i) for i in range(len(FEATURES))])

    def slopes(self, jets: Array) -> Array:
        """Derivative of the jets' values (GeV, rad) by the normalized ones, at `jets`, shape (jets, 4)."""
        self._check_columns(jets)
        columns = []
        for i, shift in enumerate(self.log_shift):
            slope = jets[:, i] * 0 + 1 if shift is None else (jets[:, i] + shift) * math.log(10)
            columns.append(slope * self.scale[i])
        return self._columns(jets, columns)

    def to_dict(self) -> Json:
        """A JSON-safe description that `from_dict` turns back."""
        return {"kind": self.kind, "features": list(FEATURES)} | {
            field.name: list(getattr(self, field.name)) for field in fields(self)
        }

    @staticmethod
    def from_dict(description: Json) -> "Normalization":
        """Rebuild a normalization from `to_dict`; ValueError for an unknown kind, feature order or missing numbers."""
        if not isinstance(description, dict):
            raise ValueError(f"normalization: expected its description as a dict, found {description!r}")
        kinds = {cls.kind: cls for cls in (NoNormalization, StandardNormalization, CustomNormalization)}
        kind, features = description.get("kind"), description.get("features")
        if kind not in kinds:
            raise ValueError(f"unknown normalization {kind!r}; known: {sorted(kinds)}")
        if features != list(FEATURES):
            raise ValueError(f"normalization of the features {features}; expected {list(FEATURES)}")
        offset, scale = (_columns_from(description, name) for name in ("offset", "scale"))
        if 0 in scale:
            raise ValueError(f"normalization {kind!r}: scale holds a zero, {scale}")
        return kinds[kind](offset, scale)

    @staticmethod
    def _check_columns(values: Array) -> None:
        if values.ndim != 2 or values.shape[1] != len(FEATURES):
            raise JetError(f"expected jets of shape (jets, {len(FEATURES)}), found {tuple(values.shape)}")

    def _check_domain(self, jets: np.ndarray) -> None:
        for i, shift in enumerate(self.log_shift):
            if shift is None:
                continue
            bad = np.flatnonzero(~(jets[:, i] > -shift))
            if len(bad):
                shown = ", ".join(f"{row} ({jets[row, i]:g})" for row in bad[:5])
                more = ", ..." if len(bad) > 5 else ""
                raise JetError(
                    f"{self.kind} normalization needs {FEATURES[i]} > {0 - shift:g} GeV; "
                    f"{len(bad)} of {len(jets)} jets have not: rows {shown}{more}"
                )

    def _forward(self, column: Array, i: int) -> Array:
        xp: Any = torch if isinstance(column, torch.Tensor) else np
        shift = self.log_shift[i]
        if shift == 1.0:  # log1p and expm1 keep the digits of masses near zero
            column = xp.log1p(column) / math.log(10)
        elif shift is not None:
            column = xp.log10(column + shift)
        return (column - self.offset[i]) / self.scale[i]

    def _backward(self, column: Array, i: int) -> Array:
        xp: Any = torch if isinstance(column, torch.Tensor) else np
        shift = self.log_shift[i]
        column = column * self.scale[i] + self.offset[i]
        if shift == 1.0:
            column = xp.expm1(column * math.log(10))
        elif shift is not None:
            column = xp.exp(column * math.log(10)) - shift
        return column

    @staticmethod
    def _columns(like: Array, columns: list[Array]) -> Array:
        if isinstance(like, torch.Tensor):
            return torch.stack(columns, dim=1)
        return np.stack(columns, axis=1)


@dataclass(frozen=True)
class NoNormalization(Normalization):
    """The identity: raw GeV and rad."""

    kind: ClassVar[str] = "none"


@dataclass(frozen=True)
class StandardNormalization(Normalization):
    """(x - mean) / standard deviation, with the mean and standard deviation of the training jets."""

    scale: Columns = (math.nan, math.nan, math.nan, math.nan)

    kind: ClassVar[str] = "standard"

    def fit(self, jets: np.ndarray) -> Self:
        mean, std = jets.mean(axis=0, dtype=np.float64), jets.std(axis=0, dtype=np.float64)
        constant = [name for name, value in zip(FEATURES, std, strict=True) if not value > 0]
        if constant:
            raise JetError(f"standard normalization of {len(jets)} jets: {', '.join(constant)} does not vary")
        return replace(self, offset=tuple(mean.tolist()), scale=tuple(std.tolist()))

    def normalize(self, jets: Array) -> Array:
        self._require_fit()
        return super().normalize(jets)

    def unnormalize(self, values: Array) -> Array:
        self._require_fit()
        return super().unnormalize(values)

    def _require_fit(self) -> None:
        if math.isnan(self.scale[0]):
            raise ValueError("StandardNormalization must be fitted first: StandardNormalization().fit(training_jets)")


@dataclass(frozen=True)
class CustomNormalization(Normalization):
    """The study's own: log10(m + 1) / 1.8, (log10(pt) - 1.3) / 1.2, phi / 3, eta / 5, with m and pt in GeV.

    >>> jets = np.array([[9.0, 100.0, 1.5, -2.5]])
    >>> CustomNormalization().normalize(jets).round(4).tolist()
    [[0.5556, 0.5833, 0.5, -0.5]]
    >>> CustomNormalization().unnormalize(CustomNormalization().normalize(jets)).round(9).tolist()
    [[9.0, 100.0, 1.5, -2.5]]
    """

    offset: Columns = (0.0, 1.3, 0.0, 0.0)
    scale: Columns = (1.8, 1.2, 3.0, 5.0)

    kind: ClassVar[str] = "custom"
    log_shift: ClassVar[tuple[float | None, ...]] = (1.0, 0.0, None, None)


def _columns_from(description: Json, name: str) -> Columns:
    values = description.get(name)
    if isinstance(values, list) and len(values) == len(FEATURES):
        numbers = tuple(float(value) for value in values if isinstance(value, int | float))
        if len(numbers) == len(FEATURES) and all(math.isfinite(number) for number in numbers):
            return numbers  # type: ignore[return-value]
    raise ValueError(f"normalization {description['kind']!r}: {name} must be {len(FEATURES)} numbers, found {values!r}")


NORMALIZATIONS: dict[str, Normalization] = {
    cls.kind: cls() for cls in (NoNormalization, StandardNormalization, CustomNormalization)
}


def closure(normalization: Normalization, jets: np.ndarray) -> dict[str, float]:
    """Largest |inverse(normalize(x)) - x| of each column of jets (GeV, rad), relative to |x|, or to 1e-3 below that."""
    jets = np.asarray(jets, dtype=np.float64)
    error = np.abs(normalization.unnormalize(normalization.normalize(jets)) - jets)
    relative = (error / np.maximum(np.abs(jets), MASSLESS)).max(axis=0)
    return dict(zip(FEATURES, relative.tolist(), strict=True))
