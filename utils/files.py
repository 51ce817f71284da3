"""Writing files that appear whole or not at all and destroy nothing, and identifying them."""

import hashlib
import json
import os
import re
import socket
import stat
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import psutil

REPOSITORY = Path(__file__).resolve().parent.parent

Json = dict[str, Any]
"""An object of JSON: what stands beside weights, in containers and in metrics.json."""

PARTIAL = ".partial-"
"""How names of unfinished files begin; the machine and the process that write them follow."""


RECORDS = ".compressionhep"
"""The folder, inside one that the project manages, with a record of every file that was written there."""


class OutputError(ValueError):
    """A file that may not be written where it was asked for, because something would be lost; the message says what."""


class CloneError(ValueError):
    """Something that a clone of the repository holds, and the installed package does not."""


def require_clone(path: Path, what: str) -> None:
    """Raise CloneError where a file or folder of the repository is not there, since the package alone is installed."""
    if not path.exists() and not (REPOSITORY / "CompressionHEP").is_dir():
        raise CloneError(
            f"{what} ({path.name}) belongs to the repository, and only the package is installed here; run this in a "
            "clone, with `pip install -e .`"
        )


def same_file(one: str | Path, other: str | Path) -> bool:
    """Whether two paths lead to one file, by device and inode, links followed; never where one leads to none."""
    try:
        return os.path.samefile(one, other)
    except OSError:
        return False


def refuse_output(
    path: str | Path,
    inputs: Iterable[str | Path] = (),
    suffixes: str | Iterable[str] = (),
    replace: bool = True,
) -> None:
    """Raise OutputError where a file may not be written to `path`.

    It may not where its name ends in none of `suffixes` (where there are any), where one of the `inputs` is the same
    file, where something else than a file is there, and where a file is there that is not to be replaced.
    """
    endings = (suffixes,) if isinstance(suffixes, str) else tuple(suffixes)
    if endings and not str(path).lower().endswith(endings):
        raise OutputError(f"{path}: expected the name of a file to write, ending in {' or '.join(endings)}")
    _refuse_no_file(path)
    for name in inputs:
        if same_file(path, name):
            raise OutputError(f"{path}: is an input ({name}), and would be replaced by the output; name another file")
    if not replace and os.path.exists(path):
        raise OutputError(f"{path}: there already; name another file, or replace it with --force")


def _refuse_no_file(path: str | Path) -> None:
    if os.path.exists(path) and not os.path.isfile(path):
        what = "a directory" if os.path.isdir(path) else "a pipe, a device or the like"
        raise OutputError(f"{path}: {what}, expected the name of a file to write")


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a path beside `path` to write to; it is renamed to `path` if the block succeeds, removed if it fails.

    The name keeps the suffixes of `path`, so that writers that choose a format by suffix work. A symbolic link stays,
    and what it leads to is written. A file that is replaced hands on its permissions.
    """
    _refuse_no_file(path)
    path = Path(os.path.realpath(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    prefix = f"{PARTIAL}{socket.gethostname()}@{os.getpid()}@"
    handle, name = tempfile.mkstemp(prefix=prefix, suffix="".join(path.suffixes[-2:]), dir=path.parent)
    os.close(handle)
    partial = Path(name)
    try:
        yield partial
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        partial.chmod(_permissions(path))
        partial.replace(path)
    except OSError as error:
        error.filename = error.filename or str(path)  # a full disk's own error names no file
        raise
    finally:
        partial.unlink(missing_ok=True)


def _permissions(path: Path) -> int:
    """Those of the file that is there, else those of any new file."""
    if path.exists():
        return stat.S_IMODE(path.stat().st_mode)
    umask = os.umask(0)
    os.umask(umask)
    return 0o666 & ~umask


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
    refuse_unrecorded(path, record)
    before = sha256_of(path) if record is not None and os.path.exists(path) else None
    with atomic_path(path) as partial:
        yield partial
        if record is not None:
            digests = {"output_sha256": sha256_of(partial), "replaced_sha256": before}
            write_json(record, (about or {}) | digests)


def record_of(path: str | Path) -> Path | None:
    """The record of a file, in the nearest managed folder above it; None where there is none."""
    path = Path(os.path.abspath(path))
    for folder in path.parents:
        if (folder / RECORDS).is_dir():
            return folder / RECORDS / f"{path.relative_to(folder)}.json"
    return None


def refuse_unrecorded(path: str | Path, record: Path | None = None) -> None:
    """Raise OutputError where a file in a managed folder is there, and is not as the project wrote it.

    That is: its record has not the digest that it has, nor is it one of this repository as git has it.
    """
    record = record or record_of(path)
    if record is None or not os.path.lexists(path):
        return
    _refuse_no_file(path)
    if not is_as_recorded(path, record) and not _is_as_committed(path, record):
        raise OutputError(
            f"{path}: there already, and not as this project wrote it; it is kept (results of earlier versions have no "
            "record): move it away, or choose another folder for the output"
        )


def is_as_recorded(path: str | Path, record: Path) -> bool:
    """Whether a file has the digest that its record names, of what was written or of what was about to be replaced."""
    try:
        known = json.loads(record.read_text(encoding="utf-8"))
        return sha256_of(path) in (known["output_sha256"], known.get("replaced_sha256"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
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
    """Remove unfinished files of processes of this machine that are no more, in all of a folder; returns how many."""
    mine = f"{PARTIAL}{socket.gethostname()}@"
    removed = 0
    for path in Path(folder).rglob(f"{PARTIAL}*"):
        process = path.name.removeprefix(mine).split("@")[0] if path.name.startswith(mine) else ""
        if process.isdecimal() and not psutil.pid_exists(int(process)):
            path.unlink(missing_ok=True)
            removed += 1
    return removed


def write_json(path: str | Path, content: object, *, recorded: bool = False) -> None:
    """Write `content` as indented JSON, with `recorded` by `recorded_path`.

    NaN and infinity are refused (ValueError), since JSON has neither.
    """
    text = json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False)
    with recorded_path(path) if recorded else atomic_path(path) as partial:
        partial.write_text(text + "\n", encoding="utf-8")


def source_sha256(path: str | Path) -> str:
    """`sha256_of` a file that is only read here, remembered for as long as its size and times stay as they are."""
    stat = os.stat(path)
    return _sha256_at(os.path.abspath(path), stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)


@lru_cache(maxsize=64)
def _sha256_at(path: str, *state: int) -> str:
    return sha256_of(path)


def sha256_of(path: str | Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def describe_content(path: str | Path) -> str | None:
    """`describe_head` of a file."""
    with Path(path).open("rb") as file:
        return describe_head(file.read(1024))


def describe_head(head: bytes) -> str | None:
    """What a file that was meant to be data really is, by its first bytes: an empty file, an HTML page, a Git LFS
    pointer, a model; None where it is none of these."""
    if re.match(rb".{7}\0\{\"", head, re.DOTALL):
        return "a checkpoint or other safetensors"
    head = head.lstrip()
    if not head:
        return "an empty file"
    if head[:1] == b"<":
        return "an HTML or XML page (what a failed download leaves)"
    if head.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer (run `git lfs pull` where it came from)"
    if re.match(rb"\x08[\x01-\x1f][\x12\x1a\x22\x3a\x42]", head):
        return "an ONNX model (what it was exported from, a checkpoint, is read)"
    return None
