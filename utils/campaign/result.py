"""What a campaign did: a row for each file, their sums, and both as text."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from utils.campaign.words import bounds_text, errors_lines, size_text
from utils.codec import FLOAT32_BYTES
from utils.jets import FEATURES
from utils.metrics import StreamingResolution
from utils.text import Table


@dataclass(frozen=True)
class Campaign:
    """What `run_campaign` did: a row for each task that succeeded, the errors of the others by name, and the seconds.

    `working_seconds` are those after the workers had started.

    Rows have `name`, `source`, `output`, `state` ("done", or "kept" from an earlier run), `jets` (None of whole trees),
    `events`, `bytes_in`, `bytes_out`, `errors` (per quantity, where jets changed), `errors_of_bound` (the largest,
    where there are bounds), `notices`, `read` (what was read of the file, in a line) and `seconds`.
    """

    operation: str
    rows: list[dict[str, Any]]
    failures: dict[str, str]
    seconds: float
    working_seconds: float

    @property
    def totals(self) -> dict[str, Any]:
        """Sums over the files, of containers the `ratio` of their bytes to those of the jets as float32, the largest
        error of each quantity, also in units of its bound, and `jets_per_s`, of what this run did itself while it was
        at work."""
        total = {key: sum(row[key] or 0 for row in self.rows) for key in ("jets", "events", "bytes_in", "bytes_out")}
        compressed = self.operation == "compress" and total["bytes_out"]
        done = [row for row in self.rows if row["state"] == "done"]
        jets = sum(row["jets"] or 0 for row in done)
        worst: dict[str, dict[str, float]] = {}
        for row in self.rows:
            for quantity, entry in ((row["jets"] and row["errors"]) or {}).items():
                kept = worst.setdefault(quantity, {})
                for key in ("max", "max_absolute"):
                    if key in entry:
                        kept[key] = max(kept.get(key, 0.0), entry[key])
        return {
            "files": len(self.rows) + len(self.failures),
            "failed": len(self.failures),
            "kept": len(self.rows) - len(done),
            **total,
            "ratio": FLOAT32_BYTES * total["jets"] / total["bytes_out"] if compressed else None,
            "bytes_per_jet": total["bytes_out"] / total["jets"] if total["jets"] and total["bytes_out"] else None,
            "seconds": self.seconds,
            "working_seconds": self.working_seconds,
            "worker_seconds": sum(row["seconds"] for row in done),
            "jets_per_s": jets / self.working_seconds if jets else None,
            "worst": worst,
            "errors_of_bound": self._errors_of_bound(),
        }

    def _errors_of_bound(self) -> dict[str, float] | None:
        """The largest errors in units of the bound; None where a file has no bounds."""
        largest: dict[str, float] = {}
        for row in self.rows:
            if row.get("errors_of_bound") is None:
                return None
            for name, share in row["errors_of_bound"].items():
                largest[name] = max(largest.get(name, 0.0), share)
        return largest if self.rows else None

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe: the totals, every row, and the failures."""
        rows = [{key: value for key, value in row.items() if key != "summaries"} for row in self.rows]
        content = {"operation": self.operation, "totals": self.totals, "files": rows, "failures": self.failures}
        return json.loads(json.dumps(content))

    def resolution(self) -> dict[str, dict[str, Any]]:
        """The errors of all files of an evaluation together, by quantity."""
        summaries = [StreamingResolution(quantity) for quantity in FEATURES]
        for row in self.rows:
            for summary, more in zip(summaries, row["summaries"], strict=True):
                summary.merge(more)
        return {summary.quantity: summary.result().to_dict() for summary in summaries}


def campaign_text(campaign: Campaign) -> str:
    """The table at the end of a campaign: totals, largest errors, and the files that failed."""
    totals = campaign.totals
    lines = [f"files       {totals['files']} ({totals['failed']} failed, {totals['kept']} from an earlier run)"]
    if campaign.operation == "slim":
        lines += [f"entries     {totals['events']:,}"]
    elif not campaign.rows or any(row["jets"] is not None for row in campaign.rows):
        lines += [f"jets        {totals['jets']:,} of {totals['events']:,} events"]
    lines += [f"bytes in    {totals['bytes_in']:,}"]
    if totals["bytes_out"]:
        per_jet = f", {totals['bytes_per_jet']:.3f} a jet" if totals["bytes_per_jet"] else ""
        lines += [f"bytes out   {totals['bytes_out']:,}{per_jet}"]
    if totals["ratio"] is not None:
        lines += [f"size        {size_text(totals['jets'], totals['bytes_out'])}"]
    if campaign.operation == "slim":
        lines += _carried_lines(campaign.rows)
    elif totals["errors_of_bound"] is not None:
        lines += [bounds_text(totals["jets"], totals["errors_of_bound"])]
    else:
        lines += errors_lines(totals["worst"])
    rate = f", {totals['jets_per_s']:,.0f} jets/s" if totals["jets_per_s"] else ""
    lines.append(f"time        {totals['seconds']:.1f} s, {totals['working_seconds']:.1f} of them at work{rate}")
    for name, error in campaign.failures.items():
        lines.append(f"failed: {error if error.startswith(name) else f'{name}: {error}'}")
    return "\n".join(lines)


def _carried_lines(rows: list[dict[str, Any]]) -> list[str]:
    """Of whole trees: what the branches that were carried took before and after, and the largest error."""
    known = [row for row in rows if row["source_bytes"] and row["output_bytes"]]
    before, after = (sum(row[key] for row in known) for key in ("source_bytes", "output_bytes"))
    shares = [share for row in rows for share in row["errors_of_bound"].values()]
    said = "every value within its bound; the largest is {:.3f} of it" if shares else "every value bit for bit"
    lines = [f"errors      {said.format(max(shares, default=0))}"]
    if known:
        lines.insert(0, f"carried     {before:,} -> {after:,} bytes of branches ({after / before:.1%})")
    return lines


def resolution_text(resolution: Mapping[str, Mapping[str, Any]]) -> str:
    """The errors of `Campaign.resolution` as lines of text."""
    columns = ("median", "half_width_68", "q99", "max")
    rows = [
        [name, *(f"{row[column]:.3g}" for column in columns), row["unit"]]
        for name, row in resolution.items()
        if "median" in row
    ]
    return Table("", ("", *columns, "unit"), rows).grid("plain")
