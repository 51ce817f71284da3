"""The pins that `make` installs from fit what the project asks for."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from utils.files import REPOSITORY


def test_every_direct_dependency_has_a_pin_that_its_bound_allows() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    asked = [Requirement(text) for text in (*project["dependencies"], *(text for extra in extras for text in extra))]
    lines = [line for line in (REPOSITORY / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    pins = {canonicalize_name(name): version for name, version in (line.split("==") for line in lines)}
    unpinned = {r.name for r in asked if not r.specifier.contains(pins.get(canonicalize_name(r.name), "0"))}
    assert unpinned == set(), "constraints.txt is older than pyproject.toml: make constraints"


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["run"], "the notebooks (CompressionHEP)"),
        (["tables"], "the reference results (plots)"),
        (["train", "--output", "m.safetensors"], "the embedded sample (qcd_jets_train.parquet)"),
    ],
)
def test_a_package_without_its_clone_says_what_needs_one(arguments: list[str], what: str, tmp_path: Path) -> None:
    shutil.copytree(REPOSITORY / "utils", tmp_path / "site" / "utils", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(REPOSITORY / "compressionhep.py", tmp_path / "site")
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "site")}
    command = [sys.executable, "-m", "compressionhep", *arguments]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(f"compressionhep: error: {what} belongs to the repository")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["site"]
