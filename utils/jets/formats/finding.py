"""Which columns of a file are jets, and which name their events: those asked for, or by the names that are known."""

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from utils.jets.events import EVENT_COLUMNS
from utils.jets.formats.layouts import (
    EVENT_WORDS,
    FCC_BEAM_ENERGY,
    FCC_NAMES,
    LAYOUTS,
    OTHER_JETS,
    REQUIRED,
    USUAL_NAMES,
    JetColumns,
    Options,
)
from utils.jets.table import JetError
from utils.jets.units import BEAM_ENERGY, UNIT, unit_name
from utils.text import listing

_PLACES = {
    word.lower(): [(i, role) for i, layout in enumerate(LAYOUTS) for role in layout if word in layout[role].split()]
    for word in " ".join(words for layout in LAYOUTS for words in layout.values()).split()
}
"""In which layouts a word stands, and for which role."""

_COLUMN = re.compile(
    rf"(?P<prefix>.*?)(?P<word>{'|'.join(map(re.escape, _PLACES))})"
    rf"(?:[_ ,/]*(?:in[_ ])?[\[(]?(?:{UNIT}|rad)[\])]?)?",
    re.IGNORECASE,
)

_JOINED = re.compile(r"|.*[_.:/ ]|.*jets?|j", re.IGNORECASE)
"""What stands in front of any word; in front of a capital, so does a small letter."""

LONGEST_NAME = 512
"""Characters of the longest name of a column that is looked at: patterns take quadratic time for long ones."""

_REPEATED = re.compile(r"([^/]+?)\.?/(?:.*/)?(?=\1\.)")
"""The branch in front of its own name, as in `Jet/Jet.PT`."""

_XAOD = re.compile(r"(.*)Aux(?:Dyn)?[.:]+(.*)")

_EVENT = {
    role: re.compile(rf"(?:{words})(?:number|num|no|nr|id)?", re.IGNORECASE) for role, words in EVENT_WORDS.items()
}


def find_collections(names: Iterable[str]) -> dict[str, JetColumns]:
    """The collections among columns, complete or not, by what stands before the words of `LAYOUTS`: `Jet_pt`,
    `AnalysisJetsAuxDyn.pt`, `jets/pt [GeV]`, or `jet1_pt`, of the collection `jet{i}`."""
    names = [name for name in names if len(name) <= LONGEST_NAME]
    found: dict[str, dict[int, dict[str, str]]] = {}
    numbered = _numbered(names)
    others = {f"n{name}" for name in names}  # which count jets
    others |= {pattern.replace("{i}", slot) for pattern, slots in numbered.items() for slot in slots}
    for name in [*(name for name in names if name not in others), *numbered]:
        collection, places = _split(name)
        for layout, role in places:
            found.setdefault(collection, {}).setdefault(layout, {}).setdefault(role, name)
    collections = {}
    for collection, layouts in found.items():
        fitting = [JetColumns(collection, columns) for columns in layouts.values()]
        best = max(fitting, key=lambda columns: (columns.roles is not None, len(columns.columns)))
        slots = max((numbered.get(name, ()) for name in best.columns.values()), key=len)
        columns = {role: name for role, name in best.columns.items() if numbered.get(name, ()) == slots}
        collections[collection] = replace(best, columns=columns, slots=slots)
    return collections


def _numbered(names: list[str]) -> dict[str, tuple[str, ...]]:
    """Patterns with `{i}` in the place of a number, of jets as columns, and the numbers: from 0 or 1 without a gap."""
    found: dict[str, list[str]] = {}
    for name in names:
        for number in re.finditer(r"\d+", name):
            found.setdefault(f"{name[: number.start()]}{{i}}{name[number.end() :]}", []).append(number[0])
    slots = {pattern: tuple(sorted(numbers, key=int)) for pattern, numbers in found.items() if len(numbers) > 1}
    return {
        pattern: numbers
        for pattern, numbers in slots.items()
        if [*map(int, numbers)] in ([*range(len(numbers))], [*range(1, len(numbers) + 1)]) and _split(pattern)[1]
    }


def _split(name: str) -> tuple[str, list[tuple[int, str]]]:
    """The collection of a column, and where in `LAYOUTS` its word is; nowhere for what no jet has."""
    short = _REPEATED.sub("", name, count=1)
    match = _COLUMN.fullmatch(short.replace("{i}", "").rstrip("_"))
    if match is None:
        return "", []
    prefix, word = match["prefix"], match["word"]
    if not _JOINED.fullmatch(prefix) and not (word[0].isupper() and not prefix[-1].isupper()):
        return "", []
    if xaod := _XAOD.fullmatch(prefix):
        prefix = ".".join(part for part in (xaod[1], xaod[2].rstrip("_")) if part)
    return prefix.rstrip("_.:/ ") + "{i}" * ("{i}" in name), _PLACES[word.lower()]


