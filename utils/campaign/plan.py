"""Which files a campaign works on, in which parts, and where their outputs go."""

import glob
import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

from utils.campaign.tasks import Task, opening
from utils.codec import SUFFIX, holds_trees
from utils.files import RECORDS, OutputError, file_key, read_record, record_of
from utils.jets import (
    Decided,
    Paths,
    Source,
    decide_units,
    is_remote,
    local_path,
    open_source,
    pattern_root,
    sample_files,
    tell_of_repeats,
)

PART_BYTES = 300_000_000
"""ROOT files larger than twice this are worked on in parts of about this size, each with an output of its own."""

PROBED_FILES, PROBED_ENTRIES = 20, 100_000
"""Files, and their entries (of text, bytes), after which the unit of all is decided, before the work."""

PART = re.compile(r"\.part-\d+-of-\d+")
"""What the names of the outputs of one large file differ in."""


def plan(
    operation: str,
    inputs: Paths,
    folder: Path | None,
    suffix: str | tuple[str, str],
    settings: Mapping[str, Any],
    part_bytes: int,
) -> tuple[list[Task], dict[str, str]]:
    """The tasks, and the errors of files that had to be opened first and cannot be."""
    tasks: list[Task] = []
    failures: dict[str, str] = {}
    files = _files_under_roots(inputs)
    unit = settings.get("unit")
    if unit is None and operation not in ("decompress", "slim"):
        unit = _decide_units((source for source, _ in files), settings)
    for source, relative in files:
        stem = _stem(relative)
        if folder is not None and _is_own_output(operation, source, folder, suffix):
            continue
        try:
            parts = [None] if operation == "slim" else _parts(source, settings, part_bytes)
            ending = suffix if isinstance(suffix, str) else suffix[holds_trees(source, bool(settings.get("recover")))]
        except (ValueError, OSError) as error:
            failures[source] = error_text(error)
            continue
        for index, entries in enumerate(parts):
            label = f".part-{index}-of-{len(parts)}" if len(parts) > 1 else ""
            output = record = None
            if folder is not None:
                output = folder / f"{stem}{label}{ending}"
                record = folder / RECORDS / f"{stem}{label}{ending}.json"
            share = 1.0 if entries is None else (entries[1] - entries[0]) / (parts[-1] or entries)[1]
            tasks.append(Task(source + label, source, entries, share, unit, output, record))
    _refuse_collisions(tasks)
    return tasks, failures


def _refuse_collisions(tasks: list[Task]) -> None:
    """Raise OutputError where an output is the file of any input, or of another output, links followed."""
    read = {key: task.source for task in tasks if (key := file_key(task.source)) is not None}
    owners: dict[str, Task] = {}
    for task in tasks:
        if task.output is None:
            continue
        owner = owners.setdefault(os.path.realpath(task.output), task)
        if owner is not task:
            raise OutputError(
                f"{owner.source} and {task.source} would both become {task.output}; give them in two runs with folders "
                "of their own"
            )
        key = file_key(task.output)
        if key in read:
            raise OutputError(f"{read[key]}: would be replaced by the output {task.output}; choose another folder")


def _is_own_output(operation: str, source: str, folder: Path, suffix: str | tuple[str, str]) -> bool:
    """Whether a pattern found what the same operation wrote to the same folder earlier; a damaged record leaves the
    suffix to tell."""
    record = record_of(os.path.realpath(source))
    if record is None or folder / RECORDS not in record.parents or not record.exists():
        return False
    known = read_record(record)
    return source.endswith(suffix) if known is None else known.get("identity", {}).get("operation") == operation


def _stem(path: Path) -> str:
    """A path without the suffix of its format."""
    for ending in (SUFFIX, ".csv.gz", ".tsv.gz", ".txt.gz"):
        if path.name.endswith(ending):
            return str(path)[: -len(ending)]
    return str(path.with_suffix(""))


def _files_under_roots(inputs: Paths) -> list[tuple[str, Path]]:
    """Every file once, with its path below the fixed part of the pattern that found it, or its bare name."""
    found: dict[object, tuple[str, Path]] = {}
    total = 0
    for pattern in map(local_path, map(str, [inputs] if isinstance(inputs, str | Path) else inputs)):
        is_pattern = glob.has_magic(pattern) and not Path(pattern).exists()
        fixed = pattern_root(pattern) if is_pattern else None
        for name in sample_files(pattern):
            total += 1
            if is_remote(name):
                found.setdefault(name, (name, Path(name.split("?")[0].rsplit("/", 1)[-1])))
                continue
            relative = Path(name).relative_to(fixed) if fixed is not None else Path(Path(name).name)
            found.setdefault(file_key(name) or name, (os.path.abspath(name), relative))
    tell_of_repeats(total - len(found), total)
    return list(found.values())


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


def error_text(error: BaseException) -> str:
    """An error in words: what the project raises speaks for itself, of others the kind belongs to it."""
    return str(error) if isinstance(error, ValueError | OSError) else f"{type(error).__name__}: {error}"
