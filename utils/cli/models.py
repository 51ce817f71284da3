"""Commands on models: evaluate, export, benchmark, sweep."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack

import click

from utils import jets, networks, study
from utils.cli.messages import say
from utils.cli.options import (
    FILE,
    FOLDER,
    LOSSES,
    REFINE,
    ManyValues,
    bad_jets_option,
    chosen_dataset,
    cluster_options,
    dataset_options,
    force_option,
    json_option,
    many_options,
    profile_option,
    reading_options,
    schedule_option,
)


@click.command(short_help="the errors that a model makes on jets")
@click.argument("files", nargs=-1, required=True, type=FILE, metavar="FILE...", help="a file, several, or a pattern")
@click.option(
    "--model", type=FILE, required=True, metavar="FILE", help="checkpoint (.safetensors) or published weights (.pth)"
)
@click.option("--refine", type=int, default=0, metavar="N", help=REFINE)
@reading_options
@bad_jets_option
@many_options()
def evaluate(
    files: tuple[str, ...],
    model: str,
    refine: int,
    workers: int | None,
    scheduler: str | None,
    dashboard: bool,
    json_path: str | None,
    force: bool,
    **reading: Unpack[jets.Reading],
) -> int:
    """Encode and decode the jets of files with a model, and print its errors: of pt and m relative, massless jets left
    out of m; of phi wrapped. One task of a Dask cluster for each file."""
    from utils.cli.many import run_many
    from utils.cli.writing import refuse_outputs

    refuse_outputs([*files, model], json_path=json_path, force=force)
    networks.load_model(model)
    if refine < 0:
        raise ValueError(f"refinement takes a number of steps, none or more, found {refine}")
    settings = {**reading, "model": os.path.abspath(model), "refine": refine}
    return run_many(
        "evaluate",
        files,
        settings,
        workers=workers,
        scheduler=scheduler,
        dashboard=dashboard,
        json_path=json_path,
    )


@click.command(short_help="write a model as ONNX")
@click.argument("model", type=FILE, metavar="MODEL", help="a checkpoint (.safetensors)")
@click.argument("output", type=FILE, metavar="OUT.onnx", help="where to write; the other names derive from this one")
@force_option
def export(model: str, output: str, force: bool) -> None:
    """Write OUT.onnx (jets to latents and reconstructed jets), OUT.encoder.onnx and OUT.decoder.onnx, with the
    normalization inside: jets are in GeV and rad. Before that, all are checked against PyTorch on the test jets of the
    embedded sample."""
    from utils.cli.writing import refuse_outputs

    paths = networks.export_paths(output)
    for path in paths.values():
        refuse_outputs([model], str(path), force=force)
    features = jets.feature_array(jets.load_sample().test)
    differences = networks.export_model(networks.load_checkpoint(model), output, features)
    for part, path in paths.items():
        say(f"{path}: {part}, {path.stat().st_size:,} bytes")
    say(f"largest difference from PyTorch on {len(features)} test jets:")
    for rows in differences.values():
        for name, value in rows.items():
            say(f"  {name:9} {value:.1e} {jets.UNITS.get(name, '')}".rstrip())


@click.command(cls=ManyValues, short_help="measure time and memory of encoding and decoding")
@json_option("every number")
@click.option(
    "--model",
    "models",
    type=FILE,
    multiple=True,
    metavar="FILE...",
    help="checkpoints (.safetensors); default: tanh, LeakyReLU + BN and ELU + BN, with the weights of models/ where "
    "they are there, else random ones",
)
@click.option(
    "--jets",
    "number",
    type=int,
    default=1_000_000,
    metavar="N",
    help="jets to encode; below 100,000 with fewer repeats",
)
@click.option("--threads", type=int, metavar="T", help="CPU threads (default: all cores)")
@click.option("--device", metavar="DEVICE", help="cpu or cuda (default: both, where there is a GPU)")
def benchmark(
    json_path: str | None,
    force: bool,
    models: tuple[str, ...],
    number: int,
    threads: int | None,
    device: str | None,
) -> None:
    """Measure start-up, encoding and decoding, time against the number of jets, and memory, all beside the original's
    way and the rates of matrix products. Takes some minutes."""
    from utils.cli.writing import refuse_outputs
    from utils.files import distinct_files, write_json

    refuse_outputs(models, json_path=json_path, force=force)
    if number < 1 or (threads is not None and threads < 1):
        raise ValueError(f"expected one jet and one thread at least, found {number} and {threads}")
    given = distinct_files(models)
    named = {Path(name).stem: Path(name) for name in given}
    if len(named) < len(given):
        raise ValueError("two of the models have the same name; the numbers of one would replace those of the other")
    result = study.run_benchmark(
        named or study.find_models(),
        jets.load_sample(),
        replace(study.EFFORTS["quick" if number < 100_000 else "reference"], jets=number),
        device,
        threads,
        lambda line: say(f"measuring {line}", err=True),
    )
    say(study.benchmark_text(result))
    if json_path is not None:
        write_json(json_path, result)


@click.command(cls=ManyValues, short_help="train every variant from several seeds, and compare")
@click.option(
    "--variants",
    type=click.Choice(["all", *networks.VARIANTS]),
    multiple=True,
    default=["all"],
    help="all: those that are compared, without linear",
)
@click.option("--seeds", type=int, default=3, metavar="N", help="seeds 0 to N - 1")
@click.option("--dataset", type=FILE, default="embedded", metavar="DATASET", help="embedded, published, or jet files")
@dataset_options
@profile_option
@schedule_option
@click.option("--steps", type=int, metavar="N", help="steps of the optimizer (default: those of the profile)")
@click.option("--losses", type=click.Choice(networks.LOSS_KINDS), multiple=True, default=["mse"], help=LOSSES)
@click.option(
    "--jets",
    "sizes",
    type=int,
    multiple=True,
    metavar="N...",
    help="sizes of the training sample to compare (default: all jets)",
)
@click.option("--refine", type=int, default=3, metavar="N", help=REFINE)
@click.option(
    "--output",
    type=FOLDER,
    default="runs/sweep",
    metavar="DIR",
    help="folder for everything, the default in the working folder; it holds sweeps of one dataset, profile and steps",
)
@click.option("--device", metavar="DEVICE", help="cpu, cuda, ... (default: a GPU where there is one)")
@cluster_options()
def sweep(
    variants: tuple[str, ...],
    seeds: int,
    dataset: str,
    profile: str,
    schedule: str,
    steps: int | None,
    losses: tuple[str, ...],
    sizes: tuple[int, ...],
    refine: int,
    output: str,
    device: str | None,
    workers: int | None,
    scheduler: str | None,
    dashboard: bool,
    **reading: Any,
) -> int:
    """Train variants of the autoencoder from several seeds side by side, as Dask tasks, and write the mean and spread
    of their errors to sweep.json, sweep.md and sweep.png. Trainings that are done are not done again by a second
    run. Options that take several values take them one after the other: --variants tanh elu_bn."""
    sample = chosen_dataset(dataset, reading)
    study.refuse_other_sweep(output, sample, profile, steps)
    try:
        rows = study.sweep(
            output,
            variants,
            range(seeds),
            dataset=sample,
            profile=profile,
            schedule=schedule,
            steps=steps,
            losses=losses,
            sizes=sizes or (None,),
            refine=refine,
            device=device,
            workers=workers,
            scheduler=scheduler,
            dashboard=dashboard,
        )
    except study.SweepError as error:
        say(f"compressionhep: error: some trainings failed, the others are kept: {error}", err=True)
        if error.rows:
            say(study.write_sweep(output, error.rows))
        return 1
    say(study.write_sweep(output, rows))
    return 0
