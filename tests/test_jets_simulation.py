"""Simulated jets and the sample that the repository ships."""

import hashlib
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet
import pytest

from utils import jets
from utils.cli import main
from utils.jets import (
    COLUMNS,
    EMBEDDED_FILES,
    MASSLESS,
    CalorimeterRegion,
    JetError,
    SimulationSettings,
    read_jets,
    simulate_jets,
)
from utils.jets.calorimeter import cluster_jets, fine_tower, make_calorimeter

DATASETS = Path(__file__).resolve().parent.parent / "datasets"
QUANTILES = (0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999)
SMALL = SimulationSettings(
    pileup_process="SoftQCD:nonDiffractive",
    pileup_pool=20,
    pileup_mean=4.0,
    block_events=30,
    pileup_block_events=10,
)
"""Small blocks of few and quickly initialized minimum-bias events."""


@pytest.fixture(scope="module")
def sample() -> dict[str, pd.DataFrame]:
    return {part: pd.read_parquet(DATASETS / f"qcd_jets_{part}.parquet") for part in ("train", "test")}


@pytest.fixture(scope="module")
def readme() -> str:
    return (DATASETS / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def small() -> pd.DataFrame:
    """75 events in blocks of 30, so that two workers share three blocks."""
    pytest.importorskip("pythia8mc", reason="the extra simulation is not installed")
    pytest.importorskip("fastjet", reason="the extra simulation is not installed")
    return simulate_jets(75, seed=5, progress=False, settings=SMALL)


def test_the_table_does_not_depend_on_the_number_of_workers(small: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(simulate_jets(75, seed=5, workers=2, progress=False, settings=SMALL), small)


def test_another_seed_gives_other_jets(small: pd.DataFrame) -> None:
    other = simulate_jets(30, seed=6, progress=False, settings=SMALL)
    assert len(np.intersect1d(other["pt"], small["pt"])) == 0


def test_fewer_events_are_the_beginning_of_more(small: pd.DataFrame) -> None:
    fewer = simulate_jets(40, seed=5, progress=False, settings=SMALL)
    pd.testing.assert_frame_equal(fewer, small[small["event"] < 40])


def test_simulated_events_pass_the_trigger_and_jets_fall_in_pt(small: pd.DataFrame) -> None:
    assert tuple(small.columns) == COLUMNS
    assert small["event"].between(0, 74).all()
    lead = small.groupby("event")["pt"].max()
    assert lead.min() > SMALL.trigger_pt * (1 - 4 * SMALL.trigger_resolution)
    assert small["pt"].min() > SMALL.jet_pt_min
    assert small.groupby("event")["pt"].apply(lambda pt: pt.is_monotonic_decreasing).all()


def test_missing_extra_is_one_clear_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pythia8mc", None)
    with pytest.raises(JetError, match=re.escape('in the root of a clone: pip install -e ".[simulation]"')):
        simulate_jets(10, seed=1)


@pytest.mark.parametrize(("name", "value"), [("n_events", 0), ("seed", -1), ("workers", 0)])
def test_unusable_arguments_are_named(name: str, value: int) -> None:
    arguments: dict[str, Any] = {"n_events": 1, "seed": 1, "workers": 1, name: value}
    with pytest.raises(JetError, match=f"{name}: expected at least [01], got {value}"):
        simulate_jets(**arguments, progress=False)


def test_regions_of_broken_towers_are_refused() -> None:
    settings = SimulationSettings(regions=(CalorimeterRegion(2.5, 2, 1.0),))
    with pytest.raises(JetError, match=r"up to \|eta\| = 2.5: expected a positive whole number of towers of 2 x 2"):
        make_calorimeter(settings)


def test_a_particle_falls_into_the_tower_around_it() -> None:
    calorimeter = make_calorimeter(SimulationSettings())
    random = np.random.default_rng(0)
    eta, phi = random.uniform(-4.9, 4.9, 2000), random.uniform(-np.pi, np.pi, 2000)
    tower = calorimeter.tower_of[fine_tower(eta, phi, 4.9)]
    half_width = np.where(np.abs(eta) < 2.5, 0.05, 0.1)
    assert np.all(np.abs(calorimeter.eta[tower] - eta) <= half_width + 1e-9)
    assert np.all(np.abs(calorimeter.phi[tower] - phi) <= half_width * np.pi / 3.2 + 1e-9)


def test_a_single_tower_makes_a_massless_jet_and_two_towers_a_massive_one() -> None:
    pytest.importorskip("pythia8mc", reason="the extra simulation is not installed")
    pytest.importorskip("fastjet", reason="the extra simulation is not installed")
    settings = SimulationSettings()
    calorimeter = make_calorimeter(settings)
    energy = np.zeros((2, len(calorimeter.eta)))
    alone, beside, forward = calorimeter.tower_of[
        fine_tower(np.array([0.05, 0.15, 4.05]), np.array([0.3, 0.3, 2.0]), 4.9)
    ]
    energy[0, [alone, forward]] = 200.0, 30.0
    energy[1, [alone, beside]] = 200.0, 100.0
    event, m, pt, _, eta = cluster_jets(energy, np.array([7, 8]), np.ones(2), settings, calorimeter)
    assert event.tolist() == [7, 7, 8]
    assert pt == pytest.approx([200, 30, 300], rel=1e-2)
    assert eta[1] == pytest.approx(4.0)
    assert np.all(np.abs(m[:2]) < MASSLESS)
    assert m[2] == pytest.approx(2 * np.sqrt(200 * 100) * np.sinh(0.05), rel=1e-6)


def test_shipped_jets_have_the_promised_columns_and_order(sample: dict[str, pd.DataFrame]) -> None:
    for table in sample.values():
        assert tuple(table.columns) == COLUMNS
        assert [str(kind) for kind in table.dtypes] == ["int64"] + ["float32"] * 4
        assert np.isfinite(table.to_numpy()).all()
        event, pt = table["event"].to_numpy(), table["pt"].to_numpy()
        assert np.all(np.diff(event) >= 0)
        assert np.all((np.diff(pt) <= 0) | (np.diff(event) > 0))
        assert pt.min() > 20
        assert np.abs(table["phi"]).max() <= np.float32(np.pi)
        assert np.abs(table["eta"]).max() < 4.9


def test_shipped_masses_include_massless_jets_as_rounding_leaves_them(sample: dict[str, pd.DataFrame]) -> None:
    for table in sample.values():
        m = table["m"].to_numpy()
        massless = np.abs(m) < MASSLESS
        assert 0.001 < massless.mean() < 0.01
        assert (m == 0).any()
        assert (m < 0).any()
        assert m.min() > -MASSLESS
        assert (table["eta"][massless].abs() > 2.5).mean() > 0.9, "single towers belong to the coarse forward region"


def test_shipped_files_have_the_published_sizes_and_share_no_event(sample: dict[str, pd.DataFrame]) -> None:
    assert abs(len(sample["train"]) - 111_778) < 30
    assert abs(len(sample["test"]) - 27_945) < 30
    assert not set(sample["train"]["event"]) & set(sample["test"]["event"])
    assert sum(path.stat().st_size for path in EMBEDDED_FILES) < 4e6


def test_readme_checksums_fit_the_shipped_files(readme: str) -> None:
    for path in EMBEDDED_FILES:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        assert f"| `{path.name}` |" in readme
        assert digest in readme, f"README.md does not give the sha256 of {path.name}: {digest}"


def test_readme_quantiles_fit_the_shipped_files_and_the_published_ones(
    sample: dict[str, pd.DataFrame], readme: str
) -> None:
    rows = {}
    for quantity, name, numbers in re.findall(r"^\| (m|pt|\\\|eta\\\|)[^|]*\| (\w+) \|(.*)\|$", readme, re.MULTILINE):
        rows[quantity.replace("\\", ""), name] = [float(number) for number in numbers.split("|")]
    assert len(rows) == 9
    for part, table in sample.items():
        for quantity in ("m", "pt", "|eta|"):
            expected = np.quantile(table[quantity.strip("|")].abs(), QUANTILES)
            assert rows[quantity, part] == pytest.approx(expected, abs=0.006), (quantity, part)
    for quantity in ("m", "pt"):
        for part in sample:
            ratio = np.array(rows[quantity, part]) / np.array(rows[quantity, "published"])
            assert np.all(np.abs(ratio[1:-1] - 1) < 0.25), (quantity, part, ratio)


def test_shipped_files_need_no_index_or_pandas_metadata() -> None:
    for path in EMBEDDED_FILES:
        assert pyarrow.parquet.read_schema(path).names == list(COLUMNS)


def test_command_writes_a_jet_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any, small: Any) -> None:
    monkeypatch.setattr(jets, "simulate_jets", lambda *arguments, **options: small)
    path = tmp_path / "jets.parquet"
    assert main(["simulate", "--events", "75", "--seed", "5", "--output", str(path)]) == 0
    pd.testing.assert_frame_equal(read_jets(path), small)
    assert f"{len(small)} jets of {small['event'].nunique()} events (75 generated)" in capsys.readouterr().out


def test_command_writes_the_embedded_sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr(jets, "write_embedded_sample", lambda folder, workers: [f"{folder}/a with {workers}", "b"])
    assert main(["simulate", "--embedded", str(tmp_path), "--workers", "2"]) == 0
    assert capsys.readouterr().out == f"{tmp_path}/a with 2\nb\n"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--embedded", "x", "--events", "3"], "--events belongs to a sample of your own, not to --embedded"),
        (["--embedded", "x", "--output", "y.csv"], "--output belongs to a sample of your own, not to --embedded"),
        (["--events", "3", "--output", "y.csv"], "a sample of your own needs --seed; or give --embedded alone"),
    ],
)
def test_command_takes_a_sample_of_its_own_or_the_embedded_one(options: list[str], message: str, capsys: Any) -> None:
    assert main(["simulate", *options]) == 2
    assert capsys.readouterr().err.endswith(f"compressionhep: error: {message}\n")
