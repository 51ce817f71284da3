"""The scheme of a codec: fitted to the first chunk, or rebuilt from what a container says."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from utils import networks
from utils.codec.bounded import BoundedScheme
from utils.codec.bounds import EXACT, Bounds
from utils.codec.chunks import jet_columns, refuse_nonfinite
from utils.codec.container import ContainerError, Reader
from utils.codec.latents import AutoencoderScheme, Scheme, fit_latent_steps
from utils.codec.settings import CODECS, check_settings
from utils.files import Json
from utils.jets import event_counts, make_table

if TYPE_CHECKING:
    from utils.networks import Checkpoint


def scheme_maker(
    codec: str,
    bounds: Bounds | None,
    model: "Checkpoint | str | Path | None",
    latent_bits: float | None,
    refine: int,
    keep_nonfinite: bool,
) -> Callable[[pd.DataFrame | None], tuple[Scheme, Json]]:
    """What fits the scheme of a codec to the first chunk; ValueError for settings that do not belong together."""
    check_settings(codec, bounds, model, latent_bits, refine, keep_nonfinite)
    if codec != "autoencoder":
        scheme = BoundedScheme.of(EXACT if codec == "lossless" else bounds or Bounds())
        return lambda table: (
            scheme if table is None else scheme.fitted(jet_columns(table), event_counts(table)[1]),
            {},
        )
    assert model is not None
    checkpoint = networks.load_model(model)

    def fitted(table: pd.DataFrame | None) -> tuple[Scheme, Json]:
        table = make_table([], [], [], []) if table is None else table
        refuse_nonfinite(table, 0)
        jets = np.stack(list(jet_columns(table).values()), axis=1)
        offset, matrix, growth = fit_latent_steps(checkpoint, jets, latent_bits, refine=refine)
        corrections = None if bounds is None else BoundedScheme.of(bounds)
        return AutoencoderScheme(checkpoint, offset, matrix, corrections, refine), {"latent_mse_growth": growth}

    return fitted


def read_scheme(reader: Reader) -> Scheme:
    """The scheme that a container describes; ContainerError where it describes none."""
    codec = reader.attributes.get("codec")
    if codec not in CODECS:
        raise ContainerError(f"{reader.path}: codec {codec!r}; this version knows {', '.join(CODECS)}")
    weights = reader.group("decoder")[1] if codec == "autoencoder" else {}
    try:
        if codec == "autoencoder":
            return AutoencoderScheme.from_dict(reader.attributes, weights)
        return BoundedScheme.from_dict(reader.attributes)
    except (KeyError, TypeError, ValueError) as error:
        raise ContainerError(f"{reader.path}: describes no codec that this version can use ({error})") from error
