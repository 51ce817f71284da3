"""The pages of the repository whose numbers come from results: each is what its template makes of the metrics.

A template is the page in Jinja, in `templates/pages/`. Numbers are written as `{{ m("2d").pca.mse | sci(2) }}`: a value
of the metrics.json of the notebook whose name begins so, through a filter that rounds it.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateError

from utils.files import REPOSITORY, Json, atomic_path
from utils.report.gallery import (
    answer_of,
    best_mse,
    gallery_entries,
    number_of_seeds,
    seeds_in_words,
    small_table,
)
from utils.report.results import Metrics, tables_text

TEMPLATES = Path(__file__).parent / "templates" / "pages"

PAGES = {
    "README.md": "README.md.j2",
    "CompressionHEP/README.md": "CompressionHEP.md.j2",
    "plots/README.md": "plots.md.j2",
}
"""The pages, and the template of each."""


def render_page(page: str, metrics: Metrics, templates: Path = TEMPLATES) -> str:
    """The text of a page of `PAGES`. ValueError names template and line where a number that it asks for is missing."""
    environment = Environment(
        loader=FileSystemLoader(templates),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,
    )
    environment.filters |= FILTERS
    environment.globals |= {name: partial(function, metrics) for name, function in FUNCTIONS.items()}
    name = PAGES[page]
    try:
        return environment.get_template(name).render()
    except (TemplateError, LookupError, TypeError, ValueError) as error:
        raise ValueError(f"{name}, line {_line_of(error, name)}: {error}") from error


def _line_of(error: BaseException, name: str) -> int | str:
    """The line of a template at which rendering or parsing it failed."""
    if (line := getattr(error, "lineno", None)) is not None:
        return line
    found: int | str = "?"
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename.endswith(name):
            found = trace.tb_lineno
        trace = trace.tb_next
    return found


def write_pages(metrics: Metrics, folder: Path = REPOSITORY, templates: Path = TEMPLATES) -> list[Path]:
    """Fill every page; returns them. All are made before the first is written."""
    texts = {page: render_page(page, metrics, templates) for page in PAGES}
    for page, text in texts.items():
        with atomic_path(folder / page) as partial_path:
            partial_path.write_text(text, encoding="utf-8")
    return [folder / page for page in texts]


def notebook_metrics(metrics: Metrics, beginning: str) -> Json:
    """The metrics of the notebook whose name begins so."""
    found = [name for name in metrics if name.startswith(beginning)]
    if len(found) != 1:
        raise ValueError(f"{beginning!r} is the beginning of {len(found)} notebooks with results; expected one")
    return metrics[found[0]]


def sci(value: float, digits: int = 2) -> str:
    """So many significant digits and a power of ten.

    >>> sci(0.000208)
    '2.1e-4'
    """
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    return f"{mantissa}e{int(exponent)}"


FILTERS: dict[str, Callable[..., Any]] = {
    "fixed": lambda value, digits=2: f"{value:,.{digits}f}",
    "sci": sci,
}

FUNCTIONS: dict[str, Callable[..., Any]] = {
    "answer_of": answer_of,
    "best_mse": best_mse,
    "gallery_entries": gallery_entries,
    "m": notebook_metrics,
    "number_of_seeds": number_of_seeds,
    "seeds_in_words": seeds_in_words,
    "small_table": small_table,
    "tables": tables_text,
}
"""What a template may call; each is given the metrics first."""
