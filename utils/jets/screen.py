"""Which jets of a file are read: those within the cuts that can be used, or none."""

import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
import pandas as pd

from utils.jets.blocks import MASKED, EventBlock
from utils.jets.checks import find_problems, refuse_jets
from utils.jets.formats.source import Source
from utils.jets.table import FEATURES, JetWarning, make_table, with_empty_events, within_cuts


@dataclass(frozen=True)
class Screen:
    """What the jets of a file must be to be read: within the cuts, and then usable, or else refused or dropped."""

    source: Source
    keep_nonfinite: bool
    drop: bool
    cuts: Mapping[str, float | None]

    def passing(self, blocks: Iterator[EventBlock], tally: Counter[str]) -> Iterator[EventBlock]:
        """The jets of a stream that pass; at its end, a JetWarning says how many were dropped and why."""
        name, first_row, dropped, why = self.source.name, 0, 0, Counter[str]()
        for block in blocks:
            kept = within_cuts(block.features[1], block.features[3], **self.cuts)
            problems = self.problems(block)
            if problems and not self.drop:
                rest = ((table_of(block), self.problems(block)) for block in chain([block], blocks))
                advice = "; --bad-jets drop (bad_jets= in Python) reads the others"
                refuse_jets(rest, name, first_row, advice, {MASKED: self.source.hints})
            cut = len(kept) - int(kept.sum())
            for description, rows in problems.items():
                why[description] += len(rows)
                kept[rows] = False
            left = int(kept.sum())
            tally.update(read=len(kept), cut=cut, dropped=len(kept) - cut - left)
            dropped += len(kept) - cut - left
            first_row += len(kept)
            yield replace(block.of_jets(kept), flaws={})
        if dropped:
            reasons = ", ".join(f"{description} in {number}" for description, number in why.items())
            warnings.warn(f"{name}: {dropped} of {first_row} jets dropped: {reasons}", JetWarning, stacklevel=2)

    def problems(self, block: EventBlock) -> dict[str, np.ndarray]:
        """What is wrong with jets within the cuts: description -> rows."""
        kept = within_cuts(block.features[1], block.features[3], **self.cuts)
        found = block_problems(block, self.source, self.keep_nonfinite)
        return {description: rows[kept[rows]] for description, rows in found.items() if kept[rows].any()}


def block_problems(block: EventBlock, source: Source, keep_nonfinite: bool = False) -> dict[str, np.ndarray]:
    """What is wrong with jets: description -> rows; those that the file itself has no values for are named apart."""
    found = find_problems(table_of(block), keep_nonfinite, source.beam_energy)
    for description, flawed in block.flaws.items():
        if description == MASKED and keep_nonfinite:
            continue
        found = {name: rows[~flawed[rows]] for name, rows in found.items()} | {description: np.flatnonzero(flawed)}
    return {name: rows for name, rows in found.items() if len(rows)}


def table_of(block: EventBlock) -> pd.DataFrame:
    """The jet table of a block, with as many digits as it has."""
    m, pt, phi, eta = block.features
    table = make_table(m, pt, phi, eta, np.repeat(block.ids, block.counts))
    for name, column in zip(FEATURES, block.features, strict=True):
        if column.dtype == np.float64:
            table[name] = column
    return with_empty_events(table, block.ids[block.counts == 0])
