"""The jet table: one jet a row, columns event, m, pt, phi, eta, in GeV and rad.

A jet table is a pandas DataFrame with an int64 column `event` and float32 columns `m, pt, phi, eta`; the jets of
one event stand together. Where the file had them, int64 columns `run` and `luminosityBlock` tell events of one number
apart. Events without a jet have no row: their numbers (or tuples of run, luminosityBlock and event) are listed in
`table.attrs["empty_events"]`, so that efficiencies and files with one entry per event stay possible.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, DTypeLike

from utils.jets.events import EVENT_COLUMNS, event_columns, event_ids, listed_ids, merge_empty, run_lengths

FEATURES = ("m", "pt", "phi", "eta")

UNITS = {"m": "GeV", "pt": "GeV", "phi": "rad", "eta": ""}

COLUMNS: tuple[str, ...] = ("event", *FEATURES)

CHUNK_JETS = 2**18
"""Jets in one chunk of a stream: 6 MB."""

MASSLESS = 1e-3
"""Jets with |m| below this, in GeV, count as massless: a relative mass residual says nothing of them."""

MASS_LIMIT = -1.0
"""Masses at or below this, in GeV, are refused: rounding does not explain them, and log10(m + 1) has no value."""

PHI_TOLERANCE = 1e-4
"""|phi| may exceed pi by this much, in rad, from rounding; it is then wrapped."""

Angles = TypeVar("Angles", bound=Any)
Paths = str | Path | Iterable[str | Path]


class JetError(ValueError):
    """Jets that the project cannot use; the message names the source, the column and the rows."""


class JetWarning(UserWarning):
    """Something about a file that its reader decided and the user should know, such as a unit that was guessed."""


def make_table(
    m: ArrayLike,
    pt: ArrayLike,
    phi: ArrayLike,
    eta: ArrayLike,
    event: ArrayLike | Mapping[str, ArrayLike] | None = None,
    empty_events: Iterable[Any] = (),
) -> pd.DataFrame:
    """Build a jet table from columns (GeV, rad), without checking the values.

    `event` are the numbers of events, or columns `run`, `luminosityBlock` and `event`, as a mapping or as records.
    Without it every jet is an event of its own, numbered from 0.

    >>> make_table(m=[5, 10], pt=[50, 100], phi=[0.1, -3], eta=[0, 2], event=[7, 7])["pt"].tolist()
    [50.0, 100.0]
    """
    columns = {name: np.asarray(column) for name, column in zip(FEATURES, (m, pt, phi, eta), strict=True)}
    numbers = np.arange(len(columns["m"])) if event is None else event
    named = isinstance(numbers, Mapping) or (isinstance(numbers, np.ndarray) and numbers.dtype.names)
    ids = event_ids(numbers if named else {"event": numbers})  # type: ignore[arg-type]
    lengths = {name: len(column) for name, column in (columns | event_columns(ids)).items()}
    if len(set(lengths.values())) > 1:
        raise JetError(f"columns of different lengths: {lengths}")
    with np.errstate(over="ignore"):
        table = pd.DataFrame(event_columns(ids) | {name: column.astype(np.float32) for name, column in columns.items()})
    return with_empty_events(table, listed_ids(empty_events, ids))


def with_empty_events(table: pd.DataFrame, empty: np.ndarray) -> pd.DataFrame:
    """A table, whose rows are numbered anew, with these ids as its events without jets."""
    table = table.reset_index(drop=True)
    table.attrs = {"empty_events": empty.tolist()} if len(empty) else {}
    return table


def concat_tables(tables: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """One jet table of several, in their order; pandas' own `concat` would lose the events without jets.

    JetError where they do not all have the same of the columns `run` and `luminosityBlock`.
    """
    parts = list(tables) or [make_table([], [], [], [])]
    columns = {tuple(event_columns(table_ids(part))) for part in parts}
    if len(columns) > 1:
        raise JetError(f"tables whose events are named by different columns: {sorted(columns)}")
    table = pd.concat(parts, ignore_index=True)
    return with_empty_events(table, np.concatenate([empty_ids(part) for part in parts]))


def table_ids(table: pd.DataFrame) -> np.ndarray:
    """The id of each jet's event; see `events`."""
    return event_ids({name: table[name].to_numpy() for name in EVENT_COLUMNS if name in table.columns})


