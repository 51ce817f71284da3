"""What a run made: summary files and a page that links it all."""

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

from PIL import Image

from utils.cluster import available_cores
from utils.files import Json, recorded_path, write_json
from utils.limits import read_json
from utils.machine import MachineInfo, machine_line
from utils.report.answers import answer
from utils.report.captions import caption, in_order, key_figure
from utils.report.notebooks import Outcome
from utils.report.pages import TEMPLATES, link_pages, notebook_question, notebook_title
from utils.report.results import result_tables
from utils.text import Table

THUMBNAIL_PIXELS, KEY_PIXELS = (544, 544), (1600, 1600)

KEY_ORDER = ("3", "2d", "2c", "1d")
"""Whose answer and figure stand first on the page, by the beginning of the notebook's name."""


def write_report(
    folder: Path, profile: str, outcomes: Sequence[Outcome], machine: MachineInfo, dataset: str = "embedded"
) -> Path:
    """Write summary.json, summary.md and index.html of a run into `folder`; returns the path of the index.

    Notebooks that an earlier run of the same profile left there stay in all three. `dataset` is said where no notebook
    wrote where its jets came from.
    """
    outcomes = sorted([*_earlier(folder, profile, outcomes), *outcomes], key=lambda outcome: outcome.name)
    metrics = read_outcome_metrics(outcomes)
    sources = [content["dataset"] for content in metrics.values() if "dataset" in content] or [{"dataset": dataset}]
    entries = []
    for outcome in outcomes:
        entry: Json = {"name": outcome.name, "status": outcome.status, "seconds": round(outcome.seconds, 1)}
        if outcome.error is not None:
            entry["error"] = outcome.error
        files = [Path(os.path.relpath(path, folder)).as_posix() for path in outcome.files]
        entries.append({**entry, "files": files, "metrics": metrics.get(outcome.name)})
    summary = {"profile": profile, "dataset": sources[0], "machine": machine, "notebooks": entries}
    write_json(folder / "summary.json", summary, recorded=True)
    with recorded_path(folder / "summary.md") as partial:
        partial.write_text(summary_text(profile, outcomes) + "\n", encoding="utf-8")
    index = folder / "index.html"
    titled = [(notebook_title(o.executed), o.page) for o in outcomes if o.page is not None and o.page.exists()]
    link_pages(titled, index)
    with recorded_path(index) as partial:
        partial.write_text(_index_page(folder, profile, outcomes, machine, sources), encoding="utf-8")
    return index


def _earlier(folder: Path, profile: str, outcomes: Sequence[Outcome]) -> list[Outcome]:
    """What earlier runs of a profile left in a folder, but for notebooks that ran again now."""
    try:
        summary = read_json(folder / "summary.json", dict)
        known = summary["notebooks"] if summary["profile"] == profile else []
        again = {outcome.name for outcome in outcomes}
        found = [_outcome(folder, entry) for entry in known if entry["name"] not in again]
    except (OSError, ValueError, KeyError, TypeError):  # none yet, or of an earlier version
        return []
    return [outcome for outcome in found if outcome.executed.exists()]


def _outcome(folder: Path, entry: Json) -> Outcome:
    executed = folder / "notebooks" / f"{entry['name']}.ipynb"
    page = executed.with_name(f"{entry['name']}.html")
    files = tuple(path for name in entry["files"] if (path := Path(os.path.normpath(folder / name))).exists())
    return Outcome(entry["name"], entry["seconds"], executed, page, files, entry.get("error"))


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


