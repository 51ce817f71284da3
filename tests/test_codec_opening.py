"""Trees in a container, read column by column; what is damaged is named, and the rest recovered."""

import json
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
import zarr
from codec_helpers import make_jets
from tree_files import COUNTS, nano_columns, same_bits, write_ntuple, write_trees

from tests.fuzz.containers import parts_of, sealed, unpacked
from tests.fuzz.trees import Rows, fuzz, rows_of
from tests.public_files import public_file
from utils import codec, trees
from utils.codec import ContainerError
from utils.codec.opening import write_root
from utils.codec.packed import pack

DATA = Path(__file__).parent / "data"


@pytest.fixture(scope="module")
def container(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The container of several trees, of which `Events` has several chunks."""
    folder = tmp_path_factory.mktemp("trees")
    write_trees(folder / "in.root")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("utils.trees.read.CHUNK_BYTES", 900)
        codec.slim(folder / "in.root", folder / "c.zarr.zip", workers=1)
    return folder / "c.zarr.zip"


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A container of few columns in several chunks."""
    folder = tmp_path_factory.mktemp("small")
    columns = nano_columns()
    write_ntuple(folder / "in.root", "Events", {name: columns[name] for name in ("nJet", "Jet_pt", "label", "run")})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("utils.trees.read.CHUNK_BYTES", 200)
        codec.slim(folder / "in.root", folder / "c.zarr.zip", trees.load_policy(bounds=["Jet_pt=1%"]), workers=1)
    return (folder / "c.zarr.zip").read_bytes()


def test_any_entries_of_a_column_are_those_of_all_of_it(container: Path) -> None:
    with codec.open(container) as file:
        events = file.events
        assert events.chunk_entries < events.entries == len(COUNTS)
        for name in ("Jet_pt", "label", "weights", "matrix", "HLT_any"):
            whole = events[name]
            for start in range(events.entries + 2):
                for stop in (*range(start, events.entries + 3), None):
                    part = events.array(name, start, stop)
                    assert ak.type(part).content == ak.type(whole).content
                    assert ak.to_list(part) == ak.to_list(whole)[start:stop]


def test_names_and_numbers_are_told_without_reading_a_chunk(container: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with codec.open(container) as file:
        monkeypatch.setattr(os, "pread", None)
        assert "Jet_pt" in file
        assert "Jet_ptt" not in file
        assert 5 not in file
        assert len(file) == len(list(file)) == len(file.events)
        assert file.events.entries == 6
        assert list(file.trees) == ["Events", "Runs", "extra/more", "empty"]
        assert file.trees["extra/more"].title("x") == "x/F"
        with pytest.raises(KeyError, match="Jet_ptt"):
            file["Jet_ptt"]


def test_a_column_is_read_without_the_bytes_of_others(tmp_path: Path, container: Path) -> None:
    content = bytearray(container.read_bytes())
    with codec.open(container) as file:
        first, label = file["run"], file["label"]
    spoil(content, "chunk_000000", -9)  # the last column of the chunk
    (tmp_path / "c.zarr.zip").write_bytes(content)
    with codec.open(tmp_path / "c.zarr.zip") as file:
        assert same_bits(file["run"], first)
        assert same_bits(file["label"], label)
        with pytest.raises(ContainerError, match=r"c\.zarr\.zip: chunk_000000: (Jet|scalar)_\w+: damaged"):
            dict(file)


def spoil(content: bytearray, member: str, place: int) -> None:
    """Flip a bit of a member."""
    start = content.index(member.encode()) - 30
    end = content.index(b"PK", start + 30)
    content[(start + 30 + len(member) if place >= 0 else end) + place] ^= 4


@pytest.mark.parametrize("place", [0, 5, 20, -40])
def test_a_damaged_chunk_is_named_and_the_others_recovered(tmp_path: Path, container: Path, place: int) -> None:
    path, output = tmp_path / "c.zarr.zip", tmp_path / "out.root"
    content = bytearray(container.read_bytes())
    spoil(content, "chunk_000001", place)
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"c\.zarr\.zip: (member )?chunk_000001") as raised:
        write_root(path, output)
    assert "\n" not in str(raised.value)
    assert os.listdir(tmp_path) == ["c.zarr.zip"]
    (lost,) = write_root(path, output, recover=True)
    assert "chunk_000001" in lost
    whole, found = rows_of(container)[0], rows_of(path, recover=True)[0]
    assert 0 < len(found["Events"]) < len(whole["Events"])
    assert set(found["Events"]) < set(whole["Events"])
    assert found | {"Events": []} == whole | {"Events": []}
    with trees.open_trees(output) as file:
        assert [tree.entries for tree in file.trees] == [len(rows) for rows in found.values()]


@pytest.mark.parametrize("part", [0.5, 0.9, 0.999])
def test_a_cut_file_is_refused_and_its_whole_chunks_recovered(tmp_path: Path, container: Path, part: float) -> None:
    path = tmp_path / "c.zarr.zip"
    content = container.read_bytes()
    path.write_bytes(content[: int(part * len(content))])
    with pytest.raises(ContainerError, match=r"c\.zarr\.zip: not a whole zip file"):
        codec.open(path)
    found, lost = rows_of(path, recover=True)
    assert "not a whole zip file" in lost[0]
    whole = rows_of(container)[0]
    assert all(set(rows) <= set(whole[name]) for name, rows in found.items())
    assert (found == whole) == (part > 0.5)


def test_a_flipped_bit_gives_an_error_or_the_same_entries(tmp_path: Path, small: bytes) -> None:
    random, path = np.random.default_rng(0), tmp_path / "c.zarr.zip"
    path.write_bytes(small)
    expected, _ = rows_of(path)
    errors = 0
    for _ in range(200):
        damaged = bytearray(small)
        damaged[random.integers(len(damaged))] ^= 1 << int(random.integers(8))
        path.write_bytes(damaged)
        found = rows_or_error(path)
        if found == expected:
            continue
        errors += 1
        assert "c.zarr.zip" in found
        recovered = rows_or_error(path, recover=True)
        assert isinstance(recovered, str) or all(set(recovered[name]) <= set(expected[name]) for name in recovered)
    assert errors > 100


def rows_or_error(path: Path, recover: bool = False) -> Rows | str:
    try:
        return rows_of(path, recover)[0]
    except ContainerError as error:
        return str(error)


def test_containers_of_jets_and_of_trees_are_told_apart(tmp_path: Path, container: Path) -> None:
    codec.compress(make_jets(30), tmp_path / "jets.zarr.zip")
    with pytest.raises(ContainerError, match=r"jets\.zarr\.zip: holds jets, not trees"):
        codec.open(tmp_path / "jets.zarr.zip")
    with pytest.raises(ContainerError, match=r"c\.zarr\.zip.*trees"):
        codec.read_compressed(container)


def test_zarr_opens_the_file_and_shows_what_it_says_of_itself(container: Path) -> None:
    with zarr.storage.ZipStore(container, mode="r") as store:
        group: Any = zarr.open_group(store, mode="r")
        assert group.attrs["codec"] == "trees"
        assert [tree["name"] for tree in group.attrs["trees"]] == ["Events", "Runs", "extra/more", "empty"]
        assert group["summary"].attrs["record"]["source"]["name"] == "in.root"


def changed(content: bytes, change: Callable[[dict], object]) -> bytes:
    """A container that says something else of itself; all checksums fit."""
    parts = []
    for name, text in parts_of(content):
        if name.endswith(".json"):
            value = json.loads(text)
            change(value["attributes"])
            text = json.dumps(value).encode()
        parts.append((name, text))
    return sealed(parts)


def put(key: str, value: object) -> Callable[[dict], object]:
    return lambda attributes: attributes.update({key: value})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (put("trees", []), "its trees: .*none, or two of one name"),
        (put("trees", [{}]), "its trees: .*has no name"),
        (put("trees", "x"), "expected a list"),
        (lambda it: it["trees"].append(it["trees"][0]), "two of one name"),
        (put("record", [1]), "its record is a list of 1, expected an object"),
        (put("record", {"trees": {"t": 1}}), "its record is 1, expected an object"),
        (put("record", {"trees": {"t": {"bounded": {"x": []}}}}), "its record is None, expected a number"),
        (put("record", {"trees": {"t": {"bounded": {"x": ["1%", [1]]}}}}), "its record is a list of 1, expected"),
        (lambda it: it.get("chunk_entries", []).append([0, 3]), r"its chunks: .*\d+ of \d+ are there"),
        (put("chunk_entries", [[7, 1]] * 3), "1 entries of tree 7"),
        (put("chunk_entries", [[0, -1]] * 3), "-1 entries of tree 0"),
        (put("chunk_entries", [[0, 10**12]] * 3), "1000000000000 entries of tree 0"),
        (put("chunk_entries", [[0]] * 3), "its chunks"),
        (put("chunk_entries", [["x", 0]] * 3), "expected an integer"),
        (put("chunk_entries", [[0, 5]] * 3), "chunk_000000: .*holds 2 entries, expected 5"),
        (put("chunks", 10**9), "holds 3 chunks, expected 1000000000"),
    ],
)
def test_a_container_that_promises_something_else_is_an_error(
    tmp_path: Path, small: bytes, change: Callable[[dict], object], message: str
) -> None:
    path = tmp_path / "c.zarr.zip"
    path.write_bytes(changed(small, change))
    for read in (rows_of, codec.inspect, lambda path: write_root(path, tmp_path / "out.root")):
        with pytest.raises(ContainerError, match=rf"c\.zarr\.zip: .*{message}"):
            read(path)
    assert os.listdir(tmp_path) == ["c.zarr.zip"]


