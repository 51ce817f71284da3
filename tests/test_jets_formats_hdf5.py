"""HDF5 files that people and programs write: tables of pandas, of two dimensions, compressed ones."""

import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest

from utils.cli import main
from utils.jets import JetError, feature_array, make_table, read_jets

JETS = make_table([5, 4, 0.25], [50.5, 30, 40], [0.5, -3, 1], [0, 1.25, -2], [1001, 1001, 1002])

NAMES = ["event", "m", "pt", "phi", "eta"]


def rows() -> np.ndarray:
    return JETS.to_numpy(np.float64)


def write_fixed(path: Path, key: str = "df", **index: np.ndarray) -> None:
    """As `to_hdf(key=key)` writes: blocks of columns with their names, and an index of one or several levels."""
    columns = JETS.drop(columns=list(index))
    with h5py.File(path, "w") as file:
        group = file.create_group(key)
        group.attrs["pandas_type"] = np.bytes_("frame")
        for i, kind in enumerate(("f", "i")):
            names = [name for name in columns if columns[name].dtype.kind == kind]
            if names:
                group[f"block{i}_items"] = np.array(names, "S5")
                group[f"block{i}_values"] = columns[names].to_numpy()
        group["block9_items"] = np.array(["tag"], "S3")
        group.create_dataset("block9_values", (1,), h5py.vlen_dtype(np.uint8))
        if len(index) < 2:
            (name, values), *_ = [*index.items(), ("N.", np.arange(3))]
            group["axis1"] = values
            group["axis1"].attrs["name"] = np.bytes_(name)
        else:
            group.attrs["axis1_nlevels"] = len(index)
            for i, (name, values) in enumerate(index.items()):
                group[f"axis1_level{i}"], group[f"axis1_label{i}"] = np.unique(values, return_inverse=True)
                group[f"axis1_level{i}"].attrs["name"] = np.bytes_(name)


def write_records(path: Path, key: str = "df", index: str | None = None, data_columns: tuple[str, ...] = ()) -> None:
    """As `to_hdf(key=key, format="table")` writes: records in which numbers of one type stand together."""
    names = [name for name in NAMES if name not in (index, *data_columns)]
    floats, whole = ([name for name in names if (name == "event") == wanted] for wanted in (False, True))
    blocks = [(f"values_block_{i}", block) for i, block in enumerate(filter(None, (whole, floats)))]
    kinds: list[Any] = [("index", "i8")]
    kinds += [(key, "i8" if "event" in block else "f8", (len(block),)) for key, block in blocks]
    kinds += [(name, "i8" if name == "event" else "f8") for name in data_columns]
    table = np.zeros(3, kinds)
    table["index"] = JETS[index] if index else np.arange(3)
    for block_key, block in blocks:
        table[block_key] = JETS[block]
    for name in data_columns:
        table[name] = JETS[name]
    with h5py.File(path, "w") as file:
        group = file.create_group(key)
        group.attrs["pandas_type"] = np.bytes_("frame_table")
        info = {1: {"names": [None]}, "index": {"index_name": index} if index else {}}
        group.attrs["info"] = np.bytes_(pickle.dumps(info, 0))
        group["table"] = table
        for name, block in (*blocks, *((name, [name]) for name in data_columns)):
            group["table"].attrs[f"{name}_kind"] = np.bytes_(pickle.dumps(block, 0))
        file[f"{key}/_i_table/index/sorted"] = np.zeros((0, 4))


def write_table(path: Path, dataset: str = "data", beside: Callable[[h5py.File], object] = lambda file: None) -> None:
    with h5py.File(path, "w") as file:
        file[dataset] = rows()
        beside(file)


def name_in_attribute(key: str, names: Any) -> Callable[[h5py.File], object]:
    return lambda file: file["data"].attrs.update({key: names})


