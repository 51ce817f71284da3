"""Text for a terminal and for Markdown: listings, tables, trees of settings, numbers with their spread."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import lazy_loader

tabulate = lazy_loader.load("tabulate")  # which looks up versions when it is imported: 40 ms of every command

T = TypeVar("T")


def printable(text: str) -> str:
    r"""Text with control characters, and whatever else is no sign of its own, escaped; lines and tabs stay.

    >>> printable("jets\x1b[2J")
    'jets\\x1b[2J'
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in text)


def in_line(value: object) -> str:
    """A value as printable text in one line."""
    return printable(str(value)).replace("\n", "\\n")


def listing(names: Iterable[object], limit: int = 40) -> str:
    """Names for a message, cut where they are many."""
    found = [in_line(name) for name in names]
    return ", ".join(found[:limit]) + (f", ... ({len(found)} in all)" if len(found) > limit else "") or "none"


@dataclass(frozen=True)
class Table:
    """A table of text, with a title and perhaps a caption that tells how to read it.

    The first `labels` columns hold words and stand left, the others hold numbers and stand right.
    """

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""
    labels: int = 1

    def markdown(self) -> str:
        """Heading, table in GitHub's Markdown, caption."""
        parts = [f"### {self.title}", self.grid("pipe"), self.caption]
        return "\n\n".join(part for part in parts if part)

    def text(self) -> str:
        """Title, table and caption for a terminal."""
        return "\n\n".join(part for part in (self.title, self.grid("simple"), self.caption) if part)

    def grid(self, style: str) -> str:
        """The table alone, in a style of `tabulate`."""
        sides = ["left" if i < self.labels else "right" for i in range(len(self.header))]
        return tabulate.tabulate(self.rows, self.header, style, colalign=sides, disable_numparse=True)


def text_table(rows: Sequence[Mapping[str, object]], *columns: str | tuple[str, str, float]) -> str:
    """Some columns of some rows as text to three digits; a column is a name, or a name, what stands above it instead,
    and a factor for another unit.

    A dash stands where a row has no such column, or None in it.

    >>> print(text_table([{"stage": "load", "median_s": 0.00121}, {"stage": "none"}], "stage", ("median_s", "ms", 1e3)))
      stage    ms
       load  1.21
       none     -
    """
    wanted = [(column, column, None) if isinstance(column, str) else column for column in columns]
    cells = [[_cell(row.get(name), factor) for name, _, factor in wanted] for row in rows]
    return Table("", [heading for _, heading, _ in wanted], cells, labels=0).grid("plain")


def _cell(value: object, factor: float | None) -> str:
    if value is None:
        return "-"
    if not isinstance(value, int | float):
        return str(value)
    if isinstance(value, int) and factor is None:
        return f"{value:,}"
    return significant(value * (factor or 1), 3)


def significant(value: float, digits: int) -> str:
    """So many significant digits, zeros among them, and no power of ten for a large number.

    >>> significant(2168.4, 3), significant(122.4, 2), significant(0.0347, 2), significant(1.2e-7, 2)
    ('2,170', '120', '0.035', '1.2e-07')
    >>> significant(0.54976, 3), significant(0.9996, 3), significant(120.0, 3)
    ('0.550', '1.00', '120')
    """
    text = f"{value:#.{digits}g}" if value else "0"
    return f"{float(text):,.0f}" if "e+" in text else text.removesuffix(".")


def spread_text(value: Sequence[float | None], factor: float = 1) -> str:
    """(mean, standard deviation) as text: the deviation to two digits, the mean to the same place.

    Alone, where there is no deviation, the mean has three digits.

    >>> spread_text((0.40734, 0.01485)), spread_text((280.05, 6.43)), spread_text((3.4891, None))
    ('0.407 ± 0.015', '280.1 ± 6.4', '3.49')
    """
    mean, deviation = value
    assert mean is not None
    if not deviation:
        return significant(mean * factor, 3)
    digits = decimals(deviation * factor)
    return f"{mean * factor:.{digits}f} ± {deviation * factor:.{digits}f}"


def spread_sci(value: Sequence[float | None]) -> str:
    """`spread_text` of a value of any size: with a power of ten where it is small.

    >>> spread_sci((0.00034891, 0.0000127)), spread_sci((3.25, None)), spread_sci((0.0072, None))
    ('(3.49 ± 0.13)e-4', '3.25', '7.20e-3')
    """
    mean = value[0]
    assert mean is not None
    if not 0 < abs(mean) < 0.1:
        return spread_text(value)
    exponent = int(f"{abs(mean):.2e}".partition("e")[2])  # of the rounded number: 9.996e-4 is 1.00e-3
    text = spread_text(value, 10.0**-exponent)
    return f"({text})e{exponent}" if value[1] else f"{text}e{exponent}"


def decimals(value: float) -> int:
    """Decimals that show two significant digits of a value."""
    return max(0, 1 - math.floor(math.log10(abs(value)))) if value else 1


def bytes_text(size: float) -> str:
    """A number of bytes to three digits.

    >>> bytes_text(999), bytes_text(52_960), bytes_text(2.5e9)
    ('999 B', '53.0 kB', '2.50 GB')
    """
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= 0.9995 * factor:
            digits = decimals(size / factor) + 1 if size < 9.995 * factor else int(size < 99.95 * factor)
            return f"{size / factor:.{digits}f} {unit}"
    return f"{size:.0f} B"


def or_dash(value: T | None, text: Callable[[T], str]) -> str:
    """`text` of a value, a dash where there is none."""
    return "-" if value is None else text(value)


def format_container(path: str | Path, content: Mapping[str, object]) -> str:
    """What a container or a checkpoint says of itself, as indented `key: value` lines; long lists are cut short."""
    return "\n".join([f"{path}:", *tree_lines(content, "  ")])


def tree_lines(content: Mapping[str, object], indent: str) -> Iterator[str]:
    """Lines `key: value` behind `indent`, two spaces more for what lies in a dict; lists of more than 12 are cut."""
    for key, value in content.items():
        key = in_line(key)
        if isinstance(value, dict) and value:
            yield f"{indent}{key}:"
            yield from tree_lines(value, indent + "  ")
        elif isinstance(value, list) and len(value) > 12:
            yield f"{indent}{key}: {', '.join(map(_short, value[:12]))}, ... ({len(value)} in all)"
        elif isinstance(value, list):
            yield f"{indent}{key}: {', '.join(map(_short, value))}"
        else:
            yield f"{indent}{key}: {_short(value)}"


def _short(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else in_line(value)
