"""Weights that fastai wrote, the published ones among them."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from utils.jets import COMMIT, FEATURES, FILES, REPOSITORY, git_blob_id
from utils.networks.autoencoder import Autoencoder
from utils.networks.checkpoint import (
    Checkpoint,
    CheckpointError,
    blank_model,
    load_checkpoint,
    load_state,
    require_fit,
    tensor_shapes,
)
from utils.networks.normalization import CustomNormalization, NoNormalization, Normalization, StandardNormalization
from utils.networks.torch_files import read_torch_file, require_tensors
from utils.networks.variants import ACTIVATIONS, AutoencoderConfig
from utils.text import listing


@dataclass(frozen=True)
class PublishedModel:
    """What the weights of a published model do not say: its activation, normalization and order of the features."""

    activation: str
    normalization: Normalization
    features: tuple[str, ...] = FEATURES


PUBLISHED_NORMALIZATION = StandardNormalization(
    offset=(8.941356798574112, 64.4586834713153, 0.0016911698064244517, 0.043500007558950296),
    scale=(7.42127011052663, 69.8749930263864, 1.8031508801540244, 1.4484389818869445),
)
"""Mean and standard deviation of the published training jets, in GeV and rad. Jets in MeV, standardized by moments in
MeV, give the same values."""

PUBLISHED_MODELS: dict[str, PublishedModel] = {
    "AE_3D_200_no1cycle_no_norm.pth": PublishedModel("linear", NoNormalization()),
    "AE_3D_200_no1cycle_std_norm.pth": PublishedModel("tanh", PUBLISHED_NORMALIZATION),
    "AE_3D_200_no1cycle_custom_norm.pth": PublishedModel("tanh", CustomNormalization()),
    "AE_3D_200_ReLU_BN_custom_norm.pth": PublishedModel("leaky_relu", CustomNormalization()),
    "AE_3D_200_ELU_BN_custom_norm.pth": PublishedModel("elu", CustomNormalization()),
    "AE_3D_200_no1cycle_trainforever.pth": PublishedModel(
        "tanh", PUBLISHED_NORMALIZATION, features=("pt", "eta", "phi", "m")
    ),
}
"""The six published checkpoints by file name; the last is E. Wallin's pre-trained model."""


def load_published(
    path: str | Path,
    *,
    activation: str | None = None,
    normalization: Normalization | None = None,
    features: tuple[str, ...] | None = None,
) -> Checkpoint:
    """Load weights that fastai 1 or 2 wrote with `Learner.save`, of the architectures of this study, of any widths.

    Understood are the layers `en1, ..., de1, ...` of the published tanh and linear models and `encoder.N`,
    `decoder.N` of the others, bare or beside the state of the optimizer. The six published files, known by
    content, need no more. Of other files the weights do not say `activation` ("tanh", "leaky_relu", "elu" or
    "linear"), `normalization` and, where it is not m, pt, phi, eta, the order of the `features` that the network was
    trained on. The first and last layer are permuted, so that the loaded model takes and gives m, pt, phi, eta like
    all others.

    Only tensors and plain values are unpickled. Raises CheckpointError for anything else, naming what the file asks
    for, and for other layers, listing those missing and unexpected.
    """
    path = Path(path)
    state = _read_fastai_state(path)
    blob = git_blob_id(path)
    published = next((name for name, file in FILES.items() if file.blob == blob), None)
    if published is None and path.name in PUBLISHED_MODELS and (activation is None or normalization is None):
        raise CheckpointError(
            f"{path}: not the published file of that name, or damaged: its git blob id is {blob}, expected "
            f"{FILES[path.name].blob}; for weights of your own pass activation= and normalization="
        )
    known = PUBLISHED_MODELS.get(published or "")
    if known is not None:
        activation = activation or known.activation
        normalization = normalization or known.normalization
        features = features or known.features
    features = features or FEATURES
    if sorted(features) != sorted(FEATURES):
        raise ValueError(f"features {features}: expected an order of {FEATURES}")
    nodes, layers, seen = _fastai_layers(state, path)
    activation = activation or seen
    if activation is None or normalization is None:
        raise CheckpointError(
            f"{path}: the weights do not say {'the activation' if activation is None else 'the normalization'} of the "
            f"model; pass activation= (one of {', '.join([*ACTIVATIONS, 'linear'])}) and normalization=, in Python: "
            "networks.save_checkpoint('model.safetensors', networks.load_published(FILE, activation=..., "
            "normalization=...)) makes a checkpoint that every command reads"
        )
    model = _filled_model(state, nodes, layers, activation, path)
    _permute_features(model, features)
    source = {
        "file": path.name,
        "git_blob": blob,
        "published": f"{REPOSITORY}@{COMMIT}/{FILES[published].path}" if published else None,
        "trained_on_features": list(features),
    }
    return Checkpoint(model, normalization, {"model": path.stem, "source": source})


