"""Kernels of notebooks talk by sockets that only their owner reaches, leave signals to the command, and are forked from
a process that has imported what they need, where several notebooks run at a time."""

import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import nbformat
import psutil
import pytest
import torch
from nbformat.v4 import new_code_cell, new_notebook

from tests.network_helpers import LOOPBACK
from utils.files import REPOSITORY
from utils.report import Outcome, notebooks as runner, run_notebooks
from utils.report.kernels import Nursery, SharingKernelManager, sharing_kernels

CODE = """
import json, os, signal
from pathlib import Path
import psutil
from ipykernel import get_connection_file
me = psutil.Process()
ports = [c.laddr.ip for c in me.net_connections("inet") if c.status == psutil.CONN_LISTEN]
folder = Path(get_connection_file()).parent
connection = json.loads(Path(get_connection_file()).read_text())
del connection["key"]
Path("seen.json").write_text(json.dumps({"ports": ports, "mode": os.stat(folder).st_mode, "connection": connection}))
os.kill(os.getppid(), signal.SIGTERM)
"""


def test_a_kernel_is_reached_by_files_of_its_owner_and_signals_stay_with_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert threading.current_thread() is threading.main_thread()
    nbformat.write(new_notebook(cells=[new_code_cell(CODE), new_code_cell("done = True")]), tmp_path / "notes.ipynb")
    came: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: came.append(number))
    try:
        (outcome,) = run_notebooks({tmp_path / "notes.ipynb": {}}, tmp_path / "out")
        assert signal.getsignal(signal.SIGTERM) is not before
    finally:
        signal.signal(signal.SIGTERM, before)
    assert outcome.error is None
    assert came == [signal.SIGTERM]
    seen = json.loads((tmp_path / "seen.json").read_text())
    assert seen["connection"]["transport"] == "ipc"
    assert seen["mode"] & (stat.S_IRWXG | stat.S_IRWXO) == 0
    assert len(seen["ports"]) <= 1  # a pipe of ipykernel's own for the output of subprocesses, with a secret of its own
    assert set(seen["ports"]) <= LOOPBACK
    assert not Path(seen["connection"]["ip"]).parent.exists()


FORKED = """
import json, os, sys
had = [name for name in ("torch._dynamo", "fastai.learner", "utils.study.sweeps") if name in sys.modules]
from pathlib import Path
import pandas as pd
seen = {
    "number": os.getpid(),
    "parent": os.getppid(),
    "session": os.getsid(0),
    "had": had,
    "columns": pd.get_option("display.max_columns"),
    "folder": os.getcwd(),
    "arguments": sys.argv[0],
    "input": os.read(0, 1).decode(),
}
Path("seen.json").write_text(json.dumps(seen))
"""

linux = pytest.mark.skipif(sys.platform != "linux", reason="kernels are forked on Linux")


@pytest.fixture
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "available_cores", lambda: 2)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


def run_side_by_side(folder: Path, **codes: str) -> list[Outcome]:
    for name, code in codes.items():
        (folder / name).mkdir()
        nbformat.write(new_notebook(cells=[new_code_cell(code)]), folder / name / f"{name}.ipynb")
    notebooks = {folder / name / f"{name}.ipynb": dict[str, object]() for name in codes}
    return run_notebooks(notebooks, folder / "out", trainings=lambda: None)


@linux
@pytest.mark.usefixtures("two_cores")
def test_kernels_side_by_side_are_forks_of_one_process_that_look_like_kernels_of_their_own(tmp_path: Path) -> None:
    outcomes = run_side_by_side(tmp_path, one=FORKED, two=FORKED)
    assert [outcome.error for outcome in outcomes] == [None, None]
    one, two = (json.loads((tmp_path / name / "seen.json").read_text()) for name in ("one", "two"))
    assert one["parent"] == two["parent"] != os.getpid()
    assert one["number"] != two["number"]
    assert not psutil.pid_exists(one["parent"])
    assert not psutil.pid_exists(one["number"])
    for name, seen in (("one", one), ("two", two)):
        assert seen["session"] == seen["number"]
        assert seen["had"] == ["torch._dynamo", "fastai.learner", "utils.study.sweeps"]
        assert seen["columns"] == 20
        assert Path(seen["folder"]) == tmp_path / name
        assert Path(seen["arguments"]).name == "ipykernel_launcher.py"
        assert seen["input"] == ""


@linux
@pytest.mark.usefixtures("two_cores")
def test_a_forked_kernel_that_dies_is_a_failure_and_the_others_go_on(tmp_path: Path) -> None:
    dead, alive = run_side_by_side(tmp_path, dead="import os; os._exit(3)", alive="print(1)")
    assert "died" in str(dead.error)
    assert alive.error is None


@linux
def test_a_forked_kernel_does_not_outlive_the_process_that_it_was_forked_from(tmp_path: Path) -> None:
    nursery = Nursery(SharingKernelManager.environment())
    connection = tmp_path / "connection.json"
    try:
        command = ["python", "-m", "ipykernel_launcher", "-f", str(connection)]
        kernel = nursery.fork(command, str(tmp_path), os.environ)
        until = time.monotonic() + 120
        while not connection.exists() and time.monotonic() < until:
            time.sleep(0.1)
        assert connection.exists()  # so that it has started
        assert kernel.poll() is None
    finally:
        nursery.close()
    while kernel.poll() is None and time.monotonic() < until:
        time.sleep(0.1)
    assert kernel.poll() == 0
    kernel.send_signal(signal.SIGTERM)  # which comes too late


@linux
def test_what_is_preloaded_can_be_forked() -> None:
    code = "import os; from utils.report import forks; forks.preload(); child = os.fork()\n"
    code += "if child: print(os.waitpid(child, 0)[1])"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True, timeout=300)
    assert done.stdout.split() == ["0"], done.stderr


@linux
def test_a_process_that_has_ended_forks_nothing_and_can_be_closed() -> None:
    nursery = Nursery({"PYTHONHOME": "/nowhere"})
    for _ in range(2):
        with pytest.raises(ChildProcessError, match="the process that forks kernels has ended, with code 1"):
            nursery.fork(["python", "-m", "ipykernel_launcher"], "/", {})
    nursery.close()


@linux
@pytest.mark.usefixtures("two_cores")
def test_where_none_can_be_forked_kernels_are_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*given: object) -> None:
        raise ChildProcessError("Cannot allocate memory")

    monkeypatch.setattr(Nursery, "fork", refuse)
    outcomes = run_side_by_side(tmp_path, one=FORKED, two=FORKED)
    assert [outcome.error for outcome in outcomes] == [None, None]
    seen = json.loads((tmp_path / "one" / "seen.json").read_text())
    assert (seen["parent"], seen["had"]) == (os.getpid(), [])


def test_beside_a_gpu_kernels_are_started_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with sharing_kernels() as manager:
        assert manager.nursery is None
