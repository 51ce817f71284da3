"""Figures in notebooks: written to a file, and shown where they were made."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from IPython.display import Image, display
from matplotlib.figure import Figure

from utils.jets import Sample
from utils.networks import VARIANT_LABELS
from utils.plotting.correlations import plot_corner
from utils.plotting.errors import plot_overlays, plot_residuals
from utils.plotting.style import figure_title, save_figure
from utils.plotting.training import pca_loss, plot_activations, plot_learning_rate, plot_losses, plot_summary

if TYPE_CHECKING:
    from utils.training import LearningRateScan, TrainingResult


def show_figure(figure: Figure, path: str | Path, title: str = "") -> None:
    """`save_figure`, and the picture that was written shown below the cell at half its pixels.

    What a reader sees is the file, whichever backend matplotlib has: batch systems set MPLBACKEND=Agg, of which a
    notebook shows nothing.
    """
    written = save_figure(figure, path, title)
    words = written.stem.replace("_", " ") + (f": {title}" if title else "")
    display(Image(filename=written, retina=True, alt=words.replace(r"$\sqrt{s}$", "sqrt(s)")))


def show_training(
    folder: Path,
    result: "TrainingResult",
    scan: "LearningRateScan",
    true: np.ndarray,
    reconstructed: np.ndarray,
    model: str,
    space: str,
    sample: Sample,
    suffix: str = "",
) -> None:
    """Show a training and what came of it in one figure (`plot_summary`), and write it and its parts to a folder.

    The parts are `SINGLE_FIGURES`. `model` is a variant, `space` the normalization in which its errors are squared,
    perhaps with their unit in brackets, which titles leave out, and `suffix` ends the names of the files.
    """
    words = f"{VARIANT_LABELS[model]}, {space.partition(' (')[0]}"
    title, pca = figure_title(sample, words), pca_loss(result)
    figure = Figure(figsize=(14, 8.5), layout="constrained")
    plot_summary(figure, result.losses, result.best_epoch, true, reconstructed, model, space, pca)
    show_figure(figure, folder / f"summary{suffix}.png", title)
    figures = {name: Figure(figsize=size, layout="constrained") for name, size in SINGLE_FIGURES.items()}
    figures["corner"] = Figure(figsize=SINGLE_FIGURES["corner"])  # which has a layout of its own
    plot_learning_rate(figures["learning_rate"].subplots(), scan, result.training.learning_rates[0])
    plot_losses(figures["losses"].subplots(), result.losses, result.best_epoch, space, pca)
    plot_activations(figures["activations"].subplots(1, 2), result.activations)
    plot_overlays(figures["overlay"], true, reconstructed, model)
    plot_residuals(figures["residuals"].subplots(2, 2), true, reconstructed, model)
    plot_corner(figures["corner"], true, reconstructed)
    for name, single in figures.items():
        shown = title if name in ("overlay", "residuals", "corner") else figure_title(sample, words, part="")
        save_figure(single, folder / f"{name}{suffix}.png", shown)


SINGLE_FIGURES = {
    "learning_rate": (7, 4.5),
    "losses": (7, 4.5),
    "activations": (11, 4),
    "overlay": (11, 9),
    "residuals": (11, 8),
    "corner": (9, 9),
}
"""The single figures of a training, and their sizes in inches."""
