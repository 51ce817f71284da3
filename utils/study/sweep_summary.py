"""What the trainings of a sweep say: mean and spread over seeds, in tables and sentences."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TypedDict

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from utils import plotting
from utils.files import Json, manage_folder, recorded_path, write_json
from utils.jets import FEATURES
from utils.machine import machine_info
from utils.metrics import read_resolutions
from utils.networks import VARIANT_LABELS, schedule_label
from utils.text import Table, spread_sci, spread_text

ERROR_COLUMNS = {"pt": ("pt [%]", 100), "m": ("m [%]", 100), "phi": ("phi [mrad]", 1000), "eta": ("eta [0.001]", 1000)}
"""Header and factor of each quantity's residuals in a table."""

Spread = tuple[float, float | None]
"""Mean and standard deviation over the seeds; no deviation where there is one seed."""

Resolutions = dict[str, dict[str, Spread]]
"""`half_width_68` and `q99` of each quantity."""


class SeedSummary(TypedDict):
    """A variant trained by one schedule with one loss on one size of sample, over its seeds; JSON-safe.

    `max_jets` is the size that was asked for (None: all jets), `training_jets` what came of it. `mse` and `train_mse`
    are in the space of the training; `mse_custom` in the common space, None where an output of any seed has no place
    there (`unphysical`: the fewest and the most such jets). `refine_seconds` are for a million jets; what is refined
    is None without refinement.
    """

    variant: str
    label: str
    normalization: str
    schedule: str
    loss: str
    max_jets: int | None
    training_jets: int
    seeds: list[int]
    parameters: int
    mse: Spread
    mse_custom: Spread | None
    unphysical: tuple[int, int]
    mse_over_pca: Spread
    train_mse: Spread
    cpu_seconds: Spread
    refined_mse: Spread | None
    refined_over_pca: Spread | None
    refine_seconds: Spread | None
    resolution: Resolutions
    refined_resolution: Resolutions | None


def summarize_seeds(rows: Sequence[Json]) -> list[SeedSummary]:
    """The rows of `sweep` over their seeds, for each variant, normalization, schedule, loss and size."""
    groups: dict[tuple[object, ...], list[Json]] = {}
    for row in rows:
        groups.setdefault(_key(row), []).append(row)
    return [_summary(group) for group in groups.values()]


def _summary(group: list[Json]) -> SeedSummary:
    first = group[0]
    refined = [row["refined"] for row in group] if all("refined" in row for row in group) else []
    custom, unphysical = ([row[name] for row in group] for name in ("mse_custom", "unphysical"))
    over_pca = [row["refined"]["mse"] / row["pca_mse"] for row in group if refined]
    return {
        "variant": first["variant"],
        "label": schedule_label(first["variant"], first["schedule"]),
        "normalization": first["normalization"],
        "schedule": first["schedule"],
        "loss": first["loss"],
        "max_jets": first["max_jets"],
        "training_jets": round(float(np.mean([row["training_jets"] for row in group]))),
        "seeds": [row["seed"] for row in group],
        "parameters": first["parameters"],
        "mse": _spread([row["mse"] for row in group]),
        "mse_custom": None if None in custom else _spread(custom),
        "unphysical": (min(unphysical), max(unphysical)),
        "mse_over_pca": _spread([row["mse"] / row["pca_mse"] for row in group]),
        "train_mse": _spread([row["train_mse"] for row in group]),
        "cpu_seconds": _spread([row["training_cpu_seconds"] for row in group]),
        "refined_mse": _spread([part["mse"] for part in refined]) if refined else None,
        "refined_over_pca": _spread(over_pca) if refined else None,
        "refine_seconds": _spread([part["seconds"]["refine"] for part in refined]) if refined else None,
        "resolution": _resolution([row["resolution"] for row in group]),
        "refined_resolution": _resolution([part["resolution"] for part in refined]) if refined else None,
    }


