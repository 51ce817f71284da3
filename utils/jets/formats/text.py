"""Text: CSV and TSV with a header, and the event lines of the DarkMachines and PhenoML challenges."""

import csv
import io
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import awkward as ak
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pa_csv

from utils.jets.events import event_columns
from utils.jets.formats.finding import choose_columns
from utils.jets.formats.layouts import JetColumns, Options
from utils.jets.formats.note import NoteBuilder
from utils.jets.formats.source import Source, is_jagged, open_binary, reading
from utils.jets.table import COLUMNS, FEATURES, JetError, event_counts
from utils.text import listing

BLOCK_BYTES = 2**21
"""Bytes of text that are in memory at once."""

MAX_LINE = 2**20
"""Bytes of the longest line that is taken for text."""

OWN_HEADER = "event,m_GeV,pt_GeV,phi,eta"
"""Of files that `write_csv` wrote, with jets that were checked when they were written."""

SEPARATORS = {",": "CSV", "\t": "TSV", ";": "CSV with semicolons"}

EMPTY = ["", "NA", "N/A", "#N/A", "null", "NULL", "None"]
"""Fields of a table that hold no value; nan is one, which no jet can have."""

JET_OBJECTS = "j,b"

OBJECTS = {"j", "b", "g", "e-", "e+", "m-", "m+", "mu-", "mu+", "t-", "t+"}
"""What event lines name: jets, b-jets, photons, electrons, muons, taus."""

_EVENT_LINE = re.compile(rb"[^;,]*;[^;,]*;[^;,]*;[^;,]*;[^;,]*(;[^;,]*,[^;]*)*;?\s*")


def open_text(name: str, options: Options, compression: str | None = None) -> Source:
    """A table with a header, or event lines; told apart by the first line."""
    with reading(name, "text"), open_binary(name, compression) as file:
        first = _first_line(file)
        file.seek(max(file.seek(0, 2) - 1, 0))
        complete = file.read(1) in (b"\n", b"\r")
    if _EVENT_LINE.fullmatch(first) and not re.search(rb"(?i)pt|eta|phi\b.*m", first.split(b";")[0] + first[:40]):
        source = _open_event_lines(name, options, compression)
    else:
        source = _open_table(name, options, compression, first)
    if not complete:
        source.notices.append(f"{name}: no line end after the last line, which may have been cut")
    return source


def _first_line(file: BinaryIO) -> bytes:
    """The first line, with its end: a line feed, a carriage return, or both."""
    lines = file.readline(MAX_LINE).splitlines(keepends=True)
    return lines[0] if lines else b""


def _line_blocks(file: BinaryIO) -> Iterator[bytes]:
    """Whole lines, about `BLOCK_BYTES` of them at once."""
    rest = b""
    while block := file.read(BLOCK_BYTES):
        block = rest + block
        end = block.rfind(b"\n") + 1 or block.rfind(b"\r", 0, -1) + 1
        rest = block[end:]
        if end:
            yield block[:end]
    if rest:
        yield rest


def _open_table(name: str, options: Options, compression: str | None, first: bytes) -> Source:
    try:
        header = first.decode("utf-8-sig").rstrip("\r\n").removeprefix("#").lstrip(" ")  # as numpy.savetxt writes it
    except UnicodeDecodeError as error:
        raise JetError(f"{name}: line 1: not text in UTF-8 ({error})") from error
    separator = max(SEPARATORS, key=header.count)
    try:
        names = [column.strip() for column in next(csv.reader([header], delimiter=separator), [])]
    except csv.Error as error:
        raise JetError(f"{name}: line 1: expected a header with the names of the columns ({error})") from error
    if not any(character.isalpha() for character in header) or not any(names):
        raise JetError(f"{name}: line 1: expected a header with the names of the columns, found {header[:80]!r}")
    twice = sorted({column for column in names if names.count(column) > 1})
    if twice:
        raise JetError(f"{name}: line 1: columns named twice: {listing(twice)}")
    columns = choose_columns(names, options, name)
    if header.removeprefix("run,").removeprefix("luminosityBlock,") == OWN_HEADER:
        columns = replace(columns, beam_energy=np.inf)
    table = _Table(name, compression, separator, names, tuple(columns.events.values()))
    jagged = is_jagged(dict.fromkeys(columns.needed.values(), 1), columns, name)
    return Source(name, SEPARATORS[separator], columns, table, jagged, empty_rows=bool(columns.events))


