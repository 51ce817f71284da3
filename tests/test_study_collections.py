"""Whole collections: which file is taken, which policy, what each way costs, and what an analysis sees afterwards."""

from pathlib import Path

import awkward as ak
import numpy as np
import pandas as pd
import pytest
import uproot
from tree_files import write_ntuple

from utils import codec, trees
from utils.jets import embedded_columns, first_events, write_jets
from utils.study import (
    BOUNDED,
    LOSSLESS,
    LZMA,
    RNTUPLE,
    SMALLEST,
    STORED,
    WAYS,
    choose_policy,
    collection_totals,
    compare_observables,
    compare_ways,
    errors_frame,
    measure_collection,
    rules_frame,
    tree_file,
    ways_frame,
    write_files,
)

JETS = 1000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("collections")


@pytest.fixture(scope="module")
def path(folder: Path) -> Path:
    return tree_file("embedded", folder, JETS)[0]


@pytest.fixture(scope="module")
def policy(path: Path) -> trees.Policy:
    return choose_policy(path, columns=True)


@pytest.fixture(scope="module")
def points(path: Path, policy: trees.Policy) -> pd.DataFrame:
    return measure_collection(path, policy, (0.25, 0.5, 1))


@pytest.fixture(scope="module")
def reports(path: Path, folder: Path, policy: trees.Policy) -> dict:
    return write_files(path, folder, policy)


def test_any_dataset_becomes_a_root_file(path: Path, tmp_path: Path) -> None:
    assert tree_file(str(path), tmp_path)[0] == path
    table = first_events(embedded_columns(), 50).rename(columns={"mass": "m"})[["event", "m", "pt", "phi", "eta"]]
    write_jets(table, tmp_path / "few.csv")
    made, source = tree_file({"path": str(tmp_path / "few.csv"), "unit": "GeV"}, tmp_path)
    assert source["dataset"] == str(tmp_path / "few.csv")
    with uproot.open(made) as file:
        assert ak.flatten(file["Events/Jet_pt"].array()).tolist() == table["pt"].tolist()


def test_the_policy_is_that_of_the_names_unless_one_is_asked_for(path: Path, tmp_path: Path) -> None:
    write_ntuple(tmp_path / "atlas.root", "CollectionTree", {"AnalysisJetsAuxDyn:pt": np.arange(4.0)})
    assert choose_policy(tmp_path / "atlas.root").name == "physlite"
    assert choose_policy(path).name == choose_policy(path, columns=True).name == "nanoaod"
    found = choose_policy(path, bounds=["Jet_pt=0.1%"], columns=True)
    assert [found.first(name).bound for name in ("Jet_pt", "Jet_ptD", "Jet_mass")] == ["0.1%", "0.005", "1%,0.01"]  # type: ignore[union-attr]
    assert choose_policy(path, "nanoaod", columns=True).first("Jet_ptD") is None
    assert choose_policy(path, "stored", columns=True).rules == ()


def test_lzma_has_the_bytes_of_the_values_and_the_counts_once(path: Path, points: pd.DataFrame) -> None:
    every = points[(points["entries"] == points["entries"].max()) & (points["way"] == LZMA)].set_index("column")
    with uproot.open(path) as file:
        events = file["Events"]
        values = np.asarray(ak.flatten(events["Jet_eta"].array()))
        counts = events["nJet"].array(library="np")
        names = {name for name in events.keys() if name.startswith("Jet_")}  # noqa: SIM118
    assert set(every.index) == names | {"nJet"}
    assert every.loc["Jet_eta", "bytes"] == trees.lzma_size(values)
    assert every.loc["nJet", "bytes"] == trees.lzma_size(counts.astype(np.int32))
    assert set(every["jets"]) == {len(values)}


def test_the_bytes_of_a_container_are_those_of_its_chunk(path: Path, folder: Path, points: pd.DataFrame) -> None:
    policy = trees.load_policy("stored", keep=["Jet_*"])
    report = codec.slim(path, folder / "jets.zarr.zip", policy)
    info = codec.inspect(report["output"])
    every = points[(points["entries"] == points["entries"].max()) & (points["way"] == LOSSLESS)]
    measured = every.set_index("column")["bytes"]
    assert {name: size for name, size in measured.items() if name} == info["trees"]["Events"]["stream_bytes"]
    assert 0 < measured[""] < info["container_bytes"]


