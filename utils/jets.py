"""The jet table: one jet a row, columns event, m, pt, phi, eta, in GeV and rad.

A jet table is a pandas DataFrame with an int64 column `event` and float32 columns `m, pt, phi, eta`; the jets of
one event stand together. Events without a jet have no row: their numbers are listed in
`table.attrs["empty_events"]`, so that efficiencies and files with one entry per event stay possible.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

FEATURES = ("m", "pt", "phi", "eta")
UNITS = {"m": "GeV", "pt": "GeV", "phi": "rad", "eta": ""}
COLUMNS = ("event", *FEATURES)
MASSLESS = 1e-3
"""Jets with |m| below this, in GeV, count as massless: a relative mass residual says nothing of them."""

PHI_TOLERANCE = 1e-4
"""|phi| may exceed pi by this much, in rad, from rounding; it is then wrapped."""


class JetError(ValueError):
    """Jets that the project cannot use; the message names the source, the column and the rows."""


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
    for name, column in columns.items():
        table[name] = column.astype(np.float32)
    empty = [int(number) for number in empty_events]
    if empty:
        table.attrs["empty_events"] = empty
    return table


def feature_array(table: pd.DataFrame, dtype: Any = np.float64) -> np.ndarray:
    """The columns m, pt, phi, eta as an array of shape (jets, 4), in GeV and rad."""
    return table[list(FEATURES)].to_numpy(dtype=dtype)


def event_counts(table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Event numbers and jets per event, both int64 of shape (events,), events without jets included.

    Events stand in the order of the table. Empty events are merged by number where the numbers ascend, and follow
    the others where they do not.
    """
    event = table["event"].to_numpy()
    starts = np.flatnonzero(np.diff(event, prepend=event[:1] - 1)) if len(event) else np.empty(0, np.int64)
    numbers = event[starts]
    counts = np.diff(starts, append=len(event))
    empty = np.asarray(table.attrs.get("empty_events", []), dtype=np.int64)
    if len(empty) == 0:
        return numbers, counts
    ascending = bool(np.all(np.diff(numbers) > 0))
    numbers = np.concatenate([numbers, empty])
    counts = np.concatenate([counts, np.zeros(len(empty), np.int64)])
    if ascending:
        order = np.argsort(numbers, kind="stable")
        numbers, counts = numbers[order], counts[order]
    return numbers, counts


def number_of_events(table: pd.DataFrame) -> int:
    """Number of events, those without jets included."""
    return len(event_counts(table)[0])


def read_jets(path: str | Path) -> pd.DataFrame:
    """Read a jet table from a Parquet file."""
    return pd.read_parquet(path)[list(COLUMNS)]
