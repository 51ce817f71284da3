"""The networks of a tree as a member of a container, and back, where it may be anybody's."""

from collections.abc import Sequence

from utils.codec.arrays import Arrays, arrays_member
from utils.codec.conditional import Collection
from utils.codec.container import Member
from utils.codec.network_arrays import MOST_WEIGHTS, Taken, collection_rows, join_collections
from utils.codec.packed import pack
from utils.codec.streams import DIFFERENT, PLAIN
from utils.limits import require_form


def networks_name(number: int) -> str:
    """Name of the member with the networks of the `number`-th tree."""
    return f"networks_{number:06d}"


def networks_member(number: int, collections: Sequence[Collection], apart: str = "") -> Member:
    """The member with the networks of the `number`-th tree, or that names the model that holds them by its checksum."""
    if apart:
        return Member(networks_name(number), pack({"tree": number, "model": apart}, []))
    joined = join_collections(collections)
    arrays = {name: (values, DIFFERENT if name == "starts" else PLAIN) for name, values in joined.items()}
    rows = [collection_rows(collection) for collection in collections]
    return arrays_member(networks_name(number), {"tree": number, "collections": rows}, arrays)


def to_collections(member: Arrays, arrays: int) -> list[Collection]:
    """The collections of a member that `networks_member` wrote; ValueError where it holds none such."""
    require_form(member.attributes, {"tree": int, "collections": [[list]]}, "its header")
    taken = Taken({name: member.array(name, MOST_WEIGHTS) for name in member.names})
    collections = [taken.collection(rows) for rows in member.attributes["collections"]]
    places = [column.place for collection in collections for column in collection.columns]
    if len(set(places)) < len(places) or not all(0 <= place < arrays for place in places):
        raise ValueError(f"networks of arrays that are not there, or of one twice, among {arrays}")
    return collections