@dataclass(frozen=True)
class _Table:
    """A table with a header; called, it gives the pieces of its rows."""

    name: str
    compression: str | None
    separator: str
    columns: list[str]
    events: tuple[str, ...]

    def __call__(self, names: Sequence[str]) -> Iterator[Mapping[str, np.ndarray]]:
        types = {name: pa.int64() if name in self.events else pa.float64() for name in names}
        options = (
            pa_csv.ReadOptions(use_threads=False, block_size=2 * BLOCK_BYTES, column_names=self.columns),
            pa_csv.ParseOptions(delimiter=self.separator),
            pa_csv.ConvertOptions(column_types=types, include_columns=list(types), null_values=EMPTY),
        )
        with open_binary(self.name, self.compression) as stream:
            stream.seek(len(_first_line(stream)))
            try:
                for block in _line_blocks(stream):  # pyarrow's own stream reads in a thread that outlives an error
                    batch = pa_csv.read_csv(pa.BufferReader(block), *options)
                    events = {name: batch[name].to_numpy() for name in names if name in self.events}
                    if any(column.dtype != np.int64 for column in events.values()):
                        raise ValueError("an empty event number")
                    yield events | _with_empty_rows({name: batch[name] for name in names if name not in events})
            except Exception as error:
                self._raise_for_line(names, error)

    def _raise_for_line(self, wanted: Sequence[str], error: Exception) -> NoReturn:
        """Find the first line that does not parse, and say which and why."""
        with io.TextIOWrapper(open_binary(self.name, self.compression), "utf-8", "surrogateescape") as file:
            for number, line_text in enumerate(file, start=1):
                if number == 1 or not line_text.strip():
                    continue
                try:
                    line_text.encode("utf-8", "surrogateescape").decode()
                    fields = next(csv.reader([line_text.rstrip("\n")], delimiter=self.separator))
                except (UnicodeDecodeError, csv.Error) as problem:
                    raise JetError(f"{self.name}: line {number}: not text in UTF-8 ({problem})") from error
                if len(fields) != len(self.columns):
                    raise JetError(
                        f"{self.name}: line {number}: {len(fields)} fields, expected {len(self.columns)}"
                    ) from error
                line = dict(zip(self.columns, fields, strict=True))
                for column in sorted(wanted, key=lambda column: column in self.events):
                    place = f"{self.name}: line {number}: {column}"
                    if column in self.events:
                        _parse(int, line[column], place, "a whole number", error)
                    elif line[column].strip():
                        _parse(float, line[column], place, "a number", error)
        raise JetError(
            f"{self.name}: cannot be read as text with columns ({str(error).splitlines()[0][:200]})"
        ) from error


def _with_empty_rows(columns: Mapping[str, pa.ChunkedArray]) -> dict[str, np.ndarray]:
    """Columns of numbers: NaN where a field is empty, and masked in rows of which all fields are."""
    values = {name: column.to_numpy() for name, column in columns.items()}
    if not columns or not all(column.null_count for column in columns.values()):
        return values
    empty = np.all([column.is_null().to_numpy() for column in columns.values()], axis=0)
    return {name: np.ma.masked_array(column, empty) for name, column in values.items()}


def _parse(kind: type, text: str, place: str, expected: str, error: Exception) -> None:
    try:
        kind(text)
    except ValueError:
        raise JetError(f"{place}: expected {expected}, found {text[:40]!r}") from error


