"""Many trainings side by side: every variant from several seeds, on samples of several sizes."""

import json
import time
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from utils import __version__
from utils.cluster import available_cores, connect, run_tasks
from utils.files import atomic_path, source_sha256, write_json
from utils.jets import FEATURES, Paths, is_remote, load_sample, sample_files
from utils.metrics import RESIDUAL_UNITS
from utils.networks import VARIANTS, CustomNormalization, schedule_label
from utils.report import largest_sample
from utils.text import Table, spread_text

COMPARED = ("tanh", "leaky_relu_bn", "elu_bn", "residual_gelu")
"""The variants of the comparison; "linear" is left out, since PCA is its best case."""

CURVE_POINTS = 40
"""Points of a loss curve that a run keeps."""


class SweepError(RuntimeError):
    """Trainings that failed; `rows` are those of the others, which are kept."""

    def __init__(self, message: str, rows: list[dict[str, Any]]):
        super().__init__(message)
        self.rows = rows


@dataclass(frozen=True)
class Run:
    """One training of a sweep; JSON-safe but for paths. `max_jets` limits the training jets, None: all of them."""

    variant: str
    seed: int
    max_jets: int | None
    dataset: Paths
    profile: str
    schedule: str
    steps: int | None
    loss: str
    refine: int
    device: str | None

    @property
    def name(self) -> str:
        """What its files and its line in the progress are called."""
        jets = "all" if self.max_jets is None else str(self.max_jets)
        return f"{self.variant}-{self.schedule}-{self.loss}-{jets}-jets-seed-{self.seed}"


def parse_variants(names: Sequence[str]) -> list[str]:
    """Variants by name, or all that are compared for ["all"]; ValueError names an unknown one."""
    if list(names) == ["all"]:
        return list(COMPARED)
    unknown = [name for name in names if name not in VARIANTS]
    if unknown:
        raise ValueError(f"unknown variant {unknown[0]!r}; known: all, {', '.join(VARIANTS)}")
    return list(dict.fromkeys(names))


def sweep(
    folder: str | Path,
    variants: Sequence[str] = COMPARED,
    seeds: Iterable[int] = (0, 1, 2),
    *,
    dataset: Paths = "embedded",
    profile: str = "reference",
    schedule: str = "project",
    steps: int | None = None,
    losses: Sequence[str] = ("mse",),
    sizes: Sequence[int | None] = (None,),
    refine: int = 0,
    device: str | None = None,
    workers: int | None = None,
    scheduler: str | None = None,
    progress: bool = True,
) -> list[dict[str, Any]]:
    """Train every variant with every loss and seed on every size of sample, as Dask tasks; returns a row for each.

    A row is what `metrics.evaluate` says of the model on the test jets, which are the same for every size and seed,
    with `variant`, `schedule`, `seed`, `training_jets`, `pca_mse` (rank-3 PCA of the same training jets) and the
    `curve` of its losses. Each lies in `folder` as JSON, beside its model, as soon as its training ends; what is there
    already, of the same configuration, sample and version, is not trained again. `workers` and `scheduler` as in
    `cluster.connect`; a folder given to a cluster must be one that its workers see. Raises SweepError for trainings
    that failed, after the others are done.
    """
    folder = Path(folder).resolve()
    runs = [
        Run(variant, seed, size, dataset, profile, schedule, steps, loss, refine, device)
        for size in sizes
        for seed in seeds
        for loss in losses
        for variant in parse_variants(variants)
    ]
    _check(runs, workers, scheduler)
    source = _source_of(dataset)
    rows = {run.name: _finished(folder, run, source) for run in runs}
    missing = {run.name: (run, source, folder) for run in runs if rows[run.name] is None}
    failed = {}
    if missing:
        if scheduler is None:
            workers = min(workers or available_cores(), len(missing))
        with connect(workers, scheduler) as client:
            for name, result in run_tasks(client, train_run, missing, "training", progress):
                if isinstance(result, BaseException):
                    failed[name] = result
                else:
                    rows[name] = result
    done = [row for row in rows.values() if row is not None]
    if failed:
        message = "; ".join(f"{name}: {type(error).__name__}: {error}" for name, error in failed.items())
        raise SweepError(message, done)
    return done


