"""Files that physicists have: read where they can be, refused in clear words where not."""

import gzip
import re
import threading
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import awkward as ak
import fsspec
import h5py
import numpy as np
import pandas as pd
import pytest
import uproot
from fsspec.implementations.memory import MemoryFile

from tests.fuzz.inputs import FORMATS, damage, example_table, outcome_of, write_event_lines, write_rntuple, write_ttree
from tests.public_files import public_file
from utils.cli import main
from utils.jets import (
    COLUMNS,
    JetError,
    JetWarning,
    concat_tables,
    event_counts,
    feature_array,
    format_summary,
    iter_jets,
    load_sample,
    make_table,
    number_of_events,
    read_jets,
    summarize_jets,
    write_jets,
)
from utils.jets.formats.finding import choose_columns
from utils.jets.formats.layouts import Options

PT, ETA, PHI, M = [[50, 30], [], [40]], [[0, 1], [], [-2]], [[0.5, -3], [], [1]], [[5, 4], [], [0]]
"""Three events: two jets, none, one."""

JETS = make_table([5, 4, 0], [50, 30, 40], [0.5, -3, 1], [0, 1, -2], [0, 0, 2], [1])


def same_jets(found: pd.DataFrame, expected: pd.DataFrame) -> bool:
    """Whether two tables hold the same jets exactly, and the same events."""
    return close_to(found, expected, 0)


def lists(values: Any, factor: float = 1) -> ak.Array:
    return ak.values_astype(ak.Array(values) * factor, np.float32)


def close_to(found: pd.DataFrame, expected: pd.DataFrame, tolerance: float = 1e-6, events: bool = True) -> bool:
    """Whether two tables have the same events, and jets that agree within float32 rounding."""
    same = all(np.array_equal(a, b) for a, b in zip(event_counts(found), event_counts(expected), strict=True))
    return (same or not events) and np.allclose(found, expected, rtol=tolerance, atol=tolerance)


def write_tree(path: Path, name: str, branches: dict[str, Any]) -> None:
    with uproot.recreate(path) as file:
        tree = file.mktree(name, {key: _branch_type(values) for key, values in branches.items()})
        tree.extend(branches)


def _branch_type(values: Any) -> Any:
    return values.type.content if isinstance(values, ak.Array) else values.dtype


# The real files


def test_the_jets_of_cms_open_data() -> None:
    table = read_jets(public_file("nanoAOD_2015_CMS_Open_Data_ttbar.root"))
    _, counts = event_counts(table)
    assert (len(table), len(counts), np.count_nonzero(counts == 0), counts.max()) == (537, 200, 14, 11)
    assert (table["pt"].min(), table["pt"].max()) == (15.0078125, 330.25)
    assert table["m"].min() == np.float32(-0.0195465087890625)
    assert len(read_jets(public_file("nanoAOD_2015_CMS_Open_Data_ttbar.root"), collection="FatJet")) == 2


def test_the_cartesian_jets_of_hzz() -> None:
    table = read_jets(public_file("uproot-HZZ.root"))
    tree = uproot.open(public_file("uproot-HZZ.root"))["events"]
    px, py, energy = (ak.flatten(tree[name].array()).to_numpy() for name in ("Jet_Px", "Jet_Py", "Jet_E"))
    _, counts = event_counts(table)
    assert (len(table), len(counts), np.count_nonzero(counts == 0)) == (2773, 2421, 716)
    assert np.allclose(table["pt"], np.hypot(px, py), rtol=1e-6)
    assert np.allclose(np.hypot(table["m"], table["pt"] * np.cosh(table["eta"])), energy, rtol=1e-5)


def test_the_event_lines_of_darkmachines() -> None:
    path = public_file("monojet_Zp2000.0_DM_50.0_chan3.csv")
    with pytest.warns(JetWarning, match=r"23 jets with E\^2 < p\^2 by rounding: m = 0"):
        table = read_jets(path)
    assert (len(table), number_of_events(table)) == (22661 + 718, 6399)
    assert int((table["m"] == 0).sum()) == 23
    assert table[["pt", "eta", "phi"]].to_numpy()[0].tolist() == pytest.approx([824.498, -0.523103, 1.64421], rel=1e-6)
    assert table.loc[0, "m"] == pytest.approx(np.sqrt(947.383**2 - (824.498 * np.cosh(0.523103)) ** 2), rel=1e-4)
    with pytest.warns(JetWarning):
        assert len(read_jets(path, collection="g")) == 92


