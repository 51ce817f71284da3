"""The command line: `compressionhep COMMAND ...`."""

import argparse
import json
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from utils import __version__

_WORKERS = "processes on this machine (default: one a core)"

_THREADS_OR_WORKERS = "threads, or with a folder processes, on this machine (default: one a core)"

PROFILES = ("quick", "reference")

MANY_FILES = (
    "Where OUT is a folder (it exists, ends in a slash or has no suffix), every file becomes one of its own there, as "
    "a task of a Dask cluster; what is there already, from the same bytes and settings, is kept."
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code: 0, 1 where part of the work failed, 2 for bad input or usage."""
    parser = argparse.ArgumentParser(prog="compressionhep", description="Autoencoder compression of jets.")
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for add in COMMANDS:
        add(commands)
    options = parser.parse_args(arguments)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            return options.run(options)
    except (ValueError, OSError) as error:
        print(f"compressionhep: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("compressionhep: interrupted", file=sys.stderr)
        return 130


def _show_warning(message: Warning | str, *where: Any, **more: Any) -> None:
    """A warning in one line, without the place in the code that gave it."""
    print(f"compressionhep: note: {message}", file=sys.stderr)


def _add_simulate(commands: Any) -> None:
    parser = commands.add_parser(
        "simulate",
        help="generate QCD jets with Pythia 8 and FastJet",
        description="Generate QCD dijet events with pile-up at 13 TeV and write the jets of those that pass the "
        'trigger, about 27%% of them with 9 jets each. Needs the extra "compression-hep[simulation]".',
    )
    parser.add_argument("--events", type=int, required=True, metavar="N", help="hard events to generate")
    parser.add_argument("--seed", type=int, required=True, metavar="S", help="the same seed gives the same file")
    parser.add_argument("--output", required=True, metavar="FILE", help="jet file; its suffix names the format")
    parser.add_argument("--workers", type=int, default=1, metavar="W", help="processes (default: %(default)s)")
    parser.set_defaults(run=_run_simulate)


def _run_simulate(options: argparse.Namespace) -> int:
    from utils.jets import number_of_events, simulate_jets, write_jets

    table = simulate_jets(options.events, options.seed, workers=options.workers)
    write_jets(table, options.output)
    print(f"{options.output}: {len(table)} jets of {number_of_events(table)} events ({options.events} generated)")
    return 0


def _add_fetch(commands: Any) -> None:
    parser = commands.add_parser(
        "fetch",
        help="download the published samples and models",
        description="Download the test and training samples and the six models that the study published, and check "
        "each by its git blob id. Files that are there already are kept.",
    )
    parser.add_argument("--to", metavar="DIR", help="folder (default: $COMPRESSIONHEP_PUBLISHED, or a cache folder)")
    parser.set_defaults(run=_run_fetch)


def _run_fetch(options: argparse.Namespace) -> int:
    from utils.jets import FOLDER_VARIABLE, fetch_published, published_folder

    folder = published_folder() if options.to is None else options.to
    for name, state in fetch_published(folder).items():
        print(f"{name}: {state}")
    if options.to is not None:
        print(f"set {FOLDER_VARIABLE}={folder} to use them")
    return 0


def _add_reproduce(commands: Any) -> None:
    parser = commands.add_parser(
        "reproduce",
        help="reproduce the published tables, and correct them",
        description="Test the six published models and rank-3 PCA on the published test jets: MSE and mean residuals "
        "by the published recipe, and the errors in physical units. Needs the published files (compressionhep fetch).",
    )
    parser.add_argument("--json", metavar="FILE", help="write the numbers to this file as well")
    parser.set_defaults(run=_run_reproduce)


def _run_reproduce(options: argparse.Namespace) -> int:
    from utils.files import write_json
    from utils.study import reproduce, text_tables

    rows = reproduce()
    print(text_tables(rows))
    if options.json is not None:
        write_json(options.json, rows)
    return 0


def _add_run(commands: Any) -> None:
    parser = commands.add_parser(
        "run",
        help="run the notebooks, and gather what they made",
        description="Run notebooks with papermill, and write executed copies, HTML pages, plots, models, a summary and "
        "an index page. The exit code is 1 where a notebook fails; the others still run.",
    )
    parser.add_argument(
        "notebooks",
        nargs="*",
        metavar="NOTEBOOK",
        help="a file, or the name or a unique beginning of the name (1d) of one in CompressionHEP/ (default: all)",
    )
    parser.add_argument(
        "--profile",
        choices=PROFILES,
        default="quick",
        help="quick: small and fast; reference: the full study (default: %(default)s)",
    )
    parser.add_argument(
        "--output",
        metavar="DIR",
        help="folder for everything (default: runs/PROFILE; for the embedded sample in the reference profile the "
        "repository's own plots/ and models/, with the rest in runs/reference)",
    )
    parser.add_argument("--dataset", metavar="DATASET", help="embedded, published, or jet files; as -p dataset DATASET")
    parser.add_argument("--device", metavar="DEVICE", help="cpu, cuda, ... (default: a GPU where there is one)")
    parser.add_argument(
        "-p",
        "--parameter",
        nargs=2,
        action="append",
        default=[],
        metavar=("NAME", "VALUE"),
        help="set a parameter of the notebooks that have it; VALUE is JSON, None, True, False, or else text",
    )
    parser.set_defaults(run=_run_run)


def _run_run(options: argparse.Namespace) -> int:
    from pathlib import Path

    from utils.files import REPOSITORY
    from utils.machine import machine_info
    from utils.report import find_notebooks, run_notebooks, share_parameters, summary_text, write_report

    asked = {name: _parameter_value(value) for name, value in options.parameter}
    for name in ("dataset", "device"):
        if getattr(options, name) is not None:
            asked[name] = getattr(options, name)
    if "dataset" in asked:
        asked["dataset"] = _absolute_dataset(asked["dataset"])
    profile, output = asked.pop("profile", options.profile), asked.pop("output", options.output)
    if profile not in PROFILES:
        raise ValueError(f"no profile {profile!r}; there are {', '.join(PROFILES)}")
    common = {"profile": profile}
    if output is None and (profile == "quick" or asked.get("dataset", "embedded") != "embedded"):
        output = REPOSITORY / "runs" / profile  # the repository's own folders hold results of the embedded sample alone
    if output is not None:
        folder = Path(output).resolve()
        plots = folder / "plots"
        common["output"] = str(folder)
    else:
        folder, plots = REPOSITORY / "runs" / "reference", REPOSITORY / "plots"
    notebooks = share_parameters(find_notebooks(options.notebooks), common, asked)
    outcomes = run_notebooks(notebooks, folder, plots)
    index = write_report(folder, profile, outcomes, machine_info(), str(asked.get("dataset", "embedded")))
    print(summary_text(profile, outcomes), f"index: {index}", sep="\n\n")
    return 1 if any(outcome.error is not None for outcome in outcomes) else 0


def _parameter_value(text: str) -> Any:
    """A parameter given as text: JSON, or Python's None, True and False, or else the text itself."""
    words = {"None": None, "True": True, "False": False}
    if text in words:
        return words[text]
    try:
        return json.loads(text)
    except ValueError:
        return text


def _absolute_dataset(dataset: Any) -> Any:
    """The notebooks run in their own folder, so that paths given here must not depend on the working directory."""
    if isinstance(dataset, list):
        return [_absolute_dataset(part) for part in dataset]
    if not isinstance(dataset, str) or dataset in ("embedded", "published") or "://" in dataset:
        return dataset
    return os.path.abspath(os.path.expanduser(dataset))


def _add_tables(commands: Any) -> None:
    parser = commands.add_parser(
        "tables",
        help="the tables of the reference results",
        description="Print the tables of the results in plots/, or write them between the markers of a Markdown file.",
    )
    parser.add_argument("file", nargs="?", metavar="FILE", help="Markdown file to write them into, such as README.md")
    parser.set_defaults(run=_run_tables)


def _run_tables(options: argparse.Namespace) -> int:
    from pathlib import Path

    from utils.report import reference_metrics, tables_text, write_tables

    metrics = reference_metrics()
    if options.file is None:
        print(tables_text(metrics))
    else:
        write_tables(Path(options.file), metrics)
    return 0


def _add_compress(commands: Any) -> None:
    parser = commands.add_parser(
        "compress",
        help="jets to a small file with guaranteed errors",
        description="Write jets to a Zarr group in one zip. The codec `bounded` keeps every jet within the error "
        "bounds, `lossless` keeps every bit, `autoencoder` stores the latents of a model and its decoder. Every chunk "
        f"is decoded and checked before the file gets its name. {MANY_FILES}",
    )
    parser.add_argument("files", nargs="+", metavar="IN", help="a file, several, or a pattern")
    parser.add_argument("output", metavar="OUT", help="container, such as jets.zarr.zip, or a folder")
    parser.add_argument("--codec", choices=("bounded", "autoencoder", "lossless"), default="bounded")
    for quantity, default in (("pt", "1%%"), ("m", "1%%,10MeV"), ("phi", "0.005"), ("eta", "0.005")):
        text = "relative part, absolute part, or both" if quantity in ("pt", "m") else "rad" * (quantity == "phi")
        parser.add_argument(
            f"--{quantity}-error",
            metavar="BOUND",
            help=f"largest error of {quantity}, {text or 'a number'}; 0 keeps it exactly (default: {default})",
        )
    parser.add_argument("--model", metavar="FILE", help="checkpoint (.safetensors) or published weights (.pth)")
    parser.add_argument("--latent-bits", type=float, metavar="B", help="default: MSE grows by less than 1%%")
    parser.add_argument(
        "--refine", type=int, default=0, metavar="N", help="N steps that improve each jet's latents (default: none)"
    )
    parser.add_argument("--bounded", action="store_true", help="with autoencoder: add corrections up to the bounds")
    parser.add_argument("--keep-nonfinite", action="store_true", help="store NaN and infinite values exactly")
    _add_reading_options(parser)
    _add_many_options(parser, _THREADS_OR_WORKERS)
    parser.set_defaults(run=_run_compress)


def _run_compress(options: argparse.Namespace) -> int:
    from utils.campaign import CONTAINER, is_folder
    from utils.codec import Bounds, ErrorBound, check_settings, compress

    texts = {name: getattr(options, f"{name}_error") for name in ("pt", "m", "phi", "eta")}
    given = {name: ErrorBound.parse(text, name) for name, text in texts.items() if text is not None}
    if options.codec == "autoencoder" and given and not options.bounded:
        raise ValueError(f"--{next(iter(given))}-error: the codec autoencoder holds error bounds only with --bounded")
    if options.bounded and options.codec != "autoencoder":
        raise ValueError("--bounded belongs to --codec autoencoder; the codec bounded always is")
    settings: dict[str, Any] = {
        "codec": options.codec,
        "bounds": Bounds(**given) if given or options.bounded else None,
        "model": options.model,
        "latent_bits": options.latent_bits,
        "refine": options.refine,
        "keep_nonfinite": options.keep_nonfinite,
    }
    check_settings(**settings)
    reading = {"tree": options.tree, "collection": options.collection, "unit": options.unit}
    if is_folder(options.output):
        settings["model"] = options.model and os.path.abspath(options.model)
        return _run_many(options, "compress", settings | reading, CONTAINER)
    _refuse_many_options(options)
    source = options.files[0] if len(options.files) == 1 else _sample_stream(options, reading)
    report = compress(
        source,
        options.output,
        workers=options.workers,
        progress=sys.stderr.isatty(),
        **settings,
        **(reading if len(options.files) == 1 else {}),
    )
    print(
        f"{options.output}: {report['jets']} jets of {report['events']} events in {report['bytes']} bytes, "
        f"{report['bytes_per_jet']:.3f} a jet, {report['ratio']:.2f} times smaller than float32"
    )
    return 0


def _sample_stream(options: argparse.Namespace, reading: dict[str, Any]) -> Any:
    """Several files as one sample."""
    from utils.jets import iter_jets

    progress = sys.stderr.isatty()
    return iter_jets(options.files, keep_nonfinite=options.keep_nonfinite, progress=progress, **reading)


def _add_decompress(commands: Any) -> None:
    parser = commands.add_parser(
        "decompress",
        help="the jets of a compressed file",
        description="Write the jets of a container to a jet file. A damaged container is an error that names the "
        "chunk; with --recover the whole chunks are written, the others listed, and the exit code is 1. "
        f"{MANY_FILES}",
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="containers that `compressionhep compress` wrote")
    parser.add_argument("output", metavar="OUT", help="jet file, whose suffix names the format, or a folder")
    parser.add_argument("--recover", action="store_true", help="write what is whole of a damaged file")
    _add_format_option(parser)
    _add_many_options(parser, _THREADS_OR_WORKERS)
    parser.set_defaults(run=_run_decompress)


def _run_decompress(options: argparse.Namespace) -> int:
    from utils.campaign import is_folder
    from utils.codec import decompress

    if is_folder(options.output):
        return _run_many(options, "decompress", {"recover": options.recover})
    _refuse_many_options(options)
    if len(options.files) > 1:
        raise ValueError(f"{options.output}: {len(options.files)} containers are decompressed to a folder: name one")
    lost = decompress(
        options.files[0],
        options.output,
        recover=options.recover,
        workers=options.workers,
        progress=sys.stderr.isatty(),
    )
    for line in lost:
        print(f"compressionhep: lost: {line}", file=sys.stderr)
    return 1 if lost else 0


def _run_many(options: argparse.Namespace, operation: str, settings: dict[str, Any], suffix: str | None = None) -> int:
    """An operation on many files; the exit code is 1 where one of them failed, or lost something."""
    from utils.campaign import FORMATS, campaign_text, resolution_text, run_campaign
    from utils.files import write_json

    folder = getattr(options, "output", None)
    campaign = run_campaign(
        operation,
        [os.path.expanduser(name) for name in options.files],
        folder,
        settings,
        suffix=FORMATS[options.format or "parquet"] if suffix is None else suffix,
        workers=options.workers,
        scheduler=options.scheduler,
    )
    lost = [f"{row['name']}: {line}" for row in campaign.rows for line in row.get("lost", [])]
    for row in campaign.rows:
        for notice in row["notices"]:
            print(f"compressionhep: note: {notice}", file=sys.stderr)
    for line in lost:
        print(f"compressionhep: lost: {line}", file=sys.stderr)
    print(campaign_text(campaign))
    if operation == "evaluate" and campaign.rows:
        print(resolution_text(campaign.resolution()))
    if options.json is not None:
        together = {"resolution": campaign.resolution()} if operation == "evaluate" else {}
        write_json(options.json, campaign.to_dict() | together)
    return 1 if campaign.failures or lost else 0


def _refuse_many_options(options: argparse.Namespace, *also: str) -> None:
    """ValueError for an option that says nothing where the output is one file."""
    for name in ("scheduler", "json", "format", *also):
        if getattr(options, name, None) is not None:
            raise ValueError(
                f"--{name} belongs to work on many files: name a folder as the output, not {options.output}"
            )


def _add_evaluate(commands: Any) -> None:
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
    _add_reading_options(parser)
    _add_many_options(parser)
    parser.set_defaults(run=_run_evaluate)


def _run_evaluate(options: argparse.Namespace) -> int:
    from utils.networks import load_model

    load_model(options.model)
    if options.refine < 0:
        raise ValueError(f"refinement takes a number of steps, none or more, found {options.refine}")
    reading = {"tree": options.tree, "collection": options.collection, "unit": options.unit}
    model = os.path.abspath(options.model)
    return _run_many(options, "evaluate", reading | {"model": model, "refine": options.refine}, "")


def _add_format_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--format",
        choices=("parquet", "root", "hdf5", "csv"),
        help="of the files in a folder (default: parquet)",
    )


