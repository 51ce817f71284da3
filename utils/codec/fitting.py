"""Choosing the networks of a tree: which columns they code, and how large they are, by the bytes that they save."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from utils import training
from utils.codec.bins import LARGEST, Bins
from utils.codec.column_networks import Known, list_places
from utils.codec.conditional import Collection, Conditional, scale_of, stacked
from utils.codec.container import Member
from utils.codec.kept_networks import networks_member
from utils.codec.network_pieces import PlainPieces
from utils.codec.streams import PLAIN, encode_stream
from utils.codec.symbols import symbol_bits
from utils.files import Json
from utils.networks import IntegerNetwork

STEPS = 3000
"""Steps of all trainings for a tree; collections have a share by their bytes."""

LEAST_STEPS = 300

LEAST_BYTES, LEAST_VALUES = 2**13, 500
"""Collections with fewer bytes or values are coded as they were: no network is that small."""

MOST_COLUMNS = 64
"""Columns of a collection that take part: those with most bytes."""

FIT_VALUES = 2**17
"""Values of each column that networks are fitted to, and judged by."""

INTERVALS = {0: 32, 20_000: 48}
"""Intervals of a column, from so many values on."""

HIDDEN = {0: (4, 8), 10_000: (8, 16), 200_000: (16, 32)}
"""Sizes of the hidden layer that are tried, from so many values on."""

ESCAPE_BITS = 64
"""What an integer outside the intervals is taken to cost beside its symbol."""


@dataclass
class Networks:
    """The networks of a tree of so many entries, the `number`-th of its file; none until they are fitted.

    They are fitted in so many `steps`, or are those of a model that are `given`; where they stay `apart` from the file,
    that is its checksum. `report` says what was found for each collection, JSON-safe.
    """

    entries: int
    number: int = 0
    given: Sequence[Known] | None = None
    apart: str = ""
    steps: int | None = None
    seed: int = 0
    collections: list[Collection] | None = None
    report: list[Json] = field(default_factory=list)

    def code(self, plain: PlainPieces, entries: int) -> list[Collection]:
        """Have networks code what they can of a chunk of `entries`; the first chunk is what they are fitted to."""
        if self.collections is None:
            return self._begin(plain, self.entries / max(entries, 1))
        for collection in self.collections:
            plain.use(collection)
        return self.collections

    def _begin(self, plain: PlainPieces, chunks: float) -> list[Collection]:
        """Find networks and use them, unless all of them save less than their member takes."""
        before = plain.copy()
        if self.given is None:
            self.collections = self._fit(plain, chunks)
            for collection in self.collections:
                plain.use(collection)
        else:
            self.collections = [one for known in self.given if (one := self._take(known, plain, chunks)) is not None]
        if self.collections:
            member = len(self.member().content)
            if chunks * (sum(map(len, before.streams)) - sum(map(len, plain.streams))) <= member:
                self.collections, plain.pieces[:], plain.streams[:] = [], before.pieces, before.streams
                self.report = [
                    one | ({"coded": 0, "network_bytes": member} if one["coded"] else {}) for one in self.report
                ]
        return self.collections

    def member(self) -> Member:
        """What a container holds of them."""
        return networks_member(self.number, self.collections or (), self.apart)

    def _take(self, known: Known, plain: PlainPieces, chunks: float) -> Collection | None:
        """Use those networks of a model that belong to a chunk, each where it saves bytes."""
        report: Json = {"collection": known.counter, "values": 0, "columns": 0, "coded": 0, "bytes_alone": 0}
        self.report.append(report)
        if known.lost:
            report["lost"] = known.lost
        if known.networks is None:
            return None
        columns, agreeing = known.networks.columns, plain.agreeing(known.networks)
        places = [column.place for column in columns]
        report |= {"values": plain.sizes[places[0]], "columns": len(places)}
        report["bytes_alone"] = int(chunks * plain.size_of(places))
        if len(agreeing) < len(columns):
            report["lost"] = f"{plain.arrays[places[len(agreeing)]][0].name} has other integers"
        if (found := plain.paying(known.networks)) is not None:
            plain.use(found)
            weights = 0 if self.apart else len(networks_member(self.number, [found]).content)
            report |= {"coded": len(found.places), "network_bytes": weights}
            report["bytes_coded"] = int(chunks * plain.size_of(places))
        return found

    def _fit(self, plain: PlainPieces, chunks: float) -> list[Collection]:
        groups = [(name, places, plain.size_of(places)) for name, places in _groups(plain)]
        enough = [
            chunks * taken >= LEAST_BYTES and plain.sizes[places[0]] >= LEAST_VALUES for _, places, taken in groups
        ]
        total = sum(taken for (_, _, taken), is_enough in zip(groups, enough, strict=True) if is_enough)
        found = []
        for (name, places, taken), is_enough in zip(groups, enough, strict=True):
            report: Json = {"collection": name, "values": plain.sizes[places[0]], "columns": len(places), "coded": 0}
            report |= {"bytes_alone": int(chunks * taken)}
            if is_enough:
                steps = max((self.steps or STEPS) * taken // total // len(HIDDEN[0]), LEAST_STEPS)
                collection, more = fit_collection(plain, places, chunks, steps, self.seed)
                report |= more
                found += [collection] if collection is not None else []
            self.report.append(report)
        return found


def _groups(plain: PlainPieces) -> list[tuple[str, list[int]]]:
    """The arrays that may be coded together, numbers in lists of the same counts, behind the name of the counts.

    They stay in the order of the file; notebook 6 tries another.
    """
    groups: dict[tuple[int, int], list[int]] = {}
    for place in list_places(plain.arrays):
        if plain.scale(place) is None:
            continue
        integers = plain.integers(place)
        if -LARGEST < integers.min() <= integers.max() < LARGEST:
            way, _, *parameters = plain.pieces[place - 1]
            counts = parameters[0] if way == "same" else place - 1
            groups.setdefault((counts, len(integers)), []).append(place)
    found = []
    for (counts, _), places in groups.items():
        costliest = sorted(places, key=lambda place: -len(plain.streams[place]))[:MOST_COLUMNS]
        if len(costliest) > 1:
            found.append((plain.arrays[counts][0].name, sorted(costliest)))
    return found


def fit_collection(
    plain: PlainPieces, places: Sequence[int], chunks: float, steps: int, seed: int = 0
) -> tuple[Collection | None, Json]:
    """Networks for some arrays of a chunk, of which there are `chunks` alike, trained for so many steps.

    None where they cost more than they save. The report has the bytes of what networks make of the columns, and of the
    networks; where none pays, those of the smallest networks.
    """
    integers = {place: plain.integers(place) for place in places}
    size = plain.sizes[places[0]]
    bins = [Bins.fit(integers[place], _by_size(INTERVALS, chunks * size)) for place in places]
    used = slice(None, None, -(-size // FIT_VALUES))
    found = [
        _Choice(one, integers[place][used], plain.size_of([place]) * chunks)
        for one, place in zip(bins, places, strict=True)
    ]
    report: Json = {"steps": steps}
    for hidden in _by_size(HIDDEN, chunks * size):
        fitted = training.fit_networks(
            np.concatenate([one.features for one in found]),
            np.cumsum([0, *(one.bins.inputs for one in found[:-1])]).tolist(),
            [one.symbols for one in found],
            [len(one) for one in bins],
            hidden,
            training.ConditionalTraining(steps=steps, seed=seed),
        )
        tried = [
            one.try_network(network, [other.features for other in found[:column]], chunks * size)
            for column, (one, network) in enumerate(zip(found, fitted, strict=True))
        ]
        report = _sums(tried) | report
    coded = [column for column, one in enumerate(found) if one.network is not None]
    if not coded:
        return None, report
    columns = [
        Conditional(place, scale_of(plain.pieces[place][0], plain.pieces[place][2:]), one.bins, one.network)
        for place, one in zip(places, found, strict=True)
    ]
    report |= _sums([(one.cost, one.weight) for one in found]) | {"coded": len(coded)}
    return Collection(tuple(columns[: coded[-1] + 1])), report


class _Choice:
    """A column with the best network so far, and what it takes: bytes of the column, and of the network."""

    def __init__(self, bins: Bins, integers: np.ndarray, alone: float):
        self.bins, self.features = bins, bins.features(integers)
        self.symbols, _ = bins.split(integers)
        self.network: IntegerNetwork | None = None
        self.cost, self.weight = alone, 0.0

    def try_network(
        self, network: IntegerNetwork, features: Sequence[np.ndarray], values: float
    ) -> tuple[float, float]:
        """Keep a network that sees these features if it takes less for so many values; returns what it takes."""
        bits = symbol_bits(network, stacked(features, len(self.symbols)), self.symbols)
        bits += np.log2(self.bins.widths_of(self.symbols)).sum()
        bits += ESCAPE_BITS * np.count_nonzero(self.symbols == len(self.bins))
        cost, weight = float(bits) / 8 * values / len(self.symbols), float(_weight(network) + 2 * network.symbols)
        if cost + weight < self.cost + self.weight:
            self.network, self.cost, self.weight = network, cost, weight
        return cost, weight


def _sums(taken: Sequence[tuple[float, float]]) -> Json:
    costs, weights = zip(*taken, strict=True)
    return {"bytes_coded": int(sum(costs)), "network_bytes": int(sum(weights))}


def _by_size(table: Mapping[int, Any], values: float) -> Any:
    return next(entry for least, entry in reversed(list(table.items())) if values >= least)


def _weight(network: IntegerNetwork) -> int:
    """Bytes of the weights of a network."""
    arrays = (network.hidden, network.hidden_bias, network.output, network.output_bias)
    return sum(len(encode_stream(array.ravel(), PLAIN)) for array in arrays)
