"""One training of a sweep: what it is, what comes of it, and whether it is done."""

import json
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from utils.files import Json, is_recorded, write_json
from utils.jets import Dataset, feature_array, load_sample
from utils.limits import read_json
from utils.metrics import evaluate
from utils.networks import NORMALIZATIONS, VARIANTS, pca_checkpoint
from utils.provenance import code_digest, package_files
from utils.study.record import save_model
from utils.training import TRAINING_CODE, make_checkpoint, make_dataloaders, train, training_config

CURVE_POINTS = 40
"""Points of a loss curve that a run keeps."""


ROW_CODE = ("metrics", "networks", *TRAINING_CODE, "study/runs.py")
"""The code behind a row; the sample is known by its checksums."""


@dataclass(frozen=True)
class Run:
    """One training of a sweep; JSON-safe but for paths.

    `max_jets` limits the training jets, `sample_jets` all of the sample as in `load_sample`; None: all there are.
    """

    variant: str
    seed: int
    normalization: str = "custom"
    max_jets: int | None = None
    sample_jets: int | None = None
    dataset: Dataset = "embedded"
    profile: str = "reference"
    schedule: str = "plain"
    steps: int | None = None
    loss: str = "mse"
    refine: int = 0
    device: str | None = None

    @property
    def name(self) -> str:
        """What its files and its line in the progress are called."""
        jets = "all" if self.max_jets is None else str(self.max_jets)
        return f"{self.variant}-{self.normalization}-{self.schedule}-{self.loss}-{jets}-jets-seed-{self.seed}"


def train_run(run: Run, source: Json, folder: Path) -> Json:
    """Train and evaluate one model of a sweep, and write its row and its weights to `folder`."""
    if (row := finished_row(folder, run, source)) is not None:
        return row
    sample = load_sample(run.dataset, run.sample_jets, run.seed)
    if run.max_jets is not None:
        sample = sample.with_training_jets(run.max_jets)
    config = training_config(run.profile, run.schedule, run.steps, run.loss)
    normalization = NORMALIZATIONS[run.normalization].fit(feature_array(sample.train))
    batches = make_dataloaders(sample, normalization, config, run.device)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = train(VARIANTS[run.variant], batches, config, run.seed, progress=False, keep=folder)
    checkpoint = make_checkpoint(result, run.variant, normalization, sample, run.seed)
    row = evaluate(checkpoint, sample.test, run.refine)
    pca = evaluate(pca_checkpoint(normalization, sample), sample.test)
    kept = np.unique(np.linspace(0, len(result.losses) - 1, CURVE_POINTS).astype(int))
    curve = result.losses.iloc[kept]
    row |= {
        "variant": run.variant,
        "schedule": run.schedule,
        "seed": run.seed,
        "max_jets": run.max_jets,
        "training_jets": len(sample.train),
        "train_mse": evaluate(checkpoint, sample.train)["mse"],
        "pca_mse": pca["mse"],
        "curve": {name: [float(f"{value:.5g}") for value in curve[name]] for name in curve},
    }
    save_model(folder / f"{run.name}.safetensors", checkpoint, row)
    write_json(_row_path(folder, run), {"run": _identity(run, source), "row": row}, recorded=True)
    return row


def _row_path(folder: Path, run: Run) -> Path:
    return folder / f"{run.name}.json"


def _identity(run: Run, source: Json) -> Json:
    """All that a row depends on but its refinement, as JSON gives it back."""
    config = training_config(run.profile, run.schedule, run.steps, run.loss).to_dict()
    everything = {
        "run": asdict(run) | {"dataset": None, "refine": None},
        "training": config,
        "architecture": VARIANTS[run.variant].to_dict(),
        "source": source,
        "code": code_digest(package_files(*ROW_CODE)),
    }
    return json.loads(json.dumps(everything))


def finished_row(folder: Path, run: Run, source: Json) -> Json | None:
    """The row of a run that is done, None where there is none of the same configuration, or its files are not as they
    were written.

    One with the latents refined serves for one without.
    """
    path = _row_path(folder, run)
    if not all(is_recorded(file) for file in (path, path.with_suffix(".safetensors"))):
        return None
    content = read_json(path, dict)
    if content["run"] != _identity(run, source):
        return None
    row = content["row"]
    refined = row.get("refined", {"steps": 0})
    if run.refine == 0:
        return {name: value for name, value in row.items() if name != "refined"}
    return row if refined["steps"] == run.refine else None
