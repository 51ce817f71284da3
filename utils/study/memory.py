"""Memory of encoding and decoding: tensors, Python's heap, and what the process takes."""

import gc
import multiprocessing
import os
import threading
import tracemalloc
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypedDict, TypeVar, TypeVarTuple

import numpy as np
import psutil
import torch
from torch.profiler import ProfilerActivity, profile

from utils.machine import CPU
from utils.networks import Checkpoint, load_checkpoint, prepare
from utils.study.ways import ORIGINAL, PROJECT, both_ways, synchronize, tile_jets

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

MEMORY_STAGES = ("initialization", "encoding", "decoding")


class Allocations(TypedDict):
    """What a stage in a way takes at most, in bytes.

    `parameters` with buffers; `tensors` see `tensor_peak`, None where ONNX Runtime holds them; `python_heap` what
    tracemalloc sees, the published definition; `floor` what must come out: the output, or the parameters.
    """

    stage: str
    way: str
    parameters: int
    tensors: int | None
    python_heap: int
    floor: int


class MemoryUse(Allocations):
    """`Allocations` of a model on a device, and in bytes `resident`, see `resident_peak`, of a fresh process."""

    model: str
    device: str
    resident: int


class BoundedMemory(TypedDict):
    """Physical memory in bytes, above input and output, that so many jets of a model took to encode and to decode."""

    model: str
    jets: int
    encoding: int
    decoding: int


def tensor_peak(function: Callable[[], object], device: torch.device = CPU) -> int:
    """Most bytes that torch's tensors took at once during a call, above those before it.

    On a CPU from the allocations that the torch profiler sees, on a GPU from the allocator's own statistics. What NumPy
    and ONNX Runtime allocate is not in it.
    """
    if device.type == "cuda":
        synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        kept = function()
        synchronize(device)
        del kept
        return torch.cuda.max_memory_allocated(device) - before
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        kept = function()
    del kept
    assert profiler.profiler is not None
    # The public events leave out allocations inside operators; only the raw ones hold every one of them.
    events = [e for e in profiler.profiler.kineto_results.events() if e.name() == "[memory]"]
    events.sort(key=lambda event: event.start_ns())
    sizes = np.cumsum([0, *(event.nbytes() for event in events)])
    return int(sizes.max())


def heap_peak(function: Callable[[], object]) -> int:
    """Most bytes that tracemalloc saw during a call: Python's heap and NumPy's arrays, never torch's tensors."""
    tracemalloc.start()
    try:
        kept = function()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    del kept
    return peak


