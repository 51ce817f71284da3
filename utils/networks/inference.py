"""Jets in physical units through a trained model, and back."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from utils.jets import FEATURES, feature_array
from utils.networks.checkpoint import Checkpoint
from utils.networks.prepared import prepare
from utils.networks.refinement import refine_latents


def encode_jets(
    checkpoint: Checkpoint, jets: np.ndarray | pd.DataFrame, batch_size: int | None = None, *, refine: int = 0
) -> np.ndarray:
    """Jets (GeV, rad), a jet table or an array of shape (jets, 4), to latents, float32 of shape (jets, latent).

    `refine` steps of `refine_latents` improve what the encoder gives; each costs as much as several encodings.
    Jets outside of the normalization's domain give latents without meaning. See `prepare` for many calls in a row.

    >>> from utils.files import REPOSITORY
    >>> from utils.networks import load_checkpoint
    >>> model = load_checkpoint(REPOSITORY / "models" / "AE_3D_200_tanh_custom_norm.safetensors")
    >>> latents = encode_jets(model, np.array([[10.0, 80.0, 0.3, -1.2]]))
    >>> latents.shape, latents.dtype
    ((1, 3), dtype('float32'))
    >>> m, pt, phi, eta = decode_latents(model, latents)[0]
    >>> bool(abs(pt / 80 - 1) < 0.2), bool(abs(phi - 0.3) < 0.02)
    (True, True)
    """
    jets = _features(jets)
    latents = prepare(checkpoint).encode(jets, batch_size)
    return refine_latents(checkpoint, jets, latents, refine) if refine else latents


def decode_latents(checkpoint: Checkpoint, latents: np.ndarray, batch_size: int | None = None) -> np.ndarray:
    """Latents, shape (jets, latent), to jets in GeV and rad, float32 of shape (jets, 4)."""
    return prepare(checkpoint).decode(latents, batch_size)


def reconstruct(
    checkpoint: Checkpoint, jets: np.ndarray | pd.DataFrame, batch_size: int | None = None, *, refine: int = 0
) -> np.ndarray:
    """Jets through encoder and decoder: what comes out, in GeV and rad, float32 of shape (jets, 4).

    See `encode_jets` for `refine`.
    """
    return decode_latents(checkpoint, encode_jets(checkpoint, jets, batch_size, refine=refine), batch_size)


def count_outside(training_range: Mapping[str, Sequence[float]], jets: Mapping[str, np.ndarray] | pd.DataFrame) -> int:
    """How many jets, a table or columns, lie outside of the range of a model's training jets in any quantity.

    >>> table = pd.DataFrame({"m": [5.0, 5.0], "pt": [50.0, 5000.0], "phi": [0.0, 0.0], "eta": [1.0, 1.0]})
    >>> count_outside({"m": [0, 100], "pt": [20, 1000], "phi": [-3.2, 3.2], "eta": [-5, 5]}, table)
    1
    """
    columns = {name: np.asarray(jets[name]) for name in FEATURES}
    inside = [
        (columns[name] >= training_range[name][0]) & (columns[name] <= training_range[name][1]) for name in FEATURES
    ]
    return int(np.count_nonzero(~np.logical_and.reduce(inside)))


def _features(jets: np.ndarray | pd.DataFrame) -> np.ndarray:
    return feature_array(jets) if isinstance(jets, pd.DataFrame) else jets
