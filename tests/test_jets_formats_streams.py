"""Files that were made to fill memory or time: refused by what they hold in proportion to their size."""

import gzip
import json
import os
import pickle
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import uproot
from pandas._libs.internals import _unpickle_block
from pandas.core.internals.managers import BlockManager

from utils.cli import main
from utils.files import ChangedError
from utils.jets import JetError, iter_jets, read_jets, read_pickled_table

NAMES = ("event", "m", "pt", "phi", "eta")

HEADER = ",".join(NAMES) + "\n"

READER = """
import json, resource, sys, warnings
from utils.jets import JetError, read_jets
warnings.simplefilter("ignore")
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 2**30, used + 2**30))
resource.setrlimit(resource.RLIMIT_CPU, (300, 300))
said = {}
for name in sys.argv[1:]:
    try:
        said[name] = str(len(read_jets(name)))
    except JetError as error:
        said[name] = str(error)
print(json.dumps(said))
"""
"""Reads files one after the other in a GiB of memory and some minutes, and prints their number of jets or the error."""


def zeros(lines: int, length: int) -> bytes:
    return HEADER.encode() + (b"1,5,50,0,0." + b"0" * length + b"\n") * lines


def write_compressed(compress: Callable[[bytes], bytes]) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(compress(zeros(1000, 10**5)))


def write_archive(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in NAMES:
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.zeros(20_000_000, np.float64 if name == "pt" else np.int8))


def write_datasets(shape: tuple[int, ...], chunks: tuple[int, ...]) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with h5py.File(path, "w") as file:
            for name in NAMES:
                file.create_dataset(name, shape, "f8", chunks=chunks, maxshape=(None,), compression="gzip", fillvalue=1)

    return write


def write_repeated(path: Path) -> None:
    table = pa.table({name: pa.repeat(pa.scalar(1, pa.int8()), 10_000_000) for name in NAMES})
    pq.write_table(table, path, use_dictionary=True)


def pickled(change: Callable[[pd.DataFrame], object], old: bytes = b"", new: bytes = b"") -> Callable[[Path], object]:
    table = pd.DataFrame({i: [20.0 + i] for i in range(4)})
    table.columns = pd.RangeIndex(4)
    change(table)
    content = pickle.dumps(table, protocol=4)
    assert not old or content.count(old) == 1
    content = content.replace(old, new) if old else content
    return lambda path: path.write_bytes(content)


def nest(table: pd.DataFrame) -> None:
    """Lists of the same list twice, 60 deep: a few hundred bytes of pickle, 10^18 values."""
    content: list[Any] = [1]
    for _ in range(60):
        content = [content, content]
    table.attrs["note"] = content


class Recorded:
    """Pickles as a call, with the state that is set afterwards."""

    def __init__(self, function: Any, *arguments: Any, state: Any = None) -> None:
        self.call = (function, arguments, state)

    def __reduce__(self) -> Any:
        return self.call


def write_shared_blocks(path: Path) -> None:
    """A thousand columns that are one and the same array."""
    values = np.arange(100_000.0).reshape(1, -1)
    blocks = [Recorded(_unpickle_block, values, slice(i, i + 1), 2) for i in range(1000)]
    axes = [pd.Index([f"c{i}" for i in range(1000)], dtype=object), pd.RangeIndex(100_000)]
    manager = Recorded(BlockManager, tuple(blocks), axes)
    path.write_bytes(pickle.dumps(Recorded(pd.DataFrame, state={"_mgr": manager}), protocol=4))


def wide(names: Callable[[int], str]) -> Callable[[Path], object]:
    """A table of 40,000 columns beside those of jets."""
    columns = ",".join(map(names, range(40_000)))
    rows = "".join(f"{event},5,50,0.1,0.2{',1' * 40_000}\n" for event in range(3))
    return lambda path: path.write_text(f"{HEADER.strip()},{columns}\n{rows}")


LIFTED = r"more than 200 times as much, .*--read ratio=N \(read= in Python\) lifts it"

HOSTILE: dict[str, tuple[Callable[[Path], object], str]] = {
    "gzip.csv.gz": (write_compressed(gzip.compress), LIFTED),
    "zstd.csv.zst": (write_compressed(lambda text: pa.compress(text, "zstd", asbytes=True)), LIFTED),
    "one line.csv.gz": (
        lambda path: path.write_bytes(gzip.compress(zeros(1, 40_000_000))),
        "line 2: more than 16,777,216 characters",
    ),
    "archive.npz": (write_archive, f"the array pt holds 160 MB .*{LIFTED}"),
    "unwritten.h5": (write_datasets((10**9,), (1000,)), f"dataset pt holds 8.00 GB .*{LIFTED}"),
    "chunk.h5": (write_datasets((10,), (5 * 10**7,)), f"dataset pt holds 400 MB .*{LIFTED}"),
    "repeated.parquet": (write_repeated, LIFTED),
    "columns.pkl": (
        pickled(
            lambda table: None, b"\x8c\x04stop\x94K\x04", b"\x8c\x04stop\x94\x8a\x05" + (10**10).to_bytes(5, "little")
        ),
        "columns from 0 to 10000000000 are more than the file has room for",
    ),
    "nested.pkl": (pickled(nest), "missing columns"),
    "shared.pkl": (write_shared_blocks, "more than 200 times as large as the file"),
    "plain names.csv": (wide(lambda i: f"c{i}"), "3"),
    "events.csv": (wide(lambda i: f"a{i}.event"), "3"),
    "collections.csv": (wide(lambda i: f"FatJet{i // 4}x_{('pt', 'eta', 'phi', 'mass')[i % 4]}"), "3"),
    "a long name.csv": (lambda path: path.write_text(f"{HEADER.strip()},{'phi ' * 32_000}m\n1,5,50,0,0,1\n"), "1"),
    "brackets.csv": (lambda path: path.write_text(f"{HEADER.strip()},{'[_/.' * 32_000}m\n1,5,50,0,0,1\n"), "1"),
    "slots.csv": (lambda path: path.write_text(f"{HEADER.strip()},jet{'9' * 100_000}_pt\n1,5,50,0,0,1\n"), "1"),
    "blanks.csv": (lambda path: path.write_text(f"{HEADER}1,5,50,{' ' * 2_000_000}0,0\n"), "1"),
}


