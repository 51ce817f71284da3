"""Figures show what they should, with quantity and unit on the axes, and leave global state alone."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from utils import networks, plotting, study, training
from utils.jets import FEATURES, feature_array, load_sample


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


def edges_of(patch) -> np.ndarray:
    return np.asarray(patch.get_data().edges)


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
    assert ax.get_title(loc="right") == "output: 7 of 3,000 jets beyond the axes"
    assert (ax.get_xlabel(), ax.get_ylabel()) == (plotting.axis_label("m"), plotting.axis_label("pt"))


def test_distributions_hold_every_jet_but_those_that_are_said_to_lie_beyond(jets: np.ndarray) -> None:
    axes = Figure().subplots(2, 2)
    drawn = plotting.plot_distributions(axes, jets)
    shown = [counts(histogram).sum() for histogram in drawn.histograms]
    assert shown[2:] == [len(jets)] * 2
    assert all(0.99 * len(jets) < number < len(jets) for number in shown[:2])
    for ax, unit in zip(axes.flat, ("[GeV]", "[GeV]", "[rad]", "$"), strict=True):
        assert ax.get_xlabel().endswith(unit)
    assert [ax.get_yscale() for ax in axes.flat] == ["log", "log", "linear", "linear"]
    beyond = 100 * (1 - shown[0] / len(jets))
    assert axes[0, 0].get_title(loc="right") == f"{beyond:.2g}% above \u2192"


def test_counts_are_given_with_the_width_of_their_bins(jets: np.ndarray) -> None:
    axes = Figure().subplots(2, 2)
    drawn = plotting.plot_distributions(axes, jets)
    for ax, histogram, unit in zip(axes.flat, drawn.histograms, (" GeV", " GeV", " rad", ""), strict=True):
        edges = edges_of(histogram)
        assert ax.get_ylabel() == f"jets / {edges[2] - edges[1]:.2g}{unit}"
    plotting.plot_distributions(axes, plotting_normalized(jets), "custom")
    assert axes[0, 0].get_xlabel() == "$m$, custom normalization"
    assert "GeV" not in axes[0, 0].get_ylabel()


def plotting_normalized(jets: np.ndarray) -> np.ndarray:
    from utils.networks import CustomNormalization

    return CustomNormalization().normalize(jets)


def test_a_slightly_negative_mass_is_in_the_first_bin_that_begins_at_zero(jets: np.ndarray) -> None:
    jets[:5, 0] = -4e-5
    main, ratio = Figure().subplots(2, 1)
    drawn = plotting.plot_overlay(main, ratio, jets[:, 0], jets[:, 0], "m")
    edges = edges_of(drawn.true)
    assert edges[0] == pytest.approx(0, abs=1e-4)
    assert counts(drawn.true)[0] >= 5
    assert main.get_title(loc="left") == ""


def test_overlays_have_a_ratio_panel_for_each_quantity(jets: np.ndarray, outputs: np.ndarray) -> None:
    figure = Figure(layout="constrained")
    drawn = plotting.plot_overlays(figure, jets, outputs)
    assert len(drawn) == 4
    assert len(figure.axes) == 8
    for artists in drawn[2:]:
        assert counts(artists.true).sum() == len(jets)
    main, ratio = figure.axes[:2]
    assert legend(main) == ["input", "stat. uncertainty", "output"]
    assert ratio.get_xlabel() == "$m$ [GeV]"
    np.testing.assert_allclose(xy(plotting.plot_overlays(Figure(), jets, jets)[0].ratio[0])[:, 1], 1)


def test_a_variant_has_one_colour_and_its_name_in_every_figure(jets: np.ndarray, outputs: np.ndarray) -> None:
    from matplotlib.colors import same_color

    wanted = plotting.model_color("elu_bn")
    figure = Figure()
    overlay = plotting.plot_overlays(figure, jets, outputs, "elu_bn")[0]
    residual = plotting.plot_residuals(Figure().subplots(2, 2), jets, outputs, "elu_bn")[0]
    _, plane = plotting.plot_plane(Figure().subplots(), jets, outputs, "elu_bn")
    for color in (overlay.reconstructed.get_edgecolor(), residual.histogram.get_edgecolor(), plane.get_color()):
        assert same_color(color, wanted)
    assert "ELU + BN" in legend(figure.axes[0])
    known = {plotting.model_color(name) for name in ("linear", "tanh", "leaky_relu_bn", "elu_bn", "residual_gelu")}
    assert len(known) == 5


def test_the_ratio_is_uncertain_by_the_jets_that_changed_bins() -> None:
    edges = np.array([0.0, 1, 2])
    true = np.repeat([0.5, 1.5], [100, 50])
    ratio, error = plotting.ratio_with_uncertainty(true, true, edges)
    assert (ratio.tolist(), error.tolist()) == ([1, 1], [0, 0])
    moved = true.copy()
    moved[:20] = 1.5  # of the first bin 20 leave, and enter the second
    ratio, error = plotting.ratio_with_uncertainty(true, moved, edges)
    np.testing.assert_allclose(ratio, [0.8, 1.4])
    np.testing.assert_allclose(error, [np.sqrt(0.64 * 20 + 0.04 * 80) / 100, np.sqrt(20 + 0.16 * 50) / 50])
    rng = np.random.default_rng(0)
    samples = []
    for _ in range(2000):  # the same by experiment
        stay, leave, come = rng.poisson([80, 20, 10])
        samples.append((stay + come) / (stay + leave))
    true = np.repeat([0.5, 0.5, 1.5], [80, 20, 10])
    out = np.repeat([0.5, 1.5, 0.5], [80, 20, 10])
    assert plotting.ratio_with_uncertainty(true, out, edges)[1][0] == pytest.approx(np.std(samples), rel=0.1)


def test_residuals_show_median_width_and_overflow(jets: np.ndarray, outputs: np.ndarray) -> None:
    outputs[0, 1] *= 5
    axes = Figure().subplots(2, 2)
    drawn = plotting.plot_residuals(axes, jets, outputs)
    assert counts(drawn[1].histogram).sum() == len(jets) - 1
    assert "above" in axes[0, 1].get_title(loc="right")
    assert "[rad]" in axes[1, 0].get_xlabel()
    (words,) = [text.get_text() for text in axes[0, 1].texts]
    median, width, tail = words.splitlines()
    assert median.startswith("median")
    assert width.startswith("68% half-width 5.")
    assert tail.startswith("99% of |residual| below 1")


def test_corner_cells_are_coloured_by_correlation(jets: np.ndarray) -> None:
    shared = np.random.default_rng(7).normal(0, 0.05, len(jets))
    outputs = jets.copy()
    outputs[:, 0] *= 1 + shared
    outputs[:, 1] *= 1 - shared
    outputs[:, 2:] += np.random.default_rng(8).normal(0, 0.01, (len(jets), 2))
    drawn = plotting.plot_corner(Figure(figsize=(8, 8)), jets, outputs)
    assert drawn.correlations.loc["m", "pt"] == pytest.approx(-1, abs=0.01)
    blue, white = drawn.axes[1, 0].get_facecolor(), drawn.axes[3, 2].get_facecolor()
    assert blue[2] > blue[0] + 0.1
    assert min(white[:3]) > 0.9
    assert blue == drawn.colorbar.mappable.to_rgba(drawn.correlations.to_numpy()[1, 0])
    (number,) = drawn.axes[1, 0].texts
    assert number.get_text() == "\u22121.00"
    assert number.get_bbox_patch() is not None
    assert number.get_position() in [(0.95, 0.94), (0.05, 0.06)], "off the contours of a falling diagonal"
    assert any("39, 68, 86% of the jets" in text.get_text() for text in drawn.axes[0, 0].figure.texts)


def test_losses_mark_the_epoch_whose_weights_are_kept() -> None:
    losses = pd.DataFrame({"epoch": [0, 1, 2], "train": [3.0, 2.0, 1.0], "valid": [3.0, 1.0, 2.0]})
    ax = Figure().subplots()
    drawn = plotting.plot_losses(ax, losses, best_epoch=1)
    assert xy(drawn.train)[:, 0].tolist() == [1, 2, 3]
    assert drawn.best.get_label() == "weights kept: epoch 2"
    assert drawn.pca is None
    assert ax.get_yscale() == "log"


def test_losses_stand_beside_that_of_pca_in_their_space() -> None:
    sample = load_sample(max_jets=300)
    norm, two_steps = networks.CustomNormalization(), training.training_config("quick", steps=2)
    batches = training.make_dataloaders(sample, norm, two_steps, "cpu")
    result = training.train(networks.VARIANTS["tanh"], batches, two_steps, progress=False)
    valid = feature_array(sample.valid)
    pca = networks.reconstruct(networks.pca_checkpoint(norm, sample), valid)
    expected = np.mean((norm.normalize(pca) - norm.normalize(valid)) ** 2)
    assert plotting.pca_loss(result) == pytest.approx(expected, rel=1e-3)
    drawn = plotting.plot_losses(Figure().subplots(), result.losses, 0, pca=plotting.pca_loss(result))
    assert drawn.pca is not None
    assert xy(drawn.pca)[0, 1] == plotting.pca_loss(result)
    assert drawn.pca.get_label() == "rank-3 PCA"


@pytest.mark.parametrize("kept", [0, 70, 102, 139])
def test_the_legend_of_losses_stands_off_the_line_of_the_kept_epoch(kept: int) -> None:
    epochs = np.arange(140)
    losses = pd.DataFrame({"epoch": epochs, "train": 1 / (epochs + 1), "valid": 1.1 / (epochs + 1)})
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    ax = figure.subplots()
    plotting.plot_losses(ax, losses, best_epoch=kept)
    figure.draw_without_rendering()
    legend = ax.get_legend()
    assert legend is not None
    text = max(label.get_window_extent().x1 for label in legend.get_texts())
    key = min(handle.get_window_extent().x0 for handle in legend.get_lines())
    line = ax.transData.transform((kept + 1, 1))[0]
    assert not key <= line <= text


def test_activations_are_images_with_a_row_for_each_layer() -> None:
    table = pd.DataFrame({"step": [0, 0, 9, 9], "layer": [0, 1, 0, 1], "mean": 0.1, "std": [1.0, 2.0, 3.0, 4.0]})
    axes = Figure().subplots(1, 2)
    mean, std = plotting.plot_activations(axes, table)
    assert np.asarray(std.get_array()).tolist() == [[1.0, 3.0], [2.0, 4.0]]
    assert mean.get_clim() == (-0.1, 0.1)
    assert [ax.get_ylabel() for ax in axes] == ["layer", "layer"]


def test_latents_are_shown_against_every_quantity(jets: np.ndarray) -> None:
    axes = Figure().subplots(3, 4)
    latents = jets[:, [2, 3, 0]]
    drawn = plotting.plot_latents(axes, jets, latents)
    assert len(drawn) == 12
    density = np.asarray(drawn[2].get_array()).reshape(100, 100)  # the first latent against phi, which it is
    rows, columns = np.nonzero(density)
    assert np.abs(rows - columns).max() <= 1
    assert axes[2, 1].get_xlabel() == plotting.axis_label("pt")
    assert len({mesh.get_clim() for mesh in drawn}) == 1
    assert axes[0, 1].get_title(loc="right") == "0.2% above \u2192"
    assert axes[0, 0].get_title(loc="left") == f"\u2190 {100 * np.mean(jets[:, 0] < 1):.2g}% below"


def test_the_line_above_a_figure_names_sample_energy_and_model(tmp_path: Path) -> None:
    source = {"dataset": "embedded", "jets": {"train": 10, "test": 1234}}
    title = plotting.figure_title(source, "tanh, custom normalization")
    assert title == r"Simulated QCD jets (Pythia 8), $\sqrt{s}$ = 13 TeV, 1,234 test jets | tanh, custom normalization"
    own = {"dataset": "/data/my$jets.root", "selection": "pt >= 40 GeV", "jets": {"train": 10}}
    assert plotting.figure_title(own, part="train") == r"Jets of my\$jets.root, pt >= 40 GeV, 10 training jets"
    figure = Figure(layout="constrained")
    plotting.save_figure(figure, tmp_path / "x.png", title)
    assert "1,234 test jets" in figure.get_suptitle().replace("\n", " ")


def test_a_summary_holds_losses_spectra_and_residuals(jets: np.ndarray, outputs: np.ndarray) -> None:
    losses = pd.DataFrame({"epoch": [0, 1, 2], "train": [3.0, 2.0, 1.0], "valid": [3.0, 1.0, 2.0]})
    figure = Figure(figsize=(14, 8.5), layout="constrained")
    drawn = plotting.plot_summary(figure, losses, 1, jets, outputs, "tanh", "custom normalization")
    assert (len(drawn.overlays), len(drawn.residuals), len(figure.axes)) == (2, 4, 9)
    assert figure.axes[0].get_ylabel() == "mean squared error, custom normalization"
    assert figure.axes[0].get_xscale() == "log"


def test_times_and_memory_are_points_with_the_original_hollow() -> None:
    row = {"model": "tanh", "stage": "encoding", "device": "cpu", "median_s": 0.02, "low_s": 0.01, "high_s": 0.04}
    rows = [row | {"way": "project"}, row | {"way": "original", "median_s": 0.2}]
    ax = Figure().subplots()
    full, hollow = plotting.plot_stage_times(ax, rows, ["encoding"])
    assert [float(xy(points[0])[0, 1]) for points in (full, hollow)] == [20, 200]
    assert hollow[0].get_markerfacecolor() == "white"
    assert legend(ax) == ["tanh", "tanh, original's way"]
    assert not ax.patches
    ax = Figure().subplots()
    sizes = [entry | {"resident": 5e6, "floor": 1e6} for entry in rows]
    points, floor = plotting.plot_memory(ax, sizes)
    assert [float(xy(point)[0, 1]) for point in points] == [5, 5]
    assert float(xy(floor[0])[0, 1]) == 1


@pytest.fixture
def rates() -> tuple[pd.DataFrame, pd.DataFrame]:
    rows = []
    for method, weight, floor in (("tanh", 100, 1e-3), ("ELU + BN", 100, 0.9e-3), ("bounded", 0, 0.0)):
        for size in (1.5, 2.0, 3.0, 5.0):
            rows.append({"method": method, "setting": f"{size}", "weight_bytes": weight, "named": False})
            rows[-1] |= {"bytes_per_jet": size, "mse": floor + 10.0 ** -(0.5 + size)}
        if weight:
            for name, size in (("float16 latents", 6), ("float32 latents", 12)):
                rows.append(rows[-1] | {"setting": name, "bytes_per_jet": size, "mse": floor})
    rows.append(
        rows[0]
        | {"weight_bytes": 0, "method": "bounded", "setting": "pt 1%", "named": True, "bytes_per_jet": 4, "mse": 1e-6}
    )
    rows.append(rows[0] | {"method": "lossless zstd", "setting": "", "bytes_per_jet": 13.1, "mse": 0.0, "named": False})
    points = pd.DataFrame(rows)
    for name in ("pt_half_width_68", "pt_max", "phi_half_width_68", "phi_max"):
        points[name] = np.sqrt(points["mse"])
    return points, pd.DataFrame({"mse": [1e-2, 1e-8], "bytes_per_jet": [1.0, 5.0]})


def test_every_rate_curve_is_named_at_its_end_and_no_two_names_overlap(
    rates: tuple[pd.DataFrame, pd.DataFrame],
) -> None:
    axes = Figure(figsize=(13, 6)).subplots(1, 2)
    wide, close = plotting.plot_rate_distortion(axes, *rates)
    ends = ["tanh", "ELU + BN"]  # of the second panel; the others leave it at its bottom
    for drawn, names in ((wide, [*ends, "bounded", "Shannon lower bound"]), (close, ends)):
        assert sorted(label.get_text() for label in drawn.labels) == sorted(names)
        heights = sorted(label.xyann[1] for label in drawn.labels)
        assert min(np.diff(heights)) > 0.04
    assert axes[0].get_xlim() == (0, 9)
    assert axes[1].get_xlim() == (1, 4)
    assert axes[0].get_title(loc="right") == "lossless: zstd 13.1 bytes \u2192"
    assert "pt 1%" in [text.get_text() for text in axes[0].texts]


def test_the_glance_names_few_methods_in_words(rates: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    ax = Figure(figsize=(8, 4.6)).subplots()
    drawn = plotting.plot_few_rates(ax, *rates)
    names = ["rounding + entropy coder", "three latents of\nELU + BN", "Shannon lower bound"]
    assert sorted(label.get_text() for label in drawn.labels) == sorted(names)


def test_the_bound_is_drawn_again_where_the_event_saves_something(rates: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    axes = Figure(figsize=(13, 6)).subplots(1, 2)
    wide, close = plotting.plot_rate_distortion(axes, *rates, event_saving=0.3)
    assert wide.reference is not None
    assert close.reference is not None
    assert sum(label.get_text() == "Shannon bound, with the event" for label in wide.labels) == 1
    lines = {line.get_label(): xy(line) for line in axes[0].get_lines()}
    both = lines["Shannon lower bound"], lines["Shannon bound, with the event"]
    assert np.allclose(both[0] - both[1], [0.3, 0])


def test_a_ladder_has_a_bar_for_each_step_and_quantity_and_says_its_sum() -> None:
    rows = {"pt": [1.0, 0.5], "eta": [1.0, 1.0], "phi": [1.0, 1.0], "m": [1.0, 1.0]}
    ladder = pd.DataFrame(rows, index=["codec", "network"])
    ladder["bytes_per_jet"] = ladder.sum(axis=1)
    ladder["ratio"] = ladder["bytes_per_jet"] / 4
    ax = Figure().subplots()
    bars = plotting.plot_ladder(ax, ladder)
    assert [len(group) for group in bars] == [2, 2, 2, 2]
    assert [text.get_text().split() for text in ax.texts] == [["4.000"], ["3.500", "(\u221212.5%)"]]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["codec", "network"]


def test_bits_by_rank_have_a_line_for_each_network_in_both_panels() -> None:
    bits = pd.DataFrame({"pt": [5.0, 4.0], "phi": [9.0, 7.0]})
    axes = Figure().subplots(1, 2)
    lines = plotting.plot_rank_bits(axes, {"alone": bits + 1, "event": bits, "limit": bits - 1})
    assert len(lines) == 6
    assert xy(lines[1]).tolist() == [[1, 9], [2, 7]]
    assert [ax.get_ylabel() for ax in axes] == [r"bits of $\phi$", r"bits of $p_{\mathrm{T}}$"]


def test_codes_are_drawn_above_the_bound_and_solid_where_they_know_the_event() -> None:
    codes = ["rounding + pcodec", "rounding + network, event", "Shannon bound of single jets"]
    rows = [(code, mse, size) for mse in (1e-3, 1e-5) for code, size in zip(codes, (3.0, 2.5, 2.75), strict=True)]
    points = pd.DataFrame(rows, columns=["code", "target", "at_target"])
    lines = plotting.plot_above_bound(Figure().subplots(), points)
    assert [line.get_label() for line in lines] == codes
    assert [xy(line)[:, 1].tolist() for line in lines] == [[0.25, 0.25], [-0.25, -0.25], [0, 0]]
    assert [line.get_linestyle() for line in lines] == ["--", "-", "-"]


def test_latents_are_stacked_under_their_corrections_beside_networks_and_columns_alone() -> None:
    latents = pd.DataFrame({"number": [6, 10], "latents": [2.0, 3.0], "corrections": [15.0, 13.0]})
    ax = Figure().subplots()
    below, above, beside = plotting.plot_latent_bytes(ax, latents, 20.0, {"networks, 8 units": 13.5})
    assert [bar.get_height() for bar in below] == [2, 3]
    assert [bar.get_y() + bar.get_height() for bar in above] == [17, 16]
    legend = ax.get_legend()
    assert legend is not None
    assert "columns one by one: 20.0" in [text.get_text() for text in legend.get_texts()]
    assert [bar.get_height() for bar in beside] == [13.5]
    assert [text.get_text() for text in ax.texts] == ["17.0", "16.0", "13.5"]
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["6 latents", "10 latents", "networks\n8 units"]


def test_column_use_has_a_cell_for_each_pair_and_none_for_what_is_not_seen() -> None:
    use = pd.DataFrame([[np.nan, np.nan], [2.0, np.nan]], index=["pt", "mass"], columns=["pt", "mass"])
    ax = Figure().subplots()
    mesh = plotting.plot_column_use(ax, use)
    assert np.ma.masked_invalid(np.asarray(mesh.get_array())).count() == 1
    assert ax.get_ylim() == (2, 0)


def test_latents_as_floats_are_points_beside_the_curve_of_their_method(
    rates: tuple[pd.DataFrame, pd.DataFrame],
) -> None:
    figure = Figure(figsize=(12, 8), layout="constrained")
    drawn = plotting.plot_rate_resolutions(
        figure, rates[0], {"pt": (0.1, 0.2), "phi": (0.01, 0.05)}, study.RESOLUTION_SOURCE
    )
    assert len(drawn) == 4
    assert xy(drawn[0].curves[0])[:, 0].max() == 5.0  # integers alone
    assert [ax.get_legend() is not None for ax in figure.axes] == [True, True, False, False]
    assert "float16" in figure.get_supxlabel()
    assert "arXiv:2007.02645" in figure.get_supxlabel()
    figure.draw_without_rendering()
    (words,) = [text for text in figure.texts if text.get_text() == figure.get_supxlabel()]
    assert words.get_window_extent().x1 < figure.bbox.x1
    assert drawn[2].reference is not None


def test_one_seed_has_no_error_bar_and_several_have(rates: object) -> None:
    row = {"variant": "tanh", "mse": 1e-3, "train_mse": 2e-3, "max_jets": None, "training_jets": 100, "seed": 0}
    single = plotting.plot_sample_size(Figure().subplots(), [row])
    assert not single[0].has_yerr
    several = plotting.plot_sample_size(Figure().subplots(), [row, row | {"mse": 2e-3, "seed": 1}])
    assert several[0].has_yerr


def test_the_finder_shows_suggestion_and_rate_used() -> None:
    from utils.training import LearningRateScan

    scan = LearningRateScan(np.geomspace(1e-6, 1, 50), np.linspace(2, 1, 50), valley=1e-3, steep=1e-2)
    drawn = plotting.plot_learning_rate(Figure().subplots(), scan, used=1e-2)
    assert xy(drawn.valley)[0, 0] == 1e-3
    assert xy(drawn.used)[0, 0] == 1e-2
    diverging = LearningRateScan(scan.learning_rates, np.append(scan.losses[:-1], 1e9), valley=1e-3, steep=1e-2)
    ax = Figure().subplots()
    plotting.plot_learning_rate(ax, diverging, used=1e-2)
    assert ax.get_ylim()[1] == 6


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
    assert counts(drawn.reconstructed).sum() == len(jets) - 45
    assert main.get_title(loc="left") == "\u2190 in / out: 0 / 0.5% below"
    assert main.get_title(loc="right") == "in / out: 0 / 1% above \u2192"


def test_nothing_is_written_where_nothing_lies_beyond(jets: np.ndarray) -> None:
    main, ratio = Figure().subplots(2, 1)
    plotting.plot_overlay(main, ratio, jets[:, 3], jets[:, 3], "eta")
    assert [main.get_title(loc=side) for side in ("left", "right")] == ["", ""]
    assert ratio.get_xlabel() == r"$\eta$"


def test_a_ratio_beyond_its_panel_is_marked_at_the_edge(jets: np.ndarray) -> None:
    main, ratio = Figure().subplots(2, 1)
    outputs = jets[:, 2].copy()
    outputs[outputs > 2.9] = 1.0
    outputs[outputs < -3.0] = -2.0
    drawn = plotting.plot_overlay(main, ratio, jets[:, 2], outputs, "phi")
    values = xy(drawn.ratio[0])[:, 1]
    up, down = drawn.beyond
    low, high = ratio.get_ylim()
    assert len(xy(up)) == (values > high).sum()
    assert len(xy(down)) == (values < low).sum()
    assert len(xy(up)) + len(xy(down)) > 0
    assert (low < values).sum() + (values < high).sum() >= 1.9 * len(values)
    assert all(low < y < high for line in (up, down) for y in xy(line)[:, 1])


def test_pt_is_drawn_on_two_logarithmic_axes(jets: np.ndarray, outputs: np.ndarray) -> None:
    main, ratio = Figure().subplots(2, 1)
    plotting.plot_overlay(main, ratio, jets[:, 1], outputs[:, 1], "pt")
    assert (main.get_yscale(), ratio.get_xscale()) == ("log", "log")
    assert {"50", "100", "200"} <= {label.get_text() for label in ratio.get_xticklabels()}


def test_massless_jets_are_left_out_of_the_mass_residual(jets: np.ndarray, outputs: np.ndarray) -> None:
    jets[:100, 0] = 0
    drawn = plotting.plot_residuals(Figure().subplots(2, 2), jets, outputs)
    shown = counts(drawn[0].histogram).sum()
    assert 0.95 * (len(jets) - 100) < shown <= len(jets) - 100


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
    assert legend(ax) == ["suggestion (valley): 0.001", "peak rate used: 0.01"]
    assert (ax.get_xlabel(), ax.get_xscale()) == ("learning rate", "log")
    axes = Figure().subplots(1, 2)
    plotting.plot_activations(axes, pd.DataFrame({"step": [0, 0], "layer": [0, 1], "mean": 0.1, "std": 1.0}))
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
    shares: np.ma.MaskedArray = np.ma.asarray(mesh.get_array()).reshape(2, 3)
    np.testing.assert_allclose(shares.filled(0.0), [[0.25, 0.5, 0.25], [0.0, 1.0, 0.0]])
    assert shares.mask.tolist() == [[False, False, False], [True, False, True]]
    assert (ax.get_xlabel(), ax.get_xlim()) == ("error / bound", (-1, 1))


def test_ways_to_store_a_collection_are_lines_from_zero() -> None:
    rows = [
        (way, jets, size) for way, size in (("ROOT, LZMA", 40.0), ("container, bounded", 20.0)) for jets in (10, 100)
    ]
    ax = Figure().subplots()
    lines = plotting.plot_collection_sizes(ax, pd.DataFrame(rows, columns=["way", "jets", "bytes_per_jet"]))
    assert [line.get_label() for line in lines] == ["ROOT, LZMA", "container, bounded"]
    assert np.asarray(lines[1].get_xydata()).tolist() == [[10.0, 20.0], [100.0, 20.0]]
    assert [line.get_linestyle() for line in lines] == ["--", "-"]
    assert (ax.get_xscale(), ax.get_ylim()[0]) == ("log", 0)


def test_the_dijet_mass_is_shown_before_and_after_and_its_change_in_percent() -> None:
    mass = np.append(np.geomspace(50, 1000, 99), np.nan)
    axes = Figure().subplots(1, 2)
    masses = pd.DataFrame({"as stored": mass, "container, bounded": 1.01 * mass})
    spectra, shifts = plotting.plot_dijet_masses(axes, masses)
    assert [spectrum.get_label() for spectrum in spectra] == ["as stored", "container, bounded"]
    counts, edges, _ = shifts[0].get_data()
    assert counts.sum() == 99
    assert edges[:-1][counts > 0].min() > 0.9
    assert [ax.get_xlabel() for ax in axes] == ["mass of the two hardest jets [GeV]", "change of the mass [%]"]
    assert axes[1].get_title(loc="right") == ""


def test_changes_of_the_dijet_mass_beyond_the_axis_are_counted_way_by_way() -> None:
    mass = np.geomspace(50, 1000, 2000)
    first, second = 1.01 * mass, 0.999 * mass
    first[7] *= 2
    axes = Figure().subplots(1, 2)
    plotting.plot_dijet_masses(axes, pd.DataFrame({"as stored": mass, "one": first, "other": second}))
    assert axes[1].get_title(loc="right") == "0.05 / 0% above \u2192"
    assert axes[1].get_title(loc="left") == ""
