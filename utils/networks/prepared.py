"""A model made ready to encode and decode as fast as the machine allows.

On a CPU, ONNX Runtime runs the graphs of `onnx_export`, each thread on batches of its own; on a GPU, where the model
lies there, PyTorch runs the same steps. Memory stays bounded by the batch, whatever the number of jets.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import torch

from utils.jets import FEATURES
from utils.networks.checkpoint import Checkpoint, architecture_of
from utils.networks.folding import decoder_steps, encoder_steps, latent_width
from utils.networks.onnx_export import decoder_onnx, encoder_onnx, make_session
from utils.networks.steps import run_steps

BATCH_SIZE = 768
"""Jets in a batch of one CPU thread: the activations of a layer fit in the cache of its core, which counts where one
layer is several passes over them (ELU)."""

GPU_BATCH_SIZE = 1 << 18

LANES = 16
"""Batches are filled up to a multiple of this, for the last jets of a batch to take the same vector instructions as all
others: so a jet gives the same bits in whatever batch it comes."""

MIN_SHARE = 1024
"""Jets of a call for each thread that takes part in it: fewer are done before another thread is awake."""

Run = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class PreparedModel:
    """A model made ready by `prepare`: encoding costs no more than the arithmetic.

    `threads` are those that share the batches.
    """

    run_encoder: Run
    run_decoder: Run
    latent: int
    batch_size: int
    threads: int

    def encode(self, jets: np.ndarray, batch_size: int | None = None) -> np.ndarray:
        """Jets (GeV, rad), shape (jets, 4), to latents, float32 of shape (jets, latent)."""
        return self._stream(self.run_encoder, jets, len(FEATURES), self.latent, batch_size)

    def decode(self, latents: np.ndarray, batch_size: int | None = None) -> np.ndarray:
        """Latents, shape (jets, latent), to jets in GeV and rad, float32 of shape (jets, 4)."""
        return self._stream(self.run_decoder, latents, self.latent, len(FEATURES), batch_size)

    def _stream(self, run: Run, inputs: np.ndarray, columns: int, outputs: int, batch_size: int | None) -> np.ndarray:
        """Batches of the inputs into one array; threads take the next batch when they are done with one."""
        inputs = np.asarray(inputs)
        if inputs.ndim != 2 or inputs.shape[1] != columns:
            raise ValueError(f"expected an array of the shape (jets, {columns}), found {inputs.shape}")
        jets = len(inputs)
        threads = max(1, min(self.threads, jets // MIN_SHARE))
        step = batch_size or _even_step(jets, self.batch_size, threads)
        result = np.empty((jets, outputs), dtype=np.float32)
        starts = iter(range(0, jets, step))

        def work(starts: Iterator[int]) -> None:
            for start in starts:
                batch = slice(start, start + step)
                values = np.ascontiguousarray(inputs[batch], dtype=np.float32)
                if missing := -len(values) % LANES:
                    values = np.concatenate([values, np.broadcast_to(values[-1], (missing, columns))])
                result[batch] = run(values)[: len(result[batch])]

        helpers = min(threads, -(-jets // step)) - 1
        helping = [_pool(self.threads - 1).submit(work, starts) for _ in range(helpers)]
        work(starts)
        for helper in helping:
            if not helper.cancel():  # who has not begun by now finds nothing left to do
                helper.result()
        return result


def _even_step(jets: int, batch_size: int, threads: int) -> int:
    """Jets in a batch, at most `batch_size`, where each thread gets as many batches as the others."""
    rounds = max(1, -(-jets // (batch_size * threads)))
    step = -(-jets // (rounds * threads))
    return max(1, step + -step % LANES)


@lru_cache
def _pool(helpers: int) -> ThreadPoolExecutor:
    """Threads that wait for work: starting one holds up the call until a core is free for it, waking one does not."""
    return ThreadPoolExecutor(helpers)


def prepare(checkpoint: Checkpoint, threads: int | None = None) -> PreparedModel:
    """Make a model ready to encode and decode many times, with `threads` CPU threads (default: as many as torch's).

    Takes a snapshot of the weights: a model that is trained further must be prepared anew.
    """
    latent, device = latent_width(checkpoint), next(iter(checkpoint.model.state_dict().values())).device
    if device.type != "cpu":
        encoder, decoder = (_on_device(steps(checkpoint), device) for steps in (encoder_steps, decoder_steps))
        return PreparedModel(encoder, decoder, latent, GPU_BATCH_SIZE, threads=1)
    encoder, decoder = _on_cpu(_Snapshot(_digest(checkpoint), checkpoint))
    return PreparedModel(encoder, decoder, latent, BATCH_SIZE, threads or torch.get_num_threads())


@dataclass(frozen=True)
class _Snapshot:
    """A model as it is now: equal to another where normalization, architecture and weights are the same."""

    digest: bytes
    checkpoint: Checkpoint = field(compare=False)


def _digest(checkpoint: Checkpoint) -> bytes:
    described = {"model": architecture_of(checkpoint.model), "normalization": checkpoint.normalization.to_dict()}
    digest = hashlib.sha256(json.dumps(described).encode())
    for tensor in checkpoint.model.state_dict().values():
        digest.update(tensor.numpy().tobytes())
    return digest.digest()


@lru_cache(maxsize=16)
def _on_cpu(snapshot: _Snapshot) -> tuple[Run, Run]:
    """Encoder and decoder in ONNX Runtime; made once, since a model is often asked for call by call."""
    encoder, decoder = (make_session(content(snapshot.checkpoint)) for content in (encoder_onnx, decoder_onnx))
    return (
        lambda jets: encoder.run(None, {"jets": jets})[0],
        lambda latents: decoder.run(None, {"latents": latents})[0],
    )


def _on_device(steps: list, device: torch.device) -> Run:
    def run(batch: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return run_steps(steps, torch.from_numpy(batch).to(device)).cpu().numpy()

    return run