def _index_page(
    folder: Path, profile: str, outcomes: Sequence[Outcome], machine: MachineInfo, sources: Sequence[Json]
) -> str:
    metrics = read_outcome_metrics(outcomes)
    seconds = sum(outcome.seconds for outcome in outcomes)
    facts = [
        ("jets", "; ".join(dict.fromkeys(_dataset_text(source) for source in sources))),
        ("machine", machine_line(machine)),
        ("time", f"{seconds:.0f} s in the notebooks, added up, without trainings before them"),
    ]
    with ThreadPoolExecutor(available_cores()) as pool:
        entries = list(pool.map(lambda outcome: _index_entry(folder, outcome, metrics.get(outcome.name)), outcomes))
    failed = sum(outcome.error is not None for outcome in outcomes)
    return TEMPLATES.get_template("index.html.j2").render(
        profile=profile,
        facts=facts,
        key=_key_result(folder, outcomes, metrics),
        tables=result_tables(metrics),
        entries=entries,
        failed=failed,
    )


def _dataset_text(source: Json) -> str:
    jets = ", ".join(f"{count:,} {name}" for name, count in source.get("jets", {}).items())
    return f"{source['dataset']}{f' ({jets} jets)' if jets else ''}"


def _key_result(folder: Path, outcomes: Sequence[Outcome], metrics: dict[str, Json]) -> dict[str, object] | None:
    """Question, answer and figure of the first notebook of `KEY_ORDER` that has both, else of any that has."""
    order = [o for beginning in KEY_ORDER for o in outcomes if o.name.startswith(f"{beginning}.")]
    for outcome in [*order, *outcomes]:
        words = answer(outcome.name, metrics.get(outcome.name)) if outcome.error is None else None
        figure = key_figure(outcome.name, [path for path in outcome.files if path.suffix == ".png"])
        if words is not None and figure is not None:
            small = folder / "thumbnails" / outcome.name / f"{figure.stem}_large.png"
            return {
                "title": notebook_title(outcome.executed),
                "question": notebook_question(outcome.executed),
                "answer": words,
                "page": None if outcome.page is None else _href(outcome.page, folder),
                "figure": _figure(folder, figure, small, KEY_PIXELS),
            }
    return None


def _index_entry(folder: Path, outcome: Outcome, metrics: Json | None) -> dict[str, object]:
    linked = [(outcome.page, "page"), (outcome.executed, "notebook")]
    linked += [(path, path.name) for path in outcome.files if path.suffix != ".png"]
    linked += [(path, path.name) for path in _checkpoints(outcome, metrics)]
    links = [{"href": _href(path, folder), "text": text} for path, text in linked if path is not None and path.exists()]
    small = folder / "thumbnails" / outcome.name
    images = in_order([path for path in outcome.files if path.suffix == ".png"])
    return {
        "name": outcome.name,
        "title": notebook_title(outcome.executed),
        "page": None if outcome.page is None else _href(outcome.page, folder),
        "question": notebook_question(outcome.executed),
        "answer": answer(outcome.name, metrics) if outcome.error is None else None,
        "status": outcome.status,
        "seconds": outcome.seconds,
        "error": outcome.error,
        "links": links,
        "plots": [_figure(folder, path, small / path.name, THUMBNAIL_PIXELS) for path in images],
    }


def _figure(folder: Path, image: Path, target: Path, pixels: tuple[int, int]) -> dict[str, object]:
    """A figure for a page: links, caption, and the pixels of its small copy."""
    width, height = _write_thumbnail(image, target, pixels)
    links = {"href": _href(image, folder), "thumbnail": _href(target, folder)}
    return {**links, "text": caption(image), "width": width, "height": height}


def _checkpoints(outcome: Outcome, metrics: Json | None) -> list[Path]:
    """The weights that the metrics of a run name, relative to the folder that holds plots/ and models/."""
    models = (metrics or {}).get("models", [])
    base = outcome.files[0].parents[2] if models else Path()
    return [base / model["checkpoint"] for model in models if model.get("checkpoint")]


def _href(path: Path, folder: Path) -> str:
    return quote(Path(os.path.relpath(path, folder)).as_posix())


def _write_thumbnail(image: Path, target: Path, pixels: tuple[int, int]) -> tuple[int, int]:
    with Image.open(image) as opened, recorded_path(target) as partial:
        small = opened.convert("RGB")
        small.thumbnail(pixels)
        small.quantize(64).save(partial, format="PNG")
    return small.size
