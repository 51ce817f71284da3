"""The ruler and the methods of the rate-distortion study."""

import math

import numpy as np
import pandas as pd
import pytest
from codec_helpers import make_jets
from matplotlib.figure import Figure

from utils.codec import Bounds
from utils.jets import event_counts, feature_array
from utils.networks import Checkpoint, CustomNormalization, PCABaseline, save_checkpoint
from utils.plotting import plot_rate_distortion, plot_rate_resolution
from utils.study import (
    DEFAULT_SETTING,
    all_methods,
    bounded_method,
    bounds_for_mse,
    bytes_at_equal_error,
    dijet_masses,
    dijet_shift,
    find_labelled_models,
    mantissa_method,
    measure,
    measure_all,
    nearest_neighbour_entropy,
    resolution_bands,
    shannon_lower_bound,
)


@pytest.fixture(scope="module")
def jets() -> np.ndarray:
    return feature_array(make_jets(4000), np.float32)


@pytest.fixture(scope="module")
def pca(jets: np.ndarray) -> Checkpoint:
    normalization = CustomNormalization()
    model = PCABaseline(3).fit(normalization.normalize(jets.astype(float)))
    return Checkpoint(model, normalization, {"model": "pca"})


@pytest.fixture(scope="module")
def points(jets: np.ndarray, pca: Checkpoint) -> pd.DataFrame:
    methods = all_methods({"rank-3 PCA": pca}, jets, latent_bits=(6, 10), mse_steps=(1e-3, 1e-5), mantissa_bits=(4, 8))
    return measure_all(methods, jets, repeats=1)


def test_entropy_of_a_gaussian_is_the_known_one() -> None:
    rng = np.random.default_rng(0)
    covariance = np.array([[1.0, 0.8], [0.8, 2.0]])
    values = rng.multivariate_normal([0, 0], covariance, 20_000)
    expected = 0.5 * np.log2((2 * math.pi * math.e) ** 2 * np.linalg.det(covariance))
    assert nearest_neighbour_entropy(values) == pytest.approx(expected, abs=0.03)


def test_no_lossy_method_beats_the_shannon_lower_bound(jets: np.ndarray, points: pd.DataFrame) -> None:
    fine = points[(points["mse"] > 0) & (points["mse"] < 1e-3)]
    bound = shannon_lower_bound(jets, fine["mse"])
    assert np.all(fine["bytes_per_jet"].to_numpy() > bound["bytes_per_jet"].to_numpy() - 0.05)


@pytest.mark.parametrize("mse", [1e-3, 1e-5, 1e-7])
def test_bounds_are_chosen_for_an_error(jets: np.ndarray, mse: float) -> None:
    row = measure(bounded_method(bounds_for_mse(mse), "", jets), jets, repeats=1)
    assert 0.8 * mse < row["mse"] < 1.05 * mse


def test_bounded_keeps_its_bounds_here_too(jets: np.ndarray) -> None:
    row = measure(bounded_method(Bounds(), DEFAULT_SETTING, jets), jets, repeats=1)
    assert row["pt_max"] <= 0.01
    assert row["phi_max"] <= 0.005
    assert row["eta_max"] <= 0.005


def test_lossless_methods_lose_nothing_and_rounded_ones_are_smaller(points: pd.DataFrame) -> None:
    lossless = points[points["method"].str.startswith("lossless")]
    assert len(lossless) == 3
    assert (lossless[["mse", "pt_max", "phi_max"]] == 0).all(axis=None)
    assert points.loc[points["mse"] > 0, "bytes_per_jet"].max() < lossless["bytes_per_jet"].min()


def test_mantissas_are_rounded_to_nearest_without_bias() -> None:
    values = np.random.default_rng(0).uniform(20, 40, 100_000).astype(np.float32)
    method = mantissa_method(7, 7, "")
    relative = method.decode(method.encode(np.stack([values] * 4, axis=1)))[:, 1] / values.astype(float) - 1
    assert 2**-9 < np.abs(relative).max() <= 2**-8
    assert abs(relative.mean()) < 1e-4
    coarse = mantissa_method(2, 2, "")
    kept = np.array([[1.5, 1.75, 0.0, -1.75]], np.float32)
    assert coarse.decode(coarse.encode(kept)).tolist() == kept.tolist()