def _resolution(tables: Sequence[list[Json]]) -> Resolutions:
    found = [read_resolutions(table) for table in tables]
    return {
        quantity: {
            "half_width_68": _spread([table[quantity].half_width_68 for table in found]),
            "q99": _spread([table[quantity].q99 for table in found]),
        }
        for quantity in FEATURES
    }


def _spread(values: Sequence[float]) -> Spread:
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else None


def summary_frame(summary: Sequence[SeedSummary]) -> pd.DataFrame:
    """The summary as a table of text: mean ± standard deviation over the seeds."""
    table = []
    for entry in summary:
        row = {
            "variant": entry["label"],
            "loss": entry["loss"],
            "training jets": f"{entry['training_jets']:,}",
            "seeds": len(entry["seeds"]),
            "MSE [1e-4]": spread_text(entry["mse"], 1e4),
            "/ PCA": spread_text(entry["mse_over_pca"]),
            "training MSE [1e-4]": spread_text(entry["train_mse"], 1e4),
        }
        if entry["refined_mse"] is not None and entry["refined_over_pca"] is not None:
            row["refined MSE [1e-4]"] = spread_text(entry["refined_mse"], 1e4)
            row["refined / PCA"] = spread_text(entry["refined_over_pca"])
        table.append(row | _widths(entry["resolution"]) | {"CPU [s]": f"{entry['cpu_seconds'][0]:.0f}"})
    return pd.DataFrame(table)


def seeds_table(summary: Sequence[SeedSummary], baseline: Json) -> pd.DataFrame:
    """A small table of text, a row for each model and one for the `baseline`, a row of `metrics.evaluate`: errors of
    the common space as a number, or how many jets of the output have no place there; the last columns are 68%
    half-widths."""
    table = []
    for entry in summary:
        custom, (fewest, most) = entry["mse_custom"], entry["unphysical"]
        lost = f"{most:,}" if fewest == most else f"{fewest:,} to {most:,}"
        table.append(
            {
                "model": entry["label"],
                "normalization": entry["normalization"],
                "seeds": str(len(entry["seeds"])),
                "MSE": spread_sci(entry["mse"]),
                "MSE / PCA": spread_text(entry["mse_over_pca"]),
                "MSE, common space": f"- ({lost} jets)" if custom is None else spread_sci(custom),
                **_widths(entry["resolution"]),
            }
        )
    custom = baseline["mse_custom"]
    row = {"model": baseline["label"], "normalization": baseline["normalization"], "seeds": "no training"}
    row |= {"MSE": spread_sci((baseline["mse"], None)), "MSE / PCA": "1"}
    row["MSE, common space"] = f"- ({baseline['unphysical']:,} jets)" if custom is None else spread_sci((custom, None))
    table.append(row | _widths(_resolution([baseline["resolution"]])))
    return pd.DataFrame(table).set_index("model")


def _widths(resolution: Resolutions) -> dict[str, str]:
    """68% half-widths as text, by the header of their column."""
    return {
        header: spread_text(resolution[quantity]["half_width_68"], factor)
        for quantity, (header, factor) in ERROR_COLUMNS.items()
    }


def seeds_frame(summary: Sequence[SeedSummary]) -> pd.DataFrame:
    """68% half-widths and 99% quantiles of |residual| of the entries of `summarize_seeds`, in the unit beside the
    quantity: percent, mrad, or 0.001."""
    table = [
        {
            "quantity": ERROR_COLUMNS[quantity][0],
            "variant": entry["label"],
            "loss": entry["loss"],
            "latents": latents,
            "68% half-width": spread_text(resolution[quantity]["half_width_68"], ERROR_COLUMNS[quantity][1]),
            "99% quantile": spread_text(resolution[quantity]["q99"], ERROR_COLUMNS[quantity][1]),
        }
        for quantity in FEATURES
        for entry in summary
        for latents, resolution in (("encoder's", entry["resolution"]), ("refined", entry["refined_resolution"]))
        if resolution is not None
    ]
    return pd.DataFrame(table).set_index(["quantity", "variant", "loss", "latents"])


