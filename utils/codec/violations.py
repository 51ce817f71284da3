"""Values that are not within their bounds: finding them, and keeping them exactly; and how near the others come."""

import numpy as np

from utils.codec.bounds import Bounds, ErrorBound
from utils.codec.grids import BLOCK
from utils.codec.streams import DIFFERENT, SEARCHING
from utils.files import Json
from utils.jets import FEATURES, MASS_LIMIT
from utils.metrics import absolute_error

Columns = dict[str, np.ndarray]

Arrays = dict[str, tuple[np.ndarray, Json]]
"""Arrays of a chunk by name, each with its PCodec settings."""

_LOWEST = {"pt": 0.0, "m": MASS_LIMIT}
"""Jets at or below these, in GeV, are refused by the project."""


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
