"""The notebooks run, keep the house's form, and write the numbers that they should; and so does the runner."""

import ast
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from utils.files import REPOSITORY
from utils.jets import load_sample, missing_published
from utils.metrics import evaluate
from utils.networks import load_checkpoint
from utils.report import NOTEBOOKS, declared_parameters, find_notebooks, run_notebooks, share_parameters
from utils.study import COMPARED

ALL = sorted(NOTEBOOKS.glob("*.ipynb"), key=lambda path: path.stem)
PARAMETERS = {"profile": "quick", "max_jets": 2000}


def check_normalization(metrics: dict[str, Any], plots: Path) -> None:
    for name, closure in metrics["closure"].items():
        assert max(closure.values()) < 1e-9, name
    assert {path.name for path in plots.glob("*.png")} >= {"jets.png", "standard.png", "custom.png"}


def check_linear_is_pca(metrics: dict[str, Any], plots: Path) -> None:
    linear, tanh, pca = metrics["models"]
    assert [row["model"] for row in (linear, tanh, pca)] == ["linear", "tanh", "pca"]
    assert linear["mse"] == pytest.approx(pca["mse"], rel=0.05)


def check_training(metrics: dict[str, Any], plots: Path) -> None:
    trained, pca = metrics["models"]
    assert trained["mse"] < 3 * pca["mse"]  # BatchNorm is noisy on the small batches of so few jets
    checkpoint = load_checkpoint(plots.parent.parent / trained["checkpoint"])
    assert checkpoint.metadata["metrics"]["mse"] == trained["mse"]
    assert checkpoint.normalization.kind == trained["normalization"]


def check_refinement(metrics: dict[str, Any], plots: Path) -> None:
    check_training(metrics, plots)
    trained, _ = metrics["models"]
    assert trained["refined"]["mse"] < trained["mse"]
    assert trained["refined"]["steps"] == 3
    errors = list(metrics["zigzag"].values())
    assert errors == sorted(errors, reverse=True)
    assert (plots / "folds.png").stat().st_size > 50_000


def check_comparison(metrics: dict[str, Any], plots: Path) -> None:
    full = [entry for entry in metrics["summary"] if entry["max_jets"] == PARAMETERS["max_jets"]]
    assert [entry["variant"] for entry in full if entry["loss"] == "mse"] == [*COMPARED, "residual_gelu"]
    assert {entry["variant"] for entry in full if entry["schedule"] == "unguided"} == {"residual_gelu"}
    assert [entry["variant"] for entry in full if entry["loss"] == "resolution"] == ["residual_gelu"]
    assert all(len(entry["seeds"]) == 2 for entry in full if entry["loss"] == "mse")
    assert all(row["refined"]["mse"] < row["mse"] for row in metrics["rows"] if row["loss"] == "mse")
    assert {path.name for path in plots.glob("*.png")} == {"comparison.png", "training_time.png", "sample_size.png"}


def check_transfer(metrics: dict[str, Any], plots: Path) -> None:
    mse = {(row["tested_on"], row["trained_on"]): row["mse"] for row in metrics["transfer"]}
    assert mse["embedded", "central, high pt"] > 2 * mse["embedded", "embedded"]
    published = {row["model"]: row["mse"] for row in metrics["published_models"]}
    if missing_published():
        assert not published
    else:
        assert published["pretrained"] == pytest.approx(0.1864144, rel=1e-5)
        assert published["std_norm"] < published["pretrained"] / 10


TRAININGS = (
    "1c. 4D_3D_200_standard_norm",
    "1d. 4D_3D_200_custom_norm",
    "2a. 4D_3D_200_ReLU_BN_custom_norm",
    "2b. 4D_3D_200_ELU_BN_custom_norm",
)
CHECKS: dict[str, Callable[[dict[str, Any], Path], None]] = {
    "0. 4D_data_normalization": check_normalization,
    "1a. Pre-trained_performance_fastai_AE_3D_200_no1cycle": check_transfer,
    "1b. 4D_3D_200_no_norm": check_linear_is_pca,
    **dict.fromkeys(TRAININGS, check_training),
    "2c. 4D_3D_residual_GELU_custom_norm": check_refinement,
    "2d. Comparing_the_models": check_comparison,
}
"""What each notebook's numbers must fulfil, by its name: called with its metrics and its folder of plots."""


