"""What `compressionhep info` says of a file: what is in it, and what would be refused."""

import shlex
import warnings
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from utils.files import Json
from utils.jets.blocks import EventBlock, read_blocks
from utils.jets.detect import open_source
from utils.jets.events import EventIds
from utils.jets.formats.source import Source
from utils.jets.paths import sample_files
from utils.jets.sample_units import settle_units
from utils.jets.screen import block_problems, table_of
from utils.jets.table import FEATURES, MASSLESS, UNITS, JetWarning, Paths
from utils.jets.units import Decided
from utils.text import in_line

QUANTILES = (0, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 1)

SAMPLE_JETS = 2**20
"""Quantiles are exact up to so many jets; beyond, they are those of as many jets drawn at random."""

REPEATED = "stand apart from other jets of their event"


def summarize_jets(
    path: Paths,
    tree: str | None = None,
    collection: str | None = None,
    columns: str | Mapping[str, str] | None = None,
    padding: Mapping[str, float] | None = None,
    read: Mapping[str, Any] | None = None,
    unit: str | Decided | None = None,
    beam_energy: float | None = None,
) -> Json:
    """Read a sample to its end, in bounded memory, and describe it without refusing jets; JSON-safe.

    Keys: `files`, a list of `name`, `format`, `tree`, `collection`, `columns`, `event_columns`, `columns_option` (what
    was read, as `columns` takes it), `unit`, `why`, `events` and `jets`; `events`, `empty_events`, `jets`,
    `largest_event`, `massless`, `negative_mass`, `quantiles` (feature -> values at `QUANTILES` of the finite ones),
    `sampled`, where they are of a part of the jets, `refused` (reason -> jets), and `notices`. JetError where a file
    cannot be read at all.
    """
    tally = _Tally()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", JetWarning)
        sources = [open_source(name, tree, collection, columns, padding, read) for name in sample_files(path)]
        files = [tally.add_file(source) for source in settle_units(sources, unit, beam_energy)]
    notices = [str(warning.message) for warning in caught if issubclass(warning.category, JetWarning)]
    return {"files": files, **tally.to_dict(), "notices": notices}


class _Tally:
    """What there is to say of jets, gathered block by block."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.largest_event = 0
        self.sample = _RandomSample(SAMPLE_JETS)

    def add_file(self, source: Source) -> Json:
        """Count the jets of an opened file; returns what to say of the file itself."""
        assert source.units is not None
        before, seen = self.counts.copy(), EventIds()
        for block in read_blocks(source):
            self.add_block(block, source)
            seen.add(block.ids)
        if not source.jagged:
            self.refused[REPEATED] += len(seen.repeated())
        return {
            "name": source.name,
            "format": source.format,
            "tree": source.tree,
            "collection": source.columns.name or None,
            "columns": list(source.columns.needed.values()),
            "event_columns": list(source.columns.events.values()),
            "columns_option": source.columns.as_option,
            "unit": str(source.units),
            "why": source.units.why,
            "events": self.counts["events"] - before["events"],
            "jets": self.counts["jets"] - before["jets"],
        }

    def add_block(self, block: EventBlock, source: Source) -> None:
        """Count the jets of successive events."""
        table, m = table_of(block), block.features[0]
        self.counts["events"] += len(block.counts)
        self.counts["empty_events"] += int(np.count_nonzero(block.counts == 0))
        self.counts["jets"] += len(m)
        self.counts["massless"] += int(np.count_nonzero(np.abs(m) < MASSLESS))
        self.counts["negative_mass"] += int(np.count_nonzero(m < 0))
        self.largest_event = max(self.largest_event, int(block.counts.max(initial=0)))
        self.refused.update({reason: len(rows) for reason, rows in block_problems(block, source).items()})
        self.sample.add(table[list(FEATURES)].to_numpy())

    def to_dict(self) -> Json:
        """JSON-safe: what `summarize_jets` says of all files together."""
        keys = ("events", "empty_events", "jets", "massless", "negative_mass")
        return {
            **{key: self.counts[key] for key in keys},
            "largest_event": self.largest_event,
            "quantiles": {name: _quantiles(self.sample.rows[:, i]) for i, name in enumerate(FEATURES)},
            "sampled": self.counts["jets"] > SAMPLE_JETS,
            "refused": {reason: number for reason, number in self.refused.items() if number},
        }


def format_summary(summary: Json) -> str:
    """The summary as text for a terminal."""
    lines = []
    for file in summary["files"]:
        where = [f"{kind} {file[kind]}" for kind in ("tree", "collection") if file[kind] is not None]
        events = ", ".join(file["event_columns"]) or "counted"
        lines += [
            f"{file['name']}: {', '.join([file['format'], *where])}",
            f"  columns   {', '.join(file['columns'])} in {file['unit']}; event numbers: {events}",
            f"  unit      {file['unit']}: {file['why']}",
            f"  as option --columns {shlex.quote(file['columns_option'])}",
        ]
    if len(summary["files"]) > 1:
        lines.append(f"{len(summary['files'])} files together:")
    lines += [
        f"  events    {summary['events']:,}, of which {summary['empty_events']:,} have no jet, and the fullest has "
        f"{summary['largest_event']}",
        f"  jets      {summary['jets']:,}, of which {summary['massless']:,} are massless (|m| < 1 MeV) and "
        f"{summary['negative_mass']:,} have a negative mass",
        "",
    ]
    if summary["jets"]:
        labels = {name: f"{name} [{UNITS[name]}]" if UNITS[name] else name for name in FEATURES}
        table = pd.DataFrame(summary["quantiles"], index=[_label(q) for q in QUANTILES]).T.rename(index=labels)
        lines += [*(f"  {line}" for line in table.to_string(float_format=lambda x: f"{x:.5g}").splitlines())]
        if summary["sampled"]:
            lines.append(f"  (of {SAMPLE_JETS:,} jets drawn at random; smallest and largest among them)")
        lines.append("")
    lines += [f"  note: {notice}" for notice in summary["notices"]]
    if summary["refused"]:
        lines.append("  would be refused:")
        lines += [
            f"    {number:,} {'groups of jets' if reason == REPEATED else 'jets'}: {reason}"
            for reason, number in summary["refused"].items()
        ]
    else:
        lines.append(
            "  every jet can be used" if summary["jets"] else "  no jets: a valid file, though nothing to train on"
        )
    return "\n".join(map(in_line, lines))


def _label(quantile: float) -> str:
    return {0: "smallest", 0.5: "median", 1: "largest"}.get(quantile, f"{quantile:.0%}")


def _quantiles(values: np.ndarray) -> list[float]:
    finite = values[np.isfinite(values)].astype(np.float64)
    return np.quantile(finite, QUANTILES).tolist() if len(finite) else [float("nan")] * len(QUANTILES)


class _RandomSample:
    """Rows drawn at random from a stream: every row gets a random key, and those of the smallest keys stay."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.rows = np.empty((0, len(FEATURES)), np.float32)
        self.keys = np.empty(0)
        self.random = np.random.default_rng(0)

    def add(self, rows: np.ndarray) -> None:
        self.rows = np.concatenate([self.rows, rows])
        self.keys = np.concatenate([self.keys, self.random.random(len(rows))])
        if len(self.rows) > self.size:
            kept = np.argpartition(self.keys, self.size)[: self.size]
            self.rows, self.keys = self.rows[kept], self.keys[kept]
