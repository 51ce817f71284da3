"""The command line: `compressionhep COMMAND ...`."""

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import Any

from utils import __version__


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code: 0, 1 where part of the work failed, 2 for bad input or usage."""
    parser = argparse.ArgumentParser(prog="compressionhep", description="Autoencoder compression of jets.")
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for add in COMMANDS:
        add(commands)
    options = parser.parse_args(arguments)
    try:
        return options.run(options)
    except (ValueError, OSError) as error:
        print(f"compressionhep: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("compressionhep: interrupted", file=sys.stderr)
        return 130


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
    from utils.jets import number_of_events, write_jets
    from utils.simulation import simulate_jets

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
    from utils.published import FOLDER_VARIABLE, fetch_published, published_folder

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
    from utils.reproduce import reproduce, text_tables

    rows = reproduce()
    print(text_tables(rows))
    if options.json is not None:
        write_json(options.json, rows)
    return 0


COMMANDS: tuple[Callable[[Any], None], ...] = (
    _add_simulate,
    _add_fetch,
    _add_reproduce,
)
"""What adds each command to the parser, in the order of `--help`."""

if __name__ == "__main__":
    sys.exit(main())
