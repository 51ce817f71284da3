"""Jets themselves: distributions, correlations, samples beside each other."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
import seaborn
from matplotlib.axes import Axes
from matplotlib.patches import StepPatch

from utils.jets import FEATURES
from utils.plotting.style import (
    FALLING,
    INPUT_COLOR,
    SYMBOLS,
    axis_label,
    counts,
    draw_histogram,
    fill_style,
    value_range,
    write_outside,
)


class DistributionArtists(NamedTuple):
    """What `plot_distributions` drew: one histogram a quantity."""

    histograms: list[StepPatch]


def plot_distributions(
    axes: np.ndarray, jets: np.ndarray, labels: list[str], color: str = INPUT_COLOR
) -> DistributionArtists:
    """Histograms of the four columns of `jets`, shape (jets, 4), into four axes.

    The range covers 99.8% of the jets; the counts beyond are written at the edge where they lie.
    """
    drawn = []
    for ax, column, label, quantity in zip(axes.flat, np.asarray(jets).T, labels, FEATURES, strict=True):
        edges = np.linspace(*value_range(column, quantity), 61)
        drawn.append(draw_histogram(ax, column, edges, color=color, fill=True))
        ax.set(xlabel=label, ylabel="jets per bin")
        if quantity in FALLING:
            ax.set_yscale("log")
        write_outside(ax, column, edges)
    return DistributionArtists(drawn)


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


def plot_samples(axes: np.ndarray, samples: Mapping[str, np.ndarray]) -> list[list[StepPatch]]:
    """The four quantities of several samples, name -> jets of shape (jets, 4), as shares of each, into four axes.

    The first sample is filled, the others are lines; the first and last bin hold what lies beyond the axis.
    """
    drawn = []
    colors = [INPUT_COLOR, *seaborn.color_palette("tab10")[1:]]
    for i, (ax, quantity) in enumerate(zip(axes.flat, FEATURES, strict=True)):
        low, high = value_range(np.concatenate([jets[:, i] for jets in samples.values()]), quantity)
        edges = np.linspace(low, high, 61)
        patches: list[StepPatch] = []
        for (name, jets), color in zip(samples.items(), colors, strict=False):
            share = counts(jets[:, i], edges) / len(jets)
            patches.append(ax.stairs(share, edges, color=color, label=name, **fill_style(not patches)))
        ax.set(xlabel=axis_label(quantity), ylabel="share of the jets per bin")
        if quantity in FALLING:
            ax.set_yscale("log")
        else:
            ax.set_ylim(0, 1.35 * ax.get_ylim()[1])
        ax.legend(frameon=False, loc="upper right", ncols=1 if quantity in FALLING else len(samples))
        drawn.append(patches)
    return drawn
