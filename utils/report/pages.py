"""An executed notebook as one HTML page that needs no network and fits a narrow screen."""

import html
import os
import re
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote, urlsplit

import nbformat
from jinja2 import Environment, PackageLoader, pass_context
from jinja2.runtime import Context
from latex2mathml.converter import convert as mathml_of
from nbconvert import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbconvert.preprocessors import CoalesceStreamsPreprocessor

from utils.files import recorded_path

TEMPLATES = Environment(loader=PackageLoader("utils.report"), autoescape=True)


class _PageRenderer(IPythonRenderer):
    """Formulas become MathML, which a browser shows without a script from the network; a link to a file of the
    repository becomes its text, since a page stands by itself."""

    def link(self, text: str, url: str, title: str | None = None) -> str:
        own = urlsplit(url).scheme or url.startswith("#")
        return super().link(text, url, title) if own else text

    def block_math(self, body: str) -> str:
        return self._mathml(body, "block") or super().block_math(body)

    def inline_math(self, body: str) -> str:
        return self._mathml(body, "inline") or super().inline_math(body)

    def _mathml(self, body: str, display: str) -> str | None:
        try:
            return mathml_of(body, display=display)
        except Exception:  # latex2mathml has no error class of its own; the formula is then shown as its source
            return None


class _OfflineExporter(HTMLExporter):
    """HTML without the scripts that nbconvert's template takes from the network."""

    @pass_context
    def markdown2html(self, context: Context, source: str) -> str:
        """Markdown as HTML, attachments included."""
        attachments = context.get("cell", {}).get("attachments", {})
        renderer = _PageRenderer(escape=False, attachments=attachments, exclude_anchor_links=True)
        return MarkdownWithMath(renderer=renderer).render(source)


def notebook_title(notebook: Path) -> str:
    """The first heading of a notebook, its file's name where it has none."""
    for cell in _markdown_cells(notebook):
        found = re.search(r"^# +(.+)$", cell, re.MULTILINE)
        if found:
            return found.group(1).strip()
    return notebook.stem


def notebook_question(notebook: Path) -> str | None:
    """What a notebook asks: what follows **Question:** in its first cells, as far as the first "?"; None without."""
    for cell in _markdown_cells(notebook)[:3]:
        found = re.search(r"\*\*Question:\*\*\s*(.+?)(?:\n\s*\n|\Z)", cell, re.DOTALL)
        if found:
            question = " ".join(found.group(1).split()).replace("`", "")
            asked, mark, _ = question.partition("?")
            return asked[0].upper() + asked[1:] + mark
    return None


def _markdown_cells(notebook: Path) -> list[str]:
    cells = nbformat.read(notebook, as_version=4).cells
    return [cell.source for cell in cells if cell.cell_type == "markdown"]


def write_page(notebook: Path, page: Path) -> None:
    """Write an executed notebook as one HTML file that needs no network; `link_pages` fills its navigation."""
    node = nbformat.read(notebook, as_version=4)
    node.metadata["title"] = notebook_title(notebook)
    node, _ = CoalesceStreamsPreprocessor().preprocess(node, {})  # of a line of progress, its last state
    template = (Path(__file__).parent / "templates" / "page.html.j2").read_text(encoding="utf-8")
    text, _ = _OfflineExporter(raw_template=template).from_notebook_node(node)
    _write(page, text)


NAVIGATION = re.compile(r"<!-- navigation -->.*?<!-- end of navigation -->", re.DOTALL)


def link_pages(pages: Sequence[tuple[str, Path]], index: Path) -> None:
    """Fill the navigation of pages, (title, path) in their order: the one before, the index, the one after."""
    for number, (_, page) in enumerate(pages):
        before = pages[number - 1] if number else None
        after = pages[number + 1] if number + 1 < len(pages) else None
        around = [("\u2190 ", before, ""), ("", ("Contents", index), ""), ("", after, " \u2192")]
        links = [
            f'<a href="{quote(Path(os.path.relpath(target[1], page.parent)).as_posix())}">'
            f"{left}{html.escape(target[0])}{right}</a>"
            for left, target, right in around
            if target is not None
        ]
        bar = f"<!-- navigation --><nav>{' '.join(links)}</nav><!-- end of navigation -->"
        old = page.read_text(encoding="utf-8")
        new = bar.join(NAVIGATION.split(old))
        if new != old:
            _write(page, new)


def _write(page: Path, text: str) -> None:
    with recorded_path(page) as partial:
        partial.write_text(text, encoding="utf-8")
