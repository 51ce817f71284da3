"""In which unit a sample is, which collection is read, and what is done with jets that cannot be used."""

import logging
import re
from pathlib import Path
from typing import Any

import awkward as ak
import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import uproot

from utils.cli import main
from utils.jets import (
    JetError,
    JetWarning,
    convert_jets,
    decide_units,
    make_table,
    number_of_events,
    open_source,
    read_jets,
    summarize_jets,
    write_jets,
)

RANDOM = np.random.default_rng(3)


def jets(number: int = 60, smallest: float = 20.0) -> dict[str, np.ndarray]:
    """A falling spectrum of central jets, in GeV."""
    pt = smallest + RANDOM.exponential(40, number)
    return {
        "pt": pt,
        "eta": RANDOM.uniform(-2.5, 2.5, number),
        "phi": RANDOM.uniform(-3.1, 3.1, number),
        "m": pt * RANDOM.uniform(0.05, 0.3, number),
    }


def in_unit(columns: dict[str, np.ndarray], per_gev: float) -> dict[str, np.ndarray]:
    return {name: column * (per_gev if name in ("pt", "m", "e") else 1) for name, column in columns.items()}


def write_columns(path: Path, columns: dict[str, np.ndarray]) -> None:
    """A jet a row, in the format of the suffix."""
    frame = pd.DataFrame(columns)
    match path.suffix:
        case ".csv":
            frame.to_csv(path, index=False)
        case ".parquet":
            frame.to_parquet(path)
        case ".h5":
            with h5py.File(path, "w") as file:
                for name, column in columns.items():
                    file[name] = column
        case ".npz":
            np.savez(path, **columns)  # type: ignore[arg-type]
        case ".root":
            with uproot.recreate(path) as file:
                file["jets"] = columns


def energies(table: pd.DataFrame) -> list[np.ndarray]:
    return [table[name].to_numpy() for name in ("pt", "m")]


