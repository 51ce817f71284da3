"""What commands print."""

import click

from utils.text import in_line, printable

PROGRAM = "compressionhep"


def say(text: object, err: bool = False) -> None:
    """Print text, in which what a file brings commands no terminal (`printable`)."""
    click.echo(printable(str(text)), err=err)


def note(text: object) -> None:
    """Say something on the way, in a line on the standard error."""
    say(f"{PROGRAM}: note: {in_line(text)}", err=True)
