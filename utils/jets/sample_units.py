"""The unit of a sample, decided once for all its files: as given, as the files say, or from the bulk of their jets."""

import logging
import warnings
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from itertools import chain

import numpy as np

from utils.jets.bulk import BULK_JETS, GUESSED, LIGHTEST, plausible_units, unit_beside
from utils.jets.formats.source import Source
from utils.jets.table import JetError, JetWarning
from utils.jets.units import PER_GEV, Decided, Layout, Units
from utils.text import listing

LOG = logging.getLogger("utils.jets")
"""Tells which unit is read; where nobody listens, a JetWarning tells those that are no GeV and only guessed."""

PROBE_JETS = 10_000
"""Jets after which a sample has shown its bulk."""


def settle_units(sources: list[Source], unit: str | Decided | None, beam_energy: float | None) -> list[Source]:
    """The files of a sample with their units and the largest momentum of a jet; JetError where one cannot be told."""
    if isinstance(unit, str):
        if unit not in PER_GEV:
            raise JetError(f"unknown unit {unit!r}; known: {', '.join(PER_GEV)}")
        for source in sources:
            if (noted := (source.note or {}).get("unit", unit)) != unit:
                raise JetError(f"{source.name}: written by this project in {noted}, and {unit} was given as its unit")
        given = [Units(dict.fromkeys(source.columns.energies, unit), "given") for source in sources]
        return [_settled(source, units, beam_energy) for source, units in zip(sources, given, strict=True)]
    decided = decide_units(sources, beam_energy, unit)
    return [_settled(source, _said(source) or decided[_layout(source)], beam_energy) for source in sources]


def decide_units(
    sources: Iterable[Source], beam_energy: float | None = None, known: Decided | None = None
) -> dict[Layout, Units]:
    """The units of files that say none, from the first jets of all that have the same columns, beside those `known`."""
    groups: dict[Layout, list[Source]] = {}
    for source in sources:
        if _said(source) is None and _layout(source) not in (known or {}):
            groups.setdefault(_layout(source), []).append(source)
    return dict(known or {}) | {layout: _from_bulk(group, beam_energy) for layout, group in groups.items()}


def require_plausible(source: Source, values: Mapping[str, np.ndarray]) -> None:
    """JetError where the bulk of these jets is in another unit than the one that was decided for their sample."""
    if source.units is None or not source.units.guessed:
        return
    pt, p = _momenta(_usable({role: column[:PROBE_JETS] for role, column in values.items()}))
    unit = next(iter(source.units.by_role.values()))
    found = plausible_units(pt, p, source.beam_energy)
    if len(pt) >= BULK_JETS and found and unit not in found:
        raise JetError(
            f"{source.name}: {unit} fits the sample ({source.units.why}), but not these jets, whose median pt is "
            f"{np.median(pt):.4g}; files of one sample are in one unit: read it apart, with --unit (unit= in Python)"
        )


def _settled(source: Source, units: Units, beam_energy: float | None) -> Source:
    """Jets of which a note has the checksum are as they were written: they need no beam."""
    usual = np.inf if source.note else source.columns.beam_energy
    return replace(source, units=units, beam_energy=usual if beam_energy is None else beam_energy)


def _layout(source: Source) -> Layout:
    return (source.tree, *source.columns.needed.values())


def _said(source: Source) -> Units | None:
    """The units of a file where its note, its names and titles, or its format say them."""
    note = (source.note or {}).get("unit")
    named = {} if note else source.columns.units
    whole = note or source.unit
    by_role = {role: named.get(role, whole) for role in source.columns.energies}
    if None in by_role.values():
        return None
    why = [source.columns.named_by] * bool(named)
    if not named.keys() >= by_role.keys():
        why.append("its note" if note else source.unit_from)
    return Units({role: str(unit) for role, unit in by_role.items()}, " and ".join(why))


