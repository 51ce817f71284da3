"""The notebooks run, keep the house's form, and write the numbers that they should; and so does the runner."""

import ast
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import nbformat
import pytest
import torch
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from utils import plotting
from utils.files import REPOSITORY, OutputError
from utils.jets import feature_array, load_sample, missing_published
from utils.metrics import evaluate
from utils.networks import load_checkpoint
from utils.report import (
    ALL_THREADS,
    BESIDE_TRAININGS,
    NOTEBOOKS,
    READERS,
    TIMED,
    Outcome,
    declared_parameters,
    find_notebooks,
    notebooks as runner,
    run_notebooks,
    share_parameters,
)
from utils.study import (
    ALONE,
    BOUNDED_STEP,
    CODES,
    COLD_STAGES,
    COMPARED,
    EFFORTS,
    EVENT,
    LIMIT,
    ORIGINAL,
    PROJECT,
    WAYS,
    memory,
    notebook_folders,
    record,
)

ALL = sorted(NOTEBOOKS.glob("*.ipynb"), key=lambda path: path.stem)
PARAMETERS: dict[str, Any] = {
    "profile": "quick",
    "max_jets": 2000,
    "steps": 120,
    "refine": 1,
    "seeds": [0, 1],
    "sizes": [1000],
    "variants": ["tanh"],
}
"""Enough for every number and figure to be made; what well trained models do, the shipped ones show."""


def check_normalization(metrics: dict[str, Any], plots: Path) -> None:
    for name, closure in metrics["closure"].items():
        assert max(closure.values()) < 1e-9, name
    names = {"jets.png", "correlations.png", "standard.png", "custom.png"}
    assert {path.name for path in plots.glob("*.png")} == names


def check_models(metrics: dict[str, Any], plots: Path) -> None:
    """Each saved model is one that this run trained, and makes the errors that the notebook wrote."""
    *models, pca = metrics["models"]
    sample = load_sample(max_jets=PARAMETERS["max_jets"])
    assert pca["model"] == "pca"
    for row in models:
        checkpoint = load_checkpoint(plots.parent.parent / row["checkpoint"])
        assert checkpoint.normalization.kind == row["normalization"]
        assert checkpoint.metadata["metrics"]["mse"] == row["mse"]
        assert checkpoint.metadata["training"]["steps"] == PARAMETERS["steps"]
        assert evaluate(checkpoint, sample.test)["mse"] == pytest.approx(row["mse"], rel=1e-4)


def check_training(metrics: dict[str, Any], plots: Path) -> None:
    check_models(metrics, plots)
    trained, _ = metrics["models"]
    jets = feature_array(load_sample(max_jets=PARAMETERS["max_jets"]).test)
    normalized = load_checkpoint(plots.parent.parent / trained["checkpoint"]).normalization.normalize(jets)
    assert trained["mse"] < 0.5 * normalized.var(axis=0).mean(), "no better than the mean jet for every jet"


def check_linear_and_tanh(metrics: dict[str, Any], plots: Path) -> None:
    assert [row["model"] for row in metrics["models"]] == ["linear", "tanh", "pca"]
    check_models(metrics, plots)
    linear, _, pca = metrics["models"]
    assert linear["mse"] > 0.95 * pca["mse"]  # among linear maps, PCA has the least error


def check_refinement(metrics: dict[str, Any], plots: Path) -> None:
    check_training(metrics, plots)
    trained, _ = metrics["models"]
    assert trained["refined"]["mse"] < trained["mse"]
    assert trained["refined"]["steps"] == PARAMETERS["refine"]
    errors = list(metrics["zigzag"].values())
    assert errors == sorted(errors, reverse=True)
    assert {row["schedule"] for row in metrics["started"]} == {"zigzag"}
    assert (plots / "folds.png").stat().st_size > 50_000