# ROOT


def test_physlite_branches_are_read_in_mev_with_their_event_numbers(tmp_path: Path) -> None:
    branches = {"pt": lists(PT, 1e3), "eta": lists(ETA), "phi": lists(PHI), "m": lists(M, 1e3)}
    for separator in (".", ":"):
        names = {f"AnalysisJetsAuxDyn{separator}{key}": values for key, values in branches.items()}
        names |= {f"AnalysisLargeRJetsAuxDyn{separator}{key}": values for key, values in branches.items()}
        names[f"EventInfoAuxDyn{separator}eventNumber"] = np.array([7, 8, 9], np.uint64)
        with uproot.recreate(tmp_path / "a.root") as file:
            if separator == ".":
                tree = file.mktree("CollectionTree", {key: _branch_type(values) for key, values in names.items()})
                tree.extend(names)
            else:
                file.mkrntuple("EventData", names)
        table = read_jets(tmp_path / "a.root")
        assert event_counts(table)[0].tolist() == [7, 8, 9]
        assert close_to(table.assign(event=JETS["event"]), JETS, events=False)


def test_the_one_trigger_container_is_found_and_its_momentum_states_left_alone(tmp_path: Path) -> None:
    container = "HLT_xAOD__JetContainer_a4tcemsubjesISFSAuxDyn."
    branches = {
        f"{container}{key}": lists(values, factor)
        for key, values, factor in (("pt", PT, 1e3), ("eta", ETA, 1), ("phi", PHI, 1), ("m", M, 1e3))
    }
    states = {name.replace("AuxDyn.", "AuxDyn.JetEMScaleMomentum_"): values for name, values in branches.items()}
    write_tree(tmp_path / "a.root", "CollectionTree", branches | states)
    assert close_to(read_jets(tmp_path / "a.root"), JETS)
    assert summarize_jets(tmp_path / "a.root")["files"][0]["unit"] == "MeV"


def test_cartesian_branches_give_the_same_jets(tmp_path: Path) -> None:
    pt, eta, phi, m = (ak.Array(values) for values in (PT, ETA, PHI, M))
    px, py, pz = pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)
    energy = np.sqrt(px**2 + py**2 + pz**2 + m**2)
    names = {"Jet_Px": px, "Jet_Py": py, "Jet_Pz": pz, "Jet_E": energy}
    write_tree(tmp_path / "a.root", "events", names)
    assert close_to(read_jets(tmp_path / "a.root"), JETS, 1e-5)


def test_a_flat_tree_has_a_jet_per_entry(tmp_path: Path) -> None:
    columns = {name: JETS[name].to_numpy() for name in COLUMNS}
    write_tree(tmp_path / "a.root", "jets", columns)
    assert read_jets(tmp_path / "a.root").equals(JETS)


@pytest.mark.parametrize("write", [write_ttree, write_rntuple])
def test_ttree_and_rntuple_give_the_same_jets(write: Callable[[Path, pd.DataFrame], None], tmp_path: Path) -> None:
    write(tmp_path / "a.root", example_table())
    assert close_to(read_jets(tmp_path / "a.root"), example_table(), 0)


def test_several_collections_or_trees_are_listed_and_chosen_by_name(tmp_path: Path) -> None:
    branches = {
        f"{name}_{key}": lists(values)
        for name in ("AK4Jets", "AK8Jets", "Muon")
        for key, values in (("pt", PT), ("eta", ETA), ("phi", PHI), ("mass", M))
    }
    path = tmp_path / "a.root"
    write_tree(path, "t", branches)
    with pytest.raises(JetError, match=r"several collections of jets; .*--collection.*: AK4Jets, AK8Jets"):
        read_jets(path)
    with pytest.raises(JetError, match="no collection 'Tau'; those there are: AK4Jets, AK8Jets, Muon"):
        read_jets(path, collection="Tau")
    assert close_to(read_jets(path, collection="Muon"), JETS)
    with uproot.update(path) as file:
        file.mktree("u", {key: _branch_type(values) for key, values in branches.items()}).extend(branches)
    with pytest.raises(JetError, match=r"several trees hold jets; .*--tree.*: t, u"):
        read_jets(path, collection="AK4Jets")
    with pytest.raises(JetError, match="no tree 'v'; those there are: t, u"):
        read_jets(path, tree="v")
    assert close_to(read_jets(path, collection="AK4Jets", tree="u"), JETS)


