"""Whole trees in a container: everything comes back, within bounds, checked, from the same bytes each time."""

import json
import lzma
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import uproot
from tree_files import OBJECTS, same_bits, write_nested, write_ntuple, write_trees

from tests.fuzz.containers import parts_of, sealed
from tests.public_files import public_file
from utils import codec, trees
from utils.codec.columns import StoredTree, encode_entries
from utils.codec.opening import write_root
from utils.codec.packed import CHECKED, PREFIX, Packed, read_from
from utils.files import ChangedError, OutputError, sha256_of
from utils.trees import Bound, TreeError, load_policy

BOUNDS = {"Jet_pt": "1%", "Jet_btag*": "0.001", "Jet_odd": "1%,0.01", "weights": "bits=6", "Jet_wide": "2%"}

NAMES = ("Events", "Runs", "extra/more", "empty")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("trees") / "in.root"
    write_trees(path)
    return path


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("utils.trees.read.CHUNK_BYTES", 700)


@pytest.mark.parametrize("chunk_bytes", [2**25, 700])
def test_every_tree_comes_back_bit_for_bit_with_its_names_types_and_titles(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk_bytes: int
) -> None:
    monkeypatch.setattr("utils.trees.read.CHUNK_BYTES", chunk_bytes)
    report = codec.slim(source, tmp_path / "out.zarr.zip")
    assert write_root(tmp_path / "out.zarr.zip", tmp_path / "back.root") == []
    with (
        uproot.open(source) as before,
        uproot.open(tmp_path / "back.root") as after,
        codec.open(tmp_path / "out.zarr.zip") as container,
    ):
        assert tuple(container.trees) == NAMES
        for name in NAMES:
            columns = container.trees[name]
            assert after[name].title == before[name].title
            assert list(after[name].keys()) == list(before[name].keys()) == list(columns)
            assert columns.entries == before[name].num_entries
            for key in before[name].keys():  # noqa: SIM118
                one, other = before[name][key], after[name][key]
                assert (one.typename, one.title) == (other.typename, other.title), key
                assert same_bits(one.array(), other.array()), key
                assert same_bits(one.array(), columns[key]), key
                assert columns.title(key) == one.title
                assert (one.count_branch is None) == (other.count_branch is None)
    assert report["output"] == str(tmp_path / "out.zarr.zip")
    assert report["output_bytes"] == (tmp_path / "out.zarr.zip").stat().st_size < source.stat().st_size / 8
    assert [item["name"] for item in report["not_carried"]] == ["histogram"]
    assert report["trees"]["Events"]["bounded"] == {}
    json.dumps(report, allow_nan=False)


def test_nested_columns_of_an_ntuple_come_back(tmp_path: Path) -> None:
    write_nested(tmp_path / "in.root")
    codec.slim(tmp_path / "in.root", tmp_path / "out.zarr.zip")
    write_root(tmp_path / "out.zarr.zip", tmp_path / "back.root")
    with trees.open_trees(tmp_path / "in.root") as before, trees.open_trees(tmp_path / "back.root") as after:
        (one,), (other,) = before.trees, after.trees
        assert other.kind == one.kind == "RNTuple"
        assert [column.name for column in other.columns] == [column.name for column in one.columns]
        first, second = (trees.read_chunk(tree, tree.columns, 0, tree.entries, "x") for tree in (one, other))
        assert all(same_bits(ak.Array(first[name]), ak.Array(second[name])) for name in first)


def test_a_ttree_of_vectors_comes_back_as_an_ntuple(tmp_path: Path) -> None:
    write_nested(tmp_path / "in.root")
    codec.slim(tmp_path / "in.root", tmp_path / "ntuple.zarr.zip")
    parts = parts_of((tmp_path / "ntuple.zarr.zip").read_bytes())
    tree = [(name, text.replace(b'"RNTuple"', b'"TTree"')) for name, text in parts]  # uproot writes no such tree
    (tmp_path / "tree.zarr.zip").write_bytes(sealed(tree))
    write_root(tmp_path / "tree.zarr.zip", tmp_path / "back.root")
    with codec.open(tmp_path / "tree.zarr.zip") as container, trees.open_trees(tmp_path / "back.root") as back:
        assert container.events.stored.kind == "TTree"
        assert (back.trees[0].kind, len(back.trees[0].columns)) == ("RNTuple", len(container))


