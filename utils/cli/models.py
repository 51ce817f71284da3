"""Commands on models: train, evaluate, export, benchmark, sweep."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fastai.torch_core import rank_distrib

from utils.cli.options import (
    PROFILES,
    absolute_dataset,
    add_cluster_options,
    add_many_options,
    add_reading_options,
    run_many,
)
from utils.jets import feature_array, load_sample
from utils.metrics import evaluate
from utils.networks import LOSSES, NORMALIZATIONS, VARIANTS
from utils.study import save_model
from utils.training import SCHEDULES, make_checkpoint, make_dataloaders, train, training_config


def train_main(arguments: Sequence[str] | None = None) -> int:
    """Train one model from the command line; with `torchrun`, in all of its processes.

    Returns the exit code: 0, 1 where the training diverged, 2 for bad input or usage.
    """
    parser = argparse.ArgumentParser(prog="python -m utils.training", description="Train an autoencoder of jets.")
    parser.add_argument("--variant", default="tanh", choices=VARIANTS, help="default: %(default)s")
    parser.add_argument("--dataset", default="embedded", help="embedded, published, or a file (default: %(default)s)")
    parser.add_argument("--normalization", default="custom", choices=NORMALIZATIONS, help="default: %(default)s")
    parser.add_argument("--profile", default="reference", choices=SCHEDULES["project"], help="default: %(default)s")
    parser.add_argument("--schedule", default="project", choices=SCHEDULES, help="default: %(default)s")
    parser.add_argument("--steps", type=int, help="steps of the optimizer (default: those of the profile)")
    parser.add_argument("--loss", default="mse", choices=LOSSES, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    parser.add_argument("--max-jets", type=int, help="at most so many training jets (default: all)")
    parser.add_argument("--device", help="cpu, cuda, ... (default: a GPU for each process where there are any)")
    parser.add_argument("--output", required=True, metavar="FILE.safetensors", help="where the model goes")
    options = parser.parse_args(arguments)
    try:
        _train_one(options)
    except (ValueError, OSError, FloatingPointError) as error:
        print(f"{parser.prog}: error: {error}", file=sys.stderr)
        return 1 if isinstance(error, FloatingPointError) else 2
    return 0


def _train_one(options: argparse.Namespace) -> None:
    sample = load_sample(options.dataset, options.max_jets, options.seed)
    config = training_config(options.profile, options.schedule, options.steps, options.loss, options.variant)
    normalization = NORMALIZATIONS[options.normalization].fit(feature_array(sample.train))
    batches = make_dataloaders(sample, normalization, config, options.device)
    result = train(VARIANTS[options.variant], batches, config, options.seed, progress=rank_distrib() == 0)
    if rank_distrib() == 0:
        checkpoint = make_checkpoint(result, options.variant, normalization, sample, options.seed)
        row = evaluate(checkpoint, sample.test)
        save_model(Path(options.output), checkpoint, row)
        last = result.losses.iloc[result.best_epoch]
        print(
            f"{options.output}: test MSE {row['mse']:.6g}, training loss {last['train']:.6g}, validation loss "
            f"{last['valid']:.6g} in epoch {result.best_epoch + 1} of {len(result.losses)}, {result.seconds:.1f} s"
        )


def add_evaluate(commands: Any) -> None:
    parser = commands.add_parser(
        "evaluate",
        help="the errors that a model makes on jets",
        description="Encode and decode the jets of files with a model, and print its errors: of pt and m relative, "
        "massless jets left out of m; of phi wrapped. One task of a Dask cluster for each file.",
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="a file, several, or a pattern")
    parser.add_argument(
        "--model", required=True, metavar="FILE", help="checkpoint (.safetensors) or published weights (.pth)"
    )
    parser.add_argument("--refine", type=int, default=0, metavar="N", help="refinement steps (default: none)")
    add_reading_options(parser)
    add_many_options(parser)
    parser.set_defaults(run=_run_evaluate)


def _run_evaluate(options: argparse.Namespace) -> int:
    from utils.networks import load_model

    load_model(options.model)
    if options.refine < 0:
        raise ValueError(f"refinement takes a number of steps, none or more, found {options.refine}")
    reading = {"tree": options.tree, "collection": options.collection, "unit": options.unit}
    model = os.path.abspath(options.model)
    return run_many(options, "evaluate", reading | {"model": model, "refine": options.refine}, "")


def add_export(commands: Any) -> None:
    parser = commands.add_parser(
        "export",
        help="write a model as ONNX",
        description="Write OUT.onnx (jets to latents and reconstructed jets), OUT.encoder.onnx and OUT.decoder.onnx, "
        "with the normalization inside: jets are in GeV and rad. Before that, all are checked against PyTorch on the "
        "test jets of the embedded sample.",
    )
    parser.add_argument("model", metavar="MODEL", help="a checkpoint (.safetensors)")
    parser.add_argument("output", metavar="OUT.onnx", help="where to write; the other names derive from this one")
    parser.set_defaults(run=_run_export)


def _run_export(options: argparse.Namespace) -> int:
    from utils.jets import UNITS, feature_array, load_sample
    from utils.networks import export_model, export_paths, load_checkpoint

    paths = export_paths(options.output)
    jets = feature_array(load_sample().test)
    differences = export_model(load_checkpoint(options.model), options.output, jets)
    for part, path in paths.items():
        print(f"{path}: {part}, {path.stat().st_size:,} bytes")
    print(f"largest difference from PyTorch on {len(jets)} test jets:")
    for rows in differences.values():
        for name, value in rows.items():
            print(f"  {name:9} {value:.1e} {UNITS.get(name, '')}".rstrip())
    return 0


def add_benchmark(commands: Any) -> None:
    parser = commands.add_parser(
        "benchmark",
        help="measure time and memory of encoding and decoding",
        description="Measure start-up, encoding and decoding, time against the number of jets, and memory, all beside "
        "the original's way and the rate of a matrix product. Takes some minutes.",
    )
    parser.add_argument("--json", metavar="FILE", help="write every number to this file as well")
    parser.add_argument(
        "--model",
        metavar="M",
        nargs="+",
        help="checkpoints (.safetensors); default: the three variants of the study, trained where models/ holds them",
    )
    parser.add_argument(
        "--jets", type=int, default=1_000_000, metavar="N", help="jets to encode (default: %(default)s)"
    )
    parser.add_argument("--threads", type=int, metavar="T", help="CPU threads (default: all cores)")
    parser.add_argument("--device", metavar="D", help="cpu or cuda (default: both, where there is a GPU)")
    parser.set_defaults(run=_run_benchmark)


def _run_benchmark(options: argparse.Namespace) -> int:
    from dataclasses import replace
    from pathlib import Path

    from utils.files import write_json
    from utils.jets import load_sample
    from utils.study import EFFORTS, benchmark_text, find_models, run_benchmark

    if options.jets < 1 or (options.threads is not None and options.threads < 1):
        raise ValueError(f"expected one jet and one thread at least, found {options.jets} and {options.threads}")
    effort = replace(EFFORTS["quick" if options.jets < 100_000 else "reference"], jets=options.jets)
    result = run_benchmark(
        {Path(name).stem: Path(name) for name in options.model or []} or find_models(),
        load_sample(),
        effort,
        options.device,
        options.threads,
        lambda line: print(f"measuring {line}", file=sys.stderr, flush=True),
    )
    print(benchmark_text(result))
    if options.json is not None:
        write_json(options.json, result)
    return 0


def add_sweep(commands: Any) -> None:
    parser = commands.add_parser(
        "sweep",
        help="train every variant from several seeds, and compare",
        description="Train variants of the autoencoder from several seeds side by side, as Dask tasks, and write the "
        "mean and spread of their errors to sweep.json, sweep.md and sweep.png. Trainings that are done are not done "
        "again by a second run.",
    )
    parser.add_argument("--variants", nargs="+", default=["all"], metavar="V", help="tanh, elu_bn, ... (default: all)")
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="seeds 0 to N - 1 (default: %(default)s)")
    parser.add_argument("--dataset", default="embedded", help="embedded, published, or jet files (default: embedded)")
    parser.add_argument("--profile", choices=PROFILES, default="reference", help="default: %(default)s")
    parser.add_argument(
        "--schedule",
        choices=("project", "unguided", "published"),
        default="project",
        help="how to train: see utils/training.py (default: %(default)s)",
    )
    parser.add_argument("--steps", type=int, metavar="N", help="steps of the optimizer (default: those of the profile)")
    parser.add_argument("--losses", nargs="+", default=["mse"], metavar="L", help="mse, resolution (default: mse)")
    parser.add_argument(
        "--jets", nargs="+", type=int, metavar="N", help="sizes of the training sample to compare (default: all jets)"
    )
    parser.add_argument("--refine", type=int, default=3, metavar="N", help="refinement steps (default: %(default)s)")
    parser.add_argument("--output", default="runs/sweep", metavar="DIR", help="default: %(default)s")
    parser.add_argument("--device", metavar="DEVICE", help="cpu, cuda, ... (default: a GPU where there is one)")
    add_cluster_options(parser)
    parser.set_defaults(run=_run_sweep)


def _run_sweep(options: argparse.Namespace) -> int:
    from utils.study import SweepError, sweep, write_sweep

    try:
        rows = sweep(
            options.output,
            options.variants,
            range(options.seeds),
            dataset=absolute_dataset(options.dataset),
            profile=options.profile,
            schedule=options.schedule,
            steps=options.steps,
            losses=options.losses,
            sizes=options.jets or (None,),
            refine=options.refine,
            device=options.device,
            workers=options.workers,
            scheduler=options.scheduler,
        )
    except SweepError as error:
        print(f"compressionhep: error: some trainings failed, the others are kept: {error}", file=sys.stderr)
        if error.rows:
            print(write_sweep(options.output, error.rows))
        return 1
    print(write_sweep(options.output, rows))
    return 0
