"""Which branch may lose what: rules by name, of which the first that matches holds; files of rules; presets."""

import difflib
import tomllib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from utils.files import Json
from utils.text import listing
from utils.trees.bounds import Bound
from utils.trees.schema import Column, Tree, TreeError, TreeFile
from utils.trees.settings import PRESETS

PRESET_FOLDER = Path(__file__).with_name("presets")

BOOKKEEPING = ("Runs", "LuminosityBlocks", "MetaData", "ParameterSets", "POOLContainer", "POOLCollectionTree")
"""Trees that are not of events: sums of weights and the like, kept whole and exact whatever the policy says."""

STORED, EXACT = Bound("stored", text="stored"), Bound("exact", text="exact")


def matches(name: str, pattern: str) -> bool:
    """Whether a pattern of the shell means a branch; dots are colons in the names of an RNTuple of ATLAS."""
    return fnmatchcase(name.replace(":", "."), pattern.replace(":", "."))


@dataclass(frozen=True)
class Rule:
    """What the branches that match a pattern of the shell may lose, and why."""

    pattern: str
    bound: str
    why: str = ""


@dataclass(frozen=True)
class Policy:
    """Rules in order, and the branches to keep (all where there are none) and to drop, as patterns.

    `required` are the patterns that must match a branch of every file, each with who says so.
    """

    name: str = "stored"
    rules: tuple[Rule, ...] = ()
    keep: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    required: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    def first(self, name: str) -> Rule | None:
        """The rule that holds for a branch; None where it is stored as it is."""
        return next((rule for rule in self.rules if matches(name, rule.pattern)), None)

    def to_dict(self) -> Json:
        """JSON-safe: what the rules are, for the record of a file."""
        rules = [[rule.pattern, rule.bound] for rule in self.rules]
        return {"name": self.name, "rules": rules, "keep": list(self.keep), "drop": list(self.drop)}


def load_policy(
    name: str | Path = "stored", bounds: Iterable[str] = (), keep: Iterable[str] = (), drop: Iterable[str] = ()
) -> Policy:
    """One of `PRESETS` or a TOML file, behind rules `PATTERN=BOUND`, with patterns of branches to keep and to drop.

    Such a file holds tables `[[rules]]` with `branches` (a pattern or several), `bound` and perhaps `why`, and perhaps
    lists `keep` and `drop`. Each pattern must match a branch, but those of rules with `optional = true`. ValueError
    where the file cannot be read.
    """
    own = [_parse_rule(text) for text in bounds]
    preset = str(name) in PRESETS
    path = PRESET_FOLDER / f"{name}.toml" if preset else Path(name)
    if not preset and not path.is_file():
        raise ValueError(f"{name}: no such policy: expected {', '.join(PRESETS)}, or a TOML file of rules")
    content = _read(path)
    rules = list(own)
    required = [(rule.pattern, f"--bound {rule.pattern}={rule.bound}") for rule in own]
    for table in content.get("rules", []):
        found = _table_rules(table, path)
        rules += found
        if not table.get("optional"):
            required += [(rule.pattern, f"{path}: {rule.pattern}={rule.bound}, not optional") for rule in found]
    lists = {"keep": list(keep), "drop": list(drop)}
    for key, patterns in lists.items():
        required += [(pattern, f"--{key} {pattern}") for pattern in patterns]
        required += [(pattern, f"{path}: {key} {pattern}") for pattern in content.get(key, [])]
        patterns += content.get(key, [])
    kept, dropped = (tuple(patterns) for patterns in lists.values())
    return Policy(str(name) if preset else path.name, tuple(rules), kept, dropped, tuple(required))


def _parse_rule(text: str) -> Rule:
    pattern, equals, bound = text.partition("=")
    if not (pattern.strip() and equals and bound.strip()):
        raise ValueError(f"--bound {text!r}: expected PATTERN=BOUND, such as 'Jet_pt=1%'")
    Bound.parse(bound, lambda: "GeV")
    return Rule(pattern.strip(), bound.strip(), "given")


def _read(path: Path) -> Json:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: no policy: {error}") from error
    unknown = content.keys() - {"rules", "keep", "drop", "about"}
    tables = content.get("rules", [])
    lists = [content.get(key, []) for key in ("keep", "drop")]
    if unknown or not isinstance(tables, list) or not all(_is_names(names) for names in lists):
        raise ValueError(f"{path}: expected [[rules]] and lists keep and drop, found {listing(sorted(content))}")
    return content


