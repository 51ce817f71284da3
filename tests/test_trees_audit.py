"""The audit: what branches cost and hold, what a policy makes of them, and what a jet analysis would see."""

import json
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
from tree_files import nano_columns, write_ntuple, write_trees

from utils.trees import audit, load_policy


def branch_of(report: dict, name: str, tree: str = "Events") -> dict:
    (found,) = (item for item in report["trees"] if item["name"] == tree)
    (branch,) = (item for item in found["branches"] if item["name"] == name)
    return branch


def write_events(path: Path, **more: object) -> None:
    """A thousand events of three jets each, like NanoAOD's: 10 bits of pt and mass, 12 of the angles."""
    rng = np.random.default_rng(5)
    count = 1000

    def cut(values: np.ndarray, bits: int) -> ak.Array:
        kept = values.astype(np.float32).view(np.uint32) & np.uint32(0xFFFFFFFF << (23 - bits) & 0xFFFFFFFF)
        return ak.from_regular(kept.view(np.float32).reshape(count, 3))

    pt = np.sort(20 + rng.exponential(25, (count, 3)), axis=1)[:, ::-1].ravel()
    columns: dict[str, object] = {
        "nJet": np.full(count, 3, np.int32),
        "Jet_pt": cut(pt, 10),
        "Jet_eta": cut(rng.normal(0, 1.5, 3 * count), 12),
        "Jet_phi": cut(rng.uniform(-3.14, 3.14, 3 * count), 12),
        "Jet_mass": cut(pt / 8, 10),
        "Jet_btagDeepFlavB": cut(rng.beta(0.3, 1, 3 * count), 10),
    }
    write_ntuple(path, "Events", columns | more)


def test_it_finds_stored_bits_constants_copies_and_noise(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(size=1000) * 1e-9
    noise[0] = 1.0
    more: dict[str, object] = {
        "constant": np.full(1000, 7, np.int64),
        "noise": noise.astype(np.float32),
        "small": rng.integers(0, 12, 1000).astype(np.int32),
    }
    write_events(tmp_path / "in.root", **more, twin=more["small"])
    report = audit(tmp_path / "in.root")
    assert [branch_of(report, name)["bits"] for name in ("Jet_pt", "Jet_eta", "small")] == [10, 12, 4]
    assert branch_of(report, "constant")["constant"]
    assert not branch_of(report, "small")["constant"]
    assert branch_of(report, "twin")["copy_of"] == "small"
    assert branch_of(report, "small")["copy_of"] is None
    assert branch_of(report, "noise")["noise"] > 0.9
    assert branch_of(report, "Jet_pt")["noise"] == 0
    assert json.dumps(report, allow_nan=False)


def test_a_policy_makes_bytes_fewer_and_errors_are_inside_it(tmp_path: Path) -> None:
    write_events(tmp_path / "in.root")
    report = audit(tmp_path / "in.root", "nanoaod")
    pt, count = branch_of(report, "Jet_pt"), branch_of(report, "nJet")
    assert pt["bytes_per_value_after"] < 0.8 * pt["bytes_per_value"]
    assert 0 < pt["typical_error"] < pt["largest_error"]
    assert 0.5 < pt["largest_share_of_bound"] <= 1
    assert sum(pt["residuals"]) == 3000
    assert count["lzma_bytes"] == count["lzma_bytes_after"]
    assert count["largest_error"] == 0


def test_observables_are_those_of_the_jets_and_unchanged_without_bounds(tmp_path: Path) -> None:
    jets = {"pt": [[50.0, 40.0], [35.0, 20.0, 10.0], []], "eta": [[0.0, 0.0], [1.0, -1.0, 2.0], []]}
    jets |= {"phi": [[0.0, np.pi], [0.5, -0.5, 1.0], []], "mass": [[0.0, 0.0], [5.0, 4.0, 3.0], []]}
    columns: dict[str, object] = {"nJet": np.array([2, 3, 0], np.int32)}
    columns |= {f"Jet_{name}": ak.values_astype(ak.Array(values), np.float32) for name, values in jets.items()}
    columns["Jet_btagDeepFlavB"] = ak.values_astype(ak.Array([[0.9, 0.1], [0.5, 0.9, 0.9], []]), np.float32)
    write_ntuple(tmp_path / "in.root", "Events", columns)
    seen = audit(tmp_path / "in.root")["observables"]
    assert seen["HT"]["mean_before"] == pytest.approx((90 + 35) / 3)
    assert seen["jets above 30 GeV"]["before"] == 3
    assert seen["Jet_btagDeepFlavB above 0.2783"]["before"] == 2
    assert seen["Jet_btagDeepFlavB above 0.71"]["before"] == 1
    first = np.sqrt(2 * 50 * 40 * (1 - np.cos(np.pi)))
    energy = [np.hypot(p * np.cosh(e), m) for p, e, m in ((35, 1, 5), (20, -1, 4))]
    x, y = 35 * np.cos(0.5) + 20 * np.cos(0.5), 35 * np.sin(0.5) - 20 * np.sin(0.5)
    second = np.sqrt(sum(energy) ** 2 - x**2 - y**2 - (35 * np.sinh(1) - 20 * np.sinh(1)) ** 2)
    assert seen["leading dijet mass"]["events"] == 2
    assert seen["leading dijet mass"]["mean_before"] == pytest.approx((first + second) / 2, rel=1e-5)
    assert all(value.get("events_changed", value.get("largest_change")) == 0 for value in seen.values())


def test_each_event_in_which_a_count_changed_is_listed_and_near_the_cut(tmp_path: Path) -> None:
    write_events(tmp_path / "in.root")
    policy = load_policy("stored", ["Jet_pt=5%", "Jet_btag*=0.05"])
    seen = audit(tmp_path / "in.root", policy)["observables"]
    for name in ("jets above 30 GeV", "Jet_btagDeepFlavB above 0.2783"):
        assert seen[name]["events_changed"] > 0
        assert seen[name]["events_unexplained"] == 0
        assert len(seen[name]["changed"]) == min(seen[name]["events_changed"], 100)
    assert seen["HT"]["largest_change"] > 0


def test_a_file_without_jets_has_no_observables_and_other_trees_are_looked_at(tmp_path: Path) -> None:
    write_ntuple(tmp_path / "in.root", "t", {"x": np.arange(3.0), "empty": ak.Array([[1], [2], [3]])[:, :0]})
    report = audit(tmp_path / "in.root")
    assert report["observables"] is None
    assert branch_of(report, "empty", "t")["values"] == 0
    write_trees(tmp_path / "all.root")
    report = audit(tmp_path / "all.root", "nanoaod")
    assert [tree["name"] for tree in report["trees"]] == ["Events", "Runs", "extra/more", "empty"]
    assert branch_of(report, "genEventSumw", "Runs")["bound"] == "exact"
    assert report["not_readable"] == [["histogram", "TH1D", "not a tree"]]
    assert json.dumps(report, allow_nan=False)


def test_columns_of_all_kinds_can_be_audited(tmp_path: Path) -> None:
    links = ak.Array([[{"key": 1, "index": 2}], [], [{"key": 3, "index": 4}], [], [], []])
    write_ntuple(tmp_path / "in.root", "Events", nano_columns() | {"links": links, "maybe": ak.Array([1, None] * 3)})
    report = audit(tmp_path / "in.root", load_policy(bounds=["*=1%"]))
    assert json.dumps(report, allow_nan=False)
    assert branch_of(report, "Jet_odd")["values"] == 10
