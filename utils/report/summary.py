"""What a run made: summary files and a page that links it all."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment, PackageLoader
from PIL import Image

from utils.files import Json, recorded_path, write_json
from utils.limits import read_json
from utils.machine import MachineInfo, machine_line
from utils.report.notebooks import Outcome
from utils.report.results import result_tables
from utils.text import Table

THUMBNAIL_PIXELS = (544, 544)


def write_report(
    folder: Path, profile: str, outcomes: Sequence[Outcome], machine: MachineInfo, dataset: str = "embedded"
) -> Path:
    """Write summary.json, summary.md and index.html of a run into `folder`; returns the path of the index.

    `dataset` is said where no notebook wrote where its jets came from.
    """
    metrics = read_outcome_metrics(outcomes)
    sources = [content["dataset"] for content in metrics.values() if "dataset" in content]
    source = sources[0] if sources else {"dataset": dataset}
    entries = []
    for outcome in outcomes:
        entry = {"name": outcome.name, "status": outcome.status, "seconds": round(outcome.seconds, 1)}
        if outcome.error is not None:
            entry["error"] = outcome.error
        entries.append({**entry, "metrics": metrics.get(outcome.name)})
    summary = {"profile": profile, "dataset": source, "machine": machine, "notebooks": entries}
    write_json(folder / "summary.json", summary, recorded=True)
    with recorded_path(folder / "summary.md") as partial:
        partial.write_text(summary_text(profile, outcomes) + "\n", encoding="utf-8")
    with recorded_path(folder / "index.html") as partial:
        partial.write_text(_index_page(folder, profile, outcomes, machine, source), encoding="utf-8")
    return folder / "index.html"


def read_outcome_metrics(outcomes: Iterable[Outcome]) -> dict[str, Json]:
    """The metrics that the notebooks of a run wrote, by notebook."""
    found = {outcome.name: path for outcome in outcomes for path in outcome.files if path.name == "metrics.json"}
    return {name: read_json(path, dict) for name, path in found.items()}


def summary_text(profile: str, outcomes: Sequence[Outcome]) -> str:
    """The run and its tables as Markdown."""
    rows = tuple((o.name, o.status, f"{o.seconds:.0f}") for o in outcomes)
    errors = [f"{outcome.name}: {outcome.error}" for outcome in outcomes if outcome.error is not None]
    ran = sum(outcome.error is None for outcome in outcomes)
    caption = "\n\n".join([f"{ran} of {len(outcomes)} notebooks ran to their end.", *errors])
    table = Table(f"Notebooks, {profile} profile", ("notebook", "status", "time [s]"), rows, caption, labels=2)
    return "\n\n".join([table.markdown(), *(t.markdown() for t in result_tables(read_outcome_metrics(outcomes)))])


def _index_page(folder: Path, profile: str, outcomes: Sequence[Outcome], machine: MachineInfo, source: Json) -> str:
    jets = ", ".join(f"{count:,} {name}" for name, count in source.get("jets", {}).items())
    facts = [
        ("dataset", f"{source['dataset']}{f' ({jets} jets)' if jets else ''}"),
        ("machine", machine_line(machine)),
        ("time", f"{sum(outcome.seconds for outcome in outcomes):.0f} s"),
    ]
    environment = Environment(loader=PackageLoader("utils.report"), autoescape=True)
    return environment.get_template("index.html.j2").render(
        profile=profile,
        facts=facts,
        tables=result_tables(read_outcome_metrics(outcomes)),
        entries=[_index_entry(folder, outcome) for outcome in outcomes],
    )


def _index_entry(folder: Path, outcome: Outcome) -> dict[str, object]:
    linked = [(outcome.page, "page"), (outcome.executed, "notebook")]
    linked += [(path, path.name) for path in outcome.files if path.suffix != ".png"]
    linked += [(path, path.name) for path in _checkpoints(outcome)]
    links = [{"href": _href(path, folder), "text": text} for path, text in linked if path is not None and path.exists()]
    plots = []
    for path in outcome.files:
        if path.suffix == ".png":
            small = _write_thumbnail(path, folder / "thumbnails" / outcome.name / path.name)
            plots.append({"href": _href(path, folder), "thumbnail": _href(small, folder), "text": path.stem})
    return {
        "name": outcome.name,
        "status": outcome.status,
        "seconds": outcome.seconds,
        "error": outcome.error,
        "links": links,
        "plots": plots,
    }


def _checkpoints(outcome: Outcome) -> list[Path]:
    """The weights that the metrics of a run name, relative to the folder that holds plots/ and models/."""
    models = read_outcome_metrics([outcome]).get(outcome.name, {}).get("models", [])
    base = outcome.files[0].parents[2] if models else Path()
    return [base / model["checkpoint"] for model in models if model.get("checkpoint")]


def _href(path: Path, folder: Path) -> str:
    return quote(Path(os.path.relpath(path, folder)).as_posix())


def _write_thumbnail(image: Path, target: Path) -> Path:
    with Image.open(image) as opened, recorded_path(target) as partial:
        small = opened.convert("RGB")
        small.thumbnail(THUMBNAIL_PIXELS)
        small.quantize(64).save(partial, format="PNG", optimize=True)
    return target
