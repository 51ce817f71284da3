"""What branches cost, and how their errors fill their bounds."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import PowerNorm
from matplotlib.container import BarContainer

from utils.plotting.style import INPUT_COLOR, OTHER_COLOR, Rows


def plot_branch_bytes(ax: Axes, branches: Rows, limit: int = 25) -> tuple[BarContainer, BarContainer]:
    """The bytes of the costliest branches under LZMA, before and after a policy; `branches` of `trees.audit`."""
    costliest = sorted(branches, key=lambda branch: branch["lzma_bytes"])[-limit:]
    places = np.arange(len(costliest))
    before = ax.barh(places + 0.2, _kilobytes(costliest, "lzma_bytes"), 0.4, color=INPUT_COLOR, label="as stored")
    after = ax.barh(places - 0.2, _kilobytes(costliest, "lzma_bytes_after"), 0.4, color=OTHER_COLOR, label="policy")
    ax.set_yticks(places, [branch["name"] for branch in costliest], fontsize="small")
    ax.set(xlabel="size under LZMA-9 [kB]", ylim=(-0.6, len(costliest) - 0.4))
    ax.legend()
    return before, after


def _kilobytes(branches: Rows, column: str) -> list[float]:
    return [branch[column] / 1000 for branch in branches]


def plot_bound_residuals(ax: Axes, branches: Rows, limit: int = 25) -> QuadMesh:
    """The errors of the costliest bounded branches in units of their bounds, a row each, as shares of their values."""
    bounded = [branch for branch in branches if branch["residuals"] is not None and sum(branch["residuals"])]
    bounded = sorted(bounded, key=lambda branch: branch["lzma_bytes"])[-limit:]
    bins = len(bounded[0]["residuals"]) if bounded else 1
    counts = np.array([branch["residuals"] for branch in bounded], float).reshape(len(bounded), bins)
    shares = counts / counts.sum(axis=1, keepdims=True)
    edges = np.linspace(-1, 1, bins + 1)
    mesh = ax.pcolormesh(edges, np.arange(len(bounded) + 1) - 0.5, shares, norm=PowerNorm(0.5, vmin=0))
    ax.set_yticks(np.arange(len(bounded)), [branch["name"] for branch in bounded], fontsize="small")
    ax.set(xlabel="error / bound", xlim=(-1, 1))
    if ax.figure is not None:
        ax.figure.colorbar(mesh, ax=ax, label="share of the values")
    return mesh
