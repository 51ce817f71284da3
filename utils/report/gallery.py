"""What the pages of the repository show of the reference results: notebooks with their figures, the small table."""

from pathlib import Path
from typing import TypedDict
from urllib.parse import quote

from utils.files import REPOSITORY
from utils.metrics import read_resolutions
from utils.report.answers import answer
from utils.report.captions import caption, in_order, key_figure
from utils.report.notebooks import NOTEBOOKS, find_notebooks
from utils.report.pages import notebook_question, notebook_title
from utils.report.results import COMPARISON, Metrics
from utils.study import ERROR_COLUMNS, describe_seeds, largest_sample
from utils.text import Table, decimals, spread_text

PLOTS = REPOSITORY / "plots"


class Picture(TypedDict):
    """A figure of the gallery: its path from plots/, quoted for a link, and what it shows."""

    path: str
    caption: str


class Entry(TypedDict):
    """A notebook on a page; links lead from plots/ and CompressionHEP/, which lie beside each other."""

    short: str
    title: str
    question: str | None
    answer: str | None
    seconds: int | None
    link: str
    key: str | None
    metrics: str | None
    figures: list[Picture]


def gallery_entries(metrics: Metrics, plots: Path = PLOTS) -> list[Entry]:
    """Every notebook of the repository, in their order, with what the reference results hold of it."""
    entries: list[Entry] = []
    for notebook in find_notebooks():
        name, figures = notebook.stem, in_order(sorted((plots / notebook.stem).glob("*.png")))
        key = key_figure(name, figures)
        known = metrics.get(name)
        entries.append(
            {
                "short": name.partition(".")[0],
                "title": notebook_title(notebook),
                "question": notebook_question(notebook),
                "answer": answer(name, known),
                "seconds": None if known is None else known.get("made", {}).get("seconds"),
                "link": f"../{NOTEBOOKS.name}/{quote(notebook.name)}",
                "key": None if key is None else _from_beside(key),
                "metrics": None if known is None else f"{quote(name)}/metrics.json",
                "figures": [{"path": quote(f"{name}/{path.name}"), "caption": caption(path)} for path in figures],
            }
        )
    return entries


def _from_beside(figure: Path) -> str:
    return "../" + quote(f"{figure.parent.parent.name}/{figure.parent.name}/{figure.name}")


ROWS = ("tanh", "leaky_relu_bn", "elu_bn", "residual_gelu")
"""The variants of the small table; rank-3 PCA is its fifth row."""


def small_table(metrics: Metrics) -> str:
    """The variants by the study's own schedule beside rank-3 PCA, from the metrics of notebook 2d, in Markdown.

    Mean squared error over that of PCA, and half of the central 68% of the residuals: means over the seeds.
    """
    comparison, rows = metrics[COMPARISON], []
    for entry in largest_sample(comparison["summary"]):
        if entry["variant"] in ROWS and entry["schedule"] == "plain":
            widths = [entry["resolution"][name]["half_width_68"][0] for name in ERROR_COLUMNS]
            rows.append((entry["label"], spread_text(entry["mse_over_pca"]), *_cells(widths)))
    found = read_resolutions(comparison["pca"]["resolution"])
    rows.append((comparison["pca"]["label"], "1", *_cells([found[name].half_width_68 for name in ERROR_COLUMNS])))
    header = ("model", "MSE / PCA", *(name for name, _ in ERROR_COLUMNS.values()))
    return Table("", header, rows).grid("pipe")


def _cells(widths: list[float]) -> list[str]:
    found = [factor * width for (_, factor), width in zip(ERROR_COLUMNS.values(), widths, strict=True)]
    return [f"{value:.{decimals(value)}f}" for value in found]


def best_mse(metrics: Metrics) -> float:
    """The least mean squared error of any network of notebook 2d, mean over its seeds, as its encoder gives it."""
    return min(entry["mse"][0] for entry in largest_sample(metrics[COMPARISON]["summary"]))


def number_of_seeds(metrics: Metrics) -> str:
    """How many seeds notebook 2d trained from, as a word."""
    seeds = len(largest_sample(metrics[COMPARISON]["summary"])[0]["seeds"])
    return {1: "one", 2: "two", 3: "three", 4: "four", 5: "five"}.get(seeds, str(seeds))


def seeds_in_words(metrics: Metrics) -> str:
    """Which differences of notebook 2d are larger than the spread over seeds, as a list in Markdown."""
    return describe_seeds(largest_sample(metrics[COMPARISON]["summary"]))


def answer_of(metrics: Metrics, beginning: str) -> str | None:
    """The answer of the notebook whose name begins so, up to its first dot."""
    return next((answer(name, content) for name, content in metrics.items() if name.split(".")[0] == beginning), None)
