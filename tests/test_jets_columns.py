"""Simulated jets with columns, and the sample of them that the repository ships."""

import hashlib
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet
import pytest

from utils import jets
from utils.cli import main
from utils.jets import (
    EMBEDDED_COLUMNS,
    EVENT_WISE,
    JET_WISE,
    JetError,
    ParticleSettings,
    embedded_columns,
    read_jets,
    simulate_columns,
    write_columns,
)

NAMES = [column.name for column in (*EVENT_WISE, *JET_WISE)]
SMALL = ParticleSettings(block_events=110)
"""Blocks of a whole batch of particles and a part of one."""
EVENTS = 150


@pytest.fixture(scope="module")
def shipped() -> pd.DataFrame:
    return embedded_columns()


@pytest.fixture(scope="module")
def readme() -> str:
    return (EMBEDDED_COLUMNS.parent / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def small() -> pd.DataFrame:
    """Two blocks of events."""
    pytest.importorskip("pythia8mc", reason="the extra simulation is not installed")
    pytest.importorskip("fastjet", reason="the extra simulation is not installed")
    return simulate_columns(EVENTS, seed=5, progress=False, settings=SMALL)


def test_the_table_does_not_depend_on_the_number_of_workers(small: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(simulate_columns(EVENTS, 5, workers=2, progress=False, settings=SMALL), small)


def test_fewer_events_are_the_beginning_of_more(small: pd.DataFrame) -> None:
    fewer = simulate_columns(104, seed=5, progress=False, settings=SMALL)
    assert fewer["event"].max() > 100, "a part of a batch"
    pd.testing.assert_frame_equal(fewer, small[small["event"] < 104])


def test_another_seed_gives_other_jets(small: pd.DataFrame) -> None:
    other = simulate_columns(20, seed=6, progress=False, settings=SMALL)
    assert set(zip(other["eta"], other["phi"], strict=True)).isdisjoint(zip(small["eta"], small["phi"], strict=True))


def test_events_without_jets_are_missing_and_none_may_be_left(small: pd.DataFrame) -> None:
    nothing = simulate_columns(2, seed=5, progress=False, settings=replace(SMALL, jet_pt_min=6000.0))
    assert len(nothing) == 0
    assert nothing.dtypes.to_dict() == small.dtypes.to_dict()


def test_particles_that_are_measured_exactly_make_jets_of_balanced_momenta(small: pd.DataFrame) -> None:
    exact = ParticleSettings(
        track_pt_min=0,
        neutral_pt_min=0,
        track_resolution=(0, 0),
        electromagnetic_resolution=(0, 0),
        hadronic_resolution=(0, 0),
    )
    table = simulate_columns(40, seed=5, progress=False, settings=exact)
    lead, smeared = (jets.groupby("event")["pt"].max() for jets in (table, small))
    common = lead.index.intersection(smeared.index)
    assert (smeared[common] / lead[common]).median() == pytest.approx(1, abs=0.05)
    assert (smeared[common] / lead[common]).std() > 0.01


def test_missing_extra_is_one_clear_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fastjet", None)
    with pytest.raises(JetError, match=re.escape('in the root of a clone: pip install -e ".[simulation]"')):
        simulate_columns(10, seed=1)


@pytest.mark.parametrize(("name", "value"), [("n_events", 0), ("seed", -1), ("workers", 0)])
def test_unusable_arguments_are_named(name: str, value: int) -> None:
    arguments: dict[str, Any] = {"n_events": 1, "seed": 1, "workers": 1, name: value}
    with pytest.raises(JetError, match=f"{name}: expected at least [01], got {value}"):
        simulate_columns(**arguments, progress=False)


@pytest.fixture(params=["simulated", "shipped"])
def table(request: pytest.FixtureRequest) -> pd.DataFrame:
    return request.getfixturevalue({"simulated": "small", "shipped": "shipped"}[request.param])


def test_jets_have_the_promised_columns_and_order(table: pd.DataFrame) -> None:
    assert list(table.columns) == NAMES
    assert len(JET_WISE) == 32
    assert [str(kind) for kind in table.dtypes] == [column.dtype for column in (*EVENT_WISE, *JET_WISE)]
    assert np.isfinite(table.to_numpy(np.float64)).all()
    event, pt = table["event"].to_numpy(), table["pt"].to_numpy()
    assert np.all(np.diff(event) >= 0)
    assert np.all((np.diff(pt) <= 0) | (np.diff(event) > 0))
    assert table.groupby("event")["genWeight"].nunique().eq(1).all()
    assert pt.min() >= 15
    assert table["eta"].abs().max() < 4.7
    assert table["phi"].abs().max() <= np.float32(np.pi) * (1 + 2**-12)


def test_floats_have_the_precision_of_nanoaod(table: pd.DataFrame) -> None:
    for column in JET_WISE:
        if column.dtype == "float32":
            assert column.bits == (12 if column.name in ("eta", "phi") else 10), column.name
            used = int(np.bitwise_or.reduce(table[column.name].to_numpy().view(np.uint32)))
            assert used % 2 ** (24 - column.bits) == 2 ** (23 - column.bits), f"{column.name}: the last bit is used"


def test_energies_and_multiplicities_add_up(table: pd.DataFrame) -> None:
    shares = table[["chHEF", "neHEF", "chEmEF", "neEmEF", "muEF"]].astype(np.float64)
    assert shares.min().min() >= 0
    assert (shares.sum(axis=1) - 1).abs().max() < 5 * 2**-12
    parts = table["chMultiplicity"].astype(int) + table["neMultiplicity"]
    assert parts.eq(table["nConstituents"]).all()
    assert table["nTrk1000"].le(table["nTrk500"]).all()
    assert table["nTrk500"].le(table["chMultiplicity"]).all()
    assert table["N90"].between(1, table["nConstituents"]).all()
    assert (2 * table["nSVs"].astype(int)).le(table["nTrk500"]).all()


def test_shapes_keep_their_inequalities(table: pd.DataFrame) -> None:
    rounding = 1 + 2**-9
    assert (table["tau2"] <= table["tau1"] * rounding).mean() > 0.999
    assert table["tau1"].mean() / table["tau2"].mean() > 1.2
    for smaller, larger in (
        ("widthPhi", "width"),
        ("leadFrac", "ptD"),
        ("leadTrkPt", "sumPtTrk"),
        ("centroidR", "width"),
    ):
        assert (table[smaller] <= table[larger] * rounding).all(), (smaller, larger)
    for name, low, high in (("ptD", 0, 1), ("leadFrac", 0, 1), ("width", 0, 0.4), ("C1", 0, 0.5), ("rawFactor", 0, 1)):
        assert table[name].between(low, high * rounding).all(), name
    single = table[table["nConstituents"] == 1]
    assert (single[["width", "tau1", "tau2", "C1"]].to_numpy() < 1e-6).all()


def test_there_are_tracks_within_the_tracker_alone(table: pd.DataFrame) -> None:
    tracks, forward = table["nTrk500"] > 0, table["eta"].abs() > 2.5 + 0.4 + 0.01
    assert not tracks[forward].any()
    assert table.loc[forward, ["chHEF", "chEmEF", "muEF", "charge", "chMultiplicity"]].eq(0).all(axis=None)
    assert ((table["trackWidth"] == -1) == ~tracks).all()
    assert ((table["sumPtTrk"] > 0) == tracks).all()
    assert table.loc[tracks, "trackWidth"].min() >= 0
    central = table["eta"].abs() < 2
    assert table.loc[central, "chHEF"].mean() == pytest.approx(0.6, abs=0.1)


def test_heavy_flavour_makes_displaced_tracks_and_vertices(shipped: pd.DataFrame) -> None:
    central = shipped[shipped["eta"].abs() < 2]
    assert set(shipped["hadronFlavour"]) == {0, 4, 5}
    assert 0.005 < (central["hadronFlavour"] == 5).mean() < 0.15
    vertices = central.groupby("hadronFlavour")["nSVs"].mean()
    assert vertices[5] > 3 * vertices[0]
    displaced = central["dxyMax"].between(0.03, 0.5).groupby(central["hadronFlavour"]).mean()
    assert displaced[5] > 2 * displaced[0]


def test_weights_make_up_for_the_bias_to_high_momenta(shipped: pd.DataFrame) -> None:
    lead = shipped.groupby("event")[["pt", "genWeight"]].first()
    low, high = (lead[lead["pt"].between(*window)] for window in ((40, 50), (160, 200)))
    ratio = low["genWeight"].mean() / high["genWeight"].mean()
    assert 4**3 < ratio < 4**5, "pT-hat four times as high weighs 4^-4"


def test_the_shipped_file_holds_whole_events_below_3_mb(shipped: pd.DataFrame) -> None:
    assert EMBEDDED_COLUMNS.stat().st_size < 3e6
    assert len(shipped) == pytest.approx(45_000, rel=0.03)
    assert shipped["event"].between(0, 11_999).all()
    assert shipped["event"].nunique() > 0.95 * 12_000


def test_the_file_says_what_the_columns_are(tmp_path: Path, shipped: pd.DataFrame) -> None:
    write_columns(shipped.head(3), tmp_path / "few.parquet")
    for path in (EMBEDDED_COLUMNS, tmp_path / "few.parquet"):
        schema = pyarrow.parquet.read_schema(path)
        assert schema.names == NAMES
        for column in (*EVENT_WISE, *JET_WISE):
            said = {b"unit": column.unit.encode(), b"description": column.meaning.encode()}
            assert schema.field(column.name).metadata == said
        assert schema.metadata is None
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "few.parquet"), shipped.head(3))


