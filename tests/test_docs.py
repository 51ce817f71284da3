"""What the pages say of the code is true: imports that they show, files that they name, commands that they give."""

import ast
import importlib
import re
from pathlib import Path

import click
import pytest

from utils.cli.main import commands
from utils.files import REPOSITORY

PAGES = [REPOSITORY / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "utils/README.md")]
PAGES += [REPOSITORY / folder / "README.md" for folder in ("datasets", "models", "plots")]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)\n```", page.read_text(), re.DOTALL)


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
