"""Figures in notebooks: written to a file, and shown where they were made."""

from pathlib import Path

from IPython.display import Image, display
from matplotlib.figure import Figure

from utils.plotting.style import save_figure


def show_figure(figure: Figure, path: str | Path) -> None:
    """`save_figure`, and the picture that was written shown below the cell at half its pixels.

    What a reader sees is the file, whichever backend matplotlib has: batch systems set MPLBACKEND=Agg, of which a
    notebook shows nothing.
    """
    display(Image(filename=save_figure(figure, path), retina=True))
