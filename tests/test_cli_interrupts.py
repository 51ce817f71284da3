"""Commands that are killed, terminated or interrupted: outputs are whole, old or absent, and the next run clears up."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.signals import fuzz_command, prepare
from utils.files import REPOSITORY


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("signals")
    prepare(folder)
    return folder


@pytest.mark.parametrize(
    ("command", "moments", "seconds"),
    [
        ("compress", 2, None),
        ("convert", 2, None),
        ("decompress", 2, None),
        ("slim", 2, None),
        ("run", 1, 3.0),
        ("sweep", 1, 8.0),
    ],
)
def test_a_command_may_be_killed_at_any_moment(command: str, moments: int, seconds: float | None, folder: Path) -> None:
    (folder / "out").rename(folder / f"before {command}") if (folder / "out").exists() else None
    tally = fuzz_command(command, moments, 0, folder, seconds)
    assert tally.bad == []
    assert tally.counts["next run"] == moments


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_is_ignored_stays_so(number: signal.Signals) -> None:
    """As `nohup`, and shells for what they put into the background, have it."""
    code = f"""
import os, signal
signal.signal({int(number)}, signal.SIG_IGN)
from utils.cli.interrupts import end_on_signals
end_on_signals()
os.kill(os.getpid(), {int(number)})
print("alive")
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "alive\n")


def test_a_forked_process_ends_without_a_word_and_touches_nothing_of_its_parent(tmp_path: Path) -> None:
    code = f"""
import os, signal, time
from utils.cli.interrupts import end_on_signals
from utils.files import atomic_path
end_on_signals()
with atomic_path({str(tmp_path / "out.txt")!r}) as partial:
    partial.write_text("whole")
    ready, tell = os.pipe()
    child = os.fork()
    while not child:
        os.write(tell, b".")
        time.sleep(0.1)
    os.read(ready, 1)
    os.kill(child, signal.SIGTERM)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "143\n", "")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["whole"]
