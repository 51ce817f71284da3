"""The pages of the repository whose numbers come from results: each is what its template makes of the metrics.

A template is the page in Jinja, in `templates/pages/`. Numbers are written as `{{ m("2d").pca.mse | sci(2) }}`: a value
of the metrics.json of the notebook whose name begins so, through a filter that rounds it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
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
from utils.report.results import Metrics, result_tables, tables_text
from utils.text import spread_text

TEMPLATES = Path(__file__).parent / "templates" / "pages"

PAGES = {
    "README.md": "README.md.j2",
    "CompressionHEP/README.md": "CompressionHEP.md.j2",
    "models/README.md": "models.md.j2",
    "plots/README.md": "plots.md.j2",
}
"""The pages, and the template of each; a page without one stays as it is."""


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
    """Fill every page that has a template; returns those. All are made before the first is written."""
    pages = [page for page, name in PAGES.items() if (templates / name).is_file()]
    texts = {page: render_page(page, metrics, templates) for page in pages}
    for page, text in texts.items():
        with atomic_path(folder / page) as partial_path:
            partial_path.write_text(text, encoding="utf-8")
    return [folder / page for page in pages]


def notebook_metrics(metrics: Metrics, beginning: str) -> Json:
    """The metrics of the notebook whose name begins so."""
    found = [name for name in metrics if name.startswith(beginning)]
    if len(found) != 1:
        raise ValueError(f"{beginning!r} is the beginning of {len(found)} notebooks with results; expected one")
    return metrics[found[0]]


def table(metrics: Metrics, title: str) -> str:
    """The table of results with this title, in Markdown."""
    found = [table for table in result_tables(metrics) if table.title == title]
    if not found:
        raise ValueError(f"these results fill no table {title!r}")
    return found[0].markdown()


def pick(rows: Iterable[Mapping[str, Any]], **wanted: object) -> Mapping[str, Any]:
    """The one row that has these values."""
    found = [row for row in rows if all(row[name] == value for name, value in wanted.items())]
    if len(found) != 1:
        raise ValueError(f"{len(found)} rows have {wanted}; expected one")
    return found[0]


def number(value: float, digits: int = 2) -> str:
    """So many significant digits, without an exponent.

    >>> number(0.4178), number(25.2), number(0.40)
    ('0.42', '25', '0.40')
    """
    return f"{value:#.{digits}g}".rstrip(".") if 1e-4 <= abs(value) < 10**digits else f"{value:,.0f}"


def sci(value: float, digits: int = 2) -> str:
    """So many significant digits and a power of ten.

    >>> sci(0.000208)
    '2.1e-4'
    """
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    return f"{mantissa}e{int(exponent)}"


def spread(value: Sequence[float | None], factor: float = 1.0) -> str:
    """Mean ± standard deviation, as the tables have it."""
    mean, deviation = value
    assert mean is not None
    return spread_text((mean, deviation), factor)


FILTERS: dict[str, Callable[..., Any]] = {
    "fixed": lambda value, digits=2: f"{value:,.{digits}f}",
    "number": number,
    "percent": lambda value, digits=2: f"{number(100 * value, digits)}%",
    "pick": pick,
    "sci": sci,
    "spread": spread,
}

FUNCTIONS: dict[str, Callable[..., Any]] = {
    "answer_of": answer_of,
    "best_mse": best_mse,
    "gallery_entries": gallery_entries,
    "m": notebook_metrics,
    "number_of_seeds": number_of_seeds,
    "seeds_in_words": seeds_in_words,
    "small_table": small_table,
    "table": table,
    "tables": tables_text,
}
"""What a template may call; each is given the metrics first."""
