"""The sample with columns as a ROOT file: its tree, its types and titles, the same bytes each time."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import uproot

from utils.files import sha256_of
from utils.jets import JET_WISE, embedded_columns, read_jets
from utils.trees import open_trees, slim, write_sample_tree


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """The jets of every other of some events around a border of luminosity blocks."""
    jets = embedded_columns()
    return jets[jets["event"].between(980, 1020) & (jets["event"] % 2 == 0)]


@pytest.fixture(scope="module")
def path(table: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sample") / "jets.root"
    write_sample_tree(path, table)
    return path


def test_every_column_comes_back_bit_for_bit_as_a_branch_with_its_title(path: Path, table: pd.DataFrame) -> None:
    types = {"float32": "float[]", "uint8": "uint8_t[]"}
    with uproot.open(path) as file:
        events = file["Events"]
        for column in JET_WISE:
            branch = events[f"Jet_{column.name}"]
            assert branch.typename == types[column.dtype]
            assert branch.title == column.meaning + ("" if column.unit == "-" else f" [{column.unit}]")
            assert branch.count_branch.name == "nJet"
            values = branch.array()
            assert np.asarray(values.layout.content.data).tobytes() == table[column.name].to_numpy().tobytes()
            assert values.layout.offsets.data[1:].tolist() == np.cumsum(table.groupby("event").size()).tolist()


def test_an_entry_is_an_event_with_its_numbers_as_in_nanoaod(path: Path, table: pd.DataFrame) -> None:
    with uproot.open(path) as file:
        events = file["Events"].arrays(["run", "luminosityBlock", "event", "genWeight", "nJet"], library="pd")
    assert [str(kind) for kind in events.dtypes] == ["uint32", "uint32", "uint64", "float32", "int32"]
    first = table.groupby("event").first()
    assert events["event"].tolist() == first.index.tolist()
    assert np.array_equal(events["genWeight"], first["genWeight"])
    assert set(events["run"]) == {1}
    assert set(events.loc[events["event"] < 1000, "luminosityBlock"]) == {1}
    assert set(events.loc[events["event"] >= 1000, "luminosityBlock"]) == {2}


def test_the_same_jets_give_the_same_bytes(path: Path, table: pd.DataFrame, tmp_path: Path) -> None:
    write_sample_tree(tmp_path / "another.root", table)
    assert sha256_of(tmp_path / "another.root") == sha256_of(path)


def test_the_sample_that_is_shipped_is_the_default(tmp_path: Path) -> None:
    write_sample_tree(tmp_path / "jets.root")
    with open_trees(tmp_path / "jets.root") as file:
        (tree,) = file.trees
        shipped = embedded_columns()
        assert tree.entries == shipped["event"].nunique()
        assert len(tree.collections["Jet"]) == len(JET_WISE)
    assert read_jets(tmp_path / "jets.root")["pt"].equals(shipped["pt"])


def test_a_bound_in_a_unit_of_energy_finds_that_of_the_branches(path: Path, tmp_path: Path) -> None:
    (tmp_path / "policy.toml").write_text('[[rules]]\nbranches = ["Jet_mass"]\nbound = "10MeV"\n')
    slim(path, tmp_path / "out.root", tmp_path / "policy.toml")
    with uproot.open(path) as one, uproot.open(tmp_path / "out.root") as other:
        error = np.abs(other["Events/Jet_mass"].array() - one["Events/Jet_mass"].array())
        assert 0 < np.max(error) <= 0.01


def test_a_table_without_jets_is_a_tree_without_events(table: pd.DataFrame, tmp_path: Path) -> None:
    write_sample_tree(tmp_path / "none.root", table.head(0))
    with uproot.open(tmp_path / "none.root") as file:
        assert file["Events"].num_entries == 0
