"""What the columns of jets are called: the layouts that are known, and what is found, or asked for, of a file."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from utils.jets.events import EVENT_COLUMNS
from utils.jets.table import JetError
from utils.jets.units import BEAM_ENERGY, unit_in

LAYOUTS: tuple[dict[str, str], ...] = (
    # of NanoAOD, xAOD, Delphes, TreeMaker and most tables, behind Jet_, jets., jet ...
    {"pt": "pt p_t", "eta": "eta", "phi": "phi", "m": "m mass", "e": "e en energy"}
    | {f"p{x}": f"p{x} p_{x}" for x in "xyz"},
    # of EDM4hep (FCC, ILC, CLIC)
    {"px": "momentum.x", "py": "momentum.y", "pz": "momentum.z", "m": "mass", "e": "energy"},
    # of ROOT's LorentzVector in its two systems of coordinates, as TreeMaker has it, and of TLorentzVector
    {f"p{x}": f"fCoordinates.fP{x}" for x in "t"}
    | {"eta": "fCoordinates.fEta", "phi": "fCoordinates.fPhi", "m": "fCoordinates.fM", "e": "fCoordinates.fE"},
    {f"p{x}": f"fCoordinates.f{x.upper()}" for x in "xyz"} | {"m": "fCoordinates.fM", "e": "fCoordinates.fT"},
    {f"p{x}": f"fP.f{x.upper()}" for x in "xyz"} | {"e": "fE"},
    # of records of the library `vector`, as awkward stores them
    {"pt": "rho", "eta": "eta", "phi": "phi", "m": "tau", "e": "t"},
    {"px": "x", "py": "y", "pz": "z", "m": "tau", "e": "t"},
)
"""What the columns of a jet are called behind the name of its collection, by role; capitals do not count.

