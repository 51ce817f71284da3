"""The scheme of a codec: fitted to the first chunk, or rebuilt from what a container says."""

from collections.abc import Callable
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
from utils.codec.latents import AutoencoderScheme, Scheme, fit_latent_steps
from utils.codec.reader import Reader
from utils.codec.settings import CODECS, check_settings
from utils.files import Json
from utils.jets import event_counts, make_table

if TYPE_CHECKING:
    from utils.networks import Checkpoint

_SMALL_DECODER, _VALUES_A_BYTE = 2**20, 8
"""Values that a decoder may hold, whatever the file's size, and how many more for each of its bytes."""


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
    with blaming(f"{reader.path}: its codec {codec}"):
        if codec != "autoencoder":
            return BoundedScheme.from_dict(reader.attributes)
        most = _SMALL_DECODER + _VALUES_A_BYTE * reader.path.stat().st_size
        return AutoencoderScheme.from_dict(reader.attributes, read_all(reader.arrays("decoder"), most, most))
