"""Every figure of the study.

The functions draw into the axes or figure that they are given and return what they drew; they never save, and never
touch matplotlib's global state.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import corner
import matplotlib
import numpy as np
import pandas as pd
import seaborn
from matplotlib.axes import Axes
from matplotlib.colorbar import Colorbar
from matplotlib.colors import Normalize
from matplotlib.container import BarContainer, ErrorbarContainer
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.patches import StepPatch

from utils.files import atomic_path
from utils.jets import FEATURES, UNITS
from utils.metrics import RESIDUAL_UNITS, residuals
from utils.networks import VARIANT_LABELS, schedule_label

if TYPE_CHECKING:
    from utils.training import LearningRateScan


SYMBOLS = {"m": r"$m$", "pt": r"$p_{\mathrm{T}}$", "phi": r"$\phi$", "eta": r"$\eta$"}

INPUT_COLOR, OUTPUT_COLOR = "tab:blue", "tab:orange"

FALLING = ("m", "pt")
"""Quantities whose spectrum falls over orders of magnitude: logarithmic counts."""


def save_figure(figure: Figure, path: str | Path) -> Path:
    """Write a figure as PNG at 150 dpi, whole or not at all; returns the path."""
    path = Path(path)
    with atomic_path(path) as partial:
        figure.savefig(partial, dpi=150, bbox_inches="tight", format="png")
    return path


def axis_label(quantity: str, unit: str | None = None) -> str:
    """Symbol and unit of a quantity, such as "$m$ [GeV]"."""
    unit = UNITS[quantity] if unit is None else unit
    return f"{SYMBOLS[quantity]} [{unit}]" if unit else SYMBOLS[quantity]


def residual_label(quantity: str) -> str:
    """Definition and unit of a quantity's residual, as an axis label."""
    symbol = SYMBOLS[quantity].strip("$")
    if RESIDUAL_UNITS[quantity] == "relative":
        return rf"$({symbol}^{{\,\mathrm{{out}}}} - {symbol}^{{\,\mathrm{{in}}}})\,/\,{symbol}^{{\,\mathrm{{in}}}}$"
    unit = f" [{RESIDUAL_UNITS[quantity]}]" if RESIDUAL_UNITS[quantity] else ""
    return rf"${symbol}^{{\,\mathrm{{out}}}} - {symbol}^{{\,\mathrm{{in}}}}$" + unit


class DistributionArtists(NamedTuple):
    """What `plot_distributions` drew: one histogram a quantity."""

    histograms: list[StepPatch]


def plot_distributions(axes: np.ndarray, jets: np.ndarray, labels: list[str], color: str = INPUT_COLOR) -> Any:
    """Histograms of the four columns of `jets`, shape (jets, 4), into four axes.

    The range covers 99.8% of the jets; the counts beyond are written at the edge where they lie.
    """
    drawn = []
    for ax, column, label, quantity in zip(axes.flat, np.asarray(jets).T, labels, FEATURES, strict=True):
        edges = np.linspace(*_range(column, quantity), 61)
        drawn.append(_histogram(ax, column, edges, color=color, fill=True))
        ax.set(xlabel=label, ylabel="jets per bin")
        if quantity in FALLING:
            ax.set_yscale("log")
        _write_outside(ax, column, edges)
    return DistributionArtists(drawn)


class OverlayArtists(NamedTuple):
    """What `plot_overlay` drew."""

    true: StepPatch
    reconstructed: StepPatch
    ratio: Line2D


