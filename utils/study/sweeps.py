"""Many trainings side by side: every variant from several seeds, on samples of several sizes."""

import json
import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from operator import call
from pathlib import Path

from utils.cluster import available_cores, connect, run_tasks
from utils.files import (
    Json,
    OutputError,
    is_recorded,
    manage_folder,
    refuse_unrecorded,
    remove_leftovers,
    source_sha256,
)
from utils.jets import (
    EMBEDDED_FILES,
    Dataset,
    Paths,
    Sample,
    is_remote,
    load_contrasting_samples,
    load_sample,
    sample_files,
    split_dataset,
)
from utils.limits import read_json
from utils.machine import pick_device, progress_stream
from utils.networks import NORMALIZATION_KINDS, NORMALIZATIONS, VARIANTS, CustomNormalization
from utils.study.runs import Run, finished_row, train_run
from utils.training import make_dataloaders, train, training_config

COMPARED = ("tanh", "leaky_relu_bn", "elu_bn", "residual_gelu")
"""The variants of the comparison; "linear" is left out, since PCA is its best case."""

SEEDS = {"quick": (0,), "reference": (0, 1, 2)}
"""Seeds that the notebooks train from, by profile."""

REFINE_STEPS = 3
"""Gauss-Newton steps on the latents that the notebooks take."""

SIZES = {"quick": (3000,), "reference": (3000, 10_000, 30_000)}
"""Sizes of sample that notebook 2d compares beside all jets, by profile."""


OWN_JETS = "your own jets"

OTHER_SAMPLES = ("published", "central, high pt", OWN_JETS)
"""What notebooks 1a and 4 train on beside the embedded sample: those that `load_contrasting_samples` sets beside it,
and all of its jets as those of somebody's own file."""


class SweepError(RuntimeError):
    """Trainings that failed; `rows` are those of the others, which are kept."""

    def __init__(self, message: str, rows: list[Json]):
        super().__init__(message)
        self.rows = rows


def parse_variants(names: Sequence[str]) -> list[str]:
    """Variants by name, or all that are compared for ["all"]; ValueError names an unknown one."""
    if list(names) == ["all"]:
        return list(COMPARED)
    if "all" in names:
        raise ValueError("all stands alone: give all, or variants by name")
    unknown = [name for name in names if name not in VARIANTS]
    if unknown:
        raise ValueError(f"unknown variant {unknown[0]!r}; known: all, {', '.join(VARIANTS)}")
    return list(dict.fromkeys(names))


def sweep(
    folder: str | Path,
    variants: Sequence[str] = COMPARED,
    seeds: Iterable[int] = (0, 1, 2),
    *,
    normalization: str = "custom",
    dataset: Dataset = "embedded",
    profile: str = "reference",
    schedule: str = "plain",
    steps: int | None = None,
    losses: Sequence[str] = ("mse",),
    sizes: Sequence[int | None] = (None,),
    max_jets: int | None = None,
    refine: int = 0,
    device: str | None = None,
    workers: int | None = None,
    scheduler: str | None = None,
    dashboard: bool = False,
    progress: bool = True,
) -> list[Json]:
    """Train every variant with every loss and seed on every size of sample, as Dask tasks; returns a row for each.

    A row is what `metrics.evaluate` says of the model on the test jets, which are the same for every size and seed,
    with `variant`, `schedule`, `seed`, `training_jets`, `pca_mse` (rank-3 PCA of the same training jets) and the
    `curve` of its losses. Each lies in `folder` as JSON, beside its model, as soon as its training ends; what is there
    already, of the same configuration, sample and code, is not trained again. `max_jets` as in `load_sample`,
    `workers`, `scheduler` and `dashboard` as in `cluster.connect`; a folder given to a cluster must be one that its
    workers see. Raises SweepError for trainings that failed, after the others are done.
    """
    common = Run("", 0, normalization, None, max_jets, dataset, profile, schedule, steps, "mse", refine, device)
    runs = [
        replace(common, variant=variant, seed=seed, max_jets=size, loss=loss)
        for size in sizes
        for seed in seeds
        for loss in losses
        for variant in parse_variants(variants)
    ]
    return train_runs(folder, runs, workers, scheduler, dashboard=dashboard, progress=progress)


def refuse_other_sweep(folder: str | Path, dataset: Dataset, profile: str, steps: int | None) -> None:
    """Raise OutputError where a folder holds trainings on another dataset, in another profile or for other steps.

    None of the three is in the names of trainings, which would replace those that are there.
    """
    asked = _not_in_names(*split_dataset(dataset), profile, steps)
    for file in sorted(Path(folder).glob("*-seed-*.json")):
        if is_recorded(file):
            made = read_json(file, dict)["run"]
            run, source = made["run"], made["source"]
            found = _not_in_names(source["dataset"], source.get("reading", {}), run["profile"], run["steps"])
            for what, value in found.items():
                if value != asked[what]:
                    raise OutputError(f"{folder} holds a sweep of another {what} ({value}): choose another --output")


def _not_in_names(path: Paths, reading: Json, profile: str, steps: int | None) -> dict[str, str]:
    """What the name of a training does not say, as text."""
    files = [str(path)] if isinstance(path, str | Path) else map(str, path)
    options = [f"{name} {json.dumps(reading[name], sort_keys=True)}" for name in sorted(reading)]
    number = "that of the profile" if steps is None else str(steps)
    return {"dataset": ", ".join([*files, *options]), "profile": profile, "number of steps": number}