# Units


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".h5", ".npz", ".root"])
@pytest.mark.parametrize(("unit", "per_gev"), [("GeV", 1.0), ("MeV", 1000.0)])
def test_the_bulk_of_jets_tells_their_unit_whatever_a_soft_jet_does(
    suffix: str, unit: str, per_gev: float, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    columns = jets()
    columns["pt"][7] = 1.85
    path = tmp_path / f"a{suffix}"
    write_columns(path, in_unit(columns, per_gev))
    with caplog.at_level(logging.INFO, "utils.jets"):
        table = read_jets(path)
    np.testing.assert_allclose(energies(table), [columns["pt"], columns["m"]], rtol=1e-6)
    (line,) = caplog.messages
    assert line.startswith(f"reading {path}: ")
    assert f"unit {unit} (median pt " in line
    assert "event numbers: counted" in line


@pytest.mark.parametrize("order", [1, -1])
def test_a_unit_is_decided_once_for_all_files_of_a_sample(
    order: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    large, tiny = jets(), {name: column[:1] for name, column in jets(1).items()}
    tiny["pt"][0] = 1.85
    for name, columns in (("large", large), ("tiny", tiny)):
        write_columns(tmp_path / f"{name}.csv", in_unit(columns, 1000))
    files = [tmp_path / "large.csv", tmp_path / "tiny.csv"][::order]
    assert sorted(read_jets(files)["pt"]) == pytest.approx(sorted([1.85, *large["pt"]]))
    assert main(["convert", *map(str, files), f"{tmp_path}/out/"]) == 0
    lines = [line for line in capsys.readouterr().err.splitlines() if "reading" in line]
    assert len(lines) == 1
    assert lines[0].startswith(
        f"compressionhep: note: reading {files[0]}, {files[1]}: CSV, columns pt, eta, phi, m, unit MeV ("
    )
    assert read_jets(tmp_path / "out" / "tiny.parquet")["pt"].tolist() == pytest.approx([1.85])


def test_one_jet_that_does_not_tell_its_unit_asks_for_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for pt, unit in ((45.0, "GeV"), (45e3, "MeV")):
        write_columns(
            tmp_path / "a.csv", {"pt": np.array([pt]), "eta": np.zeros(1), "phi": np.zeros(1), "m": np.array([pt / 9])}
        )
        assert summarize_jets(tmp_path / "a.csv")["files"][0]["unit"] == unit
        assert read_jets(tmp_path / "a.csv")["pt"].tolist() == pytest.approx([45])
    (tmp_path / "a.csv").write_text("pt,eta,phi,m\n1850,0,0,200\n")
    for command, *output in (["info"], ["convert", "b.root"], ["compress", "b.zarr.zip"]):
        assert main([command, str(tmp_path / "a.csv"), *(str(tmp_path / name) for name in output)]) == 2
        assert "do not tell whether they are in GeV or MeV: their median pt is 1850" in capsys.readouterr().err
    for given, expected in (("GeV", 1850), ("MeV", 1.85)):
        assert read_jets(tmp_path / "a.csv", unit=given)["pt"].tolist() == pytest.approx([expected])
    with pytest.raises(JetError, match="unknown unit 'eV'; known: GeV, MeV, TeV"):
        read_jets(tmp_path / "a.csv", unit="eV")


@pytest.mark.parametrize(
    ("header", "scales"),
    [
        ("pt [GeV],eta,phi,m [MeV]", (1, 1000)),
        ("pt [MeV],eta,phi,m [GeV]", (1000, 1)),
        ("pt_MeV,eta,phi,mass_MeV", (1000, 1000)),
        ("pt (TeV),eta,phi,m (GeV/c^2)", (0.001, 1)),
        ("pt [GeV],eta,phi,m", (1, 1000)),
        ("pt [GeV],eta,phi,m", (1, 1)),
        ("pt,eta,phi,m [MeV]", (1, 1000)),
        ("pt,eta,phi,m", (1, 1000)),
    ],
)
def test_every_column_has_its_own_unit(header: str, scales: tuple[float, float], tmp_path: Path) -> None:
    columns = jets()
    rows = np.stack([columns["pt"] * scales[0], columns["eta"], columns["phi"], columns["m"] * scales[1]], axis=1)
    np.savetxt(tmp_path / "a.csv", rows, delimiter=",", header=header, comments="")
    table = read_jets(tmp_path / "a.csv")
    np.testing.assert_allclose(energies(table), [columns["pt"], columns["m"]], rtol=1e-6)


def test_tev_is_never_guessed_nor_a_mass_in_gev_beside_mev(tmp_path: Path) -> None:
    """Soft jets, or light ones, would come out a thousand times too hard, or too heavy."""
    columns = jets()
    write_columns(tmp_path / "soft.csv", in_unit(columns, 0.03))
    with pytest.raises(JetError, match="do not tell whether they are in GeV or MeV"):
        read_jets(tmp_path / "soft.csv")
    light = columns | {"m": columns["pt"] * 5e-4}
    write_columns(tmp_path / "light.csv", light)
    np.testing.assert_allclose(energies(read_jets(tmp_path / "light.csv")), [light["pt"], light["m"]], rtol=1e-6)
    write_columns(tmp_path / "mev.csv", in_unit(light, 1000.0))
    with pytest.raises(JetError, match="no unit of m is named, and the jets do not tell whether it is in GeV or MeV"):
        read_jets(tmp_path / "mev.csv")
    given = read_jets(tmp_path / "mev.csv", unit="MeV")
    np.testing.assert_allclose(energies(given), [light["pt"], light["m"]], rtol=1e-6)


def test_one_broken_angle_does_not_hide_a_column_from_0_to_2_pi(tmp_path: Path) -> None:
    columns = jets()
    turned = columns | {"phi": columns["phi"] % (2 * np.pi)}
    for broken in (-10.0, -0.5, -999.0):
        turned["phi"][3] = broken
        write_columns(tmp_path / "a.csv", turned)
        table = read_jets(tmp_path / "a.csv", bad_jets="drop")
        assert len(table) == len(columns["pt"]) - (broken != -0.5)
        assert table["phi"].abs().max() <= np.pi


def test_titles_and_metadata_name_units_too(tmp_path: Path) -> None:
    """A single jet of 1850: without them nobody could tell."""
    columns = {"pt": np.array([1850.0]), "eta": np.zeros(1), "phi": np.zeros(1), "m": np.array([200.0])}
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name, column in columns.items():
            file[name] = column
            file[name].attrs["units"] = "MeV"
    fields = [pa.field(name, pa.float64(), metadata={"unit": "MeV"}) for name in columns]
    pq.write_table(pa.table(list(columns.values()), schema=pa.schema(fields)), tmp_path / "a.parquet")
    with uproot.recreate(tmp_path / "a.root") as file:
        file.mktree("t", dict.fromkeys(columns, "float64"), title="jets, energies in MeV").extend(columns)
    for path in sorted(tmp_path.iterdir()):
        assert read_jets(path)["pt"].tolist() == pytest.approx([1.85]), path


def test_muons_keep_their_small_mass(tmp_path: Path) -> None:
    pt = 25 + RANDOM.exponential(20, 40)
    columns = {"pt": pt, "eta": pt * 0, "phi": pt * 0, "mass": np.full(40, 0.10566)}
    for per_gev in (1, 1000):
        scaled = {f"Muon_{key}": values * (per_gev if key in ("pt", "mass") else 1) for key, values in columns.items()}
        write_columns(tmp_path / "a.root", scaled)
        np.testing.assert_allclose(read_jets(tmp_path / "a.root", collection="Muon")["m"], 0.10566, rtol=1e-6)


def test_a_file_that_contradicts_the_unit_of_its_sample_is_refused(tmp_path: Path) -> None:
    columns = jets()
    write_columns(tmp_path / "a.csv", columns)
    write_columns(tmp_path / "b.csv", in_unit(columns, 1000))
    decided = decide_units([open_source(str(tmp_path / "a.csv"))])
    with pytest.raises(JetError, match=r"b\.csv: GeV fits the sample .*, but not these jets, whose median pt is"):
        read_jets(tmp_path / "b.csv", unit=decided)
    np.testing.assert_allclose(read_jets(tmp_path / "b.csv")["pt"], columns["pt"], rtol=1e-6)


def test_a_folder_half_in_gev_and_half_in_mev_is_told_before_the_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    columns = jets()
    for name, per_gev in (("a", 1.0), ("b", 1000.0), ("c", 1.0), ("d", 1000.0)):
        write_columns(tmp_path / f"{name}.csv", in_unit(columns, per_gev))
    for output in ("out.csv", "out/"):
        assert main(["convert", str(tmp_path / "?.csv"), str(tmp_path / output)]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert re.search(r"in GeV: \S*a\.csv \(median pt .*\), \S*c\.csv .*; in MeV: \S*b\.csv .*read them apart", line)
        assert not list(tmp_path.glob("out*/*.parquet"))
    assert len(read_jets([tmp_path / "a.csv", tmp_path / "c.csv"])) == 2 * len(columns["pt"])


def test_files_of_this_project_say_their_unit(tmp_path: Path) -> None:
    table = make_table([200, 5], [1850, 30], [0, 1], [0, 6.5])
    for suffix in (".csv", ".root", ".parquet", ".h5"):
        write_jets(table, tmp_path / f"a{suffix}")
        assert read_jets(tmp_path / f"a{suffix}").equals(table)


# What is read is said


def test_commands_say_what_they_read_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(5):
        branches = {f"Jet_{name}": ak.Array([[x] for x in column]) for name, column in jets().items()}
        branches["event"] = np.arange(60) + 100 * number
        with uproot.recreate(tmp_path / f"{number}.root") as file:
            file["Events"] = branches
    files = [str(path) for path in sorted(tmp_path.iterdir())]
    expected = "collection Jet, columns Jet_pt, Jet_eta, Jet_phi, Jet_m, unit GeV (median pt "
    for command in (["convert", *files, f"{tmp_path}/a.csv"], ["compress", *files, f"{tmp_path}/a.zarr.zip"]):
        assert main(command) == 0
        (line,) = [line for line in capsys.readouterr().err.splitlines() if "reading" in line]
        assert line.startswith(
            f"compressionhep: note: reading {files[0]}, {files[1]}, {files[2]}, ... (5 in all): ROOT "
        )
        assert expected in line
        assert line.endswith("event numbers: event")
    assert main(["info", files[0]]) == 0
    assert "unit      GeV: median pt " in capsys.readouterr().out


# Collections


def write_branches(path: Path, tree: str, *prefixes: str, without: str = "") -> None:
    names = [f"{prefix}_{name}" for prefix in prefixes for name in ("pt", "eta", "phi", "mass")]
    with uproot.update(path) if path.exists() else uproot.recreate(path) as file:
        values = {name: ak.Array([[30.0, 40.0], []] if name.endswith("_pt") else [[1.0, 2.0], []]) for name in names}
        file[tree] = {name: array for name, array in values.items() if name != without}


def test_another_collection_is_never_taken_for_jets_that_lack_something(tmp_path: Path) -> None:
    path = tmp_path / "a.root"
    write_branches(path, "Events", "Jet", "FatJet", without="Jet_mass")
    with pytest.raises(JetError, match=r"'Jet': no mass, .* complete are FatJet, which --collection takes"):
        read_jets(path)
    assert len(read_jets(path, collection="FatJet")) == 2


def test_fat_jets_alone_are_read_only_when_they_are_asked_for(tmp_path: Path) -> None:
    write_branches(tmp_path / "a.root", "Events", "FatJet", "Muon")
    with pytest.raises(JetError, match=r"jets .of another kind: FatJet.; .* with --collection .*: FatJet, Muon"):
        read_jets(tmp_path / "a.root")
    write_branches(tmp_path / "b.root", "Events", "AK4Jets", "AK8Jets", without="AK4Jets_mass")
    with pytest.raises(JetError, match=r"several collections of jets; .*: AK8Jets, AK4Jets .incomplete."):
        read_jets(tmp_path / "b.root")


def test_the_usual_tree_is_not_left_for_another_where_its_jets_lack_something(tmp_path: Path) -> None:
    path = tmp_path / "a.root"
    write_branches(path, "Events", "Jet", without="Jet_mass")
    write_branches(path, "Other", "Jet")
    with pytest.raises(JetError, match="tree Events: collection 'Jet': no mass, nor an energy, beside"):
        read_jets(path)


# Jets that cannot be used


HEADER = "event,m,pt,phi,eta\n"


def test_cuts_come_before_what_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(HEADER + "1,-3,15,0,0\n1,2,30,0,0\n2,nan,50,0,4\n2,2,50,0,0\n")
    with pytest.raises(
        JetError, match=r"m <= -1 GeV in 1 jets, rows 0 .*; NaN or infinite m in 1 jets, rows 2 .*; --bad-jets drop"
    ):
        read_jets(tmp_path / "a.csv")
    assert convert_jets(tmp_path / "a.csv", tmp_path / "b.csv", pt_min=20, eta_max=2.5) == (4, 2, 2)
    (tmp_path / "a.csv").write_text(HEADER + "1,2,nan,0,0\n1,2,30,0,0\n")
    with pytest.raises(JetError, match="NaN or infinite pt in 1 jets"):
        read_jets(tmp_path / "a.csv", pt_min=20)


def test_bad_jets_are_dropped_on_demand_and_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.csv").write_text(HEADER + "1,2,30,0,0\n1,nan,40,0,0\n2,2,-5,0,0\n3,2,50,0,9\n3,2,60,0,0\n")
    assert main(["convert", str(tmp_path / "a.csv"), str(tmp_path / "b.csv"), "--bad-jets", "drop"]) == 0
    out, err = capsys.readouterr()
    assert "2 jets of 3 events (3 of 5 cut or dropped)" in out
    assert (
        "3 of 5 jets dropped: NaN or infinite m in 1, pt <= 0 in 1, pt * cosh(eta) above the beam energy of 7000 GeV "
        "in 1" in err
    )
    assert main(["convert", str(tmp_path / "a.csv"), str(tmp_path / "c.csv")]) == 2
    assert main(["compress", str(tmp_path / "a.csv"), str(tmp_path / "c.zarr.zip"), "--bad-jets", "drop"]) == 0
    with pytest.raises(JetError, match="unknown choice 'keep'; known: refuse, drop"):
        read_jets(tmp_path / "a.csv", bad_jets="keep")


def test_less_energy_than_momentum_is_a_bad_jet(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("pt,eta,phi,e\n30,0,0,10\n40,0,0,50\n")
    with pytest.warns(JetWarning, match="1 of 2 jets dropped: less energy than momentum in 1"):
        assert read_jets(tmp_path / "a.csv", bad_jets="drop")["m"].tolist() == [30]


def test_a_jet_faster_than_the_beam_is_a_bad_one(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(HEADER + "1,2,30,0,0\n1,2,30,0,6.2\n")
    with pytest.raises(JetError, match=r"pt \* cosh\(eta\) above the beam energy of 7000 GeV in 1 jets, rows 1 \(30\)"):
        read_jets(tmp_path / "a.csv")
    assert len(read_jets(tmp_path / "a.csv", beam_energy=50_000)) == 2
    with pytest.raises(JetError, match="beam energy of 1000 GeV"):
        read_jets(tmp_path / "a.csv", beam_energy=1000)


def test_phi_from_0_to_2_pi_is_wrapped_where_the_whole_column_is_so(tmp_path: Path) -> None:
    columns = jets(200)
    turned = np.where(columns["phi"] < 0, columns["phi"] + 2 * np.pi, columns["phi"])
    for suffix in (".csv", ".parquet", ".root"):
        write_columns(tmp_path / f"a{suffix}", columns | {"phi": turned})
        with pytest.warns(JetWarning, match="jets with phi above pi, in a column from 0 to 2 pi"):
            np.testing.assert_allclose(read_jets(tmp_path / f"a{suffix}")["phi"], columns["phi"], atol=1e-6)
    write_columns(tmp_path / "b.csv", columns | {"phi": np.where(np.arange(200) == 3, 4.0, columns["phi"])})
    with pytest.raises(JetError, match=r"\|phi\| > pi by more than 0.0001 rad in 1 jets, rows 3 \(4\)"):
        read_jets(tmp_path / "b.csv")


@pytest.mark.parametrize("filling", [0.0, -999.0, np.nan])
@pytest.mark.parametrize("kind", ["ROOT", "HDF5", "npz", "Parquet"])
def test_padding_behind_the_jets_of_an_event_is_left_out(filling: float, kind: str, tmp_path: Path) -> None:
    columns, counts = jets(120), np.arange(40) % 7
    slots = np.arange(6) < counts[:, None]
    padded: dict[str, Any] = {}
    for name, column in columns.items():
        padded[f"jet_{name}"] = np.full((40, 6), filling)
        padded[f"jet_{name}"][slots] = column[: slots.sum()]
    match kind:
        case "ROOT":
            with uproot.recreate(tmp_path / "a") as file:
                file["t"] = padded
        case "HDF5":
            with h5py.File(tmp_path / "a", "w") as file:
                for name, array in padded.items():
                    file[name] = array
        case "npz":
            np.savez(tmp_path / "a.npz", **padded)
        case _:
            lists = {name: pa.FixedSizeListArray.from_arrays(array.ravel(), 6) for name, array in padded.items()}
            pq.write_table(pa.table(lists), tmp_path / "a")
    (path,) = tmp_path.iterdir()
    with pytest.warns(JetWarning, match=f"{240 - slots.sum()} places behind the jets of their event are padding"):
        table = read_jets(path)
    np.testing.assert_allclose(table["pt"], columns["pt"][: slots.sum()], rtol=1e-6)
    assert number_of_events(table) == 40


def test_a_counter_tells_how_many_jets_of_a_fixed_array_there_are(tmp_path: Path) -> None:
    counts = np.array([2, 0, 3])
    arrays = {f"jet_{name}": column.reshape(3, 4) for name, column in jets(12).items()}
    with uproot.recreate(tmp_path / "a.root") as file:
        file["t"] = arrays | {"njets": counts}
    with pytest.warns(JetWarning, match="7 places behind the jets"):
        table = read_jets(tmp_path / "a.root")
    expected = np.concatenate([arrays["jet_pt"][i, :n] for i, n in enumerate(counts)])
    np.testing.assert_allclose(table["pt"], expected, rtol=1e-6)


def test_masked_jets_are_named_so_and_a_mass_comes_from_the_energy_where_it_is_null(tmp_path: Path) -> None:
    columns = jets(30)
    columns["e"] = np.hypot(columns["m"], columns["pt"] * np.cosh(columns["eta"]))
    frame = pd.DataFrame(columns)
    frame.loc[[3, 4], "m"] = np.nan
    frame.to_parquet(tmp_path / "a.parquet")
    with pytest.warns(JetWarning, match="2 jets without a mass: m from their energy"):
        np.testing.assert_allclose(read_jets(tmp_path / "a.parquet")["m"], columns["m"], rtol=1e-4)
    frame.drop(columns="e").to_parquet(tmp_path / "a.parquet")
    with pytest.raises(JetError, match=r"of 30 jets: masked \(no value in the file\) in 2 jets, rows 3, 4;"):
        read_jets(tmp_path / "a.parquet")
    with pytest.warns(JetWarning, match=r"2 of 30 jets dropped: masked"):
        assert len(read_jets(tmp_path / "a.parquet", bad_jets="drop")) == 28


def test_a_row_of_nan_does_not_disappear_without_a_word(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(HEADER + "1,2,30,0,0\n2,nan,nan,nan,nan\n")
    with pytest.raises(JetError, match="NaN or infinite pt in 1 jets, rows 1"):
        read_jets(tmp_path / "a.csv")
    (tmp_path / "a.csv").write_text(HEADER + "1,2,30,0,0\n1,,,,\n")
    with pytest.raises(JetError, match=r"masked .* in 1 jets, rows 1"):
        read_jets(tmp_path / "a.csv")
    (tmp_path / "a.csv").write_text(HEADER + "1,2,30,0,0\n2,,,,\n")
    with pytest.warns(JetWarning, match="1 rows with an event number alone: events without jets"):
        assert read_jets(tmp_path / "a.csv").attrs["empty_events"] == [2]
