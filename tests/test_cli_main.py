"""What the command line accepts, prints and returns."""

import json
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from utils import __version__
from utils.cli import main
from utils.codec import inspect
from utils.files import REPOSITORY

PARAMETERS = 'profile = "reference"\noutput = None\ndataset = "embedded"\ndevice = None\nrate = 0.0\n'
WRITE = """import json, pathlib
folder = pathlib.Path(output) / "plots" / "notes"
folder.mkdir(parents=True)
(folder / "metrics.json").write_text(json.dumps({"got": [profile, dataset, device, rate]}))
"""


@pytest.fixture
def notebook(tmp_path: Path) -> Path:
    cells = [new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]}), new_code_cell(WRITE)]
    path = tmp_path / "notes.ipynb"
    nbformat.write(new_notebook(cells=cells), path)
    return path


def test_version_and_help_load_no_heavy_package() -> None:
    code = "import sys, utils.cli\ntry: utils.cli.main(['--help'])\nexcept SystemExit: pass\n"
    code += "print([name for name in ('torch', 'fastai', 'uproot', 'papermill', 'pandas') if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1] == "[]"
    assert "run the notebooks" in result.stdout


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out == f"compressionhep {__version__}\n"


def test_run_passes_typed_parameters_and_writes_the_report(
    notebook: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ["run", "notes.ipynb", "--output", "out", "--device", "cpu", "--dataset", "my jets.root"]
    assert main([*arguments, "-p", "rate", "1e-3"]) == 0
    output = capsys.readouterr().out
    assert output.endswith(f"index: {tmp_path / 'out' / 'index.html'}\n")
    assert "1 of 1 notebooks ran to their end." in output
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["notebooks"][0]["metrics"] == {"got": ["quick", str(tmp_path / "my jets.root"), "cpu", 0.001]}


def test_run_of_a_failing_notebook_returns_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "bad.ipynb"
    nbformat.write(new_notebook(cells=[new_code_cell("1 / 0")]), path)
    assert main(["run", str(path), "--output", str(tmp_path / "out")]) == 1
    output = capsys.readouterr().out
    assert "bad: cell 1 (In [1]): ZeroDivisionError: division by zero" in output
    assert "division by zero" in (tmp_path / "out" / "index.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-p", "rtae", "1"], "no selected notebook has a parameter 'rtae'; did you mean 'rate'?"),
        (["-p", "profile", "quikc"], "no profile 'quikc'; there are quick, reference"),
        (["no such notebook"], "no notebook file and no beginning of a notebook's name: 'no such notebook'"),
    ],
)
def test_run_refuses_what_it_does_not_know_before_it_runs(
    arguments: list[str], message: str, notebook: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "--output", str(tmp_path / "out"), str(notebook), *arguments]) == 2
    assert capsys.readouterr().err.startswith(f"compressionhep: error: {message}")
    assert not (tmp_path / "out").exists()


def test_tables_refuses_a_file_without_markers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "notes.md").write_text("nothing")
    assert main(["tables", str(tmp_path / "notes.md")]) == 2
    assert "has no place for the tables" in capsys.readouterr().err


def test_a_reference_run_on_other_jets_leaves_the_repositorys_results_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    from utils.report import notebooks, summary as report

    asked: dict = {}
    monkeypatch.setattr(notebooks, "run_notebooks", lambda chosen, *folders: asked.update(chosen) or [])
    monkeypatch.setattr(report, "write_report", lambda folder, *rest: folder / "index.html")
    for arguments, expected in (
        (["run", "1d", "--profile", "reference"], None),
        (["run", "1d", "--profile", "reference", "-p", "dataset", "published"], REPOSITORY / "runs" / "reference"),
        (["run", "1d"], REPOSITORY / "runs" / "quick"),
    ):
        assert main(arguments) == 0
        (parameters,) = asked.values()
        assert parameters.get("output") == (None if expected is None else str(expected))


def test_several_files_become_one_container_that_keeps_what_is_not_finite(tmp_path):
    for i in range(2):
        rows = [f"{event},{5 + i},{50 + event},0.1,{'nan' if event == 3 else 0.2}" for event in range(9)]
        (tmp_path / f"jets{i}.csv").write_text("\n".join(["event,m,pt,phi,eta", *rows]) + "\n")
    files, out = [str(tmp_path / f"jets{i}.csv") for i in range(2)], tmp_path / "all.zarr.zip"
    assert main(["compress", *files, str(out)]) == 2
    assert main(["compress", *files, str(out), "--keep-nonfinite"]) == 0
    assert inspect(out)["jets"] == 18
