"""The machine: what it is, which devices it has, how many threads torch uses."""

import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO, TypedDict

import psutil
import torch

CPU = torch.device("cpu")


class GpuInfo(TypedDict):
    """A GPU's name, its memory in bytes, and the version of CUDA that torch was built with."""

    name: str
    memory_bytes: int
    cuda: str | None


class MachineInfo(TypedDict):
    """The machine and the software beside which a measured number means something; JSON-safe, memory in bytes.

    `cores` are those that this process may use, `threads` those that torch uses; `gpu` is None without one.
    """

    cpu: str
    cores: int | None
    threads: int
    cpu_capability: str
    memory_bytes: int
    gpu: GpuInfo | None
    torch: str
    python: str
    platform: str


def machine_info() -> MachineInfo:
    """What this process runs on."""
    gpu: GpuInfo | None = None
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


def find_devices(device: str | None = None) -> list[torch.device]:
    """The device that is asked for; for None the CPU, and the GPU as well where there is one: by its number, as a
    tensor names it."""
    if device is not None:
        return [_numbered(pick_device(device))]
    return [CPU, _numbered(torch.device("cuda"))] if torch.cuda.is_available() else [CPU]


def _numbered(device: torch.device) -> torch.device:
    return torch.device("cuda", torch.cuda.current_device()) if device == torch.device("cuda") else device


def pick_device(device: str | torch.device | None = None) -> torch.device:
    """The device that is asked for; None is the GPU where there is one, else the CPU. ValueError where it can't be."""
    if device is None:
        return torch.device(f"cuda:{os.environ.get('LOCAL_RANK', 0)}" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except RuntimeError as error:
        raise ValueError(f"unknown device {device!r}; expected cpu, cuda, cuda:0 or the like") from error
    if chosen.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device {device!r} was asked for, but this machine has no GPU that torch can use")
    return chosen


@contextmanager
def torch_threads(threads: int | None) -> Iterator[int]:
    """Let torch use so many threads inside the block (None: as many as it does already); yields their number."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    try:
        yield torch.get_num_threads()
    finally:
        torch.set_num_threads(before)


def machine_line(machine: MachineInfo) -> str:
    """What `machine_info` says, in one line for a caption."""
    gpu = machine["gpu"]["name"] if machine["gpu"] else "no GPU"
    versions = f"torch {machine['torch']}, Python {machine['python']}"
    numbers = ((machine["cores"], "core"), (machine["threads"], "thread"))
    counted = ", ".join(f"{number} {what}{'' if number == 1 else 's'}" for number, what in numbers)
    return f"{machine['cpu']}, {counted}, {gpu}, {versions}"


def progress_stream() -> TextIO:
    """Where progress goes: standard error, which a notebook would show in red; so there it is standard output."""
    in_notebook = type(sys.stdout).__module__.startswith("ipykernel")
    return sys.stdout if in_notebook else sys.stderr
