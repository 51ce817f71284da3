"""A ROOT file with every branch within the bound that a policy gives it, read back before it gets its name."""

import json
import math
import os
from functools import partial
from pathlib import Path

import uproot
from tqdm import tqdm

from utils.files import Json, atomic_path, refuse_output, unchanging
from utils.jets import new_root_file, open_source, settle_units
from utils.limits import parse_json
from utils.text import listing
from utils.trees.arrays import floats_of, with_floats
from utils.trees.bounds import Errors, rounded
from utils.trees.ntuple import NTupleWriter, UnsharedError, candidates
from utils.trees.policy import BOOKKEEPING, Plan, Policy, load_policy, make_plans
from utils.trees.read import Chunk, chunk_entries, iter_chunks
from utils.trees.record import Outcome, make_record, make_report
from utils.trees.schema import RECORD_KEY, Column, Lost, Tree, TreeError, TreeFile, open_trees
from utils.trees.settings import COMPRESSIONS, KINDS
from utils.trees.ttree import TTreeWriter
from utils.trees.verify import require_same

SUFFIX = ".root"


def slim(
    source: str | Path,
    target: str | Path,
    policy: Policy | str | Path = "stored",
    *,
    tree: str | None = None,
    to: str | None = None,
    compression: str = "lzma",
    progress: bool = False,
) -> Json:
    """Write the trees of a ROOT file to another, each branch within its bound; returns what was done, as JSON.

    `tree` names one where not all are wanted; `to` is "ttree" or "rntuple" where they are not to stay what they are;
    `progress` shows a bar. The file appears only after each value of each branch was read back from it and compared
    with the source. TreeError, a ValueError, before anything is written where a TTree was asked for and cannot hold
    some branches; OutputError where the target is the source; ChangedError where the source changes meanwhile.
    """
    if to not in (None, *KINDS) or compression not in COMPRESSIONS:
        known = f"{listing(KINDS)}; {listing(COMPRESSIONS)}"
        raise ValueError(f"expected one of each: {known}; found {to}; {compression}")
    policy = policy if isinstance(policy, Policy) else load_policy(policy)
    with open_trees(source, tree) as file:
        return write_trees(file, target, policy, to=to, compression=compression, progress=progress)


def write_trees(
    file: TreeFile,
    target: str | Path,
    policy: Policy,
    *,
    to: str | None = None,
    compression: str = "lzma",
    progress: bool = False,
    record: Json | None = None,
) -> Json:
    """What `slim` does, with trees that are open already; `record` is what the file is to say of itself."""
    refuse_output(target, [file.path], SUFFIX)
    found = make_plans(file, policy, lambda: energy_unit(file.path))
    plans, left_out = _sort_out(found, to)
    outcome = Outcome(file.path, policy, plans, [*left_out, *((None, lost) for lost in file.others)])
    _require_writable(outcome, to)
    entries = 2 * sum(plan.tree.entries for plan in plans)
    with (
        tqdm(total=entries, unit="entry", disable=not progress) as bar,
        atomic_path(target) as unfinished,
        unchanging([file.path]),
    ):
        _write(unfinished, outcome, to, compression, bar, record)
        _verify(unfinished, outcome, bar)
        size = os.path.getsize(unfinished)
    return {"output": str(target), "compression": compression} | make_report(outcome, size)


def energy_unit(path: str | Path) -> str:
    """The unit of energies in a file, as its jets tell; ValueError where they do not."""
    try:
        source = settle_units([open_source(str(path))], None, None)[0]
    except ValueError as error:
        raise ValueError(
            f"a bound names a unit of energy, and the jets of {path} do not tell its own; give a plain number ({error})"
        ) from error
    assert source.units is not None
    return next(iter(source.units.by_role.values()))


def bounded_chunk(chunk: Chunk, plan: Plan, errors: dict[str, Errors] | None = None) -> Chunk:
    """A chunk with its values rounded, each column's within its bound; errors are noted where they are asked for."""
    out = dict(chunk)
    for column in plan.bounded:
        name, bound = column.name, plan.bounds[column.name]
        out[name] = with_floats(chunk[name], partial(rounded, bound=bound))
        if errors is not None:
            for true, new in zip(floats_of(chunk[name]), floats_of(out[name]), strict=True):
                errors[name].add(true, new, bound)
    return out


def read_record(path: str | Path) -> Json | None:
    """What a file that `slim` wrote says of itself; None for any other ROOT file."""
    with uproot.open(path) as file:
        return parse_json(str(file[RECORD_KEY])) if RECORD_KEY in file else None