def _open_event_lines(name: str, options: Options, compression: str | None) -> Source:
    """`id;process;weight;MET;METphi;object,E,pt,eta,phi;...` in MeV; the collection names the objects, as `j,b`."""
    if options.columns:
        raise JetError(f"{name}: event lines, which have no columns to be named; objects are chosen by the collection")
    wanted = {kind.strip() for kind in (options.collection or JET_OBJECTS).split(",")}
    unknown = sorted(wanted - OBJECTS)
    if unknown:
        raise JetError(f"{name}: no objects {listing(unknown)} in event lines; known: {listing(sorted(OBJECTS))}")

    def pieces(names: Sequence[str]) -> Iterator[Mapping[str, ak.Array]]:
        with open_binary(name, compression) as file:
            number = 0
            for block in _line_blocks(file):
                rows: list[list[str]] = []
                counts = []
                for line in block.splitlines():
                    number += 1
                    objects = _objects(line, f"{name}: line {number}")
                    chosen = [values for kind, *values in objects if kind in wanted]
                    rows += chosen
                    counts.append(len(chosen))
                values = np.array(rows, dtype=np.float64).reshape(-1, 4)
                yield {role: ak.unflatten(values[:, i], counts) for i, role in enumerate(("e", "pt", "eta", "phi"))}

    columns = JetColumns(",".join(sorted(wanted)), {role: role for role in ("e", "pt", "eta", "phi")})
    return Source(name, "event lines", columns, pieces, True, unit="MeV")


def _objects(line: bytes, place: str) -> list[list[Any]]:
    """The objects of one event as [kind, E, pt, eta, phi], with numbers checked to be finite."""
    try:
        fields = line.decode("ascii").strip().split(";")
    except UnicodeDecodeError as error:
        raise JetError(f"{place}: not ASCII text ({error})") from error
    if len(fields) < 5:
        raise JetError(f"{place}: {len(fields)} fields, expected id;process;weight;MET;METphi;object,E,pt,eta,phi;...")
    for title, text in zip(("weight", "MET", "METphi"), fields[2:5], strict=True):
        _finite(text, f"{place}: {title}")
    objects = []
    for text in fields[5 : -1 if fields[-1] == "" else None]:
        kind, *values = text.split(",")
        if kind not in OBJECTS or len(values) != 4:
            raise JetError(
                f"{place}: expected an object as kind,E,pt,eta,phi of a kind in {listing(sorted(OBJECTS))}, "
                f"found {text[:60]!r}"
            )
        objects.append([kind, *(_finite(value, f"{place}: {kind}") for value in values)])
    return objects


def _finite(text: str, place: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise JetError(f"{place}: expected a finite number, found {text[:40]!r}")
    return value


def write_csv(path: Path, note: NoteBuilder, tables: Iterator[pd.DataFrame]) -> None:
    """A jet a row in the fewest digits that give float32 back; an event without jets has a row with its id alone.

    The header is `OWN_HEADER`, which names the unit, behind run and luminosityBlock where there are any.
    """
    schema = pa.schema([(name, pa.float32() if name in FEATURES else pa.int64()) for name in note.columns])
    others = [f"{name}," for name in note.columns if name not in COLUMNS]
    with path.open("wb") as file:
        file.write(f"{''.join(others)}{OWN_HEADER}\n".encode())
        with pa_csv.CSVWriter(file, schema, write_options=pa_csv.WriteOptions(include_header=False)) as writer:
            for table in tables:
                ids, counts = event_counts(table)
                filled = np.repeat(counts > 0, np.maximum(counts, 1))
                columns = {
                    name: pa.array(column)
                    for name, column in event_columns(np.repeat(ids, np.maximum(counts, 1))).items()
                }
                for name in FEATURES:
                    values = np.zeros(len(filled), np.float32)
                    values[filled] = table[name].to_numpy()
                    columns[name] = pa.array(values, mask=~filled)
                writer.write_table(pa.table(columns, schema=schema))
