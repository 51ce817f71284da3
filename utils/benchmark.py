"""Time and memory of the models, and the machine that they were measured on."""

import os
import platform
from pathlib import Path
from typing import Any

import psutil
import torch


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
