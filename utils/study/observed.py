"""What an analysis of jets sees in a ROOT file, and in the smaller files that were made of it."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from utils import codec, trees
from utils.files import Json
from utils.metrics import median_and_width
from utils.study.collections import BOUNDED, SMALLEST

STORED = "as stored"


class Seen(NamedTuple):
    """By way `trees.Observables` before and after, and dijet masses in GeV, a row an event, as stored and by way."""

    observables: dict[str, Json]
    dijet_masses: pd.DataFrame

    def mass_changes(self) -> pd.DataFrame:
        """Relative change of the dijet mass by way, of the events that have one."""
        masses = self.dijet_masses[self.dijet_masses[STORED] > 0]
        return masses.drop(columns=STORED).div(masses[STORED], axis=0) - 1

    def describe(self) -> str:
        """What became of the dijet mass and of the counts, a few lines for each way."""
        lines = []
        for way, change in self.mass_changes().items():
            median, width = median_and_width(change)
            mass = f"median {median:+.3%}, 68% half-width {width:.2%}, largest {change.abs().max():.2%}"
            lines.append(f"{way}: change of the dijet mass: {mass}")
            for name, count in self.observables[str(way)].items():
                if count.get("events_changed"):
                    lines.append(f"    {name}: {count['before']:,} before, {count['after']:,} after")
        return "\n".join(lines)


def compare_observables(path: Path, reports: Mapping[str, Json], policy: trees.Policy) -> Seen | None:
    """What is seen in the jets of a ROOT file, and of the bounded ones of `write_files`; None without jets."""
    with trees.open_trees(path) as file:
        for plan in trees.make_plans(file, policy, lambda: trees.energy_unit(path)):
            if plan.tree.name not in trees.BOOKKEEPING and trees.observables_of(file, plan) is not None:
                return _compare(file, plan, {way: Path(reports[way]["output"]) for way in (BOUNDED, SMALLEST)})
    return None


def _compare(file: trees.TreeFile, plan: trees.Plan, made: Mapping[str, Path]) -> Seen:
    observables: dict[str, Json] = {}
    masses: dict[str, np.ndarray] = {}
    for way, path in made.items():
        seen = trees.observables_of(file, plan)
        assert seen is not None
        columns = [column for column in plan.columns if column.name in seen.columns]
        before, after = [np.empty(0)], [np.empty(0)]
        with _opened(path, plan.tree.name, seen) as read:
            for start, stop, old in trees.iter_chunks(plan.tree, columns, str(file.path)):
                new = read(start, stop)
                seen.add(old, new, plan.bounds)
                before.append(seen.dijet_masses(old))
                after.append(seen.dijet_masses(new))
        observables[way] = seen.to_dict()
        masses |= {STORED: np.concatenate(before), way: np.concatenate(after)}
    return Seen(observables, pd.DataFrame(masses))


@contextmanager
def _opened(path: Path, tree: str, seen: trees.Observables) -> Iterator[Callable[[int, int], trees.Chunk]]:
    """What gives some entries of a file that was made, of the columns to look at, under the names of the source."""
    if path.name.endswith(codec.SUFFIX):
        with codec.open(path) as container:
            columns = container.trees[tree]
            yield lambda start, stop: {name: columns.array(name, start, stop).layout for name in seen.columns}
        return
    with trees.open_trees(path, tree) as file:
        (plan,) = trees.make_plans(file, trees.Policy())
        own = trees.observables_of(file, plan)
        assert own is not None
        names = {own.roles[role]: name for role, name in seen.roles.items()} | dict(
            zip(own.tags, seen.tags, strict=True)
        )
        wanted = [column for column in plan.columns if column.name in names]

        def read(start: int, stop: int) -> trees.Chunk:
            chunk = trees.read_chunk(plan.tree, wanted, start, stop, str(path))
            return {names[name]: layout for name, layout in chunk.items()}

        yield read
