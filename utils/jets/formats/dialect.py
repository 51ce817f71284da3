"""How a table of text is written: its separator, decimal sign, comments and header, as given or by its first lines."""

import csv
import io
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, takewhile

from utils.jets.table import JetError
from utils.text import listing

SEPARATORS = {"\t": "TSV", ";": "CSV with semicolons", "|": "CSV with |", ",": "CSV", " ": "table with blanks"}
"""What separates fields, and what such a table is called; a blank stands for any run of blanks and tabs."""

EMPTY = ["", "NA", "N/A", "n/a", "#N/A", "<NA>", "null", "NULL", "None"]
"""Fields of a table that hold no value; nan is one, which no jet can have."""

SNIFFED_LINES = 100

_SPELLED = {"\\t": "\t", "tab": "\t", "\\s+": " ", "blank": " "}

_WITH_COMMA, _WITH_POINT = (re.compile(rf"[-+]?\d*{sign}\d+([eE][-+]?\d+)?") for sign in (",", r"\."))

_UNIT_APART = re.compile(r"[ \t](?=[\[(])")


@dataclass(frozen=True)
class Dialect:
    """How lines are cut into the fields of the columns `names`; the first rows begin behind `skipped` lines.

    Comments begin with `comment`, `anywhere` in a line or at its begin alone. `header` is the line that has the names.
    """

    separator: str
    decimal: str
    comment: str
    anywhere: bool
    names: Sequence[str]
    header: str
    skipped: int

    def clean(self, text: str) -> str:
        """Lines without comments, and without blanks around their fields; as many lines as before."""
        return _without_blanks(_without_comments(text, self.comment, self.anywhere), self.separator)

    def fields(self, line: str) -> list[str]:
        """The fields of a clean line, none of an empty one; ValueError where it cannot be cut."""
        return _fields(line, self.separator)


def find_dialect(text: str, read: Mapping[str, str], name: str) -> Dialect:
    """The dialect of a table that begins with `text`: what `read` says, and the rest by its first lines.

    `read` calls things as pandas does: `sep`, `decimal`, `comment`, `names`, `skiprows`. The header is the first line
    that is no comment, or where that holds numbers a comment above it, as numpy.savetxt writes it. JetError where
    there is none, or it names a column twice.
    """
    separator, decimal, comment = (_character(read, key, name) for key in ("sep", "decimal", "comment"))
    mark, skip = comment or "#", read.get("skiprows", "0")
    if not skip.isdecimal():
        raise JetError(f"{name}: skiprows: expected a number of lines, found {skip!r}")
    numbered = enumerate(islice(io.StringIO(text), int(skip) + SNIFFED_LINES), start=1)
    lines = [(number, line.strip("\n")) for number, line in numbered if number > int(skip) and line.strip()]
    above = list(takewhile(lambda line: line[1].lstrip().startswith(mark), lines))
    below = [line for line in lines[len(above) :] if not line[1].lstrip().startswith(mark)]
    headed = bool(below) and _names_columns(below[0][1])
    headers = below[:1] if headed else [(number, line.lstrip().lstrip(mark)) for number, line in reversed(above)]
    if "names" in read:
        headers = [(int(skip) + 1, read["names"])]
    rows = [_without_comments(line, mark, comment is not None) for _, line in below[headed:]]
    chosen = _choose_header(headers, rows, separator, headed)
    if chosen is None:
        number, line = (below or above or [(int(skip) + 1, "")])[0]
        raise JetError(
            f"{name}: line {number}: expected a header with the names of the columns, found {line.strip()[:80]!r}; "
            "--read names=... (read= in Python) gives them"
        )
    number, header, names, separator = chosen
    if twice := sorted(column for column, times in Counter(names).items() if times > 1):
        raise JetError(f"{name}: line {number}: columns named twice: {listing(twice)}")
    skipped = below[0][0] - (not headed) if below else lines[-1][0]
    decimal = decimal or _decimal(rows, separator)
    if decimal == separator:
        raise JetError(f"{name}: fields are separated by {separator!r}, which is no decimal sign then")
    return Dialect(separator, decimal, mark, comment is not None, names, header.strip(), skipped)


def _character(read: Mapping[str, str], key: str, name: str) -> str | None:
    """A character that is given, None where it is not."""
    if key not in read:
        return None
    found = _SPELLED.get(read[key], read[key])
    if len(found) != 1 or found.isalnum() or found in '"\n' or (key == "decimal" and found not in ",."):
        expected = "a comma or a point" if key == "decimal" else "one character that is no letter, or tab, or blank"
        raise JetError(f"{name}: {key}: expected {expected}, found {read[key]!r}")
    return found


def _choose_header(
    headers: Sequence[tuple[int, str]], rows: Sequence[str], separator: str | None, headed: bool
) -> tuple[int, str, list[str], str] | None:
    """The line with as many names as the first row has fields, or the one that is no comment: number, line, names, and
    the separator of the rows."""
    for number, header in headers:
        own = next((sign for sign in (separator, max("\t;|,", key=header.count)) if sign and sign in header), " ")
        try:
            names = _fields(_without_blanks(_UNIT_APART.sub("", header) if own == " " else header, own), own)
            for candidate in [separator] if separator else [own, *SEPARATORS]:
                fields = _fields(_without_blanks(rows[0], candidate), candidate) if rows else names
                if len(fields) == len(names):
                    return number, header, names, candidate
                if len(fields) == len(names) + 1 and fields[-1] == "":  # each row ends with a separator
                    return number, header, [*names, ""], candidate
                if len(fields) == len(names) + 1 and candidate == " " and header[:1] == " ":  # it begins with an index
                    return number, header, ["", *names], candidate
        except ValueError:
            continue
        if headed:
            return number, header, names, separator or own
    return None


def _names_columns(line: str) -> bool:
    """Whether most of what stands in a line is neither a number nor a sign that there is none."""
    fields = [field.strip('"') for field in re.split(r"[,;|\s]", line) if field]
    return sum(field in EMPTY or is_number(field) for field in fields) < len(fields) / 2


def is_number(field: str) -> bool:
    """Whether a field is a number with a decimal point."""
    try:
        float(field[:100])
    except ValueError:
        return False
    return True


def _decimal(rows: Sequence[str], separator: str) -> str:
    """A comma where numbers have one and none has a point."""
    fields = [field for row in rows for field in _without_blanks(row, separator).split(separator)]
    point = any(_WITH_POINT.fullmatch(field) for field in fields)
    return "," if not point and any(_WITH_COMMA.fullmatch(field) for field in fields) else "."


def _without_comments(text: str, mark: str, anywhere: bool) -> str:
    if mark not in text:
        return text
    begin = re.escape(mark) if anywhere else rf"(?m)^[ \t]*{re.escape(mark)}(?!N/A)"
    return re.sub(rf"{begin}[^\n]*", "", text)


def _without_blanks(text: str, separator: str) -> str:
    """Lines without blanks at their ends and around separators; where blanks are separators, one for each run."""
    if separator == " ":
        text = text.replace("\t", " ")
    if " " not in text:
        return text
    while "  " in text:  # a regular expression would take quadratic time where there are very many
        text = text.replace("  ", " ")
    for sign in "\n" if separator == " " else ("\n", separator):
        text = text.replace(f" {sign}", sign).replace(f"{sign} ", sign)
    return text.strip(" ")


def _fields(line: str, separator: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=separator), [])
    except csv.Error as error:
        raise ValueError(str(error)) from error
