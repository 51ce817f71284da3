"""Where a notebook's results go, and what is written beside them."""

import warnings
from dataclasses import replace
from pathlib import Path

from utils.files import REPOSITORY, Json, manage_folder, recorded_path, write_json
from utils.jets import Sample
from utils.machine import machine_info, pick_device
from utils.networks import Checkpoint, save_checkpoint


def notebook_folders(notebook: str, output: str | Path | None = None, profile: str = "quick") -> tuple[Path, Path]:
    """The folders for the plots and the models of a notebook, made if needed: (plots/<notebook>, models).

    They lie in `output`, or in runs/<profile> of the repository where that is None, with a record of what is written
    there (see `files.recorded_path`). `notebook` is the file name without its suffix. From here on the notebook is
    spared the warnings that libraries have for programmers.
    """
    warnings.filterwarnings("ignore", category=FutureWarning)
    warnings.filterwarnings("ignore", message="IProgress not found")
    base = manage_folder(REPOSITORY / "runs" / profile if output is None else output)
    plots, models = base / "plots" / notebook, base / "models"
    plots.mkdir(parents=True, exist_ok=True)
    models.mkdir(parents=True, exist_ok=True)
    return plots, models


def save_model(path: Path, checkpoint: Checkpoint, row: Json) -> None:
    """Write a checkpoint with its row of `evaluate` inside, and note the file in the row as `checkpoint`."""
    with recorded_path(path) as partial:
        save_checkpoint(partial, replace(checkpoint, metadata=checkpoint.metadata | {"metrics": dict(row)}))
    row["checkpoint"] = f"{path.parent.name}/{path.name}"


def write_metrics(folder: Path, sample: Sample, profile: str, seed: int, device: str | None, **results: object) -> Json:
    """Write `results` to metrics.json in a notebook's plot folder, with what they were measured on; returns it all."""
    content = {
        "notebook": folder.name,
        "profile": profile,
        "dataset": sample.source,
        "seed": seed,
        "device": str(pick_device(device)),
        "machine": machine_info(),
        **results,
    }
    write_json(folder / "metrics.json", content, recorded=True)
    return content