def plot_overlay(main: Axes, ratio: Axes, true: np.ndarray, reconstructed: np.ndarray, quantity: str) -> OverlayArtists:
    """Input and output spectrum of one quantity, and their ratio below.

    Jets beyond the axis are counted in the first and the last bin, and their number is written there.
    """
    low, high = _range(true, quantity)
    edges = np.geomspace(low, high, 41) if quantity == "pt" else np.linspace(low, high, 41)
    drawn_true = _histogram(main, true, edges, color=INPUT_COLOR, fill=True, label="input")
    drawn_out = _histogram(main, reconstructed, edges, color=OUTPUT_COLOR, label="output")
    counts_true, counts_out = (_counts(values, edges) for values in (true, reconstructed))
    filled = counts_true > 0
    centers = np.sqrt(edges[1:] * edges[:-1]) if quantity == "pt" else (edges[1:] + edges[:-1]) / 2
    values = counts_out[filled] / counts_true[filled]
    (points,) = ratio.plot(centers[filled], values, "o", markersize=3, color=OUTPUT_COLOR)
    for beyond, edge, marker in ((values > 1.5, 1.46, "^"), (values < 0.5, 0.54, "v")):
        ratio.plot(centers[filled][beyond], np.full(beyond.sum(), edge), marker, markersize=4, color=OUTPUT_COLOR)
    ratio.axhline(1, color="0.5", linewidth=1)
    ratio.set(xlabel=axis_label(quantity), ylabel="out / in", ylim=(0.5, 1.5))
    main.set_ylabel("jets per bin")
    if quantity in FALLING:
        main.set_yscale("log")
    else:
        main.set_ylim(0, 1.35 * max(counts_true.max(), counts_out.max()))
    if quantity == "pt":
        ratio.set_xscale("log")
        ticks = [tick for tick in (20, 30, 50, 100, 200, 300, 500, 1000) if low <= tick <= high]
        ratio.set_xticks(ticks, labels=[str(tick) for tick in ticks])
        ratio.set_xticks([], minor=True)
    main.legend(frameon=False, loc="upper right", ncols=1 if quantity in FALLING else 2)
    _write_outside(main, reconstructed, edges, "output ")
    return OverlayArtists(drawn_true, drawn_out, points)


def plot_overlays(figure: Figure | SubFigure, true: np.ndarray, reconstructed: np.ndarray) -> list[OverlayArtists]:
    """The four quantities of jets of shape (jets, 4), input over output, each with its ratio panel."""
    drawn = []
    parts = np.asarray(figure.subfigures(2, 2)).flat
    for i, (part, quantity) in enumerate(zip(parts, FEATURES, strict=True)):
        main, ratio = part.subplots(2, 1, sharex=True, height_ratios=[3, 1], gridspec_kw={"hspace": 0.05})
        drawn.append(plot_overlay(main, ratio, true[:, i], reconstructed[:, i], quantity))
    return drawn


class ResidualArtists(NamedTuple):
    """What `plot_residuals` drew for one quantity."""

    histogram: StepPatch
    median: Line2D
    band: Any


def plot_residuals(axes: np.ndarray, true: np.ndarray, reconstructed: np.ndarray) -> list[ResidualArtists]:
    """Histograms of the four residuals (`metrics.residuals`) with median and central 68% band.

    Each axis reaches six 68% half-widths to both sides; the first and last bin hold what lies beyond, and its share is
    written there.
    """
    drawn = []
    for ax, (quantity, column) in zip(axes.flat, residuals(true, reconstructed).items(), strict=True):
        values = column.dropna().to_numpy()
        low, median, high = np.quantile(values, [0.16, 0.5, 0.84])
        reach = 6 * max((high - low) / 2, 1e-9)
        edges = np.linspace(median - reach, median + reach, 81)
        histogram = _histogram(ax, values, edges, color=OUTPUT_COLOR, fill=True)
        band = ax.axvspan(low, high, color="0.85", zorder=0, label=f"68%: half-width {(high - low) / 2:.3g}")
        line = ax.axvline(median, color="0.2", linewidth=1, linestyle="--", label=f"median {median:.2g}")
        ax.set_yscale("log")
        top = _counts(values, edges).max()
        ax.set(xlabel=residual_label(str(quantity)), ylabel="jets per bin", ylim=(0.5, top * 30))
        ax.legend(frameon=False, loc="upper center", ncols=2, fontsize="small")
        _write_outside(ax, values, edges)
        drawn.append(ResidualArtists(histogram, line, band))
    return drawn


PLANE = ((1.0, 200.0), (15.0, 1500.0))
"""Limits of m and pt in GeV in `plot_plane`."""