def _add_reading_options(parser: argparse.ArgumentParser) -> None:
    """Options of every command that reads jets."""
    parser.add_argument("--tree", metavar="NAME", help="TTree or RNTuple, where a ROOT file has several with jets")
    parser.add_argument(
        "--collection", metavar="NAME", help="jets to read, such as FatJet; of event lines, the objects, such as j,b,g"
    )
    parser.add_argument("--unit", choices=("GeV", "MeV"), help="unit of the file, where it says none or a wrong one")


def _add_info(commands: Any) -> None:
    parser = commands.add_parser(
        "info",
        help="what a file holds",
        description="Describe a file of jets (format, events, jets, units, quantiles, and what would be refused), a "
        "compressed file (.zarr.zip) or a model (.safetensors).",
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="a file, several as one sample, or a pattern")
    _add_reading_options(parser)
    parser.add_argument("--json", metavar="FILE", help="write the description to this file as well")
    parser.set_defaults(run=_run_info)


def _run_info(options: argparse.Namespace) -> int:
    from utils.files import write_json
    from utils.jets import format_summary, summarize_jets
    from utils.text import format_container

    name = options.files[0]
    if len(options.files) == 1 and name.endswith((".zarr.zip", ".safetensors")):
        if name.endswith(".zarr.zip"):
            from utils.codec import inspect as describe
        else:
            from utils.networks import read_header as describe
        content = describe(name)
        print(format_container(name, content))
    else:
        content = summarize_jets(options.files, options.tree, options.collection, options.unit)
        print(format_summary(content))
    if options.json is not None:
        write_json(options.json, content)
    return 0