@pytest.mark.parametrize("header", [{"tree": 9}, {"tree": "x"}, {"tree": None}, {"entries": 1}, {"pieces": []}])
def test_a_chunk_that_says_something_else_is_left_out_where_others_are_recovered(
    tmp_path: Path, small: bytes, header: dict
) -> None:
    path = tmp_path / "c.zarr.zip"
    path.write_bytes(small)
    whole = rows_of(path)[0]["Events"]
    parts = dict(parts_of(small))
    before, streams = unpacked(parts["chunk_000001"])
    path.write_bytes(sealed(list((parts | {"chunk_000001": pack(before | header, [streams])}).items())))
    found, lost = rows_of(path, recover=True)
    assert found["Events"] == whole[:2] + whole[4:]
    assert any("chunk_000001" in line for line in lost)


def test_damaged_and_hostile_containers_come_to_an_error_or_to_what_they_hold(tmp_path: Path) -> None:
    tallies = fuzz(24, 1, tmp_path)
    assert [line for tally in tallies.values() for line in tally.bad] == []
    assert tallies["trees damaged"].counts["error"] > 12


def test_the_files_of_this_version_keep_opening_with_the_same_values() -> None:
    expected = np.load(DATA / "golden_2.npz")
    checked = 3
    with codec.open(DATA / "golden_2_trees.zarr.zip") as file:
        for tree, columns in file.trees.items():
            for name in columns:
                for number, values in enumerate(ak.to_buffers(ak.to_packed(columns[name]))[2].values()):
                    found = expected[f"{tree} {name} {number}".replace("/", ":")]
                    assert np.asarray(values).tobytes() == found.tobytes(), name
                    checked += 1
        assert file.record is not None
        assert file.record["trees"]["Events"]["bounded"]["Jet_pt"][0] == "1%"
    assert checked == len(expected.files)


def test_a_selection_in_coffea_counts_the_same_in_the_source_and_the_container(tmp_path: Path) -> None:
    nanoevents = pytest.importorskip("coffea.nanoevents")
    path, output = public_file("nanoAOD_2015_CMS_Open_Data_ttbar.root"), tmp_path / "out.zarr.zip"
    codec.slim(path, output, trees.load_policy(keep=["Jet_*", "Muon_*", "run", "event", "luminosityBlock"]))

    def select(factory: Any) -> tuple[ak.Array, ...]:
        events = factory.events()
        jets = events.Jet[(events.Jet.pt > 30) & (abs(events.Jet.eta) < 2.4)]
        return ak.num(jets), ak.sum(jets.pt, axis=1), ak.fill_none(jets.nearest(events.Muon).pt, -1)

    with warnings.catch_warnings(), codec.open(output) as container:
        warnings.simplefilter("ignore")
        before = select(nanoevents.NanoEventsFactory.from_root({str(path): "Events"}, mode="virtual"))
        after = select(nanoevents.NanoEventsFactory.from_preloaded(container))
    assert ak.sum(before[0]) > 0
    assert all(ak.array_equal(one, other) for one, other in zip(before, after, strict=True))
