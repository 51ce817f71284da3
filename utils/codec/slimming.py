"""Whole trees to a small file: every branch within the bound that a policy gives it."""

import os
from collections.abc import Callable, Iterator
from functools import partial
from importlib.metadata import version
from pathlib import Path

from tqdm import tqdm

from utils import __version__, trees
from utils.codec.column_networks import ColumnNetworks
from utils.codec.columns import StoredTree, Ways, encode_entries
from utils.codec.container import Member, Writer, chunk_name
from utils.codec.fitting import Networks
from utils.codec.models import as_networks
from utils.codec.reader import TREES
from utils.codec.settings import SUFFIX, TREE_CODECS
from utils.codec.threads import ordered_map, require_workers
from utils.files import Json, atomic_path, refuse_output, unchanging
from utils.text import listing

Step = tuple[int, int, trees.Chunk]
"""First and last entry of a chunk, and its values."""

NetworksOf = Callable[[int, StoredTree, int], Networks]
"""Gives the networks of a tree from its number, what it is, and its entries."""


def slim(
    source: str | Path,
    target: str | Path,
    policy: trees.Policy | str | Path = "stored",
    *,
    tree: str | None = None,
    to: str | None = None,
    compression: str | None = None,
    codec: str = "plain",
    model: ColumnNetworks | str | Path | None = None,
    embed_model: bool = False,
    workers: int | None = None,
    progress: bool = False,
) -> Json:
    """Write the trees of a ROOT file to a container (.zarr.zip) or to ROOT, each branch within its bound.

    Returns what was done, as JSON. `tree` names one where not all are wanted; `to` and `compression` are those of
    `trees.slim`, for ROOT alone; `workers` is the number of threads that fill a container. With the codec "neural"
    small networks code the columns of a collection, each from those before it, where that takes fewer bytes with the
    networks in the file: they are fitted to the first chunk of each tree, and `networks` of the report says what they
    save. With a `model` of `train_column_networks` nothing is fitted: its networks code the columns that they know by
    name and bound, and the file names it by checksum, or holds what it uses with `embed_model`. The file appears only
    after every value of every branch was decoded and compared with the source. ValueError as there.
    """
    if not str(target).endswith(SUFFIX):
        check_slim(".root", None, None, codec, model, embed_model)
        return trees.slim(
            source, target, policy, tree=tree, to=to, compression=compression or "lzma", progress=progress
        )
    check_slim(SUFFIX, to, compression, codec, model, embed_model)
    refuse_output(target, [source, *([model] if isinstance(model, str | Path) else [])], SUFFIX)
    given = None if model is None else as_networks(model, ColumnNetworks)
    require_workers(workers)
    policy = policy if isinstance(policy, trees.Policy) else trees.load_policy(policy)
    with trees.open_trees(source, tree) as file:
        found = trees.make_plans(file, policy, lambda: trees.energy_unit(source))
        left_out = [(plan.tree.name, lost) for plan in found for lost in plan.tree.lost]
        plans = [plan for plan in found if plan.columns]
        outcome = trees.Outcome(file.path, policy, plans, [*left_out, *((None, lost) for lost in file.others)])
        if not plans:
            raise trees.TreeError(f"{source}: no branch can be read: {listing(outcome.left_out_names(), 12)}")
        with (
            tqdm(total=sum(plan.tree.entries for plan in plans), unit="entry", disable=not progress) as bar,
            atomic_path(target) as partial_file,
            unchanging([source]),
        ):
            networks_of = partial(_networks, given, embed_model) if codec == "neural" else None
            networks = _write(partial_file, outcome, networks_of, workers, bar)
            size = os.path.getsize(partial_file)
    report: Json = {"output": str(target), "compression": "container"} | trees.make_report(outcome, size)
    report |= {"networks": networks} if codec == "neural" else {}
    named = given is not None and not embed_model and any(one["coded"] for found in networks.values() for one in found)
    return report | ({"model": given.sha256} if given is not None and named else {})