def test_readers_of_jets_find_four_columns_and_their_units(shipped: pd.DataFrame) -> None:
    table = read_jets(EMBEDDED_COLUMNS)
    assert table["event"].equals(shipped["event"])
    for name, column in {"m": "mass", "pt": "pt", "eta": "eta"}.items():
        assert table[name].equals(shipped[column].rename(name))


def test_readme_describes_every_column_and_gives_the_checksum(readme: str) -> None:
    for column in (*EVENT_WISE, *JET_WISE):
        assert f"| `{column.name}` | {column.dtype} | {column.unit} | {column.meaning} |" in readme
    digest = hashlib.sha256(EMBEDDED_COLUMNS.read_bytes()).hexdigest()
    assert digest in readme, f"README.md does not give the sha256 of {EMBEDDED_COLUMNS.name}: {digest}"
    assert f"{EMBEDDED_COLUMNS.stat().st_size:,}" in readme


@pytest.mark.parametrize("suffix", ["parquet", "root"])
def test_command_writes_a_sample_of_ones_own(
    suffix: str, tmp_path: Path, shipped: pd.DataFrame, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    few = shipped[shipped["event"] < 20]
    monkeypatch.setattr(jets, "simulate_columns", lambda *arguments, **options: few)
    path = tmp_path / f"jets.{suffix}"
    assert main(["simulate", "--columns", "--events", "20", "--seed", "5", "--output", str(path)]) == 0
    assert np.array_equal(read_jets(path)["pt"], few["pt"])
    assert f"{len(few)} jets of {few['event'].nunique()} events (20 generated)" in capsys.readouterr().out


def test_command_writes_the_embedded_sample_with_columns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr(jets, "simulate_columns", lambda *arguments, **options: None)
    monkeypatch.setattr(jets, "write_embedded_columns", lambda folder, workers: [f"{folder}/a with {workers}"])
    assert main(["simulate", "--embedded", str(tmp_path), "--columns", "--workers", "2"]) == 0
    assert capsys.readouterr().out == f"{tmp_path}/a with 2\n"
    (tmp_path / EMBEDDED_COLUMNS.name).write_text("mine")
    assert main(["simulate", "--embedded", str(tmp_path), "--columns"]) == 2
    assert EMBEDDED_COLUMNS.name in capsys.readouterr().err


def test_command_names_the_formats_that_hold_columns(tmp_path: Path, capsys: Any) -> None:
    output = str(tmp_path / "jets.csv")
    assert main(["simulate", "--columns", "--events", "20", "--seed", "5", "--output", output]) == 2
    assert ".parquet" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
