"""The benchmark as a whole: which models, how much effort, all measurements, and their text."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TypedDict

import numpy as np
import torch

from utils.files import REPOSITORY, Json
from utils.jets import Sample, feature_array
from utils.machine import CPU, MachineInfo, find_devices, machine_info, machine_line, torch_threads
from utils.networks import (
    VARIANT_LABELS,
    VARIANTS,
    Autoencoder,
    Checkpoint,
    CustomNormalization,
    architecture_of,
    load_checkpoint,
    read_header,
    save_checkpoint,
)
from utils.study.memory import BoundedMemory, MemoryUse, trace_bounded, trace_memory
from utils.study.record import STUDY_MODELS
from utils.study.timing import (
    BatchTime,
    ScalingTime,
    StageTime,
    Throughput,
    matrix_rates,
    time_batches,
    time_cold_start,
    time_scaling,
    time_stages,
    time_throughput,
)
from utils.study.ways import REPEATS, tile_jets
from utils.text import text_table


def untrained_checkpoint(variant: str, seed: int = 0) -> Checkpoint:
    """A variant with the custom normalization, weights drawn from a seed, and BatchNorm statistics as if trained.

    It computes what a trained model of its shape does, in the same time; what comes out means nothing.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = Autoencoder(VARIANTS[variant])
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
    return Checkpoint(model, CustomNormalization(), {"model": variant, "source": f"untrained, seed {seed}"})


