"""The decoder alone, as a file of compressed jets keeps it, run by PyTorch: in float32, or in float64."""

import copy
import math
from collections.abc import Mapping

import numpy as np
import torch

from utils.files import Json
from utils.jets import FEATURES
from utils.networks.checkpoint import (
    Checkpoint,
    blank_model,
    build_model,
    check_metadata,
    load_state,
    require_fit,
    tensor_shapes,
)
from utils.networks.normalization import Normalization

BATCH_SIZE = 2048
"""Latents decoded together in float64."""

_SMALL_ENCODER, _OF_DECODER = 2**20, 16
"""Weights that an untrained encoder may have beside any decoder, and how many more for each of the decoder's."""


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

    ValueError where they do not fit together, and for an encoder that is out of proportion.
    """
    shapes = tensor_shapes(blank_model(architecture).state_dict())
    weights = {name: values.reshape(()) if shapes.get(name) == () else values for name, values in weights.items()}
    found = {name: values.shape for name, values in weights.items()}
    encoder = {name: shape for name, shape in shapes.items() if name.startswith("encoder.")}
    require_fit({name: shapes[name] for name in shapes.keys() - encoder.keys()}, found, "decoder")
    sizes = [sum(math.prod(shape) for shape in part.values()) for part in (encoder, found)]
    if sizes[0] > _SMALL_ENCODER + _OF_DECODER * sizes[1]:
        raise ValueError(f"an encoder of {sizes[0]} weights beside a decoder of {sizes[1]}")
    model = build_model(architecture)
    untrained = {name: tensor for name, tensor in model.state_dict().items() if name in encoder}
    load_state(
        model, untrained | {name: torch.from_numpy(np.array(values)) for name, values in weights.items()}, "decoder"
    )
    return Checkpoint(model, Normalization.from_dict(normalization), check_metadata(metadata))


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
