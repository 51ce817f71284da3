"""What a worker does with one file of a campaign."""

import os
import time
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import fsspec

from utils import __version__, codec, networks
from utils.campaign.messages import listening
from utils.campaign.words import outside_text
from utils.files import ChangedError, read_record, recorded_path, sha256_of, source_sha256
from utils.jets import (
    FEATURES,
    Decided,
    JetWarning,
    convert_jets,
    feature_array,
    is_remote,
    iter_jets,
    number_of_events,
)
from utils.metrics import StreamingResolution
from utils.text import listing
from utils.trees import iter_left_out

REMOTE_STATES = ("ETag", "etag", "mtime", "LastModified", "Last-Modified", "Content-MD5", "Digest", "checksum", "md5")
"""What servers call that which changes with the content of a file; of a file without any, nothing is known."""


@dataclass(frozen=True)
class Task:
    """One file, or a range of its entries, and what becomes of it; `name` is what messages call it.

    `share` is the part of the file's bytes that the entries stand for, `unit` what is known of the sample's.
    """

    name: str
    source: str
    entries: tuple[int, int] | None
    share: float
    unit: str | Decided | None
    output: Path | None
    record: Path | None


def work(operation: str, task: Task, settings: dict[str, Any]) -> dict[str, Any]:
    """One task of a campaign, unless its output is there already."""
    start = time.perf_counter()
    identity: dict[str, Any] = {
        "operation": operation,
        "settings": _identify(settings),
        "source": _identity_of(task.source),
        "entries": list(task.entries) if task.entries else None,
        "units": sorted({str(units) for units in task.unit.values()}) if isinstance(task.unit, Mapping) else None,
        "version": __version__,
    }
    if (report := _finished(task, identity)) is not None:
        return report | {"state": "kept"}
    if task.output is None:
        report = _report(operation, task, settings, start)
        _require_unchanged(task.source, identity["source"])
        return report
    about: dict[str, Any] = {"identity": identity}
    with recorded_path(task.output, about, task.record) as partial:
        try:
            report = _report(operation, replace(task, output=partial), settings, start)
        except ValueError as error:
            raise ValueError(str(error).replace(str(partial), str(task.output))) from error
        _require_unchanged(task.source, identity["source"])
        about["report"] = report = report | {"output": str(task.output)}
    return report


def _report(operation: str, task: Task, settings: dict[str, Any], start: float) -> dict[str, Any]:
    """Do a task; returns its row of the campaign."""
    read: list[str] = []
    with warnings.catch_warnings(record=True) as caught, listening(read.append):
        warnings.simplefilter("always", UserWarning)
        report = OPERATIONS[operation](task, settings)
    notices = [str(warning.message) for warning in caught if issubclass(warning.category, UserWarning)]
    report = {
        "name": task.name,
        "source": task.source,
        "output": None if task.output is None else str(task.output),
        "state": "done",
        "bytes_out": 0 if task.output is None else task.output.stat().st_size,
        "errors": None,
        "errors_of_bound": None,
        "notices": list(dict.fromkeys(notices)),
        "read": [line.removeprefix(f"reading {task.source}: ") for line in read],
        **report,
    }
    size = remote_info(task.source).get("size") if is_remote(task.source) else os.path.getsize(task.source)
    report["bytes_in"] = None if size is None else round(int(size) * task.share)
    report["seconds"] = time.perf_counter() - start
    return report


def _finished(task: Task, identity: dict[str, Any]) -> dict[str, Any] | None:
    if task.record is None or task.output is None:
        return None
    record = read_record(task.record)
    if record is None or record.get("identity") != identity or not task.output.is_file():
        return None
    return record["report"] if record["output_sha256"] == sha256_of(task.output) else None


def _require_unchanged(source: str, told: dict[str, Any]) -> None:
    """Raise ChangedError where a source is not what it was when it was `told` from others."""
    if "unknown" not in told and _identity_of(source) != told:
        raise ChangedError(f"{source}: it was written to, or replaced, while it was read; do this again")


def _identity_of(source: str) -> dict[str, Any]:
    """What tells a file from a later one of the same name: its SHA-256, or what a server says of it."""
    if not is_remote(source):
        return {"sha256": source_sha256(source)}
    told = remote_info(source)
    known = {key: str(told[key]) for key in REMOTE_STATES if told.get(key) is not None}
    return {"size": str(told.get("size"))} | known if known else {"unknown": time.time_ns()}


def remote_info(source: str) -> dict[str, Any]:
    """What a server says of a file."""
    system, path = fsspec.core.url_to_fs(source)
    return dict(system.info(path))