def plot_plane(ax: Axes, true: np.ndarray, reconstructed: np.ndarray) -> list[Line2D]:
    """Jets of shape (jets, 4) in the plane of m and pt: true ones in grey, reconstructed ones over them.

    Shows the surface that a code can reach, where phi and eta do not matter. The title counts the reconstructed jets
    that lie beyond the axes.
    """
    m, pt = FEATURES.index("m"), FEATURES.index("pt")
    drawn: list[Line2D] = []
    for jets, color, label in ((true, "0.75", "input"), (reconstructed, "tab:red", "output")):
        drawn += ax.plot(
            jets[:, m], jets[:, pt], "o", markersize=0.7, markeredgewidth=0, color=color, label=label, rasterized=True
        )
    inside = np.ones(len(reconstructed), dtype=bool)
    for column, (low, high) in zip((m, pt), PLANE, strict=True):
        inside &= (reconstructed[:, column] >= low) & (reconstructed[:, column] <= high)
    ax.set(xscale="log", yscale="log", xlim=PLANE[0], ylim=PLANE[1], xlabel="m [GeV]", ylabel=r"$p_\mathrm{T}$ [GeV]")
    ax.set_title(f"{(~inside).sum():,} of {len(inside):,} jets beyond the axes", fontsize="small")
    ax.legend(frameon=False, loc="upper left", markerscale=8)
    return drawn


class CornerArtists(NamedTuple):
    """What `plot_corner` drew: the matrix of axes, the correlations, and the colour bar."""

    axes: np.ndarray
    correlations: pd.DataFrame
    colorbar: Colorbar


def plot_corner(figure: Figure, true: np.ndarray, reconstructed: np.ndarray) -> CornerArtists:
    """Corner plot of the four residuals; each cell's background is coloured by their Spearman rank correlation.

    The central 98% of each residual is shown; massless jets, which have no relative mass residual, are left out.
    """
    frame = residuals(true, reconstructed).dropna()
    labels = [residual_label(str(quantity)) for quantity in frame]
    corner.corner(
        frame.to_numpy(),
        fig=figure,
        bins=40,
        range=[tuple(np.quantile(frame[quantity], [0.01, 0.99])) for quantity in frame],
        labels=labels,
        color="0.15",
        plot_datapoints=False,
        fill_contours=False,
        plot_density=False,
        no_fill_contours=True,
        smooth=1.0,
        levels=(0.39, 0.68, 0.86, 0.95),
        label_kwargs={"fontsize": "small"},
        labelpad=0.12,
    )
    axes = np.array(figure.axes).reshape(len(FEATURES), len(FEATURES))
    correlations = frame.corr(method="spearman")
    colors, scale = matplotlib.colormaps["RdBu_r"], Normalize(-1, 1)
    for row in range(len(FEATURES)):
        for column in range(row):
            value = correlations.to_numpy()[row, column]
            axes[row, column].set_facecolor((*colors(scale(value))[:3], 0.6))
            axes[row, column].text(
                0.05,
                0.93,
                f"{value:+.2f}",
                transform=axes[row, column].transAxes,
                ha="left",
                va="top",
                fontsize="small",
            )
    for ax in axes.flat:
        ax.tick_params(labelsize="x-small")
    for i in range(len(FEATURES)):  # plain numbers instead of a common power of ten that would lie on the labels
        axes[-1, i].xaxis.set_major_formatter("{x:.2g}")
        axes[i, 0].yaxis.set_major_formatter("{x:.2g}" if i else "")
    bar = figure.colorbar(
        matplotlib.cm.ScalarMappable(scale, colors),
        cax=figure.add_axes((0.58, 0.92, 0.36, 0.018)),
        orientation="horizontal",
        label="Spearman correlation of the residuals",
    )
    return CornerArtists(axes, correlations, bar)


class LossArtists(NamedTuple):
    """What `plot_losses` drew."""

    train: Line2D
    valid: Line2D
    best: Line2D


def plot_losses(ax: Axes, losses: pd.DataFrame, best_epoch: int) -> LossArtists:
    """Training and validation loss per epoch (columns epoch, train, valid), with the epoch whose weights are kept."""
    (train,) = ax.plot(losses["epoch"] + 1, losses["train"], color=INPUT_COLOR, label="training (mean over the epoch)")
    (valid,) = ax.plot(losses["epoch"] + 1, losses["valid"], color=OUTPUT_COLOR, label="validation")
    best = ax.axvline(best_epoch + 1, color="0.5", linestyle=":", label=f"weights kept: epoch {best_epoch + 1}")
    ax.set(xlabel="epoch", ylabel="mean squared error (training space)", yscale="log")
    ax.legend(frameon=False, loc="upper right", bbox_to_anchor=(0.97, 1.0))
    return LossArtists(train, valid, best)


