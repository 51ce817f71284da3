"""The two ways to encode, this project's and that of the original notebooks, and how a call is timed."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TypedDict

import numpy as np
import psutil
import torch

from utils.machine import CPU
from utils.metrics import central_68
from utils.networks import PYTORCH_LAYERS, Autoencoder, Checkpoint, PCABaseline, prepare

PROJECT, ORIGINAL = "project", "original"
"""The two ways to encode: `networks.prepare`, and that of the original notebooks (see `original_encode`)."""

REPEATS = 20

SHORT_S = 0.1
"""A call of less time is hit by the one before it, of another kind: PyTorch's threads spin for some milliseconds after
their work, on cores that the next call needs."""

ORIGINAL_BYTES = 5000
"""Memory that a jet takes in the original's way, with some reserve."""

ORIGINAL_JETS = 1 << 18
"""Jets that a CPU gets at most in the original's way: more take seconds, at the same rate."""

Coder = Callable[[np.ndarray], np.ndarray]
"""Jets to latents, or latents to jets."""


class Timing(TypedDict):
    """Median and 16-84% spread in seconds of so many calls, JSON-safe."""

    median_s: float
    low_s: float
    high_s: float
    repeats: int


def synchronize(device: torch.device) -> None:
    """Wait for what a GPU still has to do; a CPU is done when a call returns."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def time_once(function: Callable[[], object], device: torch.device = CPU) -> float:
    """Seconds of one call, the device synchronized before and after."""
    synchronize(device)
    start = time.perf_counter()
    function()
    synchronize(device)
    return time.perf_counter() - start


def time_call(
    function: Callable[[], object],
    repeats: int = REPEATS,
    device: torch.device = CPU,
    limit_s: float = math.inf,
    warm_up: bool = True,
) -> Timing:
    """Median and 16-84% spread in seconds of `repeats` calls after one that warms up; see `summarize_times`.

    After three calls no more are made once all together took `limit_s`.
    """
    if warm_up:
        time_once(function, device)
    seconds: list[float] = []
    while len(seconds) < repeats and (len(seconds) < 3 or sum(seconds) < limit_s):
        seconds.append(time_once(function, device))
    return summarize_times(seconds)


def summarize_times(seconds: Sequence[float]) -> Timing:
    """Median, 16% and 84% quantile and number of some measured times."""
    low, median, high = central_68(seconds)
    return {"median_s": median, "low_s": low, "high_s": high, "repeats": len(seconds)}


def as_original(checkpoint: Checkpoint) -> Checkpoint:
    """The same weights in PyTorch's own layers, which the original notebooks have."""
    if isinstance(checkpoint.model, PCABaseline):
        return checkpoint
    model = Autoencoder(checkpoint.model.config, PYTORCH_LAYERS).to(device_of(checkpoint))
    model.load_state_dict(checkpoint.model.state_dict())
    return replace(checkpoint, model=model)


def original_encode(checkpoint: Checkpoint, jets: np.ndarray) -> np.ndarray:
    """Jets to latents the original's way: eager PyTorch that records gradients, all jets in one batch."""
    x = torch.as_tensor(jets, dtype=torch.float32, device=device_of(checkpoint))
    return checkpoint.model.encode(checkpoint.normalization.normalize(x)).detach().cpu().numpy()


def original_decode(checkpoint: Checkpoint, latents: np.ndarray) -> np.ndarray:
    """Latents to jets the original's way, see `original_encode`."""
    z = torch.as_tensor(latents, dtype=torch.float32, device=device_of(checkpoint))
    return checkpoint.normalization.unnormalize(checkpoint.model.decode(z)).detach().cpu().numpy()


def device_of(checkpoint: Checkpoint) -> torch.device:
    """Where the weights of a model lie."""
    return next(iter(checkpoint.model.state_dict().values())).device


def both_ways(checkpoint: Checkpoint) -> dict[str, tuple[Coder, Coder]]:
    """Encoder and decoder, each a function of an array: this project's and the original's, with the same weights."""
    model, original = prepare(checkpoint), as_original(checkpoint)
    return {
        PROJECT: (model.encode, model.decode),
        ORIGINAL: (partial(original_encode, original), partial(original_decode, original)),
    }


def time_in_turns(
    calls: Mapping[str, Callable[[], object]], repeats: int, device: torch.device, limit_s: float
) -> dict[str, Timing]:
    """Like `time_call` for several calls that take turns, so that a slow moment of the machine hits all alike.

    One that takes less than `SHORT_S` is made once more before it is timed.
    """
    last = {name: time_once(call, device) for name, call in calls.items()}
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for done in range(repeats):
        if done >= 3 and sum(map(sum, seconds.values())) > limit_s:
            break
        for name, call in calls.items():
            if last[name] < SHORT_S:
                time_once(call, device)
            last[name] = time_once(call, device)
            seconds[name].append(last[name])
    return {name: summarize_times(values) for name, values in seconds.items()}


def original_limit(device: torch.device = CPU) -> int:
    """Jets to encode in the original's way: those that half of the free memory holds, since it keeps every activation;
    on a CPU at most `ORIGINAL_JETS`."""
    if device.type == "cuda":
        return max(1, torch.cuda.mem_get_info(device)[0] // 2 // ORIGINAL_BYTES)
    return max(1, min(ORIGINAL_JETS, psutil.virtual_memory().available // 2 // ORIGINAL_BYTES))


def flop_per_jet(checkpoint: Checkpoint) -> int:
    """Multiplications and additions of the matrices of a model, encoder and decoder."""
    matrices = [t for t in checkpoint.model.state_dict().values() if t.ndim == 2]
    return 2 * sum(matrix.numel() for matrix in matrices) * (2 if isinstance(checkpoint.model, PCABaseline) else 1)


def there_and_back(encode: Coder, decode: Coder, jets: np.ndarray) -> np.ndarray:
    """Jets of shape (jets, 4) encoded and decoded: of the same shape, in GeV and rad."""
    return decode(encode(jets))


def tile_jets(jets: np.ndarray, number: int) -> np.ndarray:
    """So many jets, the given ones over and over, float32 of shape (number, 4)."""
    return np.resize(np.asarray(jets, dtype=np.float32), (number, jets.shape[1]))