def _from_bulk(sources: list[Source], beam_energy: float | None) -> Units:
    columns, names = sources[0].columns, listing((source.name for source in sources), 3)
    parts = _first_jets(sources)
    values = {role: np.concatenate([part[role] for _, part in parts] or [np.empty(0)]) for role in columns.needed}
    pt, p = _momenta(values)
    medians = {
        role: float(np.nanmedian(values[role])) for role in ("m", "e") if np.isfinite(values.get(role, ())).any()
    }
    typical = float(np.median(pt)) if len(pt) else np.nan
    named = {unit for role, unit in columns.units.items() if role in columns.momenta}
    beam = columns.beam_energy if beam_energy is None else beam_energy
    if not named:
        _require_one_unit(parts, beam)
    possible = sorted(named) or plausible_units(pt, p, beam) or list(GUESSED)
    if len(possible) > 1:
        possible = [unit for unit in possible if unit in columns.units.values()] or possible
    if len(possible) > 1 and len(pt):
        raise JetError(
            f"{names}: no unit is named, and the jets do not tell whether "
            f"they are in {' or '.join(possible)}: their median pt is {typical:.4g}, of {len(pt)} jets; give the unit "
            "with --unit (unit= in Python)"
        )
    unit, why = possible[0], f"median pt {typical:.4g}" if len(pt) else "no jet tells"
    by_role = {**dict.fromkeys(columns.momenta, unit), **columns.units}
    why = columns.named_by if named else why
    for role, middle in medians.items():
        if role not in columns.units:
            if columns.is_jet and role == "m" and unit == "MeV" and middle < LIGHTEST * typical:
                raise JetError(
                    f"{names}: no unit of m is named, and the jets do not tell whether it is in GeV or MeV: its median "
                    f"is {middle:.4g}, that of pt {typical:.4g} MeV; give the unit with --unit (unit= in Python)"
                )
            by_role[role] = unit_beside(role, unit, middle / (typical if role == "m" else np.median(p)))
            why += f", median {role} {middle:.4g}"
    units = Units({role: by_role.get(role, unit) for role in columns.energies}, why, guessed=not named)
    if units.guessed and set(units.by_role.values()) != {"GeV"} and not LOG.isEnabledFor(logging.INFO):
        warnings.warn(
            f"{names}: taken to be in {units}, since {len(pt)} jets have {why}; --unit (unit= in Python) overrules it",
            JetWarning,
            stacklevel=2,
        )
    return units


def _require_one_unit(parts: list[tuple[str, dict[str, np.ndarray]]], beam_energy: float) -> None:
    """JetError where the bulk of some files is in another unit than that of others: they are no one sample."""
    telling: dict[str, list[str]] = {}
    for name, values in parts:
        pt, p = _momenta(values)
        units = plausible_units(pt, p, beam_energy) if len(pt) >= BULK_JETS else []
        if len(units) == 1:
            telling.setdefault(units[0], []).append(f"{name} (median pt {np.median(pt):.4g})")
    if len(telling) > 1:
        groups = "; ".join(f"in {unit}: {listing(names, 3)}" for unit, names in telling.items())
        raise JetError(
            f"files of one sample are in one unit, and no unit is named in these: {groups}; read them apart, each with "
            "its --unit (unit= in Python)"
        )


def _first_jets(sources: list[Source]) -> list[tuple[str, dict[str, np.ndarray]]]:
    """Usable values of the first jets of files together, each with its name."""
    found = []
    jets = 0
    for source in sources:
        with suppress(JetError):  # of a file that cannot be read, which is told when it is read
            ranges = ((0, PROBE_JETS), (PROBE_JETS, 2**62))
            parts = [source] if source.split is None else [source.part(*entries) for entries in ranges]
            for block in chain.from_iterable(part.read(part.columns.needed) for part in parts):
                if values := _usable(block.values):
                    found.append((source.name, values))
                    jets += len(next(iter(values.values())))
                if jets >= PROBE_JETS:
                    return found
    return found


def _usable(values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The values of jets that have a momentum and a direction, NaN where others are masked."""
    if not values:
        return {}
    wide = {role: np.ma.filled(np.ma.asarray(column, np.float64), np.nan) for role, column in values.items()}
    pt, p = _momenta(wide)
    return {role: column[(pt > 0) & np.isfinite(p)] for role, column in wide.items()}


def _momenta(values: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """pt and momentum, in the unit of the file."""
    with np.errstate(all="ignore"):
        if "pt" in values:
            return values["pt"], values["pt"] * np.cosh(values["eta"])
        pt = np.hypot(values["px"], values["py"])
        return pt, np.hypot(pt, values["pz"])
