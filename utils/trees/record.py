"""What is said of a file that was slimmed: in the file itself, and to whoever asked for it."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from utils.files import Json, source_sha256
from utils.trees.bounds import Errors
from utils.trees.ntuple import field_names
from utils.trees.policy import Plan, Policy
from utils.trees.schema import Column, Lost, Tree

VERSION = 1


@dataclass
class Outcome:
    """One file on its way to another: what is carried, what is left out (tree and thing), and what was measured."""

    source: Path
    policy: Policy
    plans: list[Plan]
    left_out: Sequence[tuple[str | None, Lost]]
    errors: dict[str, dict[str, Errors]] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    sizes: dict[str, int | None] = field(default_factory=dict)
    retyped: dict[str, dict[str, str]] = field(default_factory=dict)

    def begin(self, plan: Plan, kind: str) -> None:
        """A tree is about to be written."""
        self.kinds[plan.tree.name] = kind
        self.errors[plan.tree.name] = {column.name: Errors() for column in plan.bounded}

    def written(self, plan: Plan, found: Tree) -> None:
        """A tree was written, and read back."""
        self.sizes[plan.tree.name] = _total_bytes(found.columns)
        types = {column.name: column.typename for column in found.columns}
        changed = [column for column in plan.columns if types.get(column.name, column.typename) != column.typename]
        same_kind = found.kind == plan.tree.kind
        self.retyped[plan.tree.name] = {column.name: types[column.name] for column in changed} if same_kind else {}

    def left_out_names(self) -> list[str]:
        """What is left out, by tree and name."""
        return [f"{tree}/{lost.name}" if tree else lost.name for tree, lost in self.left_out]


def make_record(outcome: Outcome) -> Json:
    """What the file says of itself: source, policy, errors, names that changed, what is not there."""
    return {
        "version": VERSION,
        "source": {"name": outcome.source.name, "sha256": source_sha256(outcome.source)},
        "policy": outcome.policy.to_dict(),
        "errors": ["bound", "largest error", "root mean square", "largest share of the bound"],
        "trees": {plan.tree.name: _tree_record(plan, outcome) for plan in outcome.plans},
        "not_carried": outcome.left_out_names(),
    }


def _tree_record(plan: Plan, outcome: Outcome) -> Json:
    names = field_names(plan.columns) if outcome.kinds[plan.tree.name] == "RNTuple" else {}
    bounded = {}
    for name, errors in outcome.errors[plan.tree.name].items():
        numbers = (float(f"{value:.4g}") for value in (errors.largest, errors.typical, errors.share))
        bounded[name] = [plan.bounds[name].text, *numbers]
    return {
        "entries": plan.tree.entries,
        "branches": len(plan.columns),
        "bounded": bounded,
        "dropped": len(plan.dropped),
        "renamed": {name: new for name, new in names.items() if name != new},
    }


def make_report(outcome: Outcome, size: int) -> Json:
    """What was done: the record, with the bytes of source and output, and all that is left out with the reasons."""
    report = make_record(outcome)
    for plan in outcome.plans:
        name = plan.tree.name
        errors = outcome.errors[name]
        report["trees"][name] |= {
            "kind": outcome.kinds[name],
            "source_bytes": _total_bytes(plan.columns),
            "output_bytes": outcome.sizes[name],
            "dropped": list(plan.dropped),
            "retyped": outcome.retyped[name],
            "objects": {column.collection: errors[column.name].values for column in plan.bounded if column.depth == 1},
        }
    return report | {
        "source_bytes": os.path.getsize(outcome.source),
        "output_bytes": size,
        "not_carried": [
            {"tree": tree, "name": lost.name, "type": lost.typename, "why": lost.why} for tree, lost in outcome.left_out
        ],
    }


def iter_left_out(report: Json) -> Iterator[str]:
    """Each thing of the source that is not in the output, by tree and name, with its type."""
    for item in report["not_carried"]:
        where = f"{item['tree']}/" if item["tree"] else ""
        yield f"{where}{item['name']} ({item['type']})"


def _total_bytes(columns: Iterable[Column]) -> int | None:
    """The compressed bytes of columns; None where the file does not tell those of each."""
    known = [column.bytes for column in columns]
    return None if None in known else sum(size for size in known if size is not None)
