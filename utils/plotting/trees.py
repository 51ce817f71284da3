"""What branches and whole collections cost, how errors fill their bounds, and what becomes of the dijet mass."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import PowerNorm
from matplotlib.container import BarContainer
from matplotlib.lines import Line2D
from matplotlib.patches import StepPatch

from utils.plotting.style import (
    INPUT_COLOR,
    OTHER_COLOR,
    Rows,
    counts,
    counts_label,
    draw_histogram,
    plain_log_ticks,
    round_edges,
    write_outside,
)

WAY_STYLES = {
    "ROOT, LZMA": ("0.5", "--"),
    "RNTuple, byte split and zstd": ("#8C510A", "--"),
    "container, lossless": ("black", "--"),
    "ROOT, LZMA, bounded": (OTHER_COLOR, "-"),
    "container, bounded": ("black", "-"),
}
"""Colour and line of a way to store a collection: dashed where no value changes."""


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
    """The errors of the costliest bounded branches in units of their bounds, a row each, as shares of their values in
    bins of equal width. White bins are empty, and those with more than a quarter have the colour of one."""
    bounded = [branch for branch in branches if branch["residuals"] is not None and sum(branch["residuals"])]
    bounded = sorted(bounded, key=lambda branch: branch["lzma_bytes"])[-limit:]
    bins = len(bounded[0]["residuals"]) if bounded else 1
    counts = np.array([branch["residuals"] for branch in bounded], float).reshape(len(bounded), bins)
    shares = counts / counts.sum(axis=1, keepdims=True)
    edges = np.linspace(-1, 1, bins + 1)
    filled = np.ma.masked_equal(shares, 0)
    mesh = ax.pcolormesh(edges, np.arange(len(bounded) + 1) - 0.5, filled, norm=PowerNorm(0.5, 0, 0.25))
    ax.set_yticks(np.arange(len(bounded)), [branch["name"] for branch in bounded], fontsize="small")
    ax.set(xlabel="error / bound", xlim=(-1, 1))
    if ax.figure is not None:
        ax.figure.colorbar(
            mesh, ax=ax, label=f"share of the values / {edges[1] - edges[0]:.2g} of the bound", extend="max"
        )
    return mesh


def plot_collection_sizes(ax: Axes, totals: pd.DataFrame) -> list[Line2D]:
    """Bytes a jet in each way against the number of jets that are stored together.

    `totals` are rows of `study.collection_totals`.
    """
    lines = []
    for way, rows in totals.groupby("way", sort=False):
        color, dashes = WAY_STYLES[str(way)]
        lines += ax.plot(rows["jets"], rows["bytes_per_jet"], dashes, color=color, marker=".", label=str(way))
    ax.set(xlabel="jets stored together", ylabel="bytes a jet, all columns", xscale="log")
    ax.set_ylim(bottom=0)
    plain_log_ticks(ax)
    ax.legend(frameon=False, fontsize="small", handlelength=4, loc="lower left")
    return lines


def plot_dijet_masses(axes: Sequence[Axes], masses: pd.DataFrame) -> tuple[list[StepPatch], list[StepPatch]]:
    """Left the spectra of the dijet mass as stored and after, right the relative change of each event.

    `masses` are in GeV, a row an event: first a column of those as stored, then one for each way.
    """
    stored = masses.iloc[:, 0].to_numpy()
    found = {str(way): masses[way].to_numpy() for way in masses.columns}
    events = np.isfinite(stored) & (stored > 0)
    low, high = np.quantile(stored[events], [0.001, 0.999])
    edges = np.geomspace(max(low, 1e-3), max(high, 1.01 * low, 2e-3), 40)
    changes = {way: 100 * (values[events] / stored[events] - 1) for way, values in found.items()}
    reach = max(float(np.quantile(np.abs(change), 0.999)) for change in changes.values()) or 1.0
    bins = round_edges(-1.05 * reach, 1.05 * reach, 60)
    spectra: list[StepPatch] = []
    shifts: list[StepPatch] = []
    for way, values in found.items():
        color = WAY_STYLES[way][0] if way in WAY_STYLES else INPUT_COLOR
        spectra.append(draw_histogram(axes[0], values[events], edges, color, fill=not spectra, label=way))
        if len(spectra) > 1:
            shifts.append(draw_histogram(axes[1], changes[way], bins, color, label=way))
            found_changes = counts(changes[way], bins)
            low, high = (found_changes + sign * np.sqrt(found_changes) for sign in (-1, 1))
            axes[1].stairs(high, bins, baseline=low, fill=True, linewidth=0, color=color, alpha=0.25)
    if len(spectra) > 2:
        spectra[1].set_linewidth(4)  # seen on both sides of the next, which lies on it
    before = counts(stored[events], edges)
    spread = np.sqrt(before)
    band = axes[0].stairs(before + spread, edges, baseline=before - spread, fill=True, label="stat. uncertainty")
    band.set(facecolor="none", edgecolor="0.25", hatch="//////", linewidth=0)
    axes[0].set(xscale="log", yscale="log", xlabel="mass of the two hardest jets [GeV]")
    axes[0].set_ylabel(f"events / {100 * (edges[1] / edges[0] - 1):.2g}% of the mass")
    plain_log_ticks(axes[0])
    write_outside(axes[0], stored[events], edges)
    axes[0].set_ylim(0.5 * max(before[before > 0].min(initial=before.max()), 1), 8 * max(before.max(), 1))
    axes[0].legend(frameon=False, fontsize="small", loc="upper center", ncols=2)
    axes[1].set(xlabel="change of the mass [%]", ylabel=counts_label(bins, "%", what="events"))
    write_outside(axes[1], list(changes.values())[1:], bins)
    axes[1].legend(frameon=False, fontsize="small")
    return spectra, shifts
