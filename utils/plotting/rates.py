"""Error against size: mean squared error, and the resolution of each quantity."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.text import Annotation
from scipy.optimize import isotonic_regression

from utils.metrics import RESIDUAL_UNITS
from utils.networks import VARIANT_LABELS
from utils.plotting.style import MODEL_COLORS, OTHER_COLOR, SYMBOLS, legend_above

LARGEST, CLOSE = 9.0, (1.0, 4.0)
"""Bytes per jet up to which methods are shown, and the range of the second panel; float32 takes 16."""

SIZE = "bytes per jet, weights not counted"
"""What the size of a jet leaves out: the decoder of a network, which a file needs once."""

CODEC_COLORS = {"bounded": "black", "SZ3": "#999933", "mantissa rounding + zstd": "#8C510A", "zfp": "#7A5195"}

CODEC_MARKERS = {"SZ3": "s", "mantissa rounding + zstd": "D", "zfp": "^"}
"""Shapes for those who cannot tell a codec's colour from that of a network."""

LEADER = {"arrowstyle": "-", "linewidth": 0.5, "shrinkA": 0, "shrinkB": 0}
"""The thin line from a name to what it names."""


class RateArtists(NamedTuple):
    """What a panel of error against size shows: a line per method, its label beside it, and a reference.

    The reference is the Shannon lower bound, or the band of the detector's resolution where one was given.
    """

    curves: list[Line2D]
    labels: list[Annotation]
    reference: Line2D | Rectangle | None


def plot_rate_distortion(
    axes: Sequence[Axes], points: pd.DataFrame, bound: pd.DataFrame, event_saving: float = 0.0
) -> list[RateArtists]:
    """Mean squared error against bytes per jet of each method, and the Shannon lower bound: all of it, and from close.

    `points` are rows of `study.measure_all`, `bound` of `study.shannon_lower_bound`, which is drawn again
    `event_saving` bytes below where there is such a saving. Networks have the colours of their variants, dashed where
    they were trained without the custom normalization; codecs have others. Each curve is named at its end, but those
    that leave the second panel at its bottom only in the first. Settings with a name are stars; lossless coders lie
    beyond the axis, and their sizes are written there.
    """
    errors = points.loc[(points["mse"] > 0) & (points["bytes_per_jet"] < LARGEST), "mse"]
    learned = points.loc[(points["weight_bytes"] > 0) & (points["mse"] > 0), "mse"]
    floor = float(learned.min() if len(learned) else errors.min())
    ranges = ((0.0, LARGEST), (0.3 * errors.min(), 2 * errors.max())), (CLOSE, (0.4 * floor, 25 * floor))
    drawn = []
    for ax, (horizontal, vertical) in zip(axes, ranges, strict=True):
        ax.set(xlabel=SIZE, xlim=horizontal, ylim=vertical, yscale="log")
        curves, ends = _rate_curves(ax, points, "mse")
        (limit,) = ax.plot(bound["bytes_per_jet"], bound["mse"], "--", color="0.5", label="Shannon lower bound")
        ends.append(limit)
        if event_saving:
            lower = bound["bytes_per_jet"] - event_saving
            ends += ax.plot(lower, bound["mse"], ":", color="0.5", label="Shannon bound, with the event")
        drawn.append(RateArtists(curves, _label_ends(ax, ends, lowest=0.02 if ax is axes[1] else 0.0), limit))
        _mark_named(ax, points)
    axes[0].text(0.02, 0.02, HOLLOW, transform=axes[0].transAxes, fontsize="x-small", color="0.3")
    axes[0].set_ylabel("mean squared error, custom normalization")
    axes[1].set_title(f"from close: {CLOSE[0]:g} to {CLOSE[1]:g} bytes", loc="left", fontsize="small")
    lossless = points[points["mse"] == 0].groupby("method", sort=False)["bytes_per_jet"].min().sort_values()
    if len(lossless):
        sizes = ", ".join(f"{str(name).removeprefix('lossless ')} {size:.1f}" for name, size in lossless.items())
        axes[0].set_title(f"lossless: {sizes} bytes \u2192", loc="right", fontsize="small")
    return drawn


