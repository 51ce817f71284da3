"""Which columns of a file are jets, and how they become m, pt, phi, eta in GeV and rad."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from utils.jets.table import JetError
from utils.jets.units import BEAM_ENERGY, PER_GEV, UNIT, unit_in, unit_name
from utils.text import listing

ROLES = {"mass": "m", "energy": "e"} | {name: name for name in ("m", "e", "pt", "phi", "eta", "px", "py", "pz")}

REQUIRED = (("pt", "eta", "phi", "m"), ("pt", "eta", "phi", "e"), ("px", "py", "pz", "e"), ("px", "py", "pz", "m"))
"""Sets of columns that determine a jet, best first."""

USUAL_NAMES = ("jet", "analysisjets", "jets", "")
"""Collections, in lower case, that are taken without asking where a file holds several; "" is bare columns."""

OTHER_JETS = ("fat", "larger", "gen", "truth", "subjet", "trackjet", "taujet")
"""What the names of jets hold that are another kind of object than jets: they are read only when they are asked for."""

MOMENTA = ("pt", "px", "py", "pz")

FCC_NAMES = re.compile(r"Reconstructed(Jets|Particles)\b.*|.*\.momentum\.[xyz]")
"""Columns of EDM4hep files."""

FCC_BEAM_ENERGY = 50_000.0
"""GeV: no jet at the FCC has more momentum."""

EVENT_NAMES = ("event", "eventnumber", "eventid", "evt", "evtnum")

SPACELIKE_TOLERANCE = 1e-3
"""E^2 may lie below p^2 by this fraction of it, from rounding (six digits of text leave 1e-5); the mass is then 0."""

_COLUMN = re.compile(
    rf"(?P<prefix>|.*[_.:/ ])(?P<role>{'|'.join(ROLES)})(?:[_ ,/]*(?:in[_ ])?[\[(]?(?:{UNIT}|rad)[\])]?)?",
    re.IGNORECASE,
)

_EVENT = re.compile(r"(?P<prefix>|.*[.:/])(?P<name>[^.:/]+)")

_XAOD = re.compile(r"(.*)Aux(?:Dyn)?[.:]+(.*)")


@dataclass(frozen=True)
class JetColumns:
    """The columns of one collection: role (`m`, `e`, `pt`, ...) -> name in the file.

    `units`, by role, are those that the file names, `named_by` says where: its columns, their titles, its format.
    `beam_energy` is the largest momentum, in GeV, of a jet of such a file.
    """

    name: str
    columns: Mapping[str, str]
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
        return self.name == "" or "jet" in self.name.lower()

    def with_titles(self, titles: Mapping[str, str]) -> "JetColumns":
        """With the units that titles, or descriptions or attributes, of columns name where the columns do not."""
        told = {role: unit_in(titles.get(self.columns[role], "")) for role in self.energies if role not in self.units}
        found = {role: unit for role, unit in told.items() if unit}
        if not found:
            return self
        return replace(self, units={**self.units, **found}, named_by="named beside the columns")


def find_collections(names: Iterable[str]) -> dict[str, JetColumns]:
    """Group column names by their prefix: `Jet_pt`, `AnalysisJetsAuxDyn.pt` or `jets/pt [GeV]`, complete or not."""
    found: dict[str, JetColumns] = {}
    names = list(names)
    counters = {f"n{name}" for name in names}
    beam_energy = FCC_BEAM_ENERGY if any(FCC_NAMES.fullmatch(name) for name in names) else BEAM_ENERGY
    for name in names:
        if name in counters:
            continue
        match = _COLUMN.fullmatch(name)
        if match is None:
            continue
        collection, unit = match["prefix"].rstrip("_.:/ "), unit_name(match["unit"] or "")
        if xaod := _XAOD.fullmatch(match["prefix"]):
            collection = ".".join(part for part in (xaod[1], xaod[2].rstrip("_")) if part)
            unit = "MeV"
        role = ROLES[match["role"].lower()]
        before = found.get(collection, JetColumns(collection, {}, beam_energy=beam_energy))
        if role not in before.columns:
            units = {**before.units, role: unit} if unit and role not in ("phi", "eta") else before.units
            named_by = "the unit of xAOD" if xaod else before.named_by
            columns = {**before.columns, role: name}
            found[collection] = replace(before, columns=columns, units=units, named_by=named_by)
    return found


def looks_like_jets(columns: JetColumns) -> bool:
    """Whether columns are jets, complete or not: called jets, or nothing, with a momentum and its direction."""
    kinematic = {"phi", "eta", *MOMENTA} & columns.columns.keys()
    return columns.is_jet and "." not in columns.name and len(kinematic) >= 2


def holds_jets(names: Iterable[str]) -> bool:
    """Whether there are jets among the columns, complete or not where they are called jets."""
    return any(
        looks_like_jets(columns) and (columns.name != "" or columns.roles is not None)
        for columns in find_collections(names).values()
    )


def choose_collection(names: Iterable[str], wanted: str | None, source: str) -> JetColumns:
    """The collection called `wanted`, or else the one that is plainly jets; JetError lists what there is.

    What is called jets but lacks a column is an error: another collection is not taken in its place.
    """
    names = list(names)
    found = find_collections(names)
    complete = {name: columns for name, columns in found.items() if columns.roles}
    if wanted is not None:
        matching = [columns for name, columns in found.items() if _same_collection(name, wanted)]
        matching = [columns for columns in matching if columns.roles] or matching
        if not matching:
            raise JetError(f"{source}: no collection {wanted!r}; those there are: {_collection_list(complete, names)}")
        return _require_complete(matching[0], names, source)
    jets = [columns for columns in found.values() if columns.roles or (columns.name and looks_like_jets(columns))]
    for usual in USUAL_NAMES:
        for columns in jets:
            if columns.name.lower() == usual:
                return _require_complete(columns, names, source)
    jets = [columns for columns in jets if looks_like_jets(columns) and not _is_other(columns.name)]
    if len(jets) == 1:
        return _require_complete(jets[0], names, source)
    if jets:
        raise JetError(
            f"{source}: several collections of jets; choose one with --collection (collection= in Python): "
            f"{_collection_list(jets_by_name(jets), names)}"
        )
    if complete:
        raise JetError(
            f"{source}: no collection is called jets; choose one with --collection (collection= in Python): "
            f"{_collection_list(complete, names)}"
        )
    partial = [columns for name, columns in found.items() if name == "" or "jet" in name.lower()]
    best = max(partial, key=lambda columns: len(columns.columns), default=JetColumns("", {}))
    return _require_complete(best, names, source)


def _is_other(name: str) -> bool:
    return any(word in name.lower() for word in OTHER_JETS)


def find_event_column(names: Iterable[str], columns: JetColumns) -> str | None:
    """The column of event numbers: beside the jets' own, alone, or of `EventInfoAux`; None where there is none."""
    beside = {match["prefix"] for name in columns.columns.values() if (match := _COLUMN.fullmatch(name))}
    names, found = list(names), {}
    for name in names:
        match = _EVENT.fullmatch(name)
        if any(other.startswith((f"{name}/", f"{name}.", f"{name}_size")) for other in names):
            continue  # records about the event, as in Delphes
        if match is not None and match["name"].lower().replace("_", "") in EVENT_NAMES:
            found[match["prefix"]] = name
    for prefix in sorted(found, key=lambda prefix: (prefix not in beside, prefix != "")):
        if prefix in ("", *beside) or prefix.startswith("EventInfo"):
            return found[prefix]
    return None


