"""One file holds all that encoding and decoding need; no other file passes for one."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from utils.autoencoder import VARIANTS, Autoencoder, PCABaseline
from utils.checkpoint import Checkpoint, CheckpointError, load_checkpoint, read_header, save_checkpoint
from utils.inference import reconstruct
from utils.normalization import CustomNormalization, StandardNormalization

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
    from safetensors import safe_open

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
