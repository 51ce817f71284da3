"""What all figures share: colours, labels, bins, histograms whose overflow is written at the edge, titles, saving."""

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import StepPatch
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, NullLocator

from utils.files import Json, recorded_path
from utils.jets import UNITS, Sample
from utils.metrics import RESIDUAL_UNITS
from utils.networks import VARIANT_LABELS

SYMBOLS = {"m": r"$m$", "pt": r"$p_{\mathrm{T}}$", "phi": r"$\phi$", "eta": r"$\eta$"}

MODEL_COLORS = {
    "linear": "#E69F00",
    "tanh": "#0072B2",
    "leaky_relu_bn": "#D55E00",
    "elu_bn": "#009E73",
    "residual_gelu": "#CC79A7",
    "pca": "0.35",
}
"""A variant has one colour in every figure: those of Okabe and Ito, which the colour-blind tell apart."""

OTHER_COLOR = "#56B4E9"
"""Of models that are no variant of the study."""

INPUT_COLOR = "0.72"
"""Jets as they came are grey; what comes out has the colour of its model."""

FALLING = ("m", "pt")
"""Quantities whose spectrum falls over orders of magnitude: logarithmic counts."""


Row = Mapping[str, Any]
"""A row of a measurement, as `study` gives it or a JSON file gives it back."""

Rows = Sequence[Row]


class FillStyle(TypedDict, total=False):
    """How a histogram is drawn: filled without an edge, or as a line."""

    fill: bool
    linewidth: float


def model_color(model: str | None) -> str:
    """The colour of a variant, or of whatever else."""
    return MODEL_COLORS.get(str(model), OTHER_COLOR)


def model_label(model: str | None, otherwise: str = "output") -> str:
    """What a legend calls the output of a variant."""
    return otherwise if model is None else VARIANT_LABELS.get(model, model)


ORIGINS = {
    "embedded": r"Simulated QCD jets (Pythia 8), $\sqrt{s}$ = 13 TeV",
    "embedded columns": r"Simulated QCD jets with columns (Pythia 8), $\sqrt{s}$ = 13.6 TeV",
    "published": r"Jets of the published study, $\sqrt{s}$ = 13 TeV",
}
"""What a title says of a sample; of another one it says the name of its file."""


def figure_title(sample: Sample | Json, model: str = "", part: str = "test") -> str:
    """The line above a figure: the sample, the energy of its collisions, how many jets of which part, and the model.

    `sample` or its `source`; `part` is "train", "valid" or "test", or "" for no number.
    """
    source = sample.source if isinstance(sample, Sample) else sample
    dataset = source["dataset"]
    if isinstance(dataset, dict):
        dataset = dataset["path"]
    names = [str(dataset)] if isinstance(dataset, str | Path) else [str(name) for name in dataset]
    plain = ", ".join(Path(name).name for name in names[:3]) + (", ..." if len(names) > 3 else "")
    words = [ORIGINS.get(plain, "Jets of " + plain.replace("$", r"\$")), source.get("selection", "")]
    if part:
        kind = {"train": "training", "valid": "validation", "test": "test"}[part]
        words.append(f"{source['jets'][part]:,} {kind} jets")
    return " | ".join(text for text in (", ".join(word for word in words if word), model) if text)


DPI = 150
"""Pixels an inch of what is written."""


def save_figure(figure: Figure, path: str | Path, title: str = "") -> Path:
    """Write a figure as PNG at `DPI` by `files.recorded_path`, whole or not at all; returns the path.

    The `title` (`figure_title`) stands small above it, on the left.
    """
    path = Path(path)
    if title:
        lines = "\n".join(textwrap.wrap(title, int(15 * figure.get_figwidth())))
        if figure.get_layout_engine() is None:
            figure.text(0.02, 1.0, lines, ha="left", va="bottom", fontsize="small", color="0.25")
        else:
            figure.suptitle(lines, x=0.01, ha="left", fontsize="small", color="0.25")
    box: str | None = "tight"
    if engine := figure.get_layout_engine():
        figure.set_dpi(DPI)
        engine.execute(figure)  # by itself, where savefig would draw everything once more for it
        figure.set_layout_engine(None)
        box = None  # a layout leaves no margins to cut
    with recorded_path(path) as partial:
        figure.savefig(partial, dpi=DPI, bbox_inches=box, format="png")
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


