"""Errors of models: overlays, residuals, the plane of m and pt."""

from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle, StepPatch
from matplotlib.ticker import MaxNLocator

from utils.jets import FEATURES, UNITS
from utils.metrics import RESIDUAL_UNITS, central_68, residuals
from utils.plotting.style import (
    FALLING,
    INPUT_COLOR,
    axis_label,
    counts,
    counts_label,
    draw_histogram,
    model_color,
    model_label,
    plain_log_ticks,
    residual_label,
    round_edges,
    spectrum_edges,
    write_outside,
)
from utils.text import decimals


class OverlayArtists(NamedTuple):
    """What `plot_overlay` drew: both spectra, their ratio with its uncertainty, and the arrows beyond the panel."""

    true: StepPatch
    reconstructed: StepPatch
    ratio: ErrorbarContainer
    beyond: tuple[Line2D, Line2D]


def plot_overlay(
    main: Axes, ratio: Axes, true: np.ndarray, reconstructed: np.ndarray, quantity: str, model: str | None = None
) -> OverlayArtists:
    """Input and output spectrum of one quantity, and their ratio below, which shares the x axis.

    The band around the input is its statistical uncertainty, the square root of the counts. Both spectra are of the
    same jets, so that the ratio is uncertain only by those that changed bins (`ratio_with_uncertainty`). The shares of
    input and output beyond the axis are written at its ends. `model`, a variant, gives colour and label.
    """
    edges = spectrum_edges(true, quantity)
    if quantity == "pt":
        edges = np.geomspace(edges[0], edges[-1], 43)
    color = model_color(model)
    before, after = counts(true, edges), counts(reconstructed, edges)
    drawn_true = draw_histogram(main, true, edges, INPUT_COLOR, fill=True, label="input")
    spread = np.sqrt(before)
    band = main.stairs(before + spread, edges, baseline=before - spread, fill=True, label="stat. uncertainty")
    band.set(facecolor="none", edgecolor="0.25", hatch="//////", linewidth=0)
    drawn_out = draw_histogram(main, reconstructed, edges, color, label=model_label(model))
    if quantity in FALLING:
        filled = np.concatenate([before[before > 0], after[after > 0]])
        main.set_yscale("log")
        main.set_ylim(0.5 * filled.min(initial=1e9), 6 * filled.max(initial=1))
    else:
        main.set_ylim(0, 1.4 * max(before.max(), after.max()))
    main.set_ylabel(counts_label(edges, UNITS[quantity], quantity))
    main.legend(frameon=False, loc="upper right", ncols=2, fontsize="small")
    if quantity == "pt":
        ratio.set_xscale("log")
        plain_log_ticks(ratio)
    points, beyond = _draw_ratio(ratio, true, reconstructed, edges, color)
    ratio.set(xlabel=axis_label(quantity), ylabel="out / in")
    write_outside(main, [true, reconstructed], edges, "in / out: ")
    return OverlayArtists(drawn_true, drawn_out, points, beyond)


RATIO_REACHES = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
"""How far from 1 a ratio panel may reach."""


def _draw_ratio(
    ax: Axes, true: np.ndarray, reconstructed: np.ndarray, edges: np.ndarray, color: str
) -> tuple[ErrorbarContainer, tuple[Line2D, Line2D]]:
    """The ratio in a panel that holds 95% of its points; arrows stand for those beyond."""
    values, errors = ratio_with_uncertainty(true, reconstructed, edges)
    filled = np.isfinite(values)
    values, errors = values[filled], errors[filled]
    centers = np.sqrt(edges[1:] * edges[:-1]) if ax.get_xscale() == "log" else (edges[1:] + edges[:-1]) / 2
    centers = centers[filled]
    needed = np.quantile(np.abs(values - 1), 0.95) if len(values) else 0.0
    reach = next((reach for reach in RATIO_REACHES if reach >= needed), RATIO_REACHES[-1])
    low, high = 1 - 1.08 * reach, 1 + 1.08 * reach
    points = ax.errorbar(centers, values, errors, fmt="o", markersize=2.5, linewidth=0.8, color=color)
    up, down = values > high, values < low
    (above,) = ax.plot(centers[up], np.full(up.sum(), 1 + reach), "^", markersize=4, color=color)
    (below,) = ax.plot(centers[down], np.full(down.sum(), 1 - reach), "v", markersize=4, color=color)
    ax.axhline(1, color="0.5", linewidth=1, zorder=0)
    ax.set(ylim=(low, high), xlim=(edges[0], edges[-1]))
    ax.set_yticks([1 - reach, 1, 1 + reach])
    ax.yaxis.set_major_formatter("{x:g}")
    return points, (above, below)


def ratio_with_uncertainty(true: np.ndarray, reconstructed: np.ndarray, edges: np.ndarray) -> tuple[np.ndarray, ...]:
    """Output over input counts of each bin and its standard deviation; NaN where no input is.

    Of the jets of a bin, s stay, l leave, and g come in from elsewhere: r = (s + g) / (s + l), each a Poisson number.
    So var(r) = (g + r^2 l + (1 - r)^2 s) / (s + l)^2. Where nothing came out, it is as if one jet had.
    """
    bins = [np.digitize(np.asarray(values, np.float64), edges) for values in (true, reconstructed)]
    inside, before, after = len(edges) - 1, counts(true, edges), counts(reconstructed, edges)
    same = bins[0][bins[0] == bins[1]]
    stay = np.bincount(same, minlength=inside + 2)[1 : inside + 1]
    stay = np.minimum(stay, np.minimum(before, after))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(before > 0, after / before, np.nan)
        variance = (after - stay + ratio**2 * (before - stay) + (1 - ratio) ** 2 * stay) / before**2
        variance = np.where(after > 0, variance, 1 / before**2)
    return ratio, np.sqrt(variance)


