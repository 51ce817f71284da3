"""What networks are told of a jet: the columns known of it, and the jets of its event before it.

Jets are gone through rank by rank: all first jets of events, all second ones, and so on. All of it is whole numbers,
of which every machine makes the same: from integers of grids by their levels (see `grids`), which are rounded at once,
and on by integers alone: logarithms by a table of integer roots, angles by CORDIC.
"""

import math
from collections.abc import Mapping

import numpy as np

from utils.codec.angles import TURN, direction, unit_vectors, wrapped
from utils.codec.grids import GRID_LIMIT, CircularGrid, Grid
from utils.networks import LARGEST_INPUT

OCTAVE = 64
"""Logarithms count so many steps a factor of two."""

_PER_GEV, _MOST_GEV = 64, 2.0**18
"""Energies count so many units a GeV; those beyond the largest count as that."""

_PER_ETA, _MOST_ETA = 256, 8.0

_HATS = range(0, 5 * _PER_ETA + 1, _PER_ETA)
"""|eta| is told as parts of its two neighbours among these."""

_MASS_TO_PT = 175
"""By so many steps m usually lies below pt."""

_KEPT = ("pt", "height", "room", "drop", "eta", "phi", "mass")

FEATURES = (23, 8, 26, 2)
"""Number of features: of the event, and those that come with pt, eta and phi of the jet."""


def _powers() -> np.ndarray:
    """2^(i / 64), i = 0, 1, ..., 64 * 60 - 1, rounded up."""
    within = []
    for step in range(OCTAVE):
        power = 1 << (60 * OCTAVE + step)
        for _ in range(int(math.log2(OCTAVE))):
            power = math.isqrt(power)
        within.append(power)
    return np.array([-(-power >> (60 - octave)) for octave in range(60) for power in within], np.int64)


_POWERS = _powers()


def logarithm(numbers: np.ndarray) -> np.ndarray:
    """The logarithm of whole numbers up to 2^60, in steps of `OCTAVE` a factor of two, rounded down; 0 up to 1."""
    return np.maximum(np.searchsorted(_POWERS, numbers, side="right") - 1, 0)


