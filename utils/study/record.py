"""Where a notebook's results go, and what is written beside them."""

import warnings
from dataclasses import replace
from pathlib import Path

from utils.files import REPOSITORY, Json, manage_folder, recorded_path, refuse_unrecorded, write_json
from utils.jets import Sample
from utils.machine import machine_info, pick_device
from utils.networks import Checkpoint, save_checkpoint
from utils.provenance import source_commit

STUDY_MODELS = "AE_3D_*.safetensors"
"""What the notebooks of the study call their models; `4`, for your own jets, has another name."""


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


def trainings_folder(output: str | Path | None = None) -> Path:
    """Where the notebooks keep their trainings, for each other and for a second run: in `output`, or in runs/ of the
    repository where that is None or the repository itself."""
    if output is None or Path(output).resolve() == REPOSITORY:
        return REPOSITORY / "runs" / "trainings"
    return Path(output) / "trainings"


def forget_trainings(folder: Path) -> None:
    """Remove the trainings that are kept in a folder, and their rows; OutputError where a file is none of them."""
    found = [path for path in folder.glob("*") if path.suffix in (".safetensors", ".json")]
    for path in found:
        refuse_unrecorded(path)
    for path in found:
        path.unlink()


def save_model(path: Path, checkpoint: Checkpoint, row: Json) -> None:
    """Write a checkpoint with its row of `evaluate` inside, and note the file in the row as `checkpoint`."""
    metadata = checkpoint.metadata | {"metrics": dict(row), "commit": source_commit()}
    with recorded_path(path) as partial:
        save_checkpoint(partial, replace(checkpoint, metadata=metadata))
    row["checkpoint"] = f"{path.parent.name}/{path.name}"


def write_metrics(
    folder: Path, sample: Sample | Json, profile: str, seed: int, device: str | None, **results: object
) -> Json:
    """Write `results` to metrics.json in a notebook's plot folder; returns it all.

    Beside them stand the commit of the code and what they were measured on: the source of a sample, or what stands for
    it.
    """
    content = {
        "notebook": folder.name,
        "commit": source_commit(),
        "profile": profile,
        "dataset": sample.source if isinstance(sample, Sample) else sample,
        "seed": seed,
        "device": str(pick_device(device)),
        "machine": machine_info(),
        **results,
    }
    write_json(folder / "metrics.json", content, recorded=True)
    return content
