"""Folders that the project manages: of every file that was written there is a record, and no other is replaced."""

import hashlib
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any

from utils.files.identity import known_sha256, sha256_of
from utils.files.partial import OutputError, atomic_path, clear_partial, exclusive, refuse_special, sync
from utils.files.repository import REPOSITORY

Json = dict[str, Any]
"""An object of JSON: what stands beside weights, in containers and in metrics.json."""

RECORDS = ".compressionhep"
"""The folder, inside one that the project manages, with a record of every file that was written there."""

_SEAL = "record_sha256"
"""What a record says of all else that it holds."""


def manage_folder(folder: str | Path) -> Path:
    """Make a folder, if needed, into one in which `recorded_path` keeps records; returns it."""
    (Path(folder) / RECORDS).mkdir(parents=True, exist_ok=True)
    return Path(folder)


@contextmanager
def recorded_path(path: str | Path, about: Json | None = None, record: Path | None = None) -> Iterator[Path]:
    """`atomic_path` in a folder that the project manages, which loses nothing that the project did not write there.

    A file that is there is replaced only if it is as the project wrote it (see `refuse_unrecorded`). What is written is
    put on record, with what `about` holds when the block ends, before it gets its name; so whatever a process that is
    killed leaves is on record. The record is `record_of` by default; where there is none it is `atomic_path`.
    """
    record = record or record_of(path)
    if record is None:
        with atomic_path(path) as partial:
            yield partial
        return
    record.parent.mkdir(parents=True, exist_ok=True)
    refuse_unrecorded(path, record)
    with ExitStack() as stack, atomic_path(path) as partial:
        yield partial
        sync(partial)
        digest = sha256_of(partial)
        stack.enter_context(_changing(record))
        before = known_sha256(path) if os.path.exists(path) else None
        if before != digest:
            _refuse_unrecorded(path, record, sure=True)
        _write_record(record, (about or {}) | {"output_sha256": digest, "replaced_sha256": before})


def _changing(record: Path) -> AbstractContextManager[None]:
    """The only process that changes records of a folder, and the files that they are of."""
    folder = next(folder for folder in record.parents if folder.name == RECORDS)
    return exclusive(folder / f"{RECORDS}.lock")


def _write_record(record: Path, content: Json) -> None:
    content = json.loads(_json_text(content))
    with atomic_path(record) as partial:
        partial.write_text(_json_text(content | {_SEAL: _seal(content)}), encoding="utf-8")


def _seal(content: Json) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def read_record(record: Path) -> Json | None:
    """What a record holds; None where there is none, or anything in it is not as it was written."""
    content = _read_object(record)
    seal = content.pop(_SEAL, None)
    return content if content and seal == _seal(content) else None


def _read_object(path: Path) -> Json:
    """The object of a file of JSON, an empty one where it holds none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def record_of(path: str | Path) -> Path | None:
    """The record of a file, in the nearest managed folder above it; None where there is none."""
    path = Path(os.path.abspath(path))
    for folder in path.parents:
        if (folder / RECORDS).is_dir():
            return folder / RECORDS / f"{path.relative_to(folder)}.json"
    return None


def refuse_unrecorded(path: str | Path, record: Path | None = None) -> None:
    """Raise OutputError where a file in a managed folder is there, and is not as the project wrote it.

    That is: its record has not the digest that it has, nor is it one of this repository as git has it. A record that is
    damaged says nothing of its file: it is done again then, and at the end replaced by the same bytes alone. While it
    looks nobody writes: between record and name a file would be taken for somebody else's.
    """
    record = record or record_of(path)
    if record is not None and os.path.lexists(path):
        with _changing(record):
            _refuse_unrecorded(path, record, sure=False)


def _refuse_unrecorded(path: str | Path, record: Path, sure: bool) -> None:
    """`refuse_unrecorded` of who is `_changing` the record; `sure` at the end, when a damaged one says nothing."""
    if not os.path.lexists(path):
        return
    refuse_special(path)
    if is_as_recorded(path, record) or _is_as_committed(path, record):
        return
    if not sure and os.path.lexists(record) and read_record(record) is None:
        return
    raise OutputError(
        f"{path}: there already, and not as this project wrote it; it is kept (results of earlier versions have no "
        "record): move it away, or choose another folder for the output"
    )


def is_recorded(path: str | Path) -> bool:
    """Whether a file is what its record says that was written last, and nothing in the record is damaged."""
    record = record_of(path)
    known = read_record(record) if record is not None and os.path.isfile(path) else None
    return known is not None and known.get("output_sha256") == sha256_of(path)


def is_as_recorded(path: str | Path, record: Path) -> bool:
    """Whether a file has the digest that its record names, of what was written or of what was about to be replaced."""
    known = _read_object(record)
    try:
        return known_sha256(path) in (known.get("output_sha256"), known.get("replaced_sha256"))
    except OSError:
        return False


def _is_as_committed(path: str | Path, record: Path) -> bool:
    """Whether a reference result of this repository is what git has under its name, so that it can be had again."""
    if not record.is_relative_to(REPOSITORY / RECORDS):
        return False
    for question in (("ls-files", "--error-unmatch"), ("diff", "--quiet", "HEAD")):
        try:
            asked = subprocess.run(["git", *question, "--", path], cwd=REPOSITORY, capture_output=True, check=False)
        except OSError:
            return False
        if asked.returncode:
            return False
    return True


def remove_leftovers(folder: str | Path) -> int:
    """`clear_partial` in a folder and, where it is managed, in all folders that files were written to in it."""
    folder = Path(folder)
    folders = {folder}
    for here, _, _ in os.walk(folder / RECORDS):
        folders |= {Path(here), folder / Path(here).relative_to(folder / RECORDS)}
    return clear_partial(folders)


def _json_text(content: object) -> str:
    return json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def write_json(path: str | Path, content: object, *, recorded: bool = False) -> None:
    """Write `content` as indented JSON, with `recorded` by `recorded_path`.

    NaN and infinity are refused (ValueError), since JSON has neither.
    """
    text = _json_text(content)
    with recorded_path(path) if recorded else atomic_path(path) as partial:
        partial.write_text(text, encoding="utf-8")
