"""`slim --codec neural`: everything comes back, from fewer bytes or as by the plain codec; what a file says; damage."""

import hashlib
import zipfile
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
import uproot

from tests.column_jets import JETS, POLICY, assert_same, flat, read_all, write_jets
from utils import codec
from utils.cli import main
from utils.codec import ContainerError, symbols
from utils.codec.kept_networks import networks_name
from utils.codec.opening import write_root
from utils.trees import read_record

GOLDEN = Path(__file__).with_name("data") / "golden_neural.zarr.zip"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("jets") / "in.root"
    write_jets(path, 6000)
    return path


@pytest.fixture(scope="module")
def slimmed(source: Path) -> tuple[Path, dict]:
    path = source.with_name("neural.zarr.zip")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("utils.codec.fitting.STEPS", 800)
        return path, codec.slim(source, path, POLICY, codec="neural", workers=1)


def test_a_file_is_smaller_and_holds_what_the_plain_codec_holds(source: Path, slimmed: tuple[Path, dict]) -> None:
    path, report = slimmed
    plain = source.with_name("plain.zarr.zip")
    assert "networks" not in codec.slim(source, plain, POLICY, workers=1)
    assert path.stat().st_size < 0.9 * plain.stat().st_size
    assert_same(path, plain)
    (found,) = report["networks"]["Events"]
    assert found["collection"] == "nJet"
    assert (found["columns"], found["values"]) == (6, 6000)
    assert 2 <= found["coded"] <= 6
    assert found["bytes_coded"] + found["network_bytes"] < found["bytes_alone"]
    bounded = report["trees"]["Events"]["bounded"]
    assert set(bounded) == {"Jet_pt", "Jet_mass", "Jet_charged", "Jet_neutral"}
    assert all(numbers[-1] <= 1 for numbers in bounded.values())


def test_a_column_is_read_alone_and_the_file_says_what_it_depends_on(slimmed: tuple[Path, dict], source: Path) -> None:
    with uproot.open(source) as file, codec.open(slimmed[0]) as container:
        assert (flat(container["Jet_flag"]) == flat(file["Events/Jet_flag"].array())).all()
        assert (flat(container["Jet_tracks"]) == flat(file["Events/Jet_tracks"].array())).all()
    content = codec.inspect(slimmed[0])["trees"]["Events"]
    assert 500 < content["network_bytes"] < 4000
    (networks,) = content["networks"]
    assert set(networks["columns"]) | set(networks["alone"]) <= {f"Jet_{name}" for name in JETS}
    assert len(networks["hidden"]) == len(networks["columns"]) >= 2
    assert all(content["stream_bytes"][name] > 0 for name in networks["columns"])


def test_root_comes_back_with_its_record(slimmed: tuple[Path, dict], tmp_path: Path) -> None:
    assert write_root(slimmed[0], tmp_path / "back.root") == []
    assert read_record(tmp_path / "back.root") is not None
    with uproot.open(tmp_path / "back.root") as file, codec.open(slimmed[0]) as container:
        values = flat(file["Events/Jet_neutral"].array())
        assert values.tobytes() == flat(container["Jet_neutral"]).tobytes()
        assert np.isnan(values).sum() == 30


