"""Trainings that are kept in a folder, and found again by a digest of all that they depend on."""

import hashlib
import json
from pathlib import Path

import pandas as pd
import torch
from fastai.data.core import DataLoaders
from fastai.torch_core import num_distrib
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from utils.files import Json, manage_folder, recorded_path
from utils.networks import AutoencoderConfig
from utils.provenance import code_digest, digest_of, package_files
from utils.training.config import TrainingConfig

TRAINING_CODE = (
    "networks/autoencoder.py",
    "networks/losses.py",
    "networks/zigzag.py",
    "training/batches.py",
    "training/callbacks.py",
    "training/loop.py",
    "training/processes.py",
    "training/soap.py",
)
"""The code that a training runs. The jets come into its digest as they are: whatever read and normalized them."""


def training_digest(config: AutoencoderConfig, dls: DataLoaders, training: TrainingConfig, seed: int) -> str:
    """SHA-256 of jets, architecture, schedule, seed, kind of device and code: the same digest, the same training."""
    train, valid = (dl.dataset for dl in dls.loaders)
    normalization = None if training.loss == "mse" else train.loss_func.normalization.to_dict()
    return digest_of(
        {
            "jets": [_sha256(train.jets), _sha256(valid.jets)],
            "architecture": config.to_dict(),
            "training": training.to_dict(),
            "batches": [dls.train.bs, dls.valid.bs],
            "normalization": normalization,
            "seed": seed,
            "device": [dls.device.type, num_distrib()],
            "code": code_digest(package_files(*TRAINING_CODE)),
        }
    )


def _sha256(tensor: torch.Tensor) -> str:
    return hashlib.sha256(tensor.cpu().numpy().tobytes()).hexdigest()


def save_training(
    folder: Path, digest: str, state: dict[str, torch.Tensor], tables: dict[str, pd.DataFrame], facts: Json
) -> None:
    """Keep weights, tables of numbers and JSON-safe facts of a training as one safetensors file."""
    tensors = {f"model.{name}": tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    tensors |= {
        f"table.{name}": torch.tensor(table.to_numpy(dtype="float64")).contiguous() for name, table in tables.items()
    }
    header = {"digest": digest, "facts": json.dumps(facts)}
    header |= {f"columns.{name}": json.dumps(list(table)) for name, table in tables.items()}
    with recorded_path(_path(manage_folder(folder), digest)) as partial:
        save_file(tensors, partial, metadata=header)


def load_training(folder: Path, digest: str) -> tuple[dict[str, torch.Tensor], dict[str, pd.DataFrame], Json] | None:
    """What `save_training` kept under this digest; None where there is nothing, or a file that is none of its own."""
    try:
        with safe_open(_path(folder, digest), framework="pt") as file:
            header = file.metadata()
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        state = {name.removeprefix("model."): value for name, value in tensors.items() if name.startswith("model.")}
        tables = {
            name.removeprefix("table."): _table(value, json.loads(header[name.replace("table", "columns", 1)]))
            for name, value in tensors.items()
            if name.startswith("table.")
        }
        return (state, tables, json.loads(header["facts"])) if header["digest"] == digest else None
    except (FileNotFoundError, SafetensorError, KeyError, TypeError, ValueError):
        return None


def _table(values: torch.Tensor, columns: list[str]) -> pd.DataFrame:
    table = pd.DataFrame(values.numpy(), columns=columns)
    return table.astype({name: int for name in ("epoch", "step", "layer") if name in columns})


def _path(folder: Path, digest: str) -> Path:
    return folder / f"{digest[:32]}.safetensors"