class LearningRateArtists(NamedTuple):
    """What `plot_learning_rate` drew."""

    losses: Line2D
    valley: Line2D
    used: Line2D


def plot_learning_rate(ax: Axes, scan: "LearningRateScan", used: float) -> LearningRateArtists:
    """Loss against learning rate from the finder, with fastai's `valley` suggestion and the rate that is used."""
    (losses,) = ax.plot(scan.learning_rates, scan.losses, color=INPUT_COLOR)
    valley = ax.axvline(scan.valley, color="0.3", linestyle="--", label=f"suggestion (valley): {scan.valley:.1e}")
    line = ax.axvline(used, color=OUTPUT_COLOR, label=f"peak rate used: {used:.0e}")
    ax.set(xlabel="learning rate", ylabel="training loss (smoothed)", xscale="log", yscale="log")
    ax.legend(frameon=False, loc="lower left")
    return LearningRateArtists(losses, valley, line)


def plot_activations(axes: np.ndarray, activations: pd.DataFrame) -> list[list[Line2D]]:
    """Mean and standard deviation of each layer's activations against the training step, into two axes."""
    layers = sorted(activations["layer"].unique())
    colors = seaborn.color_palette("viridis", len(layers))
    drawn = []
    for ax, name in zip(axes.flat, ("mean", "std"), strict=True):
        lines = []
        for layer, color in zip(layers, colors, strict=True):
            rows = activations[activations["layer"] == layer]
            lines += ax.plot(rows["step"], rows[name], color=color, linewidth=1, label=str(layer + 1))
        label = {"mean": "mean of the activations", "std": "standard deviation of the activations"}[name]
        ax.set(xlabel="training step", ylabel=label)
        drawn.append(lines)
    axes.flat[-1].legend(title="layer", frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return drawn


def plot_correlations(ax: Axes, jets: np.ndarray) -> Axes:
    """Spearman rank correlations of the four quantities, shape (jets, 4), as a heat map."""
    frame = pd.DataFrame(jets, columns=[SYMBOLS[quantity] for quantity in FEATURES])
    return seaborn.heatmap(
        frame.corr(method="spearman"),
        ax=ax,
        vmin=-1,
        vmax=1,
        cmap="RdBu_r",
        annot=True,
        fmt=".2f",
        square=True,
        cbar_kws={"label": "Spearman correlation"},
    )


def _range(values: np.ndarray, quantity: str) -> tuple[float, float]:
    """The range of an axis: all angles, and all but the upper 0.2% of a falling spectrum."""
    values = np.asarray(values, dtype=np.float64)
    high = np.quantile(values, 0.998) if quantity in FALLING else values.max()
    return float(values.min()), float(max(high, values.min() + 1e-6))


def _counts(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Values per bin; the first and the last bin also hold what lies beyond the edges."""
    return np.histogram(np.clip(np.asarray(values, dtype=np.float64), edges[0], edges[-1]), edges)[0]


def _histogram(
    ax: Axes, values: np.ndarray, edges: np.ndarray, color: str, fill: bool = False, label: str | None = None
) -> StepPatch:
    """A histogram of `_counts`, filled or as a line."""
    style: dict[str, Any] = {"fill": True, "alpha": 0.35, "linewidth": 0} if fill else {"linewidth": 1.5}
    return ax.stairs(_counts(values, edges), edges, color=color, label=label, **style)


def _write_outside(ax: Axes, values: np.ndarray, edges: np.ndarray, what: str = "") -> None:
    """Above the axes, the share of `values` below the first and above the last edge, where there are any."""
    below, above = np.mean(values < edges[0]), np.mean(values > edges[-1])
    if below > 0:
        ax.set_title(f"\u2190 {what}{100 * below:.2g}% below", loc="left", fontsize="small")
    if above > 0:
        ax.set_title(f"{what}{100 * above:.2g}% above \u2192", loc="right", fontsize="small")


class SizeErrorArtists(NamedTuple):
    """What a panel of error against size shows: a line per method, those of lossless coders, and a reference."""

    curves: list[Line2D]
    lossless: list[Line2D]
    reference: Any


def plot_rate_distortion(ax: Axes, points: pd.DataFrame, bound: pd.DataFrame) -> SizeErrorArtists:
    """Mean squared error against bytes per jet of each method in `points`, and the Shannon lower bound.

    `points` are rows of `ratedistortion.measure`, `bound` of `ratedistortion.shannon_lower_bound`. Lossless coders
    have no error to draw: vertical lines mark their size. Named settings have black markers.
    """
    curves = _rate_curves(ax, points, "mse")
    lossless = [
        ax.axvline(group["bytes_per_jet"].min(), color="0.6", linestyle=style, linewidth=1, label=str(name))
        for style, (name, group) in zip(("-", "--", ":"), points[points["mse"] == 0].groupby("method"), strict=False)
    ]
    (limit,) = ax.plot(bound["bytes_per_jet"], bound["mse"], "k--", label="Shannon lower bound")
    for marker, (_, point) in zip("ph*", points[points["named"]].iterrows(), strict=False):
        label = f"{point['method']}: {point['setting']}"
        ax.plot(point["bytes_per_jet"], point["mse"], f"k{marker}", markersize=9, linestyle="none", label=label)
    ax.set(xlabel="bytes per jet", ylabel="mean squared error, custom-normalized", xlim=(0, 16), yscale="log")
    return SizeErrorArtists(curves, lossless, limit)


def plot_rate_resolution(
    ax: Axes, points: pd.DataFrame, quantity: str, statistic: str, band: tuple[float, float] | None = None
) -> SizeErrorArtists:
    """The "half_width_68", "q99" or "max" of a quantity's residuals against bytes per jet of each method.

    `band` is the lowest and highest resolution of the detector, drawn behind.
    """
    name = {"half_width_68": "68% half-width", "q99": "99% of |residual|", "max": "largest |residual|"}[statistic]
    shaded = None
    if band is not None:
        shaded = ax.axhspan(*band, color="0.85", zorder=0, label="jet energy resolution")
    curves = _rate_curves(ax, points, f"{quantity}_{statistic}")
    unit = {"relative": "relative"}.get(RESIDUAL_UNITS[quantity], RESIDUAL_UNITS[quantity])
    label = f"{SYMBOLS[quantity]}: {name}" + (f" [{unit}]" if unit else "")
    ax.set(xlabel="bytes per jet", ylabel=label, xlim=(0, 13), yscale="log")
    return SizeErrorArtists(curves, [], shaded)


def _rate_curves(ax: Axes, points: pd.DataFrame, column: str) -> list[Line2D]:
    lossy = points[(points["mse"] > 0) & ~points["named"]]
    palette = [*seaborn.color_palette("tab10"), "black", "gold"]
    curves = []
    for number, (name, group) in enumerate(lossy.groupby("method", sort=False)):
        shown = group[group[column] > 0].sort_values("bytes_per_jet")
        marker = "osD^vP*XhHp<"[number % 12]
        color = palette[number % len(palette)]
        curves += ax.plot(
            shown["bytes_per_jet"], shown[column], marker=marker, markersize=4, color=color, label=str(name)
        )
    return curves


def _series(model: str, way: str, index: int) -> dict[str, Any]:
    """Colour and label of a model's bars or line; `index` counts the models."""
    colors = {"tanh": "tab:blue", "leaky_relu_bn": "tab:orange", "elu_bn": "tab:green", "residual_gelu": "tab:red"}
    suffix = "" if way == "project" else ", original's way"
    return {"color": colors.get(model, f"C{index + 3}"), "label": VARIANT_LABELS.get(model, model) + suffix}


def plot_stage_times(ax: Axes, rows: Sequence[Mapping[str, Any]], stages: Sequence[str]) -> list[BarContainer]:
    """Median time of each stage and model on one device as bars with the 16-84% spread, on a logarithmic axis.

    `rows` as from `benchmark.time_stages` and `time_cold_start`; pale bars stand for the original's way, where it was
    measured.
    """
    drawn = []
    models = list(dict.fromkeys(row["model"] for row in rows if row["model"] is not None))
    width = 0.8 / (2 * len(models))
    for i, model in enumerate(models):
        for j, (way, alpha) in enumerate((("project", 1.0), ("original", 0.35))):
            found = {row["stage"]: row for row in rows if row["model"] == model and row["way"] == way}
            places = [place for place, stage in enumerate(stages) if stage in found]
            chosen = [found[stages[place]] for place in places]
            middle, low, high = (
                1e3 * np.array([row[key] for row in chosen]) for key in ("median_s", "low_s", "high_s")
            )
            alone = [sum(other["stage"] == row["stage"] for other in rows) == len(models) for row in chosen]
            offset = np.where(alone, (2 * i + 0.5) * width, (2 * i + j) * width) - 0.4 + width / 2
            drawn.append(
                ax.bar(
                    np.array(places) + offset,
                    middle,
                    np.where(alone, 2 * width, width),
                    yerr=np.abs([middle - low, high - middle]),
                    alpha=alpha,
                    error_kw={"elinewidth": 1, "ecolor": "0.2"},
                    **_series(model, way, i),
                )
            )
    ax.set_xticks(range(len(stages)), [stage.replace(" ", "\n") for stage in stages])
    ax.set(ylabel="time [ms]", yscale="log")
    ax.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, fontsize="small")
    return drawn


def plot_batches(ax: Axes, rows: Sequence[Mapping[str, Any]]) -> list[Line2D]:
    """Jets per second, there and back, against the jets in a call; rows of `benchmark.time_batches`."""
    drawn = _plot_rows(ax, rows, "jets_per_s")
    ax.set(xlabel="jets in a call", ylabel="jets per second, encoded and decoded", xscale="log", yscale="log")
    ax.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, fontsize="small")
    return drawn