def _identify(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings as JSON; a model stands for its bytes."""
    shown = {key: str(value) for key, value in settings.items() if value is not None}
    if settings.get("model") is not None:
        shown["model"] = sha256_of(settings["model"])
    return shown


def opening(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the settings that say what of a file is opened."""
    return {key: settings.get(key) for key in ("tree", "collection", "columns", "padding", "read")}


def _reading(task: Task, settings: Mapping[str, Any]) -> dict[str, Any]:
    keys = ("beam_energy", "bad_jets", "pt_min", "eta_max")
    given = opening(settings) | {key: settings.get(key) for key in keys} | {"unit": task.unit, "entries": task.entries}
    return {key: value for key, value in given.items() if value is not None}


def _compress(task: Task, settings: dict[str, Any]) -> dict[str, Any]:
    assert task.output is not None
    keys = ("codec", "bounds", "model", "embed_model", "latent_bits", "refine", "keep_nonfinite")
    chosen = {key: settings[key] for key in keys if settings.get(key) is not None}
    report = codec.compress(task.source, task.output, workers=1, **chosen, **_reading(task, settings))
    if outside := report.get("outside_training_range"):
        warnings.warn(outside_text(task.name, report["jets"], outside), JetWarning, stacklevel=2)
    return {key: report[key] for key in ("jets", "events", "errors", "errors_of_bound")}


def _decompress(task: Task, settings: dict[str, Any]) -> dict[str, Any]:
    assert task.output is not None
    sizes: list[tuple[int, int]] = []
    lost = codec.decompress(
        task.source,
        task.output,
        workers=1,
        recover=bool(settings.get("recover")),
        model=settings.get("model"),
        seen=lambda table: sizes.append((len(table), number_of_events(table))),
    )
    jets, events = (sum(column) for column in zip(*sizes, strict=True)) if sizes else (0, 0)
    of_trees = codec.holds_trees(task.source, bool(settings.get("recover")))
    held = {} if lost else codec.inspect(task.source)
    return {
        "jets": None if of_trees else jets,
        "events": events,
        **{key: held.get(key) for key in ("errors", "errors_of_bound")},
        "lost": lost,
    }


def _convert(task: Task, settings: dict[str, Any]) -> dict[str, Any]:
    assert task.output is not None
    _, kept, events = convert_jets(task.source, task.output, **_reading(task, settings))
    return {"jets": kept, "events": events}


def _evaluate(task: Task, settings: dict[str, Any]) -> dict[str, Any]:
    checkpoint = networks.load_model(settings["model"])
    summaries = [StreamingResolution(quantity) for quantity in FEATURES]
    jets = events = outside = 0
    for table in iter_jets(task.source, **_reading(task, settings)):
        true = feature_array(table, dtype="float32")
        output = networks.reconstruct(checkpoint, true, refine=settings.get("refine") or 0)
        for summary, x, y in zip(summaries, true.T, output.T, strict=True):
            summary.add(x, y)
        jets, events = jets + len(table), events + number_of_events(table)
        if checkpoint.training_range is not None:
            outside += networks.count_outside(checkpoint.training_range, table)
    if outside:
        warnings.warn(outside_text(task.name, jets, outside), JetWarning, stacklevel=2)
    errors = {summary.quantity: summary.result().to_dict() for summary in summaries}
    return {"jets": jets, "events": events, "errors": errors, "outside": outside, "summaries": summaries}


def _slim(task: Task, settings: dict[str, Any]) -> dict[str, Any]:
    assert task.output is not None
    chosen: dict[str, Any] = {key: settings.get(key) for key in ("tree", "to", "compression")}
    chosen |= {"codec": settings.get("codec", "plain"), "model": settings.get("model")}
    chosen["embed_model"] = bool(settings.get("embed_model"))
    report = codec.slim(task.source, task.output, settings["policy"], **chosen, workers=1)
    found = report["trees"].values()
    shares = [numbers[-1] for tree in found for numbers in tree["bounded"].values()]
    lost = list(iter_left_out(report))
    if lost:
        warnings.warn(f"{task.name}: cannot be carried, {len(lost):,}: {listing(lost, 5)}", JetWarning, stacklevel=2)
    return {
        "jets": None,
        "events": sum(tree["entries"] for tree in found),
        "branches": sum(tree["branches"] for tree in found),
        "errors_of_bound": {"a branch": max(shares)} if shares else {},
        **{key: _sum(tree[key] for tree in found) for key in ("source_bytes", "output_bytes")},
    }


def _sum(sizes: Iterable[int | None]) -> int | None:
    """The sum of sizes; None where one is not known."""
    known = list(sizes)
    return None if None in known else sum(size for size in known if size is not None)


OPERATIONS: dict[str, Callable[[Task, dict[str, Any]], dict[str, Any]]] = {
    "compress": _compress,
    "decompress": _decompress,
    "convert": _convert,
    "evaluate": _evaluate,
    "slim": _slim,
}
