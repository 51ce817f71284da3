"""What identifies an event: run, luminosity block and number, as far as a file has them.

Ids of events are arrays of shape (events,): plain int64 where there is only the number, records of int64 otherwise.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

EVENT_COLUMNS = ("run", "luminosityBlock", "event")
"""Columns that identify an event together: the last always, the others where a file has them."""


def event_ids(columns: Mapping[str, Any] | pd.DataFrame | np.ndarray) -> np.ndarray:
    """Ids from columns by name, of which those that are no `EVENT_COLUMNS` are left aside.

    >>> event_ids({"event": [7, 8]}).tolist(), event_ids({"event": [7, 8], "run": [1, 1], "pt": [30, 40]}).tolist()
    ([7, 8], [(1, 7), (1, 8)])
    """
    there = columns.dtype.names or () if isinstance(columns, np.ndarray) else columns
    present = [name for name in EVENT_COLUMNS if name in there]
    if present == ["event"]:
        return np.asarray(columns["event"], np.int64)
    ids = np.empty(len(columns["event"]), [(name, np.int64) for name in present])
    for name in present:
        ids[name] = columns[name]
    return ids


def event_columns(ids: np.ndarray) -> dict[str, np.ndarray]:
    """The columns of ids, by name."""
    return {name: ids[name] for name in ids.dtype.names} if ids.dtype.names else {"event": ids}


def listed_ids(listed: ArrayLike | Iterable[Any], like: np.ndarray) -> np.ndarray:
    """Ids from a list of numbers, or of one number for each column, of the type of others."""
    if isinstance(listed, np.ndarray):
        return listed.astype(like.dtype)
    rows = list(listed)  # type: ignore[arg-type]
    return np.array([tuple(row) for row in rows] if like.dtype.names else rows, like.dtype)


def are_ascending(ids: np.ndarray) -> bool:
    """Whether every id is above the one before: by run, then by luminosity block, then by number."""
    above = np.zeros(max(0, len(ids) - 1), bool)
    for column in reversed(event_columns(ids).values()):
        above = (column[1:] > column[:-1]) | ((column[1:] == column[:-1]) & above)
    return bool(above.all())


def sort_ids(ids: np.ndarray) -> np.ndarray:
    """The order, as indices, in which ids ascend; equal ones stay as they stand."""
    return np.lexsort([*event_columns(ids).values()][::-1])


def repeated_ids(ids: np.ndarray) -> np.ndarray:
    """The ids that turn up again, once for each time that they do."""
    if are_ascending(ids):
        return ids[:0]
    ids = ids[sort_ids(ids)]
    return ids[1:][ids[1:] == ids[:-1]]


def run_lengths(ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The ids of successive jets as (id, jets in a row), both of shape (events,)."""
    starts = np.flatnonzero(np.concatenate([[True], ids[1:] != ids[:-1]])) if len(ids) else np.empty(0, np.int64)
    return ids[starts], np.diff(starts, append=len(ids))


def merge_empty(ids: np.ndarray, counts: np.ndarray, empty: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Add events without jets: by id where ids ascend, behind the others where they do not."""
    if len(empty) == 0:
        return ids, counts
    ascending = are_ascending(ids)
    ids = np.concatenate([ids, empty])
    counts = np.concatenate([counts, np.zeros(len(empty), np.int64)])
    order = sort_ids(ids) if ascending else slice(None)
    return ids[order], counts[order]


class EventIds:
    """The ids of a stream, to be told at its end whether each stood for one event; 8 bytes a column of an event."""

    def __init__(self) -> None:
        self.parts: list[np.ndarray] = []
        self.ascending = True

    def add(self, ids: np.ndarray) -> None:
        """Count the events that follow."""
        if len(ids):
            before = [self.parts[-1][-1:]] if self.parts else []
            self.ascending = self.ascending and are_ascending(np.concatenate([*before, ids]))
            self.parts.append(ids)

    def repeated(self) -> np.ndarray:
        """The ids that stood for two events."""
        return np.empty(0, np.int64) if self.ascending else repeated_ids(np.concatenate(self.parts))