def _kind(tree: Tree, to: str | None) -> str:
    """What a tree is written as."""
    return tree.kind if to is None else KINDS[to]


def _misfits(plan: Plan, to: str | None) -> list[Column]:
    return [] if _kind(plan.tree, to) == "RNTuple" else [column for column in plan.columns if not column.fits_ttree]


def _sort_out(plans: list[Plan], to: str | None) -> tuple[list[Plan], list[tuple[str | None, Lost]]]:
    """The plans that are carried out, and what is left out: not readable, or bookkeeping that no TTree holds."""
    carried: list[Plan] = []
    left_out: list[tuple[str | None, Lost]] = []
    for plan in plans:
        left_out += [(plan.tree.name, lost) for lost in plan.tree.lost]
        if plan.tree.name in BOOKKEEPING and _misfits(plan, to):
            lost = [Lost(column.name, column.typename, "does not fit a TTree") for column in plan.columns]
            left_out += [(plan.tree.name, item) for item in lost]
        elif plan.columns:
            carried.append(plan)
    return carried, left_out


def _require_writable(outcome: Outcome, to: str | None) -> None:
    """TreeError where nothing can be read, and where a TTree cannot hold the branches that it should."""
    if not outcome.plans:
        raise TreeError(f"{outcome.source}: no branch can be read: {listing(outcome.left_out_names(), 12)}")
    for plan in outcome.plans:
        if misfits := _misfits(plan, to):
            names = [f"{column.name} ({column.typename or column.form.type})" for column in misfits]
            raise TreeError(
                f"{outcome.source}: tree {plan.tree.name}: {len(names)} of {len(plan.columns)} branches are vectors or "
                "nested, which a TTree written by uproot cannot hold; write an RNTuple (--to rntuple, to= in Python) "
                f"or a container (OUT.zarr.zip), or leave them out with --drop: {listing(names, 12)}"
            )


def _write(path: Path, outcome: Outcome, to: str | None, compression: str, bar: tqdm, record: Json | None) -> None:
    """All trees, then the record; again without a collection whose columns turned out to have different counts."""
    shared = {plan.tree.name: candidates(plan.columns) for plan in outcome.plans}
    while True:
        apart = None
        with new_root_file(path, getattr(uproot, compression.upper())(COMPRESSIONS[compression])) as file:
            for plan in outcome.plans:
                writer = _writer(file, plan, to, shared[plan.tree.name], str(outcome.source))
                outcome.begin(plan, _kind(plan.tree, to))
                apart = _fill(writer, plan, outcome, bar)
                if apart is not None:
                    shared[plan.tree.name].discard(apart)
                    break
            else:
                file[RECORD_KEY] = json.dumps(record or make_record(outcome), separators=(",", ":"))
                return
        bar.reset()


def _writer(
    file: uproot.WritableDirectory, plan: Plan, to: str | None, shared: set[str], name: str
) -> TTreeWriter | NTupleWriter:
    tree = plan.tree
    if _kind(tree, to) == "RNTuple":
        return NTupleWriter(file, tree.name, tree.title, plan.columns, shared)
    chunks = math.ceil(tree.entries / chunk_entries(tree, plan.columns, name))
    return TTreeWriter(file, tree.name, tree.title, plan.columns, chunks)


def _fill(writer: TTreeWriter | NTupleWriter, plan: Plan, outcome: Outcome, bar: tqdm) -> str | None:
    """Write all chunks; returns the collection whose columns have different counts, where there is one."""
    for start, stop, chunk in iter_chunks(plan.tree, plan.columns, str(outcome.source)):
        try:
            writer.extend(bounded_chunk(chunk, plan, outcome.errors[plan.tree.name]))
        except UnsharedError as error:
            return error.name
        except (ValueError, TypeError) as error:
            where = f"{outcome.source}: tree {plan.tree.name}: entries {start} to {stop}"
            raise TreeError(f"{where}: {error}") from error
        bar.update(stop - start)
    writer.close()
    return None


def _verify(path: Path, outcome: Outcome, bar: tqdm) -> None:
    """TreeError where a branch that was written is not, in name, title or any value, what it should be."""
    with open_trees(path) as written:
        found = {tree.name: tree for tree in written.trees}
        for plan in outcome.plans:
            twin = found[plan.tree.name]
            for entries in require_same(plan, twin, str(outcome.source), str(path)):
                bar.update(entries)
            outcome.written(plan, twin)