def _check(runs: Sequence[Run], workers: int | None, scheduler: str | None) -> None:
    """Find settings without sense before hours of training do."""
    from utils.machine import pick_device
    from utils.training import training_config

    if not runs:
        raise ValueError("a sweep needs a variant, a loss, a size and a seed at least")
    for run in runs:
        training_config(run.profile, run.schedule, run.steps, run.loss, run.variant)
        if run.refine < 0:
            raise ValueError(f"refinement takes a number of steps, none or more, found {run.refine}")
        if run.max_jets is not None and run.max_jets < 100:
            raise ValueError(f"a training needs 100 jets at least, found {run.max_jets}")
    if workers is not None and workers < 1:
        raise ValueError(f"expected one worker at least, found {workers}")
    if scheduler is None:
        pick_device(runs[0].device)


def _source_of(dataset: Paths) -> dict[str, Any]:
    """What tells a sample from another: the checksums of its files, by their whole paths where they are the user's."""
    source = load_sample(dataset).source
    known = {key: source[key] for key in ("dataset", "sha256", "split")}
    if str(dataset) in ("embedded", "published"):
        return known
    files = sample_files(dataset)
    states = [[name, time.time_ns() if is_remote(name) else source_sha256(name)] for name in files]
    return known | {"files": states}


def train_run(run: Run, source: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Train and evaluate one model of a sweep, and write its row and its weights to `folder`."""
    from utils.metrics import evaluate, save_model
    from utils.networks import pca_checkpoint
    from utils.training import make_checkpoint, make_dataloaders, train, training_config

    if (row := _finished(folder, run, source)) is not None:
        return row
    sample = load_sample(run.dataset, seed=run.seed)
    if run.max_jets is not None:
        sample = sample.with_training_jets(run.max_jets)
    config = training_config(run.profile, run.schedule, run.steps, run.loss, run.variant)
    normalization = CustomNormalization()
    batches = make_dataloaders(sample, normalization, config, run.device)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = train(VARIANTS[run.variant], batches, config, run.seed, progress=False)
    checkpoint = make_checkpoint(result, run.variant, normalization, sample, run.seed)
    row = evaluate(checkpoint, sample.test, run.refine)
    kept = np.unique(np.linspace(0, len(result.losses) - 1, CURVE_POINTS).astype(int))
    curve = result.losses.iloc[kept]
    row |= {
        "variant": run.variant,
        "schedule": run.schedule,
        "seed": run.seed,
        "max_jets": run.max_jets,
        "training_jets": len(sample.train),
        "train_mse": evaluate(checkpoint, sample.train)["mse"],
        "pca_mse": evaluate(pca_checkpoint(normalization, sample), sample.test)["mse"],
        "curve": {name: [float(f"{value:.5g}") for value in curve[name]] for name in curve},
    }
    save_model(folder / f"{run.name}.safetensors", checkpoint, row)
    write_json(_row_path(folder, run), {"run": _identity(run, source), "row": row})
    return row


def _row_path(folder: Path, run: Run) -> Path:
    return folder / f"{run.name}.json"


def _identity(run: Run, source: dict[str, Any]) -> dict[str, Any]:
    """All that a row depends on, as JSON gives it back."""
    from utils.training import training_config

    config = training_config(run.profile, run.schedule, run.steps, run.loss, run.variant).to_dict()
    everything = {
        "run": asdict(run) | {"dataset": None},
        "training": config,
        "architecture": VARIANTS[run.variant].to_dict(),
        "source": source,
        "version": __version__,
    }
    return json.loads(json.dumps(everything))


def _finished(folder: Path, run: Run, source: dict[str, Any]) -> dict[str, Any] | None:
    """The row of a run that is done, None where there is none of the same configuration."""
    try:
        content = json.loads(_row_path(folder, run).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    same = isinstance(content, dict) and content.get("run") == _identity(run, source)
    return content["row"] if same else None


def summarize(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
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
    found = [{entry["quantity"]: entry for entry in table} for table in tables]
    return {
        quantity: {key: _spread([table[quantity][key] for table in found]) for key in ("half_width_68", "q99")}
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


def resolution_frame(summary: Sequence[dict[str, Any]]) -> pd.DataFrame:
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


def describe(summary: Sequence[dict[str, Any]]) -> str:
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
    from matplotlib.figure import Figure

    from utils import plotting
    from utils.machine import machine_info

    folder, summary = Path(folder), summarize(rows)
    frame, largest = summary_frame(summary), largest_sample(summary)
    rows_of_text = tuple(tuple(map(str, row)) for row in frame.itertuples(index=False))
    table = Table("Sweep", describe(largest), tuple(map(str, frame.columns)), rows_of_text, labels=2)
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
