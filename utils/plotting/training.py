"""One training: losses, learning rates, activations; a model on other samples; all of it in one figure."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
import seaborn
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, NullFormatter

from utils.networks import PCABaseline
from utils.plotting.errors import OverlayArtists, ResidualArtists, plot_overlays, plot_residuals
from utils.plotting.style import MODEL_COLORS, plain_log_ticks
from utils.text import spread_sci

if TYPE_CHECKING:
    from utils.training import LearningRateScan, TrainingResult

TRAINING_COLOR, VALIDATION_COLOR = "0.6", "black"


class LossArtists(NamedTuple):
    """What `plot_losses` drew; `pca` is None where its loss was not given."""

    train: Line2D
    valid: Line2D
    best: Line2D
    pca: Line2D | None


def pca_loss(result: "TrainingResult") -> float:
    """The validation loss of rank-3 PCA, fitted to the same normalized training jets as the network."""
    train, valid = (loader.dataset.jets.cpu() for loader in result.learner.dls.loaders)
    return float((PCABaseline().fit(train.numpy())(valid) - valid).square().mean())


def plot_losses(
    ax: Axes, losses: pd.DataFrame, best_epoch: int, space: str = "training space", pca: float | None = None
) -> LossArtists:
    """Training and validation loss per epoch (columns epoch, train, valid), with the epoch whose weights are kept.

    Both axes are logarithmic: nearly all of the fall is in the first epochs. `space` is where the errors are squared,
    such as "custom normalization"; `pca` the validation loss of rank-3 PCA there (`pca_loss`).
    """
    epochs = losses["epoch"] + 1
    (train,) = ax.plot(epochs, losses["train"], color=TRAINING_COLOR, label="training (mean over the epoch)")
    (valid,) = ax.plot(epochs, losses["valid"], color=VALIDATION_COLOR, label="validation")
    best = ax.axvline(best_epoch + 1, color="0.4", linestyle=":", label=f"weights kept: epoch {best_epoch + 1}")
    line = None if pca is None else ax.axhline(pca, color=MODEL_COLORS["pca"], linestyle="--", label="rank-3 PCA")
    ax.set(xlabel="epoch", ylabel=f"mean squared error, {space}", xscale="log", yscale="log")
    ax.set_xlim(0.95, 1.1 * max(len(losses), 2))
    plain_log_ticks(ax)
    if len(losses) < 10:
        ax.set_xticks(epochs)
    highest = max(losses["train"].max(), losses["valid"].max())
    ax.set_ylim(top=3 * highest)
    ax.yaxis.set_minor_formatter(NullFormatter())
    low, high = ax.get_ylim()
    if high < 30 * low:  # hardly a power of ten among the ticks
        plain_log_ticks(ax, "y")
    low, at, high = np.log([0.95, best_epoch + 1, ax.get_xlim()[1]])
    place = (at - low) / (high - low)  # of the dotted line
    ax.legend(frameon=False, loc="upper right", bbox_to_anchor=(place if place > 0.6 else 1.0, 1.0), fontsize="small")
    return LossArtists(train, valid, best, line)


class LearningRateArtists(NamedTuple):
    """What `plot_learning_rate` drew."""

    losses: Line2D
    valley: Line2D
    used: Line2D


def plot_learning_rate(ax: Axes, scan: "LearningRateScan", used: float) -> LearningRateArtists:
    """Loss against learning rate from the finder, with fastai's `valley` suggestion and the rate that is used.

    The axis ends at three times the loss that the finder begins with: what diverges leaves it.
    """
    (losses,) = ax.plot(scan.learning_rates, scan.losses, color="black")
    valley = ax.axvline(scan.valley, color="0.5", linestyle="--", label=f"suggestion (valley): {scan.valley:.2g}")
    line = ax.axvline(used, color="0.25", linestyle=":", label=f"peak rate used: {used:.2g}")
    ax.set(xlabel="learning rate", ylabel="training loss (smoothed)", xscale="log", yscale="log")
    shown = scan.losses[np.isfinite(scan.losses)]
    low, high = 0.7 * shown.min(), min(1.2 * shown.max(), 3 * shown[0])
    ax.set_ylim(low, high)
    if high < 300 * low:
        plain_log_ticks(ax, "y")
    ax.legend(frameon=False, loc="lower left", fontsize="small")
    return LearningRateArtists(losses, valley, line)


def plot_activations(axes: np.ndarray, activations: pd.DataFrame) -> list[QuadMesh]:
    """Mean and standard deviation of each layer's activations, as two images: a row a layer, a column a training step.

    Blue means are below zero, red ones above; a dark standard deviation is a layer that varies little between jets. The
    colours span 98% of the values, so that single steps do not take the contrast from the others.
    """
    drawn = []
    for ax, name, colors in zip(axes.flat, ("mean", "std"), ("RdBu_r", "viridis"), strict=True):
        table = activations.pivot(index="layer", columns="step", values=name)
        values = table.to_numpy()
        reach = max(float(np.quantile(np.abs(values), 0.98)), 1e-9)
        steps = table.columns.to_numpy(dtype=float)
        width = steps[1] - steps[0] if len(steps) > 1 else 1.0
        edges = np.append(steps, steps[-1] + width)
        rows = np.arange(len(table) + 1) + 0.5
        low = -reach if name == "mean" else 0.0
        image = ax.pcolormesh(edges, rows, values, cmap=colors, vmin=low, vmax=reach, rasterized=True)
        label = {"mean": "mean of the activations", "std": "standard deviation of the activations"}[name]
        ax.figure.colorbar(image, ax=ax, label=label, extend="both" if name == "mean" else "max")
        ax.set(xlabel="training step", ylabel="layer")
        ax.invert_yaxis()
        ax.yaxis.set_major_locator(MaxNLocator(integer=True))
        drawn.append(image)
    return drawn


class SummaryArtists(NamedTuple):
    """What `plot_summary` drew."""

    losses: LossArtists
    overlays: list[OverlayArtists]
    residuals: list[ResidualArtists]


def plot_summary(
    figure: Figure,
    losses: pd.DataFrame,
    best_epoch: int,
    true: np.ndarray,
    reconstructed: np.ndarray,
    model: str | None = None,
    space: str = "training space",
    pca: float | None = None,
) -> SummaryArtists:
    """A training and what came of it: losses, the spectra of m and pt, and the four residuals.

    The arguments are those of `plot_losses`, `plot_overlays` and `plot_residuals`.
    """
    upper, lower = np.asarray(figure.subfigures(2, 1, height_ratios=[1, 0.8])).flat
    left, right = np.asarray(upper.subfigures(1, 2, width_ratios=[1, 2])).flat
    drawn = plot_losses(left.subplots(), losses, best_epoch, space, pca)
    overlays = plot_overlays(right, true, reconstructed, model, ("m", "pt"))
    return SummaryArtists(drawn, overlays, plot_residuals(lower.subplots(1, 4), true, reconstructed, model, "x-small"))


def plot_transfer(ax: Axes, mse: pd.Series) -> Axes:
    """Mean squared errors, indexed by the samples tested and trained on, as a heat map: a row per training sample.

    The colours span a factor of ten at the least.
    """
    names = list(dict.fromkeys(mse.index.get_level_values(0)))
    matrix = mse.unstack(0).loc[names, names]
    low, high = matrix.to_numpy().min(), matrix.to_numpy().max()
    seaborn.heatmap(
        matrix,
        ax=ax,
        norm=LogNorm(low, max(high, 10 * low)),
        annot=matrix.map(lambda value: spread_sci((value, None))).to_numpy(),
        fmt="",
        cmap="viridis_r",
        square=True,
        cbar_kws={"label": "mean squared error, custom normalization"},
    )
    ax.set(xlabel="tested on", ylabel="trained on")
    return ax
