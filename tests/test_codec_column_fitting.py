"""Models of columns: fitted to one file, they code others by name and bound; wrong, missing and damaged models."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from tests.column_jets import POLICY, assert_same, write_jets
from tests.jet_network_helpers import one_bit_turned, random_networks
from utils import codec
from utils.cli import main
from utils.codec import ColumnNetworks, ContainerError
from utils.codec.conditional import Collection
from utils.codec.opening import write_root
from utils.networks import CheckpointError
from utils.trees import TreeError, load_policy


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two files of one kind, and what the plain codec makes of the second."""
    path = tmp_path_factory.mktemp("models")
    write_jets(path / "one.root", 6000, seed=1)
    write_jets(path / "two.root", 4000, seed=2)
    codec.slim(path / "two.root", path / "plain.zarr.zip", POLICY)
    return path


@pytest.fixture(scope="module")
def model(folder: Path) -> Path:
    networks, report = codec.train_column_networks(folder / "one.root", POLICY, steps=800)
    assert report["Events"][0]["coded"] >= 3
    codec.save_networks(folder / "m.safetensors", networks, {"source": "one"})
    return folder / "m.safetensors"


def slim(folder: Path, output: Path, model: Path, **options: object) -> dict:
    settings: dict = {"policy": POLICY, "workers": 1} | options
    return codec.slim(folder / "two.root", output, codec="neural", model=model, **settings)


def test_a_file_that_names_a_model_is_the_smallest_and_holds_what_the_plain_one_does(
    folder: Path, model: Path, tmp_path: Path
) -> None:
    named, embedded = tmp_path / "named.zarr.zip", tmp_path / "embedded.zarr.zip"
    report = slim(folder, named, model)
    (found,) = report["networks"]["Events"]
    assert (found["collection"], found["values"], found["network_bytes"]) == ("nJet", 4000, 0)
    assert found["coded"] >= 3
    assert "lost" not in found
    assert report["model"] == codec.load_networks(model, ColumnNetworks).sha256
    assert "model" not in slim(folder, embedded, model, embed_model=True)
    plain = folder / "plain.zarr.zip"
    assert named.stat().st_size < embedded.stat().st_size < plain.stat().st_size
    assert named.stat().st_size < 0.9 * plain.stat().st_size
    assert_same(embedded, plain)
    assert_same(named, plain, model)
    told = codec.inspect(named)["trees"]["Events"]
    assert told["model"] == report["model"]
    assert set(codec.inspect(embedded)["trees"]["Events"]["networks"][0]["columns"]) <= set(told["stream_bytes"])


