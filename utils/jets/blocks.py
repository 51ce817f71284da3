"""The jets of an opened file in GeV and rad, events at a time, and what its reader decided on the way."""

import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from utils.jets.formats.note import Digest, check_note
from utils.jets.formats.source import Source
from utils.jets.kinematics import kinematics_of
from utils.jets.sample_units import require_plausible
from utils.jets.table import FEATURES, PHI_TOLERANCE, JetWarning, wrap_phi


@dataclass(frozen=True)
class EventBlock:
    """Jets of successive events of one file: m, pt, phi, eta in GeV and rad, jets per event, ids.

    `flaws` are what the file says is wrong with jets: description -> whether each has it.
    """

    features: list[np.ndarray]
    counts: np.ndarray
    ids: np.ndarray
    flaws: Mapping[str, np.ndarray] = field(default_factory=dict)

    def of_jets(self, kept: np.ndarray) -> "EventBlock":
        """These jets alone, of the same events."""
        if kept.all():
            return self
        owners = np.repeat(np.arange(len(self.counts)), self.counts)
        counts = np.bincount(owners[kept], minlength=len(self.counts))
        flaws = {name: flawed[kept] for name, flawed in self.flaws.items()}
        return EventBlock([column[kept] for column in self.features], counts, self.ids, flaws)


MASKED = "masked (no value in the file)"
"""What is wrong with jets that have no value in the file, which is another thing than NaN."""

SAID = {
    "spacelike": "jets with E^2 < p^2 by rounding: m = 0",
    "restored": "jets without a mass: m from their energy",
    "padding": "places behind the jets of their event are padding: left out",
    "bare": "rows with an event number alone: events without jets",
    "wrapped": "jets with phi above pi, in a column from 0 to 2 pi: 2 pi less",
}
"""What is said of how many jets, when a file was read."""


def read_blocks(
    source: Source, progress: Callable[[int], object] | None = None, unrounded: bool = False
) -> Iterator[EventBlock]:
    """The jets of a file, converted but not checked; events are counted from 0 where the file names none.

    Columns are float32, or with `unrounded` float64 where that has more digits (not of files with this project's note,
    which were float32 when they were written). What is decided on the way is said in JetWarnings.
    """
    if source.units is None:
        raise ValueError(f"{source.name}: no unit was settled for this file")
    digest, phi, said, events = Digest(), _PhiRange(), Counter[str](), 0
    for block in source.read(source.columns.needed):
        if progress is not None:
            progress(block.done)
        values = block.values or {role: np.empty(0) for role in source.columns.needed}
        require_plausible(source, values)
        jets = kinematics_of(values, source.units.by_role)
        jets.features[2], wrapped = phi.wrap(jets.features[2])
        with np.errstate(over="ignore"):
            features = [column.astype(np.float32) for column in jets.features]
        features[2] = wrap_phi(features[2])
        for name, column in zip(FEATURES, features, strict=True):
            _keep_payloads(column, values.get(name))
        digits = jets.features if unrounded and not source.note else features
        digits[2] = wrap_phi(digits[2])
        ids = np.arange(events, events + len(block.counts)) if block.event is None else block.event
        events += len(ids)
        digest.update(features, ids, block.counts)
        said.update(spacelike=jets.spacelike, restored=jets.restored, wrapped=wrapped)
        said.update(padding=block.padding, bare=block.bare)
        flaws = {MASKED: jets.masked, "less energy than momentum": jets.lacking}
        found = [
            few if np.array_equal(few, more, equal_nan=True) else more
            for few, more in zip(features, digits, strict=True)
        ]
        yield EventBlock(found, block.counts, ids, {name: rows for name, rows in flaws.items() if rows.any()})
    notices = [*source.notices]
    notices += [f"{source.name}: {number} {SAID[what]}" for what, number in said.items() if number]
    if source.note and (changed := check_note(source.note, digest, source.name)):
        notices.append(changed)
    for notice in notices:
        warnings.warn(notice, JetWarning, stacklevel=2)


def _keep_payloads(column: np.ndarray, read: np.ndarray | None) -> None:
    """Give the NaNs of a column back the bits that they have in a file of float32, which arithmetic changes."""
    if read is None or isinstance(read, np.ma.MaskedArray) or read.dtype.kind != "f" or read.dtype.itemsize != 4:
        return
    nan = np.isnan(column)
    if nan.any():
        column.view(np.uint32)[nan] = read[nan].astype(np.float32).view(np.uint32)


class _PhiRange:
    """Whether a column of phi goes from 0 to 2 pi: more jets lie beyond pi than below 0, and some in between.

    Values beyond 2 pi on either side are no angles, and have no say.
    """

    def __init__(self) -> None:
        self.below_zero = self.beyond_pi = self.between = 0

    def wrap(self, phi: np.ndarray) -> tuple[np.ndarray, int]:
        """phi within +-pi where the column goes from 0 to 2 pi, and how many that changes; otherwise phi as it is."""
        angles = phi[np.abs(phi) <= 2 * np.pi + PHI_TOLERANCE]
        self.below_zero += int(np.count_nonzero(angles < -PHI_TOLERANCE))
        self.beyond_pi += int(np.count_nonzero(angles > np.pi + PHI_TOLERANCE))
        self.between += int(np.count_nonzero(np.abs(angles - np.pi / 2) <= np.pi / 2))
        beyond = (phi > np.pi + PHI_TOLERANCE) & (phi <= 2 * np.pi + PHI_TOLERANCE)
        if self.beyond_pi <= self.below_zero or not self.between:
            return phi, 0
        return np.where(beyond, phi - 2 * np.pi, phi), int(beyond.sum())
