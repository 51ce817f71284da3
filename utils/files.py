"""Writing files that appear whole or not at all, and identifying them."""

import hashlib
import json
import os
import socket
import tempfile
from collections.abc import Iterator
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


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a path beside `path` to write to; it is renamed to `path` if the block succeeds, removed if it fails.

    The name keeps the suffixes of `path`, so that writers that choose a format by suffix work.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    prefix = f"{PARTIAL}{socket.gethostname()}@{os.getpid()}@"
    handle, name = tempfile.mkstemp(prefix=prefix, suffix="".join(path.suffixes[-2:]), dir=path.parent)
    os.close(handle)
    partial = Path(name)
    try:
        yield partial
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        partial.chmod(0o666 & ~umask)
        partial.replace(path)
    except OSError as error:
        error.filename = error.filename or str(path)  # a full disk's own error names no file
        raise
    finally:
        partial.unlink(missing_ok=True)


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


def write_json(path: str | Path, content: object) -> None:
    """Write `content` as indented JSON; NaN and infinity are refused (ValueError), since JSON has neither."""
    text = json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False)
    with atomic_path(path) as partial:
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
    pointer; None where it is none of these."""
    head = head.lstrip()
    if not head:
        return "an empty file"
    if head[:1] == b"<":
        return "an HTML or XML page (what a failed download leaves)"
    if head.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer (run `git lfs pull` where it came from)"
    return None
