"""One file holds all that encoding and decoding need; no other file passes for one."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from tests.fuzz.weights import fuzz
from utils.networks import (
    VARIANTS,
    Autoencoder,
    AutoencoderConfig,
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


# ---- files that are anybody's --------------------------------------------------------------------------------------


def test_no_flipped_bit_of_a_checkpoint_loads_in_silence(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    small = Checkpoint(Autoencoder(AutoencoderConfig((4, 6, 3, 6, 4), "elu", batch_norm=True)), CustomNormalization())
    save_checkpoint(path, small)
    whole = path.read_bytes()
    for place in np.random.default_rng(0).integers(0, len(whole), 300):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << int(place % 8)
        path.write_bytes(damaged)
        for read in (load_checkpoint, read_header):
            with pytest.raises(CheckpointError, match=r"model\.safetensors: "):
                read(path)


def of_version_1(path: Path, change: dict[str, torch.Tensor] | None = None, **texts: str) -> None:
    """Make a checkpoint one of the version that had no digest, with other tensors or texts in its header."""
    with safe_open(path, framework="pt") as file:
        header = {key: text for key, text in file.metadata().items() if key != "digest"}
    save_file(
        load_file(path) | (change or {}), path, metadata=header | {"format": "compression-hep checkpoint 1"} | texts
    )


def test_a_checkpoint_of_the_version_without_digests_loads(checkpoint: Checkpoint, tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "model.safetensors", checkpoint)
    of_version_1(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(
        reconstruct(load_checkpoint(tmp_path / "model.safetensors"), JETS), reconstruct(checkpoint, JETS)
    )


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (torch.full((4,), float("nan")), "decoder.9.bias holds NaN or infinite numbers"),
        (torch.full((4,), float("inf")), "decoder.9.bias holds NaN or infinite numbers"),
        (torch.zeros(4, dtype=torch.int8), r"decoder.9.bias holds torch.int8, expected torch.float32"),
        (torch.zeros(4, dtype=torch.float64), r"decoder.9.bias holds torch.float64, expected torch.float32"),
    ],
)
def test_weights_are_finite_numbers_of_the_types_of_the_model(
    checkpoint: Checkpoint, tmp_path: Path, tensor: torch.Tensor, message: str
) -> None:
    save_checkpoint(tmp_path / "model.safetensors", checkpoint)
    of_version_1(tmp_path / "model.safetensors", {"decoder.9.bias": tensor})
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(tmp_path / "model.safetensors")


def test_weights_that_could_not_be_loaded_are_not_saved(tmp_path: Path) -> None:
    model = Autoencoder(AutoencoderConfig((4, 6, 3, 6, 4)))
    torch.nn.init.constant_(model.decoder[-1].bias, float("nan"))  # type: ignore[arg-type]
    with pytest.raises(CheckpointError, match="holds NaN"):
        save_checkpoint(tmp_path / "model.safetensors", Checkpoint(model, CustomNormalization()))
    wide = Checkpoint(Autoencoder(AutoencoderConfig((4, 9000, 3, 4))), CustomNormalization())
    with pytest.raises(ValueError, match="files hold those of at most 1000 layers and 8192 nodes"):
        save_checkpoint(tmp_path / "model.safetensors", wide)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("architecture", "message"),
    [
        ({"nodes": [4, 8000, 8000, 3, 8000, 8000, 4]}, "the weights do not fit the architecture"),
        ({"nodes": [4, *[9] * 20_000, 3, 4]}, "20003 layers .* at most 1000 layers"),
        ({"nodes": [4, 10**12, 3, 4]}, "1000000000000 nodes; files hold"),
        ({"nodes": [4, "9", 3, 4]}, "nodes is '9', expected an integer"),
        ({"nodes": [5, 9, 3, 5]}, "a network of 5 values, expected 4"),
        ({"nodes": [4, 9, 3, 4], "dropout": 1}, "unknown dropout"),
        ({"class": "PCABaseline", "rank": 10**9, "inputs": 10**9}, "files hold those of at most"),
    ],
)
def test_a_network_is_not_built_before_its_weights_are_seen_to_fit(
    checkpoint: Checkpoint, tmp_path: Path, architecture: dict, message: str
) -> None:
    path = tmp_path / "model.safetensors"
    save_checkpoint(path, checkpoint)
    described = {"class": "Autoencoder"} | architecture
    if described["class"] == "Autoencoder":
        described["activation"] = "elu"
    of_version_1(path, architecture=json.dumps(described))
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(path)


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"data": {"range": {"m": [0], "pt": [1, 2], "phi": [1, 2], "eta": [1, 2]}}}, "two ends"),
        ({"data": {"range": 3}}, "range is 3, expected an object"),
        ({"training": []}, "training is a list of 0"),
    ],
)
def test_metadata_of_another_form_are_refused(
    checkpoint: Checkpoint, tmp_path: Path, metadata: dict, message: str
) -> None:
    path = tmp_path / "model.safetensors"
    save_checkpoint(path, checkpoint)
    of_version_1(path, metadata=json.dumps(metadata))
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(path)


def test_damaged_and_hostile_weights_come_to_an_error_or_to_what_they_hold(tmp_path: Path) -> None:
    tallies = fuzz(25, 1, tmp_path)
    assert [line for tally in tallies.values() for line in tally.bad] == []
    assert all(tally.counts["error"] for tally in tallies.values())