def check_comparison(metrics: dict[str, Any], plots: Path) -> None:
    full = [entry for entry in metrics["summary"] if entry["max_jets"] is None]
    for schedule in ("plain", "zigzag"):
        found = [entry["variant"] for entry in full if (entry["loss"], entry["schedule"]) == ("mse", schedule)]
        assert found == list(COMPARED), schedule
    assert [entry["variant"] for entry in full if entry["loss"] == "resolution"] == ["residual_gelu"]
    assert all(entry["seeds"] == PARAMETERS["seeds"] for entry in full if entry["loss"] == "mse")
    fewer = [entry for entry in metrics["summary"] if entry["max_jets"] is not None]
    assert [(entry["max_jets"], entry["variant"]) for entry in fewer] == [(PARAMETERS["sizes"][0], "residual_gelu")]
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


def check_rates(metrics: dict[str, Any], plots: Path) -> None:
    sizes = {name: list(row.values()) for name, row in metrics["bytes_at_equal_error"].items()}
    assert sizes["Shannon lower bound"][1] < sizes["bounded"][1] < sizes["mantissa rounding + zstd"][1]
    assert metrics["file"]["errors"]["pt"]["max"] <= 0.01
    assert len(metrics["dijet_mass"]) >= 4
    assert 0.1 < metrics["event_saving"] < 0.6
    assert {path.name for path in plots.glob("*.png")} == {
        "rates_at_a_glance.png",
        "rate_distortion.png",
        "rate_resolution.png",
    }


def check_own_jets(metrics: dict[str, Any], plots: Path) -> None:
    trained, pca = metrics["models"]
    assert (trained["model"], pca["model"]) == ("tanh", "pca")
    checkpoint = load_checkpoint(plots.parent.parent / "models" / "your_own_jets.safetensors")
    assert checkpoint.metadata["training"]["steps"] == PARAMETERS["steps"]
    assert metrics["compressed"]["jets"] == metrics["file"]["jets"] > 100_000
    assert metrics["compressed"]["bytes_per_jet"] == pytest.approx(16 / metrics["compressed"]["ratio"])


def check_collections(metrics: dict[str, Any], plots: Path) -> None:
    """Fewer bytes the more may change, each error inside its bound, and no count that changed for another reason."""
    assert 0.9 * PARAMETERS["max_jets"] < metrics["jets"] <= PARAMETERS["max_jets"]
    ways = metrics["ways"]
    assert list(ways) == list(WAYS)
    for kind in ("jet_ratio", "more_jet_ratio"):
        stored, _, lossless, bounded, smallest = (row[kind] for row in ways.values())
        assert smallest < bounded < lossless < stored == 1, kind
        assert lossless < 0.95, kind
        assert smallest < 0.55, kind
    bounds = {way: errors for way, errors in metrics["errors"].items() if len(errors) == 24}
    assert set(bounds) == {way for way in WAYS if WAYS[way].bounded}
    shares = [error["largest / bound"] for errors in bounds.values() for error in errors.values()]
    assert 0 < min(shares) <= max(shares) <= 1
    assert all(0 < metrics["dijet_change"][way]["max"] < 0.03 for way in bounds)
    counts = [metrics["observables"][way]["jets above 30 GeV"] for way in bounds]
    assert all(count["before"] > 500 and count["events_unexplained"] == 0 for count in counts)
    names = {"branches", "within_bounds", "collection_sizes", "dijet_mass"}
    assert {path.stem for path in plots.glob("*.png")} == names