def plot_scaling(ax: Axes, rows: Sequence[Mapping[str, Any]]) -> list[Line2D]:
    """Time there and back against the number of jets, with the line of a constant time per jet.

    Rows of `benchmark.time_scaling`; the dotted line goes through the largest number of each model.
    """
    drawn = _plot_rows(ax, rows, "median_s", linestyle="")
    for line in drawn:
        x, y = (np.asarray(values, dtype=float) for values in line.get_data())
        ax.plot(x, y[-1] * x / x[-1], ":", color=line.get_color(), linewidth=1)
    ax.set(xlabel="number of jets", ylabel="time to encode and decode [s]", xscale="log", yscale="log")
    ax.legend(frameon=False, loc="upper left", fontsize="small")
    return drawn


def _plot_rows(
    ax: Axes, rows: Sequence[Mapping[str, Any]], quantity: str, linestyle: str | None = None
) -> list[Line2D]:
    """A line for each model, way and device, against the column `jets`."""
    drawn = []
    frame = pd.DataFrame(list(rows))
    if "way" not in frame:
        frame["way"] = "project"
    several = frame["device"].nunique() > 1
    models = list(dict.fromkeys(frame["model"]))
    for (model, way, device), part in frame.groupby(["model", "way", "device"], sort=False):
        style = _series(str(model), str(way), models.index(model))
        style["linestyle"] = linestyle if linestyle is not None else "-" if way == "project" else "--"
        style["label"] += f", {device}" if several else ""
        marker = "o" if device == "cpu" else "^"
        drawn += ax.plot(part["jets"], part[quantity], marker=marker, markersize=4, **style)
    return drawn