def _with_units(columns: JetColumns, names: Iterable[str]) -> JetColumns:
    """With the units that names say, and the largest momentum where they are of EDM4hep."""
    units = {}
    for role, name in columns.columns.items():
        match = _COLUMN.fullmatch(name)
        unit = "MeV" if _XAOD.fullmatch(name) else unit_name((match and match["unit"]) or "")
        if unit and role not in ("phi", "eta"):
            units[role] = unit
    xaod = any(_XAOD.fullmatch(name) for name in columns.columns.values())
    beam_energy = FCC_BEAM_ENERGY if any(FCC_NAMES.fullmatch(name) for name in names) else BEAM_ENERGY
    named_by = "the unit of xAOD" if xaod else "named in the columns"
    return replace(columns, units=units, named_by=named_by, beam_energy=beam_energy)


def choose_columns(names: Iterable[str], options: Options, source: str) -> JetColumns:
    """The columns of jets and of events in a file: those asked for, or else those that plainly are; JetError lists
    what there is."""
    names = [name for name in names if len(name) <= LONGEST_NAME]
    given = _columns_named(names, options.columns, source)
    if given.columns and options.collection is not None:
        raise JetError(f"{source}: a collection and the columns of jets were both named; name one of them")
    columns = given if given.columns else _choose_collection(names, options.collection, source)
    return _with_units(replace(columns, events=given.events or _event_columns(names, columns)), names)


def _columns_named(names: list[str], wanted: Mapping[str, str], source: str) -> JetColumns:
    """The columns that were asked for, which may be dotted paths; JetError where one is missing names the nearest."""
    short = {name: _REPEATED.sub("", name, count=1) for name in names}
    slots: tuple[str, ...] = ()
    found: dict[str, str] = {}
    for role, name in wanted.items():
        pattern = re.compile(r"(\d+)".join(map(re.escape, name.split("{i}", 1))))
        there = {long: match for long in names for text in (long, short[long]) if (match := pattern.fullmatch(text))}
        there = there or {long: match for long in names if (match := pattern.fullmatch(long.split("/")[-1]))}
        if not there or (len(there) > 1 and "{i}" not in name):
            near = difflib.get_close_matches(name, sorted(set(short.values())), 3, 0.4) or list(short.values())
            raise JetError(f"{source}: no column {name!r}, named for {role}; the nearest: {listing(near)}")
        found[role] = next(iter(there))
        if "{i}" in name:
            first, match = next(iter(there.items()))
            numbers = tuple(sorted((match[1] for match in there.values()), key=int))
            if slots and numbers != slots:
                raise JetError(f"{source}: {name} is there for {listing(numbers)}, other columns for {listing(slots)}")
            at = len(first) - len(match.string)
            found[role], slots = f"{first[: at + match.start(1)]}{{i}}{first[at + match.end(1) :]}", numbers
    events = {role: found[role] for role in EVENT_COLUMNS if role in found}
    if events and "event" not in events:
        raise JetError(f"{source}: columns: {' and '.join(events)} without an event")
    jets = JetColumns("", {role: found[role] for role in found if role not in events}, events, slots)
    if jets.columns and jets.roles is None:
        raise JetError(f"{source}: columns {listing(jets.columns.values())} were named, and {_lacking(jets)}")
    return jets


def _event_columns(names: list[str], columns: JetColumns) -> dict[str, str]:
    """The columns that name events: beside the jets' own, alone, of `EventInfoAux` or `EventHeader`; none without event
    numbers."""
    beside = {re.sub(r"[^.:/]*$", "", name) for name in columns.columns.values()}
    found: dict[str, dict[str, str]] = {}
    records = {name[: end.start()] for name in names for end in re.finditer(r"[/.]|_size", name)}  # as Delphes' Event
    for name in sorted(names, key=len, reverse=True):
        last = re.sub(r".*[.:/]", "", name)
        for role, pattern in _EVENT.items():
            if name not in records and pattern.fullmatch(last.replace("_", "")):
                found.setdefault(name.removesuffix(last), {})[role] = name
    for prefix in sorted(found, key=lambda prefix: (prefix not in beside, prefix != "")):
        there = found[prefix]
        if "event" in there and (prefix in ("", *beside) or prefix.startswith(("EventInfo", "EventHeader"))):
            if "run" not in there and not re.search("(?i)block|section", there.get("luminosityBlock", "block")):
                del there["luminosityBlock"]  # which may be a luminosity
            return {role: there[role] for role in EVENT_COLUMNS if role in there}
    return {}