def test_no_file_takes_more_memory_or_time_than_is_due_to_its_size(tmp_path: Path) -> None:
    for name, (write, _) in HOSTILE.items():
        write(tmp_path / name)
    files = [str(tmp_path / name) for name in HOSTILE]
    done = subprocess.run([sys.executable, "-c", READER, *files], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    said = json.loads(done.stdout)
    for name, (_, expected) in HOSTILE.items():
        found = said[str(tmp_path / name)]
        assert pd.Series([found]).str.contains(f"^{expected}$" if expected.isdecimal() else expected).all(), (
            name,
            found,
        )


def test_the_limit_is_lifted_by_its_option(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("utils.jets.formats.streams.FREE_BYTES", 0)
    (tmp_path / "jets.csv.gz").write_bytes(gzip.compress(zeros(3, 10_000)))
    write_datasets((10_000,), (10_000,))(tmp_path / "jets.h5")
    with uproot.recreate(tmp_path / "jets.root", compression=uproot.LZMA(9)) as file:
        columns = {
            name: np.full(10_000, value) for name, value in (("m", 5.0), ("pt", 50.0), ("phi", 0.1), ("eta", 0.2))
        }
        file.mkrntuple("jets", columns)
    for name in ("jets.csv.gz", "jets.h5", "jets.root"):
        arguments = ["convert", str(tmp_path / name), str(tmp_path / f"{name}.root"), "--unit", "GeV", "--read"]
        assert main([*arguments, "ratio=2"]) == 2
        assert main([*arguments, "ratio=100000"]) == 0


@pytest.mark.parametrize("kind", ["device", "pipe", "folder"])
def test_what_is_no_file_is_called_so(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "jets.csv" if kind != "device" else Path("/dev/zero")
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    (tmp_path / "good.csv").write_text(HEADER + "1,5,50,0,0\n")
    name, out = str(path), str(tmp_path / "out.root")
    for arguments in (
        ["info", name],
        ["convert", name, out],
        ["compress", name, str(tmp_path / "out.zarr.zip")],
        ["evaluate", name, "--model", "models/AE_3D_200_tanh_custom_norm.safetensors"],
        ["evaluate", str(tmp_path / "good.csv"), "--model", name],
    ):
        assert main(arguments) == 2, arguments
        line = capsys.readouterr().err.splitlines()[-1]
        assert line.startswith("compressionhep: error: ")
        assert name in line
    assert not Path(out).exists()
    with pytest.raises(JetError, match="a folder, a pipe or a device; expected a pandas pickle"):
        read_pickled_table(path)


def write_good(path: Path, rows: int = 150_000) -> None:
    """A file of several blocks, in the format of its suffix."""
    table = pd.DataFrame({"event": np.arange(rows), "m": 5.0, "pt": 50.0, "phi": 0.1, "eta": 0.2})
    match path.suffix:
        case ".csv":
            table.to_csv(path, index=False)
        case ".parquet":
            table.to_parquet(path)
        case ".npz":
            columns: dict[str, Any] = {str(name): table[name].to_numpy() for name in table}
            np.savez(path, **columns)
        case _:
            with h5py.File(path, "w") as file:
                for name in table:
                    file[str(name)] = table[name].to_numpy()


@pytest.mark.parametrize("change", ["replaced", "grown", "gone"])
@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".npz", ".h5"])
def test_a_file_that_changes_while_it_is_read_is_refused(suffix: str, change: str, tmp_path: Path) -> None:
    path, other = tmp_path / f"jets{suffix}", tmp_path / f"other{suffix}"
    write_good(path)
    write_good(other, 140_000)
    stream = iter_jets(path, chunk_jets=10_000, unit="GeV")
    next(stream)
    if change == "replaced":
        other.replace(path)
    elif change == "grown":
        with path.open("ab") as file:
            file.write(b"150000,5,50,0.1,0.2\n")
    else:
        path.unlink()
    with pytest.raises(ChangedError, match=rf"jets\{suffix}: it was written to, or replaced, while it was read"):
        sum(len(table) for table in stream)
    if change == "replaced":
        assert len(read_jets(path, unit="GeV")) == 140_000
