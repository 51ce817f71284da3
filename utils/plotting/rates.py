"""Error against size: mean squared error, and the resolution of one quantity."""

from typing import NamedTuple

import pandas as pd
import seaborn
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from utils.metrics import RESIDUAL_UNITS
from utils.plotting.style import SYMBOLS


class SizeErrorArtists(NamedTuple):
    """What a panel of error against size shows: a line per method, those of lossless coders, and a reference.

    The reference is the Shannon lower bound, or the band of the detector's resolution where one was given.
    """

    curves: list[Line2D]
    lossless: list[Line2D]
    reference: Line2D | Rectangle | None


def plot_rate_distortion(ax: Axes, points: pd.DataFrame, bound: pd.DataFrame) -> SizeErrorArtists:
    """Mean squared error against bytes per jet of each method in `points`, and the Shannon lower bound.

    `points` are rows of `study.measure_all`, `bound` of `study.shannon_lower_bound`. Lossless coders have no error to
    draw: vertical lines mark their size. Named settings have black markers.
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
    unit = RESIDUAL_UNITS[quantity]
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