def round_edges(low: float, high: float, bins: int) -> np.ndarray:
    """Edges of at most so many equal bins that cover a range, whose width is a round number."""
    locator = MaxNLocator(bins, steps=[1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10], min_n_ticks=2)
    return np.asarray(locator.tick_values(low, high))


def spectrum_edges(values: np.ndarray, quantity: str, bins: int = 42) -> np.ndarray:
    """Edges of equal bins over `value_range`, whose width is a round number.

    Angles fill the circle with whole bins. A spectrum that falls begins with its lowest value, rounded down, and that
    of m at 0, where a massless jet whose mass is some keV below it has its place in the first bin.
    """
    low, high = value_range(values, quantity)
    if quantity == "phi":
        return np.linspace(low, high, bins // 10 * 8 + 1)
    edges = round_edges(low, high, bins)
    if quantity in FALLING and high > low + 1e-5:
        start = 0.0 if -0.01 < low < 0.01 else float(np.floor(low * 10) / 10)
        width = edges[1] - edges[0]
        edges = start + width * np.arange(np.ceil((high - start) / width) + 1)
        edges[0] = min(start, low)
    return edges


def counts_label(edges: np.ndarray, unit: str, quantity: str = "", what: str = "jets") -> str:
    """What a histogram counts, and the width of its bins: "jets / 1.5 GeV"; of the quantity where bins grow with it."""
    widths = np.diff(edges)
    if widths[-1] > 1.01 * widths[0]:
        return f"{what} / {100 * (edges[1] / edges[0] - 1):.2g}% of {SYMBOLS[quantity]}"
    width, _, exponent = f"{widths[-1]:.2g}".partition("e")
    power = rf"$\times 10^{{{int(exponent)}}}$" if exponent else ""
    return f"{what} / {width}{power}" + ("%" if unit == "%" else f" {unit}" if unit and unit != "relative" else "")


def counts(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Values per bin; what lies beyond the edges is in none (`write_outside` says how much that is)."""
    return np.histogram(np.asarray(values, dtype=np.float64), edges)[0]


def draw_histogram(
    ax: Axes, values: np.ndarray, edges: np.ndarray, color: str, fill: bool = False, label: str | None = None
) -> StepPatch:
    """A histogram of `counts`, filled or as a line, over the whole axis."""
    ax.set_xlim(edges[0], edges[-1])
    return ax.stairs(counts(values, edges), edges, color=color, label=label, **fill_style(fill))


def fill_style(fill: bool) -> FillStyle:
    """An area, or a line."""
    return {"fill": True, "linewidth": 0} if fill else {"linewidth": 1.5}


def write_outside(ax: Axes, values: np.ndarray | Sequence[np.ndarray], edges: np.ndarray, what: str = "") -> None:
    """Above the axes, the share of `values` below the first and above the last edge, where there are any.

    Of several histograms in one axes, in the order of the legend, each has a share of its own: "0.1 / 0 / 2.3% above".
    """
    several = [values] if isinstance(values, np.ndarray) else values
    below = [100 * float(np.mean(one < edges[0])) for one in several]
    above = [100 * float(np.mean(one > edges[-1])) for one in several]
    if any(share > 0 for share in below):  # none of no values, whose mean is NaN
        ax.set_title(f"\u2190 {what}{_shares(below)}% below", loc="left", fontsize="small")
    if any(share > 0 for share in above):
        ax.set_title(f"{what}{_shares(above)}% above \u2192", loc="right", fontsize="small")


def _shares(shares: Sequence[float]) -> str:
    return " / ".join(f"{share:.2g}" for share in shares)


def plain_log_ticks(ax: Axes, which: str = "x") -> None:
    """Ticks at 1, 2 and 5 of each decade of a logarithmic axis, as plain numbers."""
    axis = ax.xaxis if which == "x" else ax.yaxis
    axis.set_major_locator(LogLocator(10, subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_locator(NullLocator())
    axis.set_minor_formatter(NullFormatter())


def legend_above(ax: Axes, columns: int, fontsize: str = "small") -> None:
    """The legend above the axes, where it hides nothing."""
    ax.legend(
        frameon=False,
        loc="lower left",
        bbox_to_anchor=(0, 1),
        ncols=columns,
        fontsize=fontsize,
        borderaxespad=0.2,
        handlelength=1.6,
        columnspacing=1.0,
    )