def test_a_bounded_column_stays_within_its_bound_and_all_others_bit_for_bit(source: Path, tmp_path: Path) -> None:
    policy = load_policy("stored", [f"{pattern}={text}" for pattern, text in BOUNDS.items()])
    report = codec.slim(source, tmp_path / "out.zarr.zip", policy)
    changed = 0
    with uproot.open(source) as before, codec.open(tmp_path / "out.zarr.zip") as after:
        for key, other in after.items():
            one, rule = before["Events"][key].array(), policy.first(key)
            if rule is None:
                assert same_bits(one, other), key
                continue
            true, new = (np.asarray(ak.flatten(array, axis=None)) for array in (one, other))
            finite = np.isfinite(true)
            assert true[~finite].tobytes() == new[~finite].tobytes()
            errors = np.abs(new[finite].astype(float) - true[finite])
            assert np.all(errors <= Bound.parse(rule.bound).at(true[finite]))
            text, largest, typical, share = report["trees"]["Events"]["bounded"][key]
            assert text == rule.bound
            assert largest == pytest.approx(errors.max(), rel=1e-3, abs=1e-12)
            if largest < 1e100:
                assert typical == pytest.approx(np.sqrt(np.sum(errors**2) / len(true)), rel=1e-3)
            assert 0 < share <= 1
            changed += int((errors > 0).sum())
        assert changed > 20
        assert report["trees"]["Events"]["objects"] == {"Jet": OBJECTS}
        assert same_bits(before["Runs/genEventSumw"].array(), after.trees["Runs"]["genEventSumw"])


def test_the_file_and_the_root_file_from_it_tell_their_source_their_policy_and_their_errors(
    source: Path, tmp_path: Path
) -> None:
    policy = load_policy("nanoaod", ["Jet_pt=2%"], drop=["HLT_*"])
    report = codec.slim(source, tmp_path / "out.zarr.zip", policy)
    with codec.open(tmp_path / "out.zarr.zip") as container:
        record = container.record
    assert record is not None
    assert record["source"] == {"name": "in.root", "sha256": sha256_of(source)}
    assert record["policy"]["rules"][0] == ["Jet_pt", "2%"]
    assert record["trees"]["Events"]["bounded"] == report["trees"]["Events"]["bounded"]
    assert record["not_carried"] == ["histogram"]
    assert report["trees"]["Events"]["dropped"] == ["HLT_any"]
    write_root(tmp_path / "out.zarr.zip", tmp_path / "back.root")
    assert trees.read_record(tmp_path / "back.root") == record


def test_a_bound_of_the_container_gives_no_other_values_than_its_root_file(source: Path, tmp_path: Path) -> None:
    codec.slim(source, tmp_path / "out.zarr.zip", "nanoaod")
    write_root(tmp_path / "out.zarr.zip", tmp_path / "back.root")
    with codec.open(tmp_path / "out.zarr.zip") as container, uproot.open(tmp_path / "back.root") as back:
        assert all(same_bits(container[name], back["Events"][name].array()) for name in container)


@pytest.mark.usefixtures("small_chunks")
def test_the_same_input_makes_the_same_bytes_with_any_number_of_workers(source: Path, tmp_path: Path) -> None:
    digests = set()
    for workers in (1, 2, 1):
        codec.slim(source, tmp_path / "out.zarr.zip", "nanoaod", workers=workers)
        digests.add(sha256_of(tmp_path / "out.zarr.zip"))
        if workers == 2:
            time.sleep(1.1)  # the time is in none of them
    assert len(digests) == 1


def test_a_tree_can_be_chosen(source: Path, tmp_path: Path) -> None:
    codec.slim(source, tmp_path / "out.zarr.zip", tree="extra/more")
    with codec.open(tmp_path / "out.zarr.zip") as container:
        assert list(container.trees) == ["extra/more"]
        assert list(container) == ["x"]


def test_settings_that_do_not_belong_together_are_refused(source: Path, tmp_path: Path) -> None:
    for options in ({"to": "rntuple"}, {"compression": "zstd"}):
        with pytest.raises(ValueError, match="belongs to ROOT; a container"):
            codec.slim(source, tmp_path / "out.zarr.zip", **options)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="one worker at least"):
        codec.slim(source, tmp_path / "out.zarr.zip", workers=0)
    with pytest.raises(TreeError, match="no branch is called so; the nearest is Jet_pt"):
        codec.slim(source, tmp_path / "out.zarr.zip", load_policy(bounds=["Jet_ptt=1%"]))
    (tmp_path / "link.zarr.zip").symlink_to(source)
    with pytest.raises(OutputError, match="is an input"):
        codec.slim(source, tmp_path / "link.zarr.zip")
    assert [path.name for path in tmp_path.iterdir()] == ["link.zarr.zip"]
    report = codec.slim(source, tmp_path / "out.root", compression="lz4")  # and ROOT goes the other way
    assert report["compression"] == "lz4"


