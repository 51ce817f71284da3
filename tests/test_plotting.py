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


def test_the_plane_shows_both_and_counts_what_lies_beyond(jets: np.ndarray, outputs: np.ndarray) -> None:
    ax = Figure().subplots()
    outputs[:7, FEATURES.index("m")] = 0
    outputs[7:, FEATURES.index("m")] = np.clip(outputs[7:, FEATURES.index("m")], 1, 200)
    true, output = plotting.plot_plane(ax, jets, outputs)
    np.testing.assert_array_equal(xy(true), jets[:, [FEATURES.index("m"), FEATURES.index("pt")]])
    np.testing.assert_array_equal(xy(output), outputs[:, [FEATURES.index("m"), FEATURES.index("pt")]])
    assert ax.get_title() == "7 of 3,000 jets beyond the axes"
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("m [GeV]", r"$p_\mathrm{T}$ [GeV]")


def test_distributions_hold_every_jet_and_say_what_lies_beyond(jets: np.ndarray) -> None:
    axes = Figure().subplots(2, 2)
    drawn = plotting.plot_distributions(axes, jets, [plotting.axis_label(name) for name in FEATURES])
    assert [counts(histogram).sum() for histogram in drawn.histograms] == [len(jets)] * 4
    for ax, unit in zip(axes.flat, ("[GeV]", "[GeV]", "[rad]", "$"), strict=True):
        assert ax.get_xlabel().endswith(unit)
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


def test_correlations_are_written_into_sixteen_cells(jets: np.ndarray) -> None:
    jets[:, 1] = jets[:, 0] ** 2  # the rank correlation of a growing function is 1
    figure = Figure()
    ax = plotting.plot_correlations(figure.subplots(), jets)
    texts = [text.get_text() for text in ax.texts]
    assert len(texts) == 16
    assert texts[:2] == texts[4:6] == ["1.00", "1.00"]
    assert [label.get_text() for label in ax.get_xticklabels()] == [plotting.SYMBOLS[name] for name in FEATURES]
    assert figure.axes[1].get_ylabel() == "Spearman correlation"


def test_outputs_beyond_the_axis_are_counted_at_its_ends_and_written_there(jets: np.ndarray) -> None:
    outputs = jets[:, 2].copy()
    outputs[:30], outputs[30:45] = 9, -9
    main, ratio = Figure().subplots(2, 1)
    drawn = plotting.plot_overlay(main, ratio, jets[:, 2], outputs, "phi")
    assert counts(drawn.reconstructed).sum() == len(jets)
    assert counts(drawn.reconstructed)[[0, -1]].min() >= 15
    assert main.get_title(loc="left") == "\u2190 output 0.5% below"
    assert main.get_title(loc="right") == "output 1% above \u2192"


def test_nothing_is_written_where_nothing_lies_beyond(jets: np.ndarray) -> None:
    main, ratio = Figure().subplots(2, 1)
    plotting.plot_overlay(main, ratio, jets[:, 3], jets[:, 3], "eta")
    assert [main.get_title(loc=side) for side in ("left", "right")] == ["", ""]
    assert ratio.get_xlabel() == r"$\eta$"


def test_a_ratio_beyond_its_panel_is_marked_at_the_edge(jets: np.ndarray) -> None:
    main, ratio = Figure().subplots(2, 1)
    drawn = plotting.plot_overlay(main, ratio, jets[:, 2], np.tile(jets[jets[:, 2] > 0, 2], 2), "phi")
    values = xy(drawn.ratio)[:, 1]
    up, down = ratio.lines[1:3]
    assert len(xy(up)) == (values > 1.5).sum() > 0
    assert len(xy(down)) == (values < 0.5).sum() > 0
    low, high = ratio.get_ylim()
    assert all(low < y < high for line in (up, down) for y in xy(line)[:, 1])


def test_pt_is_drawn_on_two_logarithmic_axes(jets: np.ndarray, outputs: np.ndarray) -> None:
    main, ratio = Figure().subplots(2, 1)
    plotting.plot_overlay(main, ratio, jets[:, 1], outputs[:, 1], "pt")
    assert (main.get_yscale(), ratio.get_xscale()) == ("log", "log")
    assert {"50", "100", "200"} <= {label.get_text() for label in ratio.get_xticklabels()}


def test_massless_jets_are_left_out_of_the_mass_residual(jets: np.ndarray, outputs: np.ndarray) -> None:
    jets[:100, 0] = 0
    drawn = plotting.plot_residuals(Figure().subplots(2, 2), jets, outputs)
    assert [counts(artists.histogram).sum() for artists in drawn] == [len(jets) - 100, *[len(jets)] * 3]


def test_the_corner_plot_labels_residuals_with_their_units(jets: np.ndarray, outputs: np.ndarray) -> None:
    drawn = plotting.plot_corner(Figure(figsize=(8, 8)), jets, outputs)
    labels = [plotting.residual_label(name) for name in FEATURES]
    assert [ax.get_xlabel() for ax in drawn.axes[-1]] == labels
    assert labels[2].endswith("[rad]")
    assert drawn.colorbar.ax.get_xlabel() == "Spearman correlation of the residuals"


def test_lines_of_a_training_are_named_in_legends_and_on_axes() -> None:
    from utils.training import LearningRateScan

    ax = Figure().subplots()
    scan = LearningRateScan(np.geomspace(1e-6, 1, 50), np.linspace(2, 1, 50), valley=1e-3, steep=1e-2)
    plotting.plot_learning_rate(ax, scan, used=1e-2)
    assert legend(ax) == ["suggestion (valley): 1.0e-03", "peak rate used: 1e-02"]
    assert (ax.get_xlabel(), ax.get_xscale()) == ("learning rate", "log")
    axes = Figure().subplots(1, 2)
    plotting.plot_activations(axes, pd.DataFrame({"step": [0, 0], "layer": [0, 1], "mean": 0.1, "std": 1.0}))
    assert legend(axes[1]) == ["1", "2"]
    assert [ax.get_xlabel() for ax in axes] == ["training step"] * 2


def test_bytes_of_branches_are_bars_and_errors_fill_their_bounds() -> None:
    branches = [
        {"name": "Jet_pt", "lzma_bytes": 3000, "lzma_bytes_after": 2000, "residuals": [1, 2, 1]},
        {"name": "nJet", "lzma_bytes": 500, "lzma_bytes_after": 500, "residuals": None},
        {"name": "Jet_eta", "lzma_bytes": 4000, "lzma_bytes_after": 1000, "residuals": [0, 4, 0]},
    ]
    ax = Figure().subplots()
    before, after = plotting.plot_branch_bytes(ax, branches, limit=2)
    assert [bar.get_width() for bar in before] == [3.0, 4.0]
    assert [bar.get_width() for bar in after] == [2.0, 1.0]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["Jet_pt", "Jet_eta"]
    assert ax.get_xlabel() == "size under LZMA-9 [kB]"
    ax = Figure().subplots()
    mesh = plotting.plot_bound_residuals(ax, branches)
    np.testing.assert_allclose(np.asarray(mesh.get_array()).reshape(2, 3), [[0.25, 0.5, 0.25], [0.0, 1.0, 0.0]])
    assert (ax.get_xlabel(), ax.get_xlim()) == ("error / bound", (-1, 1))
