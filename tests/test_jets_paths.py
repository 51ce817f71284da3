"""Files of a sample are told apart by what they are: links, loops and repeats do not multiply jets."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from utils.cli import main
from utils.codec import compress, compression, decompress
from utils.files import REPOSITORY, ChangedError, OutputError
from utils.jets import JetWarning, convert_jets, iter_jets, make_table, read_jets, sample_files, write_jets


def make_jets(n: int = 2):
    values = np.arange(n, dtype=np.float32)
    return make_table(values % 7 + 5, values % 50 + 50, values % 3, values % 2, np.arange(n))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a file of two jets and a loop of links."""
    write_jets(make_jets(), tmp_path / "d" / "a.csv")
    (tmp_path / "d" / "loop").symlink_to(tmp_path / "d")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_loop_of_links_multiplies_nothing(here: Path, scheduler: str) -> None:
    assert sample_files("d/**/*.csv") == ["d/a.csv"]
    assert len(read_jets("d/**/*.csv")) == 2
    assert main(["convert", "d/**/*.csv", "one.csv"]) == 0
    assert len(read_jets("one.csv")) == 2
    assert main(["convert", "d/**/*.csv", "out/", "--scheduler", scheduler]) == 0
    assert [str(path.relative_to("out")) for path in Path("out").rglob("*.parquet")] == ["a.parquet"]


def test_many_loops_take_no_longer_than_one(here: Path) -> None:
    for number in range(12):
        (here / "d" / f"loop{number}").symlink_to(here)
    (here / "d" / "self").symlink_to("self")
    assert sample_files("**/*.csv") == ["d/a.csv"]
    assert sample_files(f"{here}/**/**/*.csv") == [f"{here}/d/a.csv"]


def test_links_that_lead_elsewhere_are_followed_once(here: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    write_jets(make_jets(), elsewhere / "run" / "b.csv")
    for name in ("one", "other"):
        (here / "d" / name).symlink_to(elsewhere)
    assert sample_files("d/**/*.csv") == ["d/a.csv", "d/one/run/b.csv"]
    (here / "d" / "0.csv").symlink_to("a.csv")
    assert sample_files("d/*.csv") == ["d/a.csv"]
    assert sample_files("d/**") == ["d/a.csv", "d/one/run/b.csv"]


@pytest.mark.parametrize("again", ["d/a.csv", "./d/../d/a.csv", "link.csv", "hard.csv", "d/loop/loop/a.csv", "file://"])
def test_a_file_that_is_given_twice_is_read_once_and_that_is_said(again: str, here: Path) -> None:
    (here / "link.csv").symlink_to("d/a.csv")
    os.link("d/a.csv", "hard.csv")
    again = f"file://{here}/d/a.csv" if again == "file://" else again
    with pytest.warns(JetWarning, match="1 of 2 files were given before"):
        assert len(read_jets(["d/a.csv", again])) == 2


def test_a_campaign_works_on_a_file_once_and_says_so(
    here: Path, scheduler: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "link.csv").symlink_to("d/a.csv")
    command = [sys.executable, "-m", "utils.cli", "info", "d/a.csv", "link.csv"]
    done = subprocess.run(command, env=os.environ | {"PYTHONPATH": str(REPOSITORY)}, capture_output=True, text=True)
    assert done.returncode == 0
    said = "1 of 2 files were given before, by the same or another name; each is read once"
    assert (done.stdout + done.stderr).count(said) == 1
    assert main(["convert", "link.csv", "d/a.csv", "out/", "--scheduler", scheduler]) == 0
    assert capsys.readouterr().err.count(said) == 1
    assert [path.name for path in Path("out").glob("*.parquet")] == ["link.parquet"]


def test_an_address_of_this_machine_is_a_path(here: Path) -> None:
    address = f"file://{here}/d/a.csv"
    assert len(read_jets(address)) == 2
    assert sample_files(f"file://{here}/d/**/*.csv") == [f"{here}/d/a.csv"]
    with pytest.raises(OutputError, match="is an input"):
        convert_jets(address, here / "d" / "a.csv")
    assert main(["convert", address, "d/loop/a.csv", "--force"]) == 2
    assert len(read_jets("d/a.csv")) == 2


@pytest.mark.parametrize("how", ["grown", "replaced", "rewritten"])
def test_a_source_that_changes_while_it_is_read_is_an_error(how: str, tmp_path: Path) -> None:
    source = tmp_path / "jets.csv"
    write_jets(make_jets(3000), source)
    content = source.read_bytes()
    stream = iter_jets(source, chunk_jets=100)
    assert len(next(stream)) == 100
    match how:
        case "grown":
            with source.open("ab") as file:
                file.write(content.splitlines(keepends=True)[-1])
        case "replaced":
            (tmp_path / "new").write_bytes(content)
            (tmp_path / "new").replace(source)
        case "rewritten":
            source.write_bytes(content)
    with pytest.raises(ChangedError, match=f"{source}: it was written to, or replaced, while it was read"):
        list(stream)


def test_what_is_made_of_a_source_that_changes_does_not_appear(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, packed = tmp_path / "jets.csv", tmp_path / "jets.zarr.zip"
    write_jets(make_jets(300), source)
    compress(source, packed, workers=1)
    with pytest.raises(ChangedError, match=str(packed)):
        decompress(packed, tmp_path / "new.csv", workers=1, seen=lambda table: os.utime(packed))
    encode = compression.encode_chunk

    def touched(*arguments, **options):
        os.utime(source)
        return encode(*arguments, **options)

    monkeypatch.setattr(compression, "encode_chunk", touched)
    with pytest.raises(ChangedError, match=str(source)):
        compress(source, tmp_path / "new.zarr.zip", workers=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["jets.csv", "jets.zarr.zip"]
