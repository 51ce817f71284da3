"""Commands of the codec: compress, decompress."""

import os
import sys
from typing import TYPE_CHECKING, Any, Unpack

import click

from utils import codec, jets
from utils.cli.messages import note, say
from utils.cli.options import (
    FILE,
    INTO_FOLDER,
    MANY_FILES,
    REFINE,
    THREADS_OR_WORKERS,
    bad_jets_option,
    bound_options,
    chosen_bounds,
    format_option,
    many_options,
    reading_options,
    refuse_options_of_many,
)
from utils.cli.outputs import is_folder, jet_suffix
from utils.text import bytes_text

if TYPE_CHECKING:
    import pandas as pd

    from utils.codec import Bounds


@click.command(short_help="jets to a small file with guaranteed errors", epilog=MANY_FILES)
@click.argument("files", nargs=-1, required=True, type=FILE, metavar="IN...", help="a file, several, or a pattern")
@click.argument("output", type=FILE, metavar="OUT", help="container, such as jets.zarr.zip, or a folder")
@click.option(
    "--codec", "name", type=click.Choice(codec.CODECS), default="bounded", help="how jets are stored; see above"
)
@bound_options
@click.option(
    "--model",
    type=FILE,
    metavar="FILE",
    help="checkpoint (.safetensors) or published weights (.pth); of neural, what `train --codec neural` wrote",
)
@click.option("--embed-model", is_flag=True, help="store the model of neural inside (default: its checksum alone)")
@click.option(
    "--latent-bits",
    type=float,
    metavar="B",
    help="2^B steps over the widest range of the latents (default: as few as let the MSE grow by less than 1%)",
)
@click.option("--refine", type=int, default=0, metavar="N", help=REFINE)
@click.option("--bounded", is_flag=True, help="with autoencoder: add corrections up to the bounds")
@click.option("--keep-nonfinite", is_flag=True, help="store NaN and infinite values exactly")
@reading_options
@bad_jets_option
@many_options(THREADS_OR_WORKERS, INTO_FOLDER)
def compress(
    files: tuple[str, ...],
    output: str,
    name: str,
    pt_error: str | None,
    m_error: str | None,
    phi_error: str | None,
    eta_error: str | None,
    model: str | None,
    embed_model: bool,
    latent_bits: float | None,
    refine: int,
    bounded: bool,
    keep_nonfinite: bool,
    workers: int | None,
    scheduler: str | None,
    dashboard: bool,
    json_path: str | None,
    force: bool,
    **reading: Unpack[jets.Reading],
) -> int:
    """Write jets to a Zarr group in one zip. The codec `bounded` keeps every jet within the error bounds, `lossless`
    keeps every bit, `autoencoder` stores the latents of a model and its decoder. `neural` holds the bounds as well, in
    fewer bytes: small networks, fitted to the file (seconds) or those of a model, see the jets before in the event.
    Every chunk is decoded and checked before the file gets its name."""
    from utils.cli.writing import refuse_outputs

    settings: dict[str, Any] = {
        "codec": name,
        "bounds": _bounds(name, bounded, pt=pt_error, m=m_error, phi=phi_error, eta=eta_error),
        "model": model,
        "embed_model": embed_model,
        "latent_bits": latent_bits,
        "refine": refine,
        "keep_nonfinite": keep_nonfinite,
    }
    codec.check_settings(**settings)
    if is_folder(output):
        refuse_outputs([*files, model], json_path=json_path, force=force)
        from utils.cli.many import run_many

        return run_many(
            "compress",
            files,
            settings | reading | {"model": model and os.path.abspath(model)},
            folder=output,
            suffix=codec.SUFFIX,
            workers=workers,
            scheduler=scheduler,
            dashboard=dashboard,
            json_path=json_path,
        )
    refuse_options_of_many(output, scheduler=scheduler, dashboard=dashboard or None, json=json_path)
    refuse_outputs([*files, model], output, codec.SUFFIX, force=force)
    _compress_to_one(files, output, settings | {"workers": workers}, reading)
    return 0


def _bounds(name: str, bounded: bool, **texts: str | None) -> "Bounds | None":
    """The bounds that were given for the quantities; None where there are none, and none are needed."""
    given = chosen_bounds(texts)
    if name == "autoencoder" and given and not bounded:
        raise ValueError(f"--{next(iter(given))}-error: the codec autoencoder holds error bounds only with --bounded")
    if bounded and name != "autoencoder":
        raise ValueError("--bounded belongs to --codec autoencoder; the codec bounded always is")
    return codec.Bounds(**given) if given or bounded else None


