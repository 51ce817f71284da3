"""Commands that are killed, terminated or interrupted at random moments: what is left then, and after the next run.

Every run has other settings than the one before, so that there is always all of the work to do, and old files to keep
until the new ones are whole.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import numpy as np
import psutil

from tests.fuzz.child import Outcome, Tally
from tests.tree_files import write_trees
from utils.files import PARTIAL, RECORDS, REPOSITORY, is_as_recorded, record_of, sha256_of
from utils.jets import make_table, write_jets

CASES = 30
"""Moments of each signal for each command in `make fuzz`."""

CODES = {signal.SIGKILL: -signal.SIGKILL, signal.SIGTERM: 143, signal.SIGINT: 130}
"""The exit code that a signal leads to."""

SWEEP = ["--dataset", "jets.csv", "--variants", "tanh", "--seeds", "2", "--profile", "quick", "--workers", "2"]

COMMANDS: dict[str, list[str | tuple[str, str]]] = {
    "compress": ["compress", "jets.csv", "out/jets.zarr.zip", "--force", "--pt-error", ("1%", "2%")],
    "convert": ["convert", "jets.csv", "out/jets.parquet", "--force", "--pt-min", ("0", "30")],
    "decompress": ["decompress", ("0.zarr.zip", "1.zarr.zip"), "out/jets.h5", "--force"],
    "compress many": ["compress", "many/*.csv", "out/", "--workers", "2", "--pt-error", ("1%", "2%")],
    "slim": ["slim", "trees.root", ("out/trees.zarr.zip", "out/trees.root"), "--force", "--drop", ("run", "event")],
    "slim many": ["slim", "many/*.root", "out/", "--workers", "2", "--format", "zarr", "--drop", ("run", "event")],
    "run": ["run", "notes.ipynb", "--output", "out", "-p", "number", ("1", "2")],
    "sweep": ["sweep", *SWEEP, "--output", "out", "--steps", "10", "--refine", ("1", "2")],
}
"""What is run in a folder of `prepare`; of two words, the first and the second by turns."""

NOTEBOOK = """
from pathlib import Path
from utils import files
for i in range(30):
    files.write_json(Path(output) / "plots" / "notes" / f"{i % 6}.json", [number] * 3000, recorded=True)
"""


def prepare(folder: Path) -> None:
    """What the commands read."""
    random = np.random.default_rng(0)
    n = 6000
    columns = random.gamma(2, 4, n), 20 + random.exponential(60, n), random.uniform(-3, 3, n), random.normal(0, 1, n)
    table = make_table(*columns, np.arange(n) // 3)
    write_jets(table, folder / "jets.csv")
    for number in range(6):
        write_jets(table.iloc[number:], folder / "many" / f"{number}.csv")
    write_trees(folder / "trees.root")
    for number in range(3):
        shutil.copy(folder / "trees.root", folder / "many" / f"{number}.root")
    for number, bound in enumerate(("1%", "2%")):
        _finish(["compress", "jets.csv", f"{number}.zarr.zip", "--pt-error", bound], folder)
    parameters = nbformat.v4.new_code_cell('output = ""\nnumber = 0', metadata={"tags": ["parameters"]})
    cells = [parameters, nbformat.v4.new_code_cell(NOTEBOOK)]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), folder / "notes.ipynb")


def fuzz(cases: int, seed: int, folder: Path) -> dict[str, Tally]:
    """Send each signal to each command at so many moments."""
    prepare(folder)
    return {name: fuzz_command(name, cases, seed, folder) for name in COMMANDS}


def fuzz_command(name: str, cases: int, seed: int, folder: Path, seconds: float | None = None) -> Tally:
    """Send each signal to a command at so many moments, in a folder of `prepare`; after each three it runs to its end.

    `seconds` is about what it takes; two runs come first where that is not known, or outputs have no records.
    """
    random = np.random.default_rng(seed)
    tally = Tally()
    rounds, out, lasts = 0, folder / "out", seconds or 0.0
    known, names = set[str](), set[Path]()
    for rounds in (1, 2) if seconds is None else ():
        lasts = _finish(_arguments(name, rounds), folder)
        known |= {sha256_of(path) for path in _outputs(out)}
        names = {path.relative_to(out) for path in _outputs(out)}
    for case in range(cases):
        for number, code in CODES.items():
            rounds += 1
            delay = random.uniform(0, lasts)
            outcome = _interrupt(_arguments(name, rounds), folder, number, code, delay)
            damaged = [path for path in _outputs(out) if not _is_whole(path, known)]
            outcome = ("damaged", ", ".join(map(str, damaged))) if damaged else outcome
            tally.add(f"{name} {case} {number.name} after {delay:.2f} s", outcome, ("whole", "done before"))
        rounds += 1
        lasts = _finish(_arguments(name, rounds), folder)
        left = list(folder.rglob(f"{PARTIAL}*"))
        lost = names - {path.relative_to(out) for path in _outputs(out)}
        tally.add(f"{name} {case}", ("left", f"{left} {lost}") if left or lost else ("next run", ""), ("next run",))
    return tally


def _arguments(name: str, rounds: int) -> list[str]:
    return [word if isinstance(word, str) else word[rounds % 2] for word in COMMANDS[name]]


def _command(arguments: list[str]) -> list[str]:
    return [sys.executable, str(REPOSITORY / "compressionhep.py"), *arguments]


def _finish(arguments: list[str], folder: Path) -> float:
    """Run a command to its end; returns how many seconds that took."""
    start = time.perf_counter()
    done = subprocess.run(_command(arguments), cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{arguments}: exit code {done.returncode}: {done.stderr}")
    return time.perf_counter() - start


def _interrupt(arguments: list[str], folder: Path, number: signal.Signals, code: int, delay: float) -> Outcome:
    """Send a signal to a command, some seconds after it began to listen; Ctrl-C to all of its processes."""
    said = folder / "stderr"
    with said.open("wb") as errors:
        process = subprocess.Popen(
            _command(arguments), cwd=folder, stdout=subprocess.DEVNULL, stderr=errors, start_new_session=True
        )
    while process.poll() is None and not _listens(process.pid):
        time.sleep(0.002)
    time.sleep(delay)
    others = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    if process.poll() is None:
        (os.killpg if number == signal.SIGINT else os.kill)(process.pid, number)
    found = process.wait()
    _, alive = psutil.wait_procs(others, timeout=120)
    lines = said.read_text().splitlines()
    if any(other.status() != psutil.STATUS_ZOMBIE for other in alive):
        return "outlived", str(alive)
    if found == 0:
        return "done before", ""
    last = {130: "compressionhep: interrupted", 143: "compressionhep: terminated"}.get(code)
    if found != code or any("Traceback" in line for line in lines) or (last and lines[-1:] != [last]):
        return "exit", f"code {found}: {lines[-20:]}"
    return "whole", ""


def _listens(pid: int) -> bool:
    """Whether a process has a handler of SIGTERM; taken for granted where the system does not tell."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return True
    return bool(int(status.split("SigCgt:")[1].split()[0], 16) >> (signal.SIGTERM - 1) & 1)


def _outputs(out: Path) -> list[Path]:
    """Every file that a command wrote, but for records and what has not got its name."""
    files = (path for path in out.rglob("*") if path.is_file())
    return [path for path in files if not any(part == RECORDS or part.startswith(PARTIAL) for part in path.parts)]


def _is_whole(path: Path, known: set[str]) -> bool:
    record = record_of(path)
    return sha256_of(path) in known or (record is not None and is_as_recorded(path, record))
