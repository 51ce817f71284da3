"""ROOT files through uproot: TTree and RNTuple."""

import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import awkward as ak
import numpy as np
import pandas as pd
import uproot
from uproot.behaviors.TBranch import HasBranches

from utils.jets.formats.layouts import JetColumns, choose_collection, find_counter, find_event_column, holds_jets
from utils.jets.formats.note import NOTE_KEY, NoteBuilder, parse_note
from utils.jets.formats.source import (
    ROWS,
    Block,
    Options,
    Source,
    check_lengths,
    event_numbers,
    is_remote,
    numeric,
    open_binary,
    reading,
    row_blocks,
    same_counts,
)
from utils.jets.table import JetError, event_counts
from utils.jets.units import unit_in
from utils.text import listing

Tree: TypeAlias = HasBranches
"""A TTree, or what has its methods: an RNTuple."""

USUAL_TREES = ("Events", "CollectionTree", "EventData")
"""Trees that are taken without asking where a file holds several."""

BLOCK_BYTES = 2**25
"""Bytes, uncompressed, of the branches that are in memory at once."""


def open_root(name: str, options: Options) -> Source:
    """A TTree or RNTuple: NanoAOD, DAOD_PHYSLITE, trigger-level xAOD, Cartesian branches, or flat columns."""
    with reading(name, "ROOT"):
        file = uproot.open({name: None} if is_remote(name) else Path(name))
        with open_binary(name) as stream:
            size = stream.seek(0, io.SEEK_END)
        if size < file.file.fEND:
            raise JetError(f"{name}: truncated: {size} bytes of the {file.file.fEND} that its header promises")
        kinds = file.classnames(recursive=True, cycle=False)
        trees = {key: kind for key, kind in kinds.items() if kind in ("TTree", "TNtuple", "TNtupleD", "ROOT::RNTuple")}
        if not trees:
            raise JetError(f"{name}: no TTree or RNTuple in this ROOT file; it holds: {listing(kinds)}")
        key, columns, names = _choose_tree(name, file, list(trees), options)
        tree = file[key]
        columns = columns.with_titles({column: _title(tree[column]) for column in columns.needed.values()})
        note = parse_note(str(file[NOTE_KEY]), name) if NOTE_KEY in kinds else None
    event_column = find_event_column(names, columns)
    kind = "RNTuple" if trees[key] == "ROOT::RNTuple" else "TTree"
    jagged = _is_jagged(tree, columns, name)
    blocks = _RootBlocks(name, tree, event_column, jagged, find_counter(names, columns))
    source = Source(
        name,
        f"ROOT {kind}",
        columns,
        blocks,
        event_column,
        unit=unit_in(_title(tree)),
        unit_from="named in the title of the tree",
        tree=key,
        note=note,
        total=tree.num_entries,
        jagged=jagged,
    )
    if jagged:
        source = replace(source, split=lambda first, last: replace(blocks, first=first, last=last))
    return source


def _title(item: Any) -> str:
    """What a tree or a branch of a TTree, or a field of an RNTuple, says of itself."""
    return str(getattr(item, "title", None) or getattr(item, "description", None) or "")


def _choose_tree(
    name: str, file: uproot.ReadOnlyDirectory, keys: list[str], options: Options
) -> tuple[str, JetColumns, list[str]]:
    wanted, collection = options
    if wanted is not None:
        if wanted.split(";")[0] not in keys:
            raise JetError(f"{name}: no tree {wanted!r}; those there are: {listing(keys)}")
        keys = [wanted.split(";")[0]]
    named = {key: [str(column) for column in file[key].keys()] for key in keys}  # noqa: SIM118
    if collection is None:
        keys = [key for key in keys if holds_jets(named[key])] or keys
        keys = [key for key in keys if key in USUAL_TREES] or keys
    usable, errors = {}, []
    for key in keys:
        try:
            usable[key] = choose_collection(named[key], collection, name if len(named) == 1 else f"{name}: tree {key}")
        except JetError as error:
            errors.append(error)
    if not usable:
        raise errors[0]
    keys = [key for key in usable if key in USUAL_TREES] or list(usable)
    if len(keys) > 1:
        raise JetError(f"{name}: several trees hold jets; choose one with --tree (tree= in Python): {listing(usable)}")
    return keys[0], usable[keys[0]], named[keys[0]]


