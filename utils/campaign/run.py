"""One operation on many files, a Dask task for each: compress, decompress, convert, evaluate.

Every output gets a record in OUTDIR/.compressionhep: the checksums of what it was made from and of what was written,
the settings, and the report. An output counts as done when its record fits and its bytes are those that were written;
so a second run does only what is missing, and a run that was killed is taken up again.
"""

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from utils.campaign.plan import PART, PART_BYTES, error_text, plan
from utils.campaign.result import Campaign
from utils.campaign.tasks import Task, work
from utils.cluster import connect, run_tasks
from utils.files import (
    RECORDS,
    clear_partial,
    file_key,
    is_as_recorded,
    manage_folder,
    read_record,
    remove_leftovers,
)
from utils.jets import Paths


def run_campaign(
    operation: str,
    inputs: Paths,
    folder: str | Path | None,
    settings: Mapping[str, Any],
    *,
    suffix: str | tuple[str, str] = "",
    workers: int | None = None,
    scheduler: str | None = None,
    dashboard: bool = False,
    progress: bool = True,
    part_bytes: int = PART_BYTES,
) -> Campaign:
    """Apply an operation, a key of `tasks.OPERATIONS`, to every file of `inputs` (files and glob patterns).

    Outputs go to `folder`, in the folders that stand behind the fixed part of a pattern, under the name of the input
    with `suffix` instead of its own (of containers a pair, for jets and for whole trees); ROOT files above twice
    `part_bytes` give several, name.part-0-of-4 and so on, which "slim" takes whole.
    `settings` are the arguments of the operation. `workers`, `scheduler` and `dashboard` as in `cluster.connect`; files
    and folder must be where the workers see them. A file that fails is among the `failures`, and the others go on.
    Raises JetError where no file matches or files are in different units, and OutputError where two would have the
    same output.
    """
    start = time.perf_counter()
    if folder is not None:
        folder = manage_folder(Path(folder).resolve())
    tasks, failures = plan(operation, inputs, folder, suffix, settings, part_bytes)
    if folder is not None:
        _clear(folder, tasks)
    arguments = {task.name: (operation, task, dict(settings)) for task in tasks}
    rows = {}
    with connect(workers, scheduler, dashboard) as client:
        connected = time.perf_counter()
        for name, result in run_tasks(client, work, arguments, "file", progress):
            if isinstance(result, BaseException):
                failures[name] = error_text(result)
            else:
                rows[name] = result
    if folder is not None:
        _clear(folder, tasks)  # of workers that died
        _remove_outdated(tasks, failures, folder)
    ordered = [rows[task.name] for task in tasks if task.name in rows]
    end = time.perf_counter()
    return Campaign(operation, ordered, failures, end - start, end - connected)


def _clear(folder: Path, tasks: list[Task]) -> None:
    """Remove what killed processes left in the folder, and where its links lead to."""
    remove_leftovers(folder)
    clear_partial({os.path.dirname(os.path.realpath(task.output)) for task in tasks if task.output is not None})


def _remove_outdated(tasks: list[Task], failures: Mapping[str, str], folder: Path) -> None:
    """Remove the outputs of an earlier run that divided a file otherwise, once the new ones are whole."""
    planned = {task.output for task in tasks}
    failed = {task.source for task in tasks if task.name in failures}
    wholes = {
        PART.sub("", str(task.output)): file_key(task.source) or task.source
        for task in tasks
        if task.source not in failed
    }
    files = (Path(here, name) for here, _, names in os.walk(folder / RECORDS) for name in names)
    for record in [path for path in files if path.suffix == ".json"]:
        output = folder / record.relative_to(folder / RECORDS).with_suffix("")
        source = wholes.get(PART.sub("", str(output)))
        if output in planned or source is None or (output.exists() and not is_as_recorded(output, record)):
            continue
        made_from = str(((read_record(record) or {}).get("report") or {}).get("source"))
        if source in (file_key(made_from), made_from):
            output.unlink(missing_ok=True)
            record.unlink(missing_ok=True)
