"""Which columns of a file are jets, and how they become m, pt, phi, eta in GeV and rad."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from utils.jets.table import JetError
from utils.text import listing

ROLES = {"mass": "m", "energy": "e"} | {name: name for name in ("m", "e", "pt", "phi", "eta", "px", "py", "pz")}

REQUIRED = (("pt", "eta", "phi", "m"), ("pt", "eta", "phi", "e"), ("px", "py", "pz", "e"), ("px", "py", "pz", "m"))
"""Sets of columns that determine a jet, best first."""

USUAL_NAMES = ("jet", "analysisjets", "jets", "")
"""Collections, in lower case, that are taken without asking where a file holds several; "" is bare columns."""

EVENT_NAMES = ("event", "eventnumber", "eventid", "evt", "evtnum")

SPACELIKE_TOLERANCE = 1e-3
"""E^2 may lie below p^2 by this fraction of it, from rounding (six digits of text leave 1e-5); the mass is then 0."""

_COLUMN = re.compile(
    rf"(?P<prefix>|.*[_.:/ ])(?P<role>{'|'.join(ROLES)})(?:[_ ]?[\[(]?(?P<unit>[gm]ev|rad)[\])]?)?", re.IGNORECASE
)

_EVENT = re.compile(r"(?P<prefix>|.*[.:/])(?P<name>[^.:/]+)")

_XAOD = re.compile(r"(.*)Aux(?:Dyn)?[.:]+(.*)")


@dataclass(frozen=True)
class JetColumns:
    """The columns of one collection: role (`m`, `e`, `pt`, ...) -> name in the file, and the unit, where names tell."""

    name: str
    columns: Mapping[str, str]
    unit: str | None = None

    @property
    def roles(self) -> tuple[str, ...] | None:
        """The best set of `REQUIRED` columns that the collection has, None where it is incomplete."""
        return next((roles for roles in REQUIRED if set(roles) <= self.columns.keys()), None)

    @property
    def needed(self) -> dict[str, str]:
        """`columns`, of the roles alone."""
        return {role: self.columns[role] for role in self.roles or ()}


def find_collections(names: Iterable[str]) -> dict[str, JetColumns]:
    """Group column names by their prefix: `Jet_pt`, `AnalysisJetsAuxDyn.pt` or `jets/pt [GeV]`, complete or not."""
    found: dict[str, JetColumns] = {}
    names = list(names)
    counters = {f"n{name}" for name in names}
    for name in names:
        if name in counters:
            continue
        match = _COLUMN.fullmatch(name)
        if match is None:
            continue
        collection, unit = match["prefix"].rstrip("_.:/ "), (match["unit"] or "").lower()
        if xaod := _XAOD.fullmatch(match["prefix"]):
            collection = ".".join(part for part in (xaod[1], xaod[2].rstrip("_")) if part)
            unit = "mev"
        role = ROLES[match["role"].lower()]
        before = found.get(collection, JetColumns(collection, {}))
        if role not in before.columns:
            known = {"gev": "GeV", "mev": "MeV"}.get(unit, before.unit)
            found[collection] = JetColumns(collection, {**before.columns, role: name}, known)
    return found


def choose_collection(names: Iterable[str], wanted: str | None, source: str) -> JetColumns:
    """The collection called `wanted`, or else the one that is plainly jets; JetError lists what there is."""
    names = list(names)
    found = find_collections(names)
    complete = {name: columns for name, columns in found.items() if columns.roles}
    if wanted is not None:
        matching = [columns for name, columns in found.items() if _same_collection(name, wanted)]
        matching = [columns for columns in matching if columns.roles] or matching
        if not matching:
            raise JetError(f"{source}: no collection {wanted!r}; those there are: {_collection_list(complete, names)}")
        return _require_complete(matching[0], names, source)
    for usual in USUAL_NAMES:
        for name, columns in complete.items():
            if name.lower() == usual:
                return columns
    jets = [columns for name, columns in complete.items() if "jet" in name.lower() and "." not in name]
    if len(jets) == 1:
        return jets[0]
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


def find_event_column(names: Iterable[str], columns: JetColumns) -> str | None:
    """The column of event numbers: beside the jets' own, alone, or of `EventInfoAux`; None where there is none."""
    beside = {match["prefix"] for name in columns.columns.values() if (match := _COLUMN.fullmatch(name))}
    found = {}
    for name in names:
        match = _EVENT.fullmatch(name)
        if match is not None and match["name"].lower().replace("_", "") in EVENT_NAMES:
            found[match["prefix"]] = name
    for prefix in sorted(found, key=lambda prefix: (prefix not in beside, prefix != "")):
        if prefix in ("", *beside) or prefix.startswith("EventInfo"):
            return found[prefix]
    return None


def features_of(values: Mapping[str, np.ndarray], per_gev: float, source: str) -> tuple[list[np.ndarray], int]:
    """m, pt, phi, eta (float32, GeV and rad) from the columns of a collection, whose energies come
    in units of 1 GeV / `per_gev`.

    From an energy, m = sqrt(E^2 - p^2) in float64. Where E^2 < p^2 within `SPACELIKE_TOLERANCE`, rounding hides a mass
    that is too small to see: m = 0; the second value returned counts these jets. Beyond it: JetError.
    """
    spacelike = 0
    wide = {role: np.asarray(column, dtype=np.float64) for role, column in values.items()}
    with np.errstate(all="ignore"):
        if "pt" in values:
            pt, phi, eta = wide["pt"], wide["phi"], wide["eta"]
        else:
            pt = np.hypot(wide["px"], wide["py"])
            phi, eta = np.arctan2(wide["py"], wide["px"]), np.arcsinh(wide["pz"] / pt)
        if "m" in values:
            m = wide["m"]
        else:
            p2 = (pt * np.cosh(eta)) ** 2 if "pt" in values else wide["px"] ** 2 + wide["py"] ** 2 + wide["pz"] ** 2
            m2 = wide["e"] ** 2 - p2
            beyond = np.flatnonzero((m2 < -SPACELIKE_TOLERANCE * p2) | (wide["e"] < 0))
            if len(beyond):
                row = beyond[0]
                raise JetError(
                    f"{source}: {len(beyond)} of {len(m2)} jets have less energy than momentum, by more than rounding "
                    f"explains; the first has E = {wide['e'][row]:g}, p = {np.sqrt(p2[row]):g}, pt = {pt[row]:g}"
                )
            spacelike = int(np.count_nonzero(m2 < 0))
            m = np.sqrt(np.where(m2 < 0, 0.0, m2))
        columns = (m / per_gev, pt / per_gev, phi, eta)
        return [column.astype(np.float32) for column in columns], spacelike


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
    raise JetError(
        f"{source}: {which}missing columns {', '.join(lacking)}, beside {listing(columns.columns.values())}; expected "
        f"pt, eta, phi and m (or E), or px, py, pz and E, behind one prefix; those there are: {listing(names)}"
    )


def _collection_list(complete: Mapping[str, JetColumns], names: list[str]) -> str:
    if not complete:
        return f"none; columns: {listing(names)}"
    return listing(name or "(bare columns)" for name in complete)