def check_slim(
    suffix: str,
    to: str | None,
    compression: str | None,
    codec: str = "plain",
    model: object = None,
    embed_model: bool = False,
) -> None:
    """ValueError for settings of `slim` that do not belong to files of a suffix, or not together."""
    if codec not in TREE_CODECS:
        raise ValueError(f"unknown codec {codec!r}; known: {', '.join(TREE_CODECS)}")
    if suffix != SUFFIX and codec != "plain":
        raise ValueError(f"--codec {codec}: belongs to a container ({SUFFIX}), not to {suffix}")
    if codec != "neural" and model is not None:
        raise ValueError(f"a model belongs to the codec neural, not to {codec}")
    if embed_model and model is None:
        raise ValueError("--embed-model: belongs to a model, which --model gives")
    if suffix == SUFFIX and (to is not None or compression is not None):
        name = "--to" if to is not None else "--compression"
        raise ValueError(f"{name}: belongs to ROOT; a container ({SUFFIX}) leaves no choice of it")


def _networks(model: ColumnNetworks | None, embed: bool, number: int, tree: StoredTree, entries: int) -> Networks:
    """Networks to be fitted to a tree, or those of a model that belong to it."""
    if model is None:
        return Networks(entries, number)
    known = model.known_to(tree.name, tree.arrays, tree.grids)
    return Networks(entries, number, known, "" if embed else model.sha256)


def _write(path: Path, outcome: trees.Outcome, networks_of: NetworksOf | None, workers: int | None, bar: tqdm) -> Json:
    """Write the container; returns what is to be said of its networks."""
    stored = [StoredTree.of(plan) for plan in outcome.plans]
    attributes = {
        "codec": TREES,
        "trees": [tree.to_dict() for tree in stored],
        "versions": {"compression-hep": __version__} | {name: version(name) for name in ("numpy", "pcodec")},
    }
    chunks: list[list[int]] = []
    found: dict[str, list[Json]] = {}
    with Writer(path, attributes) as writer:
        for number, (plan, tree) in enumerate(zip(outcome.plans, stored, strict=True)):
            outcome.begin(plan, "container")
            size = 0
            outcome.retyped[tree.name] = {}
            networks = networks_of(number, tree, plan.tree.entries) if networks_of else None
            for entries, content, errors in _encoded(plan, tree, number, str(outcome.source), networks, workers):
                if networks is not None and tree.name not in found:
                    found[tree.name] = networks.report
                    if networks.collections:
                        writer.add(networks.member())
                writer.add(Member(chunk_name(len(chunks)), content))
                chunks.append([number, entries])
                size += len(content)
                for name, more in errors.items():
                    outcome.errors[tree.name][name].merge(more)
                bar.update(entries)
            outcome.sizes[tree.name] = size
        writer.close({"chunks": len(chunks), "chunk_entries": chunks, "record": trees.make_record(outcome)})
    return found


def _encoded(
    plan: trees.Plan, tree: StoredTree, number: int, source: str, networks: Networks | None, workers: int | None
) -> Iterator[tuple[int, bytes, dict[str, trees.Errors]]]:
    """Each chunk of a tree: entries, member, errors. How arrays are stored is chosen on the first one."""
    ways: Ways = {}
    steps = trees.iter_chunks(plan.tree, plan.columns, source)
    encode = partial(_encode, plan, tree, number, source, ways, networks)
    for step in steps:
        yield encode(True, step)
        break
    yield from ordered_map(partial(encode, False), steps, workers)


def _encode(
    plan: trees.Plan,
    tree: StoredTree,
    number: int,
    source: str,
    ways: Ways,
    networks: Networks | None,
    learn: bool,
    step: Step,
) -> tuple[int, bytes, dict[str, trees.Errors]]:
    start, stop, chunk = step
    try:
        content, again = encode_entries(tree, number, chunk, stop - start, ways, learn, networks)
    except ValueError as error:
        raise trees.TreeError(f"{source}: tree {tree.name}: entries {start} to {stop}: {error}") from error
    errors = {}
    for column in plan.columns:
        found, bound = trees.Errors(), plan.bounds[column.name]
        for true, new in zip(trees.pieces(chunk[column.name]), trees.pieces(again[column.name]), strict=True):
            counted = found if true.dtype.kind == "f" else trees.Errors()
            if not counted.add(true, new, bound):
                raise RuntimeError(f"{source}: {tree.name}: {column.name}: entries {start} to {stop} do not come back")
        if not bound.lossless:
            errors[column.name] = found
    return stop - start, content, errors
