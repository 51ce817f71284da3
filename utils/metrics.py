"""Errors of reconstructed jets, in the units that a physicist reads."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from utils.files import write_json
from utils.jets import Sample
from utils.machine import machine_info
from utils.networks import Checkpoint, save_checkpoint


def save_model(path: Path, checkpoint: Checkpoint, row: dict[str, Any]) -> None:
    """Write a checkpoint with its row of `evaluate` inside, and note the file in the row as `checkpoint`."""
    save_checkpoint(path, replace(checkpoint, metadata=checkpoint.metadata | {"metrics": dict(row)}))
    row["checkpoint"] = f"{path.parent.name}/{path.name}"


def write_metrics(
    folder: Path, sample: Sample, profile: str, seed: int, device: str | None, **results: Any
) -> dict[str, Any]:
    """Write `results` to metrics.json in a notebook's plot folder, with what they were measured on; returns it all."""
    content = {
        "notebook": folder.name,
        "profile": profile,
        "dataset": sample.source,
        "seed": seed,
        "device": str(device),
        "machine": machine_info(),
        **results,
    }
    write_json(folder / "metrics.json", content)
    return content
