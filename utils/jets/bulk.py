"""What the bulk of jets says of the unit that their energies are in: never one jet alone."""

import numpy as np

from utils.jets.units import PER_GEV

BULK_JETS = 20
"""So many jets are a bulk; of fewer, the softest imaginable jet could be the typical one."""

SOFTEST, HARDEST = 2.0, 3500.0
"""GeV: no sample of jets has a median pt below or above. For fewer jets than a bulk, the first is half of this."""

ABOVE_BEAM = 0.05
"""The share of a bulk that broken jets, not a wrong unit, may bring above the beam; of fewer jets, half of them."""

BESIDE = {"m": (1e-3, 10.0), "e": (0.1, 100.0)}
"""Medians of a jet's mass over pt, and of its energy over momentum, that differ from these are of another unit."""


def plausible_units(pt: np.ndarray, p: np.ndarray, beam_energy: float) -> list[str]:
    """The units in which jets of such pt and momenta can be: neither softer than jets are, nor above the beam."""
    if len(pt) == 0:
        return []
    bulk = len(pt) >= BULK_JETS
    softest = SOFTEST if bulk else SOFTEST / 2
    typical, hardest = np.median(pt), np.quantile(p, 1 - ABOVE_BEAM if bulk else 0.5, method="lower")
    return [
        unit
        for unit, per_gev in PER_GEV.items()
        if softest <= typical / per_gev <= HARDEST and hardest / per_gev <= beam_energy
    ]


def unit_beside(role: str, unit: str, ratio: float, is_jet: bool) -> str:
    """The unit of a mass or an energy (`role`), where momenta are in `unit` and `ratio` is theirs in file units.

    It is another one where the ratio is absurd; too small a mass is no surprise for what is not called jet.
    """
    units = sorted(PER_GEV, key=lambda name: -PER_GEV[name])
    lowest, highest = BESIDE[role]
    too_small = is_jet and ratio < lowest and 10 * lowest <= 1000 * ratio < highest
    step = -1 if ratio > highest else 1 if too_small else 0
    other = units.index(unit) + step
    return units[other] if 0 <= other < len(units) else unit