def reference_runs(profile: str = "reference") -> list[Run]:
    """Every training on the embedded sample that the notebooks ask for, those that take longest first."""
    seeds, residual = SEEDS[profile], COMPARED[-1]
    own = Run(residual, seeds[0], profile=profile, refine=REFINE_STEPS)
    runs = [
        replace(own, variant=variant, schedule=schedule, seed=seed)
        for variant in reversed(COMPARED)
        for schedule in ("plain", "zigzag")
        for seed in seeds
    ]
    runs.append(replace(own, loss="resolution"))
    raw = (("tanh", "standard"), ("tanh", "none"), ("linear", "none"))
    runs += [
        replace(own, variant=name, normalization=kind, seed=seed, refine=0) for name, kind in raw for seed in seeds
    ]
    return runs + [replace(own, max_jets=size) for size in sorted(SIZES[profile], reverse=True)]


def train_study(folder: str | Path, profile: str = "reference") -> None:
    """Every training of the notebooks side by side, for them to find in `folder`: `reference_runs`, and a tanh network
    on each of `OTHER_SAMPLES`."""
    seed = SEEDS[profile][0]
    others = {name: partial(_keep_other, name, profile, seed, Path(folder)) for name in OTHER_SAMPLES}
    train_runs(folder, reference_runs(profile), others=others)


def other_sample(name: str, seed: int = 0) -> Sample | None:
    """One of `OTHER_SAMPLES`; None where it is not at hand."""
    if name == OWN_JETS:
        return load_sample([str(file) for file in EMBEDDED_FILES], seed=seed)
    return load_contrasting_samples(seed=seed).get(name)


def _keep_other(name: str, profile: str, seed: int, folder: Path) -> Json:
    sample = other_sample(name, seed)
    if sample is None:
        return {}
    schedule = training_config(profile)
    batches = make_dataloaders(sample, CustomNormalization(), schedule)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        train(VARIANTS["tanh"], batches, schedule, seed, progress=False, keep=folder)
    return {}


def train_runs(
    folder: str | Path,
    runs: Sequence[Run],
    workers: int | None = None,
    scheduler: str | None = None,
    *,
    dashboard: bool = False,
    progress: bool = True,
    others: Mapping[str, Callable[[], Json]] | None = None,
) -> list[Json]:
    """The row of each of the `runs`, of one dataset; what is not done yet in `folder` is, as `sweep` says.

    `others` are called before them in the same way; what they return is let go.
    """
    folder = Path(folder).resolve()
    _check(runs, workers, scheduler)
    source = _source_of(runs[0].dataset)
    remove_leftovers(manage_folder(folder))
    for name in ("sweep.json", "sweep.md", "sweep.png"):
        refuse_unrecorded(folder / name)
    rows = {run.name: finished_row(folder, run, source) for run in runs}
    missing = {run.name: partial(train_run, run, source, folder) for run in runs if rows[run.name] is None}
    for name in missing:
        refuse_unrecorded(folder / f"{name}.json")
        refuse_unrecorded(folder / f"{name}.safetensors")
    tasks: dict[str, Callable[[], Json]] = {**(others or {}), **missing}
    results = _side_by_side(tasks, workers, scheduler, dashboard, progress) if tasks else {}
    remove_leftovers(folder)  # of workers that died
    failed = {name: result for name, result in results.items() if isinstance(result, BaseException)}
    trained = {name: result for name, result in results.items() if not isinstance(result, BaseException)}
    done = [row for name in rows if (row := trained.get(name, rows[name])) is not None]
    if failed:
        message = "; ".join(f"{name}: {type(error).__name__}: {error}" for name, error in failed.items())
        raise SweepError(message, done)
    return done


def _side_by_side(
    tasks: Mapping[str, Callable[[], Json]],
    workers: int | None,
    scheduler: str | None,
    dashboard: bool,
    progress: bool,
) -> dict[str, Json | BaseException]:
    """What each training returns, or why it failed, by its name; no more workers are started than there is work, and
    none for one at a time, which is done here."""
    if scheduler is None:
        workers = min(workers or available_cores(), len(tasks))
        if workers == 1 and not dashboard:
            return {name: _here(task) for name, task in tasks.items()}
    with connect(workers, scheduler, dashboard) as client:
        calls = {name: (task,) for name, task in tasks.items()}
        return dict(run_tasks(client, call, calls, "training", progress, progress_stream()))


def _here(task: Callable[[], Json]) -> Json | BaseException:
    try:
        return task()
    except Exception as error:
        return error


def _check(runs: Sequence[Run], workers: int | None, scheduler: str | None) -> None:
    """Find settings without sense before hours of training do."""
    if not runs:
        raise ValueError("a sweep needs a variant, a loss, a size and a seed at least")
    for run in runs:
        training_config(run.profile, run.schedule, run.steps, run.loss)
        if run.normalization not in NORMALIZATIONS:
            known = ", ".join(NORMALIZATION_KINDS)
            raise ValueError(f"unknown normalization {run.normalization!r}; known: {known}")
        if run.refine < 0:
            raise ValueError(f"refinement takes a number of steps, none or more, found {run.refine}")
        if run.max_jets is not None and run.max_jets < 100:
            raise ValueError(f"a training needs 100 jets at least, found {run.max_jets}")
    if workers is not None and workers < 1:
        raise ValueError(f"expected one worker at least, found {workers}")
    if scheduler is None:
        pick_device(runs[0].device)


def _source_of(dataset: Dataset) -> Json:
    """What tells a sample from another: the checksums of its files, by their whole paths where they are the user's."""
    source = load_sample(dataset).source
    known: Json = {key: source[key] for key in ("dataset", "reading", "sha256", "split") if key in source}
    path, _ = split_dataset(dataset)
    if str(path) in ("embedded", "published"):
        return known
    files = sample_files(path)
    states = [[name, time.time_ns() if is_remote(name) else source_sha256(name)] for name in files]
    return known | {"files": states}
