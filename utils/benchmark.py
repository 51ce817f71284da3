"""Time and memory of the models, and the machine that they were measured on.

Measuring gives rows of JSON-safe values; tables and plots read them and nothing else.
"""

import gc
import json
import math
import multiprocessing
import os
import subprocess
import sys
import tempfile
import threading
import time
import tracemalloc
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from torch.profiler import ProfilerActivity, profile

from utils.files import REPOSITORY
from utils.jets import Sample, feature_array, load_sample
from utils.machine import CPU, find_devices, machine_info, torch_threads
from utils.networks import (
    VARIANT_LABELS,
    VARIANTS,
    Autoencoder,
    AutoencoderConfig,
    Checkpoint,
    CustomNormalization,
    Normalization,
    PCABaseline,
    architecture_of,
    load_checkpoint,
    prepare,
    read_header,
    save_checkpoint,
)
from utils.text import text_table

PROJECT, ORIGINAL = "project", "original"
"""The two ways to encode: `utils.inference`, and that of the original notebooks (see `original_encode`)."""

MEMORY_STAGES = ("initialization", "encoding", "decoding")

REPEATS = 20

ORIGINAL_BYTES = 5000
"""Memory that a jet takes in the original's way, with some reserve."""

MATRIX = 2048
"""Rows of the square matrices whose product gives the rate of arithmetic."""

Row = dict[str, Any]

Encode = Callable[[np.ndarray], np.ndarray]


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


@dataclass(frozen=True)
class Effort:
    """How much to measure: repeats, numbers of jets, and the seconds after which a measurement stops repeating.

    `threads` is how many CPU threads to use, None for all cores.
    """

    repeats: int
    cold_repeats: int
    limit_s: float
    turns: int
    jets: int
    batch_sizes: tuple[int, ...]
    numbers: tuple[int, ...]
    bounded: int
    epochs: int
    threads: int | None = None


EFFORTS: dict[str, Effort] = {
    "quick": Effort(3, 1, 0.2, 2, 5000, (1, 64, 4096), (2000, 10_000, 40_000), bounded=50_000, epochs=2, threads=1),
    "reference": Effort(
        repeats=REPEATS,
        cold_repeats=7,
        limit_s=8.0,
        turns=5,
        jets=1_000_000,
        batch_sizes=tuple(4**i for i in range(11)),
        numbers=(10_000, 100_000, 1_000_000, 3_000_000, 10_000_000),
        bounded=10_000_000,
        epochs=10,
    ),
}
"""What the notebooks measure in each profile; the quick one on one thread, so that runs beside it disturb it little."""

THROUGHPUT_COLUMNS = ("model", "device", "jets", "jets_per_s", "original_jets_per_s", "ratio", "efficiency")

BENCHMARKED = ("tanh", "leaky_relu_bn", "elu_bn")
"""The variants of the original table."""


def find_models(*folders: Path) -> dict[str, Path]:
    """A checkpoint file of each variant in BENCHMARKED with the custom normalization.

    The first trained one in the folders (default: the repository's models), else one without training (see
    `untrained_checkpoint`) in a folder that goes when this process ends.
    """
    trained = [path for place in folders or (REPOSITORY / "models",) for path in sorted(place.glob("*.safetensors"))]
    headers = [(path, read_header(path)) for path in trained]
    found: dict[str, Path] = {}
    for name in BENCHMARKED:
        checkpoint = untrained_checkpoint(name)
        wanted = architecture_of(checkpoint.model), checkpoint.normalization.to_dict()
        fitting = [path for path, header in headers if (header["architecture"], header["normalization"]) == wanted]
        found[name] = fitting[0] if fitting else Path(_scratch_folder().name) / f"{name}.safetensors"
        if not fitting:
            save_checkpoint(found[name], checkpoint)
    return found


@lru_cache
def _scratch_folder() -> tempfile.TemporaryDirectory:
    return tempfile.TemporaryDirectory(prefix="compressionhep-")


def load_models(models: Mapping[str, Path], device: torch.device = CPU) -> dict[str, Checkpoint]:
    """The checkpoints in these files, on a device."""
    return {name: load_checkpoint(path, device) for name, path in models.items()}


