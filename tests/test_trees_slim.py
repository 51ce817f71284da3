"""Slimming: the same trees come back, within bounds, checked; what cannot be is said before anything is written."""

import json
import os
import subprocess
import time
import warnings
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import uproot
from hypothesis import given, settings, strategies as st
from tree_files import jagged, nano_columns, same_bits, write_nested, write_ntuple, write_trees

from tests.public_files import public_file
from utils import codec, trees
from utils.files import ChangedError, OutputError, sha256_of
from utils.trees import Bound, TreeError, load_policy, open_trees, read_record, slim


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("trees") / "in.root"
    write_trees(path)
    return path


@pytest.mark.parametrize("compression", trees.COMPRESSIONS)
def test_every_tree_comes_back_bit_for_bit_with_its_names_types_and_titles(
    source: Path, tmp_path: Path, compression: str
) -> None:
    report = slim(source, tmp_path / "out.root", compression=compression)
    with uproot.open(source) as before, uproot.open(tmp_path / "out.root") as after:
        for name in ("Events", "Runs", "extra/more", "empty"):
            assert after[name].title == before[name].title
            assert set(after[name].keys()) == set(before[name].keys())
            for key in before[name].keys():  # noqa: SIM118
                one, other = before[name][key], after[name][key]
                assert (one.typename, one.title) == (other.typename, other.title), key
                assert same_bits(one.array(), other.array()), key
                assert (one.count_branch is None) == (other.count_branch is None)
        assert after["Events/Jet_pt"].count_branch.name == "nJet"
    assert [item["name"] for item in report["not_carried"]] == ["histogram"]
    assert report["trees"]["Events"]["retyped"] == {}


def test_the_ends_of_lists_in_an_ntuple_are_split_as_root_does(tmp_path: Path) -> None:
    lists = ak.Array([[[1], []], [], [[2, 3], [4]]] * 300)
    write_ntuple(tmp_path / "in.root", "Events", {"inner": lists, "text": ["a", "", "bc"] * 300}, {})
    slim(tmp_path / "in.root", tmp_path / "out.root")
    with uproot.open(tmp_path / "out.root") as file:
        kinds = [record.type for record in file["Events"].column_records]
        assert kinds.count(uproot.const.rntuple_col_type_to_num_dict["splitindex64"]) == 3
        assert uproot.const.rntuple_col_type_to_num_dict["index64"] not in kinds
        assert ak.array_equal(file["Events"]["inner"].array(), lists)


def test_titles_and_the_type_of_a_counter_come_back(tmp_path: Path) -> None:
    columns = {"nJet": np.array([1, 2], np.uint32), "Jet_pt": ak.Array(np.array([[1.0], [2.0]])), "x": np.array([1, 2])}
    columns["Jet_pt"] = ak.values_astype(ak.Array([[1], [2, 3]]), np.float32)
    titles = {"nJet": "number of jets", "Jet_pt": "pt of jets, in GeV", "x": "nothing"}
    write_ntuple(tmp_path / "in.root", "Events", columns, titles)
    slim(tmp_path / "in.root", tmp_path / "tree.root", to="ttree")
    slim(tmp_path / "tree.root", tmp_path / "again.root")
    slim(tmp_path / "again.root", tmp_path / "ntuple.root", to="rntuple")
    for name in ("tree", "again"):
        with uproot.open(tmp_path / f"{name}.root") as file:
            assert {key: file["Events"][key].title for key in titles} == titles
            assert file["Events/nJet"].typename == "uint32_t"
    with uproot.open(tmp_path / "ntuple.root") as file:
        assert {key: file["Events"][key].description for key in titles} == titles


def test_all_types_and_shapes_pass_from_ntuple_to_tree_and_back(tmp_path: Path) -> None:
    columns = nano_columns()
    write_ntuple(tmp_path / "in.root", "Events", columns)
    slim(tmp_path / "in.root", tmp_path / "tree.root", to="ttree")
    slim(tmp_path / "tree.root", tmp_path / "back.root", to="rntuple")
    for name in ("tree", "back"):
        with uproot.open(tmp_path / f"{name}.root") as file:
            for key, value in columns.items():
                assert same_bits(file["Events"][key].array(), ak.Array(value)), (name, key)