def check_networks(metrics: dict[str, Any], plots: Path) -> None:
    """The event saves bytes of four numbers, columns save bytes of each other, and whole numbers never change."""
    sizes = {name: row["bytes_per_jet"] for name, row in metrics["ladder"].items()}
    assert next(iter(sizes)) == BOUNDED_STEP
    assert set(sizes) >= {ALONE, EVENT, LIMIT}
    assert sizes[EVENT] < 0.95 * sizes[ALONE]
    rates = {(row["code"], row["target"]): row["at_target"] for row in metrics["rates"]}
    assert {code for code, _ in rates} == set(CODES)
    alone = sum(metrics["columns"]["alone"].values())
    coded = min(row["bytes a jet"] for row in metrics["columns"]["networks"].values())
    assert len(metrics["columns"]["alone"]) == len(metrics["column_use"]) == 32
    assert coded < min(row["bytes"] for row in metrics["latents"]) < 1.1 * alone
    assert coded < 0.9 * alone
    assert all(row["ratio"] < 1.01 for row in metrics["files"])
    assert metrics["foreign"]["own networks"] < metrics["foreign"]["foreign networks"]
    tables = metrics["changed_tables"].values()
    assert {row["whole numbers"] for row in tables} == {0}
    names = {"ladder", "bits_by_rank", "above_bound", "column_use", "latents_and_corrections"}
    assert {path.stem for path in plots.glob("*.png")} == names


def check_times(metrics: dict[str, Any], plots: Path) -> None:
    assert list(metrics["weights"]) == PARAMETERS["variants"]
    stages = {(row["model"], row["stage"]) for row in metrics["stages"]}
    assert stages == {("tanh", stage) for stage in (*COLD_STAGES, "encoding", "decoding")}
    assert [row["jets"] for row in metrics["scaling"]] == list(EFFORTS["quick"].numbers)
    assert len(metrics["training"]["rows"]) == EFFORTS["quick"].epochs + 1


def check_memory(metrics: dict[str, Any], plots: Path) -> None:
    assert list(metrics["weights"]) == PARAMETERS["variants"]
    assert {(row["stage"], row["way"]) for row in metrics["memory"]} == set(
        product(memory.MEMORY_STAGES, (ORIGINAL, PROJECT))
    )
    (bounded,) = metrics["bounded"]
    assert bounded["jets"] == EFFORTS["quick"].bounded
    assert 0 <= max(bounded["encoding"], bounded["decoding"]) < 64e6