def plot_overlays(
    figure: Figure | SubFigure,
    true: np.ndarray,
    reconstructed: np.ndarray,
    model: str | None = None,
    quantities: tuple[str, ...] = FEATURES,
) -> list[OverlayArtists]:
    """Quantities of jets of shape (jets, 4), input over output, each with its ratio panel, two beside each other."""
    drawn = []
    parts = np.asarray(figure.subfigures(-(-len(quantities) // 2), 2)).flat
    for part, quantity in zip(parts, quantities, strict=False):
        column = FEATURES.index(quantity)
        main, ratio = part.subplots(2, 1, sharex=True, height_ratios=[3, 1], gridspec_kw={"hspace": 0.03})
        drawn.append(plot_overlay(main, ratio, true[:, column], reconstructed[:, column], quantity, model))
        part.align_ylabels()
    return drawn


WORDS = 0.28
"""Share of a panel's height above the curve of residuals, for what is written there."""


class ResidualArtists(NamedTuple):
    """What `plot_residuals` drew for one quantity."""

    histogram: StepPatch
    median: Line2D
    band: Rectangle


def plot_residuals(
    axes: np.ndarray, true: np.ndarray, reconstructed: np.ndarray, model: str | None = None, fontsize: str = "small"
) -> list[ResidualArtists]:
    """Histograms of the four residuals (`metrics.residuals`) with median and central 68% band.

    Each axis reaches some six 68% half-widths to both sides, and no further than the residuals; the share of what lies
    beyond is written at its ends. Median, half-width and 99% quantile of the absolute residual stand above the curve.
    """
    drawn = []
    for ax, (quantity, column) in zip(axes.flat, residuals(true, reconstructed).items(), strict=True):
        values = column.dropna().to_numpy()
        low, median, high = central_68(values)
        reach = 6 * max((high - low) / 2, 1e-9)
        edges = round_edges(max(median - reach, values.min()), min(median + reach, values.max() + 1e-9), 80)
        band = ax.axvspan(low, high, ymax=1 - WORDS, color="0.9", zorder=0)
        histogram = draw_histogram(ax, values, edges, model_color(model))
        line = ax.axvline(median, ymax=1 - WORDS, color="0.3", linewidth=1, linestyle="--")
        found = counts(values, edges)
        lowest = max(0.5, 0.4 * np.quantile(found[found > 0], 0.05)) if found.any() else 0.5
        highest = max(found.max(), 1)
        room = (highest / lowest) ** (WORDS / (1 - WORDS))
        ax.set(yscale="log", ylim=(lowest, room * highest), xlabel=residual_label(str(quantity)))
        ax.set_ylabel(counts_label(edges, RESIDUAL_UNITS[str(quantity)]))
        ax.xaxis.set_major_locator(MaxNLocator(5 if fontsize == "small" else 3))
        ax.text(0.03, 0.97, _residual_words(str(quantity), values), transform=ax.transAxes, va="top", fontsize=fontsize)
        write_outside(ax, values, edges)
        drawn.append(ResidualArtists(histogram, line, band))
    return drawn


def _residual_words(quantity: str, values: np.ndarray) -> str:
    """Median, 68% half-width and 99% quantile: in percent, in mrad, in rad where the tail is longer, or as they are."""
    unit, tail = RESIDUAL_UNITS[quantity], np.quantile(np.abs(values), 0.99)
    factor, name = {"relative": (100, "%"), "rad": (1000, " mrad") if tail < 1 else (1, " rad")}.get(unit, (1, ""))
    low, median, high = factor * np.array(central_68(values))
    tail *= factor
    bias, width, worst = (f"{value:.{decimals(value)}f}{name}" for value in (median, (high - low) / 2, tail))
    return f"median {bias.replace('-', chr(0x2212))}\n68% half-width {width}\n99% of |residual| below {worst}"


PLANE = ((1.0, 200.0), (15.0, 1500.0))
"""Limits of m and pt in GeV in `plot_plane`."""


def plot_plane(
    ax: Axes, true: np.ndarray, reconstructed: np.ndarray, model: str | None = None, label: str | None = None
) -> list[Line2D]:
    """Jets of shape (jets, 4) in the plane of m and pt: true ones in grey, reconstructed ones over them.

    Shows the surface that a code can reach, where phi and eta do not matter. The title counts the reconstructed jets
    that lie beyond the axes. `label` is what the legend calls them, None: the model.
    """
    m, pt = FEATURES.index("m"), FEATURES.index("pt")
    drawn: list[Line2D] = []
    for jets, color, words in (
        (true, INPUT_COLOR, "input"),
        (reconstructed, model_color(model), label or model_label(model)),
    ):
        drawn += ax.plot(
            jets[:, m], jets[:, pt], "o", markersize=0.8, markeredgewidth=0, color=color, label=words, rasterized=True
        )
    inside = np.ones(len(reconstructed), dtype=bool)
    for column, (low, high) in zip((m, pt), PLANE, strict=True):
        inside &= (reconstructed[:, column] >= low) & (reconstructed[:, column] <= high)
    ax.set(xscale="log", yscale="log", xlim=PLANE[0], ylim=PLANE[1], xlabel=axis_label("m"), ylabel=axis_label("pt"))
    for which in ("x", "y"):
        plain_log_ticks(ax, which)
    ax.set_title(f"output: {(~inside).sum():,} of {len(inside):,} jets beyond the axes", loc="right", fontsize="small")
    ax.legend(frameon=False, loc="upper left", markerscale=8)
    return drawn
