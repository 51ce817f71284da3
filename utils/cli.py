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


COMMANDS: tuple[Callable[[Any], None], ...] = ()
"""What adds each command to the parser, in the order of `--help`."""

if __name__ == "__main__":
    sys.exit(main())
