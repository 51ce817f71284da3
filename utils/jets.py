"""The jet table: one jet a row, columns event, m, pt, phi, eta, in GeV and rad.

A jet table is a pandas DataFrame with an int64 column `event` and float32 columns `m, pt, phi, eta`; the jets of
one event stand together. Events without a jet have no row: their numbers are listed in
`table.attrs["empty_events"]`, so that efficiencies and files with one entry per event stay possible.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pandas as pd

from utils.text import listing

FEATURES = ("m", "pt", "phi", "eta")

UNITS = {"m": "GeV", "pt": "GeV", "phi": "rad", "eta": ""}

COLUMNS = ("event", *FEATURES)

CHUNK_JETS = 2**18
"""Jets in one chunk of a stream: 6 MB."""

MASSLESS = 1e-3
"""Jets with |m| below this, in GeV, count as massless: a relative mass residual says nothing of them."""

MASS_LIMIT = -1.0
"""Masses at or below this, in GeV, are refused: rounding does not explain them, and log10(m + 1) has no value."""

MEV_FROM = 2000.0
"""Where nothing tells the unit of a file, jets of which the smallest pt is above this are taken to be in MeV."""

PHI_TOLERANCE = 1e-4
"""|phi| may exceed pi by this much, in rad, from rounding; it is then wrapped."""

Paths = str | Path | Iterable[str | Path]


class JetError(ValueError):
    """Jets that the project cannot use; the message names the source, the column and the rows."""


class JetWarning(UserWarning):
    """Something about a file that its reader decided and the user should know, such as a unit that was guessed."""


def make_table(
    m: Any, pt: Any, phi: Any, eta: Any, event: Any = None, empty_events: Iterable[int] = ()
) -> pd.DataFrame:
    """Build a jet table from columns (GeV, rad), without checking the values.

    Without `event` every jet is an event of its own, numbered from 0.
    """
    columns = {name: np.asarray(column) for name, column in zip(FEATURES, (m, pt, phi, eta), strict=True)}
    lengths = {name: len(column) for name, column in columns.items()}
    if event is None:
        event = np.arange(lengths["m"])
    lengths["event"] = len(event)
    if len(set(lengths.values())) > 1:
        raise JetError(f"columns of different lengths: {lengths}")
    table = pd.DataFrame({"event": np.asarray(event, dtype=np.int64)})
    with np.errstate(over="ignore"):
        for name, column in columns.items():
            table[name] = column.astype(np.float32)
    empty = [int(number) for number in empty_events]
    if empty:
        table.attrs["empty_events"] = empty
    return table


def concat_tables(tables: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """One jet table of several, in their order; pandas' own `concat` would lose the events without jets."""
    parts = list(tables)
    empty = [number for part in parts for number in part.attrs.get("empty_events", [])]
    columns = {name: [part[name].to_numpy() for part in parts] or [np.empty(0)] for name in COLUMNS}
    event, m, pt, phi, eta = (np.concatenate(columns[name]) for name in COLUMNS)
    return make_table(m, pt, phi, eta, event, empty)


def feature_array(table: pd.DataFrame, dtype: Any = np.float64) -> np.ndarray:
    """The columns m, pt, phi, eta as an array of shape (jets, 4), in GeV and rad."""
    return table[list(FEATURES)].to_numpy(dtype=dtype)