@dataclass(frozen=True)
class Effort:
    """How much to measure: repeats, numbers of jets, and the seconds after which a measurement stops repeating.

    `threads` is how many CPU threads to use, None for all cores. `epochs` are of the training beside the original's,
    `loop_epochs` and `loop_turns` those of `time_loops`, both of `training_jets`, validation included, None for all.
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
    loop_epochs: int
    loop_turns: int
    training_jets: int | None = None
    threads: int | None = None


EFFORTS: dict[str, Effort] = {
    "quick": Effort(
        repeats=3,
        cold_repeats=1,
        limit_s=0.2,
        turns=2,
        jets=5000,
        batch_sizes=(1, 64, 4096),
        numbers=(2000, 10_000, 40_000),
        bounded=50_000,
        epochs=2,
        loop_epochs=1,
        loop_turns=1,
        training_jets=30_000,
        threads=1,
    ),
    "reference": Effort(
        repeats=REPEATS,
        cold_repeats=3,
        limit_s=1.0,
        turns=5,
        jets=1_000_000,
        batch_sizes=tuple(4**i for i in range(10)),
        numbers=(10_000, 30_000, 100_000, 300_000, 1_000_000),
        bounded=10_000_000,
        epochs=10,
        loop_epochs=4,
        loop_turns=3,
    ),
}
"""What the notebooks measure in each profile; the quick one on one thread, so that runs beside it disturb it little."""

THROUGHPUT_COLUMNS = (
    "model",
    "device",
    "jets",
    ("jets_per_s", "million jets/s", 1e-6),
    ("spread", "± [%]", 100.0),
    ("original_jets_per_s", "the original's", 1e-6),
    ("original_jets", "of jets", 1.0),
    "ratio",
    ("efficiency", "efficiency [%]", 100.0),
)
TIME_COLUMNS = (("median_s", "median [ms]", 1e3), ("low_s", "16% [ms]", 1e3), ("high_s", "84% [ms]", 1e3))
MEMORY_COLUMNS = (
    ("parameters", "parameters [MB]", 1e-6),
    ("tensors", "tensors [MB]", 1e-6),
    ("resident", "resident [MB]", 1e-6),
    ("python_heap", "Python heap [MB]", 1e-6),
    ("floor", "floor [MB]", 1e-6),
)
BOUNDED_COLUMNS = ("model", "jets", ("encoding", "encoding [MB]", 1e-6), ("decoding", "decoding [MB]", 1e-6))
"""What `text_table` shows of the rows of each measurement."""

BENCHMARKED = ("tanh", "leaky_relu_bn", "elu_bn")
"""The variants of the original table."""


def find_models(*folders: Path) -> dict[str, Path]:
    """A checkpoint file of each variant in BENCHMARKED with the custom normalization.

    The first of the study's in the folders (default: the repository's models), else one without training (see
    `untrained_checkpoint`) in a folder that goes when this process ends.
    """
    trained = [path for place in folders or (REPOSITORY / "models",) for path in sorted(place.glob(STUDY_MODELS))]
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


class Benchmark(TypedDict):
    """What `run_benchmark` measures, JSON-safe: the rows of each measurement beside the machine, the sample's source,
    and by model where the weights come from."""

    machine: MachineInfo
    dataset: Json
    weights: dict[str, str]
    cold_start: list[StageTime]
    stages: list[StageTime]
    throughput: list[Throughput]
    batches: list[BatchTime]
    scaling: list[ScalingTime]
    memory: list[MemoryUse]
    bounded: list[BoundedMemory]


def run_benchmark(
    models: Mapping[str, Path],
    sample: Sample,
    effort: Effort,
    device: str | None = None,
    threads: int | None = None,
    report: Callable[[str], None] = lambda line: None,
) -> Benchmark:
    """Time and memory of some models, by name; `report` is told what comes next.

    `device` as in `find_devices`. `threads` are those of torch, None: as many as it uses already.
    """
    jets = feature_array(sample.test).astype(np.float32)
    many = tile_jets(jets, effort.jets)
    numbers = sorted({number for number in effort.numbers if number < effort.jets} | {effort.jets})
    sizes = [size for size in effort.batch_sizes if size <= effort.jets]
    with torch_threads(threads) as used:
        result = _empty_benchmark(models, sample)
        for place in find_devices(device):
            loaded = load_models(models, place)
            report(f"start in fresh processes, {place}")
            result["cold_start"] += time_cold_start(models, effort.cold_repeats, place)
            report(f"encoding and decoding {len(jets):,} and {len(many):,} jets, {place}")
            result["stages"] += time_stages(loaded, jets, effort.repeats, effort.limit_s)
            result["throughput"] += time_throughput(loaded, many, effort.turns)
            report(f"calls of 1 to {sizes[-1]:,} jets, and time against their number, {place}")
            result["batches"] += time_batches(loaded, jets, sizes, effort.limit_s / 8)
            result["scaling"] += time_scaling(loaded, jets, numbers, effort.limit_s)
            report(f"memory, {place}")
            result["memory"] += trace_memory(models, jets, place, used)
        result["bounded"] = trace_bounded(models, effort.jets, used)
    return result


def _empty_benchmark(models: Mapping[str, Path], sample: Sample) -> Benchmark:
    return {
        "machine": machine_info(),
        "dataset": sample.source,
        "weights": describe_weights(models),
        "cold_start": [],
        "stages": [],
        "throughput": [],
        "batches": [],
        "scaling": [],
        "memory": [],
        "bounded": [],
    }


def with_labels(rows: Sequence[Mapping[str, object]]) -> list[dict[str, object]]:
    """Rows of measurements with the label of a variant in place of its name, to read."""
    return [{**row, "model": VARIANT_LABELS.get(str(row["model"]), row["model"])} for row in rows]


def matrix_text(rows: Sequence[Throughput]) -> str:
    """The rates of the matrix products that were measured beside these rows, to read."""
    return ", ".join(f"{library} {rate:.0f} GFLOP/s" for library, rate in matrix_rates(rows).items())


def benchmark_text(result: Benchmark) -> str:
    """The main numbers of `run_benchmark` for a terminal."""
    times = ("model", "device", "stage", "way", *TIME_COLUMNS, "repeats", "ratio")
    return "\n\n".join(
        [
            machine_line(result["machine"]),
            "\n".join(f"{name}: {source}" for name, source in result["weights"].items()),
            "Encoding and decoding; ratio to the original's way, efficiency against the fastest float32 product "
            f"({matrix_text(result['throughput'])})\n"
            + text_table(with_labels(result["throughput"]), *THROUGHPUT_COLUMNS),
            "Stages\n" + text_table(with_labels([*result["cold_start"], *result["stages"]]), *times),
            "Peak memory above input and output\n" + text_table(with_labels(result["bounded"]), *BOUNDED_COLUMNS),
        ]
    )