class MemoryArtists(NamedTuple):
    """What `plot_memory` drew: bars of each model and way, and the markers of what must exist."""

    bars: list[BarContainer]
    floor: list[Line2D]


def plot_memory(ax: Axes, rows: Sequence[Mapping[str, Any]]) -> MemoryArtists:
    """Peak resident memory of each stage in a fresh process above its start, beside the input and output.

    Rows of `benchmark.trace_memory` on one device; pale bars stand for the original's way.
    """
    frame = pd.DataFrame(list(rows))
    stages, models = (list(dict.fromkeys(frame[key])) for key in ("stage", "model"))
    width = 0.8 / (2 * len(models))
    bars: list[BarContainer] = []
    floor: list[Line2D] = []
    for i, model in enumerate(models):
        for j, (way, alpha) in enumerate((("project", 1.0), ("original", 0.35))):
            part = frame[(frame["model"] == model) & (frame["way"] == way)].set_index("stage").loc[stages]
            places = np.arange(len(stages)) - 0.4 + (2 * i + j + 0.5) * width
            bars.append(ax.bar(places, part["resident"] / 1e6, width, alpha=alpha, **_series(model, way, i)))
            name = "must exist (input and output, or weights)" if not floor else None
            floor += ax.plot(places, part["floor"] / 1e6, "_", color="black", markersize=9, label=name)
    ax.set_xticks(range(len(stages)), stages)
    ax.set(ylabel="peak resident memory above the start [MB]", yscale="log")
    ax.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, fontsize="small")
    return MemoryArtists(bars, floor)


