"""Errors of reconstructed jets, in the units that a physicist reads."""

import numpy as np
import pandas as pd

from utils.jets import FEATURES, MASSLESS, wrap_angle

RESIDUAL_UNITS = {"m": "relative", "pt": "relative", "phi": "rad", "eta": ""}


def delta_phi(reconstructed: np.ndarray, true: np.ndarray) -> np.ndarray:
    """reconstructed - true the shorter way round, within +-pi, in rad, float64.

    >>> delta_phi(np.array([-3.1]), np.array([3.1])).round(3).tolist()
    [0.083]
    """
    return wrap_angle(np.asarray(reconstructed, np.float64) - true)


def residuals(true: np.ndarray, reconstructed: np.ndarray) -> pd.DataFrame:
    """Residuals of jets of shape (jets, 4) in GeV and rad, one column per feature, float64.

    m and pt: (reconstructed - true) / true, NaN for the mass of a massless jet (|m| < 1 MeV), which has no relative
    error. phi: the wrapped difference in rad. eta: the difference.
    """
    true = np.asarray(true, dtype=np.float64)
    reconstructed = np.asarray(reconstructed, dtype=np.float64)
    if true.shape != reconstructed.shape:
        raise ValueError(f"true jets have shape {true.shape}, reconstructed {reconstructed.shape}")
    difference = reconstructed - true
    difference[:, FEATURES.index("phi")] = delta_phi(
        reconstructed[:, FEATURES.index("phi")], true[:, FEATURES.index("phi")]
    )
    m, pt = FEATURES.index("m"), FEATURES.index("pt")
    difference[:, pt] /= true[:, pt]
    massive = np.abs(true[:, m]) >= MASSLESS
    difference[:, m] = np.divide(difference[:, m], true[:, m], out=np.full(len(true), np.nan), where=massive)
    return pd.DataFrame(difference, columns=list(FEATURES))


def mean_squared_error(true: np.ndarray, reconstructed: np.ndarray) -> float:
    """Mean over jets and features of the squared difference, in the space in which both are given."""
    difference = np.asarray(reconstructed, dtype=np.float64) - np.asarray(true, dtype=np.float64)
    return float(np.mean(difference**2))


def count_massless(table: pd.DataFrame) -> dict[str, int]:
    """Jets of a table with |m| < 1 MeV, and how many masses are exactly zero or negative."""
    m = table["m"].to_numpy()
    return {
        "massless": int(np.sum(np.abs(m) < MASSLESS)),
        "of these exactly zero": int(np.sum(m == 0)),
        "negative": int(np.sum(m < 0)),
    }


def published_residuals(true: np.ndarray, reconstructed: np.ndarray) -> pd.DataFrame:
    """Residuals by the recipe of the published tables, one column per feature: to reproduce those, for nothing else.

    (reconstructed - true) / true of every column, angles included and unwrapped, for jets of shape (jets, 4); 1 is
    added to each true mass below 1e-3 first, in whichever unit the masses are.
    """
    true = np.array(true, dtype=np.float64)
    m = FEATURES.index("m")
    true[true[:, m] < MASSLESS, m] += 1
    return pd.DataFrame((np.asarray(reconstructed, np.float64) - true) / true, columns=list(FEATURES))


def absolute_error(quantity: str, true: np.ndarray, reconstructed: np.ndarray) -> np.ndarray:
    """|reconstructed - true|, float64; the shorter way round for phi. NaN where a value is not finite."""
    with np.errstate(invalid="ignore"):
        error = np.subtract(reconstructed, true, dtype=np.float64)
        np.abs(error, out=error)
        if quantity == "phi" and len(error) and not error.max() <= np.pi:
            error = np.abs(wrap_angle(error))
    return error
