"""Every figure of the study.

The functions draw into the axes or figure that they are given and return what they drew; they never save, and never
touch matplotlib's global state.
"""

from pathlib import Path

from matplotlib.figure import Figure

from utils.files import atomic_path


def save_figure(figure: Figure, path: str | Path) -> Path:
    """Write a figure as PNG at 150 dpi, whole or not at all; returns the path."""
    path = Path(path)
    with atomic_path(path) as partial:
        figure.savefig(partial, dpi=150, bbox_inches="tight", format="png")
    return path