@dataclass(frozen=True)
class Kinematics:
    """m, pt, phi, eta of jets in GeV and rad, float64, and what is wrong with jets that are no numbers.

    `masked` jets have no value in the file; those that are `lacking` have less energy than momentum. `spacelike` ones,
    in number, had E^2 < p^2 by rounding, and `restored` ones had no mass but an energy.
    """

    features: list[np.ndarray]
    masked: np.ndarray
    lacking: np.ndarray
    spacelike: int
    restored: int


def find_counter(names: Iterable[str], columns: JetColumns) -> str | None:
    """The column that counts the jets of an event, such as `njets` beside `jet_pt`."""
    stem = columns.name.lower().replace("_", "").removesuffix("s") or "jet"
    counters = {f"{word}{stem}{plural}" for word in ("n", "num") for plural in ("", "s")} | {f"{stem}n", f"{stem}sn"}
    return next((name for name in names if name.lower().replace("_", "") in counters), None)


def kinematics_of(values: Mapping[str, np.ndarray], units: Mapping[str, str]) -> Kinematics:
    """Jets from the columns of a collection, whose energies are in `units` by role.

    From an energy, where there is no mass, m = sqrt(E^2 - p^2). Where E^2 < p^2 within `SPACELIKE_TOLERANCE`, rounding
    hides a mass that is too small to see: m = 0.
    """
    per_gev = PER_GEV[next(iter(units.values()))]
    wide, masks = {}, {}
    for role, column in values.items():
        wide[role] = np.ma.filled(np.ma.asarray(column, np.float64), np.nan)
        masks[role] = np.ma.getmaskarray(column)
        if role in units and PER_GEV[units[role]] != per_gev:
            wide[role] = wide[role] * (per_gev / PER_GEV[units[role]])
    with np.errstate(all="ignore"):
        if "pt" in wide:
            pt, phi, eta = wide["pt"], wide["phi"], wide["eta"]
        else:
            pt = np.hypot(wide["px"], wide["py"])
            phi, eta = np.arctan2(wide["py"], wide["px"]), np.arcsinh(wide["pz"] / pt)
        m = wide.get("m", np.full(len(pt), np.nan))
        lacking = np.zeros(len(pt), bool)
        spacelike = restored = 0
        if "e" in wide and (unknown := np.isnan(m)).any():
            p2 = (pt * np.cosh(eta)) ** 2 if "pt" in wide else wide["px"] ** 2 + wide["py"] ** 2 + wide["pz"] ** 2
            m2 = wide["e"] ** 2 - p2
            lacking = unknown & ((m2 < -SPACELIKE_TOLERANCE * p2) | (wide["e"] < 0))
            spacelike = int(np.count_nonzero(unknown & ~lacking & (m2 < 0)))
            m = np.where(unknown, np.sqrt(np.where((m2 < 0) & ~lacking, 0.0, m2)), m)
            m[lacking] = np.nan
            restored = int(np.count_nonzero(unknown & np.isfinite(m))) if "m" in wide else 0
        for role in {"m", "e"} & masks.keys():
            masks[role] = masks[role] & np.isnan(m)
        masked = np.any(list(masks.values()), axis=0)
        return Kinematics([m / per_gev, pt / per_gev, phi, eta], masked, lacking, spacelike, restored)


