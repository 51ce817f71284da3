"""Jets as m, pt, phi, eta in GeV and rad from whatever columns a file has of them."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from utils.jets.units import PER_GEV

SPACELIKE_TOLERANCE = 1e-3
"""E^2 may lie below p^2 by this fraction of it, from rounding (six digits of text leave 1e-5); the mass is then 0."""


@dataclass(frozen=True)
class Kinematics:
    """m, pt, phi, eta of jets in GeV and rad, float64, and what is wrong with jets that are no numbers.

    `masked` jets have no value in the file; those that are `lacking` have less energy than momentum. `spacelike` ones,
    in number, had E^2 < p^2 by rounding, and `restored` ones had no mass but an energy.
    """

    features: list[np.ndarray]
    masked: np.ndarray
    lacking: np.ndarray
    spacelike: int
    restored: int


def kinematics_of(values: Mapping[str, np.ndarray], units: Mapping[str, str]) -> Kinematics:
    """Jets from the columns of a collection, whose energies are in `units` by role.

    From an energy, where there is no mass, m = sqrt(E^2 - p^2). Where E^2 < p^2 within `SPACELIKE_TOLERANCE`, rounding
    hides a mass that is too small to see: m = 0.
    """
    per_gev = PER_GEV[next(iter(units.values()))]
    wide, masks = {}, {}
    for role, column in values.items():
        with np.errstate(invalid="ignore"):  # of signalling NaNs
            wide[role] = np.ma.filled(np.ma.asarray(column, np.float64), np.nan)
        masks[role] = np.ma.getmaskarray(column)
        if role in units and PER_GEV[units[role]] != per_gev:
            wide[role] = wide[role] * (per_gev / PER_GEV[units[role]])
    with np.errstate(all="ignore"):
        if "pt" in wide:
            pt, phi, eta = wide["pt"], wide["phi"], wide["eta"]
        else:
            pt = np.hypot(wide["px"], wide["py"])
            phi, eta = np.arctan2(wide["py"], wide["px"]), np.arcsinh(wide["pz"] / pt)
        m = wide.get("m", np.full(len(pt), np.nan))
        lacking = np.zeros(len(pt), bool)
        spacelike = restored = 0
        if "e" in wide and (unknown := np.isnan(m)).any():
            p2 = (pt * np.cosh(eta)) ** 2 if "pt" in wide else wide["px"] ** 2 + wide["py"] ** 2 + wide["pz"] ** 2
            m2 = wide["e"] ** 2 - p2
            lacking = unknown & ((m2 < -SPACELIKE_TOLERANCE * p2) | (wide["e"] < 0))
            spacelike = int(np.count_nonzero(unknown & ~lacking & (m2 < 0)))
            m = np.where(unknown, np.sqrt(np.where((m2 < 0) & ~lacking, 0.0, m2)), m)
            m[lacking] = np.nan
            restored = int(np.count_nonzero(unknown & np.isfinite(m))) if "m" in wide else 0
        for role in {"m", "e"} & masks.keys():
            masks[role] = masks[role] & np.isnan(m)
        masked = np.any(list(masks.values()), axis=0)
        return Kinematics([m / per_gev, pt / per_gev, phi, eta], masked, lacking, spacelike, restored)