def test_chunks_of_a_file_are_coded_one_by_one_where_it_saves_bytes(
    folder: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("utils.trees.read.CHUNK_BYTES", 40_000)
    slim(folder, tmp_path / "chunks.zarr.zip", model, workers=2)
    assert codec.inspect(tmp_path / "chunks.zarr.zip")["chunks"] >= 3
    assert_same(tmp_path / "chunks.zarr.zip", folder / "plain.zarr.zip", model)


def test_without_the_model_it_is_one_error_that_names_it(folder: Path, model: Path, tmp_path: Path) -> None:
    path, other = tmp_path / "a.zarr.zip", tmp_path / "other.safetensors"
    networks = codec.load_networks(model, ColumnNetworks)
    slim(folder, path, model)
    (collection,) = networks.collections
    codec.save_networks(other, ColumnNetworks((replace(collection, counter="n"),)), {})
    for recover in (False, True):
        with pytest.raises(ContainerError, match=f"names a model, checksum {networks.sha256[:12]}, and holds none"):
            write_root(path, tmp_path / "back.root", recover=recover)
        with pytest.raises(ContainerError, match=f"another model: checksum {networks.sha256[:12]}, not "):
            write_root(path, tmp_path / "back.root", recover=recover, model=other)
    with pytest.raises(ContainerError, match="names a model"):
        codec.open(path)
    codec.save_networks(other, random_networks(0), {})
    with pytest.raises(CheckpointError, match="no model for columns by the codec neural"):
        codec.open(path, model=other)
    assert not (tmp_path / "back.root").exists()


@pytest.mark.parametrize(
    ("rules", "drop", "lost"),
    [
        (["Jet_pt=2%"], [], "Jet_pt has another bound or type"),
        (["Jet_pt=stored"], [], "Jet_pt has another bound or type"),
        ([], ["Jet_charged"], "Jet_charged is not there"),
    ],
)
def test_networks_that_would_see_a_column_that_is_lost_code_nothing_and_the_report_says_so(
    folder: Path, model: Path, tmp_path: Path, rules: list[str], drop: list[str], lost: str
) -> None:
    policy = load_policy("nanoaod", [*rules, "Jet_charged=0.005", "Jet_neutral=0.005"], drop=drop)
    report = slim(folder, tmp_path / "a.zarr.zip", model, policy=policy)
    codec.slim(folder / "two.root", tmp_path / "b.zarr.zip", policy)
    (found,) = report["networks"]["Events"]
    assert found["lost"] == lost
    columns = [column.name for column in codec.load_networks(model, ColumnNetworks).collections[0].columns]
    assert found["columns"] in (0, columns.index(lost.split()[0]))
    assert_same(tmp_path / "a.zarr.zip", tmp_path / "b.zarr.zip", model)


def test_a_column_whose_integers_mean_something_else_is_seen_by_no_network(
    folder: Path, model: Path, tmp_path: Path
) -> None:
    (collection,) = codec.load_networks(model, ColumnNetworks).collections
    *columns, last = collection.networks.columns
    other = replace(collection, networks=Collection((*columns, replace(last, scale=(last.scale[0], 1)))))
    codec.save_networks(tmp_path / "other.safetensors", ColumnNetworks((other,)), {})
    report = slim(folder, tmp_path / "a.zarr.zip", tmp_path / "other.safetensors")
    (found,) = report["networks"]["Events"]
    assert found["lost"] == f"{collection.columns[-1].name} has other integers"
    assert 1 <= found["coded"] < len(columns) + 1
    assert_same(tmp_path / "a.zarr.zip", folder / "plain.zarr.zip", tmp_path / "other.safetensors")


def test_a_file_of_which_the_model_knows_nothing_names_none(folder: Path, model: Path, tmp_path: Path) -> None:
    networks = codec.load_networks(model, ColumnNetworks)
    (collection,) = networks.collections
    elsewhere = ColumnNetworks((replace(collection, tree="Other"),))
    report = codec.slim(folder / "two.root", tmp_path / "a.zarr.zip", POLICY, codec="neural", model=elsewhere)
    assert (report["networks"], "model" in report) == ({"Events": []}, False)
    assert_same(tmp_path / "a.zarr.zip", folder / "plain.zarr.zip")


def test_damaged_models_are_refused_and_name_the_file(model: Path, tmp_path: Path) -> None:
    content = model.read_bytes()
    path = tmp_path / "damaged.safetensors"
    for spoiled in one_bit_turned(content):
        path.write_bytes(spoiled)
        with pytest.raises(CheckpointError, match=path.name):
            codec.load_networks(path, ColumnNetworks)
    with safe_open(model, framework="numpy") as file:
        header, arrays = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    for other, why in (
        ({"starts": np.zeros(3)}, "other arrays"),
        (arrays | {"starts": np.zeros(2**22 + 1, np.int8)}, "other arrays"),
        (arrays | {"hidden": arrays["hidden"][:-1]}, "cut short"),
    ):
        save_file(other, path, metadata=header)
        with pytest.raises(CheckpointError, match=why):
            codec.load_networks(path, ColumnNetworks)


def test_columns_of_a_model_are_named_once_and_all(model: Path) -> None:
    networks = codec.load_networks(model, ColumnNetworks)
    (collection,) = networks.collections
    for wrong, why in (
        (ColumnNetworks((collection, collection)), "twice"),
        (ColumnNetworks((replace(collection, columns=collection.columns[:-1]),)), "other columns"),
    ):
        with pytest.raises(ValueError, match=why):
            ColumnNetworks.from_dict(wrong.to_dict(), wrong.arrays)
    again = ColumnNetworks.from_dict(networks.to_dict(), networks.arrays)
    assert again.sha256 == networks.sha256
    with pytest.raises(ValueError, match="checksum"):
        ColumnNetworks.from_dict(networks.to_dict() | {"sha256": "0"}, networks.arrays)


def test_settings_that_do_not_belong_together_are_refused(folder: Path, model: Path, tmp_path: Path) -> None:
    for options, why in (
        ({"model": model}, "belongs to the codec neural, not to plain"),
        ({"codec": "neural", "embed_model": True}, "--embed-model: belongs to a model"),
        ({"codec": "neural", "model": 3}, "found int"),
        ({"codec": "neural", "model": tmp_path / "none.safetensors"}, "no such file; .*--policy"),
    ):
        with pytest.raises(ValueError, match=why):
            codec.slim(folder / "two.root", tmp_path / "a.zarr.zip", POLICY, **options)
    with pytest.raises(ValueError, match="need a step"):
        codec.train_column_networks(folder / "one.root", POLICY, steps=0)
    write_jets(tmp_path / "few.root", 100)
    with pytest.raises(TreeError, match=r"few\.root: no collection"):
        codec.train_column_networks(tmp_path / "few.root", POLICY)
    assert [path.name for path in tmp_path.iterdir()] == ["few.root"]


def test_many_files_are_coded_by_one_model(
    folder: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheduler: str
) -> None:
    monkeypatch.chdir(tmp_path)
    rules = "--policy nanoaod --bound Jet_charged=0.005 --bound Jet_neutral=0.005"
    many = f"slim {folder / 'two.root'} small/ {rules} --format zarr --codec neural --model {model}"
    assert main(f"{many} --scheduler {scheduler}".split()) == 0
    assert_same(tmp_path / "small" / "two.zarr.zip", folder / "plain.zarr.zip", model)
    with pytest.raises(ContainerError, match="names a model"):
        codec.open("small/two.zarr.zip")
    assert main(f"{many} --scheduler {scheduler} --embed-model".split()) == 0
    assert_same(tmp_path / "small" / "two.zarr.zip", folder / "plain.zarr.zip")


def test_commands_train_slim_and_read(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    train = f"train --codec neural --dataset {folder / 'one.root'} --output m.safetensors --steps 500"
    slim_two = f"slim {folder / 'two.root'} two.zarr.zip --policy nanoaod --codec neural"
    assert main(f"{train} --policy nanoaod --bound Jet_charged=0.005".split()) == 0
    checksum = codec.load_networks("m.safetensors", ColumnNetworks).sha256
    assert checksum[:12] in capsys.readouterr().out
    assert main(["info", "m.safetensors"]) == 0
    assert "Jet_pt" in capsys.readouterr().out
    assert main(f"{slim_two} --bound Jet_charged=0.005 --model m.safetensors".split()) == 0
    assert f"the model that it names, checksum {checksum[:12]}" in capsys.readouterr().out
    assert main(["decompress", "two.zarr.zip", "two.root"]) == 2
    assert "--model" in capsys.readouterr().err
    assert main(["decompress", "two.zarr.zip", "two.root", "--model", "m.safetensors"]) == 0
    assert main(f"{slim_two} --bound Jet_pt=2% --model m.safetensors --force".split()) == 0
    assert "Jet_pt has another bound or type" in capsys.readouterr().out
    for words, why in (
        (f"{train} --force --policy nanoaod --max-jets 9", "--max-jets: belongs to models of jets"),
        (f"{train} --force --policy nanoaod --pt-error 1%", "--pt-error: belongs to models of jets"),
        (f"{train} --force --bound Jet_pt", "PATTERN=BOUND"),
        ("train --codec neural --policy nanoaod --output a.safetensors", "a ROOT file"),
        (f"train --dataset {folder / 'one.root'} --policy nanoaod --output a.safetensors", "train --codec neural"),
    ):
        assert main(words.split()) == 2
        assert why in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.safetensors", "two.root", "two.zarr.zip"]
