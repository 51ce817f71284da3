"""The jet table: one jet a row, columns event, m, pt, phi, eta, in GeV and rad.

A jet table is a pandas DataFrame with an int64 column `event` and float32 columns `m, pt, phi, eta`; the jets of
one event stand together. Events without a jet have no row: their numbers are listed in
`table.attrs["empty_events"]`, so that efficiencies and files with one entry per event stay possible.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, DTypeLike

FEATURES = ("m", "pt", "phi", "eta")

UNITS = {"m": "GeV", "pt": "GeV", "phi": "rad", "eta": ""}

COLUMNS = ("event", *FEATURES)

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
    event: ArrayLike | None = None,
    empty_events: Iterable[int] = (),
) -> pd.DataFrame:
    """Build a jet table from columns (GeV, rad), without checking the values.

    Without `event` every jet is an event of its own, numbered from 0.

    >>> make_table(m=[5, 10], pt=[50, 100], phi=[0.1, -3], eta=[0, 2], event=[7, 7])["pt"].tolist()
    [50.0, 100.0]
    """
    columns = {name: np.asarray(column) for name, column in zip(FEATURES, (m, pt, phi, eta), strict=True)}
    lengths = {name: len(column) for name, column in columns.items()}
    numbers = np.arange(lengths["m"]) if event is None else np.asarray(event)
    lengths["event"] = len(numbers)
    if len(set(lengths.values())) > 1:
        raise JetError(f"columns of different lengths: {lengths}")
    table = pd.DataFrame({"event": np.asarray(numbers, dtype=np.int64)})
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


def feature_array(table: pd.DataFrame, dtype: DTypeLike = np.float64) -> np.ndarray:
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


def merge_empty(numbers: np.ndarray, counts: np.ndarray, empty: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
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


def wrap_angle(angle: Angles) -> Angles:
    """Angles, or differences of angles, in rad, as NumPy array or torch tensor, brought within +-pi by whole turns.

    What lies within +-pi already stays bit for bit.
    """
    return angle - 2 * np.pi * (angle / (2 * np.pi)).round()


def wrap_phi(phi: np.ndarray) -> np.ndarray:
    """phi with the values within `PHI_TOLERANCE` beyond +-pi wrapped to the other side; others unchanged."""
    beyond = np.abs(phi) - np.float32(np.pi)
    with np.errstate(invalid="ignore"):
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
    chosen = table[keep].reset_index(drop=True)
    numbers, _ = event_counts(table)
    empty = numbers[~np.isin(numbers, chosen["event"].to_numpy())]
    chosen.attrs = {"empty_events": empty.tolist()} if len(empty) else {}
    return chosen


def cut_table(table: pd.DataFrame, chunk_jets: int) -> Iterator[pd.DataFrame]:
    """A table in chunks, cut behind the first event that fills one; events without jets stay with those before."""
    numbers, counts = event_counts(table)
    ends = np.cumsum(counts)
    first_event = first_jet = 0
    while first_event < len(numbers):
        filling = min(int(np.searchsorted(ends, first_jet + chunk_jets)), len(ends) - 1)
        last = int(np.searchsorted(ends, ends[filling], side="right"))
        jets = int(ends[last - 1])
        chunk = table.iloc[first_jet:jets].reset_index(drop=True)
        empty = numbers[first_event:last][counts[first_event:last] == 0]
        chunk.attrs = {"empty_events": empty.tolist()} if len(empty) else {}
        yield chunk
        first_event, first_jet = last, jets