def event_counts(table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Event numbers and jets per event, both int64 of shape (events,), events without jets included.

    Events stand in the order of the table. Empty events are merged by number where the numbers ascend, and follow
    the others where they do not.
    """
    numbers, counts = run_lengths(table["event"].to_numpy())
    return merge_empty(numbers, counts, table.attrs.get("empty_events", []))


def run_lengths(event: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The event numbers of successive jets as (number, jets in a row), both of shape (events,)."""
    starts = np.flatnonzero(np.concatenate([[True], event[1:] != event[:-1]])) if len(event) else np.empty(0, np.int64)
    return event[starts], np.diff(starts, append=len(event))


def merge_empty(numbers: np.ndarray, counts: np.ndarray, empty: Any) -> tuple[np.ndarray, np.ndarray]:
    """Add events without jets: by number where the numbers ascend, behind the others where they do not."""
    empty = np.asarray(empty, dtype=np.int64)
    if len(empty) == 0:
        return numbers, counts
    ascending = bool(np.all(numbers[1:] > numbers[:-1]))
    numbers = np.concatenate([numbers, empty])
    counts = np.concatenate([counts, np.zeros(len(empty), np.int64)])
    if ascending:
        order = np.argsort(numbers, kind="stable")
        numbers, counts = numbers[order], counts[order]
    return numbers, counts


def number_of_events(table: pd.DataFrame) -> int:
    """Number of events, those without jets included."""
    return len(event_counts(table)[0])


def find_problems(table: pd.DataFrame, keep_nonfinite: bool = False) -> dict[str, np.ndarray]:
    """What makes jets unusable: description -> rows, an index array that is never empty.

    With `keep_nonfinite`, values that are NaN or infinite are no problem.
    """
    problems: dict[str, np.ndarray] = {}
    finite = {}
    for name in FEATURES:
        values = table[name].to_numpy()
        finite[name] = np.isfinite(values)
        if not keep_nonfinite:
            problems[f"NaN or infinite {name}"] = ~finite[name]
    pt, m, phi = (table[name].to_numpy() for name in ("pt", "m", "phi"))
    with np.errstate(invalid="ignore"):
        problems["pt <= 0"] = finite["pt"] & (pt <= 0)
        problems[f"m <= {MASS_LIMIT:g} GeV"] = finite["m"] & (m <= MASS_LIMIT)
        problems[f"|phi| > pi by more than {PHI_TOLERANCE:g} rad"] = finite["phi"] & (
            np.abs(phi.astype(np.float64)) > np.pi + PHI_TOLERANCE
        )
    return {name: np.flatnonzero(mask) for name, mask in problems.items() if mask.any()}


def validate_jets(table: pd.DataFrame, source: str = "jet table", first_row: int = 0) -> None:
    """Raise JetError, naming `source` and the first rows, unless every jet of the table can be used.

    Refused: other columns or types than a jet table's, no jets, NaN or infinite values, pt <= 0, m <= -1 GeV,
    |phi| > pi beyond rounding (1e-4), and jets of one event that stand apart. `first_row` is added to the row numbers
    of the message.
    """
    require_columns(table, source)
    if len(table) == 0:
        raise JetError(f"{source}: no jets, in {number_of_events(table)} events")
    require_usable(table, source, first_row)
    numbers, _ = event_counts(table)
    require_distinct_events(numbers, source)


def require_columns(table: pd.DataFrame, source: str) -> None:
    """The part of `validate_jets` that looks at the names and types of the columns."""
    missing = [name for name in COLUMNS if name not in table.columns]
    if missing:
        raise JetError(f"{source}: missing columns {', '.join(missing)}; those there are: {listing(table.columns)}")
    wrong = [name for name in COLUMNS if table[name].dtype != (np.int64 if name == "event" else np.float32)]
    if wrong:
        found = ", ".join(f"{name} is {table[name].dtype}" for name in wrong)
        raise JetError(f"{source}: {found}; expected int64 for event and float32 for the others (see make_table)")


def require_usable(table: pd.DataFrame, source: str, first_row: int = 0, keep_nonfinite: bool = False) -> None:
    """The part of `validate_jets` that looks at values."""
    if find_problems(table, keep_nonfinite):
        refuse_jets([table], source, first_row, keep_nonfinite)


def refuse_jets(
    tables: Iterable[pd.DataFrame], source: str, first_row: int = 0, keep_nonfinite: bool = False
) -> NoReturn:
    """Raise JetError with what is wrong with jets: how many, and the first rows, counted from `first_row`."""
    counts: Counter[str] = Counter()
    shown: dict[str, list[str]] = {}
    for table in tables:
        for description, rows in find_problems(table, keep_nonfinite).items():
            counts[description] += len(rows)
            column = next(name for name in FEATURES if name in description.replace("|", " ").split())
            values = table[column].to_numpy()
            shown.setdefault(description, []).extend(f"{row + first_row} ({values[row]:g})" for row in rows[:5])
        first_row += len(table)
    parts = [
        f"{description} in {counts[description]} jets, rows {', '.join(rows[:5])}{', ...' * (counts[description] > 5)}"
        for description, rows in shown.items()
    ]
    raise JetError(f"{source}: of {first_row} jets: {'; '.join(parts)}")


def require_distinct_events(numbers: np.ndarray, source: str) -> None:
    """Raise JetError where an event number stands for two events, as it does when jets of one event stand apart."""
    if np.all(numbers[1:] > numbers[:-1]):
        return
    unique, times = np.unique(numbers, return_counts=True)
    if len(unique) < len(numbers):
        apart = unique[times > 1]
        raise JetError(
            f"{source}: jets of one event must stand together, and its number be its own; {len(apart)} event numbers "
            f"turn up again later, such as {', '.join(map(str, apart[:5]))}; sort the rows by event"
        )


class EventNumbers:
    """The event numbers of a stream, to be told at its end whether each stood for one event; 8 bytes an event."""

    def __init__(self) -> None:
        self.parts: list[np.ndarray] = []
        self.ascending = True

    def add(self, numbers: np.ndarray) -> None:
        """Count the events that follow."""
        if len(numbers) == 0:
            return
        follows = not self.parts or numbers[0] > self.parts[-1][-1]
        self.ascending = self.ascending and bool(follows and np.all(numbers[1:] > numbers[:-1]))
        self.parts.append(numbers)

    def require_distinct(self, source: str) -> None:
        """Raise JetError where a number stands for two events."""
        if not self.ascending:
            require_distinct_events(np.concatenate(self.parts), source)


def wrap_phi(phi: np.ndarray) -> np.ndarray:
    """phi, float32, with the values within `PHI_TOLERANCE` beyond +-pi wrapped to the other side; others unchanged."""
    beyond = np.abs(phi) - np.float32(np.pi)
    with np.errstate(invalid="ignore"):
        wrap = (beyond > 0) & (np.abs(phi.astype(np.float64)) <= np.pi + PHI_TOLERANCE)
    if not wrap.any():
        return phi
    return np.where(wrap, (phi - np.sign(phi) * 2 * np.pi).astype(np.float32), phi)


def iter_jets(
    path: Paths,
    *,
    chunk_jets: int = CHUNK_JETS,
    tree: str | None = None,
    collection: str | None = None,
    unit: str | None = None,
    keep_nonfinite: bool = False,
    entries: tuple[int, int] | None = None,
    progress: bool = False,
) -> Iterator[pd.DataFrame]:
    """Read jets as a stream of jet tables of about `chunk_jets` jets, cut between events; memory stays bounded.

    See `read_jets` for the arguments. Events without jets are in `attrs["empty_events"]` of the table that holds
    their neighbours. Every value of a table is checked before it is yielded, NaN and infinite ones being refused
    unless they are to be kept (`keep_nonfinite`); what needs the whole file (no jets at all,
    an event number that turns up again) is raised at the end of the stream. `entries` (first, last + 1) limits one
    ROOT file with an entry an event to those.
    """
    from utils.readers import stream_tables

    options: dict[str, Any] = {"tree": tree, "collection": collection, "unit": unit, "progress": progress}
    yield from stream_tables(path, chunk_jets, keep_nonfinite=keep_nonfinite, entries=entries, **options)


def read_jets(
    path: Paths,
    *,
    tree: str | None = None,
    collection: str | None = None,
    unit: str | None = None,
    progress: bool = False,
) -> pd.DataFrame:
    """Read the jet table of a file, of several files, or of a glob pattern, as one sample.

    Raises JetError naming the file and the cause where the jets cannot be used.
    """
    return concat_tables(iter_jets(path, tree=tree, collection=collection, unit=unit, progress=progress))


def write_jets(table: pd.DataFrame | Iterable[pd.DataFrame], path: str | Path, *, keep_nonfinite: bool = False) -> None:
    """Write a jet table, or a stream of them such as `iter_jets` gives, in the format that the suffix of `path` names.

    The file appears whole or not at all, and reads back bit for bit. JetError where the jets cannot be used, for NaN
    and infinite values too unless they are to be kept (`keep_nonfinite`).
    """
    from utils.writers import write_tables

    write_tables([table] if isinstance(table, pd.DataFrame) else table, path, keep_nonfinite)


def convert_jets(
    source: Paths,
    target: str | Path,
    *,
    pt_min: float | None = None,
    eta_max: float | None = None,
    tree: str | None = None,
    collection: str | None = None,
    unit: str | None = None,
    entries: tuple[int, int] | None = None,
    progress: bool = False,
) -> tuple[int, int, int]:
    """Stream jets from one file, or several, to another, keeping those with pt >= `pt_min` GeV and |eta| <= `eta_max`.

    Events that lose all their jets stay as events without jets. Returns the numbers of jets read, jets written, and
    events.
    """
    jets = kept = events = 0

    def selected() -> Iterator[pd.DataFrame]:
        nonlocal jets, kept, events
        reading: dict[str, Any] = {"tree": tree, "collection": collection, "unit": unit, "entries": entries}
        for table in iter_jets(source, progress=progress, **reading):
            chosen = select_jets(table, pt_min, eta_max)
            jets, kept, events = jets + len(table), kept + len(chosen), events + number_of_events(table)
            yield chosen

    write_jets(selected(), target)
    return jets, kept, events


def select_jets(table: pd.DataFrame, pt_min: float | None = None, eta_max: float | None = None) -> pd.DataFrame:
    """The jets with pt >= `pt_min` GeV and |eta| <= `eta_max`, and all events."""
    keep = np.ones(len(table), dtype=bool)
    if pt_min is not None:
        keep &= table["pt"].to_numpy() >= pt_min
    if eta_max is not None:
        keep &= np.abs(table["eta"].to_numpy()) <= eta_max
    if keep.all():
        return table
    chosen = table[keep].reset_index(drop=True)
    numbers, _ = event_counts(table)
    empty = numbers[~np.isin(numbers, chosen["event"].to_numpy())]
    chosen.attrs = {"empty_events": empty.tolist()} if len(empty) else {}
    return chosen
