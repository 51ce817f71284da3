"""Commands of the codec: compress, decompress."""

import argparse
import os
import sys
from typing import Any

from utils.cli.options import (
    MANY_FILES,
    THREADS_OR_WORKERS,
    add_format_option,
    add_many_options,
    add_reading_options,
    refuse_many_options,
    run_many,
)


def add_compress(commands: Any) -> None:
    parser = commands.add_parser(
        "compress",
        help="jets to a small file with guaranteed errors",
        description="Write jets to a Zarr group in one zip. The codec `bounded` keeps every jet within the error "
        "bounds, `lossless` keeps every bit, `autoencoder` stores the latents of a model and its decoder. Every chunk "
        f"is decoded and checked before the file gets its name. {MANY_FILES}",
    )
    parser.add_argument("files", nargs="+", metavar="IN", help="a file, several, or a pattern")
    parser.add_argument("output", metavar="OUT", help="container, such as jets.zarr.zip, or a folder")
    parser.add_argument("--codec", choices=("bounded", "autoencoder", "lossless"), default="bounded")
    for quantity, default in (("pt", "1%%"), ("m", "1%%,10MeV"), ("phi", "0.005"), ("eta", "0.005")):
        text = "relative part, absolute part, or both" if quantity in ("pt", "m") else "rad" * (quantity == "phi")
        parser.add_argument(
            f"--{quantity}-error",
            metavar="BOUND",
            help=f"largest error of {quantity}, {text or 'a number'}; 0 keeps it exactly (default: {default})",
        )
    parser.add_argument("--model", metavar="FILE", help="checkpoint (.safetensors) or published weights (.pth)")
    parser.add_argument("--latent-bits", type=float, metavar="B", help="default: MSE grows by less than 1%%")
    parser.add_argument(
        "--refine", type=int, default=0, metavar="N", help="N steps that improve each jet's latents (default: none)"
    )
    parser.add_argument("--bounded", action="store_true", help="with autoencoder: add corrections up to the bounds")
    parser.add_argument("--keep-nonfinite", action="store_true", help="store NaN and infinite values exactly")
    add_reading_options(parser)
    add_many_options(parser, THREADS_OR_WORKERS)
    parser.set_defaults(run=_run_compress)


def _run_compress(options: argparse.Namespace) -> int:
    from utils.cli.campaign import CONTAINER, is_folder
    from utils.codec import Bounds, ErrorBound, check_settings, compress

    texts = {name: getattr(options, f"{name}_error") for name in ("pt", "m", "phi", "eta")}
    given = {name: ErrorBound.parse(text, name) for name, text in texts.items() if text is not None}
    if options.codec == "autoencoder" and given and not options.bounded:
        raise ValueError(f"--{next(iter(given))}-error: the codec autoencoder holds error bounds only with --bounded")
    if options.bounded and options.codec != "autoencoder":
        raise ValueError("--bounded belongs to --codec autoencoder; the codec bounded always is")
    settings: dict[str, Any] = {
        "codec": options.codec,
        "bounds": Bounds(**given) if given or options.bounded else None,
        "model": options.model,
        "latent_bits": options.latent_bits,
        "refine": options.refine,
        "keep_nonfinite": options.keep_nonfinite,
    }
    check_settings(**settings)
    reading = {"tree": options.tree, "collection": options.collection, "unit": options.unit}
    if is_folder(options.output):
        settings["model"] = options.model and os.path.abspath(options.model)
        return run_many(options, "compress", settings | reading, CONTAINER)
    refuse_many_options(options)
    source = options.files[0] if len(options.files) == 1 else _sample_stream(options, reading)
    report = compress(
        source,
        options.output,
        workers=options.workers,
        progress=sys.stderr.isatty(),
        **settings,
        **(reading if len(options.files) == 1 else {}),
    )
    print(
        f"{options.output}: {report['jets']} jets of {report['events']} events in {report['bytes']} bytes, "
        f"{report['bytes_per_jet']:.3f} a jet, {report['ratio']:.2f} times smaller than float32"
    )
    return 0


def _sample_stream(options: argparse.Namespace, reading: dict[str, Any]) -> Any:
    """Several files as one sample."""
    from utils.jets import iter_jets

    progress = sys.stderr.isatty()
    return iter_jets(options.files, keep_nonfinite=options.keep_nonfinite, progress=progress, **reading)


def add_decompress(commands: Any) -> None:
    parser = commands.add_parser(
        "decompress",
        help="the jets of a compressed file",
        description="Write the jets of a container to a jet file. A damaged container is an error that names the "
        "chunk; with --recover the whole chunks are written, the others listed, and the exit code is 1. "
        f"{MANY_FILES}",
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="containers that `compressionhep compress` wrote")
    parser.add_argument("output", metavar="OUT", help="jet file, whose suffix names the format, or a folder")
    parser.add_argument("--recover", action="store_true", help="write what is whole of a damaged file")
    add_format_option(parser)
    add_many_options(parser, THREADS_OR_WORKERS)
    parser.set_defaults(run=_run_decompress)


def _run_decompress(options: argparse.Namespace) -> int:
    from utils.cli.campaign import is_folder
    from utils.codec import decompress

    if is_folder(options.output):
        return run_many(options, "decompress", {"recover": options.recover})
    refuse_many_options(options)
    if len(options.files) > 1:
        raise ValueError(f"{options.output}: {len(options.files)} containers are decompressed to a folder: name one")
    lost = decompress(
        options.files[0],
        options.output,
        recover=options.recover,
        workers=options.workers,
        progress=sys.stderr.isatty(),
    )
    for line in lost:
        print(f"compressionhep: lost: {line}", file=sys.stderr)
    return 1 if lost else 0