@pytest.mark.parametrize("notebook", TRAININGS[1:])
def test_reference_models_beat_pca_on_the_embedded_test_jets(notebook: str) -> None:
    metrics = json.loads((REPOSITORY / "plots" / notebook / "metrics.json").read_text())
    trained, pca = metrics["models"]
    assert (metrics["profile"], metrics["dataset"]["dataset"]) == ("reference", "embedded")
    sample = load_sample()
    assert metrics["dataset"]["sha256"] == sample.source["sha256"]
    assert evaluate(load_checkpoint(REPOSITORY / trained["checkpoint"]), sample.test)["mse"] < pca["mse"]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("notebook", ALL, ids=lambda path: path.stem)
def test_notebook_runs_on_few_jets_and_writes_its_numbers(notebook: Path, tmp_path: Path) -> None:
    parameters = share_parameters([notebook], {**PARAMETERS, "output": str(tmp_path)}, {})
    outcome = run_notebooks(parameters, tmp_path)[0]
    assert outcome.error is None
    plots = tmp_path / "plots" / notebook.stem
    assert list(plots.glob("*.png"))
    metrics = json.loads((plots / "metrics.json").read_text())
    assert metrics["notebook"] == notebook.stem
    assert metrics["profile"] == "quick"
    if notebook.stem in CHECKS:
        CHECKS[notebook.stem](metrics, plots)


@pytest.mark.parametrize("notebook", ALL, ids=lambda path: path.stem)
def test_notebook_narrates_and_is_stored_clean(notebook: Path) -> None:
    cells = nbformat.read(notebook, as_version=4).cells
    code = [cell for cell in cells if cell.cell_type == "code"]
    assert sum("parameters" in cell.metadata.get("tags", []) for cell in code) == 1
    assert set(declared_parameters(notebook)) >= {"profile", "output"}
    assert not any(cell.outputs or cell.execution_count for cell in code), "stored with outputs: run nbstripout"
    assert max(len(cell.source.splitlines()) for cell in code) <= 14
    definitions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    assert not any(isinstance(node, definitions) for cell in code for node in ast.walk(ast.parse(cell.source)))
    words = {kind: sum(len(c.source) for c in cells if c.cell_type == kind) for kind in ("markdown", "code")}
    assert words["markdown"] > words["code"]


def write_notebook(path: Path, *code: str, parameters: str | None = None, kernel: str | None = None) -> Path:
    cells = [new_markdown_cell("# A title with $x^2$")]
    if parameters is not None:
        cells.append(new_code_cell(parameters, metadata={"tags": ["parameters"]}))
    cells += [new_code_cell(source) for source in code]
    kernelspec = {"name": kernel, "display_name": kernel, "language": "python"}
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(new_notebook(cells=cells, metadata={} if kernel is None else {"kernelspec": kernelspec}), path)
    return path


def texts(notebook: Path) -> str:
    cells = nbformat.read(notebook, as_version=4).cells
    return "".join(output.get("text", "") for cell in cells for output in cell.get("outputs", []))