def jets_by_name(collections: Iterable[JetColumns]) -> dict[str, JetColumns]:
    """Collections as a mapping from their names."""
    return {columns.name: columns for columns in collections}


def _same_collection(name: str, wanted: str) -> bool:
    bare = re.sub(r"Aux(?:Dyn)?$", "", wanted.rstrip("_.:/ "))
    return name.lower() in (bare.lower(), wanted.lower())


def _require_complete(columns: JetColumns, names: list[str], source: str) -> JetColumns:
    if columns.roles:
        return columns
    lacking = min(([role for role in roles if role not in columns.columns] for roles in REQUIRED), key=len)
    which = f"collection {columns.name!r}: " if columns.name else ""
    complete = [name or "(bare columns)" for name, other in find_collections(names).items() if other.roles]
    others = f"complete are {listing(complete)}, which --collection takes (collection= in Python); " if complete else ""
    raise JetError(
        f"{source}: {which}missing columns {', '.join(lacking)}, beside {listing(columns.columns.values())}; expected "
        f"pt, eta, phi and m (or E), or px, py, pz and E, behind one prefix; {others}those there are: {listing(names)}"
    )


def _collection_list(complete: Mapping[str, JetColumns], names: list[str]) -> str:
    if not complete:
        return f"none; columns: {listing(names)}"
    return listing(name or "(bare columns)" for name in complete)
