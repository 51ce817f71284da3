"""What a result was made from: the code behind it, without its prose, and the commit that holds the code."""

import ast
import hashlib
import json
import subprocess
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from utils.files import REPOSITORY, Json

SOURCES = ("CompressionHEP", "datasets", "utils", "constraints.txt", "pyproject.toml")
"""What results depend on, in the repository; but not on the pages there (`*.md`), of which a run writes one itself."""


def digest_of(*parts: Json) -> str:
    """SHA-256 of JSON-safe descriptions, hexadecimal."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def code_digest(files: Iterable[str | Path]) -> str:
    """SHA-256 of what Python files of this repository do: comments, docstrings and layout left out."""
    return digest_of({Path(file).relative_to(REPOSITORY).as_posix(): _code(Path(file)) for file in files})


@lru_cache
def _code(file: Path) -> str:
    return code_of(file.read_text(encoding="utf-8"))


def code_of(source: str) -> str:
    """Python source without comments, docstrings and layout.

    >>> code_of('def f(x):\\n    "Twice."\\n    return (x  +  x)  # at once')
    'def f(x):\\n    return x + x'
    """
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            kept = [part for part in node.body if not _is_text(part)]
            node.body = kept or ([] if isinstance(node, ast.Module) else [ast.Pass()])
    return ast.unparse(tree)


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def package_files(*packages: str) -> list[Path]:
    """The Python files of packages of the project ("networks"), or single ones ("training/loop.py")."""
    root = REPOSITORY / "utils"
    found = [sorted((root / name).rglob("*.py")) if (root / name).is_dir() else [root / name] for name in packages]
    return [file for files in found for file in files]


def source_commit() -> str | None:
    """The commit of the code that runs, with "+" where `SOURCES` were changed since; None where git can't tell.

    Commits that hold nothing but results and pages are passed over: their results come from the commit before.
    """
    commit = _git("rev-parse", "HEAD")
    while commit is not None:
        changed = _git("diff-tree", "--no-commit-id", "--name-only", "-r", "-m", commit)
        if not changed or any(_is_source(name) for name in changed.splitlines()):
            break
        commit = _git("rev-parse", f"{commit}^")
    if commit is None:
        return None
    dirty = _git("status", "--porcelain", "--untracked-files=no", "--", *SOURCES, ":(exclude)*.md")
    return commit + ("+" if dirty else "")


def _is_source(name: str) -> bool:
    return name.split("/")[0] in SOURCES and not name.endswith(".md")


def _git(*question: str) -> str | None:
    try:
        asked = subprocess.run(["git", *question], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    except OSError:
        return None
    return asked.stdout.strip() if asked.returncode == 0 else None
