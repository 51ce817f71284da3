"""Fitting a model for columns of trees, for many files of one kind."""

from pathlib import Path

from utils import trees
from utils.codec.column_networks import ColumnNetworks, NamedCollection
from utils.codec.columns import StoredTree, encode_entries
from utils.codec.fitting import Networks
from utils.files import Json

FILES = 2
"""Networks are of a size that pays for so many files like the one that they are fitted to, if one of them holds all."""


def train_column_networks(
    source: str | Path,
    policy: trees.Policy | str | Path = "stored",
    *,
    tree: str | None = None,
    steps: int | None = None,
    seed: int = 0,
) -> tuple[ColumnNetworks, Json]:
    """A model for the collections of files like a ROOT file, under a policy; and what it makes of the first chunks.

    That is the report of each collection, by tree, as `slim` gives it. `steps` are shared out among the collections of
    a tree. ValueError where networks gain nothing.
    """
    if steps is not None and steps < 1:
        raise ValueError(f"networks need a step, found {steps}")
    policy = policy if isinstance(policy, trees.Policy) else trees.load_policy(policy)
    collections, report = list[NamedCollection](), {}
    with trees.open_trees(source, tree) as file:
        plans = trees.make_plans(file, policy, lambda: trees.energy_unit(source))
        for plan in (plan for plan in plans if plan.columns):
            stored = StoredTree.of(plan)
            networks = Networks(FILES * plan.tree.entries, steps=steps, seed=seed)
            for start, stop, chunk in trees.iter_chunks(plan.tree, plan.columns, str(source)):
                encode_entries(stored, 0, chunk, stop - start, {}, False, networks)
                break
            report[stored.name] = networks.report
            counters = [one["collection"] for one in networks.report if one["coded"]]
            collections += [
                NamedCollection.of(stored.name, counter, found, stored.arrays, stored.grids)
                for counter, found in zip(counters, networks.collections or (), strict=True)
            ]
    if not collections:
        raise trees.TreeError(f"{source}: no collection that networks could code in fewer bytes, or too few values")
    return ColumnNetworks(tuple(collections)), report