def _compress_to_one(files: tuple[str, ...], output: str, settings: dict[str, Any], reading: jets.Reading) -> None:
    """One file, or several as one sample, to a container."""
    from utils.campaign import bounds_text, errors_lines, outside_text, size_text

    progress = sys.stderr.isatty()
    if len(files) == 1:
        report = codec.compress(files[0], output, progress=progress, **settings, **reading)
    else:
        keep = settings["keep_nonfinite"]
        tables = jets.iter_jets(files, keep_nonfinite=keep, progress=progress, unrounded=True, **reading)
        report = codec.compress(tables, output, progress=progress, **settings)
    number = report["jets"]
    each = f", {report['bytes_per_jet']:.3f} a jet" if number else ""
    say(f"{output}: {number} jets of {report['events']} events in {report['bytes']} bytes{each}")
    if number:
        say(f"jets: {size_text(number, report['bytes'])}")
        if "saving" in report:
            say(_saving_line(report["codec"], report["saving"]))
        shares = report["errors_of_bound"]
        say(bounds_text(number, shares) if shares is not None else "\n".join(errors_lines(report["errors"])))
    if outside := report.get("outside_training_range"):
        note(outside_text(", ".join(files), number, outside))


def _saving_line(name: str, saving: dict[str, int]) -> str:
    """What networks save of the first chunk of a file, or why they code nothing."""
    alone = f"{bytes_text(saving['bytes_bounded'])} of {saving['jets']:,} jets"
    if "bytes_coded" not in saving:
        return f"networks: coded as by the codec bounded: {alone}; too few for networks"
    inside = f" and {bytes_text(saving['network_bytes'])} of networks" if saving["network_bytes"] else ""
    taken = f"{bytes_text(saving['bytes_coded'])}{inside}"
    if name == "neural":
        return f"networks: {alone} -> {taken}"
    why = f"networks would make it {taken}, and take half a kB to be described"
    return f"networks: coded as by the codec bounded: {alone}; {why}"


@click.command(short_help="the jets, or the trees, of a compressed file", epilog=MANY_FILES)
@click.argument(
    "files",
    nargs=-1,
    required=True,
    type=FILE,
    metavar="FILE...",
    help="containers that `compress` or `slim` wrote",
)
@click.argument("output", type=FILE, metavar="OUT", help="jet file, whose suffix names the format, or a folder")
@click.option("--recover", is_flag=True, help="write what is whole of a damaged file")
@click.option("--model", type=FILE, metavar="FILE", help="the model, where a file of the codec neural only names it")
@format_option("parquet; of whole trees, root")
@many_options(f"{THREADS_OR_WORKERS}; trees are written by one", INTO_FOLDER)
def decompress(
    files: tuple[str, ...],
    output: str,
    recover: bool,
    model: str | None,
    file_format: str | None,
    workers: int | None,
    scheduler: str | None,
    dashboard: bool,
    json_path: str | None,
    force: bool,
) -> int:
    """Write the jets of a container to a jet file, or the trees of one to ROOT. A damaged container is an error that
    names the chunk; with --recover the whole chunks are written, the others listed, and the exit code is 1."""
    from utils.cli.writing import refuse_outputs

    if is_folder(output):
        refuse_outputs([*files, model], json_path=json_path, force=force)
        from utils.cli.many import run_many

        return run_many(
            "decompress",
            files,
            {"recover": recover, "model": model and os.path.abspath(model)},
            folder=output,
            suffix=(jet_suffix(None), ".root") if file_format is None else jet_suffix(file_format),
            workers=workers,
            scheduler=scheduler,
            dashboard=dashboard,
            json_path=json_path,
        )
    refuse_options_of_many(output, scheduler=scheduler, dashboard=dashboard or None, json=json_path, format=file_format)
    if len(files) > 1:
        raise ValueError(f"{output}: {len(files)} containers are decompressed to a folder: name one")
    refuse_outputs([*files, model], output, jets.WRITTEN, force=force)
    found = events = 0
    counted = False

    def count(table: "pd.DataFrame") -> None:
        nonlocal found, events, counted
        found, events, counted = found + len(table), events + jets.number_of_events(table), True

    shown = sys.stderr.isatty()
    lost = codec.decompress(files[0], output, recover=recover, model=model, workers=workers, progress=shown, seen=count)
    say(f"{output}: {found} jets of {events} events" if counted else f"{output}: the trees of {files[0]}")
    for line in lost:
        say(f"compressionhep: lost: {line}", err=True)
    return 1 if lost else 0