def test_a_file_of_more_titles_than_are_read_again_is_an_error_and_nothing_is_kept(tmp_path: Path) -> None:
    write_ntuple(tmp_path / "in.root", "Events", {"x": np.arange(3)}, {"x": "y" * 2**22})
    with pytest.raises(ValueError, match=r"too much to say of a container: 41.* at most 4194304"):
        codec.slim(tmp_path / "in.root", tmp_path / "out.zarr.zip")
    assert os.listdir(tmp_path) == ["in.root"]


def test_values_that_do_not_come_back_are_found_before_the_file_has_its_name(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    true = encode_entries

    def spoiled(tree: StoredTree, number: int, chunk: trees.Chunk, *arguments: object) -> tuple[bytes, trees.Chunk]:
        if "Jet_pt" in chunk:
            chunk = chunk | {"Jet_pt": ak.values_astype(ak.Array(chunk["Jet_pt"]) * 1.02, np.float32).layout}
        return true(tree, number, chunk, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr("utils.codec.slimming.encode_entries", spoiled)
    with pytest.raises(RuntimeError, match=r"in\.root: Events: Jet_pt: entries 0 to 6 do not come back"):
        codec.slim(source, tmp_path / "out.zarr.zip", "nanoaod")
    assert list(tmp_path.iterdir()) == []


def test_a_source_that_changes_while_it_is_read_is_an_error_and_nothing_is_kept(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    true, copy = encode_entries, tmp_path / "in.root"
    copy.write_bytes(source.read_bytes())

    def touching(*arguments: object) -> tuple[bytes, trees.Chunk]:
        os.utime(copy, (1, 1))
        return true(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr("utils.codec.slimming.encode_entries", touching)
    with pytest.raises(ChangedError, match=r"in\.root: it was written to, or replaced"):
        codec.slim(copy, tmp_path / "out.zarr.zip")
    assert list(tmp_path.iterdir()) == [copy]


SLIM = """
import signal, resource, sys
from pathlib import Path
from utils.codec import slim
from utils.files import OutputError
source, target, room = sys.argv[1:]
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
if int(room) >= 0:
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(room), int(room)))
try:
    slim(source, target, workers=1)
except OSError as error:
    sys.exit(f"full: {error}")
"""


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file whose container takes 1 MB in many chunks, and some seconds."""
    path, rng = tmp_path_factory.mktemp("large") / "in.root", np.random.default_rng(0)
    with uproot.recreate(path, compression=None) as file:
        file.mktree("Events", {"x": np.float64}).extend({"x": rng.normal(size=150_000)})
    return path


@pytest.mark.parametrize("room", [0, 700_000])
def test_a_full_disk_is_an_error_and_leaves_no_file(large: Path, tmp_path: Path, room: int) -> None:
    pytest.importorskip("resource")
    command = [sys.executable, "-c", SLIM, str(large), str(tmp_path / "out.zarr.zip"), str(room)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[1], check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("full: ")
    assert os.listdir(tmp_path) == []


def test_a_kill_in_the_middle_leaves_no_file(large: Path, tmp_path: Path) -> None:
    path = tmp_path / "out.zarr.zip"
    code = "import utils.trees.read\nutils.trees.read.CHUNK_BYTES = 2000\n" + SLIM
    with subprocess.Popen([sys.executable, "-c", code, large, path, "-1"], cwd=Path(__file__).parents[1]) as process:
        deadline = time.monotonic() + 900
        while sum(file.stat().st_size for file in tmp_path.rglob("*.zip")) < 20_000:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert not path.exists()


def test_what_a_container_says_of_itself_is_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    columns: dict[str, object] = {"nJet": np.full(60, 2, np.int32)}
    for number in range(80):
        values = rng.normal(size=120).astype(np.float32)
        columns[f"Jet_number{number}_of_many"] = ak.unflatten(values, np.full(60, 2))
    titles = {name: f"the title of {name}, as long as those of NanoAOD are" for name in columns}
    write_ntuple(tmp_path / "in.root", "Events", columns, titles)
    sizes = {}
    for chunks in (1, 4, 10):
        whole = sum(ak.Array(values).nbytes for values in columns.values())
        monkeypatch.setattr("utils.trees.read.CHUNK_BYTES", 1.2 * whole / chunks)
        codec.slim(tmp_path / "in.root", tmp_path / "out.zarr.zip", load_policy("stored", ["Jet_*=1%"]))
        sizes[chunks] = overhead(tmp_path / "out.zarr.zip")
        assert sizes[chunks][0] > chunks / 2
    for of_chunks, of_file in ((size[1] / size[0] / 81, size[2] / 81) for size in sizes.values()):
        assert of_chunks <= 20
        assert of_file <= 150


def overhead(path: Path) -> tuple[int, int, int]:
    """Chunks of a container, the bytes of all that is in them but streams, and those outside of chunks."""
    chunks, headers, members = 0, 0, 0
    with zipfile.ZipFile(path) as file:
        for info in file.infolist():
            if not info.filename.startswith("chunk_"):
                continue
            content = file.read(info)
            pieces = Packed(read_from(content)).header["pieces"]
            length = PREFIX.unpack(content[: PREFIX.size])[0]
            chunks += 1
            headers += PREFIX.size + length + CHECKED * sum(piece[0] != "same" for piece in pieces)
            headers += 2 * len(info.filename) + 30 + 46
            members += info.file_size + 2 * len(info.filename) + 30 + 46
    return chunks, headers, path.stat().st_size - members


def lzma_bytes(chunk: trees.Chunk) -> int:
    """Bytes under LZMA-9 of values in the order of ROOT; what counts them is left out."""
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 9, "dict_size": 1 << 20}]
    total = 0
    for layout in chunk.values():
        *_, (_, values) = trees.labelled(layout)
        swapped = values.astype(values.dtype.newbyteorder(">"))
        total += len(lzma.compress(swapped.tobytes(), lzma.FORMAT_RAW, filters=filters))
    return total


@pytest.mark.parametrize(("preset", "most"), [("stored", 0.82), ("nanoaod", 0.48)])
def test_jets_of_nanoaod_take_a_share_of_the_bytes_of_lzma(preset: str, most: float) -> None:
    path = public_file("nano_tt_v15.root")
    with trees.open_trees(path) as file:
        (plan,) = trees.make_plans(file, load_policy(preset, keep=["Jet_*"]))
        tree, sizes = StoredTree.of(plan), []
        for entries in (plan.tree.entries, plan.tree.entries // 2):
            chunk = trees.read_chunk(plan.tree, plan.columns, 0, entries, str(path))
            sizes.append((len(encode_entries(tree, 0, chunk, entries, {}, False)[0]), lzma_bytes(chunk)))
    (whole, whole_lzma), (half, half_lzma) = sizes
    assert (whole - half) / (whole_lzma - half_lzma) <= most


def check(path: Path, container: codec.Trees) -> None:
    """Each column of a container is that of the file, bit for bit."""
    with trees.open_trees(path) as file:
        for tree in file.trees:
            columns = container.trees[tree.name]
            for column in tree.columns:
                if column.name in columns:
                    values = trees.read_chunk(tree, [column], 0, tree.entries, "x")[column.name]
                    assert same_bits(columns[column.name], ak.Array(values)), column.name


@pytest.mark.parametrize(
    ("name", "keep", "to"),
    [
        ("nanoAOD_2015_CMS_Open_Data_ttbar.root", ["*Jet_*", "HLT_*", "run", "event"], None),
        ("nanoAOD_2015_CMS_Open_Data_ttbar.root", ["Jet_*", "event"], "rntuple"),
        ("PHYSLITE_example.root", ["AnalysisJets*", "EventInfo*"], None),
        ("uproot-HZZ.root", [], None),
    ],
)
def test_public_files_come_back(tmp_path: Path, name: str, keep: list[str], to: str | None) -> None:
    path, policy = public_file(name), load_policy(keep=keep)
    if to is not None:
        trees.slim(path, tmp_path / "in.root", policy, to=to, compression="lz4")
        path = tmp_path / "in.root"
    report = codec.slim(path, tmp_path / "out.zarr.zip", policy)
    with codec.open(tmp_path / "out.zarr.zip") as container:
        check(path, container)
        kinds = {columns.stored.kind for columns in container.trees.values()}
    assert report["output_bytes"] < sum(tree["source_bytes"] or 10**9 for tree in report["trees"].values())
    write_root(tmp_path / "out.zarr.zip", tmp_path / "back.root")
    with trees.open_trees(tmp_path / "back.root") as back, codec.open(tmp_path / "out.zarr.zip") as container:
        assert {tree.kind for tree in back.trees} == ({"RNTuple"} if name.startswith("PHYSLITE") else kinds)
        for tree in back.trees:
            chunk = trees.read_chunk(tree, tree.columns, 0, tree.entries, "x")
            assert len(chunk) == len(container.trees[tree.name])
            for column, values in chunk.items():
                assert same_bits(ak.Array(values), container.trees[tree.name][column]), column
