"""Names, patterns, folders and addresses to the files of a sample, each once."""

import glob
import os
import re
import warnings
from collections.abc import Iterator
from pathlib import Path

import fsspec
from fsspec.implementations.local import LocalFileSystem

from utils.files import distinct_files, file_key
from utils.jets.formats.source import is_remote, reading
from utils.jets.table import JetError, JetWarning, Paths


def sample_files(path: Paths) -> list[str]:
    """The files of a sample: a file, several, what a glob pattern matches, sorted, or the Parquet files of a folder.

    Each comes once, whatever it is called: links, loops of links and files that are given twice do not multiply jets; a
    JetWarning says so of files that were given twice by name. JetError where there is none, and for what is no file,
    such as a pipe.
    """
    if isinstance(path, str | Path):
        return _files_of(local_path(str(path)))
    names = [file for part in path for file in sample_files(part)]
    if not names:
        raise JetError("no files given")
    files = distinct_files(names)
    tell_of_repeats(len(names) - len(files), len(names))
    return files


def tell_of_repeats(again: int, total: int) -> None:
    """A JetWarning where `again` of `total` files were given before."""
    if again:
        told = f"{again} of {total} files were given before, by the same or another name; each is read once"
        warnings.warn(told, JetWarning, stacklevel=1)


def local_path(name: str) -> str:
    """An address of this machine (file://...) as a path; any other name as it is, with the home folder for a tilde."""
    return (
        LocalFileSystem._strip_protocol(name) if name.startswith(("file://", "local://")) else os.path.expanduser(name)
    )


def _files_of(name: str) -> list[str]:
    if not name:
        raise JetError("the name of a file is empty")
    if is_remote(name):
        return _remote_files(name)
    if Path(name).is_dir():
        if parts := _parquet_parts(name):
            return parts
        raise JetError(f"{name}: a directory; give a file, several, or a pattern such as '{name.rstrip('/')}/*.root'")
    if Path(name).is_file():
        return [name]
    if Path(name).exists():
        raise JetError(f"{name}: a pipe, a device or the like; jets are read from files")
    if not glob.has_magic(name):
        raise JetError(f"{name}: no such file")
    fixed = pattern_root(name)
    found = _matching(str(fixed) if fixed.parts else "", Path(name).parts[len(fixed.parts) :])
    files = distinct_files(sorted(file for file in found if os.path.isfile(file)))
    if not files:
        raise JetError(f"{name}: no file matches this pattern")
    return sorted(files)


def _matching(folder: str, parts: tuple[str, ...]) -> Iterator[str]:
    """What matches the parts of a pattern below a folder; `**` comes by every folder once, links followed."""
    before = parts.index("**") if "**" in parts else len(parts)
    found = glob.glob(os.path.join(*parts[:before]), root_dir=folder or None) if before else [""]
    for path in (os.path.join(folder, name) if name else folder for name in found):
        if before == len(parts):
            yield path
            continue
        for below in _folders_below(path):
            yield from _matching(below, parts[before + 1 :] or ("*",))


def _folders_below(root: str) -> Iterator[str]:
    """A folder and all in it, but for hidden ones; each once, those that lie there before those that links lead to."""
    seen: set[object] = set()
    waiting, linked = [root], list[str]()
    while waiting or linked:
        folder = waiting.pop() if waiting else linked.pop(0)
        key = file_key(folder or ".")
        if key is None or key in seen:
            continue
        seen.add(key)
        yield folder
        try:
            names = sorted(os.listdir(folder or "."))
        except OSError:
            continue  # no folder, or one that may not be read
        for path in (os.path.join(folder, name) for name in names if not name.startswith(".")):
            if os.path.isdir(path):
                (linked if os.path.islink(path) else waiting).append(path)


def pattern_root(pattern: str) -> Path:
    """The fixed part of a glob pattern: its folders before the first that is a pattern and not the name of one there.

    >>> pattern_root("data/run*/jets[0-9].root").as_posix()
    'data'
    """
    parts = Path(pattern).parts
    fixed = 0
    while fixed < len(parts) and (not glob.has_magic(parts[fixed]) or Path(*parts[: fixed + 1]).is_dir()):
        fixed += 1
    return Path(*parts[:fixed])


def _parquet_parts(folder: str) -> list[str]:
    """The files of a sample that Dask or Spark wrote as a folder, in the order of their numbers; none of any other."""
    files = [path for path in Path(folder).iterdir() if path.is_file() and not path.name.startswith(("_", "."))]
    if not files or any(path.suffix not in (".parquet", ".pq") for path in files):
        return []
    return distinct_files(sorted(map(str, files), key=_natural))


def _natural(name: str) -> list[tuple[int, str]]:
    """A key that puts part.2 before part.10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)]


def _remote_files(name: str) -> list[str]:
    if not glob.has_magic(name):
        return [name]
    with reading(name, "an address"):
        files = [file.full_name for file in fsspec.open_files(name)]
    if not files:
        raise JetError(f"{name}: no file matches this pattern")
    return sorted(files)
