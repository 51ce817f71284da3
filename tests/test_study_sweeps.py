"""Sweeps over variants and seeds: resumable, summed up right, and careful with what they conclude."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from utils import plotting
from utils.cli import main
from utils.jets import (
    EMBEDDED_FILES,
    feature_array,
    iter_jets,
    load_contrasting_samples,
    load_sample,
    make_table,
    write_jets,
)
from utils.networks import VARIANT_LABELS, load_checkpoint
from utils.study import sweep_summary, sweeps
from utils.study.runs import Run


def make_row(
    variant: str, seed: int, ratio: float, refined: float | None = None, max_jets=None, loss="mse", schedule="plain"
):
    resolution = [
        {"quantity": name, "unit": "", "jets": 9, "masked": 0, "half_width_68": ratio / 10 + seed / 1000, "q99": ratio}
        for name in ("m", "pt", "phi", "eta")
    ]
    row = {
        "variant": variant,
        "schedule": schedule,
        "seed": seed,
        "loss": loss,
        "max_jets": max_jets,
        "training_jets": (max_jets or 100_000) + seed,
        "parameters": 7,
        "pca_mse": 1e-3,
        "normalization": "custom",
        "mse": ratio * 1e-3,
        "mse_custom": ratio * 1e-3,
        "unphysical": 0,
        "train_mse": 0.9 * ratio * 1e-3,
        "training_cpu_seconds": 100.0 + seed,
        "resolution": resolution,
        "curve": {"epoch": [0, 5, 9], "train": [1.0, 0.1, 0.01], "valid": [1.1, 0.2, 0.02]},
    }
    if refined is not None:
        row["refined"] = {"mse": refined * 1e-3, "seconds": {"encode": 1.0, "refine": 50.0}, "resolution": resolution}
    return row


def three(variant: str, *ratios: float, **more):
    return [make_row(variant, seed, ratio, **more) for seed, ratio in enumerate(ratios)]


def test_mean_and_standard_deviation_over_the_seeds():
    tanh, elu = sweep_summary.summarize_seeds(three("tanh", 0.4, 0.5, 0.6, refined=0.3) + three("elu_bn", 0.5))
    assert tanh["mse_over_pca"] == pytest.approx((0.5, 0.1))
    assert tanh["refined_over_pca"] == pytest.approx((0.3, 0), abs=1e-12)
    assert tanh["refine_seconds"] == (50, 0)
    assert tanh["seeds"] == [0, 1, 2]
    assert tanh["resolution"]["pt"]["half_width_68"] == pytest.approx((0.051, 0.011))
    assert elu["mse_over_pca"] == (pytest.approx(0.5), None)
    assert elu["refined_mse"] is None
    frame = sweep_summary.summary_frame([tanh, elu])
    assert frame["/ PCA"].tolist() == ["0.50 ± 0.10", "0.500"]
    json.dumps([tanh, elu], allow_nan=False)


def test_the_small_table_has_a_row_for_the_baseline():
    tanh = make_row("tanh", 0, 0.5)
    baseline = tanh | {"label": "rank-3 PCA", "mse": 1e-3, "mse_custom": None, "unphysical": 12}
    table = sweep_summary.seeds_table(sweep_summary.summarize_seeds([tanh]), baseline)
    assert list(table.index) == ["tanh", "rank-3 PCA"]
    assert table["MSE"].tolist() == ["5.00e-4", "1.00e-3"]
    assert table["MSE / PCA"].tolist() == ["0.500", "1"]
    assert table["MSE, common space"].tolist() == ["5.00e-4", "- (12 jets)"]
    assert table["seeds"].tolist() == ["1", "no training"]


def test_only_differences_beyond_the_spread_count():
    rows = three("tanh", 0.4, 0.42, 0.44) + three("elu_bn", 0.41, 0.43, 0.45) + three("residual_gelu", 0.2, 0.21, 0.22)
    text = sweep_summary.describe_seeds(sweep_summary.summarize_seeds(rows))
    assert "residual GELU and tanh: apart by 0.21, more than the two spreads together" in text
    assert "tanh and ELU + BN: apart by 0.01, no more than the two spreads together: not distinguished" in text
    assert "nothing can be said" in sweep_summary.describe_seeds(
        sweep_summary.summarize_seeds(three("tanh", 0.4) + three("elu_bn", 0.9))
    )


def xy(line) -> np.ndarray:
    return np.asarray(line.get_xydata(), dtype=float)


def test_plots_show_every_seed_and_the_baseline():
    rows = three("tanh", 0.4, 0.5, refined=0.3) + three("elu_bn", 0.5, 0.6, refined=0.4)
    ax = Figure().subplots()
    drawn = plotting.plot_comparison(ax, rows, {"published": 0.8})
    assert [xy(bar.lines[0])[0, 1] for bar in drawn.plain] == pytest.approx([0.45, 0.55])
    assert [xy(bar.lines[0])[0, 1] for bar in drawn.refined] == pytest.approx([0.3, 0.4])
    assert xy(drawn.baseline)[0, 1] == 1
    labels = [label.get_text() for label in ax.get_xticklabels()]
    assert labels == [VARIANT_LABELS["tanh"], VARIANT_LABELS["elu_bn"], "published"]
    whole, late = Figure().subplots(1, 2)
    lines = plotting.plot_training_time((whole, late), rows)
    assert len(lines) == 4
    assert len(late.get_lines()) == 8
    assert late.get_xlim()[1] == pytest.approx(1.05 * 101)
    assert xy(lines[1])[-1, 0] == pytest.approx(101)
    sized = three("tanh", 0.9, 0.8, max_jets=3000) + three("tanh", 0.4, 0.5)
    test, training = (xy(bar.lines[0]) for bar in plotting.plot_sample_size(Figure().subplots(), sized))
    np.testing.assert_allclose(test, [[3000.5, 0.85e-3], [100_000.5, 0.45e-3]])
    np.testing.assert_allclose(training[:, 1], [0.765e-3, 0.405e-3])


def test_unknown_variants_are_refused(tmp_path, capsys):
    assert sweeps.parse_variants(["all"]) == list(sweeps.COMPARED)
    with pytest.raises(ValueError, match="unknown variant 'tahn'; known: all, linear, tanh"):
        sweeps.parse_variants(["tahn"])
    with pytest.raises(ValueError, match="all stands alone: give all, or variants by name"):
        sweeps.parse_variants(["all", "linear"])
    assert main(["sweep", "--variants", "tahn", "--output", str(tmp_path)]) == 2
    assert "'tahn' is not one of 'all', 'linear', 'tanh'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--refine", "-1"], "refinement takes"),
        (["--losses", "mse", "resoltion"], "'resoltion' is not one of 'mse', 'resolution'"),
        (["--steps", "0"], "training needs steps"),
        (["--seeds", "0"], "a seed at least"),
        (["--jets", "-5"], "100 jets at least"),
        (["--workers", "0"], "one worker at least"),
        (["--device", "abacus"], "unknown device 'abacus'"),
    ],
)
def test_settings_without_sense_are_refused_before_any_training(options, message, tmp_path, capsys):
    assert main(["sweep", "--output", str(tmp_path / "out"), *options]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_sweep_is_taken_up_where_it_ended(scheduler, tmp_path, capsys):
    rng = np.random.default_rng(0)
    n = 1500
    columns = rng.gamma(2, 4, n), 20 + rng.exponential(60, n), rng.uniform(-3.1, 3.1, n), rng.normal(0, 2, n)
    write_jets(make_table(*columns, np.arange(n) // 3), tmp_path / "jets.parquet")
    folder = tmp_path / "sweep"
    command = ["sweep", "--dataset", str(tmp_path / "jets.parquet"), "--profile", "quick", "--steps", "20"]
    command += [
        "--variants",
        "tanh",
        "residual_gelu",
        "--refine",
        "1",
        "--scheduler",
        scheduler,
        "--output",
        str(folder),
    ]
    assert main([*command, "--seeds", "1"]) == 0
    first = {path.name: path.stat().st_mtime_ns for path in folder.glob("*seed-*.json")}
    assert len(first) == 2
    assert main([*command, "--seeds", "2", "--jets", "600", "1200"]) == 0
    content = json.loads((folder / "sweep.json").read_text())
    assert len(content["rows"]) == 8
    assert {entry["max_jets"] for entry in content["summary"]} == {600, 1200}
    assert all(row["refined"]["mse"] <= row["mse"] for row in content["rows"])
    assert {row["resolution"][0]["jets"] for row in content["rows"]} == {content["rows"][0]["resolution"][0]["jets"]}
    assert "residual GELU" in (folder / "sweep.md").read_text()
    assert (folder / "sweep.png").stat().st_size > 10_000
    for other, what in (
        (["--steps", "30"], "number of steps (20)"),
        (["--profile", "reference"], "profile (quick)"),
        (["--dataset", "embedded"], f"dataset ({tmp_path / 'jets.parquet'})"),
        (["--unit", "GeV"], f"dataset ({tmp_path / 'jets.parquet'})"),
    ):
        assert main([*command, "--seeds", "1", *other]) == 2
        assert f"{folder} holds a sweep of another {what}: choose another --output" in capsys.readouterr().err
    broken = folder / "tanh-custom-plain-mse-all-jets-seed-0.json"
    broken.write_text(broken.read_text()[:-50])
    capsys.readouterr()
    assert main([*command, "--seeds", "1"]) == 2
    assert f"{broken}: there already, and not as this project wrote it" in capsys.readouterr().err
    broken.unlink()
    assert main([*command, "--seeds", "1"]) == 0
    assert "/ PCA" in capsys.readouterr().out
    after = {name: (folder / name).stat().st_mtime_ns for name in first}
    assert [name for name in first if after[name] != first[name]] == [broken.name]
    row = json.loads(broken.read_text())["row"]
    model = load_checkpoint(folder / "tanh-custom-plain-mse-all-jets-seed-0.safetensors")
    assert model.metadata["metrics"]["mse"] == row["mse"]


def test_a_notebook_with_its_own_file_finds_the_training_that_was_made_before(tmp_path):
    write_jets(iter_jets(EMBEDDED_FILES), tmp_path / "my_jets.root")  # as notebook 4 does
    own, before = load_sample(tmp_path / "my_jets.root"), sweeps.other_sample(sweeps.OWN_JETS)
    for part in ("train", "valid", "test"):
        np.testing.assert_array_equal(feature_array(getattr(own, part)), feature_array(getattr(before, part)))


def test_the_samples_that_notebook_1a_contrasts_are_trained_on_before():
    _, *contrasting = load_contrasting_samples()
    assert {*contrasting, sweeps.OWN_JETS} == {n for n in sweeps.OTHER_SAMPLES if sweeps.other_sample(n) is not None}
    assert "central, high pt" in contrasting


def test_what_runs_beside_a_sweep_is_no_row_of_it_and_is_named_where_it_fails(tmp_path):
    run = Run("linear", 0, sample_jets=500, profile="quick", steps=2)
    models: list[list[Path]] = []

    def look() -> dict[str, Any]:
        models.append(list(tmp_path.glob("*.safetensors")))
        return {}

    rows = sweeps.train_runs(tmp_path, [run], workers=1, others={"beside": look})
    assert [row["variant"] for row in rows] == ["linear"]
    assert models == [[]]  # it is called first: the shortest trainings are to end together
    with pytest.raises(sweeps.SweepError, match="beside: ZeroDivisionError") as failed:
        sweeps.train_runs(tmp_path, [run], workers=1, others={"beside": lambda: {"a": 1 / 0}})
    assert failed.value.rows == rows
