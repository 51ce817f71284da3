"""Models for the codec neural: networks for jets or for columns, trained for many files, in a safetensors file."""

import json
from pathlib import Path
from typing import TypeVar

from safetensors import safe_open
from safetensors.numpy import save_file

from utils import networks
from utils.codec.archive import ContainerError
from utils.codec.column_networks import ColumnNetworks
from utils.codec.jet_networks import JetNetworks
from utils.codec.network_arrays import MOST_WEIGHTS, NAMES
from utils.files import Json, atomic_path
from utils.limits import parse_json, require_form

Model = TypeVar("Model", JetNetworks, ColumnNetworks)

AnyModel = JetNetworks | ColumnNetworks | str | Path
"""Networks, or the file of a model."""

_KINDS: dict[type[JetNetworks | ColumnNetworks], tuple[str, str, str]] = {
    JetNetworks: ("compression-hep networks 1", "jets", "train --codec neural"),
    ColumnNetworks: ("compression-hep column networks 1", "columns", "train --codec neural --policy POLICY"),
}
"""The format of files of each kind, what its networks code, and the command that writes it."""


def save_networks(path: str | Path, model: JetNetworks | ColumnNetworks, metadata: Json) -> None:
    """Write networks to a safetensors file; `metadata` says where they come from."""
    description = {"codec": model.to_dict(), "metadata": metadata}
    header = {"format": _KINDS[type(model)][0], "description": json.dumps(description, allow_nan=False)}
    with atomic_path(path) as partial:
        save_file(model.arrays, partial, metadata=header)


def load_networks(path: str | Path, kind: type[Model]) -> Model:
    """The networks of a file that `save_networks` wrote, `JetNetworks` or `ColumnNetworks`.

    CheckpointError naming the file where it holds none of this kind, or is damaged.
    """
    found, _ = _read(path, kind)
    assert isinstance(found, kind)
    return found


def inspect_model(path: str | Path) -> Json:
    """What a model says of itself, be it for the codec neural or an autoencoder; CheckpointError where it is none."""
    try:
        with safe_open(path, framework="numpy") as file:
            found = (file.metadata() or {}).get("format")
    except Exception:  # whatever is wrong, `read_header` says
        found = None
    for kind, (name, _, _) in _KINDS.items():
        if found == name:
            model, metadata = _read(path, kind)
            return model.shown() | {"metadata": metadata}
    return networks.read_header(path)


def _read(path: str | Path, kind: type[JetNetworks | ColumnNetworks]) -> tuple[JetNetworks | ColumnNetworks, Json]:
    name, what, command = _KINDS[kind]
    if not Path(path).is_file():
        raise networks.CheckpointError(f"{path}: no such file; `compressionhep {command}` writes models")
    try:
        with safe_open(path, framework="numpy") as file:
            header = file.metadata() or {}
            if header.get("format") != name:
                raise networks.CheckpointError(
                    f"{path}: no model for {what} by the codec neural, but one of format {header.get('format')!r}; "
                    f"`compressionhep {command}` writes them"
                )
            names = set(file.keys())
            if names != set(NAMES) or any(file.get_slice(name).get_shape()[0] > MOST_WEIGHTS for name in names):
                raise ValueError("other arrays than those of networks")
            arrays = {name: file.get_tensor(name) for name in names}
        description = parse_json(header["description"])
        require_form(description, {"codec": dict, "metadata": dict}, "its header")
        return kind.from_dict(description["codec"], arrays), description["metadata"]
    except networks.CheckpointError:
        raise
    except Exception as error:  # also for types of tensors that NumPy does not have
        raise networks.CheckpointError(f"{path}: not a whole model for the codec neural ({error})") from error


def as_networks(model: object, kind: type[Model]) -> Model:
    """A model for the codec neural, loaded where it is a path; ValueError for any other."""
    if isinstance(model, kind):
        return model
    if not isinstance(model, str | Path):
        raise ValueError(f"a model for the codec neural is a file or {kind.__name__}, found {type(model).__name__}")
    return load_networks(model, kind)


def require_model(where: str, sha256: object, model: object, kind: type[Model]) -> Model:
    """The model that a container names by its checksum; ContainerError where it is another, or none is given."""
    wanted = str(sha256)[:12]
    if model is None:
        raise ContainerError(f"{where}: names a model, checksum {wanted}, and holds none: give it (--model)")
    given = as_networks(model, kind)
    if given.sha256 != sha256:
        raise ContainerError(f"{where}: written with another model: checksum {wanted}, not {given.sha256[:12]}")
    return given