def plot_few_rates(ax: Axes, points: pd.DataFrame, bound: pd.DataFrame) -> RateArtists:
    """`plot_rate_distortion` at a glance: the codec `bounded`, SZ3, the network with the smallest error and rank-3 PCA.

    What is not among the `points` is left out. Each curve is named in words at its end.
    """
    networks = points[(points["weight_bytes"] > 0) & (points["mse"] > 0) & (points["method"] != "rank-3 PCA")]
    best = list(networks.loc[[networks["mse"].idxmin()], "method"]) if len(networks) else []
    words = {"bounded": "rounding + entropy coder", "SZ3": "SZ3", "rank-3 PCA": "three numbers of PCA"}
    words |= {str(name): f"three latents of\n{name}" for name in best}
    few = points[points["method"].isin(words) & (points["mse"] > 0) & (points["bytes_per_jet"] < LARGEST)]
    top, low = 2 * few["mse"].max(), 0.3 * few["mse"].min()
    ax.set(xlabel=SIZE, xlim=(0, LARGEST), ylim=(low, top), yscale="log")
    ax.set_ylabel("mean squared error, custom normalization")
    curves, ends = _rate_curves(ax, points[points["method"].isin(words)], "mse")
    (limit,) = ax.plot(bound["bytes_per_jet"], bound["mse"], "--", color="0.5", label="Shannon lower bound")
    ax.text(0.02, 0.02, HOLLOW, transform=ax.transAxes, fontsize="small", color="0.3")
    labels = _label_ends(ax, [*ends, limit], 0.075)
    for label in labels:
        label.set_text(words.get(label.get_text(), label.get_text()))
    return RateArtists(curves, labels, limit)


HOLLOW = "hollow: latents as float16\ndotted: to float32 at 12 bytes"


