"""Weights and everything needed to use them, in one safetensors file."""

import hashlib
import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from utils.files import Json, atomic_path
from utils.jets import FEATURES, UNITS
from utils.limits import Form, parse_json, require_form
from utils.networks.autoencoder import Autoencoder, PCABaseline
from utils.networks.normalization import Normalization
from utils.networks.variants import AutoencoderConfig
from utils.text import listing

FORMAT = "compression-hep checkpoint 2"

UNDIGESTED = "compression-hep checkpoint 1"
"""What files of earlier versions say, which have no digest."""

MOST_LAYERS, WIDEST_LAYER = 1000, 2**13
"""Of the networks that files may describe: what building and running one takes is bounded by them."""

_LAYERS: Form = {"nodes": [int], "activation": (str, None), "batch_norm?": bool, "residual?": bool}

_FORMS: dict[str, Form] = {"Autoencoder": _LAYERS, "PCABaseline": {"rank": int, "inputs": int}}

_METADATA = {"training?": {"loss?": str}, "data?": {"range?": {name: [float] for name in FEATURES}}}
"""What is used of the metadata."""

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
    """An untrained model from `architecture_of`'s description; ValueError where it describes none, or one too large."""
    require_form(architecture, {"class": str}, "architecture")
    options = dict(architecture)
    name = options.pop("class")
    if name not in _FORMS:
        raise ValueError(f"unknown model class {name!r}; known: Autoencoder, PCABaseline")
    require_form(options, _FORMS[name], "architecture")
    widths = options.get("nodes", [options.get("inputs", 0)])
    if len(widths) > MOST_LAYERS or max(widths, default=0) > WIDEST_LAYER:
        raise ValueError(
            f"a network of {len(widths)} layers of up to {max(widths)} nodes; files hold those of at most "
            f"{MOST_LAYERS} layers and {WIDEST_LAYER} nodes"
        )
    if unknown := options.keys() - {key.removesuffix("?") for key in _FORMS[name]}:
        raise ValueError(f"architecture: unknown {listing(sorted(unknown))}")
    return PCABaseline(**options) if name == "PCABaseline" else Autoencoder(AutoencoderConfig(**options))


def blank_model(architecture: Json) -> Model:
    """`build_model` without memory for its weights, to compare shapes with; ValueError too for no network of jets."""
    with torch.device("meta"):
        model = build_model(architecture)
    inputs = model.components.shape[1] if isinstance(model, PCABaseline) else model.config.nodes[0]
    if inputs != len(FEATURES):
        raise ValueError(f"a network of {inputs} values, expected {len(FEATURES)}: {', '.join(FEATURES)}")
    return model


def check_metadata(metadata: object) -> Json:
    """The metadata of a model that a file describes; ValueError where what is used of them is of another form."""
    require_form(metadata, _METADATA, "metadata")
    assert isinstance(metadata, dict)
    ranges = metadata.get("data", {}).get("range", {})
    if any(len(ends) != 2 for ends in ranges.values() if isinstance(ends, list)):
        raise ValueError("metadata: data: range has not two ends for each quantity")
    return metadata


def save_checkpoint(path: str | Path, checkpoint: Checkpoint) -> None:
    """Write `checkpoint` to a safetensors file; its header describes the model in JSON."""
    description: Json = {
        "architecture": architecture_of(checkpoint.model),
        "normalization": checkpoint.normalization.to_dict(),
        "features": list(FEATURES),
        "units": UNITS,
        "metadata": checkpoint.metadata,
        "versions": {name: version(name) for name in ("compression-hep", "torch", "fastai", "numpy", "safetensors")}
        | {"python": platform.python_version()},
    }
    require_numbers(blank_model(description["architecture"]).state_dict(), checkpoint.model.state_dict(), path)
    header = {"format": FORMAT} | {key: json.dumps(value, allow_nan=False) for key, value in description.items()}
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in checkpoint.model.state_dict().items()}
    header["digest"] = _digest(header, tensors)
    with atomic_path(path) as partial:
        save_file(tensors, partial, metadata=header)


def read_header(path: str | Path) -> Json:
    """The description in a checkpoint's header: architecture, normalization, features, units, metadata, versions.

    Raises CheckpointError for any other file, and where the file is damaged, naming it.
    """
    texts, state = _read_file(path)
    _require_digest(texts, state, path)
    return _parse_header(texts, path)


