"""ROOT files through uproot: TTree and RNTuple."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import awkward as ak
import numpy as np
import pandas as pd
import uproot
from uproot.behaviors.TBranch import HasBranches

from utils.jets.events import event_columns
from utils.jets.formats.assembly import Array, check_lengths
from utils.jets.formats.finding import choose_columns, find_collections, find_counter
from utils.jets.formats.layouts import JetColumns, Options
from utils.jets.formats.newroot import new_root_file
from utils.jets.formats.note import NOTE_KEY, NoteBuilder, find_note
from utils.jets.formats.source import ROWS, Source, file_size, is_jagged, is_remote, reading
from utils.jets.formats.streams import require_proportion
from utils.jets.table import FEATURES, JetError, event_counts
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
        if (size := file_size(name)) < file.file.fEND:
            raise JetError(f"{name}: truncated: {size} bytes of the {file.file.fEND} that its header promises")
        kinds = file.classnames(recursive=True, cycle=False)
        trees = {key: kind for key, kind in kinds.items() if kind in ("TTree", "TNtuple", "TNtupleD", "ROOT::RNTuple")}
        if not trees:
            raise JetError(f"{name}: no TTree or RNTuple in this ROOT file; it holds: {listing(kinds)}")
        key, columns, names = _choose_tree(name, file, list(trees), options)
        pieces = _RootPieces(name, file[key], options.read)
        needed = [part for column in columns.needed.values() for part in columns.in_file(column)]
        columns = columns.with_titles({part: _title(pieces.tree[part]) for part in needed})
        texts = [NOTE_KEY] if NOTE_KEY in kinds else [key for key, kind in kinds.items() if kind == "TObjString"][:100]
        note = find_note({key: str(file[key]) for key in texts}, name)
        first = {part: pieces.tree[part].array(entry_start=0, entry_stop=1) for part in needed}
    jagged = is_jagged({part: array.ndim for part, array in first.items()}, columns, name)
    fixed = jagged and all(array.layout.purelist_isregular for array in first.values())
    return Source(
        name,
        f"ROOT {'RNTuple' if trees[key] == 'ROOT::RNTuple' else 'TTree'}",
        columns,
        pieces,
        jagged,
        counter=find_counter(names, columns) if fixed else None,
        unit=unit_in(_title(pieces.tree)),
        unit_from="named in the title of the tree",
        tree=key,
        note=note,
        total=pieces.tree.num_entries,
        split=(lambda first, last: replace(pieces, first=first, last=last)) if jagged else None,
    )


def _title(item: Any) -> str:
    """What a tree or a branch of a TTree, or a field of an RNTuple, says of itself."""
    return str(getattr(item, "title", None) or getattr(item, "description", None) or "")


def _choose_tree(
    name: str, file: uproot.ReadOnlyDirectory, trees: list[str], options: Options
) -> tuple[str, JetColumns, list[str]]:
    """The tree with the jets that are asked for; where none has all of them, the error is that of the likeliest."""
    keys = trees
    if options.tree is not None:
        if options.tree.split(";")[0] not in trees:
            raise JetError(f"{name}: no tree {options.tree!r}; those there are: {listing(trees)}")
        keys = [options.tree.split(";")[0]]
    named: dict[str, list[str]] = {}
    errors: list[JetError] = []
    for key in keys:
        try:
            with reading(f"{name}: tree {key}", "ROOT"):
                named[key] = [str(column) for column in file[key].keys()]  # noqa: SIM118
        except JetError as error:
            if len(keys) == 1 or key in USUAL_TREES:
                raise
            errors.append(error)  # which matters where no other tree has the jets
    keys = list(named)
    if options.collection is None and not options.columns:
        keys = [key for key in keys if _jets_in(named[key])] or keys
        keys = [key for key in keys if key in USUAL_TREES] or keys
    usable = {}
    for key in sorted(keys, key=lambda key: _jets_in(named[key])):
        try:
            usable[key] = choose_columns(named[key], options, name if len(trees) == 1 else f"{name}: tree {key}")
        except JetError as error:
            errors.append(error)
    if not usable:
        raise errors[-1]
    keys = [key for key in usable if key in USUAL_TREES] or list(usable)
    if len(keys) > 1:
        raise JetError(f"{name}: several trees hold jets; choose one with --tree (tree= in Python): {listing(usable)}")
    return keys[0], usable[keys[0]], named[keys[0]]


def _jets_in(names: list[str]) -> int:
    """How many of the columns of a jet there are, of what is called jets, or of bare columns that are complete."""
    found = find_collections(names).values()
    jets = [columns for columns in found if columns.looks_like_jets and (columns.name or columns.roles)]
    return max((len(columns.columns) for columns in jets), default=0)


@dataclass(frozen=True)
class _RootPieces:
    name: str
    tree: Tree
    read: Mapping[str, str]
    first: int = 0
    last: int | None = None

    def __call__(self, names: Sequence[str]) -> Iterator[Mapping[str, Array]]:
        branches = {name: self.tree[name] for name in names}
        entries = self.tree.num_entries
        counted = {name: branch.num_entries for name, branch in branches.items() if hasattr(branch, "num_entries")}
        check_lengths(counted | {"the tree": entries}, self.name)
        held = sum(getattr(branch, "uncompressed_bytes", 0) for branch in branches.values())
        held = held or ntuple_bytes(self.tree)
        require_proportion(held, file_size(self.name), self.read, self.name)
        size = sum(getattr(branch, "uncompressed_bytes", 100 * entries) for branch in branches.values())
        step = int(np.clip(BLOCK_BYTES * max(entries, 1) // max(size, 1), 1000, ROWS))
        last = entries if self.last is None else min(self.last, entries)
        for start in range(self.first, last, step):
            span = {"entry_start": start, "entry_stop": min(start + step, last), "array_cache": None}
            yield {name: branch.array(**span) for name, branch in branches.items()}


BASKET_EVENTS = 2**15


def write_root(path: Path, note: NoteBuilder, tables: Iterator[pd.DataFrame]) -> None:
    """NanoAOD-like: a TTree `Events` with `event`, `nJet` and jagged `Jet_pt, Jet_eta, Jet_phi, Jet_mass`, and with
    `run` and `luminosityBlock` where there are any."""
    names = {"pt": "pt", "eta": "eta", "phi": "phi", "mass": "m"}
    jets = ak.types.ListType(ak.types.RecordType([ak.types.NumpyType("float32")] * 4, list(names)))
    branches = {name: "int64" for name in note.columns if name not in FEATURES}
    with new_root_file(path, uproot.ZLIB(4)) as file:
        tree = file.mktree("Events", {**branches, "Jet": jets}, title="Jets, in GeV and rad")
        for table in tables:
            ids, counts = event_counts(table)
            records = ak.zip({branch: table[name].to_numpy() for branch, name in names.items()})
            lists = ak.unflatten(records, counts)
            for start in range(0, len(ids), BASKET_EVENTS):
                some = slice(start, start + BASKET_EVENTS)
                tree.extend({**event_columns(ids[some]), "Jet": lists[some]})
        file[NOTE_KEY] = note.format()


def ntuple_bytes(tree: Any) -> int:
    """What the pages of an RNTuple hold, uncompressed, by what its page lists say; 0 for a TTree."""
    pages = getattr(tree, "page_link_list", ())
    bits = [column.nbits for column in tree.column_records] if pages else []
    return (
        sum(
            sum(page.num_elements for page in column.pages) * width
            for cluster in pages
            for column, width in zip(cluster, bits, strict=False)
        )
        // 8
    )