def _add_convert(commands: Any) -> None:
    parser = commands.add_parser(
        "convert",
        help="read jets from any file and write them to another",
        description="Read jets from ROOT, Parquet, HDF5, CSV, event lines, NumPy archives or pickles, and write "
        "them to ROOT, Parquet, HDF5 or CSV, as one sample where they are several. Events that lose all jets to a cut "
        f"stay, as events without jets. {MANY_FILES}",
    )
    parser.add_argument("files", nargs="+", metavar="IN", help="a file, several as one sample, or a pattern")
    parser.add_argument("output", metavar="OUT", help="file to write, whose suffix names the format, or a folder")
    _add_reading_options(parser)
    _add_format_option(parser)
    _add_many_options(parser)
    parser.add_argument("--pt-min", type=float, metavar="GEV", help="keep jets with pt of at least this")
    parser.add_argument("--eta-max", type=float, metavar="ETA", help="keep jets with |eta| of at most this")
    parser.set_defaults(run=_run_convert)


def _run_convert(options: argparse.Namespace) -> int:
    from utils.campaign import is_folder
    from utils.jets import convert_jets

    reading = {"tree": options.tree, "collection": options.collection, "unit": options.unit}
    if is_folder(options.output):
        return _run_many(options, "convert", reading | {"pt_min": options.pt_min, "eta_max": options.eta_max})
    _refuse_many_options(options, "workers")
    jets, kept, events = convert_jets(
        options.files,
        options.output,
        pt_min=options.pt_min,
        eta_max=options.eta_max,
        progress=sys.stderr.isatty(),
        **reading,
    )
    cut = f" ({jets - kept} of {jets} cut)" if kept < jets else ""
    print(f"{options.output}: {kept} jets of {events} events{cut}")
    return 0