To add a layout, add a line. Everything else is for `--columns`.
"""

EVENT_WORDS = {
    "run": r"run",
    "luminosityBlock": r"luminosityblock|lumi(block|section|s)?|ls|lbn?",
    "event": r"event|evt",
}
"""What the columns that name an event are called, without underscores, and before `number`, `num`, `no`, `nr`, `id`."""

REQUIRED = (("pt", "eta", "phi", "m"), ("pt", "eta", "phi", "e"), ("px", "py", "pz", "e"), ("px", "py", "pz", "m"))
"""Sets of columns that determine a jet, best first."""

ROLES = ("pt", "eta", "phi", "m", "e", "px", "py", "pz", *EVENT_COLUMNS)
"""What `--columns` can name."""

OTHER_WORDS = {"mass": "m", "energy": "e", "lumi": "luminosityBlock"}

USUAL_NAMES = ("jet", "analysisjets", "jets", "reconstructedjets", "")
"""Collections, in lower case, that are taken without asking where a file holds several; "" is bare columns."""

OTHER_JETS = ("fat", "larger", "gen", "truth", "subjet", "trackjet", "taujet")
"""What the names of jets hold that are another kind of object than jets: they are read only when they are asked for."""

MOMENTA = ("pt", "px", "py", "pz")

FCC_NAMES = re.compile(r"Reconstructed(Jets|Particles)\b.*|.*\.momentum\.[xyz]")
"""Columns of EDM4hep files."""

FCC_BEAM_ENERGY = 50_000.0
"""GeV: no jet at the FCC has more momentum."""


@dataclass(frozen=True)
class Options:
    """What of a file is asked for: its tree, the collection of jets in it, or the columns by role; and how to `read`
    it, by what `READ_OPTIONS` names."""

    tree: str | None = None
    collection: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    read: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class JetColumns:
    """The columns of one collection, role (`m`, `e`, `pt`, ...) -> name in the file, and those of `events`.

    Where an event a row has a column for each of its jets, `{i}` in names stands for the `slots`. `units`, by role, are
    those that the file names, `named_by` says where: its columns, their titles, its format. `beam_energy` is the
    largest momentum, in GeV, of a jet of such a file.
    """

    name: str
    columns: Mapping[str, str]
    events: Mapping[str, str] = field(default_factory=dict)
    slots: tuple[str, ...] = ()
    units: Mapping[str, str] = field(default_factory=dict)
    named_by: str = "named in the columns"
    beam_energy: float = BEAM_ENERGY

    @property
    def roles(self) -> tuple[str, ...] | None:
        """The best set of `REQUIRED` columns that the collection has, None where it is incomplete."""
        return next((roles for roles in REQUIRED if set(roles) <= self.columns.keys()), None)

    @property
    def needed(self) -> dict[str, str]:
        """`columns`, of the roles alone, and of the energy that stands in for a mass that is missing."""
        roles = self.roles or ()
        spare = ("e",) if "m" in roles and "e" in self.columns else ()
        return {role: self.columns[role] for role in (*roles, *spare)}

    @property
    def energies(self) -> list[str]:
        """The roles of `needed` that have a unit of energy."""
        return [role for role in self.needed if role not in ("phi", "eta")]

    @property
    def momenta(self) -> list[str]:
        """Those of `energies` that are momenta."""
        return [role for role in self.energies if role in MOMENTA]

    @property
    def is_jet(self) -> bool:
        """Whether the name says that these are jets, or says nothing."""
        return self.name in ("", "j{i}") or "jet" in self.name.lower()

    @property
    def looks_like_jets(self) -> bool:
        """Whether these are jets, complete or not: called jets, or nothing, with a momentum and its direction."""
        return self.is_jet and "." not in self.name and len({"phi", "eta", *MOMENTA} & self.columns.keys()) >= 2

    @property
    def as_option(self) -> str:
        """The columns as `--columns` takes them."""
        return ",".join(f"{role}={name}" for role, name in {**self.needed, **self.events}.items())

    def in_file(self, name: str) -> list[str]:
        """The columns of the file that a name stands for."""
        return [name.replace("{i}", slot) for slot in self.slots] if "{i}" in name else [name]

    def with_titles(self, titles: Mapping[str, str]) -> "JetColumns":
        """With the units that titles, or descriptions or attributes, of columns name where the columns do not."""
        firsts = {role: self.in_file(self.columns[role])[0] for role in self.energies if role not in self.units}
        found = {role: unit for role, name in firsts.items() if (unit := unit_in(titles.get(name, "")))}
        if not found:
            return self
        return replace(self, units={**self.units, **found}, named_by="named beside the columns")


def parse_columns(given: str | Mapping[str, str]) -> dict[str, str]:
    """Columns by role from `pt=jetPt,eta=jetEta,...`, or from a mapping; JetError for a role that there is not.

    >>> parse_columns("pt=jetPt, mass=jet mass, corrected")
    {'pt': 'jetPt', 'm': 'jet mass, corrected'}
    """
    pairs = _pairs(given) if isinstance(given, str) else list(given.items())
    known = {role.lower(): role for role in ROLES} | OTHER_WORDS
    found: dict[str, str] = {}
    for word, name in pairs:
        role = known.get(word.lower())
        if role is None or not name:
            raise JetError(f"columns: expected one of {', '.join(ROLES)} = a column, found {word!r} = {name!r}")
        if found.setdefault(role, name) != name:
            raise JetError(f"columns: {role} is named twice, as {found[role]} and as {name}")
    return found


def parse_padding(given: str) -> dict[str, float]:
    """What the places of no jet hold, by role, from `pt=-999,eta=0`; JetError for what is no number.

    >>> parse_padding("pt=-999, eta=nan")
    {'pt': -999.0, 'eta': nan}
    """
    found = parse_columns(given)
    try:
        return {role: float(value) for role, value in found.items()}
    except ValueError as error:
        raise JetError(f"padding: expected a number for each, as pt=-999,eta=0, found {given!r}") from error


def _pairs(text: str) -> list[tuple[str, str]]:
    """What stands on both sides of the first = in each part; a comma begins a part where a word and = follow."""
    parts = [part.partition("=") for part in re.split(r",(?=\s*\w+\s*=)", text)]
    return [(role.strip(), name.strip()) for role, _, name in parts]
