"""Jets themselves: distributions, correlations, samples beside each other, and what their latents hold."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
import seaborn
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import LogNorm
from matplotlib.patches import StepPatch

from utils.jets import FEATURES, UNITS
from utils.plotting.style import (
    FALLING,
    INPUT_COLOR,
    SYMBOLS,
    axis_label,
    counts,
    counts_label,
    draw_histogram,
    fill_style,
    plain_log_ticks,
    spectrum_edges,
    value_range,
    write_outside,
)


class DistributionArtists(NamedTuple):
    """What `plot_distributions` drew: one histogram a quantity."""

    histograms: list[StepPatch]


def plot_distributions(axes: np.ndarray, jets: np.ndarray, normalization: str | None = None) -> DistributionArtists:
    """Histograms of the four columns of `jets`, shape (jets, 4), into four axes.

    The jets are in GeV and rad, or have the normalization that is named. The range covers 99.8% of the jets; the share
    beyond is written at the edge where it lies.
    """
    drawn = []
    for ax, column, quantity in zip(axes.flat, np.asarray(jets).T, FEATURES, strict=True):
        edges = spectrum_edges(column, quantity, 64)
        drawn.append(draw_histogram(ax, column, edges, color=INPUT_COLOR, fill=True))
        if normalization is None:
            ax.set(xlabel=axis_label(quantity), ylabel=counts_label(edges, UNITS[quantity]))
        else:
            ax.set(xlabel=f"{SYMBOLS[quantity]}, {normalization} normalization", ylabel=counts_label(edges, ""))
        if quantity in FALLING:
            ax.set_yscale("log")
        write_outside(ax, column, edges)
    return DistributionArtists(drawn)


def plot_correlations(ax: Axes, jets: np.ndarray) -> Axes:
    """Spearman rank correlations of the four quantities, shape (jets, 4), as a heat map."""
    frame = pd.DataFrame(jets, columns=[SYMBOLS[quantity] for quantity in FEATURES]).corr(method="spearman")
    texts = frame.round(2).add(0.0).map("{:.2f}".format)  # no zero below zero
    return seaborn.heatmap(
        frame,
        ax=ax,
        vmin=-1,
        vmax=1,
        cmap="RdBu_r",
        annot=texts.map(lambda text: text.replace("-", "\u2212")).to_numpy(),
        fmt="",
        square=True,
        cbar_kws={"label": "Spearman correlation"},
    )


SAMPLE_COLORS = (INPUT_COLOR, "#882255", "#332288", "#44AA99")
"""None is that of a model."""


def plot_samples(axes: np.ndarray, samples: Mapping[str, np.ndarray]) -> list[list[StepPatch]]:
    """The four quantities of several samples, name -> jets of shape (jets, 4), as shares of each, into four axes.

    The first sample is filled, the others are lines, each with a band of its statistical uncertainty, the square root
    of its counts; the share of each that lies beyond the axis is written at its ends.
    """
    drawn = []
    for i, (ax, quantity) in enumerate(zip(axes.flat, FEATURES, strict=True)):
        together = np.concatenate([jets[:, i] for jets in samples.values()])
        edges = spectrum_edges(together, quantity, 64)
        patches: list[StepPatch] = []
        for (name, jets), color in zip(samples.items(), SAMPLE_COLORS, strict=False):
            found, whole = counts(jets[:, i], edges), 100 / len(jets)
            low, high = whole * (found - np.sqrt(found)), whole * (found + np.sqrt(found))
            words = f"{name}: {len(jets):,} jets"
            band = ax.stairs(high, edges, baseline=low, fill=True, linewidth=0, zorder=2)
            if patches:
                band.set(color=color, alpha=0.35)
            else:
                band.set(facecolor="none", edgecolor="0.25", hatch="//////", label="stat. uncertainty")
            patches.append(ax.stairs(whole * found, edges, color=color, label=words, **fill_style(not patches)))
        ax.set(xlabel=axis_label(quantity), ylabel=counts_label(edges, UNITS[quantity], what="% of the jets"))
        ax.set_xlim(edges[0], edges[-1])
        if quantity in FALLING:
            ax.set_yscale("log")
        write_outside(ax, [jets[:, i] for jets in samples.values()], edges)
        drawn.append(patches)
    axes.flat[FEATURES.index("pt")].legend(frameon=False, loc="upper right")
    return drawn


def plot_latents(axes: np.ndarray, jets: np.ndarray, latents: np.ndarray) -> list[QuadMesh]:
    """Each latent against each quantity of the jets, shapes (jets, latents) and (jets, 4), into axes of that shape.

    A row of axes for each latent, a column for each quantity; darker cells, a hundredth of the axes wide and high, hold
    more jets. The central 99.8% of each latent is shown; above a column stands the share of the jets beyond its ends. A
    latent that is a quantity under another name makes a line; one that has nothing of it, a cloud.
    """
    drawn: list[QuadMesh] = []
    colors = LogNorm(0.5)
    for i, row in enumerate(axes):
        low, high = np.quantile(latents[:, i], [0.001, 0.999])
        latent_edges = np.linspace(low, max(high, low + 1e-6), 101)
        for column, (ax, quantity) in enumerate(zip(row, FEATURES, strict=True)):
            start, end = value_range(jets[:, column], quantity)
            logarithmic = quantity in FALLING
            start = max(start, 1.0) if logarithmic else start
            edges = np.geomspace(start, end, 101) if logarithmic else np.linspace(start, end, 101)
            density = np.histogram2d(jets[:, column], latents[:, i], [edges, latent_edges])[0].T
            colors.vmax = max(colors.vmax or 1.0, float(density.max()))
            drawn.append(ax.pcolormesh(edges, latent_edges, density, norm=colors, cmap="Blues", rasterized=True))
            if logarithmic:
                ax.set_xscale("log")
                plain_log_ticks(ax)
            if i == 0:
                write_outside(ax, jets[:, column], edges)
            if i == len(axes) - 1:
                ax.set_xlabel(axis_label(quantity))
        row[0].set_ylabel(f"latent $z_{i + 1}$")
    axes.flat[0].figure.colorbar(drawn[0], ax=axes, label="jets / cell of a hundredth by a hundredth of the axes")
    return drawn
