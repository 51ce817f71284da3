"""What a set of residuals says: bias, width and tails."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from utils.files import Json
from utils.jets import JetError
from utils.metrics.errors import RESIDUAL_UNITS, residuals

CENTRAL_68 = (0.16, 0.5, 0.84)
"""Probabilities of the quantiles around the central 68%, and of the median."""


@dataclass(frozen=True)
class Resolution:
    """Bias, width and tails of the residuals of one quantity, in `unit` ("relative", "rad" or "").

    `jets` were counted, `masked` left out (massless ones for m). `mean` and `median` are the bias, `half_width_68` half
    of the distance between the 16% and 84% quantiles, `q99` and `max` of the absolute residual; NaN where no jet was
    counted. `max_absolute` is the largest absolute error of m and pt in GeV, NaN where nobody asked.
    """

    unit: str
    jets: int
    masked: int
    mean: float = math.nan
    median: float = math.nan
    half_width_68: float = math.nan
    q99: float = math.nan
    max: float = math.nan
    max_absolute: float = math.nan

    def to_dict(self) -> Json:
        """JSON-safe, without what is NaN."""
        return {key: value for key, value in asdict(self).items() if value == value}


def central_68(values: ArrayLike) -> tuple[float, float, float]:
    """The 16%, 50% and 84% quantiles of some numbers."""
    low, median, high = np.quantile(np.asarray(values, np.float64), CENTRAL_68).tolist()
    return low, median, high


def median_and_width(values: ArrayLike) -> tuple[float, float]:
    """Median, and half of the width of the central 68%, of some numbers."""
    low, median, high = central_68(values)
    return median, (high - low) / 2


def resolutions(true: np.ndarray, reconstructed: np.ndarray) -> dict[str, Resolution]:
    """The resolution of each feature of jets of shape (jets, 4) in GeV and rad; see `residuals`.

    Raises JetError where a quantity has no residual: no jets, or massless ones alone.
    """
    found = {}
    for name, column in residuals(true, reconstructed).items():
        values = column.dropna().to_numpy()
        if not len(values):
            raise JetError(f"no {name} residual in {len(column)} jets (massless jets have no relative mass residual)")
        median, width = median_and_width(values)
        size = np.abs(values)
        found[str(name)] = Resolution(
            unit=RESIDUAL_UNITS[str(name)],
            jets=len(values),
            masked=len(column) - len(values),
            mean=float(values.mean()),
            median=median,
            half_width_68=width,
            q99=float(np.quantile(size, 0.99)),
            max=float(size.max()),
        )
    return found


def resolution_table(true: np.ndarray, reconstructed: np.ndarray) -> pd.DataFrame:
    """`resolutions` as a table, one row a quantity, with the fields of `Resolution` as columns.

    >>> true = np.array([[5.0, 50.0, 3.1, 0.0], [10.0, 100.0, 0.0, 1.0]])
    >>> table = resolution_table(true, true * [1.0, 1.02, 1.0, 1.0])
    >>> print(table.loc["pt", "median"].round(4), table.loc["m", "max"])
    0.02 0.0
    """
    rows = {name: resolution.to_dict() for name, resolution in resolutions(true, reconstructed).items()}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("quantity")


def read_resolutions(rows: Iterable[Mapping[str, Any]]) -> dict[str, Resolution]:
    """The resolutions in a row of `evaluate`, by quantity; what else a row says of a quantity is left out."""
    names = {field.name for field in fields(Resolution)}
    return {row["quantity"]: Resolution(**{k: v for k, v in row.items() if k in names}) for row in rows}
