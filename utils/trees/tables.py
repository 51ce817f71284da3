"""The numbers of an audit as tables: branches by what they cost, and what a jet analysis sees."""

from utils.files import Json
from utils.text import Table, bytes_text

MOSTLY = 0.5
"""The share of a branch's values from which on it is called noise."""


def audit_tables(report: Json, rows: int = 25) -> list[Table]:
    """A table of the `rows` costliest branches of each tree, and one of the observables where there are any."""
    tables = [_branch_table(tree, rows) for tree in report["trees"]]
    return [*tables, *([_observable_table(report["observables"])] if report["observables"] else [])]


def _branch_table(tree: Json, rows: int) -> Table:
    branches = tree["branches"]
    total = sum(branch["lzma_bytes"] for branch in branches)
    after = sum(branch["lzma_bytes_after"] for branch in branches)
    costliest = sorted(branches, key=lambda branch: -branch["lzma_bytes"])[:rows]
    header = ["branch", "type", "remark", "bits", "share", "bytes a value", "after", "bound", "largest error"]
    cells = [
        [
            branch["name"],
            branch["type"],
            _remark(branch),
            "-" if branch["bits"] is None else str(branch["bits"]),
            f"{branch['lzma_bytes'] / max(total, 1):.1%}",
            f"{branch['bytes_per_value']:.2f}",
            f"{branch['bytes_per_value_after']:.2f}",
            branch["bound"],
            f"{branch['largest_error']:.2g}" if branch["largest_error"] else "-",
        ]
        for branch in costliest
    ]
    constants = sum(branch["constant"] for branch in branches)
    copies = sum(branch["copy_of"] is not None for branch in branches)
    noise = sum(branch["noise"] > MOSTLY for branch in branches)
    return Table(
        f"{tree['name']}: {tree['entries']:,} entries, {len(branches):,} branches",
        header,
        cells,
        f"The {len(cells)} costliest branches. All: {bytes_text(total)} under LZMA-9, {bytes_text(after)} under the "
        f"policy ({after / max(total, 1):.0%}); {constants:,} constant, {copies:,} copies of another, {noise:,} mostly "
        f"noise. Bytes are those of the first {tree['measured_entries']:,} entries.",
        labels=3,
    )


def _remark(branch: Json) -> str:
    if branch["constant"]:
        return "constant"
    if branch["copy_of"]:
        return f"copy of {branch['copy_of']}"
    return f"{branch['noise']:.0%} noise" if branch["noise"] > MOSTLY else ""


def _observable_table(observables: Json) -> Table:
    cells = []
    for name, value in observables.items():
        if "mean_before" in value:
            means = (f"{value[mean]:.2f}" for mean in ("mean_before", "mean_after"))
            numbers = [*means, f"by {value['largest_change']:.3g} GeV at most"]
        else:
            changed = f"{value['events_changed']:,} of {value['events']:,} events"
            unexplained = value["events_unexplained"]
            extra = f", {unexplained:,} not near the cut" if unexplained else ""
            numbers = [f"{value['before']:,}", f"{value['after']:,}", changed + extra]
        cells.append([name, *numbers])
    caption = (
        "Means over events in GeV, and numbers of jets. Each event in which a number changed has a jet within its "
        "bound of the cut, unless said."
    )
    return Table("What a jet analysis sees", ["", "before", "after", "changed"], cells, caption)
