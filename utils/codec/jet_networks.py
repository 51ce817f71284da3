"""The integers of jets by networks, from the columns before and the jets before in the event; to words and back.

Jets are coded rank by rank: the first jets of all events of a block, then the second ones, and so on; of each rank pt,
eta, phi and m. What a network codes is a difference: of pt from the jet before (the first jet's own pt, by a network of
its own), of phi from minus the vector sum of the jets before, of m from a line in pt.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from utils.codec.angles import TURN
from utils.codec.bins import Bins
from utils.codec.bounded import STEEPEST, BoundedScheme
from utils.codec.event_features import FEATURES, EventFeatures
from utils.codec.grids import GRID_LIMIT, CircularGrid
from utils.codec.network_arrays import Taken, join_networks, networks_digest
from utils.codec.rans import MOST_LANES, Decoder, Encoder
from utils.codec.streams import PLAIN
from utils.codec.symbols import get_integers, put_integers
from utils.codec.violations import Arrays, Columns
from utils.files import Json
from utils.limits import require_form
from utils.networks import IntegerNetwork

QUANTITY = {"pt_first": "pt", "pt": "pt", "eta": "eta", "phi": "phi", "m": "m"}
"""What there is a network for, and the quantity it codes."""

KNOWN = dict(zip(QUANTITY, np.cumsum([0, *FEATURES])[[1, 1, 2, 3, 4]].tolist(), strict=True))
"""How many of the features each network sees."""

ORDER = ("pt", "eta", "phi", "m")

LONGEST = 32
"""Jets of an event behind so many others are coded as those of another event."""

EVENTS = 2**13
"""Events of a block."""

JETS_OF_LANE = 256
"""Jets of a chunk for each lane of rANS."""

VERSION = 1
"""Of the features and of the order of coding: what files depend on."""

_FORM = {
    "version": int,
    "floor": int,
    "intervals": dict.fromkeys(QUANTITY, int),
    "hidden": dict.fromkeys(QUANTITY, int),
    "sha256": str,
}

Code = Callable[[str, np.ndarray, np.ndarray, Any], np.ndarray]
"""Codes jets by a network: its name, the features, positions of the jets, the base from which they differ."""


def go_through(plain: BoundedScheme, floor: int, counts: np.ndarray, code: Code) -> Columns:
    """Go through the jets of events, rank by rank; the integers, which are bases plus what `code` gives for them.

    ValueError where these leave the grids.
    """
    counts = _pieces(counts)
    starts = np.cumsum(counts) - counts
    grids = {name: grid for name, grid in plain.grids.items() if grid is not None}
    circle = _circle(plain)
    found = {name: np.empty(int(counts.sum()), np.int64) for name in ORDER}

    def take(name: str, features: list[np.ndarray], jets: np.ndarray, base: Any) -> np.ndarray:
        values = base + code(name, np.concatenate(features), jets, base)
        if name == "phi":
            values %= circle.count
        elif np.abs(values).max(initial=0) > GRID_LIMIT:
            raise ValueError(f"an integer of {name} beyond {GRID_LIMIT}")
        found[QUANTITY[name]][jets] = values
        return values

    for block in range(0, len(counts), EVENTS):
        event = EventFeatures(grids, counts[block : block + EVENTS], floor)
        while True:
            features = [event.begin()]
            if not len(event.events):
                break
            jets = starts[block + event.events] + event.rank
            pt = take("pt", features, jets, event.last_pt) if event.rank else take("pt_first", features, jets, 0)
            features.append(event.add_pt(pt))
            features.append(event.add_eta(take("eta", features, jets, 0)))
            phi = take("phi", features, jets, event.reference * circle.count // TURN)
            features.append(event.add_phi(phi))
            event.add_mass(take("m", features, jets, (pt * plain.mass_slope) >> 4))
    return found


def differences(plain: BoundedScheme, integers: Columns) -> Code:
    """What gives the differences of integers from bases; of phi the smallest around the circle."""
    circle = _circle(plain)
    half = circle.count // 2

    def code(name: str, features: np.ndarray, jets: np.ndarray, base: Any) -> np.ndarray:
        found = integers[QUANTITY[name]][jets].astype(np.int64) - base
        return (found + half) % circle.count - half if name == "phi" else found

    return code


def _circle(plain: BoundedScheme) -> CircularGrid:
    grid = plain.grids["phi"]
    if not isinstance(grid, CircularGrid):
        raise ValueError("phi on no circle")
    return grid


def _pieces(counts: np.ndarray) -> np.ndarray:
    """Numbers of jets, none 0 and none above `LONGEST`."""
    counts = counts[counts > 0].astype(np.int64)
    pieces = -(-counts // LONGEST)
    found = np.full(int(pieces.sum()), LONGEST)
    found[np.cumsum(pieces) - 1] = counts - (pieces - 1) * LONGEST
    return found


@dataclass(frozen=True, eq=False)
class JetNetworks:
    """Networks for the integers of the grids of `plain`, which has a grid for each quantity.

    `floor` is the integer of pt below which jets are rare; `bins` and `networks` are by name, as `QUANTITY` is.
    """

    plain: BoundedScheme
    floor: int
    bins: Mapping[str, Bins]
    networks: Mapping[str, IntegerNetwork]

    def encode(self, integers: Columns, counts: np.ndarray) -> Arrays:
        """The arrays of a chunk: states, words of each quantity in pairs, the differences that are in no interval.

        Of no jets there are none; else none is longer than the chunk: a symbol or a place takes a word at most.
        """
        if not counts.sum():
            return {}
        given = differences(self.plain, integers)
        encoder, runs = Encoder(_lanes(int(counts.sum()))), list[str]()
        escaped: dict[str, list[np.ndarray]] = {name: [] for name in ORDER}

        def code(name: str, features: np.ndarray, jets: np.ndarray, base: Any) -> np.ndarray:
            values, quantity = given(name, features, jets, base), QUANTITY[name]
            encoder.begin()
            runs.append(quantity)
            escaped[quantity].append(put_integers(encoder, self.networks[name], self.bins[name], features, values))
            return values

        go_through(self.plain, self.floor, counts, code)
        states, words = encoder.finish()
        arrays: Arrays = {"states": (np.frombuffer(states, "<u4").astype(np.uint32), PLAIN)}
        for quantity in ORDER:
            own = b"".join(run for name, run in zip(runs, words, strict=True) if name == quantity)
            arrays[quantity] = np.frombuffer(own + bytes(len(own) % 4), "<u4").astype(np.uint32), PLAIN
            if sum(map(len, escaped[quantity])):
                arrays[f"{quantity}_escapes"] = np.concatenate(escaped[quantity]), PLAIN
        return arrays

    def decode(self, arrays: Columns, counts: np.ndarray) -> Columns:
        """The integers of a chunk; ValueError where `encode` made no such arrays."""
        if not counts.sum():
            return {name: np.empty(0, np.int64) for name in ORDER}
        if lost := {"states", *ORDER} - arrays.keys():
            raise ValueError(f"no array {lost.pop()}")
        lanes = _lanes(int(counts.sum()))
        decoder = Decoder(arrays["states"].astype("<u4").tobytes(), lanes)
        words = {name: arrays[name].astype("<u4").view("<u2").astype(np.int64) for name in ORDER}
        escaped = {name: arrays.get(f"{name}_escapes", np.empty(0, np.int64)) for name in ORDER}

        def code(name: str, features: np.ndarray, jets: np.ndarray, base: Any) -> np.ndarray:
            quantity = QUANTITY[name]
            decoder.begin(words[quantity])
            values, escapes = get_integers(decoder, self.networks[name], self.bins[name], features)
            words[quantity] = decoder.left()
            number = np.count_nonzero(escapes)
            if number > len(escaped[quantity]):
                raise ValueError(f"{quantity}_escapes is cut short")
            values[escapes], escaped[quantity] = escaped[quantity][:number], escaped[quantity][number:]
            if np.abs(values[escapes]).max(initial=0) > 2**40:
                raise ValueError(f"a difference of {quantity} that cannot be")
            return values

        found = go_through(self.plain, self.floor, counts, code)
        filled = all(len(left) <= 1 and not left.any() for left in words.values())
        if not filled or any(len(left) for left in escaped.values()):
            raise ValueError("words or escapes that belong to no jet")
        return found

    @cached_property
    def arrays(self) -> dict[str, np.ndarray]:
        """The intervals and weights."""
        return join_networks([self.bins[name] for name in QUANTITY], [self.networks[name] for name in QUANTITY])

    @cached_property
    def sha256(self) -> str:
        """What names these networks."""
        return networks_digest([self.plain.to_dict(), self.floor, self._sizes()], self.arrays)

    def _sizes(self) -> Json:
        return {
            "intervals": {name: len(self.bins[name]) for name in QUANTITY},
            "hidden": {name: len(self.networks[name].hidden) for name in QUANTITY},
        }

    def to_dict(self) -> Json:
        """JSON-safe description: what of a model is not in its arrays."""
        about = {"version": VERSION, "floor": self.floor, **self._sizes(), "sha256": self.sha256}
        return self.plain.to_dict() | {"networks": about}

    def shown(self) -> Json:
        """What people want to know of a model."""
        return self.to_dict()

    @staticmethod
    def from_dict(description: Json, arrays: Mapping[str, np.ndarray]) -> "JetNetworks":
        """Rebuild from `to_dict` and the arrays; ValueError where they are none of networks, or are damaged."""
        plain = BoundedScheme.from_dict(description)
        require_form(description, {"networks": _FORM}, "codec")
        about, taken = description["networks"], Taken(arrays)
        if about["version"] != VERSION:
            raise ValueError(f"networks of version {about['version']}; this version knows {VERSION}")
        if None in plain.grids.values() or not isinstance(plain.grids["phi"], CircularGrid):
            raise ValueError("networks for quantities that have no grid")
        if not (0 <= plain.mass_slope <= STEEPEST and abs(about["floor"]) <= GRID_LIMIT):
            raise ValueError(f"networks for jets from pt {about['floor']} on")
        bins = {name: taken.bins(about["intervals"][name]) for name in QUANTITY}
        networks = {name: taken.network(KNOWN[name], about["hidden"][name], len(bins[name])) for name in QUANTITY}
        found = JetNetworks(plain, about["floor"], bins, networks)
        require_named(found, about["sha256"])
        return found


def require_named(networks: JetNetworks, sha256: str) -> None:
    """ValueError unless networks are those of a checksum."""
    if networks.sha256 != sha256:
        raise ValueError("its networks do not fit the checksum that names them")


def _lanes(jets: int) -> int:
    return min(max(jets // JETS_OF_LANE, 1), MOST_LANES)
