"""Jets in physical units through a trained model, and back."""

import numpy as np
import torch

from utils.checkpoint import Checkpoint

BATCH_SIZE = 2048


def encode_jets(checkpoint: Checkpoint, jets: np.ndarray, batch_size: int = BATCH_SIZE) -> np.ndarray:
    """Jets (GeV, rad), shape (jets, 4), to latents, float32 of shape (jets, latent)."""
    with torch.inference_mode():
        batches = torch.as_tensor(jets, dtype=torch.float32).split(batch_size)
        latents = [checkpoint.model.encode(checkpoint.normalization.normalize(batch)) for batch in batches]
        return torch.cat(latents).numpy()


def decode_latents(checkpoint: Checkpoint, latents: np.ndarray, batch_size: int = BATCH_SIZE) -> np.ndarray:
    """Latents, shape (jets, latent), to jets in GeV and rad, float32 of shape (jets, 4)."""
    with torch.inference_mode():
        batches = torch.as_tensor(latents, dtype=torch.float32).split(batch_size)
        jets = [checkpoint.normalization.unnormalize(checkpoint.model.decode(batch)) for batch in batches]
        return torch.cat(jets).numpy()


def reconstruct(checkpoint: Checkpoint, jets: np.ndarray, batch_size: int = BATCH_SIZE) -> np.ndarray:
    """Jets through encoder and decoder: what comes out, in GeV and rad, float32 of shape (jets, 4)."""
    return decode_latents(checkpoint, encode_jets(checkpoint, jets, batch_size), batch_size)
