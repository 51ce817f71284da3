"""Columns of jets are found by the names of known layouts, or named; each file is read through the command line."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import awkward as ak
import h5py
import numpy as np
import pandas as pd
import pytest
import uproot

from utils.cli import main
from utils.jets import JetError, JetWarning, load_sample, parse_columns, read_jets

COUNTS = [3, 1, 2, 2, 4, 3, 3, 4]
JETS = sum(COUNTS)
RANDOM = np.random.default_rng(7)
PT = np.round(RANDOM.uniform(30, 200, JETS), 3)
ETA, PHI = np.round(RANDOM.normal(0, 1, JETS), 3), np.round(RANDOM.uniform(-3, 3, JETS), 3)
M = np.round(0.1 * PT, 3)
PX, PY, PZ = PT * np.cos(PHI), PT * np.sin(PHI), PT * np.sinh(ETA)
E = np.sqrt(PX**2 + PY**2 + PZ**2 + M**2)
EVENT = np.arange(5, 5 + len(COUNTS))
ROWS = np.repeat(EVENT, COUNTS)


def lists(values: np.ndarray) -> ak.Array:
    return ak.unflatten(values, COUNTS)


def slots(values: np.ndarray, filling: float = np.nan) -> np.ndarray:
    """A row an event, with a place for each of 4 jets."""
    return np.asarray(ak.to_numpy(ak.fill_none(ak.pad_none(lists(values), 4, clip=True), filling)))


def named(pattern: str, **columns: np.ndarray) -> dict[str, np.ndarray]:
    """A column for each place, `{i}` from 1 and `{r}` its role."""
    every = {}
    for role, values in columns.items():
        for i in range(4):
            every[pattern.replace("{r}", role).replace("{i}", str(i + 1))] = slots(values)[:, i].copy()
    return {"event": EVENT, **every}


def write(path: Path, columns: Mapping[str, Any]) -> Path:
    """Columns to a file: of rows, of lists, or of records."""
    match path.suffix:
        case ".csv":
            pd.DataFrame(columns).to_csv(path, index=False)
        case ".parquet":
            ak.to_parquet(ak.zip(dict(columns), depth_limit=1), path)
        case ".npz":
            np.savez(path, **columns)
        case ".pkl":
            pd.DataFrame(columns).to_pickle(path)
        case ".h5":
            with h5py.File(path, "w") as file:
                for name, values in columns.items():
                    file[name] = values
        case ".root":
            with uproot.recreate(path) as file:
                file.mkrntuple("Events", dict(columns))
        case _:  # .ttree
            with uproot.recreate(path) as file:
                file.mktree("Events", dict(columns))
    return path


def convert(path: Path, *options: str) -> pd.DataFrame:
    output = path.parent / "out.parquet"
    assert main(["convert", str(path), str(output), "--force", *options]) == 0
    return pd.read_parquet(output)


def assert_jets(table: pd.DataFrame, events: bool = True) -> None:
    for name, expected in (("m", M), ("pt", PT), ("phi", PHI), ("eta", ETA)):
        np.testing.assert_allclose(table[name], expected, rtol=1e-4, atol=1e-4, err_msg=name)
    np.testing.assert_array_equal(table["event"], ROWS if events else ROWS - 5)


def records(**fields: np.ndarray) -> ak.Array:
    return ak.zip({name: lists(values) for name, values in fields.items()})


LAYOUTS: dict[str, tuple[str, Callable[[], dict[str, Any]]]] = {
    "camelCase rows": (
        ".csv",
        lambda: {"event": ROWS, "jetPt": PT, "jetEta": ETA, "jetPhi": PHI, "jetMass": M, "jetRawPt": PT},
    ),
    "camelCase lists": (
        ".ttree",
        lambda: {
            "event": EVENT,
            **{f"jet{r}": lists(x) for r, x in (("Pt", PT), ("Eta", ETA), ("Phi", PHI), ("En", E))},
            **{f"jetGenJet{r}": lists(x) for r, x in (("Pt", PT), ("Eta", ETA), ("Phi", PHI), ("En", E))},
        },
    ),
    "small letters": (".pkl", lambda: {"evt": ROWS, "jetpt": PT, "jeteta": ETA, "jetphi": PHI, "jetm": M}),
    "Delphes": (
        ".ttree",
        lambda: {
            "eventNumber": EVENT,
            **{f"Jet.{r}": lists(x) for r, x in (("PT", PT), ("Eta", ETA), ("Phi", PHI), ("Mass", M), ("T", 9 * M))},
            **{f"FatJet.{r}": lists(x) for r, x in (("PT", PT), ("Eta", ETA), ("Phi", PHI), ("Mass", M))},
        },
    ),
    "TreeMaker": (
        ".ttree",
        lambda: {
            "EvtNum": EVENT,
            **{f"Jets.fCoordinates.f{r}": lists(x) for r, x in (("Pt", PT), ("Eta", ETA), ("Phi", PHI), ("E", E))},
        },
    ),
    "LorentzVector": (
        ".h5",
        lambda: {
            "event": ROWS,
            **{f"jets.fCoordinates.f{r}": x for r, x in (("X", PX), ("Y", PY), ("Z", PZ), ("T", E))},
        },
    ),
    "EDM4hep": (
        ".root",
        lambda: {
            "event": EVENT,
            "ReconstructedJets": ak.zip(
                {
                    "momentum": records(x=PX, y=PY, z=PZ),
                    "referencePoint": records(x=M, y=M, z=M),
                    "energy": lists(E),
                }
            ),
        },
    ),
    "FCC with a mass": (
        ".ttree",
        lambda: {
            "event": EVENT,
            **{f"ReconstructedJets.momentum.{r}": lists(x) for r, x in (("x", PX), ("y", PY), ("z", PZ))},
            "ReconstructedJets.mass": lists(M),
        },
    ),
    "vector": (".parquet", lambda: {"event": EVENT, "jets": records(rho=PT, phi=PHI, eta=ETA, tau=M)}),
    "Cartesian vector": (".parquet", lambda: {"event": EVENT, "jets": records(x=PX, y=PY, z=PZ, t=E)}),
    "fixed-size records": (
        ".parquet",
        lambda: {
            "event": EVENT,
            "jets": ak.zip(
                {
                    name: ak.to_regular(ak.Array(slots(values).tolist()))
                    for name, values in (("pt", PT), ("phi", PHI), ("eta", ETA), ("mass", M))
                }
            ),
        },
    ),
    "one event a row": (".csv", lambda: named("jet{i}_{r}", pt=PT, eta=ETA, phi=PHI, m=M)),
    "number apart": (".parquet", lambda: named("jet_{i}_{r}", pt=PT, eta=ETA, phi=PHI, mass=M)),
    "number behind": (".h5", lambda: named("jet_{r}_{i}", pt=PT, eta=ETA, phi=PHI, e=E)),
    "number and capital": (".ttree", lambda: named("Jet{i}{r}", Pt=PT, Eta=ETA, Phi=PHI, M=M)),
    "p_T": (".csv", lambda: {"event": ROWS, "p_T [GeV/c]": PT, "eta": ETA, "phi": PHI, "m [GeV/c2]": M}),
    "number and unit": (".csv", lambda: named("jet{i}_{r} [GeV/c2]", pt=PT, eta=ETA, phi=PHI, m=M)),
    "j1": (".csv", lambda: named("j{i}{r}", pt=PT, eta=ETA, phi=PHI, m=M)),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_known_layouts_are_read_without_an_option_and_their_map_can_be_pasted(
    layout: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suffix, columns = LAYOUTS[layout]
    path = write(tmp_path / f"a{suffix}", columns())
    assert_jets(convert(path))
    assert main(["info", str(path)]) == 0
    shown = re.search(r"--columns '?([^'\n]*)", capsys.readouterr().out)
    assert shown is not None
    assert_jets(convert(path, "--columns", shown[1]))


ODD: dict[str, np.ndarray] = {"kT": PT, "rapidity": ETA, "azimuth": PHI, "msd": M, "energie": E, "nr": ROWS}
ODD_LISTS: dict[str, Any] = {name: lists(values) for name, values in ODD.items()} | {"nr": EVENT}


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".npz", ".pkl", ".h5", ".root", ".ttree", "lists", "list tree"])
@pytest.mark.parametrize("mass", ["m=msd", "energy=energie"])
def test_columns_of_any_name_are_read_where_they_are_named(suffix: str, mass: str, tmp_path: Path) -> None:
    kinds = {"lists": ".parquet", "list tree": ".ttree"}
    path = write(tmp_path / f"a{kinds.get(suffix, suffix)}", ODD_LISTS if suffix in kinds else ODD)
    assert_jets(convert(path, "--columns", f"pt=kT, eta=rapidity,phi=azimuth,{mass},event=nr"))
    by_name = {"pt": "kT", "eta": "rapidity", "phi": "azimuth", **parse_columns(mass)}
    assert_jets(read_jets(path, columns=by_name).assign(event=ROWS))


def test_dotted_paths_and_patterns_are_names_too(tmp_path: Path) -> None:
    path = write(tmp_path / "a.root", {"nr": EVENT, "J": ak.zip({"p": records(a=PX, b=PY, c=PZ), "energie": lists(E)})})
    assert_jets(convert(path, "--columns", "px=J.p.a,py=J.p.b,pz=J.p.c,e=J.energie,event=nr"))
    path = write(tmp_path / "a.csv", named("{r} of jet {i} (x)", PTT=PT, ETT=ETA, PHH=PHI, MM=M))
    names = ",".join(
        f"{role}={word} of jet {{i}} (x)"
        for role, word in zip(("pt", "eta", "phi", "m"), ("PTT", "ETT", "PHH", "MM"), strict=True)
    )
    assert_jets(convert(path, "--columns", names))


def test_an_event_number_in_a_list_of_one_is_one(tmp_path: Path) -> None:
    columns = {f"ReconstructedJets.momentum.{r}": lists(x) for r, x in (("x", PX), ("y", PY), ("z", PZ))}
    ones = {name: ak.unflatten(EVENT, 1) for name in ("EventHeader.eventNumber", "Event.Number")}
    path = write(tmp_path / "a.ttree", columns | {"ReconstructedJets.mass": lists(M)} | ones)
    assert_jets(convert(path))
    assert_jets(convert(path, "--columns", "event=Event.Number"))
    with pytest.raises(JetError, match=r"column ReconstructedJets\.mass is not numeric|whole"):
        read_jets(path, columns="event=ReconstructedJets.mass")


def test_the_columns_of_events_can_be_named_alone(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", {"number": ROWS, "event": ROWS[::-1], "pt": PT, "eta": ETA, "phi": PHI, "m": M})
    assert_jets(convert(path, "--columns", "event=number"))


FIELDS = {"pt": PT, "eta": ETA, "phi": PHI}


@pytest.mark.parametrize(
    ("columns", "options", "message"),
    [
        (
            ODD,
            ["--columns", "pt=kt,eta=rapidity,phi=azimuth,m=msd"],
            r"no column 'kt', named for pt; the nearest: kT",
        ),
        (
            ODD,
            ["--columns", "pt=kT,eta=rapidity,phi=azimuth"],
            r"no mass, nor an energy, beside kT, rapidity, azimuth",
        ),
        (ODD, ["--columns", "pt=kT,rapidity=x"], r"columns: expected one of pt, eta, .*, found 'rapidity' = 'x'"),
        (ODD, ["--columns", "pt=kT,pt=msd"], r"columns: pt is named twice, as kT and as msd"),
        (ODD, ["--columns", "kT"], r"columns: expected one of pt, .*, found 'kT' = ''"),
        (ODD, ["--columns", "run=nr"], r"columns: run without an event"),
        (ODD, [], r"missing columns pt, eta, phi, m; expected .* --columns .*those there are: kT, rapidity"),
        (FIELDS, [], r"no mass, nor an energy, beside pt, eta, phi; .*--columns"),
        (
            FIELDS | {"m": M},
            ["--columns", "pt=pt,eta=eta,phi=phi,m=m", "--collection", "Jet"],
            r"a collection and the columns of jets were both named",
        ),
        (
            {f"jet_{role}": values for role, values in FIELDS.items()},
            [],
            r"collection 'jet': no mass, nor an energy, beside jet_pt, jet_eta, jet_phi",
        ),
        (
            {f"{kind}_{role}": x for kind in ("FatJet", "GenJet") for role, x in (FIELDS | {"m": M}).items()},
            [],
            r"no collection is called jets .of another kind: FatJet, GenJet.; choose .*--collection",
        ),
        (
            {f"Jet_{role}": x for role, x in FIELDS.items()},
            ["--collection", "Muon"],
            r"no collection 'Muon'; those there are: Jet .incomplete.",
        ),
        (
            named("jet{i}_{r}", pt=PT, eta=ETA, phi=PHI, m=M) | {"jet5_pt": slots(PT)[:, 0]},
            ["--columns", "pt=jet{i}_pt,eta=jet{i}_eta,phi=jet{i}_phi,m=jet{i}_m"],
            r"jet{i}_eta is there for 1, 2, 3, 4, other columns for 1, 2, 3, 4, 5",
        ),
        (FIELDS | {"m": M}, ["--padding", "pt"], r"columns: expected one of|padding: expected"),
        (FIELDS | {"m": M}, ["--padding", "pt=none"], r"padding: expected a number for each, as pt=-999,eta=0"),
        (FIELDS | {"m": M}, ["--padding", "e=0"], r"padding of e, which is not read; read are pt, eta, phi, m"),
    ],
)
def test_what_cannot_be_found_is_one_line_that_says_what_is_there(
    columns: dict[str, Any], options: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "a.csv", columns)
    assert main(["convert", str(path), str(tmp_path / "out.csv"), *options]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("compressionhep: error: ")
    assert re.search(message, lines[0]), lines[0]
    assert not (tmp_path / "out.csv").exists()


def test_numbered_columns_without_a_name_are_jets_only_when_it_is_said(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", named("{r}{i}", pt=PT, eta=ETA, phi=PHI, m=M))  # as two muons may be
    with pytest.raises(JetError, match=r"no collection is called jets; choose one .*: {i}"):
        read_jets(path)
    assert_jets(convert(path, "--columns", "pt=pt{i},eta=eta{i},phi=phi{i},m=m{i},event=event"))
    assert_jets(convert(path, "--collection", "{i}"))


def test_jets_that_are_not_the_only_ones_are_told_apart(tmp_path: Path) -> None:
    jets = {f"{name}_{role}": x for name in ("AK4", "AK8") for role, x in (FIELDS | {"m": M}).items()}
    with pytest.raises(JetError, match=r"no collection is called jets; .*: AK4, AK8"):
        read_jets(write(tmp_path / "a.csv", jets))  # which are no jets number 4 and 8
    assert len(read_jets(tmp_path / "a.csv", collection="AK8")) == JETS
    leading = {f"jet1_{role}": x for role, x in (FIELDS | {"m": M}).items()}
    assert len(read_jets(write(tmp_path / "b.csv", leading))) == JETS


@pytest.mark.parametrize("suffix", [".ttree", ".root", ".npz", ".h5", ".parquet"])
@pytest.mark.parametrize("padding", ["pt=-999", "eta=0,phi=-9", "m=nan"])
def test_padding_of_any_filling_is_left_out_where_it_is_named(suffix: str, padding: str, tmp_path: Path) -> None:
    filled = {"pt": slots(PT, -999), "eta": slots(ETA, 0), "phi": slots(PHI, -9), "m": slots(M)}
    path = write(tmp_path / f"a{suffix}", {"event": EVENT} | {f"jet_{role}": x for role, x in filled.items()})
    assert_jets(convert(path, "--padding", padding))
    with pytest.raises(JetError, match=r"NaN|pt <= 0"):
        read_jets(path)


@pytest.mark.parametrize("suffix", [".ttree", ".root", ".npz", ".h5", ".parquet"])
@pytest.mark.parametrize("counter", ["njets", "nJet", "jet_n"])
def test_a_counter_says_how_many_places_are_jets(suffix: str, counter: str, tmp_path: Path) -> None:
    filled: dict[str, Any] = {"pt": slots(PT, 1), "eta": slots(ETA, 0), "phi": slots(PHI, -9), "m": slots(M, 2)}
    if suffix == ".parquet":
        filled = {role: ak.to_regular(ak.Array(x.tolist())) for role, x in filled.items()}
    columns = {f"jet_{role}": x for role, x in filled.items()} | {"event": EVENT, counter: np.array(COUNTS)}
    assert_jets(convert(write(tmp_path / f"a{suffix}", columns)))


def test_padding_may_stand_anywhere_and_an_event_of_nothing_else_has_no_jets(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("event,pt,eta,phi,m\n1,-1,0,0,0\n1,50,0,0,5\n2,-1,0,0,0\n3,60,0,0,5\n")
    table = read_jets(tmp_path / "a.csv", padding={"pt": -1})
    assert (table["event"].tolist(), table.attrs) == ([1, 3], {"empty_events": [2]})


def test_the_likeliest_tree_is_named_where_none_has_all_of_its_jets(tmp_path: Path) -> None:
    with uproot.recreate(tmp_path / "a.root") as file:
        file.mktree("configuration", {"seed": np.arange(3)})
        file.mktree("analysis", {f"jet_{role}": lists(x) for role, x in FIELDS.items()})
        file.mktree("weights", {"w": np.arange(3)})
    with pytest.raises(JetError, match="tree analysis: collection 'jet': no mass"):
        read_jets(tmp_path / "a.root")
    with pytest.raises(JetError, match=r"tree analysis: no column 'jetmass', named for m; the nearest: jet_"):
        read_jets(tmp_path / "a.root", columns="pt=jet_pt,eta=jet_eta,phi=jet_phi,m=jetmass")


@pytest.mark.parametrize(("broken", "message"), [("other", None), ("Events", "tree Events: cannot be read as ROOT")])
def test_a_tree_that_cannot_be_read_harms_no_other_but_the_usual_one(
    broken: str, message: str | None, tmp_path: Path
) -> None:
    path = tmp_path / "a.root"
    with uproot.recreate(path, compression=None) as file:
        file.mktree(broken, {f"number{i}": np.arange(3) for i in range(5)})
        file.mktree("jets", {f"jet_{role}": lists(x) for role, x in (FIELDS | {"m": M}).items()})
    with uproot.open(path) as file:
        key = file.key(broken)
    content = bytearray(path.read_bytes())
    begin, end = key.fSeekKey + key.fKeylen + 60, key.fSeekKey + key.fNbytes
    content[begin:end] = b"\xff" * (end - begin)
    path.write_bytes(content)
    if message is None:
        assert len(read_jets(path)) == JETS
    with pytest.raises(JetError, match=message or f"tree {broken}: cannot be read as ROOT"):
        read_jets(path, tree=broken)


def test_a_sample_says_how_its_files_are_read(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", ODD)
    columns = "pt=kT,eta=rapidity,phi=azimuth,m=msd,event=nr"
    sample = load_sample({"path": str(path), "columns": columns})
    assert len(sample.train) + len(sample.valid) + len(sample.test) == JETS
    assert sample.source["reading"] == {"columns": columns}
    with pytest.raises(JetError, match=r"a dataset has a path and may have tree, .*; found path, colums"):
        load_sample({"path": str(path), "colums": columns})
    with pytest.raises(JetError, match="embedded: a sample of this project needs no unit"):
        load_sample({"path": "embedded", "unit": "GeV"})


def test_a_sample_is_read_without_its_bad_jets_on_demand_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    rows = [f"{event},2,{'nan' if event == 3 else 30},0,0" for event in range(100)]
    path.write_text("\n".join(["event,m,pt,phi,eta", *rows]) + "\n")
    with pytest.raises(JetError, match=r"NaN or infinite pt in 1 jets.*--bad-jets drop"):
        load_sample({"path": str(path), "unit": "GeV"})
    with pytest.warns(JetWarning, match="1 of 100 jets dropped"):
        sample = load_sample({"path": str(path), "unit": "GeV", "bad_jets": "drop"})
    assert sum(sample.source["jets"].values()) == 99
    assert sample.source["reading"] == {"unit": "GeV", "bad_jets": "drop"}