TABLES: dict[str, Callable[[Path], object]] = {
    "pandas, fixed": write_fixed,
    "pandas, another key": lambda path: write_fixed(path, "some/sample"),
    "pandas, an index": lambda path: write_fixed(path, event=JETS["event"].to_numpy()),
    "pandas, levels of an index": lambda path: write_fixed(
        path, event=JETS["event"].to_numpy(), m=JETS["m"].to_numpy()
    ),
    "pandas, table": write_records,
    "pandas, table with an index": lambda path: write_records(path, index="event"),
    "pandas, table with data columns": lambda path: write_records(path, data_columns=("event", "pt")),
    "records": lambda path: h5py.File(path, "w").create_dataset(
        "table", data=pd.DataFrame(JETS).to_records(index=False)
    ),
    "names in an attribute": lambda path: write_table(path, beside=name_in_attribute("columns", NAMES)),
    "names as bytes": lambda path: write_table(path, beside=name_in_attribute("FEATURES", np.array(NAMES, "S5"))),
    "names with commas": lambda path: write_table(path, beside=name_in_attribute("labels", ", ".join(NAMES))),
    "names in a dataset": lambda path: write_table(
        path, beside=lambda file: file.create_dataset("featureNames", data=np.array(NAMES, "S9"))
    ),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_is_read_without_an_option(name: str, tmp_path: Path) -> None:
    TABLES[name](tmp_path / "jets.h5")
    assert main(["convert", str(tmp_path / "jets.h5"), str(tmp_path / "jets.root"), "--unit", "GeV"]) == 0
    pd.testing.assert_frame_equal(read_jets(tmp_path / "jets.root"), JETS)


def test_the_columns_of_a_table_without_names_are_named_by_options(tmp_path: Path) -> None:
    write_table(tmp_path / "jets.h5", "some/data")
    with pytest.raises(JetError, match=r"missing columns .*those there are: some/data, 0, 1, 2, 3, 4"):
        read_jets(tmp_path / "jets.h5", unit="GeV")
    for options in (
        ["--read", f"names={','.join(NAMES)}"],
        ["--read", f"names={','.join(NAMES)}", "--read", "key=some"],
        ["--columns", "event=0,m=1,pt=2,phi=3,eta=4"],
    ):
        arguments = ["convert", str(tmp_path / "jets.h5"), str(tmp_path / "jets.root"), "--unit", "GeV", "--force"]
        assert main([*arguments, *options]) == 0
        pd.testing.assert_frame_equal(read_jets(tmp_path / "jets.root"), JETS)
    with pytest.raises(JetError, match="names: no array has as many columns as 'm,pt' names"):
        read_jets(tmp_path / "jets.h5", read={"names": ["m", "pt"]})
    with pytest.raises(JetError, match="key: nothing is called 'other'; there are some/data"):
        read_jets(tmp_path / "jets.h5", read={"key": "other"})


def test_of_several_tables_one_is_named(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "jets.h5", "w") as file:
        for factor, key in ((1, "train"), (2, "test")):
            for name in NAMES:
                file[f"{key}/{name}"] = JETS[name].to_numpy() * (factor if name == "pt" else 1)
    with pytest.raises(JetError, match=r"choose one with --collection .*: test, train"):
        read_jets(tmp_path / "jets.h5", unit="GeV")
    assert read_jets(tmp_path / "jets.h5", unit="GeV", collection="test")["pt"].tolist() == [101, 60, 80]
    pd.testing.assert_frame_equal(read_jets(tmp_path / "jets.h5", unit="GeV", read={"key": "/train"}), JETS)


@pytest.mark.parametrize("write", [write_fixed, write_records])
@pytest.mark.parametrize("key", ["electrons", "my_muons", "tracks", "GenParticles", "fatjets"])
def test_a_table_of_other_objects_is_not_taken_for_jets(
    key: str, write: Callable[[Path, str], object], tmp_path: Path
) -> None:
    write(tmp_path / "jets.h5", key)
    with pytest.raises(JetError, match=rf"no collection is called jets.*: {key}"):
        read_jets(tmp_path / "jets.h5", unit="GeV")
    pd.testing.assert_frame_equal(read_jets(tmp_path / "jets.h5", unit="GeV", collection=key), JETS)


def test_a_pickle_among_the_names_runs_nothing(tmp_path: Path) -> None:
    write_records(tmp_path / "jets.h5")
    victim = tmp_path / "victim"
    with h5py.File(tmp_path / "jets.h5", "r+") as file:
        command = b"cposix\nsystem\n(S'touch " + str(victim).encode() + b"'\ntR."
        file["df/table"].attrs["values_block_1_kind"] = np.bytes_(command)
    with pytest.raises(JetError, match="missing columns"):
        read_jets(tmp_path / "jets.h5", unit="GeV")
    assert not victim.exists()


def write_columns(path: Path, **options: Any) -> None:
    with h5py.File(path, "w") as file:
        for name in NAMES:
            file.create_dataset(name, data=JETS[name].to_numpy(), chunks=(3,), **options)


@pytest.mark.parametrize("code", [307, 32001, 32004, 32008, 32015, 32026])
def test_a_compression_that_an_extra_brings_is_read_and_without_it_the_extra_is_named(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("hdf5plugin")
    assert h5py.h5z.filter_avail(code)
    write_columns(tmp_path / "jets.h5", compression=code)
    pd.testing.assert_frame_equal(read_jets(tmp_path / "jets.h5", unit="GeV"), JETS)
    monkeypatch.setattr(h5py.h5z, "filter_avail", lambda found: found != code)
    monkeypatch.setitem(sys.modules, "hdf5plugin", None)
    message = rf'dataset pt is compressed with \w+ \(HDF5 filter {code}\); .*clone: pip install -e "\.\[hdf5\]"$'
    with pytest.raises(JetError, match=message):
        read_jets(tmp_path / "jets.h5", unit="GeV")


def spoil(path: Path, how: str, *names: str) -> None:
    """Make datasets of a file ones that cannot be read, or must not."""
    with h5py.File(path, "r+") as file:
        for name in names:
            if name in file:
                del file[name]
            if how == "external":
                (path.parent / "raw").write_bytes(bytes(24))
                file.create_dataset(name, (3,), "f8", external=[(path.parent / "raw", 0, 24)])
            elif how == "virtual":
                layout = h5py.VirtualLayout((3,), "f8")
                layout[:] = h5py.VirtualSource(path.parent / "missing.h5", "x", (3,))
                file.create_virtual_dataset(name, layout)
            elif how == "unknown filter":
                settings = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
                settings.set_chunk((3,))
                settings.set_filter(305, h5py.h5z.FLAG_OPTIONAL, ())
                space = h5py.h5s.create_simple((3,))
                h5py.h5d.create(file.id, name.encode(), h5py.h5t.IEEE_F64LE, space, settings)
            else:
                settings = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
                h5py.h5d.create(file.id, name.encode(), h5py.h5t.UNIX_D32LE, h5py.h5s.create_simple((3,)), settings)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("external", "dataset phi takes its values from other files, and no other files are read"),
        ("virtual", "dataset phi takes its values from other files, and no other files are read"),
        ("unknown filter", r"dataset phi is compressed with .* \(HDF5 filter 305\)"),
        ("a type of no number", "missing columns phi"),
    ],
)
def test_what_cannot_be_read_is_refused_where_it_is_needed_alone(how: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "jets.h5"
    write_columns(path)
    spoil(path, how, "other", "more")
    pd.testing.assert_frame_equal(read_jets(path, unit="GeV"), JETS)
    spoil(path, how, "phi")
    with pytest.raises(JetError, match=message):
        read_jets(path, unit="GeV")
    assert main(["convert", str(path), str(tmp_path / "out.csv")]) == 2


def test_two_dimensions_called_jets_may_be_events(tmp_path: Path) -> None:
    """A list of fixed length for each event, as before."""
    with h5py.File(tmp_path / "jets.h5", "w") as file:
        for i, name in enumerate(("m", "pt", "phi", "eta")):
            file[f"jet_{name}"] = np.tile(feature_array(JETS)[:2, i], (4, 1))
    assert read_jets(tmp_path / "jets.h5", unit="GeV")["event"].tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
