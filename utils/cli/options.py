"""Options that commands share."""

import math
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, TypeVar

import click

from utils import codec, jets, training
from utils.cli.outputs import FORMATS

Function = TypeVar("Function", bound=Callable[..., object])

FILE = click.Path(readable=False)
"""A file, a glob pattern or an address: the shell completes it, the library says what is wrong with it."""

FOLDER = click.Path(file_okay=False, readable=False)


BOUNDS = {
    "pt": ("relative part, absolute part, or both", "1%"),
    "m": ("relative part, absolute part, or both", "1%,10MeV"),
    "phi": ("rad", "0.005"),
    "eta": ("a number", "0.005"),
}
"""What a bound of each quantity may be, and its default."""


class _Cut(click.FloatRange):
    """A finite number that is not negative."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number; click fails for any other."""
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is no number to compare with.", param, ctx)
        return number


CUT = _Cut(min=0)
"""A cut on pt or |eta|."""

LOSSES = "mse: of normalized jets; resolution: errors in units of a detector's resolution"

REFINE = "Gauss-Newton steps that improve each jet's latents"

WORKERS = "processes on this machine (default: one a core)"

THREADS_OR_WORKERS = "threads, or with a folder processes, on this machine (default: one a core)"

INTO_FOLDER = ", with a folder as OUT"

MANY_FILES = (
    "Where OUT is a folder (it exists, ends in a slash or has no suffix), every file becomes one of its own there, as "
    "a task of a Dask cluster (compress and convert make several of a local ROOT file above 600 MB: name.part-0-of-4 "
    "and so on); what is there already, from the same bytes and settings, is kept."
)