TRAININGS = (
    "1c. 4D_3D_200_standard_norm",
    "1d. 4D_3D_200_custom_norm",
    "2a. 4D_3D_200_ReLU_BN_custom_norm",
    "2b. 4D_3D_200_ELU_BN_custom_norm",
)
SHORT = {
    "1b. 4D_3D_200_no_norm",
    "1c. 4D_3D_200_standard_norm",
    "2a. 4D_3D_200_ReLU_BN_custom_norm",
    "2b. 4D_3D_200_ELU_BN_custom_norm",
}
"""Lessons that change one thing of 1d: some 14 cells, one figure that holds the single ones."""
CHECKS: dict[str, Callable[[dict[str, Any], Path], None]] = {
    "0. 4D_data_normalization": check_normalization,
    "1a. Pre-trained_performance_fastai_AE_3D_200_no1cycle": check_transfer,
    "1b. 4D_3D_200_no_norm": check_linear_and_tanh,
    **dict.fromkeys(TRAININGS, check_training),
    "2c. 4D_3D_residual_GELU_custom_norm": check_refinement,
    "2d. Comparing_the_models": check_comparison,
    "3. Rate_distortion": check_rates,
    "4. Your_own_jets": check_own_jets,
    "5. Whole_collections": check_collections,
    "6. Networks_and_bits": check_networks,
    "Execution_time_calculation": check_times,
    "Memory_allocation_trace": check_memory,
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


def test_the_reference_linear_model_is_pca() -> None:
    metrics = json.loads((REPOSITORY / "plots" / "1b. 4D_3D_200_no_norm" / "metrics.json").read_text())
    linear, pca = (row for row in metrics["models"] if row["model"] != "tanh")
    assert (linear["model"], pca["model"]) == ("linear", "pca")
    checkpoint = load_checkpoint(REPOSITORY / linear["checkpoint"])
    assert evaluate(checkpoint, load_sample().test)["mse"] == pytest.approx(pca["mse"], rel=0.05)


def test_every_notebook_has_a_check_of_its_numbers() -> None:
    assert set(CHECKS) == {path.stem for path in ALL}


@pytest.mark.parametrize("notebook", ALL, ids=lambda path: path.stem)
def test_notebook_runs_on_few_jets_and_writes_its_numbers(
    notebook: Path, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MPLBACKEND", "Agg")  # as batch systems have it
    common = {**PARAMETERS, "output": str(tmp_path)}
    if "scheduler" in declared_parameters(notebook):
        common["scheduler"] = request.getfixturevalue("scheduler")
    parameters = share_parameters([notebook], common, {})
    outcome = run_notebooks(parameters, tmp_path)[0]
    assert outcome.error is None
    plots = tmp_path / "plots" / notebook.stem
    written = {path.stem for path in plots.glob("*.png")}
    if summaries := {name for name in written if name.startswith("summary")}:
        single = {name for name in written if name.startswith(tuple(plotting.SINGLE_FIGURES))}
        assert len(single) == len(plotting.SINGLE_FIGURES) * len(summaries)
        written -= single  # of which the summary that is shown is made
    assert pictures(outcome.executed) == len(written) > 0
    assert outcome.page is not None
    assert outcome.page.read_text().count('src="data:image/png;base64,') == pictures(outcome.executed)
    assert errors_of(outcome.executed) == ""
    assert "Warning" not in texts(outcome.executed)
    assert not [
        result for result in results_of(outcome.executed) if result.startswith(("{", "[", "PosixPath", "array"))
    ]
    metrics = json.loads((plots / "metrics.json").read_text())
    assert metrics["notebook"] == notebook.stem
    assert metrics["profile"] == "quick"
    CHECKS[notebook.stem](metrics, plots)


@pytest.mark.parametrize("notebook", ALL, ids=lambda path: path.stem)
def test_notebook_narrates_and_is_stored_clean(notebook: Path) -> None:
    cells = nbformat.read(notebook, as_version=4).cells
    code = [cell for cell in cells if cell.cell_type == "code"]
    assert not any("pyplot" in cell.source or "save_figure" in cell.source for cell in code), "use plotting.show_figure"
    assert sum("parameters" in cell.metadata.get("tags", []) for cell in code) == 1
    assert set(declared_parameters(notebook)) >= {"profile", "output"}
    assert not any(cell.outputs or cell.execution_count for cell in code), "stored with outputs: run nbstripout"
    assert max(len(cell.source.splitlines()) for cell in code) <= 14
    definitions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    assert not any(isinstance(node, definitions) for cell in code for node in ast.walk(ast.parse(cell.source)))
    words = {kind: sum(len(c.source) for c in cells if c.cell_type == kind) for kind in ("markdown", "code")}
    assert words["markdown"] > words["code"]
    assert sum("**Question:**" in cell.source for cell in cells) == 1
    assert "xercise" in cells[-1].source
    if notebook.stem in SHORT:
        assert len(cells) <= 16
        assert "training.train(" in "".join(cell.source for cell in code)


@pytest.mark.parametrize("notebook", ALL, ids=lambda path: path.stem)
def test_a_notebook_that_is_run_by_hand_is_quick_and_writes_to_runs(notebook: Path) -> None:
    (parameters,) = (c.source for c in nbformat.read(notebook, 4).cells if "parameters" in c.metadata.get("tags", []))
    names: dict[str, Any] = {}
    exec(parameters, names)
    assert (names["profile"], names["output"]) == ("quick", None)


def test_the_folders_of_a_notebook_without_an_output_are_those_of_its_profile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record, "REPOSITORY", tmp_path)
    assert notebook_folders("one", None, "quick") == (tmp_path / "runs/quick/plots/one", tmp_path / "runs/quick/models")
    assert notebook_folders("one", tmp_path / "x")[0] == tmp_path / "x/plots/one"
    assert {path.name for path in tmp_path.iterdir()} == {"runs", "x"}


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


def errors_of(notebook: Path) -> str:
    cells = nbformat.read(notebook, as_version=4).cells
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    return "".join(output.text for output in outputs if output.get("name") == "stderr")


def results_of(notebook: Path) -> list[str]:
    """What cells gave back, as text; tables and pictures have a form of their own."""
    cells = nbformat.read(notebook, as_version=4).cells
    data = [output.get("data", {}) for cell in cells for output in cell.get("outputs", [])]
    return [entry["text/plain"] for entry in data if set(entry) == {"text/plain"}]


def pictures(notebook: Path) -> int:
    cells = nbformat.read(notebook, as_version=4).cells
    return sum("image/png" in output.get("data", {}) for cell in cells for output in cell.get("outputs", []))


def test_figures_of_any_notebook_show_and_library_warnings_do_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MPLBACKEND", "Agg")
    warn = "import warnings\nwarnings.warn('of a library', FutureWarning)\nwarnings.warn('of mine')"
    draw = "import matplotlib.pyplot as plt; plt.plot([1, 2]); plt.show()"
    (outcome,) = run_notebooks({write_notebook(tmp_path / "draws.ipynb", draw, warn): {}}, tmp_path / "out")
    assert pictures(outcome.executed) == 1
    assert "of mine" in texts(outcome.executed)
    assert "of a library" not in texts(outcome.executed)
    assert os.environ["MPLBACKEND"] == "Agg"


@pytest.mark.parametrize(
    "metadata",
    [
        {"kernelspec": {"name": "ir", "display_name": "R", "language": "R"}},
        {"kernelspec": {"name": "ir", "display_name": "R"}, "language_info": {"name": "R"}},
    ],
)
def test_a_notebook_of_another_language_is_refused_before_any_runs(metadata: dict[str, Any], tmp_path: Path) -> None:
    other = tmp_path / "other.ipynb"
    nbformat.write(new_notebook(cells=[new_code_cell("x <- 1")], metadata=metadata), other)
    with pytest.raises(ValueError, match=r"other\.ipynb is a notebook in R; only those in Python are run"):
        share_parameters([write_notebook(tmp_path / "one.ipynb", "1"), other], {}, {})


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


def test_notebooks_side_by_side_meet_and_share_threads_but_for_those_that_measure_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    meet = """
import os, time
from pathlib import Path
Path({own!r}).touch()
until = time.monotonic() + {seconds}
while not Path({other!r}).exists() and time.monotonic() < until:
    time.sleep(0.05)
print(Path({other!r}).exists(), os.environ.get("OMP_NUM_THREADS"), os.getcwd())
time.sleep({rest})
Path({own!r} + " ended").touch()
"""
    measuring = (TIMED[0], ALL_THREADS[0])
    names = [TIMED[0], "one", "two", ALL_THREADS[0]]
    others = {"one": "two", "two": "one", TIMED[0]: "one ended", ALL_THREADS[0]: "one ended"}
    for name in names:
        own, other = (str(tmp_path / word) for word in (name, others[name]))
        seconds, rest = 0 if name in measuring else 100, 5 if name == "one" else 0
        source = meet.format(own=own, other=other, seconds=seconds, rest=rest)
        write_notebook(tmp_path / f"folder of {name}" / f"{name}.ipynb", source)
    monkeypatch.setenv("OMP_NUM_THREADS", "777")
    monkeypatch.setattr(torch, "get_num_threads", lambda: 6)
    monkeypatch.setattr(runner, "available_cores", lambda: 2)
    notebooks: dict[Path, dict[str, object]] = {tmp_path / f"folder of {name}" / f"{name}.ipynb": {} for name in names}
    outcomes = run_notebooks(notebooks, tmp_path / "out", trainings=lambda: None)
    assert [outcome.name for outcome in outcomes] == names
    told = [texts(outcome.executed).split(maxsplit=2) for outcome in outcomes]
    assert [words[:2] for words in told] == [["True", "777"], ["True", "3"], ["True", "3"], ["True", "777"]]
    assert [Path(words[2].strip()).name for words in told] == [f"folder of {name}" for name in names]


def test_side_by_side_a_reader_of_models_waits_for_their_makers_while_others_run_and_a_failure_ends_the_run() -> None:
    first = BESIDE_TRAININGS[0]
    paths = [Path(f"{name}.ipynb") for name in ("0", "1", READERS[0], "4", first, READERS[1])]
    events: list[tuple[str, str]] = []
    made, filled = threading.Event(), threading.Event()

    def run(path: Path) -> Outcome:
        events.append((path.stem, "starts"))
        if path.stem == "0":
            filled.wait(20)
        if path.stem == "4":
            filled.set()
        events.append((path.stem, "ends"))
        return Outcome(path.stem, 0.0, path, None, ())

    def train() -> None:
        while not events:  # until the first notebook has begun
            time.sleep(0.01)
        events.append(("trainings", "end"))

    outcomes = runner._run_side_by_side(paths, run, train)
    assert {path: outcome.name for path, outcome in outcomes.items()} == {path: path.stem for path in paths}
    begun = [name for name, what in events if what == "starts"]
    assert begun[:2] == [first, "1"]
    assert events.index((first, "starts")) < events.index(("trainings", "end")) < events.index(("1", "starts"))
    assert events.index(("4", "starts")) < events.index(("0", "ends"))
    for reader in READERS:
        assert events.index(("0", "ends")) < events.index((reader, "starts"))

    def fail(path: Path) -> Outcome:
        started.append(path.stem)
        if path.stem == "4":
            raise OutputError("no space")
        made.wait(1)
        return Outcome(path.stem, 0.0, path, None, ())

    started: list[str] = []
    with pytest.raises(OutputError, match="no space"):
        runner._run_side_by_side([Path(f"{number}.ipynb") for number in range(5)], fail, lambda: None)
    assert set(started) <= {"4", "3", "2"}
    with pytest.raises(ZeroDivisionError):
        runner._run_side_by_side(paths, run, lambda: 1 / 0)
    assert events[-2:] == [(first, "starts"), (first, "ends")]


def test_the_notebooks_with_a_place_of_their_own_in_a_run_are_there() -> None:
    assert {*TIMED, *ALL_THREADS, *BESIDE_TRAININGS, *READERS} <= {path.stem for path in find_notebooks()}


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


def test_a_notebook_of_another_language_is_not_run(tmp_path: Path) -> None:
    path = write_notebook(tmp_path / "other.ipynb", "1 + 1")
    content = json.loads(path.read_text())
    content["metadata"]["kernelspec"] = {"name": "ir", "display_name": "R", "language": "R"}
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"other\.ipynb is a notebook in R; only those in Python are run"):
        share_parameters([path], {}, {})


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        ("steps", "abc", "a whole number"),
        ("seed", 1.5, "a whole number"),
        ("rate", "fast", "a number"),
        ("plain", 1, "true or false"),
    ],
)
def test_a_value_of_another_kind_is_refused_before_anything_runs(
    name: str, value: object, kind: str, tmp_path: Path
) -> None:
    declared = "steps = None\nseed = 0\nrate = 0.1\nplain = False"
    path = write_notebook(tmp_path / "one.ipynb", parameters=declared)
    with pytest.raises(ValueError, match=f"parameter {name}: expected {kind}, found {value!r}"):
        share_parameters([path], {}, {name: value})
    fitting = {"steps": 5, "seed": 1, "rate": 1, "plain": True}
    assert share_parameters([path], {}, fitting) == {path: fitting}


def test_a_second_run_replaces_the_first_and_not_what_was_edited_since(tmp_path: Path) -> None:
    path = write_notebook(tmp_path / "notes.ipynb", "1")
    for _ in range(2):
        (outcome,) = run_notebooks({path: {}}, tmp_path / "out")
        assert outcome.error is None
    outcome.executed.write_text("edited")
    with pytest.raises(OutputError, match=r"notes\.ipynb: there already, and not as this project wrote it"):
        run_notebooks({path: {}}, tmp_path / "out")
    assert outcome.executed.read_text() == "edited"
