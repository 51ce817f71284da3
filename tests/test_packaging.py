"""The pins that `make` installs from fit what the project asks for."""

import tomllib

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