def _filled_model(
    state: dict[str, torch.Tensor], nodes: tuple[int, ...], layers: list[str], activation: str, path: Path
) -> Autoencoder:
    """The autoencoder of these widths with the weights of the file, whose Linear layers are called `layers`."""
    batch_norm = any(name.endswith("running_mean") for name in state)
    try:
        config = AutoencoderConfig(nodes, None if activation == "linear" else activation, batch_norm)
    except ValueError as error:
        raise CheckpointError(f"{path}: layers of the widths {listing(nodes)}: {error}") from error
    if config.nodes[0] != len(FEATURES) or config.bottleneck != len(nodes) // 2:
        raise CheckpointError(
            f"{path}: layers of the widths ({listing(nodes)}); expected {len(FEATURES)} values a jet, "
            f"{', '.join(FEATURES)}, and the narrowest layer in the middle"
        )
    try:
        blank = blank_model({"class": "Autoencoder"} | config.to_dict())
    except ValueError as error:
        raise CheckpointError(f"{path}: {error}") from error
    own_names = _own_names(blank, layers)
    shapes = tensor_shapes(blank.state_dict())
    require_fit({name: shapes[own] for name, own in own_names.items()}, tensor_shapes(state), path)
    model = Autoencoder(config)
    load_state(model, {own_names[name]: tensor for name, tensor in state.items()}, path)
    return model


def _read_fastai_state(path: Path) -> dict[str, torch.Tensor]:
    """The state dict in a file of `Learner.save` or `torch.save`."""
    content = read_torch_file(path)
    state = content["model"] if isinstance(content, dict) and isinstance(content.get("model"), dict) else content
    if not isinstance(state, dict) or not state:
        raise CheckpointError(f"{path}: holds a {type(state).__name__}, expected the named tensors of a model")
    return require_tensors(state, path)


def _fastai_layers(state: dict[str, torch.Tensor], path: Path) -> tuple[tuple[int, ...], list[str], str | None]:
    """The widths of a fastai model, the names of its Linear layers in order, and "linear" where the names show that."""
    seen = None
    named = [re.fullmatch(r"(en|de)(\d{1,6})\.(?:weight|bias)", name) for name in state]
    stacked = [re.fullmatch(r"(encoder|decoder)\.(\d{1,6})\.\w+", name) for name in state]
    if any(named):
        depth = max(int(match[2]) for match in named if match)
        layers = [f"{half}{i}" for half in ("en", "de") for i in range(1, depth + 1)]
    elif any(stacked):
        if any(name.endswith("running_mean") for name in state):
            step, start = 3, 0
        elif "encoder.1.weight" in state:
            step, start, seen = 1, 0, "linear"
        else:
            step, start = 2, 1
        depth = max((int(match[2]) - start * (match[1] == "decoder")) // step + 1 for match in stacked if match)
        layers = [f"encoder.{step * i}" for i in range(depth)] + [f"decoder.{start + step * i}" for i in range(depth)]
    else:
        depth = 4
        layers = [f"{half}{i}" for half in ("en", "de") for i in range(1, depth + 1)]
    if depth > max(4, len(state)):
        raise CheckpointError(f"{path}: layers numbered up to {depth}, and {len(state)} tensors")
    widths: list[int | None] = [None] * (len(layers) + 1)
    for i, layer in enumerate(layers):
        weight = state.get(f"{layer}.weight")
        if isinstance(weight, torch.Tensor) and weight.ndim == 2:
            widths[i + 1], widths[i] = weight.shape
    widths[0], widths[-1] = widths[0] or widths[-1], widths[-1] or widths[0]
    found = tuple(width for width in widths if width is not None)
    if len(found) < len(widths):  # two neighbours are missing: without them, no architecture to compare with
        expected = [f"{layer}.{part}" for layer in layers for part in ("weight", "bias")]
        others = [name for name, *matches in zip(state, named, stacked, strict=True) if any(matches)]
        require_fit(dict.fromkeys(expected + others), dict.fromkeys(state), path)
        raise CheckpointError(f"{path}: some weights of {', '.join(layers)} are no matrices")
    return found, layers, seen


def _own_names(model: torch.nn.Module, layers: list[str]) -> dict[str, str]:
    """Tensor name in the file -> tensor name in `model`, for the Linear layers called `layers` in the file."""
    linear = [name for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)]
    called = dict(zip(linear, layers, strict=True))
    own = {}
    for name in model.state_dict():
        layer, _, part = name.rpartition(".")
        own[f"{called.get(layer, layer)}.{part}"] = name
    return own


def _permute_features(model: Autoencoder, features: tuple[str, ...]) -> None:
    """Make a model that was trained on `features` take and give FEATURES."""
    order = [features.index(name) for name in FEATURES]
    first: Any = model.encoder[0]
    last: Any = model.decoder[-1]
    with torch.no_grad():
        first.weight.copy_(first.weight[:, order].clone())
        last.weight.copy_(last.weight[order].clone())
        last.bias.copy_(last.bias[order].clone())


def load_model(model: Checkpoint | str | Path) -> Checkpoint:
    """A model: itself, or what the file holds, a checkpoint (.safetensors) or weights that fastai wrote."""
    if not isinstance(model, str | Path):
        return model
    return load_checkpoint(model) if Path(model).suffix == ".safetensors" else load_published(model)
