"""What all figures share: colours, labels, ranges, histograms with overflow, saving."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import StepPatch

from utils.files import recorded_path
from utils.jets import UNITS
from utils.metrics import RESIDUAL_UNITS
from utils.networks import VARIANT_LABELS

SYMBOLS = {"m": r"$m$", "pt": r"$p_{\mathrm{T}}$", "phi": r"$\phi$", "eta": r"$\eta$"}

INPUT_COLOR, OUTPUT_COLOR = "tab:blue", "tab:orange"

FALLING = ("m", "pt")
"""Quantities whose spectrum falls over orders of magnitude: logarithmic counts."""


Row = Mapping[str, Any]
"""A row of a measurement, as `study` gives it or a JSON file gives it back."""

Rows = Sequence[Row]


class FillStyle(TypedDict, total=False):
    """How a histogram is drawn: filled without an edge, or as a line."""

    fill: bool
    alpha: float
    linewidth: float


class SeriesStyle(TypedDict):
    """Colour and label of a model's bars or line."""

    color: str
    label: str


def save_figure(figure: Figure, path: str | Path) -> Path:
    """Write a figure as PNG at 150 dpi by `files.recorded_path`, whole or not at all; returns the path."""
    path = Path(path)
    with recorded_path(path) as partial:
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


def value_range(values: np.ndarray, quantity: str) -> tuple[float, float]:
    """The range of an axis: all angles, and all but the upper 0.2% of a falling spectrum."""
    values = np.asarray(values, dtype=np.float64)
    high = np.quantile(values, 0.998) if quantity in FALLING else values.max()
    return float(values.min()), float(max(high, values.min() + 1e-6))


def counts(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Values per bin; the first and the last bin also hold what lies beyond the edges."""
    return np.histogram(np.clip(np.asarray(values, dtype=np.float64), edges[0], edges[-1]), edges)[0]


def draw_histogram(
    ax: Axes, values: np.ndarray, edges: np.ndarray, color: str, fill: bool = False, label: str | None = None
) -> StepPatch:
    """A histogram of `counts`, filled or as a line."""
    return ax.stairs(counts(values, edges), edges, color=color, label=label, **fill_style(fill))


def fill_style(fill: bool) -> FillStyle:
    """A pale area, or a line."""
    return {"fill": True, "alpha": 0.35, "linewidth": 0} if fill else {"linewidth": 1.5}


def write_outside(ax: Axes, values: np.ndarray, edges: np.ndarray, what: str = "") -> None:
    """Above the axes, the share of `values` below the first and above the last edge, where there are any."""
    below, above = np.mean(values < edges[0]), np.mean(values > edges[-1])
    if below > 0:
        ax.set_title(f"\u2190 {what}{100 * below:.2g}% below", loc="left", fontsize="small")
    if above > 0:
        ax.set_title(f"{what}{100 * above:.2g}% above \u2192", loc="right", fontsize="small")


def series(model: str, way: str, index: int) -> SeriesStyle:
    """Colour and label of a model's bars or line; `index` counts the models."""
    colors = {"tanh": "tab:blue", "leaky_relu_bn": "tab:orange", "elu_bn": "tab:green", "residual_gelu": "tab:red"}
    suffix = "" if way == "project" else ", original's way"
    return {"color": colors.get(model, f"C{index + 3}"), "label": VARIANT_LABELS.get(model, model) + suffix}