def empty_ids(table: pd.DataFrame) -> np.ndarray:
    """The ids of events without jets."""
    return listed_ids(table.attrs.get("empty_events", []), table_ids(table.head(0)))


def feature_array(table: pd.DataFrame, dtype: DTypeLike = np.float64) -> np.ndarray:
    """The columns m, pt, phi, eta as an array of shape (jets, 4), in GeV and rad."""
    return table[list(FEATURES)].to_numpy(dtype=dtype)


def event_counts(table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Ids of events and jets per event, both of shape (events,), events without jets included.

    Ids are numbers, int64, or records of int64 where there is a `run` or a `luminosityBlock`. Events stand in the order
    of the table. Empty events are merged by id where ids ascend, and follow the others where they do not.
    """
    ids, counts = run_lengths(table_ids(table))
    return merge_empty(ids, counts, empty_ids(table))


def number_of_events(table: pd.DataFrame) -> int:
    """Number of events, those without jets included."""
    return len(event_counts(table)[0])


def wrap_angle(angle: Angles) -> Angles:
    """Angles, or differences of angles, in rad, as NumPy array or torch tensor, brought within +-pi by whole turns.

    What lies within +-pi already stays bit for bit.
    """
    return angle - 2 * np.pi * (angle / (2 * np.pi)).round()


def wrap_phi(phi: np.ndarray) -> np.ndarray:
    """phi with the values within `PHI_TOLERANCE` beyond +-pi wrapped to the other side; others unchanged."""
    with np.errstate(invalid="ignore"):
        beyond = np.abs(phi) - np.float32(np.pi)
        wrap = (beyond > 0) & (np.abs(phi.astype(np.float64)) <= np.pi + PHI_TOLERANCE)
    if not wrap.any():
        return phi
    return np.where(wrap, (phi - np.sign(phi) * 2 * np.pi).astype(phi.dtype), phi)


def within_cuts(
    pt: np.ndarray, eta: np.ndarray, pt_min: float | None = None, eta_max: float | None = None
) -> np.ndarray:
    """Whether jets are not cut away: by pt < `pt_min` or |eta| > `eta_max`, which NaN is not.

    JetError for a cut that is no number, or negative.
    """
    for name, cut in (("pt_min", pt_min), ("eta_max", eta_max)):
        if cut is not None and not 0 <= cut < np.inf:
            raise JetError(f"{name}: expected a number that is not negative, found {cut}")
    keep = np.ones(len(pt), dtype=bool)
    if pt_min is not None:
        keep &= ~(pt < pt_min)
    if eta_max is not None:
        keep &= ~(np.abs(eta) > eta_max)
    return keep


def select_jets(table: pd.DataFrame, pt_min: float | None = None, eta_max: float | None = None) -> pd.DataFrame:
    """The jets with pt >= `pt_min` GeV and |eta| <= `eta_max`, and all events; JetError for a cut that is no number."""
    keep = within_cuts(table["pt"].to_numpy(), table["eta"].to_numpy(), pt_min, eta_max)
    if keep.all():
        return table
    ids, counts = event_counts(table)
    left = np.bincount(np.repeat(np.arange(len(ids)), counts)[keep], minlength=len(ids))
    return with_empty_events(table[keep], ids[left == 0])


def cut_table(table: pd.DataFrame, chunk_jets: int) -> Iterator[pd.DataFrame]:
    """A table in chunks, cut behind the first event that fills one; events without jets stay with those before."""
    numbers, counts = event_counts(table)
    ends = np.cumsum(counts)
    first_event = first_jet = 0
    while first_event < len(numbers):
        filling = min(int(np.searchsorted(ends, first_jet + chunk_jets)), len(ends) - 1)
        last = int(np.searchsorted(ends, ends[filling], side="right"))
        jets = int(ends[last - 1])
        empty = numbers[first_event:last][counts[first_event:last] == 0]
        yield with_empty_events(table.iloc[first_jet:jets], empty)
        first_event, first_jet = last, jets