def test_a_failing_notebook_is_kept_and_the_others_run(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    bad = write_notebook(tmp_path / "bad.ipynb", "x = 1", r"raise KeyError('\x1b[31mbroken\x1b[0m here')", "print(x)")
    good = write_notebook(tmp_path / "good.ipynb", "print('fine')")
    first, second = run_notebooks({bad: {}, good: {}}, tmp_path / "out")
    assert (first.status, second.status) == ("failed", "ok")
    assert first.error is not None
    assert first.error.startswith("cell 3 (In [2]): KeyError")
    assert "\x1b" not in first.error
    assert first.page is not None
    assert "broken" in first.page.read_text()
    kept = nbformat.read(first.executed, as_version=4)
    assert any(output.output_type == "error" for cell in kept.cells for output in cell.get("outputs", []))
    assert texts(second.executed) == "fine\n"
    log = capfd.readouterr().err.splitlines()
    assert [line.split(": ")[1] for line in log if line.startswith("[")][::2] == ["started", "started"]
    assert len(log) < 10


def test_the_number_of_a_failing_cell_is_that_in_the_source(tmp_path: Path) -> None:
    bad = write_notebook(tmp_path / "bad.ipynb", "1 / zero", parameters="zero = 1")
    (outcome,) = run_notebooks({bad: {"zero": 0}}, tmp_path / "out")
    assert outcome.error == "cell 3 (In [3]): ZeroDivisionError: division by zero"


def test_a_kernel_that_dies_is_a_failure_of_its_notebook(tmp_path: Path) -> None:
    dying = write_notebook(tmp_path / "dying.ipynb", "import os; os._exit(3)")
    (outcome,) = run_notebooks({dying: {}}, tmp_path / "out")
    assert outcome.error == "cell 2: DeadKernelError: Kernel died"
    assert outcome.executed.exists()


def test_any_kernelspec_and_folder_run_in_this_python_and_the_notebooks_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shout = "import os, sys; print(sys.executable, os.getcwd(), sep='|')"
    unknown = write_notebook(tmp_path / "a folder {x}" / "two words.ipynb", shout, kernel="no-such-kernel")
    nameless = write_notebook(tmp_path / "nameless.ipynb", shout)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    outcomes = run_notebooks({unknown: {}, nameless: {}}, "out")
    for notebook, outcome in zip((unknown, nameless), outcomes, strict=True):
        assert outcome.error is None
        assert outcome.executed.parent == elsewhere / "out" / "notebooks"
        python, folder = texts(outcome.executed).strip().split("|")
        assert os.path.samefile(python, sys.executable)
        assert Path(folder) == notebook.parent
    assert Path.cwd() == elsewhere


def test_pages_need_no_network(tmp_path: Path) -> None:
    (outcome,) = run_notebooks({write_notebook(tmp_path / "math.ipynb", "1"): {}}, tmp_path / "out")
    assert outcome.page is not None
    page = outcome.page.read_text()
    assert "<math" in page
    assert "<script" not in page
    assert "cdn" not in page


def test_only_files_of_this_run_count(tmp_path: Path) -> None:
    plots = tmp_path / "plots" / "writes"
    plots.mkdir(parents=True)
    (plots / "old.png").touch()
    source = f"open({str(plots / 'new.png')!r}, 'w').close()"
    (outcome,) = run_notebooks({write_notebook(tmp_path / "writes.ipynb", source): {}}, tmp_path)
    assert outcome.files == (plots / "new.png",)


def test_a_notebook_gets_those_parameters_that_it_declares(tmp_path: Path) -> None:
    one = write_notebook(tmp_path / "one.ipynb", parameters="profile = 'reference'  # how much\nepochs: int = 3")
    two = write_notebook(tmp_path / "two.ipynb", parameters="profile = 'reference'")
    untagged = write_notebook(tmp_path / "untagged.ipynb", "profile = 1")
    shared = share_parameters([one, two, untagged], {"profile": "quick", "output": "x"}, {"epochs": 5})
    assert shared == {one: {"profile": "quick", "epochs": 5}, two: {"profile": "quick"}, untagged: {}}


def test_an_unknown_parameter_is_an_error_with_the_nearest_declared_one(tmp_path: Path) -> None:
    one = write_notebook(tmp_path / "one.ipynb", parameters="epochs = 3\nseed = 0")
    with pytest.raises(ValueError, match=r"parameter 'epohcs'; did you mean 'epochs'\?"):
        share_parameters([one], {}, {"epohcs": 5})
    with pytest.raises(ValueError, match="parameter 'zzz'; there are epochs, seed"):
        share_parameters([one], {}, {"zzz": 5})
    with pytest.raises(ValueError, match="none of them declares any"):
        share_parameters([write_notebook(tmp_path / "bare.ipynb")], {}, {"seed": 5})


def test_notebooks_are_found_by_file_name_or_unique_beginning(tmp_path: Path) -> None:
    names = ("1a. first", "1d. other", "1d. other and more", "2. last")
    first, other, more, last = (write_notebook(tmp_path / f"{name}.ipynb") for name in names)
    assert find_notebooks([], tmp_path) == [first, other, more, last]
    assert find_notebooks(["2", "1A", "1d. other", str(more), "2"], tmp_path) == [last, first, other, more]
    with pytest.raises(ValueError, match=r"'1d' is the beginning of 2 notebooks:\n  1d. other\n  1d. other and more"):
        find_notebooks(["1d"], tmp_path)
    with pytest.raises(ValueError, match=r"no beginning of a notebook's name: '3'; there are\n  1a"):
        find_notebooks(["3"], tmp_path)
    same = write_notebook(tmp_path / "sub" / "2. last.ipynb")
    with pytest.raises(ValueError, match=r"two of the notebooks are called '2\. last'"):
        find_notebooks(["2", str(same)], tmp_path)


def test_a_file_that_is_no_notebook_is_an_error(tmp_path: Path) -> None:
    broken = tmp_path / "broken.ipynb"
    broken.write_text("<html>")
    with pytest.raises(ValueError, match=r"broken\.ipynb is not a notebook"):
        share_parameters([broken], {}, {})
    (tmp_path / "a.txt").touch()
    with pytest.raises(ValueError, match=r"expected a file ending in \.ipynb"):
        find_notebooks([str(tmp_path / "a.txt")])
