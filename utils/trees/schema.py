"""What a ROOT file holds: its trees, the columns of each, and what cannot be read."""

import contextlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import uproot
from awkward.forms import Form, ListOffsetForm, NumpyForm, RecordForm

from utils.jets import reading
from utils.trees.arrays import canonical, canonical_form, depth_of, flat_type, holds_floats, is_text

TREES = ("TTree", "TNtuple", "TNtupleD")
RNTUPLE = "ROOT::RNTuple"


class TreeError(ValueError):
    """A tree that cannot be read or written, or a policy that does not fit it; the message names file and branch."""


@dataclass(frozen=True)
class Column:
    """One branch of a tree: its name, how uproot finds it, its type in C++, its title, the form of its arrays.

    `counter` names the branch that counts its values, where there is one; `bytes` is what it takes in the file, None
    where the file does not tell.
    """

    name: str
    key: str
    typename: str
    title: str
    form: Form
    counter: str | None = None
    bytes: int | None = None

    @property
    def depth(self) -> int:
        """Levels of lists: 0 for a value an entry, 1 for a jagged branch, 2 for a doubly jagged one."""
        return depth_of(self.form)

    @property
    def collection(self) -> str:
        """What it belongs to: `Jet` of Jet_pt with a counter, `AnalysisJetsAuxDyn` of AnalysisJetsAuxDyn.pt, or ""."""
        if self.counter is not None:
            shared = self.counter[1:]
            return shared if self.name.startswith(f"{shared}_") else self.name.partition("_")[0]
        return self.name.partition(".")[0] if self.depth and "." in self.name else ""

    @property
    def floats(self) -> bool:
        """Whether it holds floating-point numbers, which alone can be bounded."""
        return holds_floats(self.form)

    @property
    def fits_ttree(self) -> bool:
        """Whether a TTree takes it: numbers, arrays of a fixed shape, strings, or lists of them with a counter."""
        if is_text(self.form) or flat_type(self.form) is not None:
            return True
        return isinstance(self.form, ListOffsetForm) and self.counter is not None and _is_flat(self.form.content)


def _is_flat(form: Form) -> bool:
    return flat_type(form) is not None


@dataclass(frozen=True)
class Lost:
    """Something of a file that cannot be carried: its name, its type in C++, and why."""

    name: str
    typename: str
    why: str


@dataclass(frozen=True)
class Tree:
    """A TTree or an RNTuple: its columns in the order of the file, and its branches that cannot be read."""

    name: str
    title: str
    kind: str
    entries: int
    columns: tuple[Column, ...]
    lost: tuple[Lost, ...]
    source: Any = field(repr=False, compare=False)

    @property
    def collections(self) -> dict[str, list[Column]]:
        """The columns of each collection; scalars under ""."""
        found: dict[str, list[Column]] = {}
        for column in self.columns:
            found.setdefault(column.collection, []).append(column)
        return found


@dataclass(frozen=True)
class TreeFile:
    """A ROOT file: its trees, and its other objects."""

    path: Path
    trees: tuple[Tree, ...]
    others: tuple[Lost, ...]


@contextlib.contextmanager
def open_trees(path: str | Path, tree: str | None = None) -> Iterator[TreeFile]:
    """The trees of a ROOT file, or the one that is named, while the block runs.

    TreeError where there are none; JetError, a ValueError too, for a file that is no ROOT file, or damaged.
    """
    path = Path(path)
    with reading(str(path), "ROOT"):
        file = uproot.open(path, object_cache=None, array_cache=None, **FROM_DISK)
    with file:
        if path.stat().st_size < file.file.fEND:
            raise TreeError(
                f"{path}: truncated: {path.stat().st_size} bytes of {file.file.fEND} that its header promises"
            )
        with reading(str(path), "ROOT"):
            kinds = file.classnames(recursive=True, cycle=False)
        names = [name for name, kind in kinds.items() if kind in (*TREES, RNTUPLE)]
        if not names:
            raise TreeError(f"{path}: no TTree or RNTuple in this ROOT file")
        if tree is not None and tree not in names:
            raise TreeError(f"{path}: no tree {tree!r}; those there are: {', '.join(names)}")
        with reading(str(path), "ROOT"):
            wanted = names if tree is None else [tree]
            trees = tuple(_describe(name, kinds[name], file[name]) for name in wanted)
        others = tuple(
            Lost(name, kind, "not a tree")
            for name, kind in kinds.items()
            if kind not in (*TREES, RNTUPLE, "TDirectory", "TDirectoryFile") and name != RECORD_KEY
        )
        yield TreeFile(path, trees, others)


FROM_DISK = {"handler": uproot.MultithreadedFileSource, "use_threads": False, "num_workers": 1}
"""How uproot reads a local file: at once, not by way of a loop that waits for a network, which takes twice as long."""

RECORD_KEY = "compression_hep_slim"
"""The object of a file that says how it was made from another."""