def test_electrons_are_not_taken_for_jets_unless_asked(tmp_path: Path) -> None:
    branches = {
        f"Electron_{key}": lists(values) for key, values in (("pt", PT), ("eta", ETA), ("phi", PHI), ("mass", M))
    }
    write_tree(tmp_path / "a.root", "Events", branches)
    with pytest.raises(JetError, match=r"no collection is called jets; .*: Electron"):
        read_jets(tmp_path / "a.root")


def test_event_numbers_that_repeat_are_replaced_by_counting(tmp_path: Path) -> None:
    branches = {f"Jet_{key}": lists(values) for key, values in (("pt", PT), ("eta", ETA), ("phi", PHI), ("mass", M))}
    write_tree(tmp_path / "a.root", "Events", branches | {"event": np.array([4, 5, 4])})
    with pytest.warns(JetWarning, match="event numbers repeat, so events are counted from 0"):
        assert close_to(read_jets(tmp_path / "a.root"), JETS)


# Tables


def write_structured_hdf5(path: Path) -> None:
    rows = np.zeros(3, [(name, "f4" if name != "event" else "i8") for name in COLUMNS])
    for name in COLUMNS:
        rows[name] = JETS[name]
    with h5py.File(path, "w") as file:
        file["jets"] = rows


def write_grouped_hdf5(path: Path) -> None:
    with h5py.File(path, "w") as file:
        for name in COLUMNS:
            file[f"reco/jets/{name}"] = JETS[name].to_numpy()


def write_structured_npz(path: Path) -> None:
    np.savez(path, jets=pd.DataFrame(JETS).to_records(index=False))


def write_semicolons(path: Path) -> None:
    pd.DataFrame(JETS).to_csv(path, sep=";", index=False)


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("a.h5", write_structured_hdf5),
        ("a.h5", write_grouped_hdf5),
        ("a.npz", write_structured_npz),
        ("a.tsv", lambda path: pd.DataFrame(JETS).to_csv(path, sep="\t", index=False)),
        ("a.csv", write_semicolons),
        ("a.csv.gz", lambda path: pd.DataFrame(JETS).assign(tag="b").to_csv(path, index=False)),
        ("a.parquet", lambda path: pd.DataFrame(JETS).to_parquet(path)),
        ("a.pkl", lambda path: pd.DataFrame(JETS).to_pickle(path)),
        ("été 2015 [1].csv", lambda path: pd.DataFrame(JETS).to_csv(path, index=False)),
        ("jets", lambda path: pd.DataFrame(JETS).to_csv(path, index=False)),
    ],
)
def test_a_table_of_columns_is_read_from_any_format(name: str, write: Callable[[Path], None], tmp_path: Path) -> None:
    write(tmp_path / name)
    table = read_jets(tmp_path / name)
    assert table.equals(JETS)
    assert number_of_events(table) == 2


def test_lists_of_numbers_or_of_records_in_parquet_are_events(tmp_path: Path) -> None:
    columns = {"pt": lists(PT), "eta": lists(ETA), "phi": lists(PHI), "mass": lists(M)}
    ak.to_parquet(
        ak.zip({f"Jet_{key}": values for key, values in columns.items()}, depth_limit=1), tmp_path / "a.parquet"
    )
    ak.to_parquet(ak.zip({"Jet": ak.zip(columns), "nothing": [1, 2, 3]}, depth_limit=1), tmp_path / "b.parquet")
    assert close_to(read_jets(tmp_path / "a.parquet"), JETS)
    assert close_to(read_jets(tmp_path / "b.parquet"), JETS)


