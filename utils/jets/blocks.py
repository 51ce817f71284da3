"""The jets of an opened file in GeV and rad, events at a time: which unit the file uses, and what its note says."""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from utils.jets.formats.layouts import features_of
from utils.jets.formats.note import Digest, check_note
from utils.jets.formats.source import Block, Source
from utils.jets.table import CHUNK_JETS, MEV_FROM, JetError, JetWarning, wrap_phi
from utils.jets.units import PER_GEV


@dataclass(frozen=True)
class EventBlock:
    """Jets of successive events of one file: m, pt, phi, eta in GeV and rad (float32), jets per event, numbers.

    `unit` is the unit that the file uses.
    """

    features: list[np.ndarray]
    counts: np.ndarray
    numbers: np.ndarray
    unit: str


def read_blocks(
    source: Source, unit: str | None = None, progress: Callable[[int], object] | None = None
) -> Iterator[EventBlock]:
    """The jets of a file, converted but not checked; numbers are counted from 0 where the file has none.

    The unit is `unit`, or what the file or its format says, or guessed from the smallest pt. What is decided on the
    way is said in JetWarnings.
    """
    for notice in source.notices:
        warnings.warn(notice, JetWarning, stacklevel=2)
    blocks = source.read(source.columns.needed)
    unit = unit or (source.note or {}).get("unit") or source.unit
    guessed = unit is None
    if guessed:
        unit, blocks = _guess_unit(blocks, source)
    digest, spacelike, events = Digest(), 0, 0
    for block in blocks:
        if progress is not None:
            progress(block.done)
        values = block.values or {role: np.empty(0) for role in source.columns.needed}
        if guessed and unit == "MeV" and len(_pt(values)) and np.nanmin(_pt(values)) <= MEV_FROM:
            raise JetError(
                f"{source.name}: the first jets look like MeV, pt above {MEV_FROM:g}, but then pt = "
                f"{np.nanmin(_pt(values)):g} turns up; give the unit with --unit (unit= in Python)"
            )
        features, hidden = features_of(values, PER_GEV[str(unit)], source.name)
        features[2] = wrap_phi(features[2])
        spacelike += hidden
        numbers = np.arange(events, events + len(block.counts)) if block.event is None else block.event
        events += len(numbers)
        digest.update(features, numbers, block.counts)
        yield EventBlock(features, block.counts, numbers, str(unit))
    if spacelike:
        warnings.warn(f"{source.name}: {spacelike} jets with E^2 < p^2 by rounding: m = 0", JetWarning, stacklevel=2)
    changed = check_note(source.note, digest, source.name) if source.note else None
    if changed:
        warnings.warn(changed, JetWarning, stacklevel=2)


def unit_of(source: Source) -> str:
    """The unit of a file: what it or its format says, or else a guess from its first jets."""
    return (source.note or {}).get("unit") or source.unit or _guess_unit(source.read(source.columns.needed), source)[0]


def _guess_unit(blocks: Iterator[Block], source: Source) -> tuple[str, Iterator[Block]]:
    """MeV where the smallest of the first pt is above `MEV_FROM`, otherwise GeV; and all blocks again."""
    seen: list[Block] = []
    jets, smallest = 0, np.inf
    for block in blocks:
        seen.append(block)
        pt = _pt(block.values)
        jets += len(pt)
        smallest = np.fmin(smallest, np.nanmin(pt)) if len(pt) and not np.isnan(pt).all() else smallest
        if jets >= CHUNK_JETS or smallest <= MEV_FROM:
            break
    unit = "MeV" if MEV_FROM < smallest < np.inf else "GeV"
    if unit == "MeV":
        warnings.warn(
            f"{source.name}: taken to be in MeV, since the smallest pt is {smallest:g}; --unit GeV (unit= in Python) "
            "says otherwise",
            JetWarning,
            stacklevel=3,
        )

    def again() -> Iterator[Block]:
        yield from seen
        yield from blocks

    return unit, again()


def _pt(values: dict[str, np.ndarray]) -> np.ndarray:
    if "pt" in values or not values:
        return values.get("pt", np.empty(0))
    return np.hypot(values["px"], values["py"])
