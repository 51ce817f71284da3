"""Models for the codec neural: networks for jets, trained for many files, in a safetensors file."""

import json
from pathlib import Path

from safetensors import safe_open
from safetensors.numpy import save_file

from utils import networks
from utils.codec.jet_networks import JetNetworks
from utils.codec.network_arrays import MOST_WEIGHTS, NAMES
from utils.files import Json, atomic_path
from utils.limits import parse_json, require_form

FORMAT = "compression-hep networks 1"


def save_jet_networks(path: str | Path, model: JetNetworks, metadata: Json) -> None:
    """Write networks to a safetensors file; `metadata` says where they come from."""
    description = {"codec": model.to_dict(), "metadata": metadata}
    header = {"format": FORMAT, "description": json.dumps(description, allow_nan=False)}
    with atomic_path(path) as partial:
        save_file(model.arrays, partial, metadata=header)


def load_jet_networks(path: str | Path) -> JetNetworks:
    """The networks of a file that `save_jet_networks` wrote; CheckpointError naming it where it is none, or damaged."""
    return _read(path)[0]


def inspect_model(path: str | Path) -> Json:
    """What a model says of itself, be it for the codec neural or an autoencoder; CheckpointError where it is none."""
    try:
        with safe_open(path, framework="numpy") as file:
            is_ours = (file.metadata() or {}).get("format") == FORMAT
    except Exception:  # whatever is wrong, `read_header` says
        is_ours = False
    if not is_ours:
        return networks.read_header(path)
    model, metadata = _read(path)
    return model.to_dict() | {"metadata": metadata}


def _read(path: str | Path) -> tuple[JetNetworks, Json]:
    if not Path(path).is_file():
        raise networks.CheckpointError(f"{path}: no such file; `compressionhep train --codec neural` writes models")
    try:
        with safe_open(path, framework="numpy") as file:
            header = file.metadata() or {}
            if header.get("format") != FORMAT:
                raise networks.CheckpointError(
                    f"{path}: no model for the codec neural, but one of format {header.get('format')!r}; "
                    "`compressionhep train --codec neural` writes them"
                )
            names = set(file.keys())
            if names != set(NAMES) or any(file.get_slice(name).get_shape()[0] > MOST_WEIGHTS for name in names):
                raise ValueError("other arrays than those of networks")
            arrays = {name: file.get_tensor(name) for name in names}
        description = parse_json(header["description"])
        require_form(description, {"codec": dict, "metadata": dict}, "its header")
        return JetNetworks.from_dict(description["codec"], arrays), description["metadata"]
    except networks.CheckpointError:
        raise
    except Exception as error:  # also for types of tensors that NumPy does not have
        raise networks.CheckpointError(f"{path}: not a whole model for the codec neural ({error})") from error


def as_jet_networks(model: object) -> JetNetworks:
    """A model for the codec neural, loaded where it is a path; ValueError for any other."""
    if isinstance(model, JetNetworks):
        return model
    if not isinstance(model, str | Path):
        raise ValueError(f"a model for the codec neural is a file or JetNetworks, found {type(model).__name__}")
    return load_jet_networks(model)
