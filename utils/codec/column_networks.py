"""Networks for columns of trees by name: a model for many files, and what of it belongs to the arrays of a tree."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from utils.codec.conditional import Collection
from utils.codec.grids import Grid, grid_to_dict
from utils.codec.network_arrays import Taken, collection_rows, join_collections, networks_digest
from utils.files import Json
from utils.limits import require_form
from utils.trees import Column

VERSION = 1
"""Of the features and of the order of coding: what files depend on."""

_COLUMN = {"name": str, "type": str, "grid": dict}

_FORM = {
    "version": int,
    "collections": [{"tree": str, "counter": str, "columns": [_COLUMN], "networks": [list]}],
    "sha256": str,
}

TreeArrays = Sequence[tuple[Column, str, np.dtype]]
"""The arrays of a tree: column, label, type."""


def list_places(arrays: TreeArrays) -> list[int]:
    """The arrays that hold numbers in lists, behind the counts of the same column."""
    return [
        place
        for place, (column, label, _) in enumerate(arrays)
        if column.depth == 1 and label == "values" and arrays[place - 1][:2] == (column, "offsets")
    ]


@dataclass(frozen=True)
class NamedColumn:
    """A column by its name, with what else its integers mean: type of the floats, and grid of the bound (else {})."""

    name: str
    type: str
    grid: Json

    @staticmethod
    def of(name: str, dtype: np.dtype, way: str, grid: Grid | None) -> "NamedColumn":
        """A column that is stored in some way."""
        return NamedColumn(
            name, "" if way == "integers" else dtype.name, grid_to_dict(grid) if way == "levels" and grid else {}
        )


class Known(NamedTuple):
    """What a model has for a collection of a tree, whose counter is named: networks by the arrays of the tree.

    These are None, or fewer than the model has, where a column is `lost` that they would have to see.
    """

    counter: str
    networks: Collection | None
    lost: str


@dataclass(frozen=True)
class NamedCollection:
    """Networks for a collection of a tree; the numbers of their arrays are places among `columns`."""

    tree: str
    counter: str
    columns: tuple[NamedColumn, ...]
    networks: Collection

    @staticmethod
    def of(
        tree: str, counter: str, networks: Collection, arrays: TreeArrays, grids: Mapping[str, Grid]
    ) -> "NamedCollection":
        """The same from networks by the arrays of a tree, and the grids of its columns."""
        named, columns = [], []
        for number, column in enumerate(networks.columns):
            name, dtype = arrays[column.place][0].name, arrays[column.place][2]
            named.append(NamedColumn.of(name, dtype, column.scale[0], grids.get(name)))
            columns.append(replace(column, place=number))
        return NamedCollection(tree, counter, tuple(named), Collection(tuple(columns)))

    def known_to(self, arrays: TreeArrays, grids: Mapping[str, Grid]) -> Known:
        """What of it belongs to the arrays of a tree: all before the first column that is not there, or differs."""
        places = {arrays[place][0].name: place for place in list_places(arrays)}
        found, lost = [], ""
        for column, named in zip(self.networks.columns, self.columns, strict=True):
            place = places.get(named.name)
            if place is None:
                lost = f"{named.name} is not there"
            elif NamedColumn.of(named.name, arrays[place][2], column.scale[0], grids.get(named.name)) != named:
                lost = f"{named.name} has another bound or type"
            if place is None or lost:
                break
            found.append(replace(column, place=place))
        if not any(column.network for column in found):
            return Known(self.counter, None, lost)
        return Known(self.counter, Collection(tuple(found)), lost)

    def to_dict(self) -> Json:
        """JSON-safe description: what is not in the arrays."""
        columns = [{key: getattr(column, key) for key in _COLUMN} for column in self.columns]
        rows = collection_rows(self.networks)
        return {"tree": self.tree, "counter": self.counter, "columns": columns, "networks": rows}


@dataclass(frozen=True, eq=False)
class ColumnNetworks:
    """Networks for collections of trees."""

    collections: tuple[NamedCollection, ...]

    def known_to(self, tree: str, arrays: TreeArrays, grids: Mapping[str, Grid]) -> list[Known]:
        """What belongs to a tree of this name, with these arrays and grids of its columns."""
        return [collection.known_to(arrays, grids) for collection in self.collections if collection.tree == tree]

    @cached_property
    def arrays(self) -> dict[str, np.ndarray]:
        """The intervals and weights."""
        return join_collections([collection.networks for collection in self.collections])

    @cached_property
    def sha256(self) -> str:
        """What names these networks."""
        return networks_digest(self._described(), self.arrays)

    def _described(self) -> Json:
        return {"version": VERSION, "collections": [collection.to_dict() for collection in self.collections]}

    def to_dict(self) -> Json:
        """JSON-safe description: what of a model is not in its arrays."""
        return self._described() | {"sha256": self.sha256}

    def shown(self) -> Json:
        """JSON-safe: what people want to know of a model, columns by tree and counter."""
        found: Json = {}
        for one in self.collections:
            hidden = [0 if column.network is None else len(column.network.hidden) for column in one.networks.columns]
            names = [column.name for column in one.columns]
            found.setdefault(one.tree, {})[one.counter] = dict(zip(names, hidden, strict=True))
        return {"version": VERSION, "hidden": found, "sha256": self.sha256}

    @staticmethod
    def from_dict(description: Json, arrays: Mapping[str, np.ndarray]) -> "ColumnNetworks":
        """Rebuild from `to_dict` and the arrays; ValueError where they are none of networks, or are damaged."""
        require_form(description, _FORM, "codec")
        if description["version"] != VERSION:
            raise ValueError(f"networks of version {description['version']}; this version knows {VERSION}")
        taken = Taken(arrays)
        found = ColumnNetworks(tuple(_collection(one, taken) for one in description["collections"]))
        names = [(one.tree, column.name) for one in found.collections for column in one.columns]
        if len(set(names)) < len(names):
            raise ValueError("networks for a column twice")
        if found.sha256 != description["sha256"]:
            raise ValueError("its networks do not fit the checksum that names them")
        return found


def _collection(described: Json, taken: Taken) -> NamedCollection:
    columns = tuple(NamedColumn(**{key: column[key] for key in _COLUMN}) for column in described["columns"])
    networks = taken.collection(described["networks"])
    if [column.place for column in networks.columns] != list(range(len(columns))):
        raise ValueError(f"networks for other columns than the {len(columns)} that are named")
    return NamedCollection(described["tree"], described["counter"], columns, networks)