def find_counter(names: Iterable[str], columns: JetColumns) -> str | None:
    """The column that counts the jets of an event, such as `njets` beside `jet_pt`."""
    stem = columns.name.lower().replace("{i}", "").replace("_", "").removesuffix("s") or "jet"
    counters = {f"{word}{stem}{plural}" for word in ("n", "num") for plural in ("", "s")} | {f"{stem}n", f"{stem}sn"}
    return next((name for name in names if name.lower().replace("_", "") in counters), None)


def _choose_collection(names: list[str], wanted: str | None, source: str) -> JetColumns:
    """The collection called `wanted`, or else the one that is plainly jets.

    What is called jets but lacks a column is an error: another collection is not taken in its place.
    """
    found = find_collections(names)
    if wanted is not None:
        bare = re.sub(r"Aux(?:Dyn)?$", "", wanted.rstrip("_.:/ "))
        asked = {bare.lower(), wanted.lower(), f"{bare.lower()}{{i}}"}
        matching = [columns for name, columns in found.items() if name.lower() in asked]
        matching.sort(key=lambda columns: columns.roles is None)
        if not matching:
            raise JetError(f"{source}: no collection {wanted!r}; those there are: {_collection_list(found, names)}")
        return _require_complete(matching[0], found, names, source)
    jets = [columns for columns in found.values() if columns.roles or (columns.name and columns.looks_like_jets)]
    for usual in (*USUAL_NAMES, *(f"{name}{{i}}" for name in USUAL_NAMES if name)):
        for columns in jets:
            if columns.name.lower() == usual:
                return _require_complete(columns, found, names, source)
    others = {columns.name for columns in jets if any(word in columns.name.lower() for word in OTHER_JETS)}
    plain = [columns for columns in jets if columns.looks_like_jets and columns.name not in others]
    if len(plain) == 1:
        return _require_complete(plain[0], found, names, source)
    complete = {name: columns for name, columns in found.items() if columns.roles}
    if plain or complete:
        kinds = [columns.name for columns in jets if columns.name in others and columns.looks_like_jets]
        which = "no collection is called jets" + (f" (of another kind: {listing(kinds)})" if kinds else "")
        raise JetError(
            f"{source}: {'several collections of jets' if plain else which}; choose one with --collection "
            f"(collection= in Python): {_collection_list({c.name: c for c in plain} or complete, names)}"
        )
    partial = [columns for columns in found.values() if columns.is_jet]
    best = max(partial, key=lambda columns: len(columns.columns), default=JetColumns("", {}))
    return _require_complete(best, found, names, source)


def _require_complete(
    columns: JetColumns, found: Mapping[str, JetColumns], names: list[str], source: str
) -> JetColumns:
    if columns.roles:
        return columns
    which = f"collection {columns.name!r}: " if columns.name else ""
    complete = [name or "(bare columns)" for name, other in found.items() if other.roles]
    others = f"complete are {listing(complete)}, which --collection takes (collection= in Python); " if complete else ""
    raise JetError(
        f"{source}: {which}{_lacking(columns)}; {others}or name them with --columns (columns= in Python); those "
        f"there are: {listing(names)}"
    )


def _lacking(columns: JetColumns) -> str:
    """What jets lack of the columns that determine them."""
    lacking = min(([role for role in roles if role not in columns.columns] for roles in REQUIRED), key=len)
    if lacking == ["m"]:
        return f"no mass, nor an energy, beside {listing(columns.columns.values())}"
    beside = f", beside {listing(columns.columns.values())}" if columns.columns else ""
    return f"missing columns {', '.join(lacking)}{beside}; expected pt, eta, phi and m (or E), or px, py, pz and E"


def _collection_list(collections: Mapping[str, JetColumns], names: list[str]) -> str:
    if not collections:
        return f"none; columns: {listing(names)}"
    complete = [name or "(bare columns)" for name, columns in collections.items() if columns.roles]
    return listing([*complete, *(f"{name} (incomplete)" for name, columns in collections.items() if not columns.roles)])
