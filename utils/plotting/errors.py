"""Errors of models: overlays, residuals, the plane of m and pt, corner plots."""

from typing import NamedTuple

import corner
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colorbar import Colorbar
from matplotlib.colors import Normalize
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle, StepPatch

from utils.jets import FEATURES
from utils.metrics import central_68, residuals
from utils.plotting.style import (
    FALLING,
    INPUT_COLOR,
    OUTPUT_COLOR,
    axis_label,
    counts,
    draw_histogram,
    residual_label,
    value_range,
    write_outside,
)


class OverlayArtists(NamedTuple):
    """What `plot_overlay` drew."""

    true: StepPatch
    reconstructed: StepPatch
    ratio: Line2D


def plot_overlay(main: Axes, ratio: Axes, true: np.ndarray, reconstructed: np.ndarray, quantity: str) -> OverlayArtists:
    """Input and output spectrum of one quantity, and their ratio below.

    Jets beyond the axis are counted in the first and the last bin, and their number is written there.
    """
    low, high = value_range(true, quantity)
    edges = np.geomspace(low, high, 41) if quantity == "pt" else np.linspace(low, high, 41)
    drawn_true = draw_histogram(main, true, edges, color=INPUT_COLOR, fill=True, label="input")
    drawn_out = draw_histogram(main, reconstructed, edges, color=OUTPUT_COLOR, label="output")
    counts_true, counts_out = (counts(values, edges) for values in (true, reconstructed))
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
    write_outside(main, reconstructed, edges, "output ")
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
    band: Rectangle


def plot_residuals(axes: np.ndarray, true: np.ndarray, reconstructed: np.ndarray) -> list[ResidualArtists]:
    """Histograms of the four residuals (`metrics.residuals`) with median and central 68% band.

    Each axis reaches six 68% half-widths to both sides; the first and last bin hold what lies beyond, and its share is
    written there.
    """
    drawn = []
    for ax, (quantity, column) in zip(axes.flat, residuals(true, reconstructed).items(), strict=True):
        values = column.dropna().to_numpy()
        low, median, high = central_68(values)
        reach = 6 * max((high - low) / 2, 1e-9)
        edges = np.linspace(median - reach, median + reach, 81)
        histogram = draw_histogram(ax, values, edges, color=OUTPUT_COLOR, fill=True)
        band = ax.axvspan(low, high, color="0.85", zorder=0, label=f"68%: half-width {(high - low) / 2:.3g}")
        line = ax.axvline(median, color="0.2", linewidth=1, linestyle="--", label=f"median {median:.2g}")
        ax.set_yscale("log")
        top = counts(values, edges).max()
        ax.set(xlabel=residual_label(str(quantity)), ylabel="jets per bin", ylim=(0.5, top * 30))
        ax.legend(frameon=False, loc="upper center", ncols=2, fontsize="small")
        write_outside(ax, values, edges)
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
    colors = ScalarMappable(Normalize(-1, 1), "RdBu_r")
    _color_cells(axes, correlations.to_numpy(), colors)
    _plain_ticks(axes)
    bar = figure.colorbar(
        colors,
        cax=figure.add_axes((0.58, 0.92, 0.36, 0.018)),
        orientation="horizontal",
        label="Spearman correlation of the residuals",
    )
    return CornerArtists(axes, correlations, bar)


def _color_cells(axes: np.ndarray, correlations: np.ndarray, colors: ScalarMappable) -> None:
    """Below the diagonal the background in the colour of each correlation, and its value in the corner."""
    shades = colors.to_rgba(correlations, alpha=0.6)
    for row in range(len(axes)):
        for ax, correlation, shade in zip(axes[row, :row], correlations[row, :row], shades[row, :row], strict=True):
            ax.set_facecolor(shade)
            ax.text(0.05, 0.93, f"{correlation:+.2f}", transform=ax.transAxes, ha="left", va="top", fontsize="small")


def _plain_ticks(axes: np.ndarray) -> None:
    """Small plain numbers, instead of a common power of ten that would lie on the labels."""
    for ax in axes.flat:
        ax.tick_params(labelsize="x-small")
    for i in range(len(axes)):
        axes[-1, i].xaxis.set_major_formatter("{x:.2g}")
        axes[i, 0].yaxis.set_major_formatter("{x:.2g}" if i else "")
