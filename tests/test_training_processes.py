"""Training in several processes: the same losses as in one, for the same batches."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from utils.cli import main
from utils.files import REPOSITORY
from utils.networks import load_checkpoint

LAUNCHER = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]

PUBLISHED = ["--schedule", "published", "--steps", "30"]
"""With Adam. SOAP's eigenvectors of nearly degenerate matrices amplify rounding, which no two ways to add share."""

TRAININGS = {"tanh": PUBLISHED, "residual_gelu": PUBLISHED, "elu_bn": ["--schedule", "zigzag", "--steps", "60"]}
"""Options of what is trained, by variant; the last with BatchNorm and SOAP."""


def options(variant: str, folder: Path) -> list[str]:
    common = ["--profile", "quick", "--max-jets", "3000", "--device", "cpu", "--variant", variant]
    return [*common, *TRAININGS[variant], "--output", f"{folder / variant}.safetensors"]


def losses(line: str) -> dict[str, float]:
    names = {"test": "test MSE", "train": "training loss", "valid": "validation loss"}
    return {key: float(re.search(rf"{text} ([\d.e-]+)", line)[1]) for key, text in names.items()}  # type: ignore[index]


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, dict[str, float]], Path]:
    """Losses of all trainings in two processes, and the folder with the models: one start, which takes longest."""
    folder = tmp_path_factory.mktemp("two")
    command = [*LAUNCHER, "-m", "tests.trainings", *(" ".join(options(variant, folder)) for variant in TRAININGS)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=1500)
    assert done.returncode == 0, done.stderr[-3000:]
    said = [line for line in done.stdout.splitlines() if "test MSE" in line]
    assert len(said) == len(TRAININGS), "one process speaks for all"
    return {variant: losses(line) for variant, line in zip(TRAININGS, said, strict=True)}, folder


@pytest.mark.parametrize("variant", [variant for variant, chosen in TRAININGS.items() if chosen is PUBLISHED])
def test_two_processes_give_the_losses_of_one(
    variant: str, two: tuple[dict[str, dict[str, float]], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found, folder = two
    assert main(["train", *options(variant, tmp_path)]) == 0
    assert found[variant] == pytest.approx(losses(capsys.readouterr().out), rel=1e-4)
    alone, shared = (load_checkpoint(place / f"{variant}.safetensors").model for place in (tmp_path, folder))
    for name, tensor in alone.state_dict().items():
        torch.testing.assert_close(shared.state_dict()[name], tensor, rtol=1e-3, atol=1e-4)


def test_batch_norms_and_soap_train_in_two_processes_as_well(two: tuple[dict[str, dict[str, float]], Path]) -> None:
    found, folder = two
    assert found["elu_bn"]["test"] < 0.05
    assert load_checkpoint(folder / "elu_bn.safetensors").metadata["training"]["optimizer"] == "soap"
