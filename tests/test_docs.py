"""What the pages say of the code is true: imports that they show, files that they name, commands that they give."""

import ast
import importlib
import re
import shlex
import tomllib
from pathlib import Path

import awkward as ak
import click
import numpy as np
import pytest
import uproot

from tests.column_jets import smallest_model
from tests.jet_network_helpers import random_networks
from tests.public_files import PUBLIC_FILES
from utils.cli import main
from utils.cli.main import commands
from utils.codec import save_networks
from utils.files import REPOSITORY
from utils.jets import make_table, read_jets, write_jets

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
    """A folder that holds nothing but the files that README's examples read, small ones."""
    rng = np.random.default_rng(0)
    columns = rng.gamma(2, 4, 300), 20 + rng.exponential(60, 300), rng.uniform(-3, 3, 300), rng.uniform(-2.5, 2.5, 300)
    table = make_table(*columns, np.arange(300) // 3)
    write_jets(table, tmp_path / "jets.root")
    for name in ("a", "b/c"):
        write_jets(table, tmp_path / "data" / f"{name}.root")
    lists = {name: ak.unflatten(table[name].to_numpy(), 3) for name in ("pt", "eta", "phi")}
    lists["mass"] = ak.unflatten(table["m"].to_numpy(), 3)
    with uproot.recreate(tmp_path / "nano.root") as file:
        file["Events"] = {"Jet": ak.zip(lists), "FatJet": ak.zip(lists)}
    save_networks(tmp_path / "model.safetensors", random_networks(0), {})
    save_networks(tmp_path / "columns.safetensors", smallest_model(), {})
    (tmp_path / "models").symlink_to(REPOSITORY / "models")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_examples_of_the_pages_work_one_after_the_other_in_an_empty_folder(
    user_folder: Path, scheduler: str
) -> None:
    ran = []
    shown = [block for page in ("README.md", "utils/README.md") for block in blocks(REPOSITORY / page, "")]
    for line in re.findall(r"^compressionhep (.*)$", "\n".join(shown), re.MULTILINE):
        words = shlex.split(line, comments=True)
        if words[0] not in ("info", "convert", "compress", "decompress", "slim", "audit") or "--scheduler" in words:
            continue
        if any(word.endswith("/") for word in words):
            words += ["--scheduler", scheduler]
        assert main(words) == 0, line
        ran.append(words[0])
    assert ran.count("compress") == 6
    assert {"info", "convert", "decompress", "slim", "audit"} <= set(ran)
    assert len(read_jets("back/b/c.root")) == 300
    assert main(["simulate", "--help"]) == 0


def test_the_python_example_of_the_readme_works(user_folder: Path) -> None:
    (example,) = blocks(REPOSITORY / "README.md", "python")
    names: dict = {}
    exec(example, names)
    assert names["latents"].shape == (300, 3)
    assert names["back"].shape == (300, 4)