def plot_samples(axes: np.ndarray, samples: Mapping[str, np.ndarray]) -> list[list[StepPatch]]:
    """The four quantities of several samples, name -> jets of shape (jets, 4), as shares of each, into four axes.

    The first sample is filled, the others are lines; the first and last bin hold what lies beyond the axis.
    """
    drawn = []
    colors = [INPUT_COLOR, *seaborn.color_palette("tab10")[1:]]
    for i, (ax, quantity) in enumerate(zip(axes.flat, FEATURES, strict=True)):
        low, high = _range(np.concatenate([jets[:, i] for jets in samples.values()]), quantity)
        edges = np.linspace(low, high, 61)
        patches: list[StepPatch] = []
        for (name, jets), color in zip(samples.items(), colors, strict=False):
            share = _counts(jets[:, i], edges) / len(jets)
            style: dict[str, Any] = {"linewidth": 1.5} if patches else {"fill": True, "alpha": 0.35, "linewidth": 0}
            patches.append(ax.stairs(share, edges, color=color, label=name, **style))
        ax.set(xlabel=axis_label(quantity), ylabel="share of the jets per bin")
        if quantity in FALLING:
            ax.set_yscale("log")
        else:
            ax.set_ylim(0, 1.35 * ax.get_ylim()[1])
        ax.legend(frameon=False, loc="upper right", ncols=1 if quantity in FALLING else len(samples))
        drawn.append(patches)
    return drawn


def plot_transfer(ax: Axes, mse: pd.Series) -> Axes:
    """Mean squared errors, indexed by the samples tested and trained on, as a heat map: a row per training sample.

    The colours span a factor of ten at the least.
    """
    names = list(dict.fromkeys(mse.index.get_level_values(0)))
    matrix = mse.unstack(0).loc[names, names]
    low, high = np.log10(matrix.to_numpy().min()), np.log10(matrix.to_numpy().max())
    seaborn.heatmap(
        np.log10(matrix),
        ax=ax,
        vmin=low,
        vmax=max(high, low + 1),
        annot=matrix.map(lambda value: f"{value:.2e}").to_numpy(),
        fmt="",
        cmap="viridis_r",
        square=True,
        cbar_kws={"label": "log10 of the mean squared error"},
    )
    ax.set(xlabel="tested on", ylabel="trained on")
    return ax


class ComparisonArtists(NamedTuple):
    """What `plot_comparison` drew: means with their spread, plain and refined, and the line of the baseline."""

    plain: list[ErrorbarContainer]
    refined: list[ErrorbarContainer]
    baseline: Line2D


