"""One file holds all that encoding and decoding need; no other file passes for one."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from utils.networks import (
    VARIANTS,
    Autoencoder,
    Checkpoint,
    CheckpointError,
    CustomNormalization,
    PCABaseline,
    StandardNormalization,
    load_checkpoint,
    read_header,
    reconstruct,
    save_checkpoint,
)

JETS = np.array([[0.0, 20.0, 3.1, -4.0], [5.0, 27.0, 0.1, 1.0], [40.0, 300.0, -2.0, 0.3]])


@pytest.fixture
def checkpoint() -> Checkpoint:
    torch.manual_seed(0)
    return Checkpoint(
        Autoencoder(VARIANTS["elu_bn"]), StandardNormalization().fit(JETS), {"model": "elu_bn", "training": {"seed": 0}}
    )


def test_a_file_gives_the_same_jets_bit_by_bit(checkpoint: Checkpoint, tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "model.safetensors", checkpoint)
    loaded = load_checkpoint(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(reconstruct(loaded, JETS), reconstruct(checkpoint, JETS))
    assert loaded.normalization == checkpoint.normalization
    assert loaded.metadata == checkpoint.metadata
    assert loaded.name == "elu_bn"
    assert not loaded.model.training


def test_pca_travels_like_a_network(tmp_path: Path) -> None:
    norm = CustomNormalization()
    pca = Checkpoint(PCABaseline(2).fit(norm.normalize(JETS)), norm)
    save_checkpoint(tmp_path / "pca.safetensors", pca)
    loaded = load_checkpoint(tmp_path / "pca.safetensors")
    np.testing.assert_array_equal(reconstruct(loaded, JETS), reconstruct(pca, JETS))
    assert loaded.name == "pca"


def test_the_header_describes_the_model(checkpoint: Checkpoint, tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "model.safetensors", checkpoint)
    header = read_header(tmp_path / "model.safetensors")
    assert header["architecture"]["nodes"] == [4, 200, 100, 50, 3, 50, 100, 200, 4]
    assert header["normalization"]["kind"] == "standard"
    assert header["features"] == ["m", "pt", "phi", "eta"]
    assert header["units"] == {"m": "GeV", "pt": "GeV", "phi": "rad", "eta": ""}
    assert header["versions"].keys() >= {"torch", "fastai", "compression-hep", "python"}


def test_a_cut_file_is_refused(checkpoint: Checkpoint, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_checkpoint(path, checkpoint)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match=r"model\.safetensors: not a whole safetensors file"):
        load_checkpoint(path)


def test_another_projects_file_is_refused(tmp_path: Path) -> None:
    save_file({"x": torch.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(CheckpointError, match="not of this project"):
        load_checkpoint(tmp_path / "other.safetensors")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"none\.safetensors: no such file"):
        load_checkpoint(tmp_path / "none.safetensors")


def test_weights_that_do_not_fit_the_header_are_listed(checkpoint: Checkpoint, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_checkpoint(path, checkpoint)
    with safe_open(path, framework="pt") as file:
        header = file.metadata()
    state = load_file(path)
    state["extra"] = torch.zeros(1)
    state["decoder.9.bias"] = torch.zeros(5)
    del state["encoder.0.bias"]
    save_file(state, path, metadata=header)
    with pytest.raises(CheckpointError) as error:
        load_checkpoint(path)
    for part in ("missing: encoder.0.bias", "unexpected: extra", "decoder.9.bias has shape (5,), expected (4,)"):
        assert part in str(error.value)


def test_a_checkpoint_that_cannot_be_written_leaves_nothing(checkpoint: Checkpoint, tmp_path: Path) -> None:
    bad = Checkpoint(checkpoint.model, checkpoint.normalization, {"metrics": float("nan")})
    with pytest.raises(ValueError, match="not JSON compliant"):
        save_checkpoint(tmp_path / "model.safetensors", bad)
    assert not list(tmp_path.iterdir())


def test_a_failed_save_keeps_the_file_that_was_there(checkpoint: Checkpoint, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_checkpoint(path, checkpoint)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="not JSON compliant"):
        save_checkpoint(path, Checkpoint(checkpoint.model, checkpoint.normalization, {"loss": float("inf")}))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_gives_the_same_outputs_after_a_trip_through_a_file(variant: str, tmp_path: Path) -> None:
    model = Autoencoder(VARIANTS[variant])
    model.train()(torch.randn(64, 4))  # gives BatchNorm means and variances of its own
    save_checkpoint(tmp_path / "model.safetensors", Checkpoint(model, CustomNormalization()))
    x = torch.randn(9, 4)
    with torch.inference_mode():
        assert torch.equal(load_checkpoint(tmp_path / "model.safetensors").model(x), model.eval()(x))


@pytest.mark.parametrize("content", [b"", b"\x01", b"<html>404</html>" * 9, b"PK\x03\x04" * 30])
def test_what_is_no_safetensors_file_is_named(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"model\.safetensors: not a whole safetensors file"):
        load_checkpoint(tmp_path / "model.safetensors")


@pytest.mark.parametrize(
    ("key", "text", "message"),
    [
        ("architecture", "{nope", "its header is not JSON"),
        ("architecture", '{"class": "Transformer"}', "unknown model class 'Transformer'"),
        ("architecture", '{"class": "Autoencoder", "nodes": null}', "describes no model"),
        ("architecture", None, "describes no model .*architecture"),
        ("normalization", "[1]", "describes no model .*expected its description as a dict"),
        ("normalization", '{"kind": "magic"}', "unknown normalization 'magic'"),
        ("features", '["pt", "eta", "phi", "m"]', "gives the features .*'pt', .*expected .*'m'"),
        ("units", '{"m": "MeV", "pt": "MeV", "phi": "rad", "eta": ""}', "gives the units .*MeV.* expected .*GeV"),
        ("metadata", "[1]", "describes no model .*metadata is a list of 1, expected an object"),
    ],
)
def test_a_header_that_describes_something_else_is_refused(
    checkpoint: Checkpoint, tmp_path: Path, key: str, text: str | None, message: str
) -> None:
    path = tmp_path / "model.safetensors"
    save_checkpoint(path, checkpoint)
    with safe_open(path, framework="pt") as file:
        header = {name: value for name, value in (file.metadata() | {key: text}).items() if value is not None}
    save_file(load_file(path), path, metadata=header)
    with pytest.raises(CheckpointError, match=rf"model\.safetensors: .*{message}"):
        load_checkpoint(path)
