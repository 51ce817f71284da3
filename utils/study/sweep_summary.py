"""What the trainings of a sweep say: mean and spread over seeds, in tables and sentences."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from utils import plotting
from utils.files import atomic_path, write_json
from utils.jets import FEATURES
from utils.machine import machine_info
from utils.metrics import RESIDUAL_UNITS, read_resolutions
from utils.networks import schedule_label
from utils.text import Table, spread_text


def summarize_seeds(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Mean and standard deviation over the seeds for each variant, schedule, loss and size; JSON-safe.

    The deviation is None where there is one seed.
    Keys: `variant`, `label`, `schedule`, `loss`, `training_jets`, `seeds`, `parameters`, and as (mean, deviation)
    `mse`, `mse_over_pca`, `train_mse`, `cpu_seconds`, `refined_mse`, `refined_over_pca`, `refine_seconds` for a million
    jets (None without refinement), and `half_width_68` and `q99` of each quantity, plain and `refined`.
    """
    groups: dict[tuple, list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(_key(row), []).append(row)
    return [_summary(group) for group in groups.values()]


def _summary(group: list[dict[str, Any]]) -> dict[str, Any]:
    first = group[0]
    refined = [row["refined"] for row in group] if all("refined" in row for row in group) else None
    return {
        "variant": first["variant"],
        "label": schedule_label(first["variant"], first["schedule"]),
        "schedule": first["schedule"],
        "loss": first["loss"],
        "max_jets": first["max_jets"],
        "training_jets": round(float(np.mean([row["training_jets"] for row in group]))),
        "seeds": [row["seed"] for row in group],
        "parameters": first["parameters"],
        "mse": _spread([row["mse"] for row in group]),
        "mse_over_pca": _spread([row["mse"] / row["pca_mse"] for row in group]),
        "train_mse": _spread([row["train_mse"] for row in group]),
        "cpu_seconds": _spread([row["training_cpu_seconds"] for row in group]),
        "refined_mse": refined and _spread([part["mse"] for part in refined]),
        "refined_over_pca": refined
        and _spread([part["mse"] / row["pca_mse"] for part, row in zip(refined, group, strict=True)]),
        "refine_seconds": refined and _spread([part["seconds"]["refine"] for part in refined]),
        "resolution": _resolution([row["resolution"] for row in group]),
        "refined_resolution": refined and _resolution([part["resolution"] for part in refined]),
    }


def _resolution(tables: Sequence[list[dict[str, Any]]]) -> dict[str, Any]:
    found = [read_resolutions(table) for table in tables]
    return {
        quantity: {
            "half_width_68": _spread([table[quantity].half_width_68 for table in found]),
            "q99": _spread([table[quantity].q99 for table in found]),
        }
        for quantity in FEATURES
    }


def _spread(values: Sequence[float]) -> tuple[float, float | None]:
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else None


def summary_frame(summary: Sequence[dict[str, Any]]) -> pd.DataFrame:
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
        if entry["refined_mse"] is not None:
            row["refined MSE [1e-4]"] = spread_text(entry["refined_mse"], 1e4)
            row["refined / PCA"] = spread_text(entry["refined_over_pca"])
        widths = entry["resolution"]
        row |= {
            "pt [%]": spread_text(widths["pt"]["half_width_68"], 100),
            "m [%]": spread_text(widths["m"]["half_width_68"], 100),
            "phi [mrad]": spread_text(widths["phi"]["half_width_68"], 1000),
            "eta [0.001]": spread_text(widths["eta"]["half_width_68"], 1000),
            "CPU [s]": f"{entry['cpu_seconds'][0]:.0f}",
        }
        table.append(row)
    return pd.DataFrame(table)


def seeds_frame(summary: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """68% half-widths and 99% quantiles of |residual|, in relative units or rad, of the entries of `summarize`."""
    table = [
        {
            "quantity": quantity,
            "variant": entry["label"],
            "loss": entry["loss"],
            "latents": latents,
            "68% half-width": spread_text(entry[key][quantity]["half_width_68"]),
            "99% quantile": spread_text(entry[key][quantity]["q99"]),
            "unit": RESIDUAL_UNITS[quantity],
        }
        for quantity in FEATURES
        for entry in summary
        for key, latents in (("resolution", "encoder's"), ("refined_resolution", "refined"))
        if entry[key] is not None
    ]
    return pd.DataFrame(table).set_index(["quantity", "variant", "loss", "latents"])


def describe_seeds(summary: Sequence[dict[str, Any]]) -> str:
    """Which differences between variants are larger than their spread, in sentences (Markdown).

    Two means count as different where they lie further apart than the sum of their standard deviations.
    """
    lines = []
    for key, what in (("mse_over_pca", "Encoder alone"), ("refined_over_pca", "Latents refined")):
        found = sorted((entry for entry in summary if entry[key] is not None), key=lambda entry: entry[key][0])
        if not found:
            continue
        order = ", ".join(f"{entry['label']} {spread_text(entry[key])}" for entry in found)
        lines.append(f"- {what}, test MSE over that of rank-3 PCA: {order}.")
        for better, worse in pairwise(found):
            gap, spread = worse[key][0] - better[key][0], [entry[key][1] for entry in (better, worse)]
            if None in spread:
                verdict = "one seed each, so nothing can be said of the difference"
            elif gap > sum(spread):
                verdict = f"apart by {gap:.2g}, more than the two spreads together"
            else:
                verdict = f"apart by {gap:.2g}, no more than the two spreads together: not distinguished"
            lines.append(f"    - {better['label']} and {worse['label']}: {verdict}.")
    return "\n".join(lines)


def write_sweep(folder: str | Path, rows: Sequence[dict[str, Any]]) -> str:
    """Write sweep.json, sweep.md and sweep.png of some rows to `folder`; returns the text of sweep.md."""
    folder, summary = Path(folder), summarize_seeds(rows)
    frame, largest = summary_frame(summary), largest_sample(summary)
    cells = [list(map(str, row)) for row in frame.itertuples(index=False)]
    table = Table("Sweep", list(map(str, frame.columns)), cells, describe_seeds(largest), labels=2)
    text = table.markdown() + "\n"
    figure = Figure(figsize=(7, 5), layout="constrained")
    shown = [row for row in rows if any(_key(row) == _key(entry) for entry in largest)]
    plotting.plot_comparison(figure.subplots(), shown)
    plotting.save_figure(figure, folder / "sweep.png")
    write_json(folder / "sweep.json", {"machine": machine_info(), "summary": summary, "rows": list(rows)})
    with atomic_path(folder / "sweep.md") as partial:
        partial.write_text(text, encoding="utf-8")
    return text


def _key(entry: dict[str, Any]) -> tuple[Any, ...]:
    return entry["max_jets"], entry["loss"], entry["schedule"], entry["variant"]


def largest_sample(summary: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The entries of `sweep.summarize` of the largest sample and the first loss: what can be compared in one plot."""
    sizes = {entry["max_jets"] for entry in summary}
    largest = None if None in sizes else max(size for size in sizes if size is not None)
    return [entry for entry in summary if entry["max_jets"] == largest and entry["loss"] == summary[0]["loss"]]