def _is_names(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


def _table_rules(table: object, path: Path) -> list[Rule]:
    known = {"branches", "bound", "why", "optional"}
    if not isinstance(table, dict) or not {"branches", "bound"} <= table.keys() <= known:
        raise ValueError(f"{path}: expected rules with branches, bound and perhaps why and optional, found {table!r}")
    patterns = [table["branches"]] if isinstance(table["branches"], str) else table["branches"]
    if not _is_names(patterns) or not isinstance(table["bound"], str):
        raise ValueError(f"{path}: expected text for branches and bound, found {table!r}")
    if not isinstance(table.get("optional", False), bool):
        raise ValueError(f"{path}: expected true or false for optional, found {table!r}")
    try:
        Bound.parse(table["bound"], lambda: "GeV")
    except ValueError as error:
        raise ValueError(f"{path}: branches {listing(patterns)}: bound {error}") from error
    return [Rule(pattern, table["bound"], str(table.get("why", ""))) for pattern in patterns]


@dataclass(frozen=True)
class Plan:
    """What becomes of a tree: the columns that are carried and what each may lose, by name; those that were dropped."""

    tree: Tree
    columns: tuple[Column, ...]
    bounds: dict[str, Bound] = field(repr=False)
    dropped: tuple[str, ...] = ()

    @property
    def bounded(self) -> list[Column]:
        """The columns in which values may change."""
        return [column for column in self.columns if not self.bounds[column.name].lossless]


def make_plans(file: TreeFile, policy: Policy, unit: Callable[[], str] | None = None) -> list[Plan]:
    """A policy applied to the trees of a file; `unit` tells the unit of their energies, where a bound names one.

    TreeError where a pattern that must match a branch matches none, and where no branch is left.
    """
    judged = [tree for tree in file.trees if tree.name not in BOOKKEEPING]
    names = [column.name for tree in judged for column in tree.columns]
    _require_matches(policy, names, file.path)
    plans = [_plan(tree, policy if tree in judged else Policy(), unit) for tree in file.trees]
    if names and not any(plan.columns for plan in plans if plan.tree in judged):
        said = [f"keep {pattern}" for pattern in policy.keep] + [f"drop {pattern}" for pattern in policy.drop]
        said += [f"{rule.pattern}={rule.bound}" for rule in policy.rules if rule.bound.strip() == "drop"]
        raise TreeError(f"{file.path}: no branch is left: the policy says {listing(said, 5)}")
    return [plan for plan in plans if plan.columns or plan.tree.lost]


def _require_matches(policy: Policy, names: list[str], path: Path) -> None:
    for pattern, said in policy.required:
        if not any(matches(name, pattern) for name in names):
            bare = pattern.replace("*", "").replace("?", "")
            near = difflib.get_close_matches(bare, names, n=1, cutoff=0)
            nearest = f"; the nearest is {near[0]}" if near else ""
            raise TreeError(f"{path}: {said}: no branch is called so{nearest}")


def _plan(tree: Tree, policy: Policy, unit: Callable[[], str] | None) -> Plan:
    default = EXACT if tree.name in BOOKKEEPING else STORED
    rules = {column.name: policy.first(column.name) for column in tree.columns}
    parsed = {text: Bound.parse(text, unit) for text in {rule.bound for rule in rules.values() if rule is not None}}
    bounds, dropped = {}, []
    for column in tree.columns:
        rule = rules[column.name]
        bound = parsed[rule.bound] if rule is not None else default
        kept = not policy.keep or any(matches(column.name, pattern) for pattern in policy.keep)
        if bound.kind == "drop" or not kept or any(matches(column.name, pattern) for pattern in policy.drop):
            dropped.append(column.name)
        else:
            bounds[column.name] = bound if column.floats else EXACT
    counters = {column.counter for column in tree.columns if column.name in bounds and column.counter}
    bounds |= dict.fromkeys(counters, EXACT)
    columns = tuple(column for column in tree.columns if column.name in bounds)
    return Plan(tree, columns, bounds, tuple(name for name in dropped if name not in bounds))
