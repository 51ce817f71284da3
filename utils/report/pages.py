"""An executed notebook as one HTML page that needs no network."""

from pathlib import Path

from jinja2 import pass_context
from jinja2.runtime import Context
from latex2mathml.converter import convert as mathml_of
from nbconvert import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

from utils.files import recorded_path


class _MathRenderer(IPythonRenderer):
    """Formulas become MathML, which a browser shows without a script from the network."""

    def block_math(self, body: str) -> str:
        return self._mathml(body, "block") or super().block_math(body)

    def inline_math(self, body: str) -> str:
        return self._mathml(body, "inline") or super().inline_math(body)

    def _mathml(self, body: str, display: str) -> str | None:
        try:
            return mathml_of(body, display=display)
        except Exception:  # latex2mathml has no error class of its own; the formula is then shown as its source
            return None


OFFLINE_TEMPLATE = """{% extends 'lab/index.html.j2' %}
{% block html_head_js_requirejs %}{% endblock %}
{% block html_head_js_mathjax %}{% endblock %}
{% block html_head_js_mermaidjs %}{% endblock %}
"""


class _OfflineExporter(HTMLExporter):
    """HTML without the scripts that nbconvert's template takes from the network."""

    @pass_context
    def markdown2html(self, context: Context, source: str) -> str:
        """Markdown as HTML, attachments included."""
        attachments = context.get("cell", {}).get("attachments", {})
        renderer = _MathRenderer(escape=False, attachments=attachments, exclude_anchor_links=True)
        return MarkdownWithMath(renderer=renderer).render(source)


def write_page(notebook: Path, page: Path) -> None:
    """Write an executed notebook as one HTML file that needs no network."""
    html, _ = _OfflineExporter(raw_template=OFFLINE_TEMPLATE).from_filename(str(notebook))
    with recorded_path(page) as partial:
        partial.write_text(html, encoding="utf-8")
