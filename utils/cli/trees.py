"""Commands on whole trees of ROOT files: slim, audit."""

import os
import sys
from typing import Any

import click

from utils import codec, trees
from utils.cli.messages import note, say
from utils.cli.options import (
    FILE,
    INTO_FOLDER,
    MANY_FILES,
    THREADS_OR_WORKERS,
    Function,
    cluster_options,
    json_option,
    refuse_options_of_many,
)
from utils.cli.outputs import is_folder
from utils.text import bytes_text, listing

SMALL_BYTES = 2**20
"""Files below this may well grow."""

SHOWN = 25
"""Rows of a table in the terminal, unless more are asked for."""


def _policy_options(function: Function) -> Function:
    for decorate in (
        click.option("--tree", metavar="NAME", help="one tree of the file (default: all)"),
        click.option("--drop", multiple=True, metavar="PATTERN", help="leave these branches out"),
        click.option(
            "--keep",
            multiple=True,
            metavar="PATTERN",
            help="carry no other branches than these, what counts them, and trees of bookkeeping (Runs, MetaData, ...)",
        ),
        click.option(
            "--bound",
            "bounds",
            multiple=True,
            metavar="PATTERN=BOUND",
            help="a rule before those of the policy: exact, stored, drop, bits=10, or an error such as 1%,10MeV",
        ),
        click.option(
            "--policy",
            default="stored",
            metavar="NAME",
            help=f"rules of which the first that matches holds: {', '.join(trees.PRESETS)}, or a TOML file",
        ),
    ):
        function = decorate(function)
    return function


@click.command(short_help="whole ROOT files, each branch within its bound, to smaller ones", epilog=MANY_FILES)
@click.argument(
    "sources", nargs=-1, required=True, type=FILE, metavar="IN.root...", help="a file, several, or a pattern"
)
@click.argument("output", type=FILE, metavar="OUT", help="OUT.root, OUT.zarr.zip (the smallest), or a folder")
@_policy_options
@click.option("--to", type=click.Choice(tuple(trees.KINDS)), help="kind of the trees in ROOT (default: what they are)")
@click.option(
    "--compression",
    type=click.Choice(tuple(trees.COMPRESSIONS)),
    help=f"of ROOT files (default: {next(iter(trees.COMPRESSIONS))})",
)
@click.option(
    "--codec",
    "codec_name",
    type=click.Choice(codec.TREE_CODECS),
    default="plain",
    help="of OUT.zarr.zip: plain, or neural: networks fitted to the file predict columns from others (up to a minute)",
)
@click.option("--model", type=FILE, metavar="FILE", help="of neural: networks of `train --codec neural --policy ...`")
@click.option("--embed-model", is_flag=True, help="store what a file uses of the model inside (default: its checksum)")
@click.option(
    "--format",
    "file_format",
    type=click.Choice(("root", "zarr")),
    help="of the files in a folder (default: root)",
)
@cluster_options(f"{THREADS_OR_WORKERS}; OUT.root is written by one", INTO_FOLDER)
@json_option("the numbers of every file")
def slim(
    sources: tuple[str, ...],
    output: str,
    policy: str,
    bounds: tuple[str, ...],
    keep: tuple[str, ...],
    drop: tuple[str, ...],
    tree: str | None,
    to: str | None,
    compression: str | None,
    codec_name: str,
    model: str | None,
    embed_model: bool,
    file_format: str | None,
    workers: int | None,
    scheduler: str | None,
    dashboard: bool,
    json_path: str | None,
    force: bool,
) -> int:
    """Write all trees of a ROOT file to a smaller one. Without a bound every bit of a branch comes back; with one, its
    values are rounded within it. OUT.root is read by every program as the first was: the same names, types, titles and
    counters. OUT.zarr.zip is smaller; `decompress` gives the ROOT file back, and Python opens it. Every value is read
    back and compared before the file gets its name."""
    from utils.cli.writing import refuse_outputs
    from utils.files import write_json

    rules = trees.load_policy(policy, bounds, keep, drop)
    inputs = [*sources, policy if os.path.isfile(policy) else None, model]
    settings: dict[str, Any] = {"policy": rules, "tree": tree, "to": to, "compression": compression}
    settings |= {"codec": codec_name} if codec_name != "plain" else {}
    settings |= {"model": os.path.abspath(model), "embed_model": embed_model} if model is not None else {}
    if is_folder(output):
        refuse_outputs(inputs, json_path=json_path, force=force)
        from utils.cli.many import run_many

        suffix = codec.SUFFIX if file_format == "zarr" else ".root"
        codec.check_slim(suffix, to, compression, codec_name, model, embed_model)
        return run_many(
            "slim",
            sources,
            settings,
            folder=output,
            suffix=suffix,
            workers=workers,
            scheduler=scheduler,
            dashboard=dashboard,
            json_path=json_path,
        )
    refuse_options_of_many(output, scheduler=scheduler, dashboard=dashboard or None, format=file_format)
    if len(sources) > 1:
        raise ValueError(f"{output}: {len(sources)} files are slimmed to a folder: name one")
    suffix = codec.SUFFIX if output.endswith(codec.SUFFIX) else ".root"
    codec.check_slim(suffix, to, compression, codec_name, model, embed_model)
    refuse_outputs(inputs, output, suffix, json_path=json_path, force=force)
    report = codec.slim(sources[0], output, **settings, workers=workers, progress=sys.stderr.isatty())
    for line in _slim_lines(report):
        say(line)
    left_out = list(trees.iter_left_out(report))
    if left_out:
        note(f"cannot be carried, {len(left_out):,}: {listing(left_out, 5)}")
    if json_path is not None:
        write_json(json_path, report)
    return 0


