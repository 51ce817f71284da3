"""Text: tables with a header, in any dialect, and the event lines of the DarkMachines and PhenoML challenges."""

import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn

import awkward as ak
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pa_csv

from utils.jets.events import event_columns
from utils.jets.formats.dialect import EMPTY, SEPARATORS, Dialect, find_dialect, is_number
from utils.jets.formats.finding import choose_columns
from utils.jets.formats.layouts import JetColumns, Options
from utils.jets.formats.note import NoteBuilder
from utils.jets.formats.source import Source, is_jagged, open_binary, reading
from utils.jets.formats.streams import encoding_of, unpacked
from utils.jets.table import COLUMNS, FEATURES, JetError, event_counts
from utils.text import listing

BLOCK_CHARACTERS = 2**21
"""Text that is in memory at once."""

MAX_LINE = 2**24
"""Characters of the longest line that is taken for text."""

OWN_HEADER = "event,m_GeV,pt_GeV,phi,eta"
"""Of files that `write_csv` wrote, with jets that were checked when they were written."""

JET_OBJECTS = "j,b"

OBJECTS = {"j", "b", "g", "e-", "e+", "m-", "m+", "mu-", "mu+", "t-", "t+"}
"""What event lines name: jets, b-jets, photons, electrons, muons, taus."""


@dataclass(frozen=True)
class _Lines:
    """The lines of a file, whatever its compression, encoding and line ends; `notices` say what is odd about them."""

    name: str
    compression: str | None
    read: Mapping[str, str]
    notices: list[str] = field(default_factory=list)

    def blocks(self) -> Iterator[tuple[int, str]]:
        """Whole lines, with the number of the first; bytes that are no UTF-8 are surrogates in them."""
        number, rest = 1, ""
        with self._open() as file:
            while block := file.read(BLOCK_CHARACTERS):
                block = rest + block
                end = block.rfind("\n") + 1
                if end:
                    yield number, block[:end]
                number, rest = number + block.count("\n"), block[end:]
                if len(rest) > MAX_LINE:
                    raise JetError(f"{self.name}: line {number}: more than {MAX_LINE:,} characters; no jet has as many")
        if rest:
            notice = f"{self.name}: no line end after the last line, which may have been cut"
            self.notices[:] = dict.fromkeys([*self.notices, notice])
            yield number, rest

    def _open(self) -> io.TextIOWrapper:
        with self._bytes() as file:
            encoding = self.read.get("encoding") or encoding_of(file.read(4))
        try:
            return io.TextIOWrapper(self._bytes(), encoding, "surrogateescape" if encoding == "utf-8-sig" else "strict")
        except LookupError as error:
            raise JetError(f"{self.name}: encoding: expected one that Python knows, found {encoding!r}") from error

    def _bytes(self) -> Any:
        file = open_binary(self.name)
        return unpacked(file, self.compression, self.read, self.name) if self.compression else file


def open_text(name: str, options: Options, compression: str | None = None) -> Source:
    """A table with a header, or event lines; told apart by the first line."""
    lines = _Lines(name, compression, options.read)
    with reading(name, "text"):
        _, head = next(lines.blocks(), (1, ""))
    if _is_event_line(head.lstrip().split("\n", 1)[0]):
        return _open_event_lines(lines, options)
    return _open_table(lines, head, options)


def _open_table(lines: _Lines, head: str, options: Options) -> Source:
    name, dialect = lines.name, find_dialect(head, options.read, lines.name)
    own = dialect.header.removeprefix("run,").removeprefix("luminosityBlock,")
    if len(own) == len(OWN_HEADER) and sum(a != b for a, b in zip(own, OWN_HEADER, strict=True)) == 1:
        raise JetError(f"{name}: damaged: its header {own!r} was {OWN_HEADER!r}, and a letter is another")
    columns = choose_columns(dialect.names, options, name)
    if own == OWN_HEADER:
        columns = replace(columns, beam_energy=np.inf)
    table = _Table(lines, dialect, tuple(columns.events.values()))
    return Source(
        name,
        SEPARATORS.get(dialect.separator, f"CSV with {dialect.separator}"),
        columns,
        table,
        is_jagged(dict.fromkeys(columns.needed.values(), 1), columns, name),
        empty_rows=bool(columns.events),
        notices=lines.notices,
        hints=table.hints,
    )