class EventFeatures:
    """The features of jets, for events of `counts` jets each, none empty.

    For each rank, `begin` and then `add_pt`, `add_eta` and `add_phi` take the integers of the jets of that rank and
    give the features that come with them, float32 (`FEATURES`, jets); `add_mass` ends the rank. `floor` is the integer
    of pt below which jets are rare.
    """

    def __init__(self, grids: Mapping[str, Grid], counts: np.ndarray, floor: int):
        self._grids, self._counts, self.rank = grids, counts, -1
        self._most = {name: _integer_beyond(grids[name], _MOST_GEV) for name in ("pt", "m")}
        self.events = np.arange(len(counts))
        self._sums = dict.fromkeys(("x", "y", "pt", "eta"), np.zeros(len(counts), np.int64))
        self._before: list[dict[str, np.ndarray]] = []
        self._floor = int(self._height(np.array([floor]))[0])
        self._now: dict[str, np.ndarray] = {}

    def begin(self) -> np.ndarray:
        """Go to the next rank; what is known of its jets before their columns. `events` are those they are of."""
        self.rank += 1
        left = self._counts[self.events] - self.rank
        there = left > 0
        self.events, left = self.events[there], left[there]
        self._sums = {name: values[there] for name, values in self._sums.items()}
        self._before = [{name: values[there] for name, values in jet.items()} for jet in self._before]
        nothing = dict.fromkeys(_KEPT, np.zeros(len(left), np.int64))
        self._first, self._second = ([*self._before[:2], nothing, nothing][place] for place in (0, 1))
        self._last, self._last_but_one = ([nothing, nothing, *self._before][-place] for place in (1, 2))
        x, y, total = (self._sums[name] for name in ("x", "y", "pt"))
        self.reference = direction(-x, -y) if self.rank else nothing["phi"]
        self._vector, self._scalar = logarithm(x * x + y * y) // 2, logarithm(total)
        return self._rows(self._of_events(left, min(self.rank, 1)))

    def _of_events(self, left: np.ndarray, later: int) -> list[np.ndarray]:
        last, before = self._last, self._last_but_one
        rank = [np.full(len(left), value) for value in (32 * min(self.rank, 16) - 128, *self._ranks(3))]
        found = [*rank, 32 * np.minimum(left, 20) - 128, 256 * (left == 1), 256 * (left == 2), 600 // (left + 1) - 128]
        found += [2 * last["room"] - 150, 8 * last["room"] - 256, 16 * np.minimum(last["room"], 16)]
        found += [8 * last["drop"] - 128, 8 * before["drop"] - 128, 2 * before["room"] - 150]
        found += [later * 2 * (self._vector - last["height"]), later * (2 * (self._scalar - last["height"]) - 256)]
        found += [later * (2 * (self._vector - self._floor) - 128)]
        mean = self._sums["eta"] // np.maximum(self._sums["pt"], 1)
        for eta in (self._first["eta"], last["eta"], mean):
            found += [eta // 4, np.abs(eta) // 2 - 192]
        return found

    def _ranks(self, most: int) -> list[int]:
        return [256 * (self.rank == rank) for rank in range(most)]

    def add_pt(self, integers: np.ndarray) -> np.ndarray:
        """What is known with pt."""
        height = self._height(integers)
        room, later = height - self._floor, min(self.rank, 1)
        last = self._last["height"] if self.rank else height
        self._now = {"pt": integers, "height": height, "room": room, "drop": last - height}
        found = [2 * room - 150, 8 * room - 256, 16 * np.minimum(room, 16), later * 8 * (last - height) - 128]
        found += [later * factor * (self._vector - height) for factor in (2, 8)]
        found += [later * (2 * (self._scalar - height) - 256), later * 4 * (self._first["height"] - height) - 128]
        return self._rows(found)

    def add_eta(self, integers: np.ndarray) -> np.ndarray:
        """What is known with eta."""
        limited = np.clip(self._grids["eta"].levels(integers), -_MOST_ETA, _MOST_ETA)
        eta = np.rint(_PER_ETA * limited).astype(np.int64)
        self._now["eta"] = eta
        size = np.abs(eta)
        found = [eta // 3, size // 2 - 192, *(np.clip(256 - np.abs(size - hat), 0, 256) for hat in _HATS)]
        for rank, jet in ((0, self._first), (1, self._second), (0, self._last)):
            angle, apart = wrapped(jet["phi"] - self.reference), eta - jet["eta"]
            near = np.minimum(np.abs(apart), 256)
            known = [*(part >> 6 for part in unit_vectors(angle)), angle >> 6, apart // 3, 2 * near - 256]
            found += [value * (self.rank > rank) for value in known]
        found += [self._first["mass"], self._last["mass"], (self._vector - self._now["height"]) * min(self.rank, 1)]
        return self._rows(found)

    def add_phi(self, integers: np.ndarray) -> np.ndarray:
        """What is known with phi."""
        grid = self._grids["phi"]
        assert isinstance(grid, CircularGrid)
        self._now["phi"] = (2 * integers + 1) * (TURN // 2) // grid.count
        x, y = unit_vectors(self._now["phi"] - self.reference)
        later = min(self.rank, 1)
        return self._rows([later * (x >> 6), later * (np.abs(y) >> 6)])

    def add_mass(self, integers: np.ndarray) -> None:
        """End the rank with the masses of its jets."""
        now = self._now
        mass = logarithm(self._units("m", integers) + _PER_GEV // 4)
        now["mass"] = np.clip(3 * (mass - now["height"] + _MASS_TO_PT), -LARGEST_INPUT, LARGEST_INPUT)
        pt, (x, y) = self._units("pt", now["pt"]), unit_vectors(now["phi"])
        more = {"x": pt * x >> 14, "y": pt * y >> 14, "pt": pt, "eta": pt * now["eta"]}
        self._sums = {name: values + more[name] for name, values in self._sums.items()}
        self._before = [*self._before[:2], *self._before[2:][-1:], now]

    @property
    def last_pt(self) -> np.ndarray:
        """The integers of pt of the jets before these."""
        return self._last["pt"]

    def _height(self, integers: np.ndarray) -> np.ndarray:
        return logarithm(self._units("pt", integers))

    def _units(self, name: str, integers: np.ndarray) -> np.ndarray:
        sizes = self._grids[name].levels(np.minimum(np.abs(integers), self._most[name]))
        return np.rint(_PER_GEV * np.minimum(sizes, _MOST_GEV)).astype(np.int64)

    def _rows(self, found: list[np.ndarray]) -> np.ndarray:
        rows = np.empty((len(found), len(self.events)), np.float32)
        for row, values in zip(rows, found, strict=True):
            np.clip(values, -LARGEST_INPUT, LARGEST_INPUT, out=row, casting="unsafe")
        return rows


def _integer_beyond(grid: Grid, value: float) -> int:
    """An integer whose level is above a value, or the last of the grid."""
    return int(min(grid.quantize(np.array([value]))[0] + 2, GRID_LIMIT))