def _slim_lines(report: dict[str, Any]) -> list[str]:
    before, after = report["source_bytes"], report["output_bytes"]
    size = f"{bytes_text(before)} -> {bytes_text(after)} ({after / before:.0%})"
    lines = [f"{report['output']}: {size}, every value read back and compared"]
    for name, tree in report["trees"].items():
        lines += _tree_lines(name, tree)
        lines += _network_lines(report["networks"][name]) if name in report.get("networks", {}) else []
    if "model" in report:
        lines.append(f"it is read with the model that it names, checksum {report['model'][:12]}")
    branches = [tree["output_bytes"] for tree in report["trees"].values()]
    if None not in branches:
        own = after - sum(branches)
        lines.append(
            f"the description of branches, policy and source takes {bytes_text(own)} of it ({own / after:.0%})"
        )
    if after >= before:
        small = ": most of a file this small describes the branches" if before < SMALL_BYTES else ""
        lines.append(f"there is nothing to gain here{small}")
    return lines


def _tree_lines(name: str, tree: dict[str, Any]) -> list[str]:
    """What of a tree is carried and what it takes, how near to their bounds its values come, what was dropped."""
    bounded, sizes = tree["bounded"], [tree["source_bytes"], tree["output_bytes"]]
    taken = f", {bytes_text(sizes[0])} -> {bytes_text(sizes[1])} compressed" if all(sizes) else ""
    exact = f"{tree['branches'] - len(bounded):,} of them" if bounded else "all"
    lines = [f"{name}: {tree['branches']:,} branches of {tree['entries']:,} entries{taken}; {exact} bit for bit"]
    if bounded:
        worst, numbers = max(bounded.items(), key=lambda item: item[1][-1])
        counted = [f"all {count:,} of {what}" for what, count in tree["objects"].items() if what] or ["all values"]
        lines.append(
            f"  {len(bounded):,} within their bounds for {listing(counted)}; "
            f"largest error {numbers[-1]:.2f} of its bound ({worst})"
        )
    if tree["dropped"]:
        lines.append(f"  dropped: {listing(tree['dropped'], 5)}")
    return lines


def _network_lines(found: list[dict[str, Any]]) -> list[str]:
    """What networks code in each collection of a tree, and what that takes; or why they code nothing."""
    lines = []
    for one in found:
        number = f"{one['columns']} columns of {one['values']:,} values"
        alone = f"{bytes_text(one['bytes_alone'])} in {number}" if one["columns"] else "all"
        taken = bytes_text(one["bytes_coded"]) if "bytes_coded" in one else ""
        taken += f" and {bytes_text(one['network_bytes'])} of networks" if one.get("network_bytes") else ""
        lost = f"; {one['lost']}, and the model's networks of later columns would see it" if "lost" in one else ""
        if one["coded"]:
            lines.append(f"  {one['collection']}: networks code {one['coded']} of them: {alone} -> {taken}{lost}")
        else:
            why = f"; networks would make it {taken}" if taken else "" if lost else "; too few for networks"
            lines.append(f"  {one['collection']}: coded as by the plain codec: {alone}{why}{lost}")
    return lines or ["  no lists of numbers that networks could code"]


@click.command(short_help="what the branches of a ROOT file cost, hold, and would lose under a policy")
@click.argument("source", type=FILE, metavar="FILE.root")
@_policy_options
@click.option("--rows", type=click.IntRange(min=1), default=SHOWN, metavar="N", help="branches in the table")
@click.option("--page", type=FILE, metavar="FILE.html", help="write a page with plots as well")
@json_option("all branches and numbers")
def audit(
    source: str,
    policy: str,
    bounds: tuple[str, ...],
    keep: tuple[str, ...],
    drop: tuple[str, ...],
    tree: str | None,
    rows: int,
    page: str | None,
    json_path: str | None,
    force: bool,
) -> None:
    """Show which branches of a ROOT file cost what, how many bits each really holds, and what is constant, a copy of
    another or noise; under a policy, bytes before and after, largest errors, and what a jet analysis would see:
    dijet mass, HT, multiplicities and b tags."""
    from utils.cli.writing import refuse_outputs
    from utils.files import write_json

    inputs = [source, policy if os.path.isfile(policy) else None]
    refuse_outputs(inputs, page, ".html", json_path=json_path, force=force)
    rules = trees.load_policy(policy, bounds, keep, drop)
    report = trees.audit(source, rules, tree=tree, progress=sys.stderr.isatty())
    say("\n\n".join(table.text() for table in trees.audit_tables(report, rows)))
    if json_path is not None:
        write_json(json_path, report)
    if page is not None:
        from utils.report import write_audit_page

        write_audit_page(page, report)
