"""The networks of a tree of a container, which holds them or names the model that does."""

from contextlib import suppress

from utils.codec.archive import ContainerError, blaming
from utils.codec.arrays import Arrays
from utils.codec.column_networks import ColumnNetworks
from utils.codec.columns import StoredTree
from utils.codec.conditional import Collection
from utils.codec.kept_networks import networks_name, to_collections
from utils.codec.models import require_model
from utils.codec.reader import Reader
from utils.files import Json
from utils.limits import require_form


def read_networks(
    reader: Reader, number: int, tree: StoredTree, model: ColumnNetworks | None = None
) -> list[Collection]:
    """The collections of the `number`-th tree; none where no networks code it.

    `model` is the one that the container names, if it does. ContainerError where networks are damaged.
    """
    name = networks_name(number)
    if not reader.holds(name):
        return []
    packed = reader.member(name)
    with blaming(f"{reader.path}: {name}"):
        if "model" not in packed.header:
            return to_collections(Arrays(packed), len(tree.arrays))
        found = require_model(str(reader.path), packed.header["model"], model, ColumnNetworks)
        known = found.known_to(tree.name, tree.arrays, tree.grids)
        return [one.networks for one in known if one.networks is not None]


def model_of(reader: Reader, trees: int, model: object) -> ColumnNetworks | None:
    """The model that networks of some tree are those of, loaded; None where the container needs none.

    ContainerError where it needs one, and `model` is another or None. What is damaged is left to `read_networks`.
    """
    for number in range(trees):
        named = None
        with suppress(ContainerError):
            named = _named(reader, number)
        if named is not None:
            return require_model(str(reader.path), named, model, ColumnNetworks)
    return None


def describe_networks(reader: Reader, number: int, tree: StoredTree) -> Json:
    """Bytes of the networks, and of each collection the columns that they code; nothing where there are none.

    Each column depends on those before it, and on those that are coded `alone`. Where a model holds the networks, its
    checksum is all that is said.
    """
    about: Json = {"network_bytes": reader.size_of(networks_name(number))}
    if (named := _named(reader, number)) is not None:
        return about | {"model": named}
    names = [column.name for column, _, _ in tree.arrays]
    found = [
        {
            "columns": [names[place] for place in collection.places],
            "alone": [names[column.place] for column in collection.columns if column.network is None],
            "hidden": [len(column.network.hidden) for column in collection.columns if column.network is not None],
        }
        for collection in read_networks(reader, number, tree)
    ]
    return about | {"networks": found} if found else {}


def _named(reader: Reader, number: int) -> str | None:
    """The checksum of the model that holds the networks of a tree; None where there is no such."""
    name = networks_name(number)
    if not reader.holds(name):
        return None
    header = reader.member(name, whole=False).header
    if "model" not in header:
        return None
    with blaming(f"{reader.path}: {name}"):
        require_form(header, {"model": str}, "its header")
    return header["model"]
