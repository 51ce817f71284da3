"""Figures show what they should, with quantity and unit on the axes, and leave global state alone."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from utils import plotting
from utils.jets import FEATURES


@pytest.fixture
def jets() -> np.ndarray:
    rng = np.random.default_rng(5)
    n = 3000
    return np.column_stack(
        [rng.gamma(2, 4, n) + 0.1, 20 + rng.exponential(40, n), rng.uniform(-np.pi, np.pi, n), rng.normal(0, 1.5, n)]
    )


@pytest.fixture
def outputs(jets: np.ndarray) -> np.ndarray:
    rng = np.random.default_rng(6)
    return jets * (1 + rng.normal(0, [0.1, 0.05, 0, 0], jets.shape)) + rng.normal(0, [0, 0, 0.01, 0.02], jets.shape)


@pytest.fixture(autouse=True)
def untouched_global_state():
    before = dict(plt.rcParams)
    yield
    assert dict(plt.rcParams) == before
    assert not plt.get_fignums()


def counts(patch) -> np.ndarray:
    return np.asarray(patch.get_data().values)


def xy(line) -> np.ndarray:
    return np.asarray(line.get_xydata(), dtype=float)


def legend(ax) -> list[str]:
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_distributions_hold_every_jet_and_say_what_lies_beyond(jets: np.ndarray) -> None:
    axes = Figure().subplots(2, 2)
    drawn = plotting.plot_distributions(axes, jets, [plotting.axis_label(name) for name in FEATURES])
    assert [counts(histogram).sum() for histogram in drawn.histograms] == [len(jets)] * 4
    assert [
        ax.get_xlabel().endswith(unit) for ax, unit in zip(axes.flat, ("[GeV]", "[GeV]", "[rad]", "$"), strict=True)
    ]
    assert [ax.get_yscale() for ax in axes.flat] == ["log", "log", "linear", "linear"]
    assert axes[0, 0].get_title(loc="right") == "0.2% above \u2192"


def test_overlays_have_a_ratio_panel_for_each_quantity(jets: np.ndarray, outputs: np.ndarray) -> None:
    figure = Figure(layout="constrained")
    drawn = plotting.plot_overlays(figure, jets, outputs)
    assert len(drawn) == 4
    assert len(figure.axes) == 8
    for artists in drawn:
        assert counts(artists.true).sum() == counts(artists.reconstructed).sum() == len(jets)
    main, ratio = figure.axes[:2]
    assert legend(main) == ["input", "output"]
    assert ratio.get_xlabel() == "$m$ [GeV]"
    np.testing.assert_allclose(xy(plotting.plot_overlays(Figure(), jets, jets)[0].ratio)[:, 1], 1)


def test_residuals_show_median_width_and_overflow(jets: np.ndarray, outputs: np.ndarray) -> None:
    outputs[0, 1] *= 5
    axes = Figure().subplots(2, 2)
    drawn = plotting.plot_residuals(axes, jets, outputs)
    assert counts(drawn[1].histogram).sum() == len(jets)
    assert counts(drawn[1].histogram)[-1] == 1
    assert "above" in axes[0, 1].get_title(loc="right")
    assert "[rad]" in axes[1, 0].get_xlabel()
    width, median = legend(axes[0, 1])
    assert width.startswith("68%: half-width 0.05")
    assert median.startswith("median")


def test_corner_cells_are_coloured_by_correlation(jets: np.ndarray) -> None:
    shared = np.random.default_rng(7).normal(0, 0.05, len(jets))
    outputs = jets.copy()
    outputs[:, 0] *= 1 + shared
    outputs[:, 1] *= 1 - shared
    outputs[:, 2:] += np.random.default_rng(8).normal(0, 0.01, (len(jets), 2))
    drawn = plotting.plot_corner(Figure(figsize=(8, 8)), jets, outputs)
    assert drawn.correlations.loc["m", "pt"] == pytest.approx(-1, abs=0.01)
    blue, white = drawn.axes[1, 0].get_facecolor(), drawn.axes[3, 2].get_facecolor()
    assert blue[2] > blue[0] + 0.2
    assert min(white[:3]) > 0.9
    assert "-1.00" in [text.get_text() for text in drawn.axes[1, 0].texts]


def test_losses_mark_the_epoch_whose_weights_are_kept() -> None:
    losses = pd.DataFrame({"epoch": [0, 1, 2], "train": [3.0, 2.0, 1.0], "valid": [3.0, 1.0, 2.0]})
    ax = Figure().subplots()
    drawn = plotting.plot_losses(ax, losses, best_epoch=1)
    assert xy(drawn.train)[:, 0].tolist() == [1, 2, 3]
    assert drawn.best.get_label() == "weights kept: epoch 2"
    assert ax.get_yscale() == "log"


def test_activations_have_a_line_for_each_layer() -> None:
    table = pd.DataFrame({"step": [0, 0, 9, 9], "layer": [0, 1, 0, 1], "mean": 0.1, "std": [1.0, 2.0, 3.0, 4.0]})
    drawn = plotting.plot_activations(Figure().subplots(1, 2), table)
    assert [len(lines) for lines in drawn] == [2, 2]
    assert xy(drawn[1][1])[:, 1].tolist() == [2.0, 4.0]


def test_the_finder_shows_suggestion_and_rate_used() -> None:
    from utils.training import LearningRateScan

    scan = LearningRateScan(np.geomspace(1e-6, 1, 50), np.linspace(2, 1, 50), valley=1e-3, steep=1e-2)
    drawn = plotting.plot_learning_rate(Figure().subplots(), scan, used=1e-2)
    assert xy(drawn.valley)[0, 0] == 1e-3
    assert xy(drawn.used)[0, 0] == 1e-2


def test_a_saved_figure_is_a_whole_png(tmp_path: Path) -> None:
    figure = Figure()
    figure.subplots().plot([1, 2])
    path = plotting.save_figure(figure, tmp_path / "sub" / "x.png")
    assert path.read_bytes().startswith(b"\x89PNG")
    assert list(path.parent.iterdir()) == [path]
