"""Files that appear whole or not at all: written in a folder of their own beside their place, and moved there.

Such a folder belongs to the process that holds the lock on a file in it. The kernel gives a lock back when its process
ends, however it ends; so a folder whose lock can be had is what a killed process left. Names of processes and machines
would not do: containers share them.
"""

import fcntl
import os
import shutil
import stat
import tempfile
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from utils.files.identity import same_file

PARTIAL = ".partial-"
"""How the names of folders with unfinished files begin."""

LOCK = f"{PARTIAL}lock"
"""The file in such a folder that is locked for as long as its process lives."""

_OURS: set[Path] = set()
"""The folders of this process."""


class OutputError(ValueError):
    """A file that may not be written where it was asked for, because something would be lost; the message says what."""


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
    if "://" in str(path):
        raise OutputError(f"{path}: an address; files are written to folders of this machine")
    refuse_special(path)
    for name in inputs:
        if same_file(path, name):
            raise OutputError(f"{path}: is an input ({name}), and would be replaced by the output; name another file")
    if not replace and os.path.exists(path):
        raise OutputError(f"{path}: there already; name another file, or replace it with --force")


def refuse_special(path: str | Path) -> None:
    """Raise OutputError where something is at `path` that is no file: a folder, a pipe, a device."""
    if os.path.exists(path) and not os.path.isfile(path):
        what = "a directory" if os.path.isdir(path) else "a pipe, a device or the like"
        raise OutputError(f"{path}: {what}, expected the name of a file to write")


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a path to write to; what is there becomes `path` if the block succeeds, and is removed if it fails.

    It has the name of `path`, in a folder beside it. A symbolic link stays, and what it leads to is written. A file
    that is replaced hands on its permissions.
    """
    refuse_special(path)
    path = Path(os.path.realpath(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with _own_folder(path.parent) as folder:
            partial = folder / path.name
            yield partial
            sync(partial)
            like = path if path.exists() else folder / LOCK
            partial.chmod(stat.S_IMODE(like.stat().st_mode))
            refuse_special(path)
            partial.replace(path)
    except OSError as error:
        if PARTIAL in str(error.filename or PARTIAL):  # a full disk's own error names no file
            error.filename = str(path)
        raise


def sync(path: Path) -> None:
    """Have the bytes of a file on the disk."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


@contextmanager
def _own_folder(parent: Path) -> Iterator[Path]:
    """A new folder of this process, locked; removed at the end."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=PARTIAL, dir=parent))
        with suppress(FileNotFoundError):  # who clears up may take it before it is locked
            handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
            if _lock(handle, folder) is not False:
                break
            os.close(handle)
    _OURS.add(folder)
    try:
        yield folder
    finally:
        _discard(folder)
        os.close(handle)
        _OURS.discard(folder)


def _discard(folder: Path) -> None:
    """Remove a folder of this process, the lock last: without one, a folder with something in it stays for good."""
    with suppress(OSError):
        for path in folder.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            elif path.name != LOCK:
                path.unlink(missing_ok=True)
        (folder / LOCK).unlink(missing_ok=True)
        folder.rmdir()


def _lock(handle: int, folder: Path) -> bool | None:
    """Lock the open lock file of a folder: whether it is ours now; None where the file system has no locks."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    try:
        return os.path.samestat(os.fstat(handle), os.stat(folder / LOCK))
    except FileNotFoundError:
        return False


def remove_partial() -> None:
    """Remove the unfinished files of this process, which is about to end."""
    for folder in list(_OURS):
        _discard(folder)


def clear_partial(folders: Iterable[str | Path]) -> int:
    """Remove what processes that are no more left unfinished in some folders; returns how many.

    Where a file system has no locks, nothing tells whether a process is at work: there all is left, with a warning.
    """
    found = [path for folder in {os.path.realpath(folder) for folder in folders} for path in _partial_in(folder)]
    freed = {path: _remove_if_free(path) for path in found}
    unknown = [path for path, free in freed.items() if free is None]
    if unknown:
        warnings.warn(
            f"{unknown[0].parent}: {len(unknown)} unfinished files ({PARTIAL}*) are left: this file system "
            "has no locks, which would tell whether they are being written; remove them when nothing runs",
            stacklevel=2,
        )
    return sum(map(bool, freed.values()))


def _partial_in(folder: str) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            found = [entry for entry in entries if entry.name.startswith(PARTIAL)]
            return [Path(entry.path) for entry in found if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []


def _remove_if_free(folder: Path) -> bool | None:
    """Remove a folder that no process owns, and say so; None where that cannot be told."""
    try:
        handle = os.open(folder / LOCK, os.O_RDWR | os.O_NOFOLLOW)
    except OSError:
        with suppress(OSError):  # killed before it was locked: there is nothing in it
            folder.rmdir()
        return False
    try:
        free = _lock(handle, folder)
        if free:
            _discard(folder)
        return free
    finally:
        os.close(handle)


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Be the only process in such a block with this lock file, which stays; where there are no locks, one of them."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        with suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
