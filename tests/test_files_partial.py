"""Unfinished files belong to whoever holds their lock; what nobody holds is removed, by any command."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from utils.cli import main
from utils.codec import compress
from utils.files import (
    PARTIAL,
    REPOSITORY,
    OutputError,
    atomic_path,
    clear_partial,
    manage_folder,
    remove_leftovers,
)
from utils.jets import make_table, write_jets


def writer(target: Path) -> "subprocess.Popen[str]":
    """A process in the midst of writing a file."""
    code = """
import sys
from utils.files import atomic_path
with atomic_path(sys.argv[1]) as partial:
    partial.write_text("half")
    print("writing", flush=True)
    sys.stdin.read()
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(target)],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "writing\n"
    return process


def kill(process: "subprocess.Popen[str]") -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()


def leave(*targets: Path) -> None:
    """What processes leave that are killed while they write these files."""
    for process in [writer(target) for target in targets]:
        kill(process)


def unfinished(folder: Path) -> list[str]:
    return [str(path.relative_to(folder)) for path in folder.rglob(f"{PARTIAL}*")]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    random = np.random.default_rng(0)
    columns = (
        random.gamma(2, 4, 60),
        20 + random.exponential(60, 60),
        random.uniform(-3, 3, 60),
        random.normal(0, 1, 60),
    )
    write_jets(make_table(*columns, np.arange(60) // 3), tmp_path / "a.csv")
    compress(tmp_path / "a.csv", tmp_path / "a.zarr.zip")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_what_a_living_process_writes_is_left_and_what_a_dead_one_wrote_is_removed(tmp_path: Path) -> None:
    process = writer(tmp_path / "new.txt")
    assert clear_partial([tmp_path]) == 0
    process.communicate("")
    assert (tmp_path / "new.txt").read_text() == "half"
    leave(tmp_path / "new.txt")
    assert unfinished(tmp_path) != []
    assert clear_partial([tmp_path]) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["new.txt"]


@pytest.mark.parametrize(
    "command",
    [
        ["convert", "a.csv", "out/b.parquet"],
        ["convert", "a.csv", "link.parquet"],
        ["compress", "a.csv", "out/b.zarr.zip"],
        ["decompress", "a.zarr.zip", "out/b.csv"],
        ["info", "a.csv", "--json", "out/b.json"],
    ],
    ids=" ".join,
)
def test_the_next_command_removes_what_a_killed_one_left_beside_its_output(command: list[str], here: Path) -> None:
    (here / "link.parquet").symlink_to("out/linked.parquet")
    leave(here / "out" / "other.bin")
    assert len(unfinished(here / "out")) > 1
    assert main(command) == 0
    assert unfinished(here) == []


def test_a_campaign_removes_what_was_left_anywhere_it_writes(here: Path, scheduler: str) -> None:
    elsewhere = here / "elsewhere"
    elsewhere.mkdir()
    out = manage_folder(here / "out")
    (out / "linked").symlink_to(elsewhere)
    for name in ("a", "linked/b", "deep/er/c"):
        write_jets(make_table([5], [50], [0], [0]), here / "data" / f"{name}.csv")
    where = ["--scheduler", scheduler]
    assert main(["convert", "data/**/*.csv", "out", *where]) == 0
    leave(
        out / "a.parquet",
        elsewhere / "b.parquet",
        out / "deep" / "er" / "c.parquet",
        out / ".compressionhep" / "a.json",
    )
    assert main(["convert", "data/**/*.csv", "out", *where]) == 0
    assert unfinished(here) == []
    assert (elsewhere / "b.parquet").is_file()


def test_folders_and_files_of_the_user_with_such_names_are_left(tmp_path: Path) -> None:
    (tmp_path / f"{PARTIAL}notes").write_text("mine")
    (tmp_path / f"{PARTIAL}folder").mkdir()
    (tmp_path / f"{PARTIAL}folder" / "notes").write_text("mine")
    (tmp_path / f"{PARTIAL}link").symlink_to(tmp_path / f"{PARTIAL}folder")
    before = sorted(unfinished(tmp_path))
    assert remove_leftovers(tmp_path) == 0
    assert sorted(unfinished(tmp_path)) == before


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EBADF])
def test_where_there_are_no_locks_files_are_written_and_leftovers_stay_and_are_named(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave(tmp_path / "old.txt")

    def none(handle: int, operation: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", none)
    with atomic_path(tmp_path / "new.txt") as partial:
        partial.write_text("whole")
    assert (tmp_path / "new.txt").read_text() == "whole"
    with pytest.warns(UserWarning, match=r"1 unfinished files .* are left: this file system has no locks"):
        assert clear_partial([tmp_path]) == 0
    assert len(unfinished(tmp_path)) == 2  # the folder and its lock


def test_writers_are_not_disturbed_by_who_clears_up_all_the_time(tmp_path: Path) -> None:
    ended = threading.Event()

    def clear() -> None:
        while not ended.is_set():
            clear_partial([tmp_path])

    clearing = [threading.Thread(target=clear) for _ in range(2)]
    for thread in clearing:
        thread.start()
    try:
        for number in range(50):
            with atomic_path(tmp_path / "x.txt") as partial:
                partial.write_text(str(number))
            assert (tmp_path / "x.txt").read_text() == str(number)
    finally:
        ended.set()
        for thread in clearing:
            thread.join()
    assert [path.name for path in tmp_path.iterdir()] == ["x.txt"]


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: os.symlink("/dev/null", path), os.mkdir])
def test_what_is_no_file_is_never_replaced_even_if_it_appears_while_the_file_is_written(make, tmp_path: Path) -> None:
    def write() -> None:
        with atomic_path(tmp_path / "x") as partial:
            partial.write_text("x")
            make(tmp_path / "x")

    with pytest.raises(OutputError, match="expected the name of a file to write"):
        write()
    assert not (tmp_path / "x").is_file()
    assert unfinished(tmp_path) == []


def test_a_full_name_of_a_file_is_no_longer_in_the_making(tmp_path: Path) -> None:
    name = 250 * "x" + ".csv"
    with atomic_path(tmp_path / name) as partial:
        assert partial.name == name
        partial.write_text("x")
    assert (tmp_path / name).is_file()