@dataclass(frozen=True)
class _Table:
    """A table with a header; called, it gives the pieces of its rows. `hints` say where a value is missing first."""

    lines: _Lines
    dialect: Dialect
    events: tuple[str, ...]
    hints: list[str] = field(default_factory=list)

    def __call__(self, names: Sequence[str]) -> Iterator[Mapping[str, np.ndarray]]:
        for number, text in self.lines.blocks():
            if (above := self.dialect.skipped + 1 - number) > 0:
                number, text = number + above, "".join(text.split("\n", above)[above:])
            text = self.dialect.clean(text)
            if not text.strip("\n"):
                continue
            try:
                piece = self._parse(text.encode("utf-8", "surrogateescape"), names)
            except Exception as error:
                self._raise_for_line(text, number, names, error)
            masks = [np.ma.getmaskarray(piece[column]) for column in names if column not in self.events]
            if (
                masks
                and not self.hints
                and (rows := np.flatnonzero(np.any(masks, axis=0) & ~np.all(masks, axis=0))).size
            ):
                self._hint(text, number, names, int(rows[0]))
            yield piece

    def _parse(self, text: bytes, names: Sequence[str]) -> dict[str, np.ndarray]:
        """Columns of numbers, masked where a field is empty; the whole numbers of events may be written as 1001.0."""
        read = pa_csv.ReadOptions(use_threads=False, block_size=len(text) + 1, column_names=list(self.dialect.names))
        cut = pa_csv.ParseOptions(delimiter=self.dialect.separator)
        kinds = [pa.int64(), pa.uint64(), pa.float64()] if set(names) & set(self.events) else [pa.float64()]
        for kind in kinds:
            types = {name: kind if name in self.events else pa.float64() for name in names}
            convert = pa_csv.ConvertOptions(
                column_types=types, include_columns=names, null_values=EMPTY, decimal_point=self.dialect.decimal
            )
            try:  # pyarrow's own stream would read in a thread that outlives an error
                table = pa_csv.read_csv(pa.BufferReader(text), read, cut, convert)
                break
            except pa.ArrowInvalid:
                if kind == kinds[-1]:
                    raise
        columns = {name: _masked(table[name]) for name in names}
        for column in (columns[name] for name in names if name in self.events):
            if np.ma.is_masked(column) or (column.dtype.kind == "f" and not np.all(_whole(column))):
                raise ValueError("an event without a whole number")
        return columns

    def _hint(self, text: str, number: int, names: Sequence[str], row: int) -> None:
        """Say in which line a row has no value in one of its columns."""
        number, line = [(i, line) for i, line in enumerate(text.split("\n"), start=number) if line][row]
        fields = dict(zip(self.dialect.names, self.dialect.fields(line), strict=True))
        column = next(name for name in names if fields[name] in EMPTY)
        self.hints.append(f"line {number}: {column} has no value, found {fields[column]!r}")

    def _raise_for_line(self, text: str, number: int, names: Sequence[str], error: Exception) -> NoReturn:
        """Find the first line that does not parse, and say which and why."""
        expected = len(self.dialect.names)
        for place, line in enumerate(text.split("\n"), start=number):
            where = f"{self.lines.name}: line {place}"
            try:
                line.encode()
                fields = self.dialect.fields(line)
            except ValueError as problem:
                advice = "--read encoding=... (read= in Python) names another"
                raise JetError(f"{where}: not text in UTF-8 ({problem}); {advice}") from error
            if fields and len(fields) != expected:
                raise JetError(f"{where}: {len(fields)} fields, expected {expected}") from error
            row = dict(zip(self.dialect.names, fields, strict=False))
            for name in sorted(row.keys() & set(names), key=lambda name: (name in self.events, names.index(name))):
                found = row[name] if self.dialect.decimal == "." else row[name].replace(".", " ").replace(",", ".")
                if name in self.events and not (is_number(found) and _whole(float(found))):
                    raise JetError(f"{where}: {name}: expected a whole number, found {row[name][:40]!r}") from error
                if found not in EMPTY and not is_number(found):
                    sign = "" if self.dialect.decimal == "." else " with a decimal comma"
                    raise JetError(f"{where}: {name}: expected a number{sign}, found {row[name][:40]!r}") from error
        raise JetError(
            f"{self.lines.name}: cannot be read as text with columns ({str(error).splitlines()[0][:200]})"
        ) from error


def _masked(column: pa.ChunkedArray) -> np.ndarray:
    """A column of numbers, masked where it has none."""
    values = column.to_numpy()
    return np.ma.masked_array(values, column.is_null().to_numpy()) if column.null_count else values


def _whole(values: Any) -> Any:
    """Whether floats are whole numbers, each of which is told from its neighbours."""
    return (np.abs(values) < 2**53) & (np.floor(values) == values)


def _is_event_line(line: str) -> bool:
    """Whether a line is of an event: five fields, of which the process is no number and the last three are, or objects
    behind them."""
    fields = line.strip().split(";")
    if len(fields) < 5 or "," in "".join(fields[:5]):
        return False
    kinds = {text.split(",")[0] for text in fields[5:] if "," in text}
    return bool(kinds & OBJECTS) or (not is_number(fields[1]) and all(map(is_number, fields[2:5])))


def _open_event_lines(lines: _Lines, options: Options) -> Source:
    """`id;process;weight;MET;METphi;object,E,pt,eta,phi;...` in MeV; the collection names the objects, as `j,b`."""
    name, wanted = lines.name, {kind.strip() for kind in (options.collection or JET_OBJECTS).split(",")}
    if options.columns:
        raise JetError(f"{name}: event lines, which have no columns to be named; the collection chooses objects")
    unknown = sorted(wanted - OBJECTS)
    if unknown:
        raise JetError(f"{name}: no objects {listing(unknown)} in event lines; known: {listing(sorted(OBJECTS))}")

    def pieces(names: Sequence[str]) -> Iterator[Mapping[str, ak.Array]]:
        for number, text in lines.blocks():
            rows: list[list[str]] = []
            counts = []
            for place, line in enumerate(text.removesuffix("\n").split("\n"), start=number):
                objects = _objects(line, f"{name}: line {place}")
                chosen = [values for kind, *values in objects if kind in wanted]
                rows += chosen
                counts.append(len(chosen))
            values = np.array(rows, dtype=np.float64).reshape(-1, 4)
            yield {role: ak.unflatten(values[:, i], counts) for i, role in enumerate(("e", "pt", "eta", "phi"))}

    columns = JetColumns(",".join(sorted(wanted)), {role: role for role in ("e", "pt", "eta", "phi")})
    return Source(name, "event lines", columns, pieces, True, unit="MeV", notices=lines.notices)


def _objects(line: str, place: str) -> list[list[Any]]:
    """The objects of one event as [kind, E, pt, eta, phi], with numbers checked to be finite."""
    if not line.isascii():
        raise JetError(f"{place}: not ASCII text")
    fields = line.strip().split(";")
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
