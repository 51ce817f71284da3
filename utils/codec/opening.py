"""The trees of a container, column by column, and back to ROOT."""

from collections.abc import Iterator, Mapping
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Self

import awkward as ak
import numpy as np
from awkward.contents import Content

from utils import trees
from utils.codec.archive import ContainerError, blaming
from utils.codec.column_networks import ColumnNetworks
from utils.codec.columns import MOST_ENTRIES, Entries, StoredTree
from utils.codec.conditional import Collection
from utils.codec.models import AnyModel
from utils.codec.read_networks import describe_networks, model_of, read_networks
from utils.codec.reader import TREES, Reader
from utils.files import Json
from utils.jets import JetError
from utils.limits import require_form

OPEN_CHUNKS = 8
"""Chunks of a tree that stay open, with what networks told of their columns so far: some 250 bytes a jet of 32."""


class Columns(Mapping[str, ak.Array]):
    """The columns of a tree in a container, each read when it is asked for, as an awkward array."""

    def __init__(
        self,
        reader: Reader,
        stored: StoredTree,
        number: int,
        chunks: list[tuple[str, int]],
        open_chunks: int,
        model: ColumnNetworks | None = None,
    ):
        self._reader, self.stored, self._number, self._chunks, self._model = reader, stored, number, chunks, model
        self.name = stored.name
        self.entries = sum(entries for _, entries in chunks)
        self.chunk_entries = max((entries for _, entries in chunks), default=1)
        self._starts = np.cumsum([0, *(entries for _, entries in chunks)])
        self._columns = {column.name: column for column in stored.columns}
        self._opened = lru_cache(open_chunks)(self._open)

    def __getitem__(self, name: str) -> ak.Array:
        return self.array(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __contains__(self, name: object) -> bool:
        return name in self._columns

    def __len__(self) -> int:
        return len(self._columns)

    def array(self, name: str, start: int = 0, stop: int | None = None) -> ak.Array:
        """Some entries of a column, by default all; KeyError where there is no such column."""
        column = self._columns[name]
        stop = self.entries if stop is None else min(stop, self.entries)
        first, last = (int(np.searchsorted(self._starts, place)) for place in (start + 1, stop))
        parts = [self._part(name, number, start, stop) for number in range(max(first - 1, 0), last)]
        parts = [part for part in parts if len(part)]
        if not parts:
            return ak.Array(column.form.length_zero_array(highlevel=False))
        return ak.Array(parts[0]) if len(parts) == 1 else ak.concatenate(parts)

    def sizes(self) -> dict[str, int]:
        """Bytes of the streams of each column."""
        total = dict.fromkeys(self._columns, 0)
        for member, entries in self._chunks:
            for name, size in _entries(self._reader, self.stored, [], member, entries, whole=False).sizes().items():
                total[name] += size
        return total

    @property
    def metadata(self) -> Json:
        """What coffea asks of a source of columns that stand for events."""
        uuid = str(self._reader.attributes.get("digest", self._reader.path))
        return {"uuid": uuid, "num_rows": self.entries, "object_path": self.name}

    def title(self, name: str) -> str:
        """The title of a column."""
        return self._columns[name].title

    def _part(self, name: str, number: int, start: int, stop: int) -> Content:
        member, entries = self._chunks[number]
        begin = int(self._starts[number])
        with blaming(f"{self._reader.path}: {member}: {name}"):
            return self._opened(number).column(name)[max(start - begin, 0) : min(stop - begin, entries)]

    def _open(self, number: int) -> Entries:
        member, entries = self._chunks[number]
        return _entries(self._reader, self.stored, self._collections, member, entries, whole=False)

    @cached_property
    def _collections(self) -> list[Collection]:
        return read_networks(self._reader, self._number, self.stored, self._model)

    def networks(self) -> Json:
        """What is said of the networks that code columns; nothing where there are none."""
        return describe_networks(self._reader, self._number, self.stored)


class Trees(Mapping[str, ak.Array]):
    """The trees of a container by name, in `trees`; as a mapping, the columns of the first tree of events.

    `record` is what `slim` measured when it wrote the file, `lost` what could not be recovered. Where it `reads`
    columns, it needs the model that the file names. Close it, or use it in a `with` block.
    """

    def __init__(
        self,
        path: str | Path,
        recover: bool = False,
        model: AnyModel | None = None,
        *,
        reads: bool = True,
        open_chunks: int = OPEN_CHUNKS,
    ):
        self._reader = Reader(path, recover=recover)
        try:
            attributes = self._reader.attributes
            if attributes["codec"] != TREES:
                raise ContainerError(f"{path}: holds jets, not trees; `read_compressed` gives them as a table")
            self.lost = [*filter(None, [self._reader.damage, self._reader.missing_chunks()])]
            with blaming(f"{path}: its trees"):
                require_form(attributes, {"trees": [dict]}, "its attributes")
                _require_record(attributes.get("record", {"trees": {}}))
                stored = [StoredTree.from_dict(tree) for tree in attributes["trees"]]
                if not stored or len({tree.name for tree in stored}) < len(stored):
                    raise ValueError("none, or two of one name")
            self._model = model_of(self._reader, len(stored), model) if reads else None
            chunks = self._scan(stored) if recover else self._promised(stored)
            self.trees = {
                tree.name: Columns(self._reader, tree, number, chunks[number], open_chunks, self._model)
                for number, tree in enumerate(stored)
            }
        except BaseException:
            self._reader.close()
            raise
        self.attributes = attributes
        self.record: Json | None = attributes.get("record")
        events = [name for name in self.trees if name not in trees.BOOKKEEPING]
        self.events = self.trees[events[0] if events else next(iter(self.trees))]

    def __getitem__(self, name: str) -> ak.Array:
        return self.events[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.events)

    def __contains__(self, name: object) -> bool:
        return name in self.events

    def __len__(self) -> int:
        return len(self.events)

    @property
    def metadata(self) -> Json:
        """See `Columns`."""
        return self.events.metadata

    def close(self) -> None:
        """Release the file."""
        self._reader.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _promised(self, stored: list[StoredTree]) -> list[list[tuple[str, int]]]:
        """The chunks of each tree, name and entries, as the summary has them."""
        with blaming(f"{self._reader.path}: its chunks"):
            require_form(self._reader.attributes, {"chunk_entries": [[int]]}, "its attributes")
            listed, names = self._reader.attributes["chunk_entries"], self._reader.chunk_names()
            if len(listed) != len(names):
                raise ValueError(f"{len(names)} of {len(listed)} are there")
            found: list[list[tuple[str, int]]] = [[] for _ in stored]
            for name, (number, entries) in zip(names, listed, strict=True):
                if not (0 <= number < len(stored) and 0 <= entries <= MOST_ENTRIES):
                    raise ValueError(f"{entries} entries of tree {number}")
                found[number].append((name, entries))
            return found

    def _scan(self, stored: list[StoredTree]) -> list[list[tuple[str, int]]]:
        """The same of the chunks that are whole; what is not is added to `lost`."""
        found: list[list[tuple[str, int]]] = [[] for _ in stored]
        collections: dict[int, list[Collection]] = {}
        for name in self._reader.chunk_names():
            try:
                number = self._reader.member(name).header.get("tree")
                if not (isinstance(number, int) and 0 <= number < len(stored)):
                    raise ContainerError(f"{self._reader.path}: {name}: belongs to no tree")
                if number not in collections:
                    collections[number] = read_networks(self._reader, number, stored[number], self._model)
                entries = _entries(self._reader, stored[number], collections[number], name, None, whole=True)
                with blaming(f"{self._reader.path}: {name}"):
                    entries.chunk()
            except ContainerError as error:
                self.lost.append(str(error))
                continue
            found[number].append((name, entries.entries))
        return found


def open(path: str | Path, model: AnyModel | None = None) -> Trees:
    """The trees of a container that `slim` wrote: `open(path)["Jet_pt"]` is an awkward array, read at that moment.

    coffea takes it as a source of columns, all of which it reads: `NanoEventsFactory.from_preloaded(open(path))`.
    Columns that networks code are decoded in their order up to the one that is asked for, and then kept for the next
    ones, of at most `OPEN_CHUNKS` chunks. Of a longer file read many of them chunk by chunk: `array(name, start, stop)`
    of a tree in `trees`, in steps of its `chunk_entries`.
    `model` is the one that the file names, where it does. ContainerError where the file is damaged, holds jets, or
    names a model that is another, or is not given.
    """
    return Trees(path, model=model)


def _require_record(record: Json) -> None:
    """ValueError unless this can be what `slim` measured: of each bounded column a text, and numbers."""
    require_form(record, {"trees": dict}, "its record")
    for tree in record["trees"].values():
        require_form(tree, {"bounded": dict}, "its record")
        for errors in tree["bounded"].values():
            require_form(errors, [(str, float)], "its record")
            require_form(errors[-1] if errors else None, float, "its record")


def write_root(
    path: str | Path,
    output: str | Path,
    *,
    recover: bool = False,
    model: AnyModel | None = None,
    progress: bool = False,
) -> list[str]:
    """The ROOT file that a container of trees stands for; returns what was lost, one line each, with `recover`.

    TTrees come back as such, but for those with vectors or nested branches, which uproot writes to an RNTuple alone.
    """
    with Trees(path, recover, model, open_chunks=1) as container:  # which are read one after the other
        found = [_tree(columns) for columns in container.trees.values()]
        file = trees.TreeFile(Path(path), tuple(found), ())
        try:
            trees.write_trees(file, output, trees.Policy(), progress=progress, record=container.record)
        except JetError as error:
            if isinstance(error.__cause__, ContainerError):
                raise error.__cause__ from None
            raise
        return container.lost


def _tree(columns: Columns) -> trees.Tree:
    stored = columns.stored
    kind = stored.kind if all(column.fits_ttree for column in stored.columns) else "RNTuple"
    return trees.Tree(stored.name, stored.title, kind, columns.entries, stored.columns, (), _Source(columns))


class _Source:
    """Stands for a tree that uproot opened: branches by name, whose arrays are read by entries."""

    def __init__(self, columns: Columns):
        self._columns = columns
        self.chunk_entries = columns.chunk_entries

    def __getitem__(self, name: str) -> "_Branch":
        return _Branch(self._columns, name)


class _Branch:
    def __init__(self, columns: Columns, name: str):
        self._columns, self._name = columns, name

    def array(self, entry_start: int, entry_stop: int, library: str) -> Any:
        return self._columns.array(self._name, entry_start, entry_stop)


def _entries(
    reader: Reader,
    stored: StoredTree,
    collections: list[Collection],
    member: str,
    expected: int | None,
    whole: bool,
) -> Entries:
    packed = reader.member(member, whole)
    with blaming(f"{reader.path}: {member}"):
        entries = Entries(stored, packed, collections)
        if expected is not None and entries.entries != expected:
            raise ValueError(f"holds {entries.entries} entries, expected {expected}")
        return entries
