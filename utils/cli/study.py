"""Commands of the study: run, tables, reproduce."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import click

from utils import jets, report, study, training
from utils.cli.messages import note, say
from utils.cli.options import FILE, FOLDER, chosen_dataset, dataset_options, given_reading, json_option
from utils.limits import parse_json


@click.command(short_help="run the notebooks, and gather what they made")
@click.argument(
    "notebooks",
    nargs=-1,
    type=FILE,
    metavar="[NOTEBOOK]...",
    help="a file, or the name or a unique beginning of the name (1d) of one in CompressionHEP/ (default: all)",
)
@click.option(
    "--profile",
    type=click.Choice(training.PROFILES),
    default="quick",
    help="quick: small and fast; reference: the full study",
)
@click.option(
    "--output",
    type=FOLDER,
    metavar="DIR",
    help="folder for everything (default: runs/PROFILE; for the embedded sample in the reference profile the "
    "repository's own plots/ and models/, with the rest in runs/reference; they are of no other parameters)",
)
@click.option(
    "--dataset", type=FILE, metavar="DATASET", help="embedded, published, or jet files; as -p dataset DATASET"
)
@dataset_options
@click.option("--device", metavar="DEVICE", help="cpu, cuda, ... (default: a GPU where there is one)")
@click.option(
    "-p",
    "--parameter",
    "parameters",
    nargs=2,
    multiple=True,
    metavar="NAME VALUE",
    help="set a parameter of the notebooks that have it; VALUE is JSON, None, True, False, or else text",
)
@click.option(
    "--force",
    is_flag=True,
    help="make reference results of the repository anew that are up to date; in a run of all notebooks their trainings "
    "as well",
)
def run(
    notebooks: tuple[str, ...],
    profile: str,
    output: str | None,
    dataset: str | None,
    device: str | None,
    parameters: tuple[tuple[str, str], ...],
    force: bool,
    **reading: Any,
) -> int:
    """Run notebooks with papermill, and write executed copies, HTML pages, plots, models, a summary and an index page.
    The exit code is 1 where a notebook fails; the others still run. Reference results in the repository's own folders
    are made again only where something that they depend on has changed."""
    from utils.files import REPOSITORY, require_clone
    from utils.machine import machine_info, pick_device

    found = report.find_notebooks(notebooks)
    asked = {name: _parameter_value(value) for name, value in parameters}
    asked |= {name: value for name, value in (("dataset", dataset), ("device", device)) if value is not None}
    if "dataset" in asked or given_reading(reading):
        asked["dataset"] = wanted = _dataset(asked.get("dataset", "embedded"), reading)
        jets.require_sample(wanted)
    if asked.get("device") is not None:
        pick_device(str(asked["device"]))
    chosen, base = str(asked.pop("profile", profile)), asked.pop("output", output)
    if chosen not in training.PROFILES:
        raise ValueError(f"no profile {chosen!r}; there are {', '.join(training.PROFILES)}")
    common = {"profile": chosen}
    if base is None and (chosen == "quick" or asked.get("dataset", "embedded") != "embedded"):
        require_clone(REPOSITORY / "runs", "the default folder of --output")
        base = REPOSITORY / "runs" / chosen  # the repository's own folders hold results of the embedded sample alone
    own = base is None
    if force and not own:
        raise ValueError("--force makes reference results of the repository anew; no other run keeps any as up to date")
    if own:
        asked.pop("dataset", None)  # the embedded one
        _require_reference(found, asked)
    whole = set(found) == set(report.find_notebooks())
    output_folder = REPOSITORY if own else Path(str(base)).resolve()
    common["output"] = str(output_folder)
    folder, plots = REPOSITORY / "runs" / "reference" if own else output_folder, output_folder / "plots"
    shared = report.share_parameters(found, common, asked)
    if force and whole:
        study.forget_trainings(study.trainings_folder())
    stale = _out_of_date(shared, plots) if own and not force else shared
    if own and stale and (missing := jets.missing_published()):
        note(
            f"{len(missing)} published files are not at hand, such as {missing[0]} (`compressionhep fetch`, or "
            "COMPRESSIONHEP_PUBLISHED): results that show them are made without them"
        )
    trainings = None
    if whole and len(stale) == len(found) and not asked:
        trainings = partial(study.train_study, study.trainings_folder(output_folder), chosen)
    outcomes = report.run_notebooks(stale, folder, plots, trainings)
    if own and stale:
        report.record_made(outcomes, shared, plots)
        if whole and all(outcome.error is None for outcome in outcomes):  # what is out of date keeps its commit
            report.record_commit(plots, output_folder / "models")
    index = report.write_report(folder, chosen, outcomes, machine_info(), str(asked.get("dataset", "embedded")))
    say(f"{report.summary_text(chosen, outcomes)}\n\nindex: {index}")
    return 1 if any(outcome.error is not None for outcome in outcomes) else 0


def _require_reference(notebooks: list[Path], asked: dict[str, object]) -> None:
    """ValueError for what is not the reference run itself."""
    known = report.find_notebooks()
    other = [f"parameter {name}" for name in asked] + [path.name for path in notebooks if path not in known]
    if other:
        raise ValueError(
            f"{other[0]}: plots/ and models/ of the repository hold the reference run as it is; choose another --output"
        )


def _out_of_date(notebooks: dict[Path, dict[str, object]], plots: Path) -> dict[Path, dict[str, object]]:
    """The notebooks whose reference results are not what a run would make."""
    for path in notebooks:
        if report.is_fresh(path, notebooks[path], plots):
            say(f"{path.stem}: up to date", err=True)
    return {path: values for path, values in notebooks.items() if not report.is_fresh(path, values, plots)}


def _parameter_value(text: str) -> object:
    """A parameter given as text: JSON, or Python's None, True and False, or else the text itself."""
    words = {"None": None, "True": True, "False": False}
    if text in words:
        return words[text]
    try:
        return parse_json(text)
    except ValueError:
        return text


def _dataset(value: object, reading: Mapping[str, Any]) -> "jets.Dataset":
    """A dataset, or several, as `chosen_dataset` has it; ValueError for anything else."""
    if isinstance(value, dict) and "path" in value:
        own = {name: part for name, part in value.items() if name != "path"}
        return _dataset(value["path"], own | given_reading(reading))
    if isinstance(value, str) or (isinstance(value, list) and value and all(isinstance(part, str) for part in value)):
        return chosen_dataset(value, reading)
    raise ValueError(f"parameter dataset: expected embedded, published, or files, found {value!r}")


@click.command(short_help="the tables and pages of the reference results")
@click.option("--write", is_flag=True, help="fill the pages of the repository whose numbers come from these results")
def tables(write: bool) -> None:
    """Print the tables of the results in plots/, or, with --write, fill the pages that have a template."""
    metrics = report.reference_metrics()
    if not write:
        say(report.tables_text(metrics))
        return
    for page in report.write_pages(metrics):
        say(page)


@click.command(short_help="reproduce the published tables, and correct them")
@json_option()
def reproduce(json_path: str | None, force: bool) -> None:
    """Test the six published models and rank-3 PCA on the published test jets: MSE and mean residuals by the published
    recipe, and the errors in physical units. Needs the published files (compressionhep fetch)."""
    from utils.cli.writing import refuse_outputs
    from utils.files import write_json

    refuse_outputs([], json_path=json_path, force=force)
    rows = study.reproduce()
    say(study.text_tables(rows))
    if json_path is not None:
        write_json(json_path, rows)
