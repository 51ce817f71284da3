"""Trainings: losses, learning rates, activations, comparisons over seeds and samples."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
import seaborn
from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from matplotlib.lines import Line2D

from utils.networks import schedule_label
from utils.plotting.style import INPUT_COLOR, OUTPUT_COLOR, Row, Rows, series

if TYPE_CHECKING:
    from utils.training import LearningRateScan


class LossArtists(NamedTuple):
    """What `plot_losses` drew."""

    train: Line2D
    valid: Line2D
    best: Line2D


def plot_losses(ax: Axes, losses: pd.DataFrame, best_epoch: int) -> LossArtists:
    """Training and validation loss per epoch (columns epoch, train, valid), with the epoch whose weights are kept."""
    (train,) = ax.plot(losses["epoch"] + 1, losses["train"], color=INPUT_COLOR, label="training (mean over the epoch)")
    (valid,) = ax.plot(losses["epoch"] + 1, losses["valid"], color=OUTPUT_COLOR, label="validation")
    best = ax.axvline(best_epoch + 1, color="0.5", linestyle=":", label=f"weights kept: epoch {best_epoch + 1}")
    ax.set(xlabel="epoch", ylabel="mean squared error (training space)", yscale="log")
    ax.legend(frameon=False, loc="upper right", bbox_to_anchor=(0.97, 1.0))
    return LossArtists(train, valid, best)


class LearningRateArtists(NamedTuple):
    """What `plot_learning_rate` drew."""

    losses: Line2D
    valley: Line2D
    used: Line2D


def plot_learning_rate(ax: Axes, scan: "LearningRateScan", used: float) -> LearningRateArtists:
    """Loss against learning rate from the finder, with fastai's `valley` suggestion and the rate that is used."""
    (losses,) = ax.plot(scan.learning_rates, scan.losses, color=INPUT_COLOR)
    valley = ax.axvline(scan.valley, color="0.3", linestyle="--", label=f"suggestion (valley): {scan.valley:.1e}")
    line = ax.axvline(used, color=OUTPUT_COLOR, label=f"peak rate used: {used:.0e}")
    ax.set(xlabel="learning rate", ylabel="training loss (smoothed)", xscale="log", yscale="log")
    ax.legend(frameon=False, loc="lower left")
    return LearningRateArtists(losses, valley, line)


def plot_activations(axes: np.ndarray, activations: pd.DataFrame) -> list[list[Line2D]]:
    """Mean and standard deviation of each layer's activations against the training step, into two axes."""
    layers = sorted(activations["layer"].unique())
    colors = seaborn.color_palette("viridis", len(layers))
    drawn = []
    for ax, name in zip(axes.flat, ("mean", "std"), strict=True):
        lines = []
        for layer, color in zip(layers, colors, strict=True):
            rows = activations[activations["layer"] == layer]
            lines += ax.plot(rows["step"], rows[name], color=color, linewidth=1, label=str(layer + 1))
        label = {"mean": "mean of the activations", "std": "standard deviation of the activations"}[name]
        ax.set(xlabel="training step", ylabel=label)
        drawn.append(lines)
    axes.flat[-1].legend(title="layer", frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return drawn


def plot_transfer(ax: Axes, mse: pd.Series) -> Axes:
    """Mean squared errors, indexed by the samples tested and trained on, as a heat map: a row per training sample.

    The colours span a factor of ten at the least.
    """
    names = list(dict.fromkeys(mse.index.get_level_values(0)))
    matrix = mse.unstack(0).loc[names, names]
    low, high = np.log10(matrix.to_numpy().min()), np.log10(matrix.to_numpy().max())
    seaborn.heatmap(
        np.log10(matrix),
        ax=ax,
        vmin=low,
        vmax=max(high, low + 1),
        annot=matrix.map(lambda value: f"{value:.2e}").to_numpy(),
        fmt="",
        cmap="viridis_r",
        square=True,
        cbar_kws={"label": "log10 of the mean squared error"},
    )
    ax.set(xlabel="tested on", ylabel="trained on")
    return ax


class ComparisonArtists(NamedTuple):
    """What `plot_comparison` drew: means with their spread, plain and refined, and the line of the baseline."""

    plain: list[ErrorbarContainer]
    refined: list[ErrorbarContainer]
    baseline: Line2D


def plot_comparison(ax: Axes, rows: Rows, others: Mapping[str, float] | None = None) -> ComparisonArtists:
    """Test MSE over that of rank-3 PCA of each variant and schedule: every seed as a dot, mean and deviation beside it.

    Rows of one size of sample; with `refined`, a second column of hollow markers. `others` are further models by name,
    with their ratio.
    """
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["variant"], row["schedule"], row["loss"]), []).append(row)
    several = len({loss for *_, loss in groups}) > 1
    plain: list[ErrorbarContainer] = []
    refined: list[ErrorbarContainer] = []
    labels = []
    for x, ((variant, schedule, loss), group) in enumerate(groups.items()):
        color = series(variant, "project", x)["color"]
        label = schedule_label(variant, schedule).replace(", ", "\n")
        labels.append(f"{label}\n({loss})" if several else label)
        encoded = [row["mse"] / row["pca_mse"] for row in group]
        improved = [row["refined"]["mse"] / row["pca_mse"] for row in group if row.get("refined") is not None]
        for drawn, ratios, shift, face in ((plain, encoded, -0.12, color), (refined, improved, 0.12, "white")):
            if len(ratios) < len(group):
                continue
            ax.plot([x + shift + 0.09] * len(ratios), ratios, "o", color=color, markersize=3, alpha=0.6)
            deviation = np.std(ratios, ddof=1) if len(ratios) > 1 else None
            drawn.append(
                ax.errorbar(
                    x + shift, np.mean(ratios), deviation, fmt="o", color=color, markerfacecolor=face, capsize=3
                )
            )
    for x, (name, ratio) in enumerate((others or {}).items(), len(groups)):
        ax.plot(x, ratio, "k*", markersize=9)
        labels.append(name)
    baseline = ax.axhline(1, color="0.5", linestyle="--", label="rank-3 PCA")
    ax.plot([], [], "o", color="0.3", label="encoder alone")
    if refined:
        ax.plot([], [], "o", color="0.3", markerfacecolor="white", label="latents refined")
    ax.set(ylabel="test MSE / MSE of rank-3 PCA", ylim=(0, None), xlim=(-0.5, len(labels) - 0.5))
    ax.set_xticks(range(len(labels)), labels)
    ax.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=3)
    return ComparisonArtists(plain, refined, baseline)