def _is_jagged(tree: Tree, columns: JetColumns, name: str) -> bool:
    """Whether there is a list of jets per entry, not one jet; judged by the first entry, as libraries present it."""
    with reading(name, "ROOT"):
        dims = {column: tree[column].array(entry_start=0, entry_stop=1).ndim for column in columns.needed.values()}
    if set(dims.values()) not in ({1}, {2}):
        raise JetError(f"{name}: expected numbers or lists of numbers, found arrays of dimension {dims}")
    return set(dims.values()) == {2}


@dataclass(frozen=True)
class _RootBlocks:
    name: str
    tree: Tree
    event_column: str | None
    jagged: bool
    counter: str | None = None
    first: int = 0
    last: int | None = None

    def __call__(self, columns: Mapping[str, str]) -> Iterator[Block]:
        used = [*columns.values(), *([self.event_column] if self.event_column else [])]
        branches = {name: self.tree[name] for name in used}
        entries = self.tree.num_entries
        counted = {name: branch.num_entries for name, branch in branches.items() if hasattr(branch, "num_entries")}
        check_lengths(counted | {"the tree": entries}, self.name)
        step = self._step(branches.values(), entries)
        last = entries if self.last is None else min(self.last, entries)
        spans = [(start, min(start + step, last)) for start in range(self.first, last, step)]
        if not self.jagged:
            return row_blocks((self._rows(columns, *span), self._event(*span)) for span in spans)
        return (self._lists(columns, *span) for span in spans)

    def _lists(self, columns: Mapping[str, str], start: int, stop: int) -> Block:
        values, counts = {}, {}
        slots = 0
        for role, name in columns.items():
            lists = self.tree[name].array(entry_start=start, entry_stop=stop, array_cache=None)
            if self.counter is not None and lists.layout.purelist_isregular:
                slots = len(ak.flatten(lists))
                lists = ak.from_regular(lists, axis=1)
                lists = lists[ak.local_index(lists) < self._array(self.counter, start, stop)]
            counts[name] = ak.to_numpy(ak.num(lists)).astype(np.int64)
            values[role] = numeric(ak.to_numpy(ak.flatten(lists)), self.name, name)
        counts_of_all = same_counts(counts, self.name, start, stop - start)
        padding = slots - int(counts_of_all.sum()) if slots else 0
        return Block(values, counts_of_all, self._event(start, stop), stop - start, padding)

    def _rows(self, columns: Mapping[str, str], start: int, stop: int) -> dict[str, np.ndarray]:
        return {role: numeric(self._array(name, start, stop), self.name, name) for role, name in columns.items()}

    def _event(self, start: int, stop: int) -> np.ndarray | None:
        if self.event_column is None:
            return None
        return event_numbers(self._array(self.event_column, start, stop), self.name, self.event_column)

    def _array(self, name: str, start: int, stop: int) -> np.ndarray:
        return self.tree[name].array(entry_start=start, entry_stop=stop, library="np", array_cache=None)

    @staticmethod
    def _step(branches: Iterable[HasBranches], entries: int) -> int:
        """Entries that take about `BLOCK_BYTES`."""
        size = sum(getattr(branch, "uncompressed_bytes", 100 * entries) for branch in branches)
        return int(np.clip(BLOCK_BYTES * max(entries, 1) // max(size, 1), 1000, ROWS))


BASKET_EVENTS = 2**15


def write_root(path: Path, note: NoteBuilder, tables: Iterator[pd.DataFrame]) -> None:
    """NanoAOD-like: a TTree `Events` with `event`, `nJet` and jagged `Jet_pt, Jet_eta, Jet_phi, Jet_mass`."""
    names = {"pt": "pt", "eta": "eta", "phi": "phi", "mass": "m"}
    jets = ak.types.ListType(ak.types.RecordType([ak.types.NumpyType("float32")] * 4, list(names)))
    with uproot.recreate(path, compression=uproot.ZLIB(4)) as file:
        tree = file.mktree("Events", {"event": "int64", "Jet": jets}, title="Jets, in GeV and rad")
        for table in tables:
            numbers, counts = event_counts(table)
            records = ak.zip({branch: table[name].to_numpy() for branch, name in names.items()})
            lists = ak.unflatten(records, counts)
            for start in range(0, len(numbers), BASKET_EVENTS):
                stop = start + BASKET_EVENTS
                tree.extend({"event": numbers[start:stop], "Jet": lists[start:stop]})
        file[NOTE_KEY] = note.format()
