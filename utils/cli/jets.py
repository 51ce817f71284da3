"""Commands on files of jets: info, convert, simulate, fetch."""

import argparse
import sys
from typing import Any

from utils.cli.options import (
    MANY_FILES,
    add_format_option,
    add_many_options,
    add_reading_options,
    refuse_many_options,
    run_many,
)


def add_simulate(commands: Any) -> None:
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


def add_fetch(commands: Any) -> None:
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


def add_info(commands: Any) -> None:
    parser = commands.add_parser(
        "info",
        help="what a file holds",
        description="Describe a file of jets (format, events, jets, units, quantiles, and what would be refused), a "
        "compressed file (.zarr.zip) or a model (.safetensors).",
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="a file, several as one sample, or a pattern")
    add_reading_options(parser)
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


def add_convert(commands: Any) -> None:
    parser = commands.add_parser(
        "convert",
        help="read jets from any file and write them to another",
        description="Read jets from ROOT, Parquet, HDF5, CSV, event lines, NumPy archives or pickles, and write "
        "them to ROOT, Parquet, HDF5 or CSV, as one sample where they are several. Events that lose all jets to a cut "
        f"stay, as events without jets. {MANY_FILES}",
    )
    parser.add_argument("files", nargs="+", metavar="IN", help="a file, several as one sample, or a pattern")
    parser.add_argument("output", metavar="OUT", help="file to write, whose suffix names the format, or a folder")
    add_reading_options(parser)
    add_format_option(parser)
    add_many_options(parser)
    parser.add_argument("--pt-min", type=float, metavar="GEV", help="keep jets with pt of at least this")
    parser.add_argument("--eta-max", type=float, metavar="ETA", help="keep jets with |eta| of at most this")
    parser.set_defaults(run=_run_convert)


def _run_convert(options: argparse.Namespace) -> int:
    from utils.cli.campaign import is_folder
    from utils.jets import convert_jets

    reading = {"tree": options.tree, "collection": options.collection, "unit": options.unit}
    if is_folder(options.output):
        return run_many(options, "convert", reading | {"pt_min": options.pt_min, "eta_max": options.eta_max})
    refuse_many_options(options, "workers")
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