def test_one_more_jet_is_the_difference_over_that_of_half(points: pd.DataFrame, reports: dict) -> None:
    ways = compare_ways(points, reports)
    assert list(ways.index) == list(WAYS)
    totals = collection_totals(points)
    _, half, every = totals[totals["way"].eq(SMALLEST)].to_dict(orient="records")
    rows = ways.to_dict(orient="index")
    assert rows[SMALLEST]["more_jet"] == (every["bytes"] - half["bytes"]) / (every["jets"] - half["jets"])
    assert rows[SMALLEST]["file"] == Path(reports[SMALLEST]["output"]).stat().st_size
    ratios = [rows[way]["jet_ratio"] for way in (LZMA, LOSSLESS, BOUNDED, SMALLEST)]
    assert ratios == sorted(ratios, reverse=True)
    assert ratios[0] == 1
    shown = ways_frame(ways).to_dict(orient="index")[RNTUPLE]
    assert (shown["file"], shown["file / LZMA"]) == ("-", "-")
    assert shown["a jet"].endswith(" B")


def test_of_one_event_nothing_is_said_of_one_more_jet(path: Path, policy: trees.Policy, reports: dict) -> None:
    ways = compare_ways(measure_collection(path, policy, (1,)), reports)
    assert ways["more_jet"].isna().all()
    assert ways_frame(ways)["one more jet"].tolist() == ["-"] * len(WAYS)


def test_bounded_files_are_within_their_bounds_and_the_others_the_same(path: Path, reports: dict) -> None:
    with uproot.open(path) as file:
        true = ak.flatten(file["Events/Jet_pt"].array())
    found = {way: codec.open(reports[way]["output"])["Jet_pt"] for way in (LOSSLESS, SMALLEST)}
    with uproot.open(reports[BOUNDED]["output"]) as file:
        found[BOUNDED] = file["Events/Jet_pt"].array()
    assert ak.flatten(found[LOSSLESS]).tolist() == true.tolist()
    for way in (BOUNDED, SMALLEST):
        error = np.max(np.abs(ak.flatten(found[way]) / true - 1))
        assert 0 < error <= 0.01
        frame = errors_frame(reports[way], "Events")
        assert 0 < frame["largest / bound"].max() <= 1
        assert frame["largest / bound"].is_monotonic_increasing
    assert errors_frame(reports[LOSSLESS], "Events").empty


def test_a_rule_is_shown_with_its_reason_and_branches(path: Path, policy: trees.Policy) -> None:
    (tree,) = trees.audit(path, policy)["trees"]
    frame = rules_frame(policy, tree["branches"])
    (found,) = frame.loc[["1%"]].to_dict(orient="records")
    assert found["branches"] == "Jet_pt"
    assert found["why"].startswith("A tenth of the resolution")
    assert rules_frame(trees.load_policy("stored"), tree["branches"]).empty


def test_the_dijet_mass_is_that_of_the_files_and_counts_change_near_the_cut(
    path: Path, policy: trees.Policy, reports: dict
) -> None:
    seen = compare_observables(path, reports, policy)
    assert seen is not None
    with uproot.open(path) as file:
        pt = ak.sort(file["Events/Jet_pt"].array(), ascending=False)
    enough = np.asarray(ak.num(pt) > 1)
    assert np.array_equal(np.isfinite(seen.dijet_masses[STORED]), enough)
    changes = seen.mass_changes()
    assert list(changes) == list(seen.observables) == [BOUNDED, SMALLEST]
    assert ((changes.abs().max() > 1e-4) & (changes.abs().max() < 0.03)).all()
    for way in seen.observables:
        count = seen.observables[way]["jets above 30 GeV"]
        assert count["before"] == ak.sum(pt > 30)
        assert count["events_unexplained"] == 0
    after = codec.open(reports[SMALLEST]["output"])["Jet_pt"]
    assert seen.observables[SMALLEST]["jets above 30 GeV"]["after"] == ak.sum(after > 30)
    assert SMALLEST in seen.describe()


def test_vectors_and_files_without_jets_go_through(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    nested = ak.Array([[[1.5, 2.5], []], [], [[3.5]]] * 20)
    lists = ak.unflatten(rng.normal(size=60).astype(np.float32), [2, 0, 1] * 20)
    write_ntuple(
        tmp_path / "in.root", "Events", {"nThing": np.array([2, 0, 1] * 20), "Thing_a": lists, "nested": nested}
    )
    policy = choose_policy(tmp_path / "in.root")
    points = measure_collection(tmp_path / "in.root", policy)
    assert set(points["column"]) == {"", "nThing", "Thing_a"}
    assert points["jets"].max() == 60
    reports = write_files(tmp_path / "in.root", tmp_path, policy)
    assert {report["trees"]["Events"]["kind"] for way, report in reports.items() if WAYS[way].suffix == ".root"} == {
        "RNTuple"
    }
    assert compare_observables(tmp_path / "in.root", reports, policy) is None


def test_a_tree_without_entries_is_an_error_that_names_it(tmp_path: Path) -> None:
    trees.write_sample_tree(tmp_path / "none.root", embedded_columns().head(0))
    with pytest.raises(ValueError, match=r"none\.root: tree Events has no entries"):
        measure_collection(tmp_path / "none.root", trees.load_policy("nanoaod"))