def plot_comparison(
    ax: Axes, rows: Sequence[Mapping[str, Any]], others: Mapping[str, float] | None = None
) -> ComparisonArtists:
    """Test MSE over that of rank-3 PCA of each variant and schedule: every seed as a dot, mean and deviation beside it.

    Rows of one size of sample; with `refined`, a second column of hollow markers. `others` are further models by name,
    with their ratio.
    """
    groups: dict[tuple[str, str, str], list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["variant"], row["schedule"], row["loss"]), []).append(row)
    several = len({loss for *_, loss in groups}) > 1
    plain: list[ErrorbarContainer] = []
    refined: list[ErrorbarContainer] = []
    labels = []
    for x, ((variant, schedule, loss), group) in enumerate(groups.items()):
        color = _series(variant, "project", x)["color"]
        label = schedule_label(variant, schedule).replace(", ", "\n")
        labels.append(label + (f"\n({loss})" if several else ""))
        for kind, drawn, shift in (("plain", plain, -0.12), ("refined", refined, 0.12)):
            parts = [(row if kind == "plain" else row.get("refined")) for row in group]
            if None in parts:
                continue
            ratios = [part["mse"] / row["pca_mse"] for part, row in zip(parts, group, strict=True)]  # type: ignore[index]
            face = color if kind == "plain" else "white"
            ax.plot([x + shift + 0.09] * len(ratios), ratios, "o", color=color, markersize=3, alpha=0.6)
            deviation = np.std(ratios, ddof=1) if len(ratios) > 1 else None
            drawn.append(
                ax.errorbar(
                    x + shift, np.mean(ratios), deviation, fmt="o", color=color, markerfacecolor=face, capsize=3
                )
            )
    for x, (name, ratio) in enumerate((others or {}).items(), len(groups)):
        ax.plot(x, ratio, "k*", markersize=9)
        labels.append(name)
    baseline = ax.axhline(1, color="0.5", linestyle="--", label="rank-3 PCA")
    ax.plot([], [], "o", color="0.3", label="encoder alone")
    if refined:
        ax.plot([], [], "o", color="0.3", markerfacecolor="white", label="latents refined")
    ax.set(ylabel="test MSE / MSE of rank-3 PCA", ylim=(0, None), xlim=(-0.5, len(labels) - 0.5))
    ax.set_xticks(range(len(labels)), labels)
    ax.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=3)
    return ComparisonArtists(plain, refined, baseline)


def plot_training_time(ax: Axes, rows: Sequence[Mapping[str, Any]]) -> list[Line2D]:
    """Validation loss against the CPU time of the training so far, a line for each seed, the end of each marked."""
    variants = list(dict.fromkeys(row["variant"] for row in rows))
    drawn: list[Line2D] = []
    for row in rows:
        style = _series(row["variant"], "project", variants.index(row["variant"]))
        if any(line.get_label() == style["label"] for line in drawn):
            style["label"] = "_another seed"
        epochs = np.asarray(row["curve"]["epoch"]) + 1
        seconds = row["training_cpu_seconds"] * epochs / epochs[-1]
        drawn += ax.plot(seconds, row["curve"]["valid"], linewidth=1, **style)
        ax.plot(seconds[-1], row["curve"]["valid"][-1], "o", markersize=4, color=style["color"])
    ax.set(xlabel="CPU time [s]", ylabel="validation loss", yscale="log", xlim=(0, None))
    ax.legend(frameon=False)
    return drawn


def plot_sample_size(ax: Axes, rows: Sequence[Mapping[str, Any]]) -> list[ErrorbarContainer]:
    """Test and training MSE against the number of training jets: mean and standard deviation over the seeds."""
    variants = list(dict.fromkeys(row["variant"] for row in rows))
    drawn: list[ErrorbarContainer] = []
    columns = ("variant", "training_jets", "mse", "train_mse")
    frame = pd.DataFrame([{name: row[name] for name in columns} for row in rows])
    frame["size"] = [row["max_jets"] or np.inf for row in rows]  # seeds of one size differ by an event or so
    for variant, part in frame.groupby("variant", sort=False):
        style = _series(str(variant), "project", variants.index(variant))
        grouped = part.drop(columns="variant").groupby("size").agg(["mean", "std"]).fillna(0)
        for column, line, suffix in (("mse", "-", "test"), ("train_mse", ":", "training")):
            label = f"{style['label']}, {suffix}"
            mean, deviation = grouped[column]["mean"], grouped[column]["std"]
            drawn.append(
                ax.errorbar(
                    grouped["training_jets"]["mean"],
                    mean,
                    deviation,
                    fmt="o" + line,
                    color=style["color"],
                    capsize=3,
                    markersize=4,
                    label=label,
                )
            )
    ax.set(xlabel="training jets", ylabel="mean squared error, custom-normalized", xscale="log", yscale="log")
    ax.legend(frameon=False)
    return drawn