def resident_peak(function: Callable[[], object]) -> int:
    """Most bytes of physical memory that this process took during a call, above those just before it.

    Linux keeps the peak itself; elsewhere it is looked up every millisecond.
    """
    process = psutil.Process()
    gc.collect()
    if reset_resident_peak():
        before = process.memory_info().rss
        kept = function()
        status = Path("/proc/self/status").read_text()
        del kept
        high = int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) * 1024
        return max(0, high - before)
    before = process.memory_info().rss
    seen, done = [before], threading.Event()

    def watch() -> None:
        while not done.wait(0.001):
            seen.append(process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        kept = function()
        seen.append(process.memory_info().rss)
    finally:
        done.set()
        watcher.join()
    del kept
    return max(seen) - before


def reset_resident_peak() -> bool:
    """Make Linux forget the peak that it has seen so far; False where that cannot be done."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def in_fresh_process(function: Callable[[*Ts], T], *arguments: *Ts) -> T:
    """Call a function of a module in a process that has only imported this one, and return what it does.

    Where the system has it, a fork server makes such processes in milliseconds.
    """
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # or the profiler reports its own start on standard error
    method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
    context = multiprocessing.get_context(method)
    if method == "forkserver":
        context.set_forkserver_preload([__name__])
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(function, *arguments).result()


def trace_memory(
    models: Mapping[str, Path], jets: np.ndarray, device: torch.device = CPU, threads: int | None = None
) -> list[MemoryUse]:
    """What initialization, encoding and decoding of `jets`, shape (jets, 4), take, in both ways, in fresh processes."""
    threads = threads or torch.get_num_threads()
    rows: list[MemoryUse] = []
    for name, path in models.items():
        for row in in_fresh_process(_trace_allocations, path, jets, str(device), threads):
            resident = in_fresh_process(_trace_resident, path, row["stage"], row["way"], jets, str(device), threads)
            rows.append({"model": name, "device": str(device), **row, "resident": resident})
    return rows


def trace_bounded(models: Mapping[str, Path], number: int, threads: int | None = None) -> list[BoundedMemory]:
    """Physical memory above input and output of encoding and of decoding `number` jets, in fresh processes."""
    threads = threads or torch.get_num_threads()
    rows: list[BoundedMemory] = []
    for name, path in models.items():
        encoding, decoding = in_fresh_process(_trace_bounded, path, number, threads)
        rows.append({"model": name, "jets": number, "encoding": encoding, "decoding": decoding})
    return rows


def _stage_call(path: Path, stage: str, way: str, jets: np.ndarray, device: str) -> tuple[Callable[[], object], int]:
    """What a stage does, as a call that returns all that is to stay; and the bytes of its output array."""
    if stage == "initialization":
        return partial(_initialize, path, way, device), 0
    functions = both_ways(load_checkpoint(path, device))
    encode, decode = functions[way]
    decode(encode(jets[:16]))
    inputs, run = (jets, encode) if stage == "encoding" else (functions[PROJECT][0](jets), decode)
    return partial(run, inputs), run(inputs[:1]).nbytes * len(inputs)


def _initialize(path: Path, way: str, device: str) -> tuple[Checkpoint, object]:
    """A checkpoint, and in this project's way what is prepared of it."""
    checkpoint = load_checkpoint(path, device)
    return checkpoint, prepare(checkpoint) if way == PROJECT else None


def _trace_resident(path: Path, stage: str, way: str, jets: np.ndarray, device: str, threads: int) -> int:
    torch.set_num_threads(threads)
    return resident_peak(_stage_call(path, stage, way, jets, device)[0])


def _trace_allocations(path: Path, jets: np.ndarray, device: str, threads: int) -> list[Allocations]:
    torch.set_num_threads(threads)
    place = torch.device(device)
    rows: list[Allocations] = []
    for way in (PROJECT, ORIGINAL):
        for stage in MEMORY_STAGES:
            call, floor = _stage_call(path, stage, way, jets, device)
            parameters = parameter_bytes(load_checkpoint(path))
            held_by_onnx_runtime = way == PROJECT and place.type == "cpu" and stage != "initialization"
            rows.append(
                {
                    "stage": stage,
                    "way": way,
                    "parameters": parameters,
                    "tensors": None if held_by_onnx_runtime else tensor_peak(call, place),
                    "python_heap": heap_peak(call),
                    "floor": floor or parameters,
                }
            )
    return rows


def parameter_bytes(checkpoint: Checkpoint) -> int:
    """Bytes of the parameters and buffers of a model."""
    return sum(tensor.numel() * tensor.element_size() for tensor in checkpoint.model.state_dict().values())


def _trace_bounded(path: Path, number: int, threads: int) -> tuple[int, int]:
    model = prepare(load_checkpoint(path), threads)
    jets = tile_jets(np.array([[10.0, 50.0, 0.5, -0.5], [0.0, 20.0, -3.0, 2.0]]), number)
    model.decode(model.encode(jets[:16]))
    latents = np.empty((number, model.latent), np.float32)
    encoding = resident_peak(lambda: model.encode(jets)) - latents.nbytes
    latents[:] = 0.1
    decoding = resident_peak(lambda: model.decode(latents)) - jets.nbytes
    return max(0, encoding), max(0, decoding)
