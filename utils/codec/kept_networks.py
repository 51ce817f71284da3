"""The networks of a tree as a member of a container, and back, where it may be anybody's."""

from collections.abc import Sequence
from typing import Any

from utils.codec.archive import blaming
from utils.codec.arrays import Arrays, arrays_member
from utils.codec.conditional import Collection, Conditional
from utils.codec.container import Member
from utils.codec.network_arrays import MOST_WEIGHTS, Taken, join_networks
from utils.codec.reader import Reader
from utils.codec.streams import DIFFERENT, PLAIN
from utils.files import Json
from utils.limits import require_form
from utils.networks import MOST_INPUTS

_COLUMN = 5
"""A column is described by array, way, shift, number of intervals, number of hidden units (0: coded alone)."""


def networks_name(number: int) -> str:
    """Name of the member with the networks of the `number`-th tree."""
    return f"networks_{number:06d}"


def networks_member(number: int, collections: Sequence[Collection]) -> Member:
    """The member with the networks of the `number`-th tree."""
    columns = [column for collection in collections for column in collection.columns]
    joined = join_networks(
        [column.bins for column in columns], [column.network for column in columns if column.network is not None]
    )
    arrays = {name: (values, DIFFERENT if name == "starts" else PLAIN) for name, values in joined.items()}
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
    taken = Taken({name: member.array(name, MOST_WEIGHTS) for name in member.names})
    collections = [Collection(tuple(_columns(rows, taken))) for rows in member.attributes["collections"]]
    places = [column.place for collection in collections for column in collection.columns]
    if len(set(places)) < len(places) or not all(0 <= place < arrays for place in places):
        raise ValueError(f"networks of arrays that are not there, or of one twice, among {arrays}")
    return collections


def _columns(rows: list[list[Any]], taken: Taken) -> list[Conditional]:
    columns: list[Conditional] = []
    inputs = 0
    for row in rows:
        if len(row) != _COLUMN or not isinstance(row[1], str):
            raise ValueError("a column that is not described by five things")
        require_form([row[0], *row[2:]], [int], "a column")
        place, way, shift, intervals, hidden = row
        if hidden < 0 or inputs > MOST_INPUTS:
            raise ValueError(f"a network of {inputs} inputs and {hidden} hidden units")
        bins = taken.bins(intervals)
        network = taken.network(inputs, hidden, intervals) if hidden else None
        columns.append(Conditional(place, (way, shift), bins, network))
        inputs += bins.inputs
    return columns