def _describe(name: str, kind: str, source: Any) -> Tree:
    find = _fields if kind == RNTUPLE else _branches
    columns: dict[str, Column] = {}
    lost = [Lost(alias, "alias", "not a branch") for alias in getattr(source, "aliases", None) or {}]
    for found in find(source):
        if isinstance(found, Lost):
            lost.append(found)
        elif found.name in columns:
            lost.append(Lost(found.name, found.typename, "another branch has this name"))
        else:
            columns[found.name] = found
    title = str(getattr(source, "title", None) or getattr(source, "description", None) or "")
    kind = "RNTuple" if kind == RNTUPLE else "TTree"
    return Tree(name, title, kind, source.num_entries, tuple(columns.values()), tuple(lost), source)


def _branches(tree: Any) -> Iterator[Column | Lost]:
    """The branches of a TTree that hold values, under the name that each has alone."""
    leaves = [(path, branch) for path, branch in tree.iteritems(recursive=True) if not branch.branches]
    short = Counter(_short_name(path) for path, _ in leaves)
    forms = {path: _branch_form(branch, tree.num_entries) for path, branch in leaves}
    counters = {path for path, form in forms.items() if _is_integer(form)}
    for path, branch in leaves:
        form, name = forms[path], _short_name(path)
        name = name if short[name] == 1 else path.replace("/", ".")
        if isinstance(form, Exception):
            yield Lost(name, branch.typename, _first_line(form))
            continue
        counter = getattr(branch.count_branch, "name", None)
        counter = counter if counter in counters else None
        size = branch.compressed_bytes or (None if branch.num_entries else 0)  # baskets inside the tree's own record
        yield Column(name, path, branch.typename, branch.title, form, counter, size)


def _branch_form(branch: Any, entries: int) -> Form | Exception:
    """The form of the arrays of a branch, or what uproot says where it has none or cannot read the first entry."""
    try:
        if not branch.num_entries == branch.entry_offsets[-1] == entries:
            return ValueError(f"{branch.num_entries} entries, expected {entries}")
        form = canonical_form(branch.interpretation.awkward_form(branch.file))
        if type(branch.interpretation) not in (uproot.AsDtype, uproot.AsJagged) and branch.num_entries:
            first = branch.array(entry_start=0, entry_stop=1, library="ak")
            form = canonical(first.layout, form).form
    except Exception as error:
        return error
    return form if list(_primitives(form)) else TypeError("holds no values")


def _is_integer(form: Form | Exception) -> bool:
    return isinstance(form, NumpyForm) and np.dtype(form.primitive).kind in "iu"


def _primitives(form: Form) -> Iterator[str]:
    if isinstance(form, NumpyForm):
        yield form.primitive
        return
    for content in form.contents if isinstance(form, RecordForm) else [form.content]:
        yield from _primitives(content)


def _short_name(path: str) -> str:
    """`EventInfoAux.runNumber` of `EventInfoAux./EventInfoAux.runNumber`; parts that say less stay together."""
    *parents, name = path.split("/")
    if not parents or name.startswith(parents[-1].rstrip(".")):
        return name
    return ".".join([*(part.rstrip(".") for part in parents), name])


def _fields(ntuple: Any) -> Iterator[Column | Lost]:
    """The fields of an RNTuple, those of its records and of its collections of records one by one."""
    forms = {name: _field_form(ntuple, name) for name in ntuple.keys(recursive=False)}
    counters = {name for name, form in forms.items() if _is_integer(form)}
    for name, form in forms.items():
        if isinstance(form, Exception):
            yield Lost(name, ntuple[name].typename, _first_line(form))
            continue
        for key, leaf in _leaves(name, form, inside=False):
            field, counter = ntuple[key], _counter_by_name(key, counters) if depth_of(leaf) == 1 else None
            yield Column(key, key, field.typename, str(field.description or ""), leaf, counter)


def _field_form(ntuple: Any, name: str) -> Form | Exception:
    try:
        return canonical_form(ntuple[name].to_akform()[0]).content(name)
    except Exception as error:
        return error


def _counter_by_name(name: str, counters: set[str]) -> str | None:
    """The field that counts a list by its name, as in NanoAOD: nJet, or else nJet_pt, of Jet_pt."""
    parts = name.split("_")
    names = (f"n{'_'.join(parts[:length])}" for length in range(1, len(parts) + 1))
    return next((counter for counter in names if counter in counters), None)


def _leaves(key: str, form: Form, inside: bool) -> Iterator[tuple[str, Form]]:
    if isinstance(form, RecordForm):
        for name in form.fields:
            yield from _leaves(f"{key}.{name}", form.content(name), inside)
    elif isinstance(form, ListOffsetForm) and isinstance(form.content, RecordForm) and not inside:
        for name in form.content.fields:
            for inner, leaf in _leaves(f"{key}.{name}", form.content.content(name), inside=True):
                yield inner, ListOffsetForm("i64", leaf)
    else:
        yield key, form


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