def describe_seeds(summary: Sequence[SeedSummary]) -> str:
    """Which differences between variants are larger than their spread, in sentences (Markdown).

    Two means count as different where they lie further apart than the sum of their standard deviations.
    """
    lines = []
    for what, ratios in (
        ("Encoder alone", [(entry["label"], entry["mse_over_pca"]) for entry in summary]),
        ("Latents refined", [(entry["label"], entry["refined_over_pca"]) for entry in summary]),
    ):
        found = sorted(((label, ratio) for label, ratio in ratios if ratio is not None), key=lambda pair: pair[1][0])
        if not found:
            continue
        order = ", ".join(f"{label} {spread_text(ratio)}" for label, ratio in found)
        lines.append(f"- {what}, test MSE over that of rank-3 PCA: {order}.")
        for (better, low), (worse, high) in pairwise(found):
            lines.append(f"    - {better} and {worse}: {_verdict(low, high)}.")
    return "\n".join(lines)


def describe_starts(summary: Sequence[SeedSummary]) -> str:
    """What a start from a zigzag changes for each variant that was trained with and without, as Markdown."""
    ratios = {(entry["variant"], entry["schedule"]): entry["mse_over_pca"] for entry in largest_sample(summary)}
    lines = []
    for variant in dict.fromkeys(variant for variant, _ in ratios):
        if {(variant, "plain"), (variant, "zigzag")} <= ratios.keys():
            alone, started = ratios[variant, "plain"], ratios[variant, "zigzag"]
            low, high = sorted((alone, started), key=lambda ratio: ratio[0])
            lines.append(
                f"- {VARIANT_LABELS[variant]}: test MSE over that of rank-3 PCA {spread_text(alone)} left alone, "
                f"{spread_text(started)} started from a zigzag; {_verdict(low, high)}."
            )
    return "\n".join(lines)


def distinguished(low: Spread, high: Spread) -> bool | None:
    """Whether two means lie further apart than the sum of their deviations; None where one has no deviation."""
    if low[1] is None or high[1] is None:
        return None
    return high[0] - low[0] > low[1] + high[1]


def _verdict(low: Spread, high: Spread) -> str:
    gap, apart = high[0] - low[0], distinguished(low, high)
    if apart is None:
        return "one seed each, so nothing can be said of the difference"
    if apart:
        return f"apart by {gap:.2g}, more than the two spreads together"
    return f"apart by {gap:.2g}, no more than the two spreads together: not distinguished"


def write_sweep(folder: str | Path, rows: Sequence[Json]) -> str:
    """Write sweep.json, sweep.md and sweep.png of some rows to `folder`; returns the text of sweep.md."""
    folder, summary = manage_folder(folder), summarize_seeds(rows)
    frame, largest = summary_frame(summary), largest_sample(summary)
    cells = [list(map(str, row)) for row in frame.itertuples(index=False)]
    table = Table("Sweep", list(map(str, frame.columns)), cells, describe_seeds(largest), labels=2)
    text = table.markdown() + "\n"
    figure = Figure(figsize=(7, 5), layout="constrained")
    shown = [row for row in rows if any(_key(row) == _key(entry) for entry in largest)]
    plotting.plot_comparison(figure.subplots(), shown)
    plotting.save_figure(figure, folder / "sweep.png")
    write_json(
        folder / "sweep.json", {"machine": machine_info(), "summary": summary, "rows": list(rows)}, recorded=True
    )
    with recorded_path(folder / "sweep.md") as partial:
        partial.write_text(text, encoding="utf-8")
    return text


def _key(entry: Mapping[str, object]) -> tuple[object, ...]:
    return tuple(entry[name] for name in ("max_jets", "loss", "normalization", "schedule", "variant"))


def largest_sample(summary: Sequence[SeedSummary]) -> list[SeedSummary]:
    """The entries of `summarize_seeds` of the largest sample and the first loss: what can be compared in one plot."""
    sizes = {entry["max_jets"] for entry in summary}
    largest = None if None in sizes else max(size for size in sizes if size is not None)
    return [entry for entry in summary if entry["max_jets"] == largest and entry["loss"] == summary[0]["loss"]]
