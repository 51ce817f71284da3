"""Corner plots: how the errors of the four quantities go together."""

from typing import Any, NamedTuple

import corner
import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colorbar import Colorbar
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure

from utils.jets import FEATURES
from utils.metrics import residuals
from utils.plotting.style import residual_label

CONTOURS = (0.39, 0.68, 0.86)
"""Shares of the jets inside the contours."""

PALE = ListedColormap(1 - 0.55 * (1 - colormaps["RdBu_r"](np.linspace(0, 1, 256))), "pale_RdBu")
"""Blue over white to red, light enough for black contours on it; cells and colour bar share it."""


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
    corner.corner(
        frame.to_numpy(),
        fig=figure,
        bins=40,
        range=[tuple(np.quantile(frame[quantity], [0.01, 0.99])) for quantity in frame],
        labels=[residual_label(str(quantity)) for quantity in frame],
        color="0.15",
        plot_datapoints=False,
        plot_density=False,
        no_fill_contours=True,
        smooth=1.0,
        levels=CONTOURS,
        label_kwargs={"fontsize": "small"},
        labelpad=0.0,
    )
    axes = np.array(figure.axes).reshape(len(FEATURES), len(FEATURES))
    correlations = frame.corr(method="spearman")
    colors = ScalarMappable(Normalize(-1, 1), PALE)
    _color_cells(axes, correlations.to_numpy(), colors)
    _plain_ticks(axes)
    bar = figure.colorbar(
        colors,
        cax=figure.add_axes((0.58, 0.92, 0.36, 0.018)),
        orientation="horizontal",
        label="Spearman correlation of the residuals",
    )
    levels = ", ".join(f"{100 * level:.0f}" for level in CONTOURS)
    figure.text(
        0.58,
        0.845,
        f"contours: {levels}% of the jets shown, smoothed\n"
        "axes: the central 98% of each residual\nmassless jets left out",
        va="top",
        fontsize="small",
    )
    return CornerArtists(axes, correlations, bar)


def _color_cells(axes: np.ndarray, correlations: np.ndarray, colors: ScalarMappable) -> None:
    """Below the diagonal the background in the colour of each correlation, and its value in a box in a corner."""
    shades = colors.to_rgba(correlations)
    box = {"facecolor": "white", "edgecolor": "0.6", "linewidth": 0.5, "boxstyle": "round,pad=0.2"}
    for row in range(len(axes)):
        for ax, correlation, shade in zip(axes[row, :row], correlations[row, :row], shades[row, :row], strict=True):
            ax.set_facecolor(shade)
            text = f"{round(correlation, 2) + 0.0:+.2f}".replace("-", "\u2212")  # no zero below zero
            x, y = _emptiest_corner(ax)
            sides: dict[str, Any] = {"ha": "left" if x < 0.5 else "right", "va": "bottom" if y < 0.5 else "top"}
            ax.text(x, y, text, transform=ax.transAxes, fontsize="small", bbox=box, **sides)


def _emptiest_corner(ax: Axes) -> tuple[float, float]:
    """Where in the axes a box hides the least of the contours: the corner that is furthest from all of them."""
    lines = [np.asarray(line.vertices) for drawn in ax.collections for line in drawn.get_paths()]
    points = np.concatenate([np.empty((0, 2)), *lines])
    if not len(points):
        return 0.05, 0.94
    (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    places = (points - (left, bottom)) / (right - left, top - bottom)
    corners = [(x, y) for x in (0.05, 0.95) for y in (0.94, 0.06)]
    return max(corners, key=lambda corner: float(np.min(np.hypot(*(places - corner).T))))


def _plain_ticks(axes: np.ndarray) -> None:
    """Few small level numbers, away from the corners where two axes meet."""
    for ax in axes[np.tril_indices(len(axes))]:
        ax.tick_params(labelsize="x-small", labelrotation=0)
        for axis, (low, high) in ((ax.xaxis, ax.get_xlim()), (ax.yaxis, ax.get_ylim())):
            reach = float(f"{0.6 * max(-low, high):.1g}")
            axis.set_ticks([tick for tick in (-reach, 0, reach) if 0.9 * low <= tick <= 0.9 * high])
    for ax in axes.diagonal():
        ax.yaxis.set_ticks([])
    for i in range(len(axes)):
        axes[-1, i].xaxis.set_major_formatter("{x:g}")
        axes[-1, i].xaxis.set_label_coords(0.5, -0.16)
    for i in range(1, len(axes)):
        axes[i, 0].yaxis.set_major_formatter("{x:g}")
        axes[i, 0].yaxis.set_label_coords(-0.26, 0.5)
