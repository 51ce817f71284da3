"""The audit of a ROOT file as one HTML page with plots."""

import base64
import io
from pathlib import Path

from jinja2 import Environment, PackageLoader
from matplotlib.figure import Figure

from utils.files import Json, atomic_path
from utils.plotting import plot_bound_residuals, plot_branch_bytes
from utils.trees import audit_tables


def write_audit_page(path: str | Path, report: Json) -> None:
    """Write what `trees.audit` found as a page that needs no other file: bytes and errors by branch, and the tables."""
    plots = []
    for tree in report["trees"]:
        branches = tree["branches"]
        if any(branch["lzma_bytes"] for branch in branches):
            figure = Figure(figsize=(8, 7), layout="constrained")
            plot_branch_bytes(figure.subplots(), branches)
            plots.append((f"{tree['name']}: the costliest branches", _image(figure)))
        if any(branch["residuals"] is not None and sum(branch["residuals"]) for branch in branches):
            figure = Figure(figsize=(8, 7), layout="constrained")
            plot_bound_residuals(figure.subplots(), branches)
            plots.append((f"{tree['name']}: errors in units of the bound", _image(figure)))
    environment = Environment(loader=PackageLoader("utils.report"), autoescape=True)
    template = environment.get_template("audit.html.j2")
    page = template.render(report=report, plots=plots, tables=audit_tables(report, rows=100))
    with atomic_path(path) as partial:
        partial.write_text(page, encoding="utf-8")


def _image(figure: Figure) -> str:
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=110, metadata={"Software": None})
    return base64.b64encode(stream.getvalue()).decode()
