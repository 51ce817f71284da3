"""Text for a terminal and for Markdown: listings, tables, numbers with their spread."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


def listing(names: Iterable[Any], limit: int = 40) -> str:
    """Names for a message, cut where they are many."""
    found = [str(name) for name in names]
    return ", ".join(found[:limit]) + (f", ... ({len(found)} in all)" if len(found) > limit else "") or "none"


@dataclass(frozen=True)
class Table:
    """A table of text, with a title and a caption that tells how to read it.

    The first `labels` columns hold words, the others numbers.
    """

    title: str
    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    labels: int = 1

    def markdown(self) -> str:
        """The table in GitHub's Markdown, in columns of even width so that it reads as plain text too."""
        widths = [max(len(cell) for cell in column) for column in zip(self.header, *self.rows, strict=True)]
        rule = [":" + "-" * (width - 1) for width in widths]
        rule[self.labels :] = [mark[::-1] for mark in rule[self.labels :]]
        lines = []
        for row in (self.header, rule, *self.rows):
            cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
            cells[self.labels :] = [c.strip().rjust(width) for c, width in zip(cells, widths, strict=True)][
                self.labels :
            ]
            lines.append(f"| {' | '.join(cells)} |")
        return "\n".join([f"### {self.title}", "", *lines, "", self.caption])


def spread_text(value: Sequence[float | None], factor: float = 1) -> str:
    """(mean, standard deviation) as text, the deviation left out where there is none."""
    mean, deviation = value
    assert mean is not None
    if deviation is None:
        return f"{mean * factor:.3g}"
    return f"{mean * factor:.3g} ± {deviation * factor:.2g}"


def decimals(value: float) -> int:
    """Decimals that show two significant digits of a value."""
    return max(0, 1 - math.floor(math.log10(abs(value)))) if value else 1


@dataclass(frozen=True)
class TitledTable:
    title: str
    header: list[str]
    lines: list[list[str]]


def or_dash(value: Any, text: Callable[[Any], str]) -> str:
    return "-" if value is None else text(value)


def as_text(table: TitledTable) -> str:
    lines = [table.header, *table.lines]
    widths = [max(len(line[i]) for line in lines) for i in range(len(table.header))]
    rows = ["  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]) for line in lines]
    return "\n".join([table.title, "", rows[0], "-" * len(rows[0]), *rows[1:]])


def as_markdown(table: TitledTable) -> str:
    rule = ["---"] + ["---:"] * (len(table.header) - 1)
    rows = ["| " + " | ".join(line) + " |" for line in (table.header, rule, *table.lines)]
    return "\n".join([f"*{table.title}*", "", *rows])


def text_table(rows: Sequence[Mapping[str, Any]], *columns: str, **factors: float) -> str:
    """Some columns of some rows as text to four digits; `factors` multiply those that they name, for another unit."""
    cells = [list(columns)]
    cells += [[_cell(row.get(column), factors.get(column)) for column in columns] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in cells)


def _cell(value: Any, factor: float | None) -> str:
    if value is None:
        return "-"
    if factor is not None:
        return f"{value * factor:.4g}"
    return f"{value:.4g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)


def format_container(path: str | Path, content: dict[str, Any]) -> str:
    """What a container or a checkpoint says of itself, as indented `key: value` lines; long lists are cut short."""
    return "\n".join([f"{path}:", *tree_lines(content, "  ")])


def tree_lines(content: dict[str, Any], indent: str) -> Iterable[str]:
    for key, value in content.items():
        if isinstance(value, dict) and value:
            yield f"{indent}{key}:"
            yield from tree_lines(value, indent + "  ")
        elif isinstance(value, list) and len(value) > 12:
            yield f"{indent}{key}: {', '.join(map(_short, value[:12]))}, ... ({len(value)} in all)"
        elif isinstance(value, list):
            yield f"{indent}{key}: {', '.join(map(_short, value))}"
        else:
            yield f"{indent}{key}: {_short(value)}"


def _short(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