def plot_training_time(ax: Axes, rows: Rows) -> list[Line2D]:
    """Validation loss against the CPU time of the training so far, a line for each seed, the end of each marked."""
    variants = list(dict.fromkeys(row["variant"] for row in rows))
    drawn: list[Line2D] = []
    for row in rows:
        style = series(row["variant"], "project", variants.index(row["variant"]))
        if any(line.get_label() == style["label"] for line in drawn):
            style["label"] = "_another seed"
        epochs = np.asarray(row["curve"]["epoch"]) + 1
        seconds = row["training_cpu_seconds"] * epochs / epochs[-1]
        drawn += ax.plot(seconds, row["curve"]["valid"], linewidth=1, **style)
        ax.plot(seconds[-1], row["curve"]["valid"][-1], "o", markersize=4, color=style["color"])
    ax.set(xlabel="CPU time [s]", ylabel="validation loss", yscale="log", xlim=(0, None))
    ax.legend(frameon=False)
    return drawn


def plot_sample_size(ax: Axes, rows: Rows) -> list[ErrorbarContainer]:
    """Test and training MSE against the number of training jets: mean and standard deviation over the seeds."""
    variants = list(dict.fromkeys(row["variant"] for row in rows))
    drawn: list[ErrorbarContainer] = []
    columns = ("variant", "training_jets", "mse", "train_mse")
    frame = pd.DataFrame([{name: row[name] for name in columns} for row in rows])
    frame["size"] = [row["max_jets"] or np.inf for row in rows]  # seeds of one size differ by an event or so
    for variant, part in frame.groupby("variant", sort=False):
        style = series(str(variant), "project", variants.index(variant))
        grouped = part.drop(columns="variant").groupby("size").agg(["mean", "std"]).fillna(0)
        for column, line, suffix in (("mse", "-", "test"), ("train_mse", ":", "training")):
            label = f"{style['label']}, {suffix}"
            mean, deviation = grouped[column]["mean"], grouped[column]["std"]
            drawn.append(
                ax.errorbar(
                    grouped["training_jets"]["mean"],
                    mean,
                    deviation,
                    fmt="o" + line,
                    color=style["color"],
                    capsize=3,
                    markersize=4,
                    label=label,
                )
            )
    ax.set(xlabel="training jets", ylabel="mean squared error, custom-normalized", xscale="log", yscale="log")
    ax.legend(frameon=False)
    return drawn
