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


COMMANDS: tuple[Callable[[Any], None], ...] = (_add_simulate,)
"""What adds each command to the parser, in the order of `--help`."""

if __name__ == "__main__":
    sys.exit(main())