def describe_weights(models: Mapping[str, Path]) -> dict[str, str]:
    """For each model, in words, where its weights come from."""
    described = {}
    for name, path in models.items():
        source = load_checkpoint(path).metadata.get("source")
        described[name] = source if isinstance(source, str) else path.name
    return described


def synchronize(device: torch.device) -> None:
    """Wait for what a GPU still has to do; a CPU is done when a call returns."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def time_once(function: Callable[[], Any], device: torch.device = CPU) -> float:
    """Seconds of one call, the device synchronized before and after."""
    synchronize(device)
    start = time.perf_counter()
    function()
    synchronize(device)
    return time.perf_counter() - start


def time_call(
    function: Callable[[], Any], repeats: int = REPEATS, device: torch.device = CPU, limit_s: float = math.inf
) -> dict[str, Any]:
    """Median and 16-84% spread in seconds of `repeats` calls after one that warms up; see `summarize`.

    After three calls no more are made once all together took `limit_s`.
    """
    time_once(function, device)
    seconds: list[float] = []
    while len(seconds) < repeats and (len(seconds) < 3 or sum(seconds) < limit_s):
        seconds.append(time_once(function, device))
    return summarize(seconds)


def summarize(seconds: Sequence[float]) -> dict[str, Any]:
    """Median, 16% and 84% quantile and number of some measured times, JSON-safe."""
    low, median, high = np.quantile(seconds, [0.16, 0.5, 0.84]).tolist()
    return {"median_s": median, "low_s": low, "high_s": high, "repeats": len(seconds)}


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


def ways(checkpoint: Checkpoint) -> dict[str, tuple[Encode, Encode]]:
    """Encoder and decoder, each a function of an array: this project's and the original's, with the same weights."""
    model = prepare(checkpoint)
    return {
        PROJECT: (model.encode, model.decode),
        ORIGINAL: (partial(original_encode, checkpoint), partial(original_decode, checkpoint)),
    }


COLD_START = """
import json, sys, time
clock = [time.perf_counter()]
import numpy
from utils.checkpoint import build_model, load_checkpoint, read_header
from utils.inference import prepare
from utils.jets import feature_array
clock.append(time.perf_counter())
build_model(read_header(sys.argv[1])["architecture"])
clock.append(time.perf_counter())
checkpoint = load_checkpoint(sys.argv[1], sys.argv[2])
clock.append(time.perf_counter())
model = prepare(checkpoint)
clock.append(time.perf_counter())
model.decode(model.encode(numpy.array([[10.0, 50.0, 0.0, 0.0]])))
clock.append(time.perf_counter())
print(json.dumps([after - before for before, after in zip(clock, clock[1:])]))
"""

COLD_STAGES = ("import", "initialization", "load", "preparation", "first jet")
"""Import of torch and what encodes; a model with random weights; reading weights into one; folding it and making ONNX
Runtime ready; one jet there and back. Together, what a process pays before it encodes at full speed."""


def time_cold_start(models: Mapping[str, Path], repeats: int, device: torch.device = CPU) -> list[Row]:
    """Times of `COLD_STAGES` for each model, every repeat in a fresh Python process."""
    seconds: dict[str, list[list[float]]] = {name: [] for name in models}
    for _ in range(repeats):
        for name, path in models.items():
            command = [sys.executable, "-c", COLD_START, str(path), str(device)]
            ran = subprocess.run(command, check=True, capture_output=True, text=True)
            seconds[name].append(json.loads(ran.stdout))
    return [
        {"model": name, "stage": stage, "way": PROJECT, "device": str(device), "process": "fresh"} | summarize(column)
        for name, rows in seconds.items()
        for stage, column in zip(COLD_STAGES, zip(*rows, strict=True), strict=True)
    ]


def time_data(
    dataset: str | Path = "embedded",
    max_jets: int | None = None,
    normalization: Normalization | None = None,
    repeats: int = REPEATS,
    limit_s: float = math.inf,
) -> Row:
    """Time to read and split a sample and to normalize its test jets (default: custom); the same for every model."""
    normalization = normalization or CustomNormalization()
    timing = time_call(
        lambda: normalization.normalize(feature_array(load_sample(dataset, max_jets).test)), repeats, limit_s=limit_s
    )
    return {"model": "(all)", "stage": "data", "way": PROJECT, "device": "cpu", "process": "warm"} | timing


def time_stages(
    models: Mapping[str, Checkpoint], jets: np.ndarray, repeats: int = REPEATS, limit_s: float = math.inf
) -> list[Row]:
    """Times to encode and to decode `jets` in both ways, warm.

    Rows hold model, stage, way, device, and what `summarize` gives; those of this project also `ratio`, how many times
    faster it is than the original's way.
    """
    rows: list[Row] = []
    for name, checkpoint in models.items():
        device, both = device_of(checkpoint), ways(checkpoint)
        latents = both[PROJECT][0](jets)
        for i, (stage, inputs) in enumerate((("encoding", jets), ("decoding", latents))):
            calls = {way: partial(functions[i], inputs) for way, functions in both.items()}
            timings = _time_in_turns(calls, repeats, device, limit_s)
            for way, timing in timings.items():
                row = {"model": name, "stage": stage, "way": way, "device": str(device), "process": "warm"} | timing
                if way == PROJECT:
                    row["ratio"] = timings[ORIGINAL]["median_s"] / timing["median_s"]
                rows.append(row)
    return rows


def _time_in_turns(
    calls: Mapping[str, Callable[[], Any]], repeats: int, device: torch.device, limit_s: float
) -> dict[str, dict[str, Any]]:
    """Like `time_call` for several calls that take turns, so that a slow moment of the machine hits all alike."""
    for call in calls.values():
        time_once(call, device)
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for done in range(repeats):
        if done >= 3 and sum(map(sum, seconds.values())) > limit_s:
            break
        for name, call in calls.items():
            seconds[name].append(time_once(call, device))
    return {name: summarize(values) for name, values in seconds.items()}


def matrix_product(device: torch.device = CPU, dtype: torch.dtype = torch.float32) -> Callable[[], Any]:
    """A product of two square matrices of MATRIX rows, to measure the rate of arithmetic that is within reach."""
    with torch.inference_mode():
        a, b = (torch.rand(MATRIX, MATRIX, device=device).to(dtype) for _ in range(2))
        out = torch.empty_like(a)

    def multiply() -> None:
        with torch.inference_mode():
            torch.mm(a, b, out=out)

    return multiply


def time_throughput(models: Mapping[str, Checkpoint], jets: np.ndarray, turns: int = 5) -> list[Row]:
    """Encoding plus decoding of `jets` in both ways, beside the rate of a matrix product, all taking turns.

    Rows hold model, device, jets, jets_per_s and original_jets_per_s, their `ratio`; gflops, the arithmetic of the
    unfolded network in that time; matrix_gflops (and half_matrix_gflops on a GPU), and `efficiency`, the ratio of the
    two. The original's way takes no more jets than `original_limit`.
    """
    rows: list[Row] = []
    for name, checkpoint in models.items():
        device, both = device_of(checkpoint), ways(checkpoint)
        counts = {PROJECT: len(jets), ORIGINAL: min(len(jets), original_limit(device))}
        calls: dict[str, Callable[[], Any]] = {
            way: partial(_there_and_back, *functions, jets[: counts[way]]) for way, functions in both.items()
        }
        calls["matrix"] = matrix_product(device)
        if device.type == "cuda":
            calls["half_matrix"] = matrix_product(device, torch.float16)
        timings = _time_in_turns(calls, turns, device, limit_s=math.inf)
        rate = {way: count / timings[way]["median_s"] for way, count in counts.items()}
        gflops = flop_per_jet(checkpoint) * rate[PROJECT] / 1e9
        products = {way: 2 * MATRIX**3 / timings[way]["median_s"] / 1e9 for way in calls if way not in both}
        rows.append(
            {
                "model": name,
                "label": VARIANT_LABELS.get(name, name),
                "device": str(device),
                "jets": len(jets),
                "jets_per_s": rate[PROJECT],
                "original_jets": counts[ORIGINAL],
                "original_jets_per_s": rate[ORIGINAL],
                "ratio": rate[PROJECT] / rate[ORIGINAL],
                "gflops": gflops,
                "efficiency": gflops / products["matrix"],
                "timings": timings,
            }
            | {f"{way}_gflops": value for way, value in products.items()}
        )
    return rows


def original_limit(device: torch.device = CPU) -> int:
    """Jets that the original's way encodes in half of the memory that is free: it keeps every activation."""
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else psutil.virtual_memory().available
    return max(1, free // 2 // ORIGINAL_BYTES)


def flop_per_jet(checkpoint: Checkpoint) -> int:
    """Multiplications and additions of the matrices of a model, encoder and decoder."""
    matrices = [t for t in checkpoint.model.state_dict().values() if t.ndim == 2]
    return 2 * sum(matrix.numel() for matrix in matrices) * (2 if isinstance(checkpoint.model, PCABaseline) else 1)


def time_batches(
    models: Mapping[str, Checkpoint], jets: np.ndarray, sizes: Sequence[int], limit_s: float = 1.0
) -> list[Row]:
    """Jets per second, there and back, against the number of jets handed over in one call, in both ways."""
    rows: list[Row] = []
    for name, checkpoint in models.items():
        device = device_of(checkpoint)
        for way, functions in ways(checkpoint).items():
            for size in sizes:
                if way == ORIGINAL and size > original_limit(device):
                    continue
                call = partial(_there_and_back, *functions, tile_jets(jets, size))
                timing = time_call(call, max(REPEATS, 10_000 // size), device, limit_s)
                row = {"model": name, "way": way, "device": str(device), "jets": size}
                rows.append(row | {"jets_per_s": size / timing["median_s"]} | timing)
    return rows


def time_scaling(
    models: Mapping[str, Checkpoint], jets: np.ndarray, numbers: Sequence[int], limit_s: float = 3.0
) -> list[Row]:
    """Time there and back against the number of jets, and in `deviation` the relative distance from a straight line.

    The line is fitted through all points, with relative weights.
    """
    rows: list[Row] = []
    for name, checkpoint in models.items():
        model, timings = prepare(checkpoint), []
        for number in numbers:
            call = partial(_there_and_back, model.encode, model.decode, tile_jets(jets, number))
            timings.append(time_call(call, 5, device_of(checkpoint), limit_s))
        medians = np.array([timing["median_s"] for timing in timings])
        line = np.polyval(np.polyfit(numbers, medians, 1, w=1 / medians), numbers)
        rows += [
            {"model": name, "device": str(device_of(checkpoint)), "jets": number, "deviation": float(deviation)}
            | timing
            for number, timing, deviation in zip(numbers, timings, medians / line - 1, strict=True)
        ]
    return rows


def _there_and_back(encode: Encode, decode: Encode, jets: np.ndarray) -> np.ndarray:
    return decode(encode(jets))


def tile_jets(jets: np.ndarray, number: int) -> np.ndarray:
    """So many jets, the given ones over and over, float32 of shape (number, 4)."""
    return np.resize(np.asarray(jets, dtype=np.float32), (number, jets.shape[1]))


def time_training(
    sample: Sample, variant: str = "tanh", epochs: int = 10, device: torch.device = CPU, seed: int = 0
) -> dict[str, Any]:
    """Training by the project's loop beside the original's recipe, on the same jets with the custom normalization.

    The original's: `epochs` of Adam at the rate 1e-3, batches of 8192 that a PyTorch DataLoader gathers jet by jet. The
    project's: its own schedule, in a third of the epochs. `rows` hold way, epoch, seconds since the start, valid_mse;
    `epoch_s` the seconds of an epoch in both ways and their ratio; `reached_s` the seconds until the validation error
    was at most that of the original's last epoch (`target_mse`), None where it never was.
    """
    from utils.training import make_dataloaders, train, training_config

    normalization = CustomNormalization()
    x, valid = (
        torch.as_tensor(normalization.normalize(feature_array(table)), dtype=torch.float32, device=device)
        for table in (sample.train, sample.valid)
    )
    rows = _train_as_original(VARIANTS[variant], x, valid, epochs, seed)
    config = training_config(variant=variant)
    dls = make_dataloaders(sample, normalization, config, device)
    own_epochs = max(1, epochs // 3)
    result = train(VARIANTS[variant], dls, replace(config, steps=own_epochs * len(dls.train)), seed, progress=False)
    losses = result.losses["valid"].tolist()
    rows += [
        {"way": PROJECT, "epoch": i + 1, "seconds": result.seconds * (i + 1) / len(losses), "valid_mse": loss}
        for i, loss in enumerate(losses)
    ]
    by_way = {way: [row for row in rows if row["way"] == way] for way in (PROJECT, ORIGINAL)}
    epoch_s = {way: found[-1]["seconds"] / len(found) for way, found in by_way.items()}
    target = by_way[ORIGINAL][-1]["valid_mse"]
    return {
        "variant": variant,
        "jets": len(x),
        "rows": rows,
        "epoch_s": epoch_s | {"ratio": epoch_s[ORIGINAL] / epoch_s[PROJECT]},
        "target_mse": target,
        "reached_s": {
            way: next((row["seconds"] for row in found if row["valid_mse"] <= target), None)
            for way, found in by_way.items()
        },
    }


def _train_as_original(
    config: AutoencoderConfig, x: torch.Tensor, valid: torch.Tensor, epochs: int, seed: int
) -> list[Row]:
    torch.manual_seed(seed)
    model, loss_of = Autoencoder(config).to(x.device), torch.nn.MSELoss()
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, x), batch_size=8192, shuffle=True)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, weight_decay=1e-6)
    rows: list[Row] = []
    start = time.perf_counter()
    for epoch in range(epochs):
        model.train()
        for inputs, targets in loader:
            optimizer.zero_grad()
            loss_of(model(inputs), targets).backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            loss = loss_of(model(valid), valid).item()
        seconds = time.perf_counter() - start
        rows.append({"way": ORIGINAL, "epoch": epoch + 1, "seconds": seconds, "valid_mse": loss})
    return rows


def tensor_peak(function: Callable[[], Any], device: torch.device = CPU) -> int:
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
    events = [e for e in profiler.profiler.kineto_results.events() if e.name() == "[memory]"]
    events.sort(key=lambda event: event.start_ns())
    sizes = np.cumsum([0, *(event.nbytes() for event in events)])
    return int(sizes.max())


def heap_peak(function: Callable[[], Any]) -> int:
    """Most bytes that tracemalloc saw during a call: Python's heap and NumPy's arrays, never torch's tensors."""
    tracemalloc.start()
    try:
        kept = function()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    del kept
    return peak


def resident_peak(function: Callable[[], Any]) -> int:
    """Most bytes of physical memory that this process took during a call, above those just before it.

    Linux keeps the peak itself; elsewhere it is looked up every millisecond.
    """
    process = psutil.Process()
    gc.collect()
    if _reset_resident_peak():
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


def _reset_resident_peak() -> bool:
    """Make Linux forget the peak that it has seen so far; False where that cannot be done."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def in_fresh_process(function: Callable[..., Any], *arguments: Any) -> Any:
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
) -> list[Row]:
    """What initialization, encoding and decoding of `jets` take, in both ways.

    Rows hold model, stage, way, and in bytes: `parameters` (with buffers), `tensors` (see `tensor_peak`; None where
    ONNX Runtime holds them), `resident` (see `resident_peak`, a fresh process each), `python_heap` (tracemalloc: the
    published definition), and `floor`, what must exist: input and output, or the
    parameters.
    """
    threads = threads or torch.get_num_threads()
    rows: list[Row] = []
    for name, path in models.items():
        for row in in_fresh_process(_trace_allocations, path, jets, str(device), threads):
            arguments = (path, row["stage"], row["way"], jets, str(device), threads)
            resident = in_fresh_process(_trace_resident, *arguments)
            rows.append({"model": name, "device": str(device)} | row | {"resident": resident})
    return rows


def trace_bounded(models: Mapping[str, Path], number: int, threads: int | None = None) -> list[Row]:
    """Physical memory above input and output, in bytes, of encoding and of decoding `number` jets, fresh processes."""
    threads = threads or torch.get_num_threads()
    return [
        {"model": name, "jets": number} | in_fresh_process(_trace_bounded, path, number, threads)
        for name, path in models.items()
    ]


def _stage_call(path: Path, stage: str, way: str, jets: np.ndarray, device: str) -> tuple[Callable[[], Any], int]:
    """What a stage does, as a call that returns all that is to stay; and the bytes of its input and output arrays."""
    if stage == "initialization":
        finish: Callable[[Checkpoint], Any] = prepare if way == PROJECT else device_of
        return lambda: (loaded := load_checkpoint(path, device), finish(loaded)), 0
    functions = ways(load_checkpoint(path, device))
    encode, decode = functions[way]
    decode(encode(jets[:16]))
    inputs, run = (jets, encode) if stage == "encoding" else (functions[PROJECT][0](jets), decode)
    return partial(run, inputs), inputs.nbytes + run(inputs[:1]).nbytes * len(inputs)


def _trace_resident(path: Path, stage: str, way: str, jets: np.ndarray, device: str, threads: int) -> int:
    torch.set_num_threads(threads)
    return resident_peak(_stage_call(path, stage, way, jets, device)[0])


def _trace_allocations(path: Path, jets: np.ndarray, device: str, threads: int) -> list[Row]:
    torch.set_num_threads(threads)
    place, rows = torch.device(device), []
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


def _trace_bounded(path: Path, number: int, threads: int) -> dict[str, int]:
    model = prepare(load_checkpoint(path), threads)
    jets = tile_jets(np.array([[10.0, 50.0, 0.5, -0.5], [0.0, 20.0, -3.0, 2.0]]), number)
    model.decode(model.encode(jets[:16]))
    latents = np.empty((number, model.latent), np.float32)
    encoding = resident_peak(lambda: model.encode(jets)) - latents.nbytes
    latents[:] = 0.1
    decoding = resident_peak(lambda: model.decode(latents)) - jets.nbytes
    return {"encoding": max(0, encoding), "decoding": max(0, decoding)}


def run_benchmark(
    models: Mapping[str, Path],
    sample: Sample,
    effort: Effort,
    device: str | None = None,
    threads: int | None = None,
    report: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Time and memory of some models as JSON-safe rows, beside the machine; `report` is told what comes next.

    `device` as in `find_devices`.
    """
    jets = feature_array(sample.test).astype(np.float32)
    many = tile_jets(jets, effort.jets)
    numbers = sorted({number for number in effort.numbers if number < effort.jets} | {effort.jets})
    sizes = [size for size in effort.batch_sizes if size <= effort.jets]
    rows: dict[str, list[Row]] = {
        name: [] for name in ("cold_start", "stages", "throughput", "batches", "scaling", "memory", "bounded")
    }
    with torch_threads(threads) as used:
        result = {"machine": machine_info(), "dataset": sample.source, "weights": describe_weights(models)}
        for place in find_devices(device):
            loaded = load_models(models, place)
            report(f"start in fresh processes, {place}")
            rows["cold_start"] += time_cold_start(models, effort.cold_repeats, place)
            report(f"encoding and decoding {len(jets):,} and {len(many):,} jets, {place}")
            rows["stages"] += time_stages(loaded, jets, effort.repeats, effort.limit_s)
            rows["throughput"] += time_throughput(loaded, many, effort.turns)
            report(f"calls of 1 to {sizes[-1]:,} jets, and time against their number, {place}")
            rows["batches"] += time_batches(loaded, jets, sizes, effort.limit_s / 8)
            rows["scaling"] += time_scaling(loaded, jets, numbers, effort.limit_s)
            report(f"memory, {place}")
            rows["memory"] += trace_memory(models, jets, place, used)
        rows["bounded"] = trace_bounded(models, effort.jets, used)
    return result | rows


def benchmark_text(result: Mapping[str, Any]) -> str:
    """The main numbers of `run_benchmark` for a terminal."""
    machine = result["machine"]
    gpu = machine["gpu"]["name"] if machine["gpu"] else "no GPU"
    cores = f"{machine['cores']} cores, {machine['threads']} threads"
    times = ("model", "device", "stage", "way", "median_s", "low_s", "high_s", "repeats", "ratio")
    return "\n\n".join(
        [
            f"{machine['cpu']}, {cores}, {gpu}, torch {machine['torch']}",
            "\n".join(f"{name}: {source}" for name, source in result["weights"].items()),
            "Encoding and decoding; ratio to the original's way, efficiency against a matrix product\n"
            + text_table(result["throughput"], *THROUGHPUT_COLUMNS),
            "Stages\n" + text_table([*result["cold_start"], *result["stages"]], *times),
            "Peak memory above input and output, MB\n"
            + text_table(result["bounded"], "model", "jets", "encoding", "decoding", encoding=1e-6, decoding=1e-6),
        ]
    )
