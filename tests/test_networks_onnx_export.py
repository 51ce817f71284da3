"""ONNX files: folding changes nothing, and what is written computes what PyTorch does."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from utils.cli import main
from utils.files import REPOSITORY
from utils.networks import (
    VARIANTS,
    Affine,
    Autoencoder,
    AutoencoderConfig,
    Checkpoint,
    CustomNormalization,
    Linear,
    NoNormalization,
    PCABaseline,
    StandardNormalization,
    autoencoder_onnx,
    check_export,
    decoder_onnx,
    decoder_steps,
    encoder_onnx,
    encoder_steps,
    export_model,
    run_steps,
    save_checkpoint,
)
from utils.networks.steps import LeakyRelu, ShiftedElu
from utils.study import untrained_checkpoint


@pytest.fixture
def jets():
    rng = np.random.default_rng(1)
    columns = [rng.gamma(2, 4, 500), 20 + rng.exponential(60, 500), rng.uniform(-3.1, 3.1, 500), rng.normal(0, 2, 500)]
    columns[0][:2] = 0, -1e-4
    return np.stack(columns, axis=1).astype(np.float32)


def checkpoints(jets):
    fitted = StandardNormalization().fit(jets.astype(float))
    for name in VARIANTS:
        yield untrained_checkpoint(name)
        yield Checkpoint(untrained_checkpoint(name).model, fitted, {"model": name})
    yield Checkpoint(untrained_checkpoint("linear").model, NoNormalization(), {"model": "raw"})
    yield Checkpoint(PCABaseline(3).fit(fitted.normalize(jets)), fitted, {"model": "pca"})


def test_folded_steps_equal_the_unfolded_model_in_double_precision(jets):
    x = torch.from_numpy(jets).double()
    for checkpoint in checkpoints(jets):
        model = checkpoint.model.double()
        with torch.inference_mode():
            latents = model.encode(checkpoint.normalization.normalize(x))
            expected = checkpoint.normalization.unnormalize(model.decode(latents))
            torch.testing.assert_close(run_steps(encoder_steps(checkpoint), x), latents, rtol=1e-9, atol=1e-9)
            torch.testing.assert_close(run_steps(decoder_steps(checkpoint), latents), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", ["leaky_relu_bn", "elu_bn"])
def test_no_batch_norm_is_left_between_linear_layers(name):
    kinds = [type(step) for step in encoder_steps(untrained_checkpoint(name))]
    assert kinds.count(Linear) == 4
    assert kinds.count(LeakyRelu) + kinds.count(ShiftedElu) == 4
    assert kinds.count(Affine) == 1  # BatchNorm of the latent itself, after which no Linear layer comes
    assert kinds[-1] is Affine


def test_a_linear_network_becomes_one_matrix():
    steps = encoder_steps(untrained_checkpoint("linear"))
    assert [step.weight.shape for step in steps if isinstance(step, Linear)] == [(3, 4)]
    assert not any(isinstance(step, Affine) for step in steps)


def test_onnx_equals_pytorch_for_every_variant(jets):
    for checkpoint in checkpoints(jets):
        contents = {
            "autoencoder": autoencoder_onnx(checkpoint),
            "encoder": encoder_onnx(checkpoint),
            "decoder": decoder_onnx(checkpoint),
        }
        differences = check_export(checkpoint, contents, jets)
        assert set(differences["reconstructed"]) == {"m", "pt", "phi", "eta"}
        assert max(differences["latents"].values()) < 1e-4 * max(1, np.abs(jets).max())


def test_an_export_that_differs_is_refused_and_nothing_is_written(jets, tmp_path, monkeypatch):
    wrong = decoder_onnx(untrained_checkpoint("tanh", seed=1))
    monkeypatch.setattr("utils.networks.onnx_export.decoder_onnx", lambda checkpoint: wrong)
    with pytest.raises(ValueError, match="ONNX and PyTorch differ in reconstructed"):
        export_model(untrained_checkpoint("tanh"), tmp_path / "tanh.onnx", jets)
    assert not list(tmp_path.iterdir())


def test_exported_files_say_their_columns_and_units_and_take_any_number_of_jets(jets, tmp_path):
    export_model(untrained_checkpoint("elu_bn"), tmp_path / "elu.onnx", jets)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["elu.decoder.onnx", "elu.encoder.onnx", "elu.onnx"]
    model = onnx.load(tmp_path / "elu.encoder.onnx")
    properties = {entry.key: entry.value for entry in model.metadata_props}
    assert json.loads(properties["features"]) == ["m", "pt", "phi", "eta"]
    assert json.loads(properties["units"])["pt"] == "GeV"
    assert model.graph.input[0].doc_string == "m [GeV], pt [GeV], phi [rad], eta"
    session = onnxruntime.InferenceSession(tmp_path / "elu.onnx", providers=["CPUExecutionProvider"])
    for n in (1, 3, 500):
        latents, reconstructed = session.run(None, {"jets": jets[:n]})
        assert (latents.shape, reconstructed.shape) == ((n, 3), (n, 4))


def test_a_layer_without_an_onnx_form_is_named():
    model = Autoencoder(AutoencoderConfig((4, 8, 3, 8, 4)))
    model.encoder[1] = torch.nn.SiLU()
    with pytest.raises(TypeError, match="no ONNX form for the layer SiLU"):
        encoder_onnx(Checkpoint(model, CustomNormalization()))


def test_export_command_writes_the_three_files_and_reports_the_differences(tmp_path, capsys):
    save_checkpoint(tmp_path / "tanh.safetensors", untrained_checkpoint("tanh"))
    assert main(["export", str(tmp_path / "tanh.safetensors"), str(tmp_path / "tanh.onnx")]) == 0
    printed = capsys.readouterr().out
    assert "tanh.encoder.onnx" in printed
    assert "pt" in printed
    assert (tmp_path / "tanh.decoder.onnx").stat().st_size > 50_000


def test_export_command_refuses_another_suffix(tmp_path, capsys):
    save_checkpoint(tmp_path / "tanh.safetensors", untrained_checkpoint("tanh"))
    assert main(["export", str(tmp_path / "tanh.safetensors"), str(tmp_path / "tanh.pb")]) == 2
    assert "expected a file name that ends in .onnx" in capsys.readouterr().err


@pytest.mark.parametrize(
    "config",
    [
        AutoencoderConfig((4, 8, 3, 8, 4), "elu"),
        AutoencoderConfig((4, 8, 8, 3, 8, 8, 4), "elu", residual=True),
    ],
)
def test_an_elu_without_a_layer_to_fold_into_is_exported_all_the_same(config: AutoencoderConfig) -> None:
    torch.manual_seed(0)
    checkpoint = Checkpoint(Autoencoder(config).eval(), CustomNormalization(), {"model": "elu"})
    jets = np.array([[10.0, 50.0, 0.5, -0.5], [0.0, 20.0, -3.0, 2.0]], np.float32)
    contents = {"autoencoder": autoencoder_onnx(checkpoint)}
    contents |= {"encoder": encoder_onnx(checkpoint), "decoder": decoder_onnx(checkpoint)}
    check_export(checkpoint, contents, jets)


def test_each_column_has_its_own_allowance(jets):
    """A milliradian is far from rounding, however large pt is."""
    exact = Checkpoint(PCABaseline(3).fit(jets), NoNormalization())
    turned = Checkpoint(PCABaseline(3).fit(jets), NoNormalization())
    turned.model.get_buffer("mean")[2] += 1e-3
    contents = {"autoencoder": autoencoder_onnx(exact), "encoder": encoder_onnx(exact), "decoder": decoder_onnx(exact)}
    assert check_export(exact, contents, jets)["reconstructed"]["phi"] < 1e-4
    with pytest.raises(ValueError, match="differ in reconstructed"):
        check_export(exact, contents | {"decoder": decoder_onnx(turned)}, jets)


def test_using_onnx_runtime_tells_nobody(tmp_path: Path) -> None:
    code = "import sys; from utils import networks; networks.encoder_onnx; print('onnxruntime' in sys.modules)"
    kept_out = ("ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME")
    environment = {name: value for name, value in os.environ.items() if name not in kept_out} | {"HOME": str(tmp_path)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True"]
    assert [path for path in tmp_path.rglob("*") if "onnxruntime" in path.name] == []  # an identity, and events to send
