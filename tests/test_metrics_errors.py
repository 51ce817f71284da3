"""Errors are wrapped, masked and counted as a physicist expects."""

import json
from typing import Any

import numpy as np
import pytest
import torch

from utils.jets import MASSLESS, JetError, make_table
from utils.metrics import (
    absolute_error,
    count_massless,
    delta_phi,
    describe,
    evaluate,
    evaluation,
    residuals,
    resolution_frame,
    resolution_table,
)
from utils.networks import Checkpoint, NoNormalization, PCABaseline

TRUE = np.array([[0.0, 50.0, 3.1, 1.0], [10.0, 100.0, -3.1, -1.0], [-4.5e-5, 20.0, 0.0, 0.0]])


def test_phi_differences_take_the_short_way_round() -> None:
    np.testing.assert_allclose(
        delta_phi(np.array([3.1, -3.1]), np.array([-3.1, 3.1])), [6.2 - 2 * np.pi, 2 * np.pi - 6.2]
    )


def test_massless_jets_have_no_relative_mass_residual_and_stay_as_they_are() -> None:
    before = TRUE.copy()
    found = residuals(TRUE, TRUE + np.array([1.0, 5.0, 0.1, 0.2]))
    np.testing.assert_array_equal(TRUE, before)
    assert found["m"].isna().tolist() == [True, False, True]
    assert found["m"][1] == pytest.approx(0.1)
    np.testing.assert_allclose(found["pt"], [0.1, 0.05, 0.25])
    np.testing.assert_allclose(found[["phi", "eta"]], [[0.1, 0.2]] * 3)


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match=r"shape \(3, 4\), reconstructed \(2, 4\)"):
        residuals(TRUE, TRUE[:2])


def test_resolution_of_a_gaussian_error() -> None:
    rng = np.random.default_rng(0)
    true = np.column_stack([np.full(200_000, value) for value in (10.0, 50.0, 0.0, 0.0)])
    table = resolution_table(true, true + rng.normal([0.5, 0, 0, 0], [1, 5, 0.02, 0.03], true.shape))
    np.testing.assert_allclose(table["half_width_68"], [0.0994, 0.0994, 0.0199, 0.0298], rtol=0.01)
    np.testing.assert_allclose(table["mean"], [0.05, 0, 0, 0], atol=2e-3)
    assert table["q99"]["phi"] == pytest.approx(2.576 * 0.02, rel=0.02)
    assert table["unit"].tolist() == ["relative", "relative", "rad", ""]
    assert table["masked"].tolist() == [0, 0, 0, 0]


def pca(rank: int, jets: np.ndarray) -> Checkpoint:
    return Checkpoint(PCABaseline(rank).fit(jets), NoNormalization())


def test_a_row_of_the_comparison_is_json_and_says_what_was_masked() -> None:
    table = make_table(*TRUE.T)
    row = evaluate(pca(4, TRUE), table)
    assert json.loads(json.dumps(row, allow_nan=False)) == row
    assert row["mse"] == pytest.approx(0, abs=1e-8)
    assert row["mse_custom"] == pytest.approx(0, abs=1e-8)
    assert {entry["quantity"]: entry["masked"] for entry in row["resolution"]} == {"m": 2, "pt": 0, "phi": 0, "eta": 0}
    assert count_massless(table) == {"massless": 2, "of these exactly zero": 1, "negative": 1}


def test_outputs_without_a_place_in_custom_space_are_counted_there() -> None:
    model = PCABaseline(1)
    model.components = torch.tensor([[0.0, 0.0, 0.0, 1.0]])
    model.mean = torch.tensor([0.0, -5.0, 0.0, 0.0])
    row = evaluate(Checkpoint(model, NoNormalization()), make_table(*TRUE.T))
    assert row["unphysical"] == 3
    assert row["mse_custom"] is None


def test_the_description_gives_the_ratio_to_the_baseline() -> None:
    jets = np.random.default_rng(3).uniform(5, 50, (50, 4)) * [1, 1, 0.05, 0.05]
    rows = [evaluate(pca(rank, jets), make_table(*jets.T)) for rank in (2, 3)]
    rows[0]["label"] = "a worse one"
    ratio = rows[0]["mse"] / rows[1]["mse"]
    assert f"{ratio:.2f} times that of rank-3 PCA" in describe(rows)
    assert resolution_frame(rows).index.get_level_values("quantity").unique().tolist() == ["m", "pt", "phi", "eta"]


def test_a_full_turn_is_no_difference_in_phi() -> None:
    np.testing.assert_allclose(delta_phi(np.array([np.pi, 2.0, 1.5]), np.array([-np.pi, 2.0, 1.0])), [0, 0, 0.5])
    assert np.abs(delta_phi(np.array([np.pi]), np.array([0.0]))) == np.pi