class ManyValues(click.Command):
    """A command whose repeatable options take several values at once: `--jets 1 2` is `--jets 1 --jets 2`.

    For commands without arguments, since what follows such an option belongs to it.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        repeatable = {
            name
            for parameter in self.get_params(ctx)
            if isinstance(parameter, click.Option) and parameter.multiple
            for name in parameter.opts
        }
        return super().parse_args(ctx, list(_name_every_value(args, repeatable)))


def _name_every_value(words: Iterable[str], repeatable: Collection[str]) -> Iterator[str]:
    """The words of a command, each value of a repeatable option with the name of the option before it."""
    option, named = None, False
    for word in words:
        if word.startswith("-"):
            name, equals, _ = word.partition("=")
            option, named = name if name in repeatable else None, not equals
        elif option is not None:
            if not named:
                yield option
            named = False
        yield word


def _parsed(parser: str) -> Callable[[click.Context, click.Parameter, str | None], object]:
    """The value of an option as a function of `jets` understands it, which is loaded for no help."""
    return lambda ctx, param, value: None if value is None else getattr(jets, parser)(value)


def _reading(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> dict[str, str] | None:
    """The options of --read by name; click fails for one without a value."""
    for value in values:
        if "=" not in value:
            raise click.BadParameter(f"expected NAME=VALUE, found {value!r}", ctx, param)
    return jets.read_options(dict(value.split("=", 1) for value in values)) or None


def reading_options(function: Function) -> Function:
    """Options of every command that reads jets: names of `jets.Reading`."""
    return _with(
        function,
        click.option("--tree", metavar="NAME", help="TTree or RNTuple, where a ROOT file has several with jets"),
        click.option(
            "--collection",
            metavar="NAME",
            help="jets to read, such as FatJet; of event lines, the objects, such as j,b,g",
        ),
        click.option(
            "--columns",
            callback=_parsed("parse_columns"),
            metavar="ROLE=NAME,...",
            help="the columns by name, as pt=jetPt,eta=jetEta,phi=jetPhi,m=jetMass; also e, px, py, pz, event, run, "
            "luminosityBlock; jet{i}_pt for one event a row (default: by the names that are known; `info` prints them)",
        ),
        click.option(
            "--padding",
            callback=_parsed("parse_padding"),
            metavar="ROLE=VALUE,...",
            help="what places without a jet hold, as pt=-999,eta=0 (default: one filling value at the end of lists)",
        ),
        click.option(
            "--read",
            multiple=True,
            callback=_reading,
            metavar="NAME=VALUE",
            help="what a file does not say of itself; of text sep, decimal, comment, names, skiprows and encoding as "
            "pandas has them; of HDF5 and NumPy the key of a table and names of its columns; ratio, the most times its "
            "size that a file may hold",
        ),
        click.option(
            "--unit",
            type=click.Choice(jets.PER_GEV),
            help="unit of energies, where the file says none or a wrong one (default: decided once for all files)",
        ),
        click.option(
            "--beam-energy",
            type=float,
            metavar="GEV",
            help="no jet has pt * cosh(eta) above this (default: 7000, in FCC files 50000)",
        ),
    )


def bound_options(function: Function) -> Function:
    """--pt-error, --m-error, --phi-error and --eta-error, whose texts `chosen_bounds` reads."""
    for quantity, (form, default) in reversed(BOUNDS.items()):
        help_text = f"largest error of {quantity}, {form}; 0 keeps it exactly (default: {default})"
        function = click.option(f"--{quantity}-error", metavar="BOUND", help=help_text)(function)
    return function


def chosen_bounds(texts: Mapping[str, str | None]) -> "dict[str, codec.ErrorBound]":
    """The bounds of those quantities for which one was given."""
    return {name: codec.ErrorBound.parse(text, name) for name, text in texts.items() if text is not None}


def schedule_option(function: Function) -> Function:
    """--schedule, of every command that trains autoencoders."""
    help_text = "plain; zigzag: starts from a zigzag; published: as the original trained"
    return click.option("--schedule", type=click.Choice(training.SCHEDULES), default="plain", help=help_text)(function)


def profile_option(function: Function) -> Function:
    """--profile, of every command that trains autoencoders."""
    help_text = "how long to train; quick: small and fast, reference: as the full study"
    return click.option("--profile", type=click.Choice(training.PROFILES), default="reference", help=help_text)(
        function
    )


def bad_jets_option(function: Function) -> Function:
    """--bad-jets, of every command that uses the jets that it reads."""
    help_text = "what is done where jets cannot be used: refuse the file, or drop them and say how many and why"
    return click.option("--bad-jets", type=click.Choice(jets.BAD_JETS), default="refuse", help=help_text)(function)


def dataset_options(function: Function) -> Function:
    """Options of every command that reads a dataset, which `chosen_dataset` takes: how its files are read."""
    return _with(function, reading_options, bad_jets_option)


def some_workers(ctx: click.Context, param: click.Parameter, value: int | None) -> int | None:
    """The value of --workers; ValueError for less than one."""
    if value is not None and value < 1:
        raise ValueError(f"--workers: expected one worker at least, found {value}")
    return value


def cluster_options(workers: str = WORKERS, where: str = "") -> Callable[[Function], Function]:
    """--workers, --scheduler and --dashboard, of commands that work on a Dask cluster; `workers` is the help of one,
    and `where` says of the others, and of a `json_option`, where they belong."""

    def decorate(function: Function) -> Function:
        return _with(
            function,
            click.option("--workers", type=int, callback=some_workers, metavar="W", help=workers),
            click.option(
                "--scheduler",
                metavar="ADDRESS",
                type=FILE,
                help=f"a running Dask cluster: tcp://host:port, or its scheduler file{where}",
            ),
            click.option(
                "--dashboard", is_flag=True, help=f"show Dask's dashboard, to all users of this machine{where}"
            ),
        )

    return decorate


def json_option(content: str = "the numbers", where: str = "") -> Callable[[Function], Function]:
    """--json and --force, of every command that prints numbers."""

    def decorate(function: Function) -> Function:
        help_text = f"write {content} to this file as well{where}"
        return _with(
            function, click.option("--json", "json_path", type=FILE, metavar="FILE.json", help=help_text), force_option
        )

    return decorate


def many_options(workers: str = WORKERS, where: str = "") -> Callable[[Function], Function]:
    """Options of every command that takes many files: those of `cluster_options` and of `json_option`."""

    def decorate(function: Function) -> Function:
        return _with(function, cluster_options(workers, where), json_option("the numbers of every file", where))

    return decorate


def force_option(function: Function) -> Function:
    """--force, of every command that writes files that were named."""
    help_text = "replace files that are there already"
    return click.option("--force", is_flag=True, help=help_text)(function)


def format_option(default: str = next(iter(FORMATS))) -> Callable[[Function], Function]:
    """--format, of every command that writes jet files to a folder; `default` is what its help says of that."""
    help_text = f"of the files in a folder (default: {default})"
    return click.option("--format", "file_format", type=click.Choice(FORMATS), help=help_text)


def _with(function: Function, *decorators: Callable[[Function], Function]) -> Function:
    """A command with more options, in the order in which its help shows them."""
    for decorate in reversed(decorators):
        function = decorate(function)
    return function


def refuse_options_of_many(output: str, **options: object) -> None:
    """ValueError for an option that was given, and says nothing where the output is one file."""
    for name, value in options.items():
        if value is not None:
            raise ValueError(f"--{name} belongs to work on many files: name a folder as the output, not {output}")


def given_reading(reading: Mapping[str, Any]) -> dict[str, Any]:
    """Those of `dataset_options` that were given; files are read with --bad-jets refuse where it was not."""
    return {name: value for name, value in reading.items() if value and (name, value) != ("bad_jets", "refuse")}


def chosen_dataset(dataset: str | list[str], reading: Mapping[str, Any]) -> "jets.Dataset":
    """A dataset, with the reading options that were given; its paths do not depend on the working folder, since
    notebooks and workers run in others."""
    given = given_reading(reading)
    path: Any = _absolute(dataset) if isinstance(dataset, str) else [_absolute(part) for part in dataset]
    chosen: dict[str, Any] = {"path": path} | given
    return chosen if given else path


def _absolute(dataset: str) -> str:
    if dataset in ("embedded", "published") or "://" in dataset:
        return dataset
    return os.path.abspath(os.path.expanduser(dataset))
