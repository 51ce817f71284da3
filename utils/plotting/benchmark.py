"""Time and memory: of each stage, against the jets in a call and their number."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.container import BarContainer
from matplotlib.lines import Line2D

from utils.plotting.style import Rows, series


def plot_stage_times(ax: Axes, rows: Rows, stages: Sequence[str]) -> list[BarContainer]:
    """Median time of each stage and model on one device as bars with the 16-84% spread, on a logarithmic axis.

    `rows` as from `study.time_stages` and `study.time_cold_start`; pale bars stand for the original's way, where it was
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
                    **series(model, way, i),
                )
            )
    ax.set_xticks(range(len(stages)), [stage.replace(" ", "\n") for stage in stages])
    ax.set(ylabel="time [ms]", yscale="log")
    ax.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, fontsize="small")
    return drawn


def plot_batches(ax: Axes, rows: Rows) -> list[Line2D]:
    """Jets per second, there and back, against the jets in a call; rows of `study.time_batches`."""
    drawn = _plot_rows(ax, rows, "jets_per_s")
    ax.set(xlabel="jets in a call", ylabel="jets per second, encoded and decoded", xscale="log", yscale="log")
    ax.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, fontsize="small")
    return drawn


def plot_scaling(ax: Axes, rows: Rows) -> list[Line2D]:
    """Time there and back against the number of jets, with the line of a constant time per jet.

    Rows of `study.time_scaling`; the dotted line goes through the largest number of each model.
    """
    drawn = _plot_rows(ax, rows, "median_s", linestyle="")
    for line in drawn:
        x, y = (np.asarray(values, dtype=float) for values in line.get_data())
        ax.plot(x, y[-1] * x / x[-1], ":", color=line.get_color(), linewidth=1)
    ax.set(xlabel="number of jets", ylabel="time to encode and decode [s]", xscale="log", yscale="log")
    ax.legend(frameon=False, loc="upper left", fontsize="small")
    return drawn


def _plot_rows(ax: Axes, rows: Rows, quantity: str, linestyle: str | None = None) -> list[Line2D]:
    """A line for each model, way and device, against the column `jets`; dashed, if nothing is said, where original."""
    drawn = []
    frame = pd.DataFrame(list(rows))
    if "way" not in frame:
        frame["way"] = "project"
    several = frame["device"].nunique() > 1
    models = list(dict.fromkeys(frame["model"]))
    for (model, way, device), part in frame.groupby(["model", "way", "device"], sort=False):
        style = series(str(model), str(way), models.index(model))
        if several:
            style["label"] += f", {device}"
        line = ("-" if way == "project" else "--") if linestyle is None else linestyle
        marker = "o" if device == "cpu" else "^"
        drawn += ax.plot(part["jets"], part[quantity], marker=marker, markersize=4, linestyle=line, **style)
    return drawn


class MemoryArtists(NamedTuple):
    """What `plot_memory` drew: bars of each model and way, and the markers of what must exist."""

    bars: list[BarContainer]
    floor: list[Line2D]


def plot_memory(ax: Axes, rows: Rows) -> MemoryArtists:
    """Peak resident memory of each stage in a fresh process above its start, beside the input and output.

    Rows of `study.trace_memory` on one device; pale bars stand for the original's way.
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
            bars.append(ax.bar(places, part["resident"] / 1e6, width, alpha=alpha, **series(model, way, i)))
            name = "must exist (input and output, or weights)" if not floor else None
            floor += ax.plot(places, part["floor"] / 1e6, "_", color="black", markersize=9, label=name)
    ax.set_xticks(range(len(stages)), stages)
    ax.set(ylabel="peak resident memory above the start [MB]", yscale="log")
    ax.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, fontsize="small")
    return MemoryArtists(bars, floor)