def test_table_at_equal_error_interpolates_curves_and_leaves_out_what_is_out_of_reach() -> None:
    points = pd.DataFrame(
        {
            "method": ["a", "a", "b", "b", "c"],
            "named": False,
            "mse": [1e-2, 1e-6, 1e-2, 5e-3, 0.0],
            "bytes_per_jet": [1.0, 3.0, 1.0, 2.0, 12.0],
        }
    )
    bound = pd.DataFrame({"mse": [1e-2, 1e-6], "bytes_per_jet": [0.5, 2.5]})
    table = bytes_at_equal_error(points, bound, [1e-4])
    assert table[1e-4]["a"] == pytest.approx(2.0)
    assert np.isnan(table[1e-4]["b"])
    assert table[1e-4]["c"] == 12.0
    assert table[1e-4]["Shannon lower bound"] == pytest.approx(1.5)


def test_dijet_mass_of_back_to_back_jets_is_their_energy() -> None:
    jets = np.array([[0, 50, 0, 0], [0, 50, np.pi, 0], [0, 30, 0, 0], [5, 20, 1, 1]], float)
    assert dijet_masses(jets, np.array([2, 1, 0, 1])) == pytest.approx([100.0])


def test_dijet_mass_moves_by_less_than_the_bounds(jets: np.ndarray) -> None:
    table = make_jets(4000)
    shift = dijet_shift(table, bounded_method(Bounds(), "", jets))
    assert shift["events"] == np.sum(event_counts(table)[1] >= 2)
    assert abs(shift["median"]) < 0.002
    assert 0.001 < shift["half_width_68"] < 0.01


def test_models_are_found_in_the_first_folder_that_has_some(tmp_path, pca: Checkpoint) -> None:
    assert find_labelled_models(tmp_path / "none", tmp_path) == {}
    save_checkpoint(tmp_path / "your_own_jets.safetensors", pca)
    assert find_labelled_models(tmp_path / "none", tmp_path) == {}
    save_checkpoint(tmp_path / "AE_3D_pca.safetensors", pca)
    assert list(find_labelled_models(tmp_path / "none", tmp_path)) == ["rank-3 PCA"]
    save_checkpoint(tmp_path / "AE_3D_pca_again.safetensors", pca)
    with pytest.raises(ValueError, match=r"AE_3D_pca_again.safetensors: a second model that is labelled rank-3 PCA"):
        find_labelled_models(tmp_path)


def test_panels_show_a_curve_per_method_and_name_their_axes(jets: np.ndarray, points: pd.DataFrame) -> None:
    axes = Figure().subplots(1, 3)
    left, _ = plot_rate_distortion(axes[:2], points, shannon_lower_bound(jets, [1e-3, 1e-6]))
    right = plot_rate_resolution(axes[2], points, "pt", "half_width_68", band=resolution_bands(jets)["pt"])
    lossy = points.loc[(points["mse"] > 0) & ~points["named"], "method"].unique()
    assert [curve.get_label() for curve in left.curves] == list(lossy)
    assert len(right.curves) == len(lossy)
    assert all(name in axes[0].get_title(loc="right") for name in ("pcodec", "zstd", "zlib"))
    assert axes[0].get_xlabel() == axes[2].get_xlabel() == "bytes per jet, weights not counted"
    assert "[relative]" in axes[2].get_ylabel()
    assert any("NanoAOD" in text.get_text() for text in axes[0].texts)


def test_bands_hold_what_a_detector_resolves_relative_for_pt_and_m() -> None:
    jets = np.tile([10.0, 100.0, 1.0, 0.5], (50, 1))
    jets[:20, 0] = 0  # massless: no relative resolution
    bands = resolution_bands(jets)
    assert list(bands) == ["pt", "m", "phi", "eta"]
    pt = np.sqrt((2.6 / 100) ** 2 + 0.89**2 / 100 + 0.03**2)
    assert bands["pt"] == pytest.approx((pt, pt), rel=1e-5)
    assert bands["m"] == pytest.approx((np.hypot(2 * pt, 0.1),) * 2, rel=1e-5)
    assert bands["phi"] == bands["eta"] == pytest.approx((np.hypot(0.01, 0.01),) * 2, rel=1e-5)
