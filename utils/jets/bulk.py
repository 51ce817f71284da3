"""What the bulk of jets says of the unit that their energies are in: never one jet alone."""

import numpy as np

from utils.jets.units import PER_GEV

BULK_JETS = 20
"""So many jets are a bulk; of fewer, the softest imaginable jet could be the typical one."""

SOFTEST, HARDEST = 2.0, 3500.0
"""GeV: no sample of jets has a median pt below or above. For fewer jets than a bulk, the first is half of this."""

ABOVE_BEAM = 0.05
"""The share of a bulk that broken jets, not a wrong unit, may bring above the beam; of fewer jets, half of them."""

GUESSED = ("GeV", "MeV")
"""The units that jets can tell; TeV must be named or given."""

LIGHTEST, HEAVIEST = 1e-3, 10.0
"""No jets have a median mass above the second times their pt, and few below the first."""

ENERGIES = (0.1, 100.0)
"""The median of a jet's energy over its momentum cannot be below 1, nor far above."""


def plausible_units(pt: np.ndarray, p: np.ndarray, beam_energy: float) -> list[str]:
    """The units in which jets of such pt and momenta can be: neither softer than jets are, nor above the beam."""
    if len(pt) == 0:
        return []
    bulk = len(pt) >= BULK_JETS
    softest = SOFTEST if bulk else SOFTEST / 2
    typical, hardest = np.median(pt), np.quantile(p, 1 - ABOVE_BEAM if bulk else 0.5, method="lower")
    return [
        unit
        for unit in GUESSED
        if softest <= typical / PER_GEV[unit] <= HARDEST and hardest / PER_GEV[unit] <= beam_energy
    ]


def unit_beside(role: str, unit: str, ratio: float) -> str:
    """The unit of a mass or an energy (`role`), where momenta are in `unit` and `ratio` is theirs in file units.

    It is another one of `GUESSED` where the ratio is absurd.
    """
    lowest, highest = ENERGIES if role == "e" else (0.0, HEAVIEST)
    if ratio > highest and unit == "GeV":
        return "MeV"
    return "GeV" if ratio < lowest and unit == "MeV" else unit
