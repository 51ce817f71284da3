"""Files are told apart by what they are and not by what they are called, and recognized by their bytes."""

import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path


class ChangedError(ValueError):
    """A file that was replaced, or written to, while it was read; the message names it."""


def file_key(path: str | Path) -> tuple[int, int] | None:
    """What a file is, by device and inode, links followed: the same for all of its names; None where there is none."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino


def same_file(one: str | Path, other: str | Path) -> bool:
    """Whether two paths lead to one file; never where one leads to none."""
    key = file_key(one)
    return key is not None and key == file_key(other)


def distinct_files(names: Iterable[str]) -> list[str]:
    """Every file once, in the order of `names`, under a name that leads there without links, or else the first.

    What is no file of this machine, such as an address, is told apart by its name.
    """
    found: dict[object, str] = {}
    for name in names:
        key = file_key(name) or name
        if key not in found or (_is_by_link(found[key]) and not _is_by_link(name)):
            found[key] = name
    return list(found.values())


def _is_by_link(name: str) -> bool:
    return os.path.realpath(name) != os.path.abspath(name)


@contextmanager
def unchanging(paths: Iterable[str | Path]) -> Iterator[None]:
    """Raise ChangedError where one of the files is another one, or has other bytes, at the end of the block.

    By device, inode, size, and times of the last change; what is no file of this machine is left alone.
    """
    before = {path: _state_of(path) for path in paths}
    failure = None
    try:
        yield
    except Exception as error:
        failure = error
    for path, state in before.items():
        if state != _state_of(path):
            raise ChangedError(f"{path}: it was written to, or replaced, while it was read; do this again") from failure
    if failure is not None:
        raise failure


def _state_of(path: str | Path) -> tuple[int, ...] | None:
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def source_sha256(path: str | Path) -> str:
    """`known_sha256` of a file that is only read; ChangedError where somebody writes to it meanwhile."""
    with unchanging([path]):
        return known_sha256(path)


def known_sha256(path: str | Path) -> str:
    """`sha256_of`, remembered for as long as size and times of the file stay as they are."""
    return _sha256_at(os.path.abspath(path), *(_state_of(path) or ()))


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
