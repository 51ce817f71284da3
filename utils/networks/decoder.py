"""The decoder alone, as a file of compressed jets keeps it, run by PyTorch: in float32, or in float64."""

import copy
from collections.abc import Mapping

import numpy as np
import torch

from utils.files import Json
from utils.jets import FEATURES
from utils.networks.checkpoint import Checkpoint, build_model
from utils.networks.normalization import Normalization

BATCH_SIZE = 2048
"""Latents decoded together in float64."""


def decoder_weights(checkpoint: Checkpoint) -> dict[str, np.ndarray]:
    """Tensors of the decoder, by name in the model's state."""
    state = checkpoint.model.state_dict()
    return {name: tensor.cpu().numpy() for name, tensor in state.items() if not name.startswith("encoder.")}


def load_decoder(
    architecture: Json,
    normalization: Json,
    weights: Mapping[str, np.ndarray],
    metadata: Json,
) -> Checkpoint:
    """A model from `architecture_of`'s description and `decoder_weights`; what encodes stays untrained.

    ValueError lists the weights that are missing.
    """
    model = build_model(architecture)
    state = {name: torch.from_numpy(np.array(values)) for name, values in weights.items()}
    missing = [name for name in model.state_dict() if not name.startswith("encoder.") and name not in state]
    if missing:
        raise ValueError(f"its decoder lacks {', '.join(missing)}")
    model.load_state_dict(state, strict=False)
    return Checkpoint(model, Normalization.from_dict(normalization), metadata)


def decode_normalized(checkpoint: Checkpoint, latents: np.ndarray) -> np.ndarray:
    """Latents, shape (jets, latent), to normalized jets, shape (jets, 4): computed in float32, returned as float64."""
    with torch.inference_mode():
        return checkpoint.model.decode(torch.as_tensor(latents, dtype=torch.float32)).numpy().astype(np.float64)


def decode_in_float64(checkpoint: Checkpoint, latents: np.ndarray) -> np.ndarray:
    """Latents, shape (jets, latent), to jets in GeV and rad, float64 of shape (jets, 4), computed in float64."""
    decoder = copy.deepcopy(checkpoint.model).double()
    with torch.inference_mode():
        batches = [
            checkpoint.normalization.unnormalize(decoder.decode(z)).numpy()
            for z in torch.as_tensor(latents, dtype=torch.float64).split(BATCH_SIZE)
        ]
    return np.concatenate([np.empty((0, len(FEATURES))), *batches])