def test_a_bounded_branch_stays_within_its_bound_and_all_others_bit_for_bit(source: Path, tmp_path: Path) -> None:
    bounds = {"Jet_pt": "1%", "Jet_btag*": "0.001", "Jet_odd": "1%,0.01", "weights": "bits=6", "Jet_wide": "2%"}
    policy = load_policy("stored", [f"{pattern}={text}" for pattern, text in bounds.items()])
    report = slim(source, tmp_path / "out.root", policy)
    changed = 0
    with uproot.open(source) as before, uproot.open(tmp_path / "out.root") as after:
        for key in before["Events"].keys():  # noqa: SIM118
            one, other = (file["Events"][key].array() for file in (before, after))
            rule = policy.first(key)
            if rule is None:
                assert same_bits(one, other), key
                continue
            true, new = (np.asarray(ak.flatten(array, axis=None)) for array in (one, other))
            finite = np.isfinite(true)
            assert true[~finite].tobytes() == new[~finite].tobytes()
            errors = np.abs(new[finite].astype(float) - true[finite])
            assert np.all(errors <= Bound.parse(rule.bound).at(true[finite]))
            largest = report["trees"]["Events"]["bounded"][key][1]
            assert largest == pytest.approx(errors.max(), rel=1e-3, abs=1e-12)
            changed += int((errors > 0).sum())
        assert list(before["Runs/genEventSumw"].array()) == list(after["Runs/genEventSumw"].array())
    assert changed > 20


def test_the_file_tells_its_source_its_policy_and_its_errors(source: Path, tmp_path: Path) -> None:
    report = slim(source, tmp_path / "out.root", load_policy("nanoaod", ["Jet_pt=2%"], drop=["HLT_*"]))
    record = read_record(tmp_path / "out.root")
    assert record is not None
    assert record["source"] == {"name": "in.root", "sha256": sha256_of(source)}
    assert record["policy"]["rules"][0] == ["Jet_pt", "2%"]
    text, largest, typical, share = record["trees"]["Events"]["bounded"]["Jet_pt"]
    assert text == "2%"
    assert 0 < typical < largest
    assert 0 < share <= 1
    assert record["not_carried"] == ["histogram"]
    assert report["trees"]["Events"]["dropped"] == ["HLT_any"]
    assert report["trees"]["Events"]["objects"] == {"Jet": 10}
    assert read_record(source) is None
    with open_trees(tmp_path / "out.root") as again:
        assert again.others == ()


@pytest.mark.parametrize("to", ["ttree", "rntuple"])
def test_the_same_input_makes_the_same_bytes(source: Path, tmp_path: Path, to: str) -> None:
    digests = set()
    for name in ("one", "other"):
        slim(source, tmp_path / f"{name}.root", "nanoaod", to=to)
        digests.add(sha256_of(tmp_path / f"{name}.root"))
        time.sleep(1.1)  # times in ROOT files are in seconds
    assert len(digests) == 1


def test_a_tree_can_be_chosen(source: Path, tmp_path: Path) -> None:
    slim(source, tmp_path / "out.root", tree="extra/more")
    with uproot.open(tmp_path / "out.root") as file:
        assert [key for key in file.keys(cycle=False) if key != "compression_hep_slim"] == ["extra", "extra/more"]
    with pytest.raises(TreeError, match="no tree 'Event'; those there are: Events"):
        slim(source, tmp_path / "other.root", tree="Event")


