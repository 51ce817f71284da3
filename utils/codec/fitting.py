"""Choosing the networks of a tree: which columns they code, and how large they are, by the bytes that they save."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from utils.codec.bins import LARGEST, Bins
from utils.codec.conditional import Collection, Conditional, symbol_bits
from utils.codec.kept_networks import networks_member
from utils.codec.network_pieces import PlainPieces
from utils.codec.streams import PLAIN, encode_stream
from utils.files import Json
from utils.networks import IntegerNetwork
from utils.training import ConditionalTraining, fit_networks

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

    `report` says what was found for each collection, JSON-safe.
    """

    entries: int
    number: int = 0
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
        """Fit networks and use them, unless all of them save less than their member takes."""
        before = plain.copy()
        self.collections = self._fit(plain, chunks)
        for collection in self.collections:
            plain.use(collection)
        if self.collections:
            member = len(networks_member(self.number, self.collections).content)
            if chunks * (sum(map(len, before.streams)) - sum(map(len, plain.streams))) <= member:
                self.collections, plain.pieces[:], plain.streams[:] = [], before.pieces, before.streams
                self.report = [
                    one | ({"coded": 0, "network_bytes": member} if one["coded"] else {}) for one in self.report
                ]
        return self.collections

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
                steps = max(STEPS * taken // total // len(HIDDEN[0]), LEAST_STEPS)
                collection, more = fit_collection(plain, places, chunks, ConditionalTraining(steps=steps))
                report |= more
                found += [collection] if collection is not None else []
            self.report.append(report)
        return found


def _groups(plain: PlainPieces) -> list[tuple[str, list[int]]]:
    """The arrays that may be coded together, behind the name of what counts them: numbers in lists of the same counts."""
    groups: dict[tuple[int, int], list[int]] = {}
    for place, (column, label, _) in enumerate(plain.arrays):
        alone = column.depth == 1 and label == "values" and plain.arrays[place - 1][:2] == (column, "offsets")
        if not alone or plain.scale(place) is None:
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
    plain: PlainPieces, places: Sequence[int], chunks: float, training: ConditionalTraining
) -> tuple[Collection | None, Json]:
    """Networks for some arrays of a chunk, of which there are `chunks` alike; None where they cost more than they save.

    The report has the bytes of what networks make of the columns, and of the networks; where none pays, those of the
    smallest networks.
    """
    integers = {place: plain.integers(place) for place in places}
    size = plain.sizes[places[0]]
    values = chunks * size
    used = slice(None, None, -(-size // FIT_VALUES))
    bins = [Bins.fit(integers[place], _by_size(INTERVALS, values)) for place in places]
    symbols = [one.split(integers[place][used])[0] for one, place in zip(bins, places, strict=True)]
    features = [one.features(integers[place][used]) for one, place in zip(bins, places, strict=True)]
    alone = np.array([len(plain.streams[place]) for place in places]) * chunks
    part = values / len(symbols[0])
    networks: list[IntegerNetwork | None] = [None] * len(places)
    costs, weights = alone.copy(), np.zeros(len(places))
    tried: Json = {}
    for hidden in _by_size(HIDDEN, values):
        fitted = fit_networks(features, symbols, [len(one) for one in bins], hidden, training)
        bits = [
            _bits(network, features[:column], symbols[column], bins[column]) for column, network in enumerate(fitted)
        ]
        new_costs = np.array(bits) / 8 * part
        new_weights = np.array([_weight(network) + 2 * network.symbols for network in fitted])
        tried = tried or {"bytes_coded": int(new_costs.sum()), "network_bytes": int(new_weights.sum())}
        for column in np.flatnonzero(new_costs + new_weights < costs + weights):
            networks[column], costs[column], weights[column] = fitted[column], new_costs[column], new_weights[column]
    coded = np.array([network is not None for network in networks])
    if not coded.any():
        return None, tried | {"steps": training.steps}
    report = {"bytes_coded": int(costs.sum()), "network_bytes": int(weights.sum()), "steps": training.steps}
    report["coded"] = int(coded.sum())
    scales = [plain.scale(place) for place in places]
    columns = [
        Conditional(place, scale, one, network)
        for place, scale, one, network in zip(places, scales, bins, networks, strict=True)
        if scale is not None
    ]
    return Collection(tuple(columns[: int(np.flatnonzero(coded)[-1]) + 1])), report


def _by_size(table: Mapping[int, Any], values: float) -> Any:
    return next(entry for least, entry in reversed(list(table.items())) if values >= least)


def _bits(network: IntegerNetwork, features: Sequence[np.ndarray], symbols: np.ndarray, bins: Bins) -> float:
    """The bits that a column takes."""
    inside = float(np.log2(bins.widths_of(symbols)).sum())
    return symbol_bits(network, features, symbols) + inside + ESCAPE_BITS * np.count_nonzero(symbols == len(bins))


def _weight(network: IntegerNetwork) -> int:
    """Bytes of the weights of a network."""
    arrays = (network.hidden, network.hidden_bias, network.output, network.output_bias)
    return sum(len(encode_stream(array.ravel(), PLAIN)) for array in arrays)
