"""The entry point: commands under their headings, warnings and exit codes."""

import os
import sys
import traceback
import warnings
from collections.abc import Sequence

import click

import utils
from utils.campaign import listening
from utils.cli.codec import compress, decompress
from utils.cli.jets import convert, fetch, info, simulate
from utils.cli.messages import PROGRAM, note, say
from utils.cli.models import benchmark, evaluate, export, sweep
from utils.cli.study import reproduce, run, tables
from utils.cli.train import train
from utils.cli.trees import audit, slim
from utils.text import in_line

TRACEBACK_VARIABLE = "COMPRESSIONHEP_TRACEBACK"
"""Environment variable that shows where in the code an error came from."""

SECTIONS: dict[str, tuple[click.Command, ...]] = {
    "Files of jets": (info, convert, simulate, fetch),
    "Compression": (compress, decompress),
    "Whole ROOT files": (slim, audit),
    "Models": (train, evaluate, export, benchmark, sweep),
    "The study": (run, tables, reproduce),
}
"""The commands under the headings of `--help`, in its order."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code, for --help and wrong usage too.

    0; 1 where part of the work failed, a training diverged, or something happened that nobody foresaw; 2 for bad input
    or usage; 130 where it was interrupted. Errors are one line, with their traceback before it where
    COMPRESSIONHEP_TRACEBACK is set.
    """
    try:
        with warnings.catch_warnings(), listening(note):
            warnings.simplefilter("ignore", FutureWarning)  # libraries to programmers, not to who runs a command
            warnings.showwarning = _show_warning
            words = sys.argv[1:] if arguments is None else list(arguments)  # obj: a command may be run again with them
            return commands.main(words, PROGRAM, standalone_mode=False, windows_expand_args=False, obj=words) or 0
    except click.ClickException as error:
        if isinstance(error, click.UsageError) and error.ctx is not None:
            say(error.ctx.get_usage(), err=True)
        return _fail(error.format_message(), 2)
    except (ValueError, OSError) as error:
        return _fail(error, 2)
    except FloatingPointError as error:
        return _fail(error, 1)
    except click.Abort:
        say(f"{PROGRAM}: interrupted", err=True)
        return 130
    except Exception as error:
        what = " ".join(f"{type(error).__name__}: {error}".split())
        return _fail(f"{what} (a fault of the program; {TRACEBACK_VARIABLE}=1 shows where, for a report)", 1)


def _fail(error: Exception | str, code: int) -> int:
    """Say what is wrong, and return the exit code; called where an error is handled."""
    if os.environ.get(TRACEBACK_VARIABLE):
        traceback.print_exc()
    say(f"{PROGRAM}: error: {in_line(error)}", err=True)
    return code


def _show_warning(message: Warning | str, *where: object, **more: object) -> None:
    """A warning in one line, without the place in the code that gave it."""
    note(message)


def _show_version(context: click.Context, parameter: click.Parameter, asked: bool) -> None:
    if asked and not context.resilient_parsing:
        say(f"{PROGRAM} {utils.__version__}")
        context.exit()


class Sections(click.Group):
    """Commands in the order in which they were added, under the headings of `SECTIONS`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(map(len, self.commands))
        for title, members in SECTIONS.items():
            rows = [(str(command.name).ljust(width), command.get_short_help_str(limit=100)) for command in members]
            with formatter.section(title):
                formatter.write_dl(rows)


@click.group(
    cls=Sections,
    commands=[command for members in SECTIONS.values() for command in members],
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "show_default": True, "max_content_width": 120},
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the version and exit.",
)
@click.pass_context
def commands(context: click.Context) -> None:
    """Autoencoder compression of jets."""
    if context.invoked_subcommand is None:
        say(context.get_help())
