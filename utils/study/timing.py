"""Times of start-up, encoding and decoding, beside the original's way and the rates of matrix products."""

import json
import math
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NotRequired, TypedDict

import numpy as np
import torch
from onnx import TensorProto, helper, numpy_helper

from utils.jets import feature_array, load_sample
from utils.machine import CPU
from utils.networks import VARIANT_LABELS, Checkpoint, CustomNormalization, Normalization, prepare
from utils.networks.onnx_export import IR_VERSION, OPSET, make_session
from utils.study.ways import (
    ORIGINAL,
    PROJECT,
    REPEATS,
    Timing,
    both_ways,
    device_of,
    flop_per_jet,
    original_limit,
    summarize_times,
    there_and_back,
    tile_jets,
    time_call,
    time_in_turns,
)

MATRIX = 2048
"""Rows of the square matrices whose product gives the rate of arithmetic."""

PYTORCH, ONNX_RUNTIME, HALF = "PyTorch", "ONNX Runtime", "float16"
"""Words in the names of `matrix_products`."""

MATRIX_BLOCK = 256
"""Rows of the left one that a thread gives ONNX Runtime at once: their product stays in the cache of its core."""

COLD_START = """
import json, sys, time
clock = [time.perf_counter()]
import numpy
from utils.networks import build_model, load_checkpoint, prepare, read_header
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


class StageTime(Timing):
    """A stage of a model, in a way, in a fresh or a warm process; times in seconds.

    `ratio` is how many times faster it is than the original's way, where both were measured.
    """

    model: str
    stage: str
    way: str
    device: str
    process: str
    ratio: NotRequired[float]


class BatchTime(Timing):
    """A call there and back with so many jets, in a way."""

    model: str
    way: str
    device: str
    jets: int
    jets_per_s: float


class ScalingTime(Timing):
    """So many jets there and back, and the relative distance of their time from a straight line."""

    model: str
    device: str
    jets: int
    deviation: float


class Throughput(TypedDict):
    """Jets per second there and back, this project's and the original's, beside the rates of matrix products.

    `spread` is half of the 16-84% range of this project's times over their median; `ratio` is of the two ways;
    `gflops` the arithmetic of the unfolded network in that time, in 1e9 per second; `matrix_gflops` is that of each of
    the `matrix_products`, and `efficiency` the ratio to the fastest in float32 of the rows that were measured together.
    """

    model: str
    label: str
    device: str
    jets: int
    jets_per_s: float
    spread: float
    original_jets: int
    original_jets_per_s: float
    ratio: float
    gflops: float
    efficiency: float
    timings: dict[str, Timing]
    matrix_gflops: dict[str, float]


def time_cold_start(models: Mapping[str, Path], repeats: int, device: torch.device = CPU) -> list[StageTime]:
    """Times of `COLD_STAGES` for each model, every repeat in a fresh Python process."""
    seconds: dict[str, list[list[float]]] = {name: [] for name in models}
    for _ in range(repeats):
        for name, path in models.items():
            command = [sys.executable, "-c", COLD_START, str(path), str(device)]
            ran = subprocess.run(command, check=True, capture_output=True, text=True)
            seconds[name].append(json.loads(ran.stdout))
    return [
        {
            "model": name,
            "stage": stage,
            "way": PROJECT,
            "device": str(device),
            "process": "fresh",
            **summarize_times(column),
        }
        for name, rows in seconds.items()
        for stage, column in zip(COLD_STAGES, zip(*rows, strict=True), strict=True)
    ]


def time_data(
    dataset: str | Path = "embedded",
    max_jets: int | None = None,
    normalization: Normalization | None = None,
    repeats: int = REPEATS,
    limit_s: float = math.inf,
) -> StageTime:
    """Time to read and split a sample and to normalize its test jets (default: custom); the same for every model."""
    normalization = normalization or CustomNormalization()
    timing = time_call(
        lambda: normalization.normalize(feature_array(load_sample(dataset, max_jets).test)), repeats, limit_s=limit_s
    )
    return {"model": "(all)", "stage": "data", "way": PROJECT, "device": "cpu", "process": "warm", **timing}


def time_stages(
    models: Mapping[str, Checkpoint], jets: np.ndarray, repeats: int = REPEATS, limit_s: float = math.inf
) -> list[StageTime]:
    """Times to encode and to decode `jets`, shape (jets, 4), in both ways, warm; `ratio` in the rows of this project's.

    The two ways take turns.
    """
    rows: list[StageTime] = []
    for name, checkpoint in models.items():
        device, both = device_of(checkpoint), both_ways(checkpoint)
        latents = both[PROJECT][0](jets)
        for i, (stage, inputs) in enumerate((("encoding", jets), ("decoding", latents))):
            calls = {way: partial(functions[i], inputs) for way, functions in both.items()}
            timings = time_in_turns(calls, repeats, device, limit_s)
            for way, timing in timings.items():
                row: StageTime = {
                    "model": name,
                    "stage": stage,
                    "way": way,
                    "device": str(device),
                    "process": "warm",
                    **timing,
                }
                if way == PROJECT:
                    row["ratio"] = timings[ORIGINAL]["median_s"] / timing["median_s"]
                rows.append(row)
    return rows


def matrix_products(device: torch.device = CPU) -> dict[str, Callable[[], np.ndarray | torch.Tensor]]:
    """Products of two square matrices of MATRIX rows, by library, to measure the rate of arithmetic within reach.

    In float32, but for the last where there is one: on a GPU, PyTorch's in HALF as well. On a CPU also ONNX Runtime's,
    which may know vector instructions of the machine that PyTorch's library does not use.
    """
    left, right = (torch.rand(MATRIX, MATRIX, device=device) for _ in range(2))
    if device.type == "cpu":
        return {ONNX_RUNTIME: _onnx_product(left.numpy(), right.numpy()), PYTORCH: _torch_product(left, right)}
    return {
        f"{PYTORCH}, {device}": _torch_product(left, right),
        f"{PYTORCH}, {device}, {HALF}": _torch_product(left.half(), right.half()),
    }


def matrix_rates(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """The fastest that each of the `matrix_products` was beside these rows, in GFLOP/s, by library."""
    libraries = {library: None for row in rows for library in row["matrix_gflops"]}
    return {library: max(row["matrix_gflops"].get(library, 0.0) for row in rows) for library in libraries}


def _torch_product(left: torch.Tensor, right: torch.Tensor) -> Callable[[], torch.Tensor]:
    out = torch.empty_like(left)
    return lambda: torch.mm(left, right, out=out)


def _onnx_product(left: np.ndarray, right: np.ndarray) -> Callable[[], np.ndarray]:
    """The threads share the rows of the left matrix, as they share jets where a model encodes."""
    rows, columns = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", len(right)]) for name in ("x", "y"))
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "right"], ["y"])],
        "product",
        [rows],
        [columns],
        [numpy_helper.from_array(right, "right")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    session, pool = make_session(model.SerializeToString()), ThreadPoolExecutor(torch.get_num_threads())
    out = np.empty_like(left)

    def multiply(start: int) -> None:
        block = slice(start, start + MATRIX_BLOCK)
        out[block] = session.run(None, {"x": left[block]})[0]

    def product() -> np.ndarray:
        list(pool.map(multiply, range(0, len(left), MATRIX_BLOCK)))
        return out

    return product


def time_throughput(models: Mapping[str, Checkpoint], jets: np.ndarray, turns: int = 5) -> list[Throughput]:
    """Encoding plus decoding of `jets` in both ways, beside the rates of `matrix_products`, all taking turns.

    The original's way takes no more jets than `original_limit`.
    """
    rows: list[Throughput] = []
    for name, checkpoint in models.items():
        device, both = device_of(checkpoint), both_ways(checkpoint)
        counts = {PROJECT: len(jets), ORIGINAL: min(len(jets), original_limit(device))}
        ways = {way: partial(there_and_back, *functions, jets[: counts[way]]) for way, functions in both.items()}
        products = matrix_products(device)
        # PyTorch's threads go on spinning for a while, in the way of others: what runs in ONNX Runtime comes first
        calls: dict[str, Callable[[], object]] = {PROJECT: ways[PROJECT], **products, ORIGINAL: ways[ORIGINAL]}
        timings = time_in_turns(calls, turns, device, limit_s=math.inf)
        rate = {way: count / timings[way]["median_s"] for way, count in counts.items()}
        own, gflops = timings[PROJECT], flop_per_jet(checkpoint) * rate[PROJECT] / 1e9
        row: Throughput = {
            "model": name,
            "label": VARIANT_LABELS.get(name, name),
            "device": str(device),
            "jets": len(jets),
            "jets_per_s": rate[PROJECT],
            "spread": (own["high_s"] - own["low_s"]) / 2 / own["median_s"],
            "original_jets": counts[ORIGINAL],
            "original_jets_per_s": rate[ORIGINAL],
            "ratio": rate[PROJECT] / rate[ORIGINAL],
            "gflops": gflops,
            "efficiency": math.nan,
            "timings": timings,
            "matrix_gflops": {library: 2 * MATRIX**3 / timings[library]["median_s"] / 1e9 for library in products},
        }
        rows.append(row)
    fastest = max((rate for library, rate in matrix_rates(rows).items() if HALF not in library), default=math.nan)
    for row in rows:
        row["efficiency"] = row["gflops"] / fastest
    return rows


def time_batches(
    models: Mapping[str, Checkpoint], jets: np.ndarray, sizes: Sequence[int], limit_s: float = 1.0
) -> list[BatchTime]:
    """Jets per second, there and back, against the number of jets handed over in one call, in both ways."""
    rows: list[BatchTime] = []
    for name, checkpoint in models.items():
        device = device_of(checkpoint)
        for way, functions in both_ways(checkpoint).items():
            for size in sizes:
                if way == ORIGINAL and size > original_limit(device):
                    continue
                call = partial(there_and_back, *functions, tile_jets(jets, size))
                timing = time_call(call, max(REPEATS, 10_000 // size), device, limit_s)
                rows.append(
                    {
                        "model": name,
                        "way": way,
                        "device": str(device),
                        "jets": size,
                        "jets_per_s": size / timing["median_s"],
                        **timing,
                    }
                )
    return rows


def time_scaling(
    models: Mapping[str, Checkpoint], jets: np.ndarray, numbers: Sequence[int], limit_s: float = 3.0
) -> list[ScalingTime]:
    """Time there and back against the number of jets, and in `deviation` the relative distance from a straight line.

    The line is fitted through all points, with relative weights. What is warm from fewer jets is not warmed up again.
    """
    rows: list[ScalingTime] = []
    for name, checkpoint in models.items():
        model = prepare(checkpoint)
        timings: list[Timing] = []
        for number in numbers:
            call = partial(there_and_back, model.encode, model.decode, tile_jets(jets, number))
            timings.append(time_call(call, 5, device_of(checkpoint), limit_s, warm_up=not timings))
        medians = np.array([timing["median_s"] for timing in timings])
        line = np.polyval(np.polyfit(numbers, medians, 1, w=1 / medians), numbers)
        rows += [
            {
                "model": name,
                "device": str(device_of(checkpoint)),
                "jets": number,
                "deviation": float(deviation),
                **timing,
            }
            for number, timing, deviation in zip(numbers, timings, medians / line - 1, strict=True)
        ]
    return rows
