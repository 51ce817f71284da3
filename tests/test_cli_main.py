"""What the command line accepts, prints and returns."""

import json
import os
import re
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import awkward as ak
import h5py
import nbformat
import numpy as np
import pytest
import uproot
from nbformat.v4 import new_code_cell, new_notebook

from utils import __version__, jets, report, study, training
from utils.cli import FORMATS, main
from utils.codec import CODECS, inspect
from utils.files import REPOSITORY
from utils.jets import BAD_JETS, PER_GEV
from utils.networks import (
    LOSS_KINDS,
    LOSSES,
    NORMALIZATION_KINDS,
    NORMALIZATIONS,
    VARIANTS,
    load_checkpoint,
)
from utils.training import PROFILES, SCHEDULES

COMMANDS = (
    *("info", "convert", "simulate", "fetch", "compress", "decompress", "train"),
    *("evaluate", "export", "benchmark", "sweep", "run", "tables", "reproduce", "slim", "audit"),
)
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


def test_no_help_loads_a_heavy_package() -> None:
    """Neither the program's help, nor that of any command."""
    lines = [[], *([command] for command in COMMANDS)]
    code = f"import sys, utils.cli\ncodes = {{utils.cli.main([*line, '--help']) for line in {lines}}}\n"
    code += "print(codes, {'numpy', 'pandas', 'torch', 'dask', 'psutil'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1] == "{0} set()"
    for command in COMMANDS:
        assert f"Usage: compressionhep {command} " in result.stdout


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"compressionhep {__version__}\n"


