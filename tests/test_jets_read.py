"""Names of files, patterns and folders: what a sample is."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from utils.cli import main
from utils.files import REPOSITORY
from utils.jets import JetError, make_table, read_jets, sample_files, select_jets, write_jets


def make_jets(first: int, n: int = 6):
    values = np.arange(first, first + n, dtype=np.float32)
    return make_table(values + 5, values + 50, values / 100, values / 100, np.arange(first, first + n))


def test_a_pattern_inside_a_folder_that_looks_like_one_matches(tmp_path: Path, scheduler: str) -> None:
    folder = tmp_path / "run[1]"
    for name in ("a", "sub[2]/b"):
        write_jets(make_jets(0), folder / f"{name}.csv")
    assert sample_files(folder / "*.csv") == [str(folder / "a.csv")]
    assert sample_files(folder / "**" / "*.csv") == [str(folder / "a.csv"), str(folder / "sub[2]" / "b.csv")]
    write_jets(make_jets(0), tmp_path / "run1" / "a.csv")
    assert sample_files(tmp_path / "run[12]" / "*.csv") == [str(tmp_path / "run1" / "a.csv")]
    assert main(["convert", f"{folder}/**/*.csv", str(tmp_path / "out"), "--scheduler", scheduler]) == 0
    assert (tmp_path / "out" / "sub[2]" / "b.parquet").is_file()


def test_a_pattern_in_the_working_folder_keeps_its_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_jets(make_jets(0), tmp_path / "a.csv")
    monkeypatch.chdir(tmp_path)
    assert sample_files("*.csv") == ["a.csv"]
    with pytest.raises(JetError, match="no file matches this pattern"):
        sample_files("*.root")


def test_a_folder_of_parquet_parts_is_a_sample_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    folder = tmp_path / "jets.parquet"
    for number in (0, 2, 10):
        write_jets(make_jets(10 * number), folder / f"part.{number}.parquet")
    (folder / "_SUCCESS").touch()
    (folder / ".part.0.parquet.crc").touch()
    table = read_jets(folder)
    assert table["event"].tolist() == [*range(6), *range(20, 26), *range(100, 106)]
    assert main(["convert", str(folder), str(tmp_path / "one.csv")]) == 0
    assert read_jets(tmp_path / "one.csv").equals(table)
    (folder / "other.root").touch()
    with pytest.raises(JetError, match="a directory; give a file"):
        read_jets(folder)


@pytest.mark.parametrize("command", [["info"], ["convert", "out.csv"], ["decompress", "out.csv"], ["compress", "o/"]])
def test_a_pipe_is_refused_and_not_waited_for(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe.zarr.zip")
    name, *output = command
    assert main([name, "pipe.zarr.zip", *output]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "pipe.zarr.zip: a pipe, a device or the like" in line


@pytest.mark.parametrize("cut", ["nan", "inf", "-1"])
@pytest.mark.parametrize("option", ["--pt-min", "--eta-max"])
def test_cuts_that_are_no_number_are_refused(
    option: str, cut: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_jets(make_jets(0), tmp_path / "a.csv")
    assert main(["convert", str(tmp_path / "a.csv"), str(tmp_path / "b.csv"), option, cut]) == 2
    assert f"Invalid value for '{option}'" in capsys.readouterr().err
    name = option.removeprefix("--").replace("-", "_")
    with pytest.raises(JetError, match=f"{name}: expected a number that is not negative"):
        select_jets(make_jets(0), **{name: float(cut)})


@pytest.mark.parametrize(
    "arguments",
    [
        ["compress", "a.csv", "out.zarr.zip"],
        ["compress", "a.csv", "out/"],
        ["decompress", "a.zarr.zip", "out.csv"],
        ["simulate", "--events", "1", "--seed", "1", "--output", "out.csv"],
        ["sweep"],
    ],
    ids=" ".join,
)
def test_no_workers_are_too_few(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*arguments, "--workers", "0"]) == 2
    assert "expected one worker at least, found 0" in capsys.readouterr().err


def test_a_utils_beside_the_user_takes_no_ones_place(tmp_path: Path) -> None:
    """In the working folder and on PYTHONPATH, for the program and for its workers."""
    (tmp_path / "utils.py").write_text("raise SystemExit('the user has a file called utils.py')\n")
    write_jets(make_jets(0), tmp_path / "a.csv")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(REPOSITORY)])}
    command = [sys.executable, "-m", "compressionhep", "convert", "a.csv", "out/", "--workers", "1"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert read_jets(tmp_path / "out" / "a.parquet").equals(make_jets(0))


def test_help_prints_percents_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["slim", "--help"]) == 0
    printed = capsys.readouterr().out
    assert "such as 1%,10MeV" in " ".join(printed.split())
    assert "%%" not in printed
