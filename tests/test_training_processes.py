"""Training in several processes: the same losses as in one, for the same batches."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from utils.files import REPOSITORY
from utils.networks import load_checkpoint

LAUNCHER = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


def train(launcher: list[str], output: Path, *options: str) -> tuple[dict[str, float], torch.nn.Module]:
    command = [*launcher, "-m", "utils.cli", "train", "--profile", "quick", "--max-jets", "3000", "--device", "cpu"]
    done = subprocess.run(
        [*command, *options, "--output", output], cwd=REPOSITORY, capture_output=True, text=True, timeout=200
    )
    assert done.returncode == 0, done.stderr[-3000:]
    names = {"test": "test MSE", "train": "training loss", "valid": "validation loss"}
    found = {key: float(re.search(rf"{text} ([\d.e-]+)", done.stdout)[1]) for key, text in names.items()}  # type: ignore[index]
    assert done.stdout.count("test MSE") == 1, "one process speaks for all"
    return found, load_checkpoint(output).model


@pytest.mark.parametrize("variant", ["tanh", "residual_gelu"])
def test_two_processes_give_the_losses_of_one(variant: str, tmp_path: Path) -> None:
    """With Adam. SOAP's eigenvectors of nearly degenerate matrices amplify rounding, which no two ways to add share."""
    options = ["--variant", variant, "--schedule", "published", "--steps", "30"]
    one, alone = train([sys.executable], tmp_path / "one.safetensors", *options)
    two, shared = train(LAUNCHER, tmp_path / "two.safetensors", *options)
    assert two == pytest.approx(one, rel=1e-4)
    for name, tensor in alone.state_dict().items():
        torch.testing.assert_close(shared.state_dict()[name], tensor, rtol=1e-3, atol=1e-4)


def test_batch_norms_and_soap_train_in_two_processes_as_well(tmp_path: Path) -> None:
    losses, _ = train(LAUNCHER, tmp_path / "bn.safetensors", "--variant", "elu_bn", "--steps", "60")
    assert losses["test"] < 0.05
