"""What networks make of bits: a ladder of codes, bits by rank, what moves a curve, and which column tells which."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import PowerNorm
from matplotlib.container import BarContainer
from matplotlib.lines import Line2D

from utils.plotting.style import OTHER_COLOR, SYMBOLS, legend_above

QUANTITY_COLORS = {"pt": "#332288", "eta": "#88CCEE", "phi": "#DDCC77", "m": "#AA4499"}
"""Of the parts of a jet's bytes: those of P. Tol, which the colour-blind tell apart."""

RUNG_STYLES: tuple[dict[str, Any], ...] = (
    {"color": "#882255", "linestyle": "--"},
    {"color": "#117733", "linewidth": 4},
    {"color": "black", "linestyle": ":", "marker": "o", "markerfacecolor": "white"},
)
"""Of the networks of the ladder, in their order: jet alone and event as in `plot_above_bound`, and the limit, which
lies on the event's: its markers are white, to be seen there."""


def plot_ladder(ax: Axes, ladder: pd.DataFrame) -> list[BarContainer]:
    """Bytes a jet by quantity, a bar for each row of `study.ladder_frame`, with its sum and its ratio to the first."""
    places, left = np.arange(len(ladder))[::-1], np.zeros(len(ladder))
    bars = []
    for name, color in QUANTITY_COLORS.items():
        bars.append(ax.barh(places, ladder[name], 0.7, left, color=color, label=SYMBOLS[name]))
        left += ladder[name].to_numpy()
    for place, (_, row) in zip(places, ladder.iterrows(), strict=True):
        change = f"  ({100 * (row['ratio'] - 1):+.1f}%)".replace("-", "\u2212") if place < places[0] else ""
        words = f"  {row['bytes_per_jet']:.3f}{change}"
        ax.text(row["bytes_per_jet"], place, words, va="center", fontsize="small")
    ax.set_yticks(places, list(ladder.index))
    ax.set(xlabel="bytes a jet, weights not counted", xlim=(0, 1.25 * ladder["bytes_per_jet"].max()))
    ax.legend(frameon=False, ncols=4, loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.2)
    return bars


def plot_rank_bits(axes: Sequence[Axes], by_rank: Mapping[str, pd.DataFrame]) -> list[Line2D]:
    """Bits of phi and of pt against the place of a jet in its event, a line for each network."""
    lines = []
    for ax, quantity in zip(axes, ("phi", "pt"), strict=True):
        for (name, bits), style in zip(by_rank.items(), RUNG_STYLES, strict=True):
            lines += ax.plot(bits.index + 1, bits[quantity], label=name, **{"marker": "."} | style)
        ax.set(xlabel=f"place of the jet by falling {SYMBOLS['pt']}", ylabel=f"bits of {SYMBOLS[quantity]}")
        low, high = ax.get_ylim()
        ax.set_ylim(low, high + 0.1 * (high - low))
    axes[1].legend(frameon=False, fontsize="small")
    return lines


def plot_above_bound(ax: Axes, points: pd.DataFrame) -> list[Line2D]:
    """How many bytes a jet each code of `study.rate_points` takes more than the last of them, at the errors aimed at.

    Codes that look at the event are drawn solid, those of single jets dashed.
    """
    sizes = points.pivot(index="target", columns="code", values="at_target")[list(points["code"].unique())]
    bound, lines = str(sizes.columns[-1]), []
    colors = iter(("black", OTHER_COLOR, "#882255", "#CC6677", "#117733"))
    for code in sizes.columns[:-1]:
        dashes = "-" if "event" in code else "--"
        above = sizes[code] - sizes[bound]
        lines += ax.plot(sizes.index, above, dashes, color=next(colors), marker="o", label=code)
    lines.append(ax.axhline(0, color="0.5", linewidth=1, label=bound))
    ax.set(
        xscale="log",
        xlabel="mean squared error, custom normalization (smaller to the right)",
        ylabel="bytes a jet above the bound",
    )
    ax.set_xlim(2 * sizes.index.max(), sizes.index.min() / 2)
    ax.legend(frameon=False, fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
    return lines


def plot_latent_bytes(
    ax: Axes, latents: pd.DataFrame, alone: float, networks: Mapping[str, float]
) -> list[BarContainer]:
    """Bytes a jet of latents and of corrections for each number of latents, rows of `study.latent_bytes`.

    Beside them those of columns by `networks`, by their names; a line marks columns `alone`.
    """
    places, others = np.arange(len(latents)), len(latents) + np.arange(len(networks))
    first, more, sizes = latents["latents"], latents["corrections"], list(networks.values())
    bars = [ax.bar(places, first, 0.6, color=OTHER_COLOR, label="latents")]
    bars.append(ax.bar(places, more, 0.6, first, color="#CC6677", label="corrections to the bounds"))
    bars.append(ax.bar(others, sizes, 0.6, color="#117733", label="columns by networks"))
    for place, size in enumerate([*(first + more), *sizes]):
        ax.text(place, size, f"{size:.1f}", ha="center", va="bottom", fontsize="small")
    ax.axhline(alone, color="black", linestyle="--", label=f"columns one by one: {alone:.1f}")
    names = [f"{number} latents" for number in latents["number"]]
    ax.set_xticks([*places, *others], [name.replace(", ", "\n") for name in [*names, *networks]], fontsize="small")
    ax.set(ylabel="bytes a jet, 32 columns, weights not counted", ylim=(0, 1.1 * max(*(first + more), alone)))
    legend_above(ax, 2)
    return bars


def plot_column_use(ax: Axes, use: pd.DataFrame) -> QuadMesh:
    """By how many bits a jet each column (a row) takes more when one before it is shuffled (`use_of_columns`)."""
    mesh = ax.pcolormesh(use.clip(lower=0).to_numpy(), norm=PowerNorm(0.4, vmin=0), cmap="viridis")
    places = np.arange(len(use)) + 0.5
    ax.set_xticks(places, list(use.columns), rotation=90, fontsize="small")
    ax.set_yticks(places, list(use.index), fontsize="small")
    ax.invert_yaxis()
    ax.set(xlabel="column that is shuffled among the jets", ylabel="column that is predicted")
    if ax.figure is not None:
        ax.figure.colorbar(mesh, ax=ax, label="more bits a jet")
    return mesh
