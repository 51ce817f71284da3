"""Which results of the repository are as a run would make them now: each records a digest of what it depends on."""

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import nbformat

from utils.files import REPOSITORY, recorded_path, source_sha256, write_json
from utils.jets import EMBEDDED_FILES
from utils.limits import read_json
from utils.networks import load_checkpoint, save_checkpoint
from utils.provenance import code_digest, code_of, digest_of, source_commit
from utils.report.notebooks import Outcome

PACKAGE = REPOSITORY / "utils"


def result_digest(notebook: Path, parameters: Mapping[str, object]) -> str:
    """SHA-256 of a notebook's code, its parameters, the code that it uses and the embedded sample; no prose in it."""
    source = _code_cells(notebook)
    depends = {name: value for name, value in parameters.items() if name != "output"}
    samples = {path.name: source_sha256(path) for path in EMBEDDED_FILES}
    return digest_of({"notebook": code_of(source), "code": code_digest(used_files(source))}, depends, samples)


def _code_cells(notebook: Path) -> str:
    cells = nbformat.read(notebook, as_version=4).cells
    return "\n".join(cell.source for cell in cells if cell.cell_type == "code")


def used_files(source: str) -> list[Path]:
    """The files of the project that code imports, and those that they import in turn."""
    found: set[Path] = set()
    waiting = set(_imported(source))
    while waiting:
        file = waiting.pop()
        found.add(file)
        waiting |= set(_imports_of(file)) - found
    return sorted(found)


@lru_cache
def _imports_of(file: Path) -> tuple[Path, ...]:
    return tuple(_imported(file.read_text(encoding="utf-8")))


def _imported(source: str) -> Iterator[Path]:
    """The files that hold what `source` imports: by way of a package's face, those of the names that it uses."""
    tree = ast.parse(source)
    faces: dict[str, Path] = {}
    for node in ast.walk(tree):
        if not isinstance(node, ast.ImportFrom) or node.level or (node.module or "").split(".")[0] != "utils":
            continue
        parts = (node.module or "").split(".")[1:]
        for alias in node.names:
            path = PACKAGE.joinpath(*parts, alias.name)
            if path.is_dir():
                faces[alias.asname or alias.name] = path
            elif path.with_suffix(".py").is_file():
                yield path.with_suffix(".py")
            else:
                yield _home(PACKAGE.joinpath(*parts), alias.name)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in faces:
            yield _home(faces[node.value.id], node.attr)


def _home(place: Path, name: str) -> Path:
    """The file in which a name of a module, or of a package's face, is defined."""
    if not place.is_dir():
        return place.with_suffix(".py")
    if (place / f"{name}.py").is_file():
        return place / f"{name}.py"
    module = _face(place).get(name)
    return place / "__init__.py" if module is None else _home(place.joinpath(*module.split(".")), name)


@lru_cache
def _face(package: Path) -> dict[str, str]:
    """Name -> module of what a package's `__init__.pyi` hands on."""
    face = package / "__init__.pyi"
    stub = ast.parse(face.read_text(encoding="utf-8") if face.is_file() else "")
    return {
        alias.asname or alias.name: node.module or ""
        for node in stub.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def is_fresh(notebook: Path, parameters: Mapping[str, object], plots: Path) -> bool:
    """Whether a notebook's folder in `plots` is complete, and made from what `result_digest` says."""
    folder = plots / notebook.stem
    try:
        made = read_json(folder / "metrics.json", dict)["made"]
        complete = all((folder / name).is_file() for name in made["files"])
        return complete and made["digest"] == result_digest(notebook, parameters)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def record_made(outcomes: Iterable[Outcome], notebooks: Mapping[Path, Mapping[str, object]], plots: Path) -> None:
    """Write into the metrics of notebooks that ran to their end what they depended on, which files they made, and how
    many seconds that took."""
    digests = {path.stem: result_digest(path, parameters) for path, parameters in notebooks.items()}
    for outcome in outcomes:
        path = plots / outcome.name / "metrics.json"
        if outcome.error is None and path.is_file():
            content = read_json(path, dict)
            files = sorted(file.name for file in outcome.files)
            made = {"digest": digests[outcome.name], "files": files, "seconds": round(outcome.seconds)}
            write_json(path, content | {"made": made}, recorded=True)


def record_commit(plots: Path, models: Path) -> None:
    """Write the commit of the code into all results, also into those that were up to date: after a run of all."""
    commit = source_commit()
    for path in sorted(plots.glob("*/metrics.json")):
        content = read_json(path, dict)
        if content.get("commit") != commit:
            write_json(path, content | {"commit": commit}, recorded=True)
    for path in sorted(models.glob("*.safetensors")):
        checkpoint = load_checkpoint(path)
        if checkpoint.metadata.get("commit") != commit:
            with recorded_path(path) as partial:
                save_checkpoint(partial, replace(checkpoint, metadata=checkpoint.metadata | {"commit": commit}))
