"""What the pages say of the code is true: imports that they show, files that they name, commands that they give."""

import ast
import importlib.util
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import awkward as ak
import click
import numpy as np
import pytest
import uproot

from tests.public_files import PUBLIC_FILES
from utils.cli import main
from utils.cli.main import commands
from utils.files import REPOSITORY
from utils.jets import embedded_columns, first_events, make_table, read_jets, write_jets
from utils.trees import write_sample_tree

PAGES = [REPOSITORY / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "utils/README.md")]
PAGES += [REPOSITORY / folder / "README.md" for folder in ("CompressionHEP", "datasets", "models", "plots")]


def blocks(page: Path, language: str) -> list[str]:
    found = re.findall(r"^```(\w*)\n(.*?)\n```$", page.read_text(), re.DOTALL | re.MULTILINE)
    return [block for name, block in found if name == language]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(REPOSITORY).as_posix())
def test_links_lead_to_files(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text())
    missing = [link for link in links if "://" not in link and not (page.parent / link.replace("%20", " ")).exists()]
    assert missing == []


def test_the_readme_is_a_screen_and_a_half() -> None:
    assert len((REPOSITORY / "README.md").read_text().split()) <= 900


@pytest.mark.parametrize("target", ["run", "test", "reference", "notebook", "lint"])
def test_the_targets_of_make_that_pages_name_exist(target: str) -> None:
    assert f"make {target} " in (REPOSITORY / "README.md").read_text()
    subprocess.run(["make", "--dry-run", target], cwd=REPOSITORY, check=True, capture_output=True)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(REPOSITORY).as_posix())
def test_names_of_python_examples_exist(page: Path) -> None:
    for block in blocks(page, "python"):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "utils":
                room = importlib.import_module(node.module)
                for alias in node.names:
                    face = getattr(room, alias.name, None) or importlib.import_module(f"{node.module}.{alias.name}")
                    used = re.findall(rf"\b{alias.asname or alias.name}\.(\w+)\(", block)
                    assert [name for name in used if not hasattr(face, name)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(REPOSITORY).as_posix())
def test_commands_and_their_options_exist(page: Path) -> None:
    text = "\n".join(blocks(page, ""))
    for line in re.findall(r"^(?:compressionhep|.*-m compressionhep) (.*)$", text, re.MULTILINE):
        words = line.split(" #")[0].split()
        command = commands.commands[words[0]]
        known = {name for option in command.params if isinstance(option, click.Option) for name in option.opts}
        assert {word for word in words[1:] if word.startswith("-")} - known == set(), line


def test_the_map_is_that_of_the_contract() -> None:
    contracts = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    page = REPOSITORY / "utils/README.md"
    lines = blocks(page, "")[0].splitlines()
    assert [line.split("   ")[0] for line in lines if not line.startswith(" ")] == contracts[0]["layers"]
    names = {name for layer in contracts[0]["layers"] for name in layer.split(" | ")}
    packages = {name for name in names if (REPOSITORY / "utils" / name).is_dir()}
    words = {5: "five", 12: "Twelve"}
    assert f"{words[len(packages)]} packages and {words[len(names - packages)]} modules." in page.read_text()


def test_the_map_of_where_to_add_names_files_that_hold_the_names() -> None:
    rows = re.findall(r"^\| (?!what \||---).*$", (REPOSITORY / "utils/README.md").read_text(), re.MULTILINE)
    for row in rows:
        files = [REPOSITORY / "utils" / name for name in re.findall(r"`([\w/]+\.(?:py|toml))`", row)]
        text = "\n".join(file.read_text() for file in files)
        assert [name for name in re.findall(r"`(_?[A-Z]+(?:_[A-Z]+)*|_open)`", row) if name not in text] == [], row


def test_public_files_that_tests_read_are_listed() -> None:
    page = (REPOSITORY / "CONTRIBUTING.md").read_text()
    assert [name for name in PUBLIC_FILES if f"`{name}`" not in page] == []


@pytest.fixture
def user_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what a clone has and the pages' examples name, and the user's own files that they read, small."""
    rng = np.random.default_rng(0)
    columns = rng.gamma(2, 4, 300), 20 + rng.exponential(60, 300), rng.uniform(-3, 3, 300), rng.uniform(-2.5, 2.5, 300)
    table = make_table(*columns, np.arange(300) // 3)
    for name in ("my_jets", "data/a", "data/b/c"):
        write_jets(table, tmp_path / f"{name}.root")
    write_sample_tree(tmp_path / "jets.root", first_events(embedded_columns(), 2000))
    lists = {name: ak.unflatten(table[name].to_numpy(), 3) for name in ("pt", "eta", "phi")}
    lists["mass"] = ak.unflatten(table["m"].to_numpy(), 3)
    with uproot.recreate(tmp_path / "nano.root") as file:
        file["Events"] = {"Jet": ak.zip(lists), "FatJet": ak.zip(lists)}
    for name in ("models", "datasets", "CompressionHEP"):
        (tmp_path / name).symlink_to(REPOSITORY / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


SMALL = {
    "simulate": ["--events", "30"],
    "train": ["--steps", "2"],
    "sweep": ["--steps", "2"],
    "run": ["-p", "steps", "2", "--output", "runs/own"],
}
"""What is added to an example so that it takes seconds; of an option that is given twice the last counts."""


def command_lines(name: str) -> list[str]:
    """The lines of the pages' blocks that call a program."""
    text = "\n".join(block for page in PAGES for block in blocks(page, ""))
    return re.findall(rf"^{name} .*$", text, re.MULTILINE)


def test_the_commands_of_the_pages_work_one_after_the_other(user_folder: Path, scheduler: str) -> None:
    ran, left = [], []
    for line in command_lines("compressionhep"):
        words = shlex.split(line, comments=True)[1:]
        if "--embedded" in words:  # minutes, in the folder of the repository
            left.append(words[0])
            continue
        if words[0] == "simulate" and importlib.util.find_spec("pythia8mc") is None:
            continue
        words = [scheduler if word.startswith("tcp://") else word for word in words + SMALL.get(words[0], [])]
        if words[0] == "sweep" or any(word.endswith("/") for word in words):
            words += ["--scheduler", scheduler]
        assert main(words) == 0, line
        ran.append(words[0])
    assert left == ["simulate"] * 2
    assert ran.count("compress") == 7
    assert {"info", "convert", "decompress", "slim", "audit", "train", "sweep", "run"} <= set(ran)
    assert len(read_jets("back/b/c.root")) == 300


def test_papermill_runs_as_the_page_says(user_folder: Path) -> None:
    (line,) = command_lines("papermill")
    small = [word for pair in (("steps", "2"), ("max_jets", "300"), ("output", "runs")) for word in ("-p", *pair)]
    subprocess.run([sys.executable, "-m", *shlex.split(line), *small], check=True, capture_output=True)
    assert (user_folder / "out.ipynb").is_file()


@pytest.mark.parametrize("page", ["README.md", "utils/README.md", "models/README.md"])
def test_the_python_examples_of_the_pages_work_as_printed(page: str, user_folder: Path) -> None:
    (example,) = blocks(REPOSITORY / page, "python")
    names: dict[str, Any] = {}
    exec(example, names)
    if page == "README.md":
        assert names["latents"].shape == (len(names["table"]), 3)
        assert names["back"].shape == (len(names["table"]), 4)
    if page == "utils/README.md":
        assert (user_folder / "jets.zarr.zip").is_file()
