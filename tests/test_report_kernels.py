"""Kernels of notebooks talk by sockets that only their owner reaches, and leave signals to the command."""

import json
import signal
import stat
import threading
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from tests.network_helpers import LOOPBACK
from utils.report import run_notebooks

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