def test_without_arguments_the_commands_are_listed_under_headings(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    output = capsys.readouterr().out
    order = [
        "Files of jets:",
        "  info  ",
        "Compression:",
        "  compress  ",
        "Models:",
        "  train  ",
        "The study:",
        "  run  ",
    ]
    assert sorted(order, key=output.index) == order
    assert all(f"\n  {command} " in output for command in COMMANDS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["comprss"], "No such command 'comprss'. (Did you mean one of: 'compress', 'decompress'?)"),
        (["train", "--varaint", "tanh"], "No such option '--varaint'. Did you mean '--variant'?"),
        (["compress", "jets.root"], "Missing argument 'IN...'."),
        (["info", "jets.root", "--unit", "eV"], "Invalid value for '--unit': 'eV' is not one of 'GeV', 'MeV', 'TeV'."),
        (["train"], "Missing option '--output'."),
    ],
)
def test_wrong_usage_is_told_with_what_was_meant(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    usage, *_, error = capsys.readouterr().err.splitlines()
    assert usage.startswith("Usage: compressionhep")
    assert error == f"compressionhep: error: {message}"


@pytest.mark.parametrize(
    ("command", "option", "names"),
    [
        ("info", "unit", PER_GEV),
        ("convert", "bad-jets", BAD_JETS),
        ("convert", "format", FORMATS),
        ("compress", "codec", CODECS),
        ("train", "variant", VARIANTS),
        ("train", "normalization", NORMALIZATIONS),
        ("train", "schedule", SCHEDULES),
        ("train", "loss", LOSSES),
        ("sweep", "variants", ("all", *VARIANTS)),
        ("sweep", "profile", PROFILES),
        ("run", "profile", PROFILES),
    ],
)
def test_choices_are_what_there_is(
    command: str, option: str, names: Iterable[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, "--help"]) == 0
    assert f"--{option} [{'|'.join(names)}]" in capsys.readouterr().out


@pytest.mark.parametrize(("command", "refused"), [("compress", 3), ("decompress", 3), ("convert", 4), ("slim", 2)])
def test_options_that_one_file_refuses_say_so(command: str, refused: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == 0
    assert " ".join(capsys.readouterr().out.split()).count(", with a folder as OUT") == refused


@pytest.mark.parametrize("command", COMMANDS)
def test_options_with_a_default_say_what_they_are(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert re.findall(r"--[a-z-]+ (?:\S+ )?\[(?:default|required)", shown) == []


def test_names_that_need_no_import_are_those_of_what_is_imported() -> None:
    assert tuple(NORMALIZATIONS) == NORMALIZATION_KINDS
    assert tuple(LOSSES) == LOSS_KINDS
    assert {tuple(profiles) for profiles in SCHEDULES.values()} == {PROFILES}


def completions(line: str) -> list[str]:
    """What the tab key offers at the end of a line, and "file" or "dir" where the shell's own completion takes over."""
    words = {"COMP_WORDS": line, "COMP_CWORD": str(line.count(" ")), "_COMPRESSIONHEP_COMPLETE": "bash_complete"}
    command = [sys.executable, "-m", "utils.cli"]
    done = subprocess.run(command, env=os.environ | words, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    return [entry.removeprefix("plain,").rstrip(",") for entry in done.stdout.splitlines()]


def test_the_shell_completes_commands_options_choices_and_files() -> None:
    assert sorted(completions("compressionhep ")) == sorted(COMMANDS)
    assert completions("compressionhep compress --keep") == ["--keep-nonfinite"]
    assert completions("compressionhep compress jets.root --codec l") == ["lossless"]
    assert completions("compressionhep info ") == ["file"]
    assert completions("compressionhep fetch --to ") == ["dir"]


def test_an_interrupt_ends_with_130(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(jets, "fetch_published", interrupted)
    assert main(["fetch"]) == 130
    assert capsys.readouterr().err.endswith("compressionhep: interrupted\n")


def test_what_nobody_foresaw_is_one_line_and_its_traceback_on_request(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(folder: object) -> None:
        raise KeyError("two\nlines")

    monkeypatch.setattr(jets, "fetch_published", broken)
    assert main(["fetch"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("compressionhep: error: KeyError: 'two\\nlines' (a fault of the program; ")
    assert error.count("\n") == 1
    monkeypatch.setenv("COMPRESSIONHEP_TRACEBACK", "1")
    assert main(["fetch"]) == 1
    assert capsys.readouterr().err.startswith("Traceback (most recent call last):")


def write_unknown_filter(path: Path) -> None:
    """A dataset that was compressed by a filter of which there is no plugin."""
    settings = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    settings.set_chunk((4,))
    settings.set_filter(32001, h5py.h5z.FLAG_OPTIONAL, (2, 2, 4, 16))
    with h5py.File(path, "w") as file:
        for name in (b"m", b"pt", b"phi", b"eta"):
            space = h5py.h5s.create_simple((4,))
            dataset = h5py.h5d.create(file.id, name, h5py.h5t.NATIVE_FLOAT, space, settings)
            dataset.write_direct_chunk((0,), b"\x02\x01" + 14 * b"\0")


def write_lists(path: Path, events: int) -> None:
    """A tree of events without jets."""
    jets_type = ak.types.ListType(
        ak.types.RecordType([ak.types.NumpyType("float32")] * 4, ["pt", "eta", "phi", "mass"])
    )
    with uproot.recreate(path) as file:
        tree = file.mktree("Events", {"event": "int64", "Jet": jets_type})
        if events:
            empty = ak.zip({name: np.empty(0, np.float32) for name in ("pt", "eta", "phi", "mass")})
            tree.extend({"event": np.arange(events), "Jet": ak.unflatten(empty, np.zeros(events, np.int64))})


TABLE = "m,pt,phi,eta\n5,50,0.1,0.2\n6,60,0.1,0.2\n"
INPUTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "no events.root": (lambda path: write_lists(path, 0), ""),
    "events without jets.root": (lambda path: write_lists(path, 5), ""),
    "header alone.csv": (lambda path: path.write_text("m,pt,phi,eta\n"), ""),
    "carriage returns.csv": (lambda path: path.write_bytes(TABLE.replace("\n", "\r").encode()), ""),
    "no number.csv": (lambda path: path.write_text(TABLE + "N/A,1,2,3\n-,1,2,3\n"), "line 5: m: expected a number"),
    "too few fields.csv": (lambda path: path.write_text(TABLE + "1,2\n"), "line 4: 2 fields, expected 4"),
    "no end of a quote.csv": (lambda path: path.write_text('"m,pt' + 200_000 * "x"), "expected a header"),
    "a zero byte.csv": (lambda path: path.write_bytes(TABLE.encode() + b"1,\0,3,4\n"), "its suffix says text"),
    "Latin.csv": (lambda path: path.write_bytes(TABLE.encode() + b"1,\xe9,3,4\n"), "line 4: not text in UTF-8"),
    "nothing.parquet": (lambda path: path.write_bytes(b""), "an empty file"),
    "a page.root": (lambda path: path.write_text("<html>not found</html>"), "an HTML or XML page"),
    "half.root": (lambda path: path.write_bytes(b"root" + 200 * b"\1"), "truncated or damaged"),
    "half.h5": (lambda path: path.write_bytes(b"\x89HDF\r\n\x1a\n" + 200 * b"\1"), "truncated or damaged"),
    "half.parquet": (lambda path: path.write_bytes(b"PAR1" + 200 * b"\1"), "truncated or damaged"),
    "filter.h5": (write_unknown_filter, "filter.h5: "),
    "a folder.root": (lambda path: path.mkdir(), "a directory"),
    "missing.root": (lambda path: None, "no such file"),
}
"""Files by name: how they are made, and what is said of those that can't be read."""


@pytest.mark.parametrize("name", INPUTS)
def test_a_command_ends_with_0_or_with_2_and_one_line(
    name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    make, message = INPUTS[name]
    source = tmp_path / name
    make(source)
    for command, *output in (["info"], ["convert", "out.parquet"], ["compress", "out.zarr.zip"]):
        code = main([command, str(source), *(str(tmp_path / output_name) for output_name in output)])
        lines = [line for line in capfd.readouterr().err.splitlines() if ": note: " not in line]
        assert code == (2 if message else 0), command
        assert len(lines) == (1 if message else 0), command
        assert all(line.startswith("compressionhep: error: ") and message in line for line in lines), lines
        assert all((tmp_path / output_name).exists() == (not message) for output_name in output), command


def test_a_batch_with_files_without_jets_ends_with_0(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for events in (0, 5):
        write_lists(folder / f"{events}.root", events)
    (folder / "good.csv").write_text(TABLE)
    steps = (["convert", "in/*", "jets/"], ["compress", "in/*", "small/"], ["decompress", "small/*.zip", "back/"])
    for command, files, output in steps:
        assert main([command, str(tmp_path / files), f"{tmp_path / output}/", "--workers", "1"]) == 0
        assert "files       3 (0 failed" in capsys.readouterr().out
    for name in ("jets", "back"):
        found = {path.stem: jets.read_jets(path) for path in (tmp_path / name).glob("*.parquet")}
        sizes = {stem: (len(table), jets.number_of_events(table)) for stem, table in found.items()}
        assert sizes == {"0": (0, 0), "5": (0, 5), "good": (2, 2)}
    assert main(["compress", str(folder / "5.root"), str(tmp_path / "5.zarr.zip")]) == 0
    assert capsys.readouterr().out.startswith(f"{tmp_path / '5.zarr.zip'}: 0 jets of 5 events in ")


def test_warnings_are_notes(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(jets, "fetch_published", lambda folder: warnings.warn("mind the gap", stacklevel=1) or {})
    assert main(["fetch"]) == 0
    assert capsys.readouterr().err == "compressionhep: note: mind the gap\n"


def test_train_writes_a_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "model.safetensors"
    arguments = ["train", "--variant", "elu_bn", "--profile", "quick", "--steps", "5", "--max-jets", "500"]
    assert main([*arguments, "--device", "cpu", "--output", str(output)]) == 0
    assert capsys.readouterr().out.startswith(f"{output}: test MSE ")
    assert load_checkpoint(output).name == "elu_bn"


def test_a_training_that_diverges_returns_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def diverge(*arguments: object, **options: object) -> None:
        raise FloatingPointError("the loss is not finite")

    monkeypatch.setattr(training, "train", diverge)
    assert main(["train", "--max-jets", "500", "--device", "cpu", "--output", str(tmp_path / "m.safetensors")]) == 1
    assert capsys.readouterr().err.endswith("compressionhep: error: the loss is not finite\n")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--jets", "100", "200", "--seeds", "1"], (100, 200)),
        (["--jets", "100", "--seeds", "1", "--jets", "200"], (100, 200)),
        (["--jets=100", "200"], (100, 200)),
        ([], (None,)),
    ],
)
def test_options_take_several_values_at_once_or_one_by_one(
    words: list[str], expected: tuple[int | None, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {}
    monkeypatch.setattr(study, "sweep", lambda _, variants, *rest, **options: asked.update(options, variants=variants))
    monkeypatch.setattr(study, "write_sweep", lambda *arguments: "")
    assert main(["sweep", *words, "--variants", "tanh", "elu_bn"]) == 0
    assert (asked["variants"], asked["sizes"]) == (("tanh", "elu_bn"), expected)


@pytest.mark.parametrize(
    ("words", "more"), [([], {}), (["--bad-jets", "refuse"], {}), (["--bad-jets", "drop"], {"bad_jets": "drop"})]
)
def test_commands_of_a_dataset_read_it_without_its_bad_jets_on_demand(
    words: list[str], more: dict[str, str], notebook: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[Any] = []
    path = tmp_path / "my.csv"
    path.touch()

    def load(dataset: Any, *rest: Any) -> None:
        found.append(dataset)
        raise ZeroDivisionError("seen enough")

    def run(chosen: dict[Path, Any], *rest: Any, **options: Any) -> list[Any]:
        found.append(chosen[notebook]["dataset"])
        return []

    monkeypatch.setattr(study, "sweep", lambda *given, dataset, **options: found.append(dataset))
    monkeypatch.setattr(study, "write_sweep", lambda *arguments: "")
    monkeypatch.setattr(jets, "load_sample", load)
    monkeypatch.setattr(report, "run_notebooks", run)
    monkeypatch.setattr(report, "write_report", lambda folder, *rest: folder / "index.html")
    where = ["--dataset", str(path), "--unit", "MeV", *words, "--output"]
    assert main(["sweep", *where, str(tmp_path / "sweep")]) == 0
    assert main(["train", *where, str(tmp_path / "a.safetensors")]) == 1
    assert main(["run", str(notebook), *where, str(tmp_path / "out")]) == 0
    assert found == [{"path": str(path), "unit": "MeV"} | more] * 3


def test_a_value_that_belongs_to_no_option_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sweep", "--seeds", "1", "2"]) == 2
    assert "unexpected extra argument" in capsys.readouterr().err


def test_run_passes_typed_parameters_and_writes_the_report(
    notebook: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my jets.root").touch()
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
        (["-p", "rate", "fast"], "parameter rate: expected a number, found 'fast'"),
        (["--device", "gpu0"], "unknown device 'gpu0'; expected cpu, cuda, cuda:0 or the like"),
        (["--dataset", "embeded"], f"{Path('embeded').absolute()}: no such file"),
        (["-p", "dataset", "3"], "parameter dataset: expected embedded, published, or files, found 3"),
        (["no such notebook"], "no notebook file and no beginning of a notebook's name: 'no such notebook'"),
    ],
)
def test_run_refuses_what_it_does_not_know_before_it_runs(
    arguments: list[str], message: str, notebook: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "--output", str(tmp_path / "out"), str(notebook), *arguments]) == 2
    assert capsys.readouterr().err.startswith(f"compressionhep: error: {message}")
    assert not (tmp_path / "out").exists()


def test_a_reference_run_on_other_jets_leaves_the_repositorys_results_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COMPRESSIONHEP_PUBLISHED", str(tmp_path))
    asked: dict = {}
    other = str(REPOSITORY / "datasets" / "qcd_jets_test.parquet")
    monkeypatch.setattr(report, "run_notebooks", lambda chosen, *rest, **options: asked.update(chosen) or [])
    monkeypatch.setattr(report, "write_report", lambda folder, *rest: folder / "index.html")
    recorded: list[Path] = []
    monkeypatch.setattr(report, "record_commit", lambda plots, models: recorded.append(plots))
    for arguments, expected in (
        (["run", "1d", "--profile", "reference", "--force"], REPOSITORY),
        (["run", "1d", "--profile", "reference", "-p", "dataset", other], REPOSITORY / "runs" / "reference"),
        (["run", "1d"], REPOSITORY / "runs" / "quick"),
    ):
        assert main(arguments) == 0
        (parameters,) = asked.values()
        assert parameters["output"] == str(expected)
        assert ("published files are not at hand" in capsys.readouterr().err) == (expected == REPOSITORY)
    assert not recorded  # the commit goes into results when all of them are up to date


@pytest.mark.parametrize(
    ("arguments", "other"),
    [
        (["1d", "-p", "steps", "10"], "parameter steps"),
        (["1d", "--device", "cpu"], "parameter device"),
        (["notes"], "notes.ipynb"),
    ],
)
def test_the_repositorys_results_are_those_of_the_reference_run_alone(
    arguments: list[str],
    other: str,
    notebook: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(report, "run_notebooks", lambda *given, **options: 1 / 0)
    words = [str(notebook) if word == "notes" else word for word in arguments]
    assert main(["run", *words, "--profile", "reference"]) == 2
    assert f"{other}: plots/ and models/ of the repository hold the reference run" in capsys.readouterr().err


def test_the_embedded_sample_by_name_is_that_of_the_reference_run(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}
    monkeypatch.setattr(report, "is_fresh", lambda *given: False)
    monkeypatch.setattr(report, "run_notebooks", lambda chosen, *rest, **options: asked.update(chosen) or [])
    monkeypatch.setattr(report, "record_made", lambda *given: None)
    monkeypatch.setattr(report, "write_report", lambda folder, *rest: folder / "index.html")
    assert main(["run", "1d", "--profile", "reference", "--dataset", "embedded"]) == 0
    assert [*asked.values()] == [{"profile": "reference", "output": str(REPOSITORY)}]


def test_force_forgets_the_trainings_where_all_notebooks_are_run_alone(
    notebook: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    forgotten: list[Path] = []
    monkeypatch.setattr(study, "forget_trainings", forgotten.append)
    asked: list[bool] = []

    def run(notebooks: object, folder: object, plots: object, trainings: object) -> list[Any]:
        asked.append(trainings is not None)
        return []

    monkeypatch.setattr(report, "run_notebooks", run)
    monkeypatch.setattr(report, "record_made", lambda *given: None)
    monkeypatch.setattr(report, "record_commit", lambda *given: None)
    monkeypatch.setattr(report, "write_report", lambda folder, *rest: folder / "index.html")
    assert main(["run", "1d", "--profile", "reference", "--force"]) == 0
    assert not forgotten
    assert asked == [False]
    assert main(["run", "--profile", "reference", "--force"]) == 0
    assert forgotten == [REPOSITORY / "runs" / "trainings"]
    assert asked[1:] == [True]  # all trainings are done first
    assert main(["run", "-p", "seed", "3", "--output", str(tmp_path / "seed")]) == 0
    assert asked[2:] == [False]
    other = str(REPOSITORY / "datasets" / "qcd_jets_test.parquet")
    for options in ([], ["--profile", "reference", "--output", str(tmp_path)], ["--dataset", other]):
        assert main(["run", str(notebook), "--force", *options]) == 2
        assert "--force makes reference results of the repository anew" in capsys.readouterr().err


def test_several_files_become_one_container_that_keeps_what_is_not_finite(tmp_path):
    for i in range(2):
        rows = [f"{event},{5 + i},{50 + event},0.1,{'nan' if event == 3 else 0.2}" for event in range(9)]
        (tmp_path / f"jets{i}.csv").write_text("\n".join(["event,m,pt,phi,eta", *rows]) + "\n")
    files, out = [str(tmp_path / f"jets{i}.csv") for i in range(2)], tmp_path / "all.zarr.zip"
    assert main(["compress", *files, str(out)]) == 2
    assert main(["compress", *files, str(out), "--keep-nonfinite"]) == 0
    assert inspect(out)["jets"] == 18
