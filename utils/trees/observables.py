"""What a jet analysis would see before and after: dijet mass, HT, multiplicities, b tags, and which events moved."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import awkward as ak
import numpy as np
import vector

from utils.files import Json
from utils.trees.bounds import Bound
from utils.trees.read import Chunk

PT_MIN = 30.0
"""GeV: the jets that are counted."""

WORKING_POINTS = {
    "btagDeepFlavB": (0.0490, 0.2783, 0.7100),
    "btagDeepB": (0.1208, 0.4168, 0.7665),
    "btagCSVV2": (0.5426, 0.8484, 0.9535),
    "btagPNetB": (0.0470, 0.2450, 0.6734),
    "btagRobustParTAK4B": (0.0849, 0.4319, 0.8482),
    "btagUParTAK4B": (0.0246, 0.1272, 0.4648),
}
"""Loose, medium and tight cuts of CMS taggers: of 2018 (the first two), 2016, 2022 (two), 2024."""

LISTED = 100
"""Events that are listed of those in which a count changed."""


@dataclass
class Counted:
    """A number of jets an event, before and after; events in which it changed, and those that no bound explains."""

    before: int = 0
    after: int = 0
    changed: int = 0
    unexplained: int = 0
    events: list[int] = field(default_factory=list)

    def to_dict(self, entries: int) -> Json:
        """JSON-safe."""
        return {
            "before": self.before,
            "after": self.after,
            "events": entries,
            "events_changed": self.changed,
            "events_unexplained": self.unexplained,
            "changed": self.events,
        }


@dataclass
class Measured:
    """A number of each event, before and after: sums, and the largest change."""

    events: int = 0
    before: float = 0.0
    after: float = 0.0
    largest: float = 0.0
    largest_relative: float = 0.0

    def add(self, before: np.ndarray, after: np.ndarray) -> None:
        """Take note of more events; those where it is no number are left aside."""
        usable = np.isfinite(before) & np.isfinite(after)
        before, after = before[usable], after[usable]
        self.events += len(before)
        self.before += float(before.sum())
        self.after += float(after.sum())
        if len(before):
            change = np.abs(after - before)
            self.largest = max(self.largest, float(change.max()))
            self.largest_relative = max(self.largest_relative, float((change / np.maximum(np.abs(before), 1e-3)).max()))

    def to_dict(self) -> Json:
        """JSON-safe: means, and the largest change, absolute and relative."""
        count = max(self.events, 1)
        return {
            "events": self.events,
            "mean_before": self.before / count,
            "mean_after": self.after / count,
            "largest_change": self.largest,
            "largest_relative_change": self.largest_relative,
        }


class Observables:
    """Accumulates what a jet analysis sees, from the columns of jets by role and the tag scores beside them."""

    def __init__(self, roles: Mapping[str, str], per_gev: float, tags: Mapping[str, tuple[float, ...]]) -> None:
        self.roles, self.per_gev, self.tags = roles, per_gev, tags
        self.measured = {"HT": Measured(), "leading dijet mass": Measured()}
        self.counted: dict[str, Counted] = {f"jets above {PT_MIN:g} GeV": Counted()}
        self.entries = 0

    @property
    def columns(self) -> list[str]:
        """The columns that it needs."""
        return [*self.roles.values(), *self.tags]

    def add(self, before: Chunk, after: Chunk, bounds: Mapping[str, Bound]) -> None:
        """Take note of the same entries before and after."""
        old, new = (self._jets(chunk) for chunk in (before, after))
        for name, function in {"HT": _ht, "leading dijet mass": _dijet_mass}.items():
            self.measured[name].add(function(old), function(new))
        cut = PT_MIN * self.per_gev
        pt_old, pt_new = (ak.Array(chunk[self.roles["pt"]]) for chunk in (before, after))
        near_pt = _near(pt_old, cut, bounds[self.roles["pt"]])
        name = next(iter(self.counted))
        self._count(name, ak.sum(pt_old > cut, axis=1), ak.sum(pt_new > cut, axis=1), near_pt)
        for tag, points in self.tags.items():
            score_old, score_new = (ak.Array(chunk[tag]) for chunk in (before, after))
            for point in points:
                self._count(
                    f"{tag} above {point:g}",
                    ak.sum((pt_old > cut) & (score_old > point), axis=1),
                    ak.sum((pt_new > cut) & (score_new > point), axis=1),
                    near_pt | _near(score_old, point, bounds[tag]),
                )
        self.entries += len(pt_old)

    def dijet_masses(self, chunk: Chunk) -> np.ndarray:
        """Invariant mass in GeV of the two hardest jets of each entry, NaN where there are fewer."""
        return _dijet_mass(self._jets(chunk))

    def _count(self, name: str, before: ak.Array, after: ak.Array, near: np.ndarray) -> None:
        counted = self.counted.setdefault(name, Counted())
        counted.before += int(ak.sum(before))
        counted.after += int(ak.sum(after))
        changed = ak.to_numpy(before != after)
        counted.changed += int(changed.sum())
        counted.unexplained += int((changed & ~near).sum())
        room = LISTED - len(counted.events)
        counted.events += [int(entry) + self.entries for entry in np.flatnonzero(changed)[:room]]

    def _jets(self, chunk: Chunk) -> ak.Array:
        """Jets in GeV, the hardest first."""
        values = {role: ak.values_astype(ak.Array(chunk[name]), np.float64) for role, name in self.roles.items()}
        scale = {"pt": 1 / self.per_gev, "m": 1 / self.per_gev, "eta": 1.0, "phi": 1.0}
        jets = ak.zip({role: values[role] * scale[role] for role in scale})
        return jets[ak.argsort(jets.pt, axis=1, ascending=False, stable=True)]

    def to_dict(self) -> Json:
        """JSON-safe: each observable before and after."""
        return {name: value.to_dict() for name, value in self.measured.items()} | {
            name: value.to_dict(self.entries) for name, value in self.counted.items()
        }


def _near(values: ak.Array, cut: float, bound: Bound) -> np.ndarray:
    """The events with a value as near to a cut as its bound."""
    flat = ak.to_numpy(ak.flatten(values)).astype(np.float64)
    allowed = 0.0 if bound.lossless else bound.at(flat)
    with np.errstate(invalid="ignore"):
        near = np.abs(flat - cut) <= allowed
    return ak.to_numpy(ak.any(ak.unflatten(near, ak.num(values)), axis=1))


def _ht(jets: ak.Array) -> np.ndarray:
    return ak.to_numpy(ak.sum(jets.pt[jets.pt > PT_MIN], axis=1))


def _dijet_mass(jets: ak.Array) -> np.ndarray:
    """Invariant mass of the two hardest jets, NaN where there are fewer."""
    enough = ak.num(jets) > 1
    first, second = (_momenta(jets[enough][:, place]) for place in (0, 1))
    both: vector.MomentumNumpy4D = first + second  # type: ignore[assignment]
    mass = np.full(len(jets), np.nan)
    mass[ak.to_numpy(enough)] = both.mass
    return mass


def _momenta(jets: ak.Array) -> vector.MomentumNumpy4D:
    names = {"pt": "pt", "eta": "eta", "phi": "phi", "mass": "m"}
    return vector.MomentumNumpy4D({name: ak.to_numpy(jets[field]) for name, field in names.items()})