def test_a_mass_is_massless_below_one_mev() -> None:
    true = np.array([[mass, 50.0, 0.0, 0.0] for mass in (0.9e-3, 1.1e-3, -0.9e-3, -1.1e-3)])
    assert residuals(true, true)["m"].isna().tolist() == [True, False, True, False]


def test_massless_jets_alone_have_no_resolution_and_say_so() -> None:
    for jets in (TRUE[[0, 2]], TRUE[:0]):
        with pytest.raises(JetError, match=f"no m residual in {len(jets)} jets"):
            resolution_table(jets, jets)


def test_a_row_of_the_comparison_tells_what_was_trained() -> None:
    jets = np.random.default_rng(3).uniform(5, 50, (50, 4)) * [1, 1, 0.05, 0.05]
    training = {"epochs": 7, "seconds": 1.5, "valid_loss": 0.25}
    model = Checkpoint(PCABaseline(3).fit(jets), NoNormalization(), {"model": "pca", "training": training})
    row = evaluate(model, make_table(*jets.T))
    assert (row["model"], row["label"], row["normalization"]) == ("pca", "rank-3 PCA", "none")
    assert (row["epochs"], row["training_seconds"], row["valid_mse"]) == (7, 1.5, 0.25)
    assert row["parameters"] == 16
    assert row["checkpoint"] is None


def test_a_mass_of_one_mev_is_the_smallest_that_counts() -> None:
    true = np.array([[mass, 50.0, 0.0, 0.0] for mass in (MASSLESS, -MASSLESS, np.nextafter(MASSLESS, 0))])
    assert residuals(true, true)["m"].isna().tolist() == [False, False, True]
    table = make_table(*true.T)
    assert count_massless(table)["massless"] == int((np.abs(table["m"].to_numpy()) < MASSLESS).sum())


def test_the_largest_residual_is_that_of_the_largest_size() -> None:
    true = np.tile([10.0, 50.0, 0.0, 0.0], (3, 1))
    table = resolution_table(true, true + np.array([[-9, -45, -3, -2], [1, 5, 1, 1], [0, 0, 0, 0]]))
    np.testing.assert_allclose(table["max"], [0.9, 0.9, 3, 2])
    assert (table["q99"] > 0).all()


def test_an_absolute_error_of_phi_goes_the_shorter_way_beside_a_value_that_is_not_finite() -> None:
    true, found = np.array([3.1, np.nan, -3.1, 0.5]), np.array([-3.1, 0.0, 3.1, 0.25])
    expected = [2 * np.pi - 6.2, np.nan, 2 * np.pi - 6.2, 0.25]
    np.testing.assert_allclose(absolute_error("phi", true, found), expected, atol=1e-12)
    np.testing.assert_allclose(absolute_error("eta", true, found), [6.2, np.nan, 6.2, 0.25])


class Clock:
    """CPU time that passes in the calls that it watches alone."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        self.patch = monkeypatch
        monkeypatch.setattr(evaluation.time, "process_time", lambda: self.now)

    def watch(self, name: str, seconds: float) -> None:
        function = getattr(evaluation, name)

        def timed(*arguments: Any, **options: Any) -> Any:
            self.now += seconds
            return function(*arguments, **options)

        self.patch.setattr(evaluation, name, timed)


def test_the_seconds_are_those_of_encoding_and_of_refining_a_million_jets(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    for name, seconds in (("encode_jets", 3.0), ("refine_latents", 7.0), ("decode_latents", 1000.0)):
        clock.watch(name, seconds)
    jets = np.random.default_rng(3).uniform(5, 50, (50, 4)) * [1, 1, 0.05, 0.05]
    refined = evaluate(pca(3, jets), make_table(*jets.T), refine=2)["refined"]
    assert refined["steps"] == 2
    assert refined["seconds"] == pytest.approx({"encode": 3e6 / 50, "refine": 7e6 / 50})


@pytest.mark.parametrize(("m", "pt"), [(-1.0, 50.0), (5.0, 0.0)])
def test_the_edge_of_custom_space_is_outside_of_it(m: float, pt: float) -> None:
    model = PCABaseline(1)
    model.components = torch.tensor([[0.0, 0.0, 0.0, 1.0]])
    model.mean = torch.tensor([m, pt, 0.0, 0.0])
    row = evaluate(Checkpoint(model, NoNormalization()), make_table(*TRUE.T))
    assert (row["unphysical"], row["mse_custom"]) == (3, None)