def test_arrays_of_variable_length_in_hdf5_are_events(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name, values in (("pt", PT), ("eta", ETA), ("phi", PHI), ("m", M)):
            column = file.create_dataset(f"Jet_{name}", (3,), h5py.vlen_dtype(np.float32))
            for i, event in enumerate(values):
                column[i] = event
    assert close_to(read_jets(tmp_path / "a.h5"), JETS)


def test_tables_that_pandas_stores_in_hdf5_are_read_without_unpickling(tmp_path: Path) -> None:
    pytest.importorskip("tables")
    path = tmp_path / "a.h5"
    pd.DataFrame(JETS).to_hdf(path, key="fixed", format="fixed")
    assert read_jets(path, collection="fixed").equals(JETS)
    pd.DataFrame(JETS).to_hdf(path, key="columns", format="table", data_columns=True)
    assert read_jets(path, collection="columns").equals(JETS)
    pd.DataFrame(JETS).to_hdf(tmp_path / "b.h5", key="packed", format="table")
    with pytest.raises(JetError, match="column names of packed are pickled, and are not unpickled"):
        read_jets(tmp_path / "b.h5")


def test_objects_in_a_numpy_archive_are_never_unpickled(tmp_path: Path) -> None:
    columns: dict[str, Any] = {name: JETS[name].to_numpy().astype(object) for name in COLUMNS}
    np.savez(tmp_path / "a.npz", **columns)
    with pytest.raises(JetError, match=r"a\.npz.*allow_pickle"):
        read_jets(tmp_path / "a.npz")


# Event lines


LINE = "354;monojet;2.4e-05;832841;-1.2;b,60000,50000,0.1,0.5;g,2e4,8e3,1,1;j,1.06946e+06,1e6,0.2,-3;\n"


def test_event_lines_hold_jets_and_b_jets_in_mev_and_other_objects_on_demand(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(LINE + "354;monojet;1;1;1;\n" + LINE.replace(";\n", "\n"))
    table = read_jets(tmp_path / "a.csv")
    assert (table["event"].tolist(), table.attrs["empty_events"]) == ([0, 0, 2, 2], [1])
    assert table["pt"].tolist() == [50, 1000, 50, 1000]
    assert table.loc[0, "m"] == pytest.approx(np.sqrt(60**2 - (50 * np.cosh(0.1)) ** 2))
    assert read_jets(tmp_path / "a.csv", collection="g")["pt"].tolist() == [8, 8]
    with pytest.raises(JetError, match=r"a\.csv: no objects Jet in event lines; known: b, e\+, e-, g, j"):
        read_jets(tmp_path / "a.csv", collection="Jet")


def test_a_mass_hidden_by_rounding_is_zero_and_counted_and_a_lack_of_energy_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("1;p;1;1;1;j,49999.9,50000,0,0;\n")
    with pytest.warns(JetWarning, match=r"1 jets with E\^2 < p\^2 by rounding: m = 0"):
        assert read_jets(tmp_path / "a.csv")["m"].tolist() == [0]
    (tmp_path / "a.csv").write_text("1;p;1;1;1;j,49000,50000,0,0;\n")
    with pytest.raises(JetError, match=r"a\.csv: of 1 jets: less energy than momentum in 1 jets, rows 0"):
        read_jets(tmp_path / "a.csv")


# Samples of several files, near and far


def test_several_files_and_patterns_are_one_sample(tmp_path: Path) -> None:
    both = [tmp_path / "0.parquet", tmp_path / "1.parquet"]
    later = make_table([5, 4, 0], [50, 30, 40], [0.5, -3, 1], [0, 1, -2], [10, 10, 12], [11])
    for path, table in zip(both, (JETS, later), strict=True):
        write_jets(table, path)
    assert same_jets(read_jets(both), concat_tables([JETS, later]))
    assert same_jets(read_jets(tmp_path / "*.parquet"), read_jets(both))
    write_jets(JETS, tmp_path / "1.parquet")
    with pytest.warns(JetWarning, match="counted from 0"):
        table = read_jets(both)
    assert (table["event"].tolist(), table.attrs["empty_events"]) == ([0, 0, 2, 3, 3, 5], [1, 4])


def test_a_sample_may_be_several_files_or_a_pattern_and_is_split_by_event(tmp_path: Path) -> None:
    for seed in range(2):
        write_jets(example_table(seed=seed), tmp_path / f"{seed}.root")
    with pytest.warns(JetWarning, match="counted from 0"):
        sample = load_sample(str(tmp_path / "*.root"))
    parts = [sample.train, sample.valid, sample.test]
    assert sum(map(len, parts)) == 600
    assert not set(sample.test["event"]) & set(sample.train["event"]) | set(sample.valid["event"]) & set(
        sample.train["event"]
    )
    assert list(sample.source["sha256"]) == ["0.root", "1.root"]
    assert sum(map(number_of_events, parts)) == sum(number_of_events(example_table(seed=seed)) for seed in range(2))


@pytest.mark.parametrize("suffix", [".root", ".parquet", ".h5", ".csv"])
def test_remote_files_are_read_through_fsspec(suffix: str, tmp_path: Path) -> None:
    write_jets(JETS, tmp_path / f"a{suffix}")
    with fsspec.open(f"memory://jets/a{suffix}", "wb") as file:
        file.write((tmp_path / f"a{suffix}").read_bytes())
    table = read_jets(f"memory://jets/a{suffix}")
    assert same_jets(table, JETS)
    with pytest.raises(JetError, match=r"memory://jets/none\.root: no such file"):
        read_jets("memory://jets/none.root")


# What is refused


def test_text_is_read_in_the_thread_that_asks_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another thread would go on reading behind an error, and abort the process where that ends meanwhile."""
    rows = [f"{event},5,50,0.1,0.2\n" for event in range(300_000)]
    with fsspec.open("memory://jets/long.csv", "wb") as file:
        file.write((HEADER + "".join(rows) + "1,-,50,0,0\n").encode())
    readers = set()
    read = MemoryFile.read

    def watched(file: MemoryFile, *size: int) -> bytes:
        readers.add(threading.get_ident())
        return read(file, *size)

    monkeypatch.setattr(MemoryFile, "read", watched)
    with pytest.raises(JetError, match="line 300002: m: expected a number, found '-'"):
        read_jets("memory://jets/long.csv")
    assert readers == {threading.get_ident()}


@pytest.mark.parametrize("end", ["\r", "\r\n", "\n"])
def test_lines_may_end_as_any_system_ends_them(end: str, tmp_path: Path) -> None:
    (tmp_path / "jets.csv").write_bytes((HEADER + "1,5,50,0.1,0.2\n2,6,60,0.1,0.2\n").replace("\n", end).encode())
    assert read_jets(tmp_path / "jets.csv")["m"].tolist() == [5, 6]
    (tmp_path / "bad.csv").write_bytes((HEADER + "1,5,50,0.1,0.2\n2,6,-,0.1,0.2\n").replace("\n", end).encode())
    with pytest.raises(JetError, match="line 3: pt: expected a number, found '-'"):
        read_jets(tmp_path / "bad.csv")
    line = "1;process;2.4e-05;832841;-1.2;j,80000,50000,0.2,0.1;"
    (tmp_path / "lines.csv").write_bytes(f"{line}{end}{line}{end}".encode())
    assert read_jets(tmp_path / "lines.csv")["pt"].tolist() == [50, 50]


def test_lines_that_end_with_carriage_returns_are_read_in_blocks(tmp_path: Path) -> None:
    rows = "\r".join(f"{event},5,50,0.1,0.2" for event in range(300_000))
    (tmp_path / "jets.csv").write_text(f"event,m,pt,phi,eta\r{rows}\r")
    assert read_jets(tmp_path / "jets.csv")["event"].tolist() == list(range(300_000))


HEADER = "event,m,pt,phi,eta\n"
BAD_TEXT = {
    "missing columns": (
        "event,pt,eta\n1,20,0\n",
        "missing columns phi, m, beside pt, eta; .* those there are: event, pt, eta",
    ),
    "a quote without end": ('event,m,pt,phi,"eta' + 200_000 * "a", "line 1: expected a header"),
    "no header": ("1,2,3\n", "line 1: expected a header"),
    "doubled column": ("m,pt,pt,phi,eta\n1,2,3,4,5\n", "line 1: columns named twice: pt"),
    "NaN": (
        HEADER + "1,2,30,0,0\n1,2,nan,0,0\n2,1,,0,0\n",
        r"of 3 jets: NaN or infinite pt in 1 jets, rows 1 \(nan\); masked .* in 1 jets, rows 2 "
        r"\(line 4: pt has no value, found ''\)",
    ),
    "infinity": (HEADER + "1,inf,30,0,0\n", "NaN or infinite m in 1 jets, rows 0"),
    "pt": (HEADER + "1,2,0,0,0\n", r"pt <= 0 in 1 jets, rows 0 \(0\)"),
    "mass": (HEADER + "1,-1.5,30,0,0\n", r"m <= -1 GeV in 1 jets, rows 0 \(-1.5\)"),
    "phi": (HEADER + "1,2,30,6.2,0\n", r"\|phi\| > pi by more than 0.0001 rad in 1 jets, rows 0 \(6.2\)"),
    "events apart": (HEADER + "1,2,30,0,0\n2,2,30,0,0\n1,2,30,0,0\n", "1 event numbers turn up again later, such as 1"),
    "short line": (HEADER + "1,2,30,0,0\n1,2,30\n", "line 3: 3 fields, expected 5"),
    "long line": (HEADER + "1,2,30,0,0,7\n", "line 2: 6 fields, expected 5"),
    "no number": (HEADER + "1,2,30,0,0\n1,2,3x0,0,0\n", "line 3: pt: expected a number, found '3x0'"),
    "event number": (HEADER + "1.5,2,30,0,0\n", "line 2: event: expected a whole number, found '1.5'"),
    "not UTF-8": (HEADER + "1,2,30,0,0\n1,2,\udce9,0,0\n", "line 3: not text in UTF-8"),
    "event line": (LINE + LINE.replace("1e6,0.2", "1e6"), "line 2: expected an object as kind,E,pt,eta,phi"),
    "unknown object": (LINE + LINE.replace("g,", "q,"), "line 2: expected an object .* found 'q,2e4"),
    "event line number": (LINE + LINE.replace("1e6", "1x6"), "line 2: j: expected a finite number, found '1x6'"),
}


@pytest.mark.parametrize("case", BAD_TEXT)
def test_bad_text_is_refused_with_file_and_place_and_nothing_written(case: str, tmp_path: Path) -> None:
    text, message = BAD_TEXT[case]
    path = tmp_path / "some jets.csv"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(JetError, match=f"^{re.escape(str(path))}.*{message}"):
        read_jets(path)
    assert main(["convert", str(path), str(tmp_path / "out.root")]) == 2
    assert list(tmp_path.iterdir()) == [path]


def test_phi_beyond_pi_by_rounding_is_wrapped(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(HEADER + "1,2,30,3.14165,0\n")
    assert read_jets(tmp_path / "a.csv")["phi"].tolist() == pytest.approx([3.14165 - 2 * np.pi], abs=1e-6)


def test_columns_of_different_lengths_are_refused(tmp_path: Path) -> None:
    columns: dict[str, Any] = {"pt": np.ones(3), "eta": np.ones(3), "phi": np.ones(2), "m": np.ones(3)}
    np.savez(tmp_path / "a.npz", **columns)
    with pytest.raises(JetError, match=r"a\.npz: columns of different lengths: pt 3, eta 3, phi 2, m 3"):
        read_jets(tmp_path / "a.npz")
    short = [[0.5], [], [1]]
    write_tree(
        tmp_path / "a.root",
        "Events",
        {"Jet_pt": lists(PT), "Jet_eta": lists(ETA), "Jet_phi": lists(short), "Jet_mass": lists(M)},
    )
    with pytest.raises(JetError, match=r"a\.root: .*entry 0 has 2 values of Jet_pt and 1 of Jet_phi"):
        read_jets(tmp_path / "a.root")


@pytest.mark.parametrize("suffix", [".root", ".parquet", ".h5", ".npz", ".pkl"])
def test_a_file_that_was_cut_short_or_is_of_another_kind_is_refused(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{suffix}"
    next(write for ending, write in FORMATS.values() if ending == suffix)(path, JETS)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(JetError, match=rf"a\{suffix}: .*(truncated|cut short|damaged)"):
        read_jets(path)
    path.write_text(HEADER + "1,2,30,0,0\n")
    with pytest.raises(JetError, match=rf"a\{suffix}: its suffix says \w+.*, its first bytes say text"):
        read_jets(path)
    path.write_bytes(b"")
    with pytest.raises(JetError, match=rf"a\{suffix}: an empty file"):
        read_jets(path)


def test_folders_missing_files_and_unknown_kinds_are_refused(tmp_path: Path) -> None:
    with pytest.raises(JetError, match=r"a directory; give a file, several, or a pattern such as '.*/\*.root'"):
        read_jets(tmp_path)
    with pytest.raises(JetError, match=r"none\.root: no such file"):
        read_jets(tmp_path / "none.root")
    with pytest.raises(JetError, match=r"\*\.root: no file matches this pattern"):
        read_jets(tmp_path / "*.root")
    (tmp_path / "a.dat").write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0")
    with pytest.raises(JetError, match=r"a\.dat: an unknown kind of file, beginning with b'\\x89PNG"):
        read_jets(tmp_path / "a.dat")
    write_jets(JETS, tmp_path / "a.root")
    (tmp_path / "a.root").rename(tmp_path / "a.csv")
    with pytest.raises(JetError, match=r"a\.csv: its suffix says text, its first bytes say ROOT"):
        read_jets(tmp_path / "a.csv")
    with uproot.recreate(tmp_path / "b.root") as file:
        file["note"] = "no tree"
    with pytest.raises(JetError, match=r"b\.root: no TTree or RNTuple in this ROOT file; it holds: note"):
        read_jets(tmp_path / "b.root")
    with gzip.open(tmp_path / "a.parquet", "wb") as file:
        file.write(b"PAR1")
    with pytest.raises(JetError, match=r"a\.parquet: a compressed Parquet file; uncompress it first"):
        read_jets(tmp_path / "a.parquet")


def test_a_text_file_without_a_last_line_end_may_be_cut_and_that_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(HEADER + "1,2,30,0,0.5")
    with pytest.warns(JetWarning, match="no line end after the last line, which may have been cut"):
        read_jets(tmp_path / "a.csv")


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.filterwarnings("ignore")
def test_damaged_files_end_in_an_error_that_names_the_file_or_in_jets(name: str, tmp_path: Path) -> None:
    suffix, write = FORMATS[name]
    path = tmp_path / f"whole{suffix}"
    write(path, example_table(60))
    content, expected = path.read_bytes(), read_jets(path)
    random = np.random.default_rng(5)
    outcomes = set()
    for _ in range(25):
        (tmp_path / f"damaged{suffix}").write_bytes(damage(content, random))
        outcomes.add(outcome_of(tmp_path / f"damaged{suffix}", expected)[0])
    protected = name in ("ROOT", "Parquet", "HDF5", "npz")
    assert outcomes <= {"error", "same", "changed, said", *([] if protected else ["changed, silent"])}
    assert "error" in outcomes


# Streams and the command line


def test_a_stream_holds_little_more_than_a_chunk(tmp_path: Path) -> None:
    jets = 1_000_000
    random = np.random.default_rng(0)
    table = make_table(
        random.random(jets), 20 + random.random(jets), random.random(jets), random.random(jets), np.arange(jets) // 10
    )
    write_jets((table.iloc[i : i + 100_000].reset_index(drop=True) for i in range(0, jets, 100_000)), tmp_path / "a.h5")
    tracemalloc.start()
    counted = sum(len(chunk) for chunk in iter_jets(tmp_path / "a.h5", chunk_jets=10_000))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert counted == jets
    assert peak < table.memory_usage().sum()


def test_info_describes_a_sample_and_what_would_be_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.csv").write_text(HEADER + "3,0,30,0,0\n3,-0.5,-2,0,0\n4,,,,\n5,2,nan,0,0\n3,1,50,0,0\n")
    summary = summarize_jets(tmp_path / "a.csv")
    assert {key: summary[key] for key in ("events", "empty_events", "jets", "massless", "negative_mass")} == {
        "events": 4,
        "empty_events": 1,
        "jets": 4,
        "massless": 1,
        "negative_mass": 1,
    }
    assert summary["refused"] == {
        "NaN or infinite pt": 1,
        "pt <= 0": 1,
        "stand apart from other jets of their event": 1,
    }
    assert "would be refused:" in format_summary(summary)
    write_jets(JETS, tmp_path / "a.root")
    assert main(["info", str(tmp_path / "a.root"), "--json", str(tmp_path / "a.json")]) == 0
    text = capsys.readouterr().out
    assert "ROOT TTree, tree Events, collection Jet" in text
    assert "Jet_pt, Jet_eta, Jet_phi, Jet_mass in GeV; event numbers: event" in text
    assert "every jet can be used" in text
    assert pd.read_json(tmp_path / "a.json", typ="series")["jets"] == 3


def test_info_prints_what_a_checkpoint_says_of_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from utils.networks import VARIANTS, Autoencoder, Checkpoint, CustomNormalization, save_checkpoint

    path = tmp_path / "model.safetensors"
    save_checkpoint(path, Checkpoint(Autoencoder(VARIANTS["tanh"]), CustomNormalization()))
    assert main(["info", str(path)]) == 0
    assert "activation: tanh" in capsys.readouterr().out


def test_convert_streams_cuts_and_tells(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_event_lines(tmp_path / "a.csv", example_table())
    arguments = ["convert", str(tmp_path / "a.csv"), str(tmp_path / "b.root"), "--pt-min", "40", "--eta-max", "2.5"]
    assert main(arguments) == 0
    table = read_jets(tmp_path / "b.root")
    assert table["pt"].min() >= 40
    assert table["eta"].abs().max() <= 2.5
    assert number_of_events(table) == number_of_events(example_table())
    assert (
        f"{len(table)} jets of {number_of_events(table)} events ({300 - len(table)} of 300 cut)"
        in capsys.readouterr().out
    )


def test_concatenating_keeps_empty_events() -> None:
    assert concat_tables([JETS, JETS.assign(event=JETS["event"] + 5)]).attrs["empty_events"] == [1, 1]


def test_an_energy_below_zero_is_no_jet_and_one_at_rest_has_its_energy_as_mass(tmp_path: Path) -> None:
    px, pz = np.array([30.0, 40.0]), np.array([10.0, -20.0])
    np.savez(tmp_path / "a.npz", px=px, py=px * 0, pz=pz, e=np.array([50.0, -60.0]))
    with pytest.raises(JetError, match=r"of 2 jets: less energy than momentum in 1 jets, rows 1"):
        read_jets(tmp_path / "a.npz")
    np.savez(tmp_path / "a.npz", px=px, py=px * 0, pz=pz, e=np.array([50.0, 60.0]))
    np.testing.assert_allclose(read_jets(tmp_path / "a.npz")["m"], [np.sqrt(1500), np.sqrt(1600)], rtol=1e-6)


def test_a_lack_of_energy_is_judged_by_the_momentum(tmp_path: Path) -> None:
    """A thousandth of p^2 is rounding, two are not, at 30 GeV as at 3 TeV."""
    for p in (30.0, 3000.0):
        for lack, refused in ((5e-4, False), (2e-3, True)):
            np.savez(tmp_path / "a.npz", px=[p], py=[0.0], pz=[0.0], e=[p * np.sqrt(1 - lack)])
            if refused:
                with pytest.raises(JetError, match="less energy than momentum in 1 jets"):
                    read_jets(tmp_path / "a.npz", unit="GeV")
            else:
                with pytest.warns(JetWarning, match="1 jets with E"):
                    assert read_jets(tmp_path / "a.npz", unit="GeV")["m"].tolist() == [0]


def test_a_mass_of_zero_is_not_negative(tmp_path: Path) -> None:
    table = make_table([0, -0.01, -1e-5, 3], [50, 30, 40, 60], [0, 0, 0, 0], [0, 0, 0, 0])
    write_jets(table, tmp_path / "a.parquet")
    summary = summarize_jets(tmp_path / "a.parquet")
    assert (summary["massless"], summary["negative_mass"]) == (2, 2)
    assert summary["quantiles"]["pt"][0] == 30
    assert summary["quantiles"]["pt"][-1] == 60


FILLED = make_table([5, 4, 1], [50, 30, 40], [0.5, -3, 1], [0, 1, -2], [7, 7, 9])


def test_the_event_is_found_behind_a_hash_and_in_a_pandas_index(tmp_path: Path) -> None:
    text = tmp_path / "savetxt.csv"
    np.savetxt(text, FILLED.to_numpy(), fmt="%.9g", delimiter=",", header=",".join(FILLED.columns))
    assert text.read_text().startswith("# event,")
    pd.testing.assert_frame_equal(read_jets(text), FILLED)
    pytest.importorskip("tables")
    FILLED.set_index("event").to_hdf(tmp_path / "indexed.h5", key="jets")
    pd.testing.assert_frame_equal(read_jets(tmp_path / "indexed.h5"), FILLED)


def test_the_event_is_found_in_the_index_of_a_fixed_pandas_table(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        group = file.create_group("jets")
        group.attrs["pandas_type"] = np.bytes_("frame")
        group["axis1"] = FILLED["event"].to_numpy()
        group["axis1"].attrs["name"] = np.bytes_("event")
        group["block0_items"] = np.array(["m", "pt", "phi", "eta"], "S3")
        group["block0_values"] = feature_array(FILLED)
    pd.testing.assert_frame_equal(read_jets(tmp_path / "a.h5"), FILLED)


def test_event_numbers_beyond_int64_are_refused_with_that_reason(tmp_path: Path) -> None:
    columns = {name: FILLED[name].to_numpy() for name in ("m", "pt", "phi", "eta")}
    numbers = FILLED["event"].to_numpy().astype(np.uint64) + np.uint64(2**63)
    np.savez(tmp_path / "a.npz", event=numbers, **columns)  # type: ignore[arg-type]
    with pytest.raises(
        JetError, match=r"a\.npz: column event holds the event number 922\d+, and int64 ends at 2\^63 - 1"
    ):
        read_jets(tmp_path / "a.npz")


def test_records_called_event_are_no_event_numbers() -> None:
    jets = ["Jet.PT", "Jet.Eta", "Jet.Phi", "Jet.Mass"]
    assert choose_columns([*jets, "Event", "Event.Number", "Event_size"], Options(), "delphes").events == {}
    assert choose_columns([*jets, "Event"], Options(), "delphes").events == {"event": "Event"}
