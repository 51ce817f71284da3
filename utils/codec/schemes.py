"""The scheme of a codec: fitted to the first chunk, or rebuilt from what a container says."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from utils import networks
from utils.codec.archive import ContainerError, blaming
from utils.codec.arrays import read_all
from utils.codec.bounded import BoundedScheme
from utils.codec.bounds import EXACT, Bounds
from utils.codec.incoming import jet_columns
from utils.codec.jet_fitting import choose_networks
from utils.codec.jet_networks import JetNetworks
from utils.codec.latents import AutoencoderScheme, fit_latent_steps
from utils.codec.models import AnyModel, as_networks, require_model
from utils.codec.neural import NeuralScheme
from utils.codec.reader import Reader
from utils.codec.scheme import Scheme
from utils.codec.settings import CODECS
from utils.files import Json
from utils.jets import FEATURES, event_counts, make_table

if TYPE_CHECKING:
    from utils.networks import Checkpoint

    Model = Checkpoint | JetNetworks | str | Path

_SMALL_DECODER, _VALUES_A_BYTE = 2**20, 8
"""Values that a decoder may hold, whatever the file's size, and how many more for each of its bytes."""


def check_settings(
    codec: str,
    bounds: Bounds | None = None,
    model: "Model | None" = None,
    latent_bits: float | None = None,
    refine: int = 0,
    keep_nonfinite: bool = False,
    embed_model: bool = False,
) -> None:
    """Raise ValueError for settings of `compress` that do not belong together, or a model that cannot be loaded."""
    if codec not in CODECS:
        raise ValueError(f"unknown codec {codec!r}; known: {', '.join(CODECS)}")
    if embed_model and (codec != "neural" or model is None):
        raise ValueError(
            "embedding a model belongs to the codec neural with a model; autoencoder always stores its decoder"
        )
    if codec != "autoencoder" and (latent_bits is not None or refine):
        raise ValueError(f"latent bits and refinement belong to the codec autoencoder, not to {codec}")
    if codec not in ("neural", "autoencoder") and model is not None:
        raise ValueError(f"a model belongs to the codec neural or autoencoder, not to {codec}")
    if codec == "neural":
        _check_neural(bounds, model)
        return
    if codec == "lossless" and bounds is not None:
        raise ValueError("the codec lossless keeps every bit: it takes no error bounds")
    if codec != "autoencoder":
        return
    if model is None:
        raise ValueError("the codec autoencoder needs a model: a checkpoint of this project, or published weights")
    if keep_nonfinite:
        raise ValueError("the codec autoencoder cannot keep values that are not finite; use bounded or lossless")
    if refine < 0:
        raise ValueError(f"refinement takes a number of steps, none or more, found {refine}")
    if latent_bits is not None and not 1 <= latent_bits <= 24:
        raise ValueError(f"latent bits must lie in 1..24, found {latent_bits:g}")
    networks.load_model(model)  # type: ignore[arg-type]


def _check_neural(bounds: Bounds | None, model: "Model | None") -> None:
    if bounds is not None and any(getattr(bounds, name).exact for name in FEATURES):
        raise ValueError("the codec neural needs a bound above 0 for each quantity; use bounded to keep one exactly")
    if model is not None:
        own = as_networks(model, JetNetworks).plain.bounds
        others = [name for name in FEATURES if bounds is not None and getattr(bounds, name) != getattr(own, name)]
        if others:
            bound = getattr(own, others[0])
            raise ValueError(
                f"the model was trained for another bound of {others[0]}, {bound.relative:g} of it or "
                f"{bound.absolute:g}: give its bounds, or none"
            )


def scheme_maker(
    codec: str,
    bounds: Bounds | None,
    model: "Model | None",
    latent_bits: float | None,
    refine: int,
    keep_nonfinite: bool,
    embed_model: bool,
) -> Callable[[pd.DataFrame | None], tuple[Scheme, Json]]:
    """What fits the scheme of a codec to the first chunk; ValueError for settings that do not belong together."""
    check_settings(codec, bounds, model, latent_bits, refine, keep_nonfinite, embed_model)
    if codec == "neural":
        given = None if model is None else as_networks(model, JetNetworks)
        return partial(_neural, bounds, given, given is not None and not embed_model)
    if codec != "autoencoder":
        scheme = BoundedScheme.of(EXACT if codec == "lossless" else bounds or Bounds())
        return lambda table: (
            scheme if table is None else scheme.fitted(jet_columns(table), event_counts(table)[1]),
            {},
        )
    assert model is not None
    assert not isinstance(model, JetNetworks)
    checkpoint = networks.load_model(model)

    def fitted(table: pd.DataFrame | None) -> tuple[Scheme, Json]:
        table = make_table([], [], [], []) if table is None else table
        jets = np.stack(list(jet_columns(table).values()), axis=1)
        offset, matrix, growth = fit_latent_steps(checkpoint, jets, latent_bits, refine=refine)
        corrections = None if bounds is None else BoundedScheme.of(bounds)
        return AutoencoderScheme(checkpoint, offset, matrix, corrections, refine), {"latent_mse_growth": growth}

    return fitted


def _neural(
    bounds: Bounds | None, model: JetNetworks | None, apart: bool, table: pd.DataFrame | None
) -> tuple[Scheme, Json]:
    """Networks of a model, or fitted to a chunk, and what they save; the codec bounded where that is nothing."""
    table = make_table([], [], [], []) if table is None else table
    columns, counts = jet_columns(table), event_counts(table)[1]
    plain = BoundedScheme.of(bounds or (model.plain.bounds if model else Bounds())).fitted(columns, counts)
    found, saving = choose_networks(plain, columns, counts, model, apart)
    if found is None:
        return plain, {"codec": "bounded", "saving": saving}
    return NeuralScheme(found, apart), {"saving": saving}


def read_scheme(reader: Reader, model: AnyModel | None = None) -> Scheme:
    """The scheme that a container describes; ContainerError where it describes none.

    `model` is for those of the codec neural whose networks are apart.
    """
    codec = reader.attributes.get("codec")
    if codec not in CODECS:
        raise ContainerError(f"{reader.path}: codec {codec!r}; this version knows {', '.join(CODECS)}")
    given = _model_named(reader, model) if reader.attributes.get("networks_apart") is True else None
    with blaming(f"{reader.path}: its codec {codec}"):
        if codec not in ("autoencoder", "neural"):
            return BoundedScheme.from_dict(reader.attributes)
        if codec == "neural" and given is not None:
            return NeuralScheme.from_dict(reader.attributes, {}, given)
        most = _SMALL_DECODER + _VALUES_A_BYTE * reader.path.stat().st_size
        weights = read_all(reader.arrays("decoder"), most, most)
        described_by = NeuralScheme if codec == "neural" else AutoencoderScheme
        return described_by.from_dict(reader.attributes, weights)


def _model_named(reader: Reader, model: AnyModel | None) -> JetNetworks:
    """The model that a container names; ContainerError where it is another, or none is given."""
    networks = reader.attributes.get("networks")
    wanted = networks.get("sha256") if isinstance(networks, dict) else None
    return require_model(str(reader.path), wanted, model, JetNetworks)
