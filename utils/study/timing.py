"""Times of start-up, encoding and decoding, beside the original's way and the rate of a matrix product."""

import json
import math
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NotRequired, TypedDict

import numpy as np
import torch

from utils.jets import feature_array, load_sample
from utils.machine import CPU
from utils.networks import VARIANT_LABELS, Checkpoint, CustomNormalization, Normalization, prepare
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
    """Jets per second there and back, this project's and the original's, beside the rate of a matrix product.

    `spread` is half of the 16-84% range of this project's times over their median; `ratio` is of the two ways;
    `gflops` the arithmetic of the unfolded network in that time, in 1e9 per second; `matrix_gflops` is that of the
    float32 product, and `efficiency` the ratio to the fastest of the rows that were measured together.
    `half_matrix_gflops` is of a GPU alone.
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
    matrix_gflops: float
    half_matrix_gflops: NotRequired[float]


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


def matrix_product(device: torch.device = CPU, dtype: torch.dtype = torch.float32) -> Callable[[], None]:
    """A product of two square matrices of MATRIX rows, to measure the rate of arithmetic that is within reach."""
    with torch.inference_mode():
        a, b = (torch.rand(MATRIX, MATRIX, device=device).to(dtype) for _ in range(2))
        out = torch.empty_like(a)

    def multiply() -> None:
        with torch.inference_mode():
            torch.mm(a, b, out=out)

    return multiply


def time_throughput(models: Mapping[str, Checkpoint], jets: np.ndarray, turns: int = 5) -> list[Throughput]:
    """Encoding plus decoding of `jets` in both ways, beside the rate of a matrix product, all taking turns.

    The original's way takes no more jets than `original_limit`.
    """
    rows: list[Throughput] = []
    for name, checkpoint in models.items():
        device, both = device_of(checkpoint), both_ways(checkpoint)
        counts = {PROJECT: len(jets), ORIGINAL: min(len(jets), original_limit(device))}
        calls: dict[str, Callable[[], object]] = {
            way: partial(there_and_back, *functions, jets[: counts[way]]) for way, functions in both.items()
        }
        calls["matrix"] = matrix_product(device)
        if device.type == "cuda":
            calls["half_matrix"] = matrix_product(device, torch.float16)
        timings = time_in_turns(calls, turns, device, limit_s=math.inf)
        rate = {way: count / timings[way]["median_s"] for way, count in counts.items()}
        own, gflops = timings[PROJECT], flop_per_jet(checkpoint) * rate[PROJECT] / 1e9
        products = {way: 2 * MATRIX**3 / timings[way]["median_s"] / 1e9 for way in calls if way not in both}
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
            "efficiency": gflops / products["matrix"],
            "timings": timings,
            "matrix_gflops": products["matrix"],
        }
        if "half_matrix" in products:
            row["half_matrix_gflops"] = products["half_matrix"]
        rows.append(row)
    fastest = max((row["matrix_gflops"] for row in rows), default=0.0)
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
