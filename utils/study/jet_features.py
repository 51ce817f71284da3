"""What a density of jets is told: features of each jet, of those before it in its event, and the levels to be told."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from utils.study.gridded import GriddedJets

ORDER = ("pt", "eta", "phi", "m")
"""The order in which the quantities of a jet are told."""

TOWERS = 64
"""Towers of the calorimeter around the circle."""

REGIONS = ((0, 1, 0.1), (1, 1.5, 0.1), (1.5, 2.5, 0.1), (2.5, 3.3, 0.2), (3.3, 9, 0.2))
"""Regions of the calorimeter: |eta| from and to, and the width of a tower."""

FEATURES_OF = ("event", "jet", "pt_known", "eta_known", "phi_known")
"""Groups of features: what is known before a jet; a jet, for those after it; and of a jet what is told already."""


@dataclass(frozen=True)
class Ranges:
    """The lowest and highest integer of each quantity that a density knows of."""

    low: dict[str, int]
    high: dict[str, int]

    @staticmethod
    def of(*samples: GriddedJets) -> "Ranges":
        """Those of some samples together."""
        low, high = (
            {name: int(pick([pick(jets.integers[name]) for jets in samples])) for name in ORDER}
            for pick in (np.min, np.max)
        )
        return Ranges(low, high)

    def size(self, name: str) -> int:
        """How many integers there are from the lowest to the highest."""
        return self.high[name] - self.low[name] + 1


def jet_tensors(jets: GriddedJets, ranges: Ranges) -> dict[str, torch.Tensor]:
    """The features of jets by group, float32 (jets, features), and the levels to be told, int64 (jets,)."""
    groups = {"event": _event_features(jets)} | _own_features(jets, ranges)
    found = {name: torch.tensor(np.stack(parts, 1), dtype=torch.float32) for name, parts in groups.items()}
    first, pt = jets.rank == 0, jets.integers["pt"]
    levels = {
        "pt": np.where(first, ranges.high["pt"] - pt, jets.drop),
        "eta": jets.integers["eta"] - ranges.low["eta"],
        "phi": jets.integers["phi"],
        "m": jets.integers["m"] - ranges.low["m"],
        "room": _room(jets, ranges),
        "recoil": jets.recoil_level,
        "first": first,
    }
    return found | {name: torch.tensor(values.astype(np.int64)) for name, values in levels.items()}


def _room(jets: GriddedJets, ranges: Ranges) -> np.ndarray:
    """How many levels pt can lie below that of the jet before."""
    return np.where(jets.rank == 0, ranges.high["pt"], jets.earlier(jets.integers["pt"])) - ranges.low["pt"]


def _event_features(jets: GriddedJets) -> list[np.ndarray]:
    """How many jets there are and were, their sums, and the leading three and the last two of those before."""
    log_pt, (size, azimuth) = np.log(jets.values["pt"]), jets.recoil
    log_size, before = np.log(np.maximum(size, 1)), jets.earlier(log_pt, 1, 7.0)
    sum_pt = np.log(np.maximum(jets.sum_before(jets.values["pt"]), 1))
    found = [np.repeat(jets.counts, jets.counts) / 8 - 1, jets.rank / 8, jets.left / 8, np.log(jets.left) - 1]
    found += [jets.rank == 0, jets.rank == 1, jets.left == 1, log_size - 4, sum_pt - 5, before - 4, log_size - before]
    takes: list[tuple[Callable[..., np.ndarray], int]] = [(jets.leading, place) for place in range(3)]
    takes += [(jets.earlier, lag) for lag in (1, 2)]
    for take, place in takes:
        there, eta = take(np.ones(len(jets)), place), take(jets.values["eta"], place)
        angle = take(jets.values["phi"], place) - azimuth
        found += [there, there * np.cos(angle), there * np.sin(angle), eta / 2, np.abs(eta) / 2]
        found.append(there * (take(log_pt, place) - log_size))
    return found


def _own_features(jets: GriddedJets, ranges: Ranges) -> dict[str, list[np.ndarray]]:
    pt, eta, phi, m = (jets.values[name] for name in ORDER)
    log_pt, (size, azimuth) = np.log(pt), jets.recoil
    turned = phi - azimuth
    share = (jets.integers["pt"] - ranges.low["pt"]) / np.maximum(_room(jets, ranges), 1)
    log_m = np.log(np.abs(m) + 0.1)
    return {
        "jet": [log_pt - 4, eta / 2, np.abs(eta) / 2, np.cos(turned), np.sin(turned), log_m - 2],
        "pt_known": [log_pt - 4, log_pt - np.log(np.maximum(size, 1)), share],
        "eta_known": [eta / 2, np.abs(eta) / 2, *waves(np.pi * np.abs(eta) / 5, 6), *tower_waves(eta, 3)],
        "phi_known": [np.cos(turned), np.sin(turned), *waves(TOWERS * phi, 3)],
    }


def tower_waves(eta: np.ndarray, most: int) -> list[np.ndarray]:
    """Waves with the period of the towers, in each region of the calorimeter by itself."""
    size, found = np.abs(eta), []
    for low, high, width in REGIONS:
        inside = (size >= low) & (size < high)
        found += [wave * inside for wave in waves(2 * math.pi * size / width, most)]
    return found


def waves(angle: np.ndarray, most: int) -> list[np.ndarray]:
    """Cosine and sine of an angle and of its multiples, up to so many times."""
    return [wave(k * angle) for k in range(1, most + 1) for wave in (np.cos, np.sin)]
