"""One operation on many files, a Dask task for each: compress, decompress, convert, evaluate.

Every output gets a record in OUTDIR/.compressionhep: the checksums of what it was made from and of what was written,
the settings, and the report. An output counts as done when its record fits and its bytes are those that were written;
so a second run does only what is missing, and a run that was killed is taken up again.
"""

import glob
import json
import math
import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from utils.cli.reports import bounds_text, errors_lines, size_text
from utils.cli.tasks import Task, opening, work
from utils.cluster import connect, run_tasks
from utils.codec import FLOAT32_BYTES, SUFFIX
from utils.files import RECORDS, OutputError, is_as_recorded, manage_folder, remove_leftovers
from utils.jets import (
    FEATURES,
    Decided,
    Paths,
    Source,
    decide_units,
    is_remote,
    open_source,
    pattern_root,
    sample_files,
)
from utils.metrics import StreamingResolution
from utils.text import Table

PART_BYTES = 300_000_000
"""ROOT files larger than twice this are worked on in parts of about this size, each with an output of its own."""

PROBED_FILES, PROBED_ENTRIES = 20, 100_000
"""Files, and their entries (of text, bytes), after which the unit of all is decided, before the work."""

PART = re.compile(r"\.part-\d+-of-\d+")
"""What the names of the outputs of one large file differ in."""