def _mark_named(ax: Axes, points: pd.DataFrame) -> None:
    """Stars for settings with a name, which stands on the left below the bound, of others than `bounded` under it."""
    (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    for _, point in points[points["named"]].iterrows():
        x, y = point["bytes_per_jet"], point["mse"]
        if left < x < right and bottom < y < top:
            ax.plot(x, y, "*", color=CODEC_COLORS.get(point["method"], "black"), markersize=11, markeredgecolor="white")
            words = "\n".join(textwrap.wrap(point["setting"], 18))
            bounded = point["method"] == "bounded"
            line = LEADER | {"color": "0.5", "relpos": (1, 0.7) if bounded else (0.5, 1)}
            place = (-30, -12) if bounded else (-6, -60)
            name = ax.annotate(words, (x, y), place, textcoords="offset points", arrowprops=line)
            name.set(ha="right", va="top", fontsize="x-small")


def plot_rate_resolutions(
    figure: Figure, points: pd.DataFrame, bands: Mapping[str, tuple[float, float]], source: str
) -> list[RateArtists]:
    """A row a quantity: left its 68% half-width, right its largest residual, against bytes per jet; each column has a
    legend.

    `bands` are the lowest and highest resolution of a detector by quantity, and `source` says where they come from.
    """
    axes = figure.subplots(len(bands), 2, sharex=True)
    drawn = []
    for number, (row, (quantity, band)) in enumerate(zip(axes, bands.items(), strict=True), 1):
        for ax, statistic in zip(row, ("half_width_68", "max"), strict=True):
            drawn.append(plot_rate_resolution(ax, points, quantity, statistic, band))
            if number < len(bands):
                ax.set_xlabel("")
    for ax in axes[0]:
        ax.plot([], [], "o", color="0.3", markerfacecolor="white", label="float16 latents (see below)")
        legend_above(ax, 3, "x-small")
    words = (
        f"Bands: {source}. Hollow points at 6 bytes: latents as float16, whose steps grow with the latent, while the "
        "integers of the curves have equal steps: so they are no point of the curve, worse where a latent is large."
    )
    wrapped = textwrap.fill(words, int(15 * figure.get_figwidth()))
    figure.supxlabel(wrapped, fontsize="small", x=0.01, ha="left")
    return drawn


def plot_rate_resolution(
    ax: Axes, points: pd.DataFrame, quantity: str, statistic: str, band: tuple[float, float] | None = None
) -> RateArtists:
    """The "half_width_68", "q99" or "max" of a quantity's residuals against bytes per jet of each method.

    `band` is the lowest and highest resolution of the detector, drawn behind.
    """
    name = {"half_width_68": "68% half-width", "q99": "99% of |residual|", "max": "largest |residual|"}[statistic]
    shaded = None
    if band is not None:
        shaded = ax.axhspan(*band, color="0.88", zorder=0, label="resolution of a detector")
    curves, _ = _rate_curves(ax, points, f"{quantity}_{statistic}")
    unit = RESIDUAL_UNITS[quantity]
    label = f"{SYMBOLS[quantity]}: {name}" + (f" [{unit}]" if unit else "")
    ax.set(xlabel=SIZE, ylabel=label, xlim=(0, LARGEST), yscale="log")
    return RateArtists(curves, [], shaded)


def _rate_curves(ax: Axes, points: pd.DataFrame, column: str) -> tuple[list[Line2D], list[Line2D]]:
    """A curve for each method with an error, and the lines at whose ends their names belong.

    A method's latents as float16 are a hollow point of their own, and a dotted line leads to those as float32, which
    lie beyond the axis.
    """
    lossy = points[(points["mse"] > 0) & ~points["named"]]
    curves: list[Line2D] = []
    ends: list[Line2D] = []
    for name, group in lossy.groupby("method", sort=False):
        shown = group[group[column] > 0].sort_values("bytes_per_jet")
        floats = shown["setting"].str.startswith("float")
        color, line = _style(str(name))
        steps = shown[~floats]
        width = 2.2 if name == "bounded" else 1.3
        x, y = steps["bytes_per_jet"], steps[column]
        marker = CODEC_MARKERS.get(str(name), ".")
        size = 5 if marker == "." else 3.5
        curves += ax.plot(x, y, line, marker=marker, markersize=size, color=color, linewidth=width, label=str(name))
        half = shown[shown["setting"] == "float16 latents"]
        ax.plot(half["bytes_per_jet"], half[column], "o", markersize=4, color=color, markerfacecolor="white")
        end = pd.concat([steps.tail(1), shown[shown["setting"] == "float32 latents"]])
        if len(end) == 2:
            (tail,) = ax.plot(end["bytes_per_jet"], end[column], ":", color=color, linewidth=1)
            tail.set_gid(str(name))
        ends.append(tail if len(end) == 2 else curves[-1])
    return curves, ends


def _style(method: str) -> tuple[str, str]:
    """Colour and line of a method by its name, such as "tanh, no norm."."""
    label, _, normalization = method.partition(", ")
    variants = {label: name for name, label in VARIANT_LABELS.items()}
    color = CODEC_COLORS.get(method) or MODEL_COLORS.get(variants.get(label, ""), OTHER_COLOR)
    return color, {"no norm.": "--", "standard norm.": "-."}.get(normalization, "-")


def _label_ends(ax: Axes, lines: list[Line2D], gap: float = 0.042, lowest: float = 0.0) -> list[Annotation]:
    """Each curve's name right of the axes, at the height where it ends or leaves them, moved apart where they are
    closer than a `gap`; a thin line leads there. Those that end below `lowest` have none. Both are in units of the
    axes' height."""
    (left, right), (bottom, top) = ax.get_xlim(), np.log(ax.get_ylim())
    ends = []
    for line in lines:
        data = np.asarray(line.get_xydata(), dtype=float)
        x, y = data[np.argsort(data[:, 0])].T
        fine = np.linspace(max(left, x[0]), min(right, x[-1]), 400)
        curve = np.interp(fine, x, np.log(y))
        inside = (curve > bottom) & (curve < top)
        if not inside.any():
            continue
        at, height = fine[inside][-1], curve[inside][-1]
        if (height - bottom) / (top - bottom) < lowest:
            continue
        ends.append((at, np.exp(height), (height - bottom) / (top - bottom), line))
    ends.sort(key=lambda end: (end[2] if end[2] > 0.02 else 0.0, -end[0]))  # at the bottom those further right first
    heights = spread_apart([height for *_, height, _ in ends], gap)
    heights += max(0.0, 0.01 - heights.min(initial=1.0))
    return [
        ax.annotate(
            line.get_gid() or str(line.get_label()),
            xy=(x, y),
            xytext=(1.03, height),
            textcoords="axes fraction",
            va="center",
            fontsize="small",
            color=line.get_color(),
            arrowprops=LEADER | {"color": line.get_color(), "relpos": (0, 0.5)},
        )
        for (x, y, _, line), height in zip(ends, heights, strict=True)
    ]


def spread_apart(heights: Sequence[float], gap: float) -> np.ndarray:
    """Rising numbers, moved as little as may be (least squares) until neighbours are a gap apart.

    >>> spread_apart([0.1, 0.5, 0.5], 0.2).round(3).tolist()
    [0.1, 0.4, 0.6]
    """
    steps = gap * np.arange(len(heights))
    return isotonic_regression(np.asarray(heights) - steps).x + steps
