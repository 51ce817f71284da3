"""Nothing that is there is lost: outputs that are inputs, files that exist, links, folders that the project manages."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from utils import files, jets, study
from utils.cli import main
from utils.codec import compress, decompress
from utils.files import REPOSITORY, OutputError, atomic_path, manage_folder, recorded_path, records, sha256_of
from utils.jets import convert_jets, make_table, read_jets, write_jets

MODEL = REPOSITORY / "models" / "AE_3D_200_tanh_custom_norm.safetensors"


def make_jets(seed: int = 0, n: int = 60):
    rng = np.random.default_rng(seed)
    return make_table(
        rng.gamma(2, 4, n), 20 + rng.exponential(60, n), rng.uniform(-3, 3, n), rng.normal(0, 2, n), np.arange(n) // 3
    )


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two samples, one as a container too, in which the test works."""
    for seed, name in enumerate("ab"):
        write_jets(make_jets(seed), tmp_path / f"{name}.csv")
    compress(tmp_path / "a.csv", tmp_path / "a.zarr.zip")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def state(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): sha256_of(path) for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("force", [[], ["--force"]], ids=["", "force"])
@pytest.mark.parametrize(
    "arguments",
    [
        ["compress", "a.csv", "b.csv"],  # compress *.csv, with OUT forgotten
        ["compress", "a.csv", "a.csv"],
        ["compress", "a.csv", "jets.parquet"],
        ["compress", "a.csv", "model.safetensors"],
        ["convert", "a.csv", "a.csv", "--pt-min", "30"],
        ["convert", "*.csv", "a.csv"],
        ["convert", "a.csv", "link.csv"],
        ["convert", "link.csv", "a.csv"],
        ["convert", "a.csv", "hard.csv"],
        ["convert", "a.csv", "new.zarr.zip"],
        ["convert", "a.csv", "-"],
        ["convert", "a.csv", "s3://bucket/b.csv"],
        ["compress", "a.csv", "root://eos//store/small/"],
        ["info", "a.csv", "--json", "file:///tmp/a.json"],
        ["decompress", "a.zarr.zip", "a.zarr.zip"],
        ["decompress", "a.zarr.zip", "new.zarr.zip"],
        ["export", str(MODEL), "new.safetensors"],
        ["train", "--output", "model.onnx"],
        ["train", "--dataset", "a.csv", "--output", "a.csv"],
        ["simulate", "--events", "1", "--seed", "1", "--output", "new.txt"],
        ["info", "a.csv", "--json", "a.csv"],
        ["info", "a.csv", "--json", "new.txt"],
        ["evaluate", "a.csv", "--model", str(MODEL), "--json", "a.csv"],
        ["reproduce", "--json", "new.txt"],
        ["benchmark", "--json", "new.txt"],
        ["compress", "a.csv", "folder/", "--json", "b.csv"],
    ],
    ids=" ".join,
)
def test_no_command_writes_over_its_input_or_under_the_suffix_of_another_format(
    arguments: list[str], force: list[str], here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "link.csv").symlink_to("a.csv")
    os.link("a.csv", "hard.csv")
    before = state(here)
    assert main([*arguments, *force]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert state(here) == before


@pytest.mark.parametrize(
    "arguments",
    [
        ["compress", "b.csv", "a.zarr.zip"],
        ["convert", "a.csv", "b.csv"],
        ["decompress", "a.zarr.zip", "b.csv"],
        ["info", "a.csv", "--json", "old.json"],
        ["evaluate", "a.csv", "--model", str(MODEL), "--json", "old.json"],
        ["benchmark", "--json", "old.json"],
        ["reproduce", "--json", "old.json"],
        ["train", "--output", "old.safetensors"],
        ["export", str(MODEL), "old.onnx"],
        ["export", str(MODEL), "half.onnx"],
        ["simulate", "--events", "1", "--seed", "1", "--output", "b.csv"],
        ["simulate", "--embedded", "shipped"],
    ],
    ids=" ".join,
)
def test_a_file_that_is_there_is_replaced_only_with_force(
    arguments: list[str], here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "shipped").mkdir()
    for name in ("old.json", "old.safetensors", "old.onnx", "half.decoder.onnx", "shipped/qcd_jets_test.parquet"):
        (here / name).write_text("mine")
    before = state(here)
    assert main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "there already; name another file, or replace it with --force" in line
    assert state(here) == before


def test_force_replaces_the_file(here: Path) -> None:
    assert main(["convert", "a.csv", "b.csv", "--force"]) == 0
    assert read_jets("b.csv").equals(read_jets("a.csv"))
    (here / "old.json").write_text("mine")
    assert main(["info", "a.csv", "--json", "old.json", "--force"]) == 0
    assert json.loads((here / "old.json").read_text())["jets"] == 60


def test_fetch_keeps_another_file_under_a_published_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / jets.TEST_SAMPLE
    other.write_text("mine")
    assert main(["fetch", "--to", str(tmp_path)]) == 2
    assert "not the published file of that name; it is kept" in capsys.readouterr().err
    assert other.read_text() == "mine"


@pytest.mark.parametrize(
    "write",
    [
        lambda: compress("a.csv", "a.csv"),
        lambda: convert_jets("a.csv", "a.csv"),
        lambda: convert_jets("*.csv", "a.csv"),
        lambda: decompress("a.zarr.zip", "linked.csv"),
        lambda: write_jets(make_jets(), "folder.csv"),
    ],
)
def test_functions_refuse_their_inputs_and_folders(write: Callable[[], object], here: Path) -> None:
    (here / "linked.csv").symlink_to("a.zarr.zip")
    (here / "folder.csv").mkdir()
    before = state(here)
    with pytest.raises(OutputError):
        write()
    assert state(here) == before


def test_a_link_is_written_through_and_its_target_keeps_its_permissions(here: Path) -> None:
    (here / "elsewhere").mkdir()
    target = here / "elsewhere" / "jets.csv"
    target.write_text("old")
    target.chmod(0o640)
    (here / "link.csv").symlink_to(target)
    assert main(["convert", "a.csv", "link.csv", "--force"]) == 0
    assert (here / "link.csv").is_symlink()
    assert read_jets(target).equals(read_jets("a.csv"))
    assert target.stat().st_mode & 0o777 == 0o640
    (here / "dangling.csv").symlink_to(here / "elsewhere" / "new.csv")
    assert main(["convert", "a.csv", "dangling.csv"]) == 0
    assert (here / "dangling.csv").is_symlink()
    assert (here / "elsewhere" / "new.csv").is_file()


def test_a_pipe_or_a_device_is_no_output(here: Path) -> None:
    os.mkfifo("pipe.csv")
    with pytest.raises(OutputError, match="a pipe, a device or the like"), atomic_path("pipe.csv"):
        pass
    assert main(["convert", "a.csv", "pipe.csv", "--force"]) == 2


def test_a_campaign_replaces_what_it_wrote_and_nothing_else(
    here: Path, scheduler: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "out").mkdir()
    (here / "out" / "b.zarr.zip").write_text("mine")
    where = ["--scheduler", scheduler]
    assert main(["compress", "a.csv", "b.csv", "out", *where]) == 1
    assert "b.zarr.zip: there already, and not as this project wrote it; it is kept" in capsys.readouterr().out
    assert (here / "out" / "b.zarr.zip").read_text() == "mine"
    first = sha256_of(here / "out" / "a.zarr.zip")
    assert main(["compress", "a.csv", "out", "--pt-error", "5%", *where]) == 0
    assert sha256_of(here / "out" / "a.zarr.zip") != first
    (here / "out" / "a.zarr.zip").write_text("edited")
    assert main(["compress", "a.csv", "out", *where]) == 1
    assert (here / "out" / "a.zarr.zip").read_text() == "edited"


def test_a_campaign_refuses_outputs_that_are_inputs_by_another_name(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "out").mkdir()
    os.link("b.csv", "out/a.csv")
    assert main(["convert", "*.csv", "out", "--format", "csv"]) == 2
    assert "b.csv: would be replaced by the output" in capsys.readouterr().err
    (here / "same").symlink_to(here)
    assert main(["convert", "a.csv", "same", "--format", "csv", "--pt-min", "30"]) == 2
    assert read_jets("a.csv").equals(make_jets(0))


def test_a_managed_folder_survives_a_kill_between_record_and_file(tmp_path: Path) -> None:
    """The record is written first: it names what was there, too."""
    folder = manage_folder(tmp_path)
    with recorded_path(folder / "x.txt") as partial:
        partial.write_text("one")
    shutil.copy(folder / "x.txt", tmp_path / "kept")
    with recorded_path(folder / "x.txt") as partial:
        partial.write_text("two")
    shutil.copy(tmp_path / "kept", folder / "x.txt")  # as if the second had ended before the file got its name
    with recorded_path(folder / "x.txt") as partial:
        partial.write_text("three")
    assert (folder / "x.txt").read_text() == "three"


def test_notebooks_and_sweeps_write_over_their_own_files_alone(tmp_path: Path) -> None:
    plots, _ = study.notebook_folders("notes", tmp_path)
    files.write_json(plots / "metrics.json", {"run": 1}, recorded=True)
    files.write_json(plots / "metrics.json", {"run": 2}, recorded=True)
    (plots / "metrics.json").write_text("edited")
    with pytest.raises(OutputError, match=r"metrics\.json: there already, and not as this project wrote it"):
        files.write_json(plots / "metrics.json", {"run": 3}, recorded=True)
    assert (plots / "metrics.json").read_text() == "edited"


def test_a_reference_run_replaces_what_git_has_and_no_change_that_it_has_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "REPOSITORY", tmp_path)
    manage_folder(tmp_path)
    result = tmp_path / "plots" / "metrics.json"
    result.parent.mkdir()
    result.write_text("{}")
    with pytest.raises(OutputError):
        files.write_json(result, {}, recorded=True)
    author = ["-c", "user.name=x", "-c", "user.email=x@x"]
    for command in (["init", "-q"], ["add", "plots"], [*author, "commit", "-qm", "results"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    result.write_text('{"by": "hand"}')
    with pytest.raises(OutputError):
        files.write_json(result, {}, recorded=True)
    result.write_text("{}")
    files.write_json(result, {"run": 1}, recorded=True)
    files.write_json(result, {"run": 2}, recorded=True)
    assert json.loads(result.read_text()) == {"run": 2}


def test_sweep_files_of_the_user_are_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "sweep.md").write_text("mine")
    assert main(["sweep", "--output", str(tmp_path), "--variants", "tanh", "--seeds", "1"]) == 2
    assert "sweep.md: there already, and not as this project wrote it" in capsys.readouterr().err
    assert (tmp_path / "sweep.md").read_text() == "mine"


def test_run_refuses_a_folder_in_which_it_would_replace_a_notebook_or_a_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import nbformat

    notebook = tmp_path / "notebooks" / "notes.ipynb"
    notebook.parent.mkdir()
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1")]), notebook)
    before = notebook.read_bytes()
    assert main(["run", str(notebook), "--output", str(tmp_path)]) == 2
    assert "would be replaced by its executed copy" in capsys.readouterr().err
    assert notebook.read_bytes() == before
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "index.html").write_text("mine")
    assert main(["run", str(notebook), "--output", str(tmp_path / "out")]) == 2
    assert (tmp_path / "out" / "index.html").read_text() == "mine"
    assert not (tmp_path / "out" / "notebooks").exists()
