"""Time and memory of the models, and the machine that they were measured on."""

import os
import platform
from pathlib import Path
from typing import Any

import psutil
import torch

from utils.autoencoder import VARIANTS, Autoencoder
from utils.checkpoint import Checkpoint
from utils.normalization import CustomNormalization


def machine_info() -> dict[str, Any]:
    """The machine and the software beside which a measured number means something; JSON-safe, memory in bytes.

    `cores` are those that this process may use, `threads` those that torch uses; `gpu` is None without one.
    """
    gpu = None
    if torch.cuda.is_available():
        device = torch.cuda.get_device_properties(0)
        gpu = {"name": device.name, "memory_bytes": device.total_memory, "cuda": torch.version.cuda}
    return {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": torch.get_num_threads(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "memory_bytes": psutil.virtual_memory().total,
        "gpu": gpu,
        "torch": str(torch.__version__),
        "python": platform.python_version(),
        "platform": platform.platform(),
    }


def _cpu_model() -> str:
    """The CPU's own name for itself (Linux), else what Python says of it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def untrained_checkpoint(name: str, seed: int = 0) -> Checkpoint:
    """A variant with the custom normalization, weights drawn from a seed, and BatchNorm statistics as if trained.

    It computes what a trained model of its shape does, in the same time; what comes out means nothing.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = Autoencoder(VARIANTS[name])
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            for tensor, low, high in (
                (module.running_mean, -0.5, 0.5),
                (module.running_var, 0.1, 1.0),
                (module.weight, 0.5, 1.5),
                (module.bias, -0.5, 0.5),
            ):
                assert tensor is not None
                with torch.no_grad():
                    tensor.uniform_(low, high, generator=generator)
    return Checkpoint(model, CustomNormalization(), {"model": name, "source": f"untrained, seed {seed}"})
