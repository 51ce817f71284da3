"""Choosing the networks of a tree: which columns they code, and how large they are, by the bytes that they save."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from utils.codec.bins import LARGEST, Bins
from utils.codec.conditional import Collection, Conditional, symbol_bits
from utils.codec.network_pieces import PlainPieces
from utils.codec.streams import PLAIN, encode_stream
from utils.files import Json
from utils.networks import IntegerNetwork
from utils.training import ConditionalTraining, fit_networks

if TYPE_CHECKING:
    from utils.codec.columns import StoredTree

STEPS = 3000
"""Steps of all trainings for a tree; collections have a share by their bytes."""

LEAST_STEPS = 300

LEAST_BYTES, LEAST_VALUES = 2**14, 500
"""Collections with fewer bytes or values are coded as they were: no network is that small."""

MOST_COLUMNS = 64
"""Columns of a collection that take part: those with most bytes."""

FIT_VALUES = 2**17
"""Values of each column that networks are fitted to, and judged by."""

INTERVALS = {0: 32, 20_000: 48}
"""Intervals of a column, from so many values on."""

HIDDEN = {0: (4, 8), 10_000: (8, 16), 200_000: (16, 32)}
"""Sizes of the hidden layer that are tried, from so many values on."""


@dataclass
class Networks:
    """The networks of a tree of so many entries, none until they are fitted; `report` says what was found, JSON-safe."""

    entries: int
    collections: list[Collection] | None = None
    report: list[Json] = field(default_factory=list)

    def code(self, tree: "StoredTree", plain: PlainPieces, entries: int) -> list[Collection]:
        """Have the networks code what they can of a chunk of `entries`, to which they are fitted if they are not yet."""
        if self.collections is None:
            self.collections = self._fit(tree, plain, self.entries / max(entries, 1))
        for collection in self.collections:
            plain.use(collection)
        return self.collections

    def _fit(self, tree: "StoredTree", plain: PlainPieces, chunks: float) -> list[Collection]:
        groups = _groups(tree, plain)
        total = sum(len(plain.streams[place]) for places in groups.values() for place in places)
        found = []
        for name, places in groups.items():
            taken = sum(len(plain.streams[place]) for place in places)
            steps = max(STEPS * taken // total // 2, LEAST_STEPS)
            collection, report = fit_collection(plain, places, chunks, ConditionalTraining(steps=steps))
            self.report.append({"collection": name} | report)
            found += [collection] if collection is not None else []
        return found


def _groups(tree: "StoredTree", plain: PlainPieces) -> dict[str, list[int]]:
    """The arrays that may be coded together, by the name of what counts them: lists of numbers with the same counts."""
    groups: dict[int, list[int]] = {}
    for place, (column, label, _) in enumerate(tree.arrays):
        first = tree.first[column.name]
        if label != "values" or column.depth != 1 or place != first + 1 or plain.scale(place) is None:
            continue
        way, _, *parameters = plain.pieces[first]
        groups.setdefault(parameters[0] if way == "same" else first, []).append(place)
    found = {}
    for counts, places in groups.items():
        costliest = sorted(places, key=lambda place: -len(plain.streams[place]))[:MOST_COLUMNS]
        enough = sum(len(plain.streams[place]) for place in costliest) >= LEAST_BYTES
        if enough and plain.sizes[places[0]] >= LEAST_VALUES and len(costliest) > 1:
            found[tree.arrays[counts][0].name] = sorted(costliest)
    return found


def fit_collection(
    plain: PlainPieces, places: Sequence[int], chunks: float, training: ConditionalTraining
) -> tuple[Collection | None, Json]:
    """Networks for some arrays of a chunk, of which there are `chunks` alike; None where they would cost more than save.

    The report has the bytes of the columns alone, of what networks make of them, and of the networks.
    """
    integers = {place: plain.integers(place) for place in places}
    places = [place for place in places if -LARGEST < integers[place].min() <= integers[place].max() < LARGEST]
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
    for hidden in _by_size(HIDDEN, values):
        fitted = fit_networks(features, symbols, [len(one) for one in bins], hidden, training)
        for column, network in enumerate(fitted):
            bits = symbol_bits(network, features[:column], symbols[column])
            bits += float(np.log2(bins[column].widths_of(symbols[column])).sum())
            bits += 80.0 * np.count_nonzero(symbols[column] == len(bins[column]))
            cost, weight = bits / 8 * part, _weight(network) + 2 * len(bins[column])
            if cost + weight < costs[column] + weights[column]:
                networks[column], costs[column], weights[column] = network, cost, weight
    coded = np.array([network is not None for network in networks])
    report: Json = {
        "columns": len(places),
        "coded": int(coded.sum()),
        "bytes_alone": int(alone.sum()),
        "bytes_coded": int(costs.sum()),
        "network_bytes": int(weights.sum()),
        "steps": training.steps,
    }
    if not coded.any():
        return None, report
    scales = [plain.scale(place) for place in places]
    columns = [
        Conditional(place, scale, one, network)
        for place, scale, one, network in zip(places, scales, bins, networks, strict=True)
        if scale is not None
    ]
    return Collection(tuple(columns[: int(np.flatnonzero(coded)[-1]) + 1])), report


def _by_size(table: dict, values: float):
    return next(entry for least, entry in reversed(table.items()) if values >= least)


def _weight(network: IntegerNetwork) -> int:
    """Bytes of the weights of a network."""
    arrays = (network.hidden, network.hidden_bias, network.output, network.output_bias)
    return sum(len(encode_stream(array.ravel(), PLAIN)) for array in arrays)