@dataclass(frozen=True)
class Campaign:
    """What `run_campaign` did: a row for each task that succeeded, the errors of the others by name, and the seconds.

    `working_seconds` are those after the workers had started.

    Rows have `name`, `source`, `output`, `state` ("done", or "kept" from an earlier run), `jets`, `events`, `bytes_in`,
    `bytes_out`, `errors` (per quantity, where jets changed), `errors_of_bound` (the largest, where there are bounds),
    `notices`, `read` (what was read of the file, in a line) and `seconds`.
    """

    operation: str
    rows: list[dict[str, Any]]
    failures: dict[str, str]
    seconds: float
    working_seconds: float

    @property
    def totals(self) -> dict[str, Any]:
        """Sums over the files, of containers the `ratio` of their bytes to those of the jets as float32, the largest
        error of each quantity, also in units of its bound, and `jets_per_s`, of what this run did itself while it was
        at work."""
        total = {key: sum(row[key] or 0 for row in self.rows) for key in ("jets", "events", "bytes_in", "bytes_out")}
        compressed = self.operation == "compress" and total["bytes_out"]
        done = [row for row in self.rows if row["state"] == "done"]
        jets = sum(row["jets"] for row in done)
        worst: dict[str, dict[str, float]] = {}
        for row in self.rows:
            for quantity, entry in ((row["jets"] and row["errors"]) or {}).items():
                kept = worst.setdefault(quantity, {})
                for key in ("max", "max_absolute"):
                    if key in entry:
                        kept[key] = max(kept.get(key, 0.0), entry[key])
        return {
            "files": len(self.rows) + len(self.failures),
            "failed": len(self.failures),
            "kept": len(self.rows) - len(done),
            **total,
            "ratio": FLOAT32_BYTES * total["jets"] / total["bytes_out"] if compressed else None,
            "bytes_per_jet": total["bytes_out"] / total["jets"] if total["jets"] and total["bytes_out"] else None,
            "seconds": self.seconds,
            "working_seconds": self.working_seconds,
            "worker_seconds": sum(row["seconds"] for row in done),
            "jets_per_s": jets / self.working_seconds if done else None,
            "worst": worst,
            "errors_of_bound": self._errors_of_bound(),
        }

    def _errors_of_bound(self) -> dict[str, float] | None:
        """The largest errors in units of the bound; None where a file has no bounds."""
        largest: dict[str, float] = {}
        for row in self.rows:
            if row.get("errors_of_bound") is None:
                return None
            for name, share in row["errors_of_bound"].items():
                largest[name] = max(largest.get(name, 0.0), share)
        return largest if self.rows else None

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe: the totals, every row, and the failures."""
        rows = [{key: value for key, value in row.items() if key != "summaries"} for row in self.rows]
        content = {"operation": self.operation, "totals": self.totals, "files": rows, "failures": self.failures}
        return json.loads(json.dumps(content))

    def resolution(self) -> dict[str, dict[str, Any]]:
        """The errors of all files of an evaluation together, by quantity."""
        summaries = [StreamingResolution(quantity) for quantity in FEATURES]
        for row in self.rows:
            for summary, more in zip(summaries, row["summaries"], strict=True):
                summary.merge(more)
        return {summary.quantity: summary.result().to_dict() for summary in summaries}


def run_campaign(
    operation: str,
    inputs: Paths,
    folder: str | Path | None,
    settings: Mapping[str, Any],
    *,
    suffix: str = "",
    workers: int | None = None,
    scheduler: str | None = None,
    progress: bool = True,
    part_bytes: int = PART_BYTES,
) -> Campaign:
    """Apply an operation, a key of `tasks.OPERATIONS`, to every file of `inputs` (files and glob patterns).

    Outputs go to `folder`, in the folders that stand behind the fixed part of a pattern, under the name of the input
    with `suffix` instead of its own; ROOT files above twice `part_bytes` give several, name.part-0-of-4 and so on.
    `settings` are the arguments of the operation. `workers` and `scheduler` as in `cluster.connect`; files and folder
    must be where the workers see them. A file that fails is among the `failures`, and the others go on. Raises JetError
    where no file matches or files are in different units, and OutputError where two would have the same output.
    """
    start = time.perf_counter()
    if folder is not None:
        folder = manage_folder(Path(folder).resolve())
        remove_leftovers(folder)
    tasks, failures = _plan(operation, inputs, folder, suffix, settings, part_bytes)
    arguments = {task.name: (operation, task, dict(settings)) for task in tasks}
    rows = {}
    with connect(workers, scheduler) as client:
        connected = time.perf_counter()
        for name, result in run_tasks(client, work, arguments, "file", progress):
            if isinstance(result, BaseException):
                failures[name] = error_text(result)
            else:
                rows[name] = result
    if folder is not None:
        remove_leftovers(folder)  # of workers that died
        _remove_outdated(tasks, failures, folder)
    ordered = [rows[task.name] for task in tasks if task.name in rows]
    end = time.perf_counter()
    return Campaign(operation, ordered, failures, end - start, end - connected)


def error_text(error: BaseException) -> str:
    """An error in words: what the project raises speaks for itself, of others the kind belongs to it."""
    return str(error) if isinstance(error, ValueError | OSError) else f"{type(error).__name__}: {error}"


def _plan(
    operation: str,
    inputs: Paths,
    folder: Path | None,
    suffix: str,
    settings: Mapping[str, Any],
    part_bytes: int,
) -> tuple[list[Task], dict[str, str]]:
    """The tasks, and the errors of large files that cannot even be opened."""
    tasks: list[Task] = []
    failures: dict[str, str] = {}
    owners: dict[str, str] = {}
    files = _files_under_roots(inputs)
    unit = settings.get("unit")
    if unit is None and operation != "decompress":
        unit = _decide_units((source for source, _ in files), settings)
    for source, relative in files:
        stem = _stem(relative)
        if folder is not None and _is_own_output(operation, source, folder):
            continue
        if folder is not None and owners.setdefault(stem, source) != source:
            raise OutputError(
                f"{owners[stem]} and {source} would both become {folder / (stem + suffix)}; "
                "give them in two runs with folders of their own"
            )
        try:
            parts = _parts(source, settings, part_bytes)
        except (ValueError, OSError) as error:
            failures[source] = error_text(error)
            continue
        for index, entries in enumerate(parts):
            label = f".part-{index}-of-{len(parts)}" if len(parts) > 1 else ""
            output = record = None
            if folder is not None:
                output = folder / f"{stem}{label}{suffix}"
                record = folder / RECORDS / f"{stem}{label}{suffix}.json"
            share = 1.0 if entries is None else (entries[1] - entries[0]) / (parts[-1] or entries)[1]
            tasks.append(Task(source + label, source, entries, share, unit, output, record))
    _refuse_inputs(tasks)
    return tasks, failures


def _refuse_inputs(tasks: list[Task]) -> None:
    """Raise OutputError where an output is the file of any input."""
    read = {}
    for task in tasks:
        if not is_remote(task.source):
            state = os.stat(task.source)
            read[state.st_dev, state.st_ino] = task.source
    for task in tasks:
        if task.output is not None and task.output.exists():
            state = task.output.stat()
            if (state.st_dev, state.st_ino) in read:
                source = read[state.st_dev, state.st_ino]
                raise OutputError(f"{source}: would be replaced by the output {task.output}; choose another folder")


def _remove_outdated(tasks: list[Task], failures: Mapping[str, str], folder: Path) -> None:
    """Remove the outputs of an earlier run that divided a file otherwise, once the new ones are whole."""
    planned = {task.output for task in tasks}
    failed = {task.source for task in tasks if task.name in failures}
    wholes = {PART.sub("", str(task.output)) for task in tasks if task.source not in failed}
    for record in (folder / RECORDS).rglob("*.json"):
        output = folder / record.relative_to(folder / RECORDS).with_suffix("")
        if output in planned or PART.sub("", str(output)) not in wholes:
            continue
        if output.exists() and not is_as_recorded(output, record):
            continue
        output.unlink(missing_ok=True)
        record.unlink(missing_ok=True)


def _is_own_output(operation: str, source: str, folder: Path) -> bool:
    """Whether a pattern found what the same operation wrote to the same folder earlier."""
    try:
        record = json.loads((folder / RECORDS / f"{os.path.relpath(source, folder)}.json").read_text(encoding="utf-8"))
        return record["identity"]["operation"] == operation
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _stem(path: Path) -> str:
    """A path without the suffix of its format."""
    for ending in (SUFFIX, ".csv.gz", ".tsv.gz", ".txt.gz"):
        if path.name.endswith(ending):
            return str(path)[: -len(ending)]
    return str(path.with_suffix(""))


def _files_under_roots(inputs: Paths) -> list[tuple[str, Path]]:
    """Every file once, with its path below the fixed part of the pattern that found it, or its bare name."""
    found: dict[str, Path] = {}
    for pattern in [inputs] if isinstance(inputs, str | Path) else list(inputs):
        is_pattern = glob.has_magic(str(pattern)) and not Path(pattern).exists()
        fixed = pattern_root(str(pattern)) if is_pattern else None
        for name in sample_files(pattern):
            if is_remote(name):
                found.setdefault(name, Path(name.split("?")[0].rsplit("/", 1)[-1]))
                continue
            relative = Path(name).relative_to(fixed) if fixed is not None else Path(Path(name).name)
            found.setdefault(os.path.abspath(name), relative)
    return list(found.items())


def _decide_units(sources: Iterable[str], settings: Mapping[str, Any]) -> Decided:
    """The units of the files of a campaign, as its first ones tell; those of files that cannot be opened wait."""

    def opened() -> Iterator[Source]:
        entries = 0
        for name in islice(sources, PROBED_FILES):
            with suppress(ValueError, OSError):
                source = open_source(name, **opening(settings))
                entries += source.total or 0
                yield source
            if entries >= PROBED_ENTRIES:
                return

    return decide_units(opened(), settings.get("beam_energy"))


def _parts(source: str, settings: Mapping[str, Any], part_bytes: int) -> list[tuple[int, int] | None]:
    """Ranges of entries of a large ROOT file; [None] for any other file."""
    if is_remote(source) or os.path.getsize(source) < 2 * part_bytes or not source.endswith(".root"):
        return [None]
    opened = open_source(source, **opening(settings))
    if opened.split is None or opened.note or not opened.total:
        return [None]  # a note holds checksums, which want the whole file
    number = min(math.ceil(os.path.getsize(source) / part_bytes), opened.total)
    bounds = [round(i * opened.total / number) for i in range(number + 1)]
    return [(bounds[i], bounds[i + 1]) for i in range(number)]


def campaign_text(campaign: Campaign) -> str:
    """The table at the end of a campaign: totals, largest errors, and the files that failed."""
    totals = campaign.totals
    lines = [f"files       {totals['files']} ({totals['failed']} failed, {totals['kept']} from an earlier run)"]
    lines += [f"jets        {totals['jets']:,} of {totals['events']:,} events"]
    lines += [f"bytes in    {totals['bytes_in']:,}"]
    if totals["bytes_out"]:
        per_jet = f", {totals['bytes_per_jet']:.3f} a jet" if totals["bytes_per_jet"] else ""
        lines += [f"bytes out   {totals['bytes_out']:,}{per_jet}"]
    if totals["ratio"] is not None:
        lines += [f"size        {size_text(totals['jets'], totals['bytes_out'])}"]
    if totals["errors_of_bound"] is not None:
        lines += [bounds_text(totals["jets"], totals["errors_of_bound"])]
    else:
        lines += errors_lines(totals["worst"])
    rate = f", {totals['jets_per_s']:,.0f} jets/s" if totals["jets_per_s"] else ""
    lines.append(f"time        {totals['seconds']:.1f} s, {totals['working_seconds']:.1f} of them at work{rate}")
    for name, error in campaign.failures.items():
        lines.append(f"failed: {error if error.startswith(name) else f'{name}: {error}'}")
    return "\n".join(lines)


def resolution_text(resolution: Mapping[str, Mapping[str, Any]]) -> str:
    """The errors of `Campaign.resolution` as lines of text."""
    columns = ("median", "half_width_68", "q99", "max")
    rows = [
        [name, *(f"{row[column]:.3g}" for column in columns), row["unit"]]
        for name, row in resolution.items()
        if "median" in row
    ]
    return Table("", ("", *columns, "unit"), rows).grid("plain")