def load_checkpoint(path: str | Path, device: str | torch.device = "cpu") -> Checkpoint:
    """Read a checkpoint written by `save_checkpoint`, in evaluation mode on `device`.

    Raises CheckpointError where the file is not one, is damaged, or holds other tensors than its header promises.
    """
    texts, state = _read_file(path)
    header = _parse_header(texts, path)
    for key, expected in (("features", list(FEATURES)), ("units", UNITS)):
        if header.get(key) != expected:
            raise CheckpointError(f"{path}: its header gives the {key} {header.get(key)}, expected {expected}")
    try:
        blank = blank_model(header["architecture"])
        normalization = Normalization.from_dict(header["normalization"])
        metadata = check_metadata(header.get("metadata", {}))
    except (KeyError, TypeError, ValueError, ArithmeticError) as error:
        raise CheckpointError(f"{path}: its header describes no model of this project ({error})") from error
    require_fit(tensor_shapes(blank.state_dict()), tensor_shapes(state), path)
    _require_digest(texts, state, path)
    model = build_model(header["architecture"])
    load_state(model, state, path)
    return Checkpoint(model.to(device), normalization, metadata)


def _read_file(path: str | Path) -> tuple[dict[str, str], dict[str, torch.Tensor]]:
    """The texts in the header of a checkpoint, and its tensors, which take no more memory than the file."""
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file; a checkpoint of this project ends in .safetensors")
    try:
        with safe_open(path, framework="pt") as file:
            texts = file.metadata() or {}
            if texts.get("format") not in (FORMAT, UNDIGESTED):
                raise CheckpointError(
                    f"{path}: a safetensors file, but not of this project: its header says format "
                    f"{texts.get('format')!r}, expected {FORMAT!r}"
                )
            return texts, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except CheckpointError:
        raise
    except Exception as error:  # also for types of tensors that torch does not have
        raise CheckpointError(f"{path}: not a whole safetensors file ({error})") from error


def _parse_header(texts: Mapping[str, str], path: str | Path) -> Json:
    try:
        return {key: parse_json(text) for key, text in texts.items() if key not in ("format", "digest")}
    except ValueError as error:
        raise CheckpointError(f"{path}: its header is not JSON ({error})") from error


def _digest(texts: Mapping[str, str], state: Mapping[str, torch.Tensor]) -> str:
    """SHA-256 over the texts of a header and over names, types, shapes and bytes of tensors, in order of names."""
    digest = hashlib.sha256()
    for key in sorted(texts.keys() - {"digest"}):
        digest.update(f"{key}\0{texts[key]}\0".encode())
    for name in sorted(state):
        digest.update(f"{name}\0{state[name].dtype} {tuple(state[name].shape)}\0".encode())
        digest.update(state[name].reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _require_digest(texts: Mapping[str, str], state: Mapping[str, torch.Tensor], path: str | Path) -> None:
    if texts["format"] != UNDIGESTED and texts.get("digest") != _digest(texts, state):
        raise CheckpointError(f"{path}: damaged: its header and weights do not fit the digest in its header")


def load_state(model: Model, state: Mapping[str, torch.Tensor], source: str | Path) -> None:
    """Fill `model` with `state`; CheckpointError lists the missing, unexpected and misshapen tensors, and other numbers
    than finite ones of the model's types."""
    own = model.state_dict()
    require_fit(tensor_shapes(own), tensor_shapes(state), source)
    require_numbers(own, state, source)
    model.load_state_dict(dict(state))


def require_numbers(own: Mapping[str, torch.Tensor], state: Mapping[str, torch.Tensor], source: str | Path) -> None:
    """Raise CheckpointError unless tensors hold finite numbers of the types of the model's own."""
    for name, tensor in state.items():
        if tensor.dtype != own[name].dtype:
            raise CheckpointError(f"{source}: {name} holds {tensor.dtype}, expected {own[name].dtype}")
        if not bool(torch.isfinite(tensor).all()):
            raise CheckpointError(f"{source}: {name} holds NaN or infinite numbers")
        if name.endswith("running_var") and bool((tensor < 0).any()):
            raise CheckpointError(f"{source}: {name} holds negative variances")


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
