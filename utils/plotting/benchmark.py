"""Time and memory: of each stage, against the jets in a call and their number."""

from collections.abc import Sequence
from typing import NamedTuple, TypedDict

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from matplotlib.lines import Line2D

from utils.plotting.style import Rows, legend_above, model_color, model_label, plain_log_ticks

WAYS = ("project", "original")
"""This project's way has full markers and lines, the original's hollow ones and dashes."""


def plot_stage_times(ax: Axes, rows: Rows, stages: Sequence[str]) -> list[ErrorbarContainer]:
    """Median time of each stage and model on one device as points with the 16-84% spread, on a logarithmic axis.

    `rows` as from `study.time_stages` and `study.time_cold_start`; hollow points stand for the original's way, where it
    was measured.
    """
    drawn = []
    models = list(dict.fromkeys(row["model"] for row in rows if row["model"] is not None))
    for model in models:
        for way in WAYS:
            chosen = [row for row in rows if (row["model"], row["way"]) == (model, way) and row["stage"] in stages]
            if not chosen:
                continue
            places = [_place(stages.index(row["stage"]), model, models, way) for row in chosen]
            middle, low, high = (
                1e3 * np.array([row[key] for row in chosen]) for key in ("median_s", "low_s", "high_s")
            )
            spread = np.abs([middle - low, high - middle])
            drawn.append(ax.errorbar(places, middle, spread, fmt="o", capsize=3, **_marker(model, way)))
    _label_stages(ax, stages, "time [ms], median and central 68%")
    return drawn


def _place(stage: int, model: str, models: list[str], way: str) -> float:
    """Where on the axis a point of a stage lies: the models side by side, the two ways of one beside each other."""
    return stage + 0.22 * (models.index(model) - (len(models) - 1) / 2) + 0.07 * (WAYS.index(way) - 0.5)


class MarkerStyle(TypedDict):
    """How a model's points look: full in this project's way, hollow in the original's."""

    color: str
    markerfacecolor: str
    label: str


def _marker(model: str, way: str) -> MarkerStyle:
    color = model_color(model)
    label = model_label(model) + ("" if way == "project" else ", original's way")
    return {"color": color, "markerfacecolor": color if way == "project" else "white", "label": label}


def _label_stages(ax: Axes, stages: Sequence[str], label: str) -> None:
    ax.set_xticks(range(len(stages)), [stage.replace(" ", "\n") for stage in stages])
    for edge in range(1, len(stages)):
        ax.axvline(edge - 0.5, color="0.9", linewidth=1, zorder=0)
    ax.set(ylabel=label, yscale="log", xlim=(-0.5, len(stages) - 0.5))
    ax.yaxis.set_major_formatter("{x:g}")
    ax.grid(axis="y", color="0.92")
    ax.set_axisbelow(True)
    legend_above(ax, 3)


def plot_batches(ax: Axes, rows: Rows) -> list[Line2D]:
    """Jets per second, there and back, against the jets in a call; rows of `study.time_batches`."""
    drawn = _plot_rows(ax, rows, "jets_per_s")
    ax.set(xlabel="jets in a call", ylabel="jets per second, encoded and decoded", xscale="log", yscale="log")
    legend_above(ax, 3)
    return drawn


def plot_scaling(ax: Axes, rows: Rows) -> list[Line2D]:
    """Time a jet, there and back, against the number of jets; rows of `study.time_scaling`."""
    drawn = _plot_rows(
        ax, [dict(row) | {"us_per_jet": 1e6 * row["median_s"] / row["jets"]} for row in rows], "us_per_jet"
    )
    ax.set(xlabel="number of jets", ylabel="time to encode and decode a jet [µs]", xscale="log")
    ax.set_ylim(0, 1.15 * max(1e6 * row["median_s"] / row["jets"] for row in rows))
    if max(row["jets"] for row in rows) < 100 * min(row["jets"] for row in rows):
        plain_log_ticks(ax)
    legend_above(ax, 3)
    return drawn


def _plot_rows(ax: Axes, rows: Rows, quantity: str, linestyle: str | None = None) -> list[Line2D]:
    """A line for each model, way and device, against the column `jets`; dashed, if nothing is said, where original."""
    drawn = []
    frame = pd.DataFrame(list(rows))
    if "way" not in frame:
        frame["way"] = "project"
    several = frame["device"].nunique() > 1
    for (model, way, device), part in frame.groupby(["model", "way", "device"], sort=False):
        style = _marker(str(model), str(way))
        if several:
            style["label"] += f", {device}"
        line = ("-" if way == "project" else "--") if linestyle is None else linestyle
        marker = "o" if device == "cpu" else "^"
        drawn += ax.plot(part["jets"], part[quantity], marker=marker, markersize=4, linestyle=line, **style)
    return drawn


class MemoryArtists(NamedTuple):
    """What `plot_memory` drew: points of each model and way, and the markers of what must exist."""

    points: list[Line2D]
    floor: list[Line2D]


def plot_memory(ax: Axes, rows: Rows) -> MemoryArtists:
    """Peak resident memory of each stage in a fresh process above its start, beside what comes out of it.

    Rows of `study.trace_memory` on one device; hollow points stand for the original's way.
    """
    frame = pd.DataFrame(list(rows))
    stages, models = (list(dict.fromkeys(frame[key])) for key in ("stage", "model"))
    points: list[Line2D] = []
    floor: list[Line2D] = []
    ax.plot([], [], "_", color="black", markersize=9, label="must come out (output, or weights)")
    for model in models:
        for way in WAYS:
            part = frame[(frame["model"] == model) & (frame["way"] == way)]
            places = [_place(stages.index(stage), model, models, way) for stage in part["stage"]]
            style = _marker(model, way)
            points += ax.plot(places, part["resident"] / 1e6, "o", markersize=6, **style)
            floor += ax.plot(places, part["floor"] / 1e6, "_", color="black", markersize=9)
    _label_stages(ax, stages, "peak resident memory above that before the call [MB]")
    return MemoryArtists(points, floor)
