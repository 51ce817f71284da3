"""Weights and everything needed to use them, in one safetensors file."""

import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from utils.files import Json, atomic_path
from utils.jets import FEATURES, UNITS
from utils.networks.autoencoder import Autoencoder, PCABaseline
from utils.networks.normalization import Normalization
from utils.networks.variants import AutoencoderConfig
from utils.text import listing

FORMAT = "compression-hep checkpoint 1"

Model = Autoencoder | PCABaseline


class CheckpointError(ValueError):
    """A file that is not a usable checkpoint; the message names the file and what is wrong with it."""


@dataclass(frozen=True)
class Checkpoint:
    """A model, the normalization of its inputs and outputs, and where both come from.

    `metadata` is JSON-safe: the keys `training`, `data` and `metrics` where the model was trained here, `source` where
    it was published elsewhere.
    """

    model: Model
    normalization: Normalization
    metadata: Json = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.model.eval()

    @property
    def training_range(self) -> dict[str, list[float]] | None:
        """Lowest and highest value of each quantity of the jets that the model was trained on, where it is known."""
        return self.metadata.get("data", {}).get("range")

    @property
    def name(self) -> str:
        """Short name of the model, such as `tanh` or `pca`."""
        return str(self.metadata.get("model", "pca" if isinstance(self.model, PCABaseline) else "autoencoder"))


def architecture_of(model: Model) -> Json:
    """JSON-safe description from which `build_model` makes an untrained model of the same shape."""
    if isinstance(model, PCABaseline):
        return {"class": "PCABaseline", "rank": model.rank, "inputs": model.components.shape[1]}
    return {"class": "Autoencoder"} | model.config.to_dict()


def build_model(architecture: Json) -> Model:
    """An untrained model from `architecture_of`'s description; ValueError or TypeError where it describes none."""
    options = dict(architecture)
    name = options.pop("class", None)
    if name == "PCABaseline":
        return PCABaseline(**options)
    if name == "Autoencoder":
        return Autoencoder(AutoencoderConfig(**options))
    raise ValueError(f"unknown model class {name!r}; known: Autoencoder, PCABaseline")


def save_checkpoint(path: str | Path, checkpoint: Checkpoint) -> None:
    """Write `checkpoint` to a safetensors file; its header describes the model in JSON."""
    description = {
        "architecture": architecture_of(checkpoint.model),
        "normalization": checkpoint.normalization.to_dict(),
        "features": list(FEATURES),
        "units": UNITS,
        "metadata": checkpoint.metadata,
        "versions": {name: version(name) for name in ("compression-hep", "torch", "fastai", "numpy", "safetensors")}
        | {"python": platform.python_version()},
    }
    header = {"format": FORMAT} | {key: json.dumps(value, allow_nan=False) for key, value in description.items()}
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in checkpoint.model.state_dict().items()}
    with atomic_path(path) as partial:
        save_file(tensors, partial, metadata=header)


def read_header(path: str | Path) -> Json:
    """The description in a checkpoint's header: architecture, normalization, features, units, metadata, versions.

    Raises CheckpointError for any other file, naming it.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file; a checkpoint of this project ends in .safetensors")
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
    except SafetensorError as error:
        raise CheckpointError(f"{path}: not a whole safetensors file ({error})") from error
    if header.get("format") != FORMAT:
        raise CheckpointError(
            f"{path}: a safetensors file, but not of this project: its header says format "
            f"{header.get('format')!r}, expected {FORMAT!r}"
        )
    try:
        return {key: json.loads(value) for key, value in header.items() if key != "format"}
    except ValueError as error:
        raise CheckpointError(f"{path}: its header is not JSON ({error})") from error


def load_checkpoint(path: str | Path, device: str | torch.device = "cpu") -> Checkpoint:
    """Read a checkpoint written by `save_checkpoint`, in evaluation mode on `device`.

    Raises CheckpointError where the file is not one, is cut short, or holds other tensors than its header promises.
    """
    header = read_header(path)
    for key, expected in (("features", list(FEATURES)), ("units", UNITS)):
        if header.get(key) != expected:
            raise CheckpointError(f"{path}: its header gives the {key} {header.get(key)}, expected {expected}")
    metadata = header.get("metadata", {})
    if not isinstance(metadata, dict):
        raise CheckpointError(f"{path}: its header gives the metadata {metadata!r}, expected a dict")
    try:
        model = build_model(header["architecture"])
        normalization = Normalization.from_dict(header["normalization"])
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: its header describes no model of this project ({error!r})") from error
    with safe_open(path, framework="pt", device=str(device)) as file:
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    load_state(model, state, path)
    return Checkpoint(model.to(device), normalization, metadata)


def load_state(model: Model, state: dict[str, torch.Tensor], source: str | Path) -> None:
    """Fill `model` with `state`; CheckpointError lists the missing, unexpected and misshapen tensors."""
    require_fit(tensor_shapes(model.state_dict()), tensor_shapes(state), source)
    model.load_state_dict(state)


def tensor_shapes(state: Mapping[str, Any]) -> dict[str, tuple[int, ...] | str]:
    """Tensor name -> shape, or the type of what is no tensor."""
    return {
        name: tuple(value.shape) if isinstance(value, torch.Tensor) else type(value).__name__
        for name, value in state.items()
    }


def require_fit(expected: Mapping[str, Any], found: Mapping[str, Any], source: str | Path) -> None:
    """Compare tensor names and shapes; CheckpointError lists every difference."""
    problems = []
    if missing := expected.keys() - found.keys():
        problems.append(f"missing: {listing(sorted(missing))}")
    if unexpected := found.keys() - expected.keys():
        problems.append(f"unexpected: {listing(sorted(unexpected))}")
    problems += [
        f"{name} has shape {found[name]}, expected {expected[name]}"
        for name in sorted(expected.keys() & found.keys())
        if found[name] != expected[name]
    ]
    if problems:
        raise CheckpointError(f"{source}: the weights do not fit the architecture; {'; '.join(problems)}")
