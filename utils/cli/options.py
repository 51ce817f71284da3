"""Options that commands share."""

import argparse
import os
import sys
from typing import Any

WORKERS = "processes on this machine (default: one a core)"

THREADS_OR_WORKERS = "threads, or with a folder processes, on this machine (default: one a core)"

PROFILES = ("quick", "reference")

MANY_FILES = (
    "Where OUT is a folder (it exists, ends in a slash or has no suffix), every file becomes one of its own there, as "
    "a task of a Dask cluster; what is there already, from the same bytes and settings, is kept."
)


def absolute_dataset(dataset: Any) -> Any:
    """The notebooks run in their own folder, so that paths given here must not depend on the working directory."""
    if isinstance(dataset, list):
        return [absolute_dataset(part) for part in dataset]
    if not isinstance(dataset, str) or dataset in ("embedded", "published") or "://" in dataset:
        return dataset
    return os.path.abspath(os.path.expanduser(dataset))


def run_many(options: argparse.Namespace, operation: str, settings: dict[str, Any], suffix: str | None = None) -> int:
    """An operation on many files; the exit code is 1 where one of them failed, or lost something."""
    from utils.cli.campaign import FORMATS, campaign_text, resolution_text, run_campaign
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


def refuse_many_options(options: argparse.Namespace, *also: str) -> None:
    """ValueError for an option that says nothing where the output is one file."""
    for name in ("scheduler", "json", "format", *also):
        if getattr(options, name, None) is not None:
            raise ValueError(
                f"--{name} belongs to work on many files: name a folder as the output, not {options.output}"
            )


def add_format_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--format",
        choices=("parquet", "root", "hdf5", "csv"),
        help="of the files in a folder (default: parquet)",
    )


def add_reading_options(parser: argparse.ArgumentParser) -> None:
    """Options of every command that reads jets."""
    parser.add_argument("--tree", metavar="NAME", help="TTree or RNTuple, where a ROOT file has several with jets")
    parser.add_argument(
        "--collection", metavar="NAME", help="jets to read, such as FatJet; of event lines, the objects, such as j,b,g"
    )
    parser.add_argument("--unit", choices=("GeV", "MeV"), help="unit of the file, where it says none or a wrong one")


def add_cluster_options(parser: argparse.ArgumentParser, workers: str = WORKERS) -> None:
    """Options of every command that works on a Dask cluster."""
    parser.add_argument("--workers", type=int, metavar="W", help=workers)
    parser.add_argument(
        "--scheduler", metavar="ADDRESS", help="a running Dask cluster: tcp://host:port, or its scheduler file"
    )


def add_many_options(parser: argparse.ArgumentParser, workers: str = WORKERS) -> None:
    """Options of every command that takes many files."""
    add_cluster_options(parser, workers)
    parser.add_argument("--json", metavar="FILE", help="write the numbers of every file to this one as well")
