"""Trainings from several seeds: comparisons of variants, error against time and against the size of the sample."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from matplotlib.lines import Line2D

from utils.networks import schedule_label
from utils.plotting.style import MODEL_COLORS, Row, Rows, legend_above, model_color, model_label, plain_log_ticks


class ComparisonArtists(NamedTuple):
    """What `plot_comparison` drew: means with their spread, plain and refined, and the line of the baseline."""

    plain: list[ErrorbarContainer]
    refined: list[ErrorbarContainer]
    baseline: Line2D


def plot_comparison(ax: Axes, rows: Rows, others: Mapping[str, float] | None = None) -> ComparisonArtists:
    """Test MSE over that of rank-3 PCA of each variant and schedule: every seed as a dot, mean and deviation beside it.

    Rows of one size of sample; with `refined`, a second column of hollow markers. `others` are models of the
    published study by name, with their ratio.
    """
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["variant"], row["schedule"], row["loss"]), []).append(row)
    several, seeds = len({loss for *_, loss in groups}) > 1, max(map(len, groups.values()), default=0)
    plain: list[ErrorbarContainer] = []
    refined: list[ErrorbarContainer] = []
    labels = []
    for x, ((variant, schedule, loss), group) in enumerate(groups.items()):
        color = model_color(variant)
        parts = schedule_label(variant, schedule).split(", ")
        label = "\n".join(line for part in parts for line in textwrap.wrap(part, 14))
        labels.append(f"{label}\n({loss})" if several else label)
        encoded = [row["mse"] / row["pca_mse"] for row in group]
        improved = [row["refined"]["mse"] / row["pca_mse"] for row in group if row.get("refined") is not None]
        for drawn, ratios, shift, face in ((plain, encoded, -0.12, color), (refined, improved, 0.12, "white")):
            if len(ratios) < len(group):
                continue
            if seeds > 1:
                ax.plot([x + shift + 0.09] * len(ratios), ratios, "o", color=color, markersize=3, alpha=0.6)
            drawn.append(_point(ax, x + shift, ratios, color, face))
    for x, (name, ratio) in enumerate((others or {}).items(), len(groups)):
        ax.plot(x, ratio, "k*", markersize=9)
        labels.append(name)
    baseline = ax.axhline(1, color=MODEL_COLORS["pca"], linestyle="--", label="rank-3 PCA")
    what = "mean and standard deviation" if seeds > 1 else "one seed"
    ax.plot([], [], "o", color="0.3", label=f"encoder alone: {what}")
    if refined:
        ax.plot([], [], "o", color="0.3", markerfacecolor="white", label="latents refined")
    if seeds > 1:
        ax.plot([], [], "o", color="0.3", markersize=3, alpha=0.6, label="one seed")
    if others:
        ax.plot([], [], "k*", markersize=9, label="weights of the published study")
    ax.set(ylabel="test MSE / MSE of rank-3 PCA", ylim=(0, None), xlim=(-0.5, len(labels) - 0.5))
    ax.set_xticks(range(len(labels)), labels, fontsize="small")
    legend_above(ax, 5)
    return ComparisonArtists(plain, refined, baseline)


def _point(ax: Axes, x: float, ratios: list[float], color: str, face: str) -> ErrorbarContainer:
    deviation = np.std(ratios, ddof=1) if len(ratios) > 1 else None
    return ax.errorbar(x, np.mean(ratios), deviation, fmt="o", color=color, markerfacecolor=face, capsize=3)


def plot_training_time(axes: Sequence[Axes], rows: Rows) -> list[Line2D]:
    """Validation error against the CPU time of the training so far, a line for each seed, the end of each marked: on
    the left from the beginning, on the right from half of the shortest training on, where the variants part.

    The time of a training is shared out among its epochs alike. The rows are of the custom normalization, in whose
    space the errors are squared.
    """
    whole, late = axes
    drawn: list[Line2D] = []
    curves: list[tuple[np.ndarray, np.ndarray]] = []
    for row in rows:
        color, label = model_color(row["variant"]), model_label(row["variant"])
        if any(line.get_label() == label for line in drawn):
            label = "_another seed"
        epochs = np.asarray(row["curve"]["epoch"]) + 1
        seconds, errors = row["training_cpu_seconds"] * epochs / epochs[-1], np.asarray(row["curve"]["valid"])
        drawn += whole.plot(seconds, errors, linewidth=1, color=color, label=label)
        late.plot(seconds, 1e4 * errors, linewidth=1, color=color)
        curves.append((seconds, errors))
        for ax, unit in ((whole, 1.0), (late, 1e4)):
            ax.plot(seconds[-1], unit * errors[-1], "o", markersize=4, color=color)
    whole.set(xlabel="CPU time [s]", ylabel="validation MSE, custom normalization", xscale="log", yscale="log")
    plain_log_ticks(whole)
    whole.plot([], [], "o", markersize=4, color="0.3", label="end of a seed")
    whole.legend(frameon=False, loc="upper right")
    start = min(seconds[-1] for seconds, _ in curves) / 2
    shown = 1e4 * np.concatenate([errors[seconds >= start] for seconds, errors in curves])
    late.set(xlabel="CPU time [s]", ylabel=r"validation MSE / $10^{-4}$, custom normalization")
    late.set(xlim=(start, 1.05 * max(seconds[-1] for seconds, _ in curves)))
    late.set(ylim=(0.9 * shown.min(), min(1.08 * shown.max(), 2 * max(1e4 * errors[-1] for _, errors in curves))))
    return drawn


def plot_sample_size(ax: Axes, rows: Rows) -> list[ErrorbarContainer]:
    """Test and training MSE against the number of training jets: mean, and standard deviation over several seeds.

    The rows are of the custom normalization, in whose space the errors are squared.
    """
    drawn: list[ErrorbarContainer] = []
    columns = ("variant", "training_jets", "mse", "train_mse")
    frame = pd.DataFrame([{name: row[name] for name in columns} for row in rows])
    frame["size"] = [row["max_jets"] or np.inf for row in rows]  # seeds of one size differ by an event or so
    for variant, part in frame.groupby("variant", sort=False):
        color = model_color(str(variant))
        grouped = part.drop(columns="variant").groupby("size").agg(["mean", "std", "count"])
        for column, line, face, suffix in (("mse", "-", color, "test"), ("train_mse", ":", "white", "training")):
            deviation = grouped[column]["std"] if grouped[column]["count"].min() > 1 else None
            drawn.append(
                ax.errorbar(
                    grouped["training_jets"]["mean"],
                    grouped[column]["mean"],
                    deviation,
                    fmt="o" + line,
                    color=color,
                    markerfacecolor=face,
                    capsize=3 if deviation is not None else 0,
                    markersize=5,
                    label=f"{model_label(str(variant))}, {suffix} jets",
                )
            )
    ax.set(xlabel="training jets", ylabel="mean squared error, custom normalization", xscale="log", yscale="log")
    plain_log_ticks(ax)
    ax.legend(frameon=False)
    return drawn