def test_networks_of_the_first_chunk_code_the_others(
    source: Path, slimmed: tuple[Path, dict], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("utils.trees.read.CHUNK_BYTES", 50_000)
    monkeypatch.setattr("utils.codec.fitting.STEPS", 400)
    report = codec.slim(source, tmp_path / "chunks.zarr.zip", POLICY, codec="neural", workers=2)
    coded = report["networks"]["Events"][0]["coded"]
    assert coded >= 1
    chunks = codec.inspect(tmp_path / "chunks.zarr.zip")["chunks"]
    assert chunks >= 3
    decoded = []

    def get_integers(*arguments: Any) -> Any:
        decoded.append(1)
        return symbols.get_integers(*arguments)

    monkeypatch.setattr("utils.codec.conditional.get_integers", get_integers)
    assert_same(tmp_path / "chunks.zarr.zip", slimmed[0])  # one column after the other
    (runs,) = (len(networks["columns"]) for networks in codec.inspect(slimmed[0])["trees"]["Events"]["networks"])
    assert len(decoded) == chunks * coded + runs


def test_few_jets_are_coded_as_by_the_plain_codec_and_the_command_says_so_with_numbers(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    write_jets(tmp_path / "few.root", 200)
    assert main(["slim", str(tmp_path / "few.root"), str(tmp_path / "few.zarr.zip"), "--codec", "neural"]) == 0
    said = capsys.readouterr().out
    assert "nJet: coded as by the plain codec" in said
    assert "of 200 values; too few for networks" in said
    codec.slim(tmp_path / "few.root", tmp_path / "plain.zarr.zip")
    assert (tmp_path / "few.zarr.zip").stat().st_size == (tmp_path / "plain.zarr.zip").stat().st_size
    assert "networks" not in codec.inspect(tmp_path / "few.zarr.zip")["trees"]["Events"]


def test_columns_that_do_not_tell_of_each_other_are_left_as_they_were(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    counts = np.full(500, 4)
    columns = {
        f"X_{name}": ak.unflatten(rng.integers(0, 256, 2000).astype(np.int64) ** 2, counts) for name in "abcdefgh"
    }
    with pytest.MonkeyPatch.context() as patch, uproot.recreate(tmp_path / "in.root") as file:
        patch.setattr("utils.codec.fitting.STEPS", 1)
        patch.setattr("utils.codec.fitting.LEAST_STEPS", 50)
        patch.setattr("utils.codec.fitting.LEAST_BYTES", 1000)
        writer = file.mkrntuple("Events", ak.zip(columns, depth_limit=1).layout.form)
        writer.extend(ak.zip(columns, depth_limit=1))
        report = codec.slim(tmp_path / "in.root", tmp_path / "out.zarr.zip", codec="neural")
    (found,) = report["networks"]["Events"]
    assert found["coded"] == 0
    assert found["bytes_coded"] + found["network_bytes"] > found["bytes_alone"]
    assert networks_name(0) not in zipfile.ZipFile(tmp_path / "out.zarr.zip").namelist()


def test_the_codec_is_one_of_containers(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(ValueError, match="neural: belongs to a container"):
        codec.slim(source, tmp_path / "out.root", codec="neural")
    with pytest.raises(ValueError, match="unknown codec 'deep'; known: plain, neural"):
        codec.slim(source, tmp_path / "out.zarr.zip", codec="deep")
    assert main(["slim", str(source), str(tmp_path / "out.root"), "--codec", "neural"]) == 2
    assert "belongs to a container" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_damage_to_networks_is_an_error_that_names_them(slimmed: tuple[Path, dict], tmp_path: Path) -> None:
    content = slimmed[0].read_bytes()
    with zipfile.ZipFile(slimmed[0]) as file:
        info = file.getinfo(networks_name(0))
    start = info.header_offset + 30 + len(info.filename)
    for place in (start, start + 20, start + info.file_size // 2, start + info.file_size - 1):
        damaged = bytearray(content)
        damaged[place] ^= 16
        path = tmp_path / f"{place}.zarr.zip"
        path.write_bytes(damaged)
        with pytest.raises(ContainerError, match=path.name):
            read_all(path)


def test_a_file_that_earlier_networks_coded_is_still_read() -> None:
    digest = hashlib.sha256(b"".join(values.tobytes() for values in read_all(GOLDEN)))
    assert "networks" in codec.inspect(GOLDEN)["trees"]["Events"]
    assert digest.hexdigest() == "80e892f961653da30c1af3bbc495e63745d6d222ecd24e6ab50d622d14b7efb4"
