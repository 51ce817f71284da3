"""Policies: the first rule that matches holds, files of rules, presets, what is kept and dropped."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tree_files import nested_columns, write_ntuple, write_trees

from utils.trees import PRESETS, TreeError, TreeFile, load_policy, make_plans, open_trees
from utils.trees.policy import PRESET_FOLDER

RULE = "[[rules]]\nbranches = '{}'\nbound = '1%'\n"


@pytest.fixture
def file(tmp_path: Path) -> Iterator[TreeFile]:
    write_trees(tmp_path / "in.root")
    with open_trees(tmp_path / "in.root") as file:
        yield file


def bounds_of(file: TreeFile, *rules: str, policy: str | Path = "stored", **more: list[str]) -> dict[str, str]:
    plans = make_plans(file, load_policy(policy, rules, **more), lambda: "GeV")
    (plan,) = (plan for plan in plans if plan.tree.name == "Events")
    return {name: bound.text for name, bound in plan.bounds.items()}


def test_the_first_rule_that_matches_holds(file: TreeFile) -> None:
    bounds = bounds_of(file, "Jet_pt=1%", "Jet_*=0.005", policy="nanoaod")
    assert (bounds["Jet_pt"], bounds["Jet_mass"], bounds["weights"]) == ("1%", "0.005", "exact")
    bounds = bounds_of(file, policy="nanoaod")
    assert (bounds["Jet_mass"], bounds["Jet_btagDeepFlavB"], bounds["Jet_wide"]) == ("1%,0.01", "0.001", "stored")


def test_a_bound_changes_no_integers_flags_or_text(file: TreeFile) -> None:
    bounds = bounds_of(file, "*=10%")
    assert {bounds[name] for name in ("nJet", "Jet_int8", "HLT_any", "label", "event")} == {"exact"}
    assert bounds["Jet_wide"] == "10%"


def test_bookkeeping_is_exact_whatever_the_rules_say(file: TreeFile) -> None:
    plans = make_plans(file, load_policy("stored", ["*=10%"], keep=["Jet_pt"]))
    runs = next(plan for plan in plans if plan.tree.name == "Runs")
    assert len(runs.columns) == 2
    assert runs.bounded == []


def test_what_is_kept_brings_its_counter_along(file: TreeFile) -> None:
    assert set(bounds_of(file, keep=["Jet_pt"])) == {"nJet", "Jet_pt"}
    assert set(bounds_of(file, keep=["Jet_pt"], drop=["nJet"])) == {"nJet", "Jet_pt"}
    assert set(bounds_of(file, keep=["Jet_*"], drop=["Jet_*t*"])) >= {"nJet", "Jet_mass", "Jet_phi"}
    assert "Jet_pt" not in bounds_of(file, "Jet_p*=drop")


@pytest.mark.parametrize("more", [{"keep": ["Jat_pt"]}, {"drop": ["Jat_pt"]}, {"rules": ["Jat_p*=1%"]}])
def test_a_pattern_without_a_branch_is_an_error_that_names_the_nearest(file: TreeFile, more: dict) -> None:
    with pytest.raises(TreeError, match=r"in\.root: --\w+ Jat_p.*nearest is Jet_p"):
        bounds_of(file, *more.pop("rules", []), **more)


@pytest.mark.parametrize("separator", ".:")
def test_dots_and_colons_in_the_names_of_atlas_are_the_same(tmp_path: Path, separator: str) -> None:
    jets = nested_columns()["JetsAux.pt"]
    write_ntuple(tmp_path / "in.root", "EventData", {f"JetsAux:{name}": jets for name in ("pt", "m", "eta", "phi")})
    kept, left_out, ruled = (f"JetsAux{separator}{name}" for name in ("[!p]*", "phi", "*ta"))
    with open_trees(tmp_path / "in.root") as file:
        (plan,) = make_plans(file, load_policy("stored", [f"{ruled}=1%"], [kept, f"JetsAux{separator}p*"], [left_out]))
    found = {name: bound.text for name, bound in plan.bounds.items()}
    assert found == {"JetsAux:pt": "stored", "JetsAux:m": "stored", "JetsAux:eta": "1%"}


@pytest.mark.parametrize(
    ("rules", "keep", "drop", "said"),
    [
        ([], [], ["*"], "drop [*]"),
        (["*=drop"], [], [], "[*]=drop"),
        ([], ["Jet_*"], ["Jet_*", "nJet"], "keep Jet_[*], drop Jet_[*], drop nJet"),
    ],
)
def test_nothing_left_is_an_error_that_says_what_left_it_out(
    file: TreeFile, rules: list[str], keep: list[str], drop: list[str], said: str
) -> None:
    with pytest.raises(TreeError, match=rf"in\.root: no branch is left: the policy says {said}$"):
        bounds_of(file, *rules, keep=keep, drop=drop)


@pytest.mark.parametrize("text", ["keep = ['Jat_pt']", "drop = ['Jat_pt']", RULE.format("Jat_pt")])
def test_a_pattern_of_a_file_without_a_branch_is_an_error_that_names_both(
    file: TreeFile, tmp_path: Path, text: str
) -> None:
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(TreeError, match=r"in\.root: .*mine\.toml: .*Jat_pt.*nearest is Jet_pt"):
        bounds_of(file, policy=tmp_path / "mine.toml")


@pytest.mark.parametrize("preset", PRESETS)
def test_a_copy_of_a_preset_asks_for_no_branch_until_a_rule_does(file: TreeFile, tmp_path: Path, preset: str) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text((PRESET_FOLDER / f"{preset}.toml").read_text())
    assert bounds_of(file, policy=mine) == bounds_of(file, policy=preset)
    mine.write_text(mine.read_text() + RULE.format("Jet_ptt") + "optional = true")
    assert bounds_of(file, policy=mine) == bounds_of(file, policy=preset)
    mine.write_text(mine.read_text().removesuffix("true") + "false")
    with pytest.raises(TreeError, match="Jet_ptt=1%, not optional: no branch is called so; the nearest is Jet_pt"):
        bounds_of(file, policy=mine)


def test_a_file_of_rules_is_read(file: TreeFile, tmp_path: Path) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text(
        'drop = ["HLT_*"]\n[[rules]]\nbranches = ["Jet_pt", "Jet_mass"]\nbound = "1%,10MeV"\nwhy = "fine enough"\n'
        '[[rules]]\nbranches = "Jet_*"\nbound = "bits=8"\n'
    )
    bounds = bounds_of(file, "Jet_mass=exact", policy=mine)
    assert (bounds["Jet_pt"], bounds["Jet_mass"], bounds["Jet_eta"]) == ("1%,10MeV", "exact", "bits=8")
    assert "HLT_any" not in bounds


@pytest.mark.parametrize(
    "text",
    [
        "rules = 3",
        "keep = 'x'",
        "[[rules]]\nbranches = 'x'",
        "[[rules]]\nbranches = 'x'\nbound = 1",
        "[[rules]]\nbranches = 'x'\nbound = 'much'",
        "[[rules]]\nbranches = [1]\nbound = '1%'",
        "[[rules]]\nbranches = 'x'\nbound = '1%'\nbecause = 'y'",
        "[[rules]]\nbranches = 'x'\nbound = '1%'\noptional = 'yes'",
        "other = 1",
        "no toml",
    ],
)
def test_a_file_that_is_no_policy_is_an_error_that_names_it(tmp_path: Path, text: str) -> None:
    file = tmp_path / "bad.toml"
    file.write_text(text)
    with pytest.raises(ValueError, match=r"bad\.toml"):
        load_policy(file)


def test_an_unknown_policy_is_an_error_that_names_those_there_are() -> None:
    with pytest.raises(ValueError, match="stored, nanoaod, physlite"):
        load_policy("nanoad")


@pytest.mark.parametrize("rule", ["Jet_pt", "=1%", "Jet_pt=", "Jet_pt=soon"])
def test_a_rule_that_is_none_is_an_error(rule: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        load_policy("stored", [rule])


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_gives_a_reason_for_each_rule_and_asks_for_no_branch(file: TreeFile, preset: str) -> None:
    policy = load_policy(preset)
    assert all(rule.why.endswith(".") for rule in policy.rules)
    make_plans(file, policy)
