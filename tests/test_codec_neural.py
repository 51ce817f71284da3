"""The codec neural for jets: the guarantee of bounded in fewer bytes, or bounded; models of their own and of others."""

import hashlib
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from safetensors import safe_open
from safetensors.numpy import save_file

from tests.jet_network_helpers import event_table, one_bit_turned, random_networks
from utils import codec
from utils.cli import main
from utils.codec import Bounds, ContainerError, ErrorBound
from utils.jets import FEATURES, load_sample, make_table, with_empty_events, write_jets
from utils.networks import CheckpointError

GOLDEN = Path(__file__).with_name("data") / "golden_neural_jets.zarr.zip"

QUICK = 300
"""Steps of a training here."""


@pytest.fixture(scope="module")
def jets() -> pd.DataFrame:
    return load_sample().test.iloc[:14_000].reset_index(drop=True)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    networks, saving = codec.train_jet_networks(load_sample(max_jets=20_000), steps=QUICK)
    assert saving["bytes_coded"] < 0.97 * saving["bytes_bounded"]
    codec.save_networks(path, networks, {"data": "embedded"})
    return path


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("utils.codec.jet_fitting.STEPS", QUICK)


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks are used whether they pay or not."""
    monkeypatch.setattr("utils.codec.schemes.choose_networks", lambda plain, columns, counts, model, apart: (model, {}))


@pytest.mark.usefixtures("quick")
def test_jets_take_fewer_bytes_with_networks_in_the_file_and_are_those_of_bounded(
    jets: pd.DataFrame, tmp_path: Path
) -> None:
    report = codec.compress(jets, tmp_path / "a.zarr.zip", codec="neural", chunk_jets=12_000)
    plain = codec.compress(jets, tmp_path / "b.zarr.zip", chunk_jets=12_000)
    assert report["codec"] == "neural"
    assert report["chunks"] == 2
    assert report["bytes"] < plain["bytes"]
    assert all(0.9 < share <= 1 for share in report["errors_of_bound"].values())
    saving = report["saving"]
    assert saving["bytes_coded"] + saving["network_bytes"] < saving["bytes_bounded"]
    again = codec.read_compressed(tmp_path / "a.zarr.zip")
    pd.testing.assert_frame_equal(again, codec.read_compressed(tmp_path / "b.zarr.zip"))


@pytest.mark.usefixtures("quick")
def test_the_same_jets_give_the_same_bytes(jets: pd.DataFrame, tmp_path: Path) -> None:
    for name, workers in (("a", 1), ("b", 2)):
        codec.compress(jets, tmp_path / f"{name}.zarr.zip", codec="neural", chunk_jets=11_000, workers=workers)
    assert (tmp_path / "a.zarr.zip").read_bytes() == (tmp_path / "b.zarr.zip").read_bytes()


@given(
    seed=st.integers(0, 2**32),
    relative=st.floats(1e-5, 0.3),
    absolute=st.floats(1e-5, 1.0),
    outliers=st.lists(st.sampled_from([np.nan, np.inf, -np.inf, 0.0, 1e-30, -1e-3, 3.1415927]), max_size=5),
)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_jet_is_within_its_bounds_whatever_it_is(
    always: None, tmp_path: Path, seed: int, relative: float, absolute: float, outliers: list[float]
) -> None:
    bounds = Bounds(ErrorBound(relative, absolute), ErrorBound(relative), *2 * [ErrorBound(absolute=absolute)])
    table = event_table(seed, 20)
    for row, value in zip(range(0, len(table), 3), outliers, strict=False):
        name = FEATURES[row % 4]
        if name == "phi" or name == "m" or not np.isfinite(value):
            table.loc[row, name] = np.float32(value)
    path = tmp_path / f"{seed}.zarr.zip"
    path.unlink(missing_ok=True)
    options: Any = {"model": random_networks(seed, bounds), "embed_model": True, "keep_nonfinite": True}
    report = codec.compress(table, path, codec="neural", bounds=bounds, workers=1, **options)
    again = codec.read_compressed(path)
    for name in FEATURES:
        true, found = (one[name].to_numpy(np.float64) for one in (table, again))
        usual = np.isfinite(true)
        assert (np.isnan(true) == np.isnan(found)).all()
        error = np.abs(found[usual] - true[usual])
        if name == "phi":
            error = np.minimum(error, np.abs(2 * np.pi - error))
        bound = getattr(bounds, name).at(true[usual])
        assert (error <= bound * (1 + 1e-12)).all()
    assert all(share <= 1 for share in report["errors_of_bound"].values())


@pytest.mark.usefixtures("quick")
def test_jets_without_events_are_fitted_as_well(tmp_path: Path, jets: pd.DataFrame) -> None:
    table = jets.iloc[:2500].assign(event=np.arange(2500))
    report = codec.compress(table, tmp_path / "a.zarr.zip", codec="neural")
    assert "bytes_coded" in report["saving"]
    assert len(codec.read_compressed(tmp_path / "a.zarr.zip")) == 2500


@pytest.mark.usefixtures("quick")
def test_a_part_of_many_jets_stands_for_all(
    tmp_path: Path, jets: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("utils.codec.jet_fitting.FIT_JETS", 4000)
    report = codec.compress(jets, tmp_path / "a.zarr.zip", codec="neural")
    assert report["codec"] == "neural"
    saving, streams = report["saving"], report["stream_bytes"]
    assert saving["jets"] == len(jets)
    assert 0.95 < sum(streams[name] for name in ("states", *FEATURES)) / saving["bytes_coded"] < 1.05


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize(
    "table",
    [
        make_table([], [], [], []),
        with_empty_events(event_table(1, 3), np.array([10, 11])),
        make_table([5.0], [40.0], [3.1], [0.2]),
        event_table(2, 2, 100),
    ],
    ids=["no jet", "empty events", "one jet", "long events"],
)
def test_few_jets_and_empty_events_come_back(table: pd.DataFrame, tmp_path: Path) -> None:
    codec.compress(table, tmp_path / "a.zarr.zip", codec="neural", model=random_networks(0), embed_model=True)
    codec.compress(table, tmp_path / "b.zarr.zip")
    again = codec.read_compressed(tmp_path / "a.zarr.zip")
    pd.testing.assert_frame_equal(again, codec.read_compressed(tmp_path / "b.zarr.zip"))


@pytest.mark.usefixtures("quick")
def test_few_jets_and_jets_that_no_network_knows_are_coded_as_by_bounded_and_the_command_says_so(
    tmp_path: Path, jets: pd.DataFrame, model: Path, capsys: pytest.CaptureFixture
) -> None:
    write_jets([jets.iloc[:900]], tmp_path / "few.parquet")
    assert main(["compress", str(tmp_path / "few.parquet"), str(tmp_path / "few.zarr.zip"), "--codec", "neural"]) == 0
    assert "coded as by the codec bounded" in (said := capsys.readouterr().out)
    assert "of 900 jets; too few for networks" in said
    assert codec.inspect(tmp_path / "few.zarr.zip")["codec"] == "bounded"
    foreign = event_table(3, 900)
    foreign = foreign.assign(pt=foreign["pt"] * 20, eta=foreign["eta"] / 2)
    report = codec.compress(foreign, tmp_path / "foreign.zarr.zip", codec="neural", model=model)
    assert report["codec"] == "bounded"
    assert report["saving"]["bytes_coded"] >= report["saving"]["bytes_bounded"]
    assert all(share <= 1 for share in report["errors_of_bound"].values())


def test_a_model_is_named_or_embedded(
    jets: pd.DataFrame, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    write_jets([jets.iloc[:3000]], tmp_path / "in.parquet")
    options = ["--codec", "neural", "--model", str(model)]
    names = {name: str(tmp_path / name) for name in ("named.zarr.zip", "in.parquet", "held.zarr.zip", "back.parquet")}
    assert main(["compress", names["in.parquet"], names["named.zarr.zip"], *options]) == 0
    assert " networks: " not in capsys.readouterr().out
    codec.compress(names["in.parquet"], tmp_path / "bounded.zarr.zip")
    assert Path(names["named.zarr.zip"]).stat().st_size < (tmp_path / "bounded.zarr.zip").stat().st_size
    table = codec.read_compressed(names["named.zarr.zip"], model)
    assert len(table) == 3000
    with zipfile.ZipFile(names["named.zarr.zip"]) as file:
        assert "decoder" not in file.namelist()
    assert main(["decompress", names["named.zarr.zip"], names["back.parquet"]]) == 2
    assert "names a model, checksum" in (said := capsys.readouterr().err)
    assert codec.load_networks(model, codec.JetNetworks).sha256[:12] in said
    other = tmp_path / "other.safetensors"
    codec.save_networks(other, random_networks(1), {})
    assert main(["decompress", names["named.zarr.zip"], names["back.parquet"], "--model", str(other)]) == 2
    assert "written with another model" in capsys.readouterr().err
    assert main(["decompress", names["named.zarr.zip"], names["back.parquet"], "--model", str(model)]) == 0
    many = pd.concat([jets.assign(event=jets["event"] + 10**6 * part) for part in range(3)], ignore_index=True)
    codec.compress(many, names["held.zarr.zip"], codec="neural", model=model, embed_model=True)
    assert codec.inspect(names["held.zarr.zip"])["codec"] == "neural"
    held = codec.read_compressed(names["held.zarr.zip"])
    pd.testing.assert_frame_equal(held.iloc[:3000], table)


def test_settings_that_do_not_belong_together_are_refused(
    model: Path, tmp_path: Path, jets: pd.DataFrame, capsys: pytest.CaptureFixture
) -> None:
    refused: list[tuple[dict[str, Any], str]] = [
        ({"bounds": Bounds(phi=ErrorBound())}, "a bound above 0"),
        ({"refine": 1}, "belong to the codec autoencoder"),
        ({"embed_model": True}, "belongs to the codec neural with a model"),
        ({"model": model, "bounds": Bounds(pt=ErrorBound(0.02))}, "another bound of pt, 0.01 of it"),
        ({"model": tmp_path / "none.safetensors"}, "no such file"),
        ({"model": 3}, "found int"),
    ]
    for options, why in refused:
        with pytest.raises(ValueError, match=why):
            codec.compress(jets, tmp_path / "a.zarr.zip", codec="neural", **options)
    for words, why in (
        (["--variant", "tanh"], "--variant: belongs to train --codec autoencoder"),
        (["--pt-error", "0"], "a bound above 0"),
        (["--steps", "0"], "a step"),
        (["--max-jets", "500"], "too few for networks"),
    ):
        assert main(["train", "--codec", "neural", "--output", str(tmp_path / "m.safetensors"), *words]) != 0
        assert why in capsys.readouterr().err
    for words in (["--pt-error", "2%"], ["--policy", "stored"], ["--bound", "*=exact"]):
        assert main(["train", "--output", str(tmp_path / "m.safetensors"), *words]) == 2
        assert f"{words[0]}: belongs to train --codec neural, not to autoencoder" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_model_is_trained_by_command_and_its_bounds_hold(
    tmp_path: Path, jets: pd.DataFrame, capsys: pytest.CaptureFixture
) -> None:
    path = tmp_path / "m.safetensors"
    options = ["--steps", "60", "--max-jets", "4000", "--eta-error", "0.02", "--output", str(path)]
    assert main(["train", "--codec", "neural", *options]) == 0
    found = codec.load_networks(path, codec.JetNetworks)
    assert found.sha256[:12] in capsys.readouterr().out
    assert main(["info", str(path)]) == 0
    assert found.sha256 in capsys.readouterr().out
    assert found.plain.bounds == replace(Bounds(), eta=ErrorBound(absolute=0.02))
    report = codec.compress(jets, tmp_path / "a.zarr.zip", codec="neural", model=found)
    assert report["bounds"]["eta"]["absolute"] == 0.02


def test_damaged_models_are_refused_and_name_the_file(model: Path, tmp_path: Path) -> None:
    content = model.read_bytes()
    path = tmp_path / "damaged.safetensors"
    for spoiled in one_bit_turned(content):
        path.write_bytes(spoiled)
        with pytest.raises(CheckpointError, match=path.name):
            codec.load_networks(path, codec.JetNetworks)
    path.write_bytes(content[:-9])
    with pytest.raises(CheckpointError, match=path.name):
        codec.load_networks(path, codec.JetNetworks)
    with safe_open(model, framework="numpy") as file:
        header = file.metadata()
    save_file({"starts": np.zeros(3)}, path, metadata=header)
    with pytest.raises(CheckpointError, match="other arrays"):
        codec.load_networks(path, codec.JetNetworks)


@pytest.mark.usefixtures("always")
def test_damaged_networks_in_a_container_are_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.zarr.zip"
    codec.compress(event_table(0, 30), path, codec="neural", model=random_networks(0), embed_model=True)
    with zipfile.ZipFile(path) as file:
        info = file.getinfo("decoder")
    content = path.read_bytes()
    start = info.header_offset + 30 + len(info.filename)
    for place in (start, start + info.file_size // 2, start + info.file_size - 1):
        damaged = bytearray(content)
        damaged[place] ^= 16
        path.write_bytes(damaged)
        with pytest.raises(ContainerError, match=path.name):
            codec.read_compressed(path)


def test_a_file_that_earlier_networks_coded_is_still_read() -> None:
    table = codec.read_compressed(GOLDEN)
    digest = hashlib.sha256(b"".join(table[name].to_numpy(np.float32).tobytes() for name in FEATURES)).hexdigest()
    assert codec.inspect(GOLDEN)["codec"] == "neural"
    assert len(table) == 300
    assert digest == "4fc7f495f40b3ba282be508952e8216d207cd98a3d7daf51c652893abc1fdf65"
