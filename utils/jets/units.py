"""Units of energy that files of jets use, where they are named, and the arguments that say how to read a file."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypedDict

PER_GEV = {"GeV": 1.0, "MeV": 1000.0, "TeV": 0.001}

BAD_JETS = ("refuse", "drop")
"""What is done with a file in which jets cannot be used: it is refused, or read without them."""

BEAM_ENERGY = 7000.0
"""GeV: no jet has more momentum than a proton of the LHC has energy, so that one above it is wrong, or its unit is."""

UNIT = r"(?P<unit>[gmt]ev)(?:/c(?:\^?2)?)?"

_TITLE = re.compile(
    rf"\s*{UNIT}\s*|.*[\[(]\s*{UNIT.replace('unit', 'bracketed')}\s*[\])].*|"
    rf".*\bin\s+{UNIT.replace('unit', 'in')}\b.*",
    re.IGNORECASE | re.DOTALL,
)


@dataclass(frozen=True)
class Units:
    """The unit of each column of energies, by role, and why; `guessed` where the jets alone tell."""

    by_role: Mapping[str, str]
    why: str
    guessed: bool = False

    def __str__(self) -> str:
        if len(set(self.by_role.values())) == 1:
            return next(iter(self.by_role.values()))
        return ", ".join(f"{unit} of {role}" for role, unit in self.by_role.items())


Layout = tuple[str | None, ...]
"""The tree and the columns of a file: files that agree in them belong together."""

Decided = Mapping[Layout, Units]
"""Units that were decided for the files of a sample."""


class Reading(TypedDict, total=False):
    """Arguments of `iter_jets`, where they are described, that everything which reads jets takes."""

    tree: str | None
    collection: str | None
    columns: str | Mapping[str, str] | None
    padding: Mapping[str, float] | None
    read: Mapping[str, Any] | None
    unit: str | Decided | None
    beam_energy: float | None
    bad_jets: str
    pt_min: float | None
    eta_max: float | None
    entries: tuple[int, int] | None


def unit_name(text: str) -> str | None:
    """The unit that `text` is, however it is written.

    >>> unit_name("gev/c^2"), unit_name("rad")
    ('GeV', None)
    """
    return {unit.lower(): unit for unit in PER_GEV}.get(text.lower().split("/")[0])


def unit_in(title: str) -> str | None:
    """The unit that a title, a description or an attribute names.

    >>> unit_in("jet pt [MeV]"), unit_in("Jets, in GeV and rad"), unit_in("GeV"), unit_in("jet pt>25 GeV")
    ('MeV', 'GeV', 'GeV', None)
    """
    match = _TITLE.fullmatch(title)
    return unit_name(next(filter(None, match.groups()))) if match else None
