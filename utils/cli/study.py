"""Commands of the study: run, tables, reproduce."""

import argparse
import json
from typing import Any

from utils.cli.options import PROFILES, absolute_dataset


def add_reproduce(commands: Any) -> None:
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


def add_run(commands: Any) -> None:
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
        asked["dataset"] = absolute_dataset(asked["dataset"])
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


def add_tables(commands: Any) -> None:
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
