"""The networks of a tree as a member of a container, and back, where it may be anybody's."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from utils.codec.archive import blaming
from utils.codec.arrays import Arrays, arrays_member
from utils.codec.bins import Bins
from utils.codec.conditional import Collection, Conditional
from utils.codec.container import Member
from utils.codec.reader import Reader
from utils.codec.streams import DIFFERENT, PLAIN
from utils.files import Json
from utils.limits import require_form
from utils.networks import MOST_HIDDEN, MOST_INPUTS, MOST_SYMBOLS, IntegerNetwork

MOST_WEIGHTS = 2**22
"""Most weights of all networks of a tree."""

_COLUMN = 5
"""A column is described by array, way, shift, number of intervals, number of hidden units (0: coded alone)."""

_LAYERS = ("hidden", "hidden_bias", "output", "output_bias")


def networks_name(number: int) -> str:
    """Name of the member with the networks of the `number`-th tree."""
    return f"networks_{number:06d}"


def networks_member(number: int, collections: Sequence[Collection]) -> Member:
    """The member with the networks of the `number`-th tree."""
    columns = [column for collection in collections for column in collection.columns]
    networks = [column.network for column in columns if column.network is not None]
    arrays: dict[str, tuple[np.ndarray, Any]] = {
        "starts": (np.concatenate([column.bins.starts for column in columns]), DIFFERENT),
        "widths": (np.concatenate([column.bins.widths for column in columns]), PLAIN),
    }
    for layer in _LAYERS:
        arrays[layer] = np.concatenate([getattr(network, layer).ravel() for network in networks]), PLAIN
    described = [[_described(column) for column in collection.columns] for collection in collections]
    return arrays_member(networks_name(number), {"tree": number, "collections": described}, arrays)


def _described(column: Conditional) -> list[Any]:
    hidden = 0 if column.network is None else len(column.network.hidden)
    return [column.place, *column.scale, len(column.bins), hidden]


def read_networks(reader: Reader, number: int, arrays: int) -> list[Collection]:
    """The collections of the `number`-th tree, which has so many arrays; none where no networks were kept.

    ContainerError where the member holds anything else.
    """
    name = networks_name(number)
    if not reader.holds(name):
        return []
    packed = reader.member(name)
    with blaming(f"{reader.path}: {name}"):
        return to_collections(Arrays(packed), arrays)


def describe_networks(reader: Reader, number: int, collections: Sequence[Collection], names: Sequence[str]) -> Json:
    """Bytes of the networks, and of each collection the columns that they code; nothing where there are none.

    Each column depends on those before it, and on those that are coded `alone`. `names` are those of the arrays.
    """
    found = [
        {
            "columns": [names[place] for place in collection.places],
            "alone": [names[column.place] for column in collection.columns if column.network is None],
            "hidden": [len(column.network.hidden) for column in collection.columns if column.network is not None],
        }
        for collection in collections
    ]
    return {"network_bytes": reader.size_of(networks_name(number)), "networks": found} if found else {}


def to_collections(member: Arrays, arrays: int) -> list[Collection]:
    """The collections of a member that `networks_member` wrote; ValueError where it holds none such."""
    require_form(member.attributes, {"tree": int, "collections": [[list]]}, "its header")
    taken = _Taken(member)
    collections = [Collection(tuple(_columns(rows, taken))) for rows in member.attributes["collections"]]
    places = [column.place for collection in collections for column in collection.columns]
    if len(set(places)) < len(places) or not all(0 <= place < arrays for place in places):
        raise ValueError(f"networks of arrays that are not there, or of one twice, among {arrays}")
    return collections


class _Taken:
    """Takes arrays off the front of those of a member."""

    def __init__(self, member: Arrays):
        if set(member.names) != {"starts", "widths", *_LAYERS}:
            raise ValueError(f"its arrays are {', '.join(member.names)[:200]}")
        self._left = {name: member.array(name, MOST_WEIGHTS).ravel() for name in member.names}
        for name, values in self._left.items():
            if values.dtype.kind != "i":
                raise ValueError(f"{name} of {values.dtype}")

    def take(self, name: str, *shape: int) -> np.ndarray:
        values, size = self._left[name], math.prod(shape)
        if size > len(values):
            raise ValueError(f"{name} is cut short")
        self._left[name] = values[size:]
        return values[:size].reshape(shape)


def _columns(rows: list[list[Any]], taken: _Taken) -> list[Conditional]:
    columns: list[Conditional] = []
    inputs = 0
    for row in rows:
        if len(row) != _COLUMN or not isinstance(row[1], str):
            raise ValueError("a column that is not described by five things")
        require_form([row[0], *row[2:]], [int], "a column")
        place, way, shift, intervals, hidden = row
        if not (1 <= intervals <= MOST_SYMBOLS and 0 <= hidden <= MOST_HIDDEN and inputs <= MOST_INPUTS):
            raise ValueError(f"a network of {inputs} inputs, {hidden} hidden units and {intervals} symbols")
        bins = Bins(*(taken.take(name, intervals).astype(np.int64) for name in ("starts", "widths")))
        network = None
        if hidden:
            shapes = (hidden, inputs), (hidden,), (intervals, hidden), (intervals,)
            network = IntegerNetwork(*(taken.take(name, *shape) for name, shape in zip(_LAYERS, shapes, strict=True)))
        columns.append(Conditional(place, (way, shift), bins, network))
        inputs += bins.inputs
    return columns
