"""Commands on files of jets: info, convert, simulate, fetch."""

import os
import sys
from typing import Any, Unpack

import click

from utils import codec, jets, trees
from utils.cli.messages import say
from utils.cli.options import (
    CUT,
    FILE,
    FOLDER,
    INTO_FOLDER,
    MANY_FILES,
    WORKERS,
    bad_jets_option,
    force_option,
    format_option,
    json_option,
    many_options,
    reading_options,
    refuse_options_of_many,
    some_workers,
)
from utils.cli.outputs import is_folder, jet_suffix
from utils.text import format_container


@click.command(short_help="what a file holds")
@click.argument(
    "files", nargs=-1, required=True, type=FILE, metavar="FILE...", help="a file, several as one sample, or a pattern"
)
@reading_options
@json_option("the description")
def info(files: tuple[str, ...], json_path: str | None, force: bool, **reading: Any) -> None:
    """Describe a file of jets (format, events, jets, units, quantiles, and what would be refused), a compressed file
    (.zarr.zip) or a model (.safetensors)."""
    from utils.cli.writing import refuse_outputs
    from utils.files import write_json

    refuse_outputs(files, json_path=json_path, force=force)
    name = files[0]
    if len(files) == 1 and name.endswith((codec.SUFFIX, ".safetensors")):
        content = codec.inspect(name) if name.endswith(codec.SUFFIX) else codec.inspect_model(name)
        say(format_container(name, codec.shortened(content) if name.endswith(codec.SUFFIX) else content))
    else:
        content = jets.summarize_jets(files, **reading)
        say(jets.format_summary(content))
    if json_path is not None:
        write_json(json_path, content)


@click.command(short_help="read jets from any file and write them to another", epilog=MANY_FILES)
@click.argument(
    "files", nargs=-1, required=True, type=FILE, metavar="IN...", help="a file, several as one sample, or a pattern"
)
@click.argument("output", type=FILE, metavar="OUT", help="file to write, whose suffix names the format, or a folder")
@click.option("--pt-min", type=CUT, metavar="GEV", help="keep jets with pt of at least this")
@click.option("--eta-max", type=CUT, metavar="ETA", help="keep jets with |eta| of at most this")
@reading_options
@bad_jets_option
@format_option()
@many_options(f"{WORKERS}{INTO_FOLDER}", INTO_FOLDER)
def convert(
    files: tuple[str, ...],
    output: str,
    file_format: str | None,
    workers: int | None,
    scheduler: str | None,
    dashboard: bool,
    json_path: str | None,
    force: bool,
    **reading: Unpack[jets.Reading],
) -> int:
    """Read jets from ROOT, Parquet, HDF5, CSV, event lines, NumPy archives or pickles, and write them to ROOT, Parquet,
    HDF5 or CSV, as one sample where they are several. Cuts come first, then --bad-jets. Events that lose all jets stay,
    as events without jets."""
    from utils.cli.writing import refuse_outputs

    if is_folder(output):
        refuse_outputs(files, json_path=json_path, force=force)
        from utils.cli.many import run_many

        return run_many(
            "convert",
            files,
            reading,
            folder=output,
            suffix=jet_suffix(file_format),
            workers=workers,
            scheduler=scheduler,
            dashboard=dashboard,
            json_path=json_path,
        )
    where = {"scheduler": scheduler, "dashboard": dashboard or None, "workers": workers}
    refuse_options_of_many(output, json=json_path, format=file_format, **where)
    refuse_outputs(files, output, jets.WRITTEN, force=force)
    found, kept, events = jets.convert_jets(files, output, progress=sys.stderr.isatty(), **reading)
    why = "cut" if reading["bad_jets"] == "refuse" else "cut or dropped"
    cut = f" ({found - kept} of {found} {why})" if kept < found else ""
    say(f"{output}: {kept} jets of {events} events{cut}")
    return 0


@click.command(short_help="generate QCD jets with Pythia 8 and FastJet")
@click.option("--events", type=int, metavar="N", help="hard events to generate")
@click.option("--seed", type=int, metavar="S", help="the same seed gives the same file")
@click.option("--output", type=FILE, metavar="FILE", help="jet file; its suffix names the format")
@click.option(
    "--embedded", type=FOLDER, metavar="DIR", help="instead, write the files that the repository ships in datasets/"
)
@click.option(
    "--columns", is_flag=True, help="jets of smeared particles, with 32 columns as NanoAOD has them; to Parquet or ROOT"
)
@click.option("--workers", type=int, callback=some_workers, default=1, metavar="W", help="processes")
@force_option
def simulate(
    events: int | None,
    seed: int | None,
    output: str | None,
    embedded: str | None,
    columns: bool,
    workers: int,
    force: bool,
) -> None:
    """Generate QCD dijet events and write their jets: a sample of your own with --events, --seed and --output, or with
    --embedded one of the repository. Without --columns, four numbers of the jets of a calorimeter with pile-up at 13
    TeV, of events that pass a trigger, about a quarter with 9 jets each; with it, 32 numbers of jets of smeared
    particles at 13.6 TeV, about 4 an event. Needs the extra simulation: pip install -e ".[simulation]" in a clone."""
    from utils.cli.writing import refuse_outputs

    own = {"events": events, "seed": seed, "output": output}
    given = [name for name, value in own.items() if value is not None]
    if embedded is not None:
        if given:
            raise click.UsageError(f"--{given[0]} belongs to a sample of your own, not to --embedded")
        for path in [jets.EMBEDDED_COLUMNS] if columns else jets.EMBEDDED_FILES:
            refuse_outputs([], os.path.join(embedded, path.name), force=force)
        for path in (jets.write_embedded_columns if columns else jets.write_embedded_sample)(embedded, workers):
            say(path)
        return
    if events is None or seed is None or output is None:
        missing = next(name for name in own if name not in given)
        raise click.UsageError(f"a sample of your own needs --{missing}; or give --embedded alone")
    refuse_outputs([], output, (".parquet", ".root") if columns else jets.WRITTEN, force=force)
    table = (jets.simulate_columns if columns else jets.simulate_jets)(events, seed, workers=workers)
    write = _write_columns if columns else jets.write_jets
    write(table, output)
    say(f"{output}: {len(table)} jets of {jets.number_of_events(table)} events ({events} generated)")


def _write_columns(table: Any, output: str) -> None:
    if output.lower().endswith(".root"):
        trees.write_sample_tree(output, table)
    else:
        jets.write_columns(table, output)


@click.command(short_help="download the published samples and models")
@click.option("--to", type=FOLDER, metavar="DIR", help="folder (default: $COMPRESSIONHEP_PUBLISHED, or a cache folder)")
@force_option
def fetch(to: str | None, force: bool) -> None:
    """Download the test and training samples and the six models that the study published, and check each by its git
    blob id. Files that are there already are kept; a file of such a name that is another is an error without
    --force."""
    from utils.files import clear_partial

    folder = jets.published_folder() if to is None else to
    clear_partial([folder])
    if not force:
        jets.refuse_others(folder)
    for name, state in jets.fetch_published(folder).items():
        say(f"{name}: {state}")
    if to is not None:
        say(f"set {jets.FOLDER_VARIABLE}={folder} to use them")