@pytest.fixture(scope="module")
def nested(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("nested") / "in.root"
    write_nested(path)
    return path


def test_vectors_and_nested_branches_go_to_an_ntuple_and_their_counts_are_stored_once(
    nested: Path, tmp_path: Path
) -> None:
    report = slim(nested, tmp_path / "out.root", load_policy("stored", ["JetsAux.*=1%"]))
    with uproot.open(nested) as before, uproot.open(tmp_path / "out.root") as after:
        one, other = before["CollectionTree"], after["CollectionTree"]
        for key in ("JetsAux.link.key", "Other.a", "Other.b", "Info.run", "Info.names", "alone", "links", "maybe"):
            assert ak.to_list(one[key].array()) == ak.to_list(other[key].array()), key
        for key in ("JetsAux.pt", "JetsAux.energy"):
            true, new = (np.asarray(ak.flatten(tree[key].array(), axis=None)) for tree in (one, other))
            assert np.all(np.abs(new - true) <= 0.01 * true)
        assert other["JetsAux"].typename == ""  # a collection of records, which has no name in C++
        assert ak.to_list(ak.num(other["JetsAux"].array())) == [2, 0, 1, 2, 0, 1]
        assert isinstance(other["Other"].array().layout, ak.contents.RecordArray)
    assert report["trees"]["CollectionTree"]["renamed"] == {}


def test_a_tree_that_cannot_hold_some_branches_is_refused_before_anything_is_written(
    nested: Path, tmp_path: Path
) -> None:
    with pytest.raises(TreeError, match=r"JetsAux\.energy.*") as refused:
        slim(nested, tmp_path / "out.root", to="ttree")
    assert "--to rntuple" in str(refused.value)
    assert "--drop" in str(refused.value)
    assert list(tmp_path.iterdir()) == []
    slim(nested, tmp_path / "out.root", load_policy(keep=["Info.run", "alone"]), to="ttree")
    with uproot.open(tmp_path / "out.root") as file:
        assert set(file["CollectionTree"].keys()) == {"Info.run", "alone"}


def test_names_that_root_takes_for_no_field_are_changed_and_recorded(tmp_path: Path) -> None:
    with uproot.recreate(tmp_path / "in.root") as file:
        names = ("a", "a.b", "with blank", ".c")
        file.mktree("t", dict.fromkeys(names, np.int32)).extend({name: np.arange(3, dtype=np.int32) for name in names})
    report = slim(tmp_path / "in.root", tmp_path / "out.root", to="rntuple")
    assert report["trees"]["t"]["renamed"] == {"a.b": "a:b", "with blank": "with_blank", ".c": ":c"}
    with uproot.open(tmp_path / "out.root") as file:
        assert list(file["t"]["a:b"].array()) == [0, 1, 2]


def test_lists_that_disagree_with_their_counter_are_an_error_and_nothing_is_kept(tmp_path: Path) -> None:
    columns = {"nJet": np.array([1, 9]), "Jet_pt": ak.Array([[1.0], [2.0, 3.0]])}
    write_ntuple(tmp_path / "in.root", "Events", columns)
    with pytest.raises(TreeError, match=r"in\.root: tree Events.*nJet"):
        slim(tmp_path / "in.root", tmp_path / "out.root", to="ttree")
    assert [path.name for path in tmp_path.iterdir()] == ["in.root"]


def test_a_value_that_was_written_wrongly_is_found_before_the_file_has_its_name(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    true = trees.slim.__globals__["bounded_chunk"]

    def spoiled(chunk: dict, plan: object, errors: object = None) -> dict:
        out = true(chunk, plan, errors)
        if "Jet_pt" in out:
            out["Jet_pt"] = ak.values_astype(ak.Array(out["Jet_pt"]) * 1.02, np.float32).layout
        return out

    monkeypatch.setitem(trees.slim.__globals__, "bounded_chunk", spoiled)
    with pytest.raises(TreeError, match=r"branch Jet_pt.*nothing was kept"):
        slim(source, tmp_path / "out.root", load_policy("nanoaod"))
    assert list(tmp_path.iterdir()) == []


def test_a_source_that_changes_while_it_is_read_is_an_error_and_nothing_is_kept(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    true = trees.slim.__globals__["bounded_chunk"]
    copy = tmp_path / "in.root"
    copy.write_bytes(source.read_bytes())

    def touching(chunk: dict, plan: object, errors: object = None) -> dict:
        os.utime(copy, (1, 1))
        return true(chunk, plan, errors)

    monkeypatch.setitem(trees.slim.__globals__, "bounded_chunk", touching)
    with pytest.raises(ChangedError, match=r"in\.root: it was written to, or replaced"):
        slim(copy, tmp_path / "out.root")
    assert list(tmp_path.iterdir()) == [copy]


def test_the_source_is_never_the_target(source: Path, tmp_path: Path) -> None:
    digest = sha256_of(source)
    (tmp_path / "link.root").symlink_to(source)
    for target in (source, tmp_path / "link.root"):
        with pytest.raises(OutputError, match="is an input"):
            slim(source, target)
    with pytest.raises(OutputError, match="root"):
        slim(source, tmp_path / "out.parquet")
    assert sha256_of(source) == digest


@pytest.mark.parametrize("content", [b"", b"root" + b"\0" * 500, b"<html>"])
def test_a_file_that_is_no_root_file_is_an_error_that_names_it(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.root").write_bytes(content)
    with pytest.raises(ValueError, match=r"bad\.root"):
        slim(tmp_path / "bad.root", tmp_path / "out.root")


def test_a_truncated_file_is_an_error_and_nothing_is_kept(source: Path, tmp_path: Path) -> None:
    (tmp_path / "cut.root").write_bytes(source.read_bytes()[:-3000])
    with pytest.raises(ValueError, match=r"cut\.root"):
        slim(tmp_path / "cut.root", tmp_path / "out.root")
    assert not (tmp_path / "out.root").exists()


KINDS = ["bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64"]


@given(data=st.data())
@settings(max_examples=15)
def test_any_values_of_any_type_come_back(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("any")
    counts = data.draw(st.lists(st.integers(0, 4), min_size=1, max_size=12))
    columns: dict[str, object] = {"nX": np.array(counts, np.int32)}
    for kind in data.draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=4, unique=True)):
        raw = data.draw(st.binary(min_size=8 * sum(counts), max_size=8 * sum(counts)))
        values = np.frombuffer(raw, "u1").reshape(sum(counts), 8)[:, : np.dtype(kind).itemsize]
        values = (values[:, 0] > 127) if kind == "bool" else np.ascontiguousarray(values).view(kind)[:, 0]
        columns[f"X_{kind}"] = ak.unflatten(values, counts)
    write_ntuple(folder / "in.root", "t", columns)
    to = data.draw(st.sampled_from(["ttree", "rntuple"]))
    slim(folder / "in.root", folder / "out.root", to=to, compression="lz4")
    with uproot.open(folder / "out.root") as file:
        for name, value in columns.items():
            assert same_bits(file["t"][name].array(), ak.Array(value)), name


def test_chunks_of_entries_make_one_tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(trees.iter_chunks.__globals__, "CHUNK_BYTES", 200)
    columns = nano_columns(3)
    write_ntuple(tmp_path / "in.root", "Events", columns)
    for to in ("ttree", "rntuple"):
        slim(tmp_path / "in.root", tmp_path / f"{to}.root", to=to)
        with uproot.open(tmp_path / f"{to}.root") as file:
            for key, value in columns.items():
                assert same_bits(file["Events"][key].array(), ak.Array(value)), key
    with uproot.open(tmp_path / "ttree.root") as file:
        assert file["Events/Jet_pt"].num_baskets > 3


def test_a_bound_in_mev_needs_a_file_that_tells_its_unit(source: Path, tmp_path: Path) -> None:
    report = slim(source, tmp_path / "jets.root", load_policy(bounds=["Jet_mass=8MeV"]))  # jets tell that it is GeV
    assert report["trees"]["Events"]["bounded"]["Jet_mass"][1] <= 0.008
    write_ntuple(tmp_path / "in.root", "t", {"x": np.arange(3.0)})
    with pytest.raises(ValueError, match="plain number"):
        slim(tmp_path / "in.root", tmp_path / "out.root", load_policy(bounds=["x=1MeV"]))


@pytest.mark.parametrize(
    ("name", "preset", "keep", "pt", "jets", "to"),
    [
        ("nanoAOD_2015_CMS_Open_Data_ttbar.root", "nanoaod", ["*Jet_*", "run", "event"], "Jet_pt", 537, None),
        ("nano_tt_v15.root", "nanoaod", ["Jet_*", "event"], "Jet_pt", 1636, None),
        ("PHYSLITE_example.root", "physlite", ["AnalysisJets*", "Event*"], "AnalysisJetsAuxDyn.pt", 881, "rntuple"),
        ("uproot-HZZ.root", "stored", ["*"], "Jet_Px", 2773, None),
    ],
)
def test_public_files_come_back(
    tmp_path: Path, name: str, preset: str, keep: list[str], pt: str, jets: int, to: str | None
) -> None:
    path, policy = public_file(name), load_policy(preset, keep=keep)
    report = slim(path, tmp_path / "out.root", policy, to=to)
    with open_trees(path) as before, open_trees(tmp_path / "out.root") as after:
        (one,), (other,) = before.trees, after.trees
        assert ak.count(other.source[pt].array()) == jets
        known = {column.name: column for column in one.columns}
        for column in other.columns:
            same = same_bits(one.source[known[column.name].key].array(), other.source[column.key].array())
            rule = policy.first(column.name)
            assert same or (rule is not None and rule.bound not in ("exact", "stored")), column.name
            if to is None:
                assert (column.typename, column.title) == (known[column.name].typename, known[column.name].title)
    (tree,) = report["trees"].values()
    assert all(numbers[-1] <= 1 for numbers in tree["bounded"].values())
    assert json.dumps(report, allow_nan=False)


def test_jagged_lists_of_the_helpers_are_as_counted() -> None:
    assert len(ak.flatten(jagged(np.arange(10)))) == 10


def test_a_selection_in_coffea_counts_the_same_in_the_source_and_the_output(tmp_path: Path) -> None:
    nanoevents = pytest.importorskip("coffea.nanoevents")
    path = public_file("nanoAOD_2015_CMS_Open_Data_ttbar.root")
    keep = ["Jet_*", "Muon_*", "run", "event", "luminosityBlock"]
    slim(path, tmp_path / "out.root", load_policy(keep=keep))
    codec.slim(path, tmp_path / "out.zarr.zip", load_policy(keep=keep))
    codec.decompress(tmp_path / "out.zarr.zip", tmp_path / "back.root")

    def select(name: Path) -> tuple[ak.Array, ...]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            factory = nanoevents.NanoEventsFactory.from_root({str(name): "Events"}, mode="virtual")
            events = factory.events()
            jets = events.Jet[(events.Jet.pt > 30) & (abs(events.Jet.eta) < 2.4)]
            return ak.num(jets), ak.sum(jets.pt, axis=1), ak.fill_none(jets.nearest(events.Muon).pt, -1)

    before = select(path)
    assert ak.sum(before[0]) > 0
    for after in (select(tmp_path / "out.root"), select(tmp_path / "back.root")):
        assert all(ak.array_equal(one, other) for one, other in zip(before, after, strict=True))


ROOT_PYTHON = os.environ.get("COMPRESSIONHEP_ROOT")


@pytest.mark.skipif(ROOT_PYTHON is None, reason="COMPRESSIONHEP_ROOT names no Python with ROOT (make test-root)")
@pytest.mark.parametrize(
    ("name", "to"),
    [
        ("nanoAOD_2015_CMS_Open_Data_ttbar.root", None),
        ("nano_tt_v15.root", None),
        ("nano_tt_v15.root", "rntuple"),
        ("PHYSLITE_example.root", "rntuple"),
    ],
)
def test_root_finds_the_same_in_the_source_and_the_output_as_it_skips_empty_lists(
    tmp_path: Path, name: str, to: str | None
) -> None:
    assert ROOT_PYTHON is not None
    path, output = public_file(name), tmp_path / "out.root"
    slim(path, output, load_policy(keep=["*Jet*"]), to=to)
    files = [path, output]
    if to is None:  # a container gives back what it was made from: of PHYSLITE a TTree that no writer has
        files += [tmp_path / "back.root"]
        codec.slim(path, tmp_path / "out.zarr.zip", load_policy(keep=["*Jet*"]))
        codec.decompress(tmp_path / "out.zarr.zip", files[-1])
    script = Path(__file__).with_name("root_selection.py")
    done = subprocess.run([ROOT_PYTHON, script, *files], capture_output=True, text=True, check=True)
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("found:"))
    before, *after = json.loads(line.removeprefix("found:"))
    assert after == [before] * (len(files) - 1)
    assert before["jets"] > 100