def _add_export(commands: Any) -> None:
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


def _add_benchmark(commands: Any) -> None:
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


def _add_sweep(commands: Any) -> None:
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
    _add_cluster_options(parser)
    parser.set_defaults(run=_run_sweep)


def _add_cluster_options(parser: argparse.ArgumentParser, workers: str = _WORKERS) -> None:
    """Options of every command that works on a Dask cluster."""
    parser.add_argument("--workers", type=int, metavar="W", help=workers)
    parser.add_argument(
        "--scheduler", metavar="ADDRESS", help="a running Dask cluster: tcp://host:port, or its scheduler file"
    )


def _add_many_options(parser: argparse.ArgumentParser, workers: str = _WORKERS) -> None:
    """Options of every command that takes many files."""
    _add_cluster_options(parser, workers)
    parser.add_argument("--json", metavar="FILE", help="write the numbers of every file to this one as well")


def _run_sweep(options: argparse.Namespace) -> int:
    from utils.study import SweepError, sweep, write_sweep

    try:
        rows = sweep(
            options.output,
            options.variants,
            range(options.seeds),
            dataset=_absolute_dataset(options.dataset),
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


COMMANDS: tuple[Callable[[Any], None], ...] = (
    _add_run,
    _add_info,
    _add_convert,
    _add_tables,
    _add_simulate,
    _add_fetch,
    _add_reproduce,
    _add_compress,
    _add_decompress,
    _add_export,
    _add_benchmark,
    _add_evaluate,
    _add_sweep,
)
"""What adds each command to the parser, in the order of `--help`."""
