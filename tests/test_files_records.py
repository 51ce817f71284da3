"""Records: anything wrong in one means that the file is done again, and nothing of the user's is lost by that."""

import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from utils.campaign import Campaign, run_campaign
from utils.files import (
    RECORDS,
    OutputError,
    is_as_recorded,
    manage_folder,
    read_record,
    record_of,
    recorded_path,
    records,
    refuse_unrecorded,
    sha256_of,
)
from utils.jets import make_table, write_jets


def write(path: Path, text: str, **about: Any) -> None:
    with recorded_path(path, about) as partial:
        partial.write_text(text)


def record(path: Path) -> Path:
    found = record_of(path)
    assert found is not None
    return found


def change(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


DAMAGES = {
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-20]),
    "empty": lambda path: path.write_bytes(b""),
    "a list": lambda path: path.write_text("[]"),
    "no text": lambda path: path.write_bytes(b"\xff\x00"),
    "deep": lambda path: path.write_text("[" * 100_000),
    "another report": lambda path: change(path, report={"jets": 1}),
    "no report": lambda path: change(path, report=None),
    "a report of another kind": lambda path: change(path, report=[1]),
    "another digest": lambda path: change(path, output_sha256="0" * 64),
    "a digest of another kind": lambda path: change(path, output_sha256=7),
    "more": lambda path: change(path, more=1),
    "gone": lambda path: path.unlink(),
}


@pytest.fixture
def campaign(tmp_path: Path, scheduler: str):
    random = np.random.default_rng(0)
    columns = (
        random.gamma(2, 4, 60),
        20 + random.exponential(60, 60),
        random.uniform(-3, 3, 60),
        random.normal(0, 1, 60),
    )
    write_jets(make_table(*columns, np.arange(60) // 3), tmp_path / "jets.csv")

    def run(**settings: Any) -> Campaign:
        return run_campaign(
            "compress",
            tmp_path / "jets.csv",
            tmp_path / "out",
            settings,
            suffix=".zarr.zip",
            scheduler=scheduler,
            progress=False,
        )

    return run


@pytest.mark.parametrize("damage", [name for name in DAMAGES if name != "gone"])
def test_a_record_with_anything_wrong_in_it_means_do_the_file_again(damage: str, campaign, tmp_path: Path) -> None:
    (row,) = campaign().rows
    output = tmp_path / "out" / "jets.zarr.zip"
    before = sha256_of(output)
    assert [row["state"] for row in campaign().rows] == ["kept"]
    DAMAGES[damage](record(output))
    done = campaign()
    assert done.failures == {}
    assert [(again["state"], again["jets"]) for again in done.rows] == [("done", row["jets"])]
    assert sha256_of(output) == before
    assert [row["state"] for row in campaign().rows] == ["kept"]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_file_that_was_edited_is_kept_whatever_its_record_says(damage: str, tmp_path: Path) -> None:
    path = manage_folder(tmp_path) / "x.txt"
    write(path, "one", report={"jets": 2})
    path.write_text("edited")
    DAMAGES[damage](record(path))
    with pytest.raises(OutputError, match="not as this project wrote it"):
        write(path, "two")
    assert path.read_text() == "edited"


def test_a_file_that_appears_while_another_is_made_is_kept(tmp_path: Path) -> None:
    path = manage_folder(tmp_path) / "x.txt"

    def write_slowly() -> None:
        with recorded_path(path) as partial:
            partial.write_text("ours")
            path.write_text("mine")

    with pytest.raises(OutputError, match="not as this project wrote it"):
        write_slowly()
    assert path.read_text() == "mine"


def test_a_record_is_of_the_file_that_is_there_whoever_writes_at_the_same_time(tmp_path: Path) -> None:
    path = manage_folder(tmp_path) / "x.txt"
    failures = []

    def work(name: str) -> None:
        for number in range(40):
            try:
                write(path, f"{name} {number}", by=name)
            except ValueError as error:
                failures.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in ("one", "other", "third")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    known = read_record(record(path))
    assert known is not None
    assert known["output_sha256"] == sha256_of(path)
    assert path.read_text().startswith(known["by"])


def test_nobody_writes_while_a_file_is_compared_with_its_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = manage_folder(tmp_path) / "x.txt"
    write(path, "one")
    other = threading.Thread(target=write, args=(path, "two"))
    read = records._read_object

    def read_and_let_another_write(record: Path) -> Any:
        known = read(record)
        if not other.ident:
            other.start()
            other.join(0.5)
        return known

    monkeypatch.setattr(records, "_read_object", read_and_let_another_write)
    refuse_unrecorded(path)
    other.join()
    assert path.read_text() == "two"


def test_the_digest_is_taken_before_the_file_gets_its_name(tmp_path: Path) -> None:
    path = manage_folder(tmp_path) / "x.txt"
    write(path, "one")
    path.write_text("edited")
    assert not is_as_recorded(path, record(path))


def test_a_folder_inside_that_is_called_as_the_lock_does_no_harm(tmp_path: Path) -> None:
    for name in ("lock", "records", RECORDS):
        path = manage_folder(tmp_path / "out") / name / "x.txt"
        write(path, "one", of=name)
        write(path, "two", of=name)
        assert path.read_text() == "two"
