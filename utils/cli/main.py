"""The entry point: commands, warnings and exit codes."""

import argparse
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from utils import __version__
from utils.cli.codec import add_compress, add_decompress
from utils.cli.jets import add_convert, add_fetch, add_info, add_simulate
from utils.cli.models import add_benchmark, add_evaluate, add_export, add_sweep
from utils.cli.study import add_reproduce, add_run, add_tables


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


COMMANDS: tuple[Callable[[Any], None], ...] = (
    add_run,
    add_info,
    add_convert,
    add_tables,
    add_simulate,
    add_fetch,
    add_reproduce,
    add_compress,
    add_decompress,
    add_export,
    add_benchmark,
    add_evaluate,
    add_sweep,
)
"""What adds each command to the parser, in the order of `--help`."""
