"""NumPy arrays and archives: tables of two dimensions, records, and arrays that no jets are in."""

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from utils.cli import main
from utils.jets import JetError, make_table, read_jets

JETS = make_table([5, 4, 0.25], [50.5, 30, 40], [0.5, -3, 1], [0, 1.25, -2], [1001, 1001, 1002])

NAMES = "event,m,pt,phi,eta"


def save(path: Path, **arrays: Any) -> None:
    (np.savez_compressed if path.stem == "compressed" else np.savez)(path, **arrays)


def test_records_are_a_table_whatever_they_are_called(tmp_path: Path) -> None:
    records = pd.DataFrame(JETS).to_records(index=False)
    np.save(tmp_path / "jets.npy", records)
    np.savez(tmp_path / "jets.npz", records)
    for name in ("jets.npy", "jets.npz"):
        assert main(["convert", str(tmp_path / name), str(tmp_path / "jets.root"), "--unit", "GeV", "--force"]) == 0
        pd.testing.assert_frame_equal(read_jets(tmp_path / "jets.root"), JETS)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("suffix", ["npy", "npz"])
def test_the_columns_of_two_dimensions_are_named_by_options(suffix: str, order: Any, tmp_path: Path) -> None:
    path, rows = tmp_path / f"jets.{suffix}", np.asarray(JETS.to_numpy(np.float64), order=order)
    np.save(path, rows) if suffix == "npy" else save(path, data=rows)
    with pytest.raises(JetError, match=r"missing columns .*those there are: .*0, 1, 2, 3, 4"):
        read_jets(path, unit="GeV")
    for options in (["--read", f"names={NAMES}"], ["--columns", "event=0,m=1,pt=2,phi=3,eta=4"]):
        arguments = ["convert", str(path), str(tmp_path / "jets.root"), "--unit", "GeV", "--force"]
        assert main([*arguments, *options]) == 0
        pd.testing.assert_frame_equal(read_jets(tmp_path / "jets.root"), JETS)
    with pytest.raises(JetError, match="names: no array has as many columns as 'm,pt' names"):
        read_jets(path, read={"names": "m,pt"})


def test_names_in_an_archive_are_those_of_its_table(tmp_path: Path) -> None:
    save(tmp_path / "jets.npz", jet_columns=np.array(NAMES.split(",")), x=JETS.to_numpy(np.float64), weights=np.ones(7))
    pd.testing.assert_frame_equal(read_jets(tmp_path / "jets.npz", unit="GeV"), JETS)


def test_of_several_tables_the_key_picks_one(tmp_path: Path) -> None:
    rows = JETS.to_numpy(np.float64)
    save(tmp_path / "jets.npz", train=rows, test=rows[:2])
    assert len(read_jets(tmp_path / "jets.npz", unit="GeV", read={"key": "test", "names": NAMES})) == 2
    with pytest.raises(JetError, match="key: nothing is called 'valid'; there are train, test"):
        read_jets(tmp_path / "jets.npz", read={"key": "valid", "names": NAMES})


@pytest.mark.parametrize("stem", ["plain", "compressed"])
def test_an_array_that_is_not_needed_does_no_harm(stem: str, tmp_path: Path) -> None:
    path = tmp_path / f"{stem}.npz"
    columns: dict[str, Any] = {str(name): JETS[name].to_numpy() for name in JETS}
    save(path, **columns, objects=np.array([{}, []], object), scalar=3, cube=np.zeros((2, 2, 2)), text=np.array("a"))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("damaged.npy", b"\x93NUMPY\x01\x00 no header")
        archive.writestr("note.txt", "no array")
    pd.testing.assert_frame_equal(read_jets(path, unit="GeV"), JETS)
    save(path, **columns | {"pt": np.array([1, 2, None], object)})
    with pytest.raises(JetError, match="allow_pickle"):
        read_jets(path, unit="GeV")


def test_an_array_that_promises_more_than_there_is_is_damaged(tmp_path: Path) -> None:
    whole = io.BytesIO()
    np.save(whole, np.zeros((3, 5)))
    forged = whole.getvalue().replace(b"(3, 5)", b"(3000000000000, 5)".ljust(6))
    (tmp_path / "jets.npy").write_bytes(forged)
    with pytest.raises(JetError, match=r"jets\.npy: cannot be read as NumPy array"):
        read_jets(tmp_path / "jets.npy", read={"names": NAMES})
    with zipfile.ZipFile(tmp_path / "jets.npz", "w") as archive:
        archive.writestr("jets.npy", whole.getvalue().replace(b"(3, 5), ", b"(9, 5), "))
    with pytest.raises(JetError, match=r"the array jets has \d+ of 360 bytes"):
        read_jets(tmp_path / "jets.npz", unit="GeV", read={"names": NAMES})


@pytest.mark.parametrize(
    ("member", "message"),
    [
        ("c/zarr.json", r"a container of compressed jets; decompress it first \(`compressionhep decompress`\)"),
        ("archive/data.pkl", "what PyTorch saves"),
        ("jets.csv", r"a zip archive of jets\.csv; unpack it first"),
    ],
)
@pytest.mark.parametrize("suffix", [".zarr.zip", ".zip", ".npz", ""])
def test_a_zip_of_something_else_is_called_what_it_is(
    member: str, message: str, suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with zipfile.ZipFile(tmp_path / f"jets{suffix}", "w") as archive:
        archive.writestr(member, "{}")
    with pytest.raises(JetError, match=message):
        read_jets(tmp_path / f"jets{suffix}")
