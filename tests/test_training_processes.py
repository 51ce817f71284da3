"""Training in several processes: the same losses as in one, for the same batches."""

import re
import sys
import time
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest
import torch

from tests.network_helpers import LOOPBACK, listening
from utils import training
from utils.cli import main
from utils.files import REPOSITORY
from utils.networks import load_checkpoint

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


class Two(NamedTuple):
    """What came of all trainings in two processes: losses by variant, the folder of the models, and the addresses at
    which the processes could be reached."""

    losses: dict[str, dict[str, float]]
    folder: Path
    addresses: set[str]


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Two:
    """All trainings in one start, which takes longest."""
    folder = tmp_path_factory.mktemp("two")
    code = "import sys; from utils.training import launch; sys.exit(launch(sys.argv[1:], 2))"
    command = [sys.executable, "-c", code, "-m", "tests.trainings"]
    command += [" ".join(options(variant, folder)) for variant in TRAININGS]
    addresses = set()
    with (folder / "stdout").open("w") as stdout, (folder / "stderr").open("w") as stderr:
        process = psutil.Popen(command, cwd=REPOSITORY, stdout=stdout, stderr=stderr)
        while process.poll() is None:
            addresses |= {address for address, _ in listening(process)}
            time.sleep(0.2)
    assert process.returncode == 0, (folder / "stderr").read_text()[-3000:]
    said = [line for line in (folder / "stdout").read_text().splitlines() if "test MSE" in line]
    assert len(said) == len(TRAININGS), "one process speaks for all"
    return Two({variant: losses(line) for variant, line in zip(TRAININGS, said, strict=True)}, folder, addresses)


def test_processes_that_train_together_are_reached_by_the_loopback_alone(two: Two) -> None:
    assert two.addresses
    assert two.addresses <= LOOPBACK


@pytest.mark.parametrize("variant", [variant for variant, chosen in TRAININGS.items() if chosen is PUBLISHED])
def test_two_processes_give_the_losses_of_one(
    variant: str, two: Two, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found, folder = two.losses, two.folder
    assert main(["train", *options(variant, tmp_path)]) == 0
    assert found[variant] == pytest.approx(losses(capsys.readouterr().out), rel=1e-4)
    alone, shared = (load_checkpoint(place / f"{variant}.safetensors").model for place in (tmp_path, folder))
    for name, tensor in alone.state_dict().items():
        torch.testing.assert_close(shared.state_dict()[name], tensor, rtol=1e-3, atol=1e-4)


def test_batch_norms_and_soap_train_in_two_processes_as_well(two: Two) -> None:
    found, folder = two.losses, two.folder
    assert found["elu_bn"]["test"] < 0.05
    assert load_checkpoint(folder / "elu_bn.safetensors").metadata["training"]["optimizer"] == "soap"


def test_the_command_hands_its_options_on_to_every_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words: list[str] = []

    def launch(arguments: list[str], processes: int) -> int:
        words.extend(arguments)
        return processes + 1

    monkeypatch.setattr(training, "launch", launch)
    output = str(tmp_path / "m.safetensors")
    words_given = ["train", "--processes", "2", "--columns", "pt=a,m=b,phi=c,eta=d", "--output", output, "--force"]
    assert main(words_given) == 3
    assert words == ["-m", "compressionhep", *words_given, "--processes", "1"]  # of two the last counts


def test_a_process_that_fails_ends_the_others(tmp_path: Path) -> None:
    code = "import os, sys, time; sys.exit(5) if os.environ['RANK'] == '1' else time.sleep(3600)"
    assert training.launch(["-c", code], 2) == 5
