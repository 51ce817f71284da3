"""Jets of smeared particles: what a detector with a tracker and two calorimeters makes of Pythia's events, roughly.

Charged particles within the tracker have the momenta of tracks, all others energies of a calorimeter, and each is
smeared alone. There is no magnetic field, no shower, no pile-up, and no particle is taken for one of another kind.
Hadrons with a b or a c quark are clustered as ghosts, which have next to no momentum and tell the flavour of a jet.
"""

from dataclasses import dataclass
from typing import Any

import awkward
import numpy as np
import vector

from utils.jets.calorimeter import simulation_modules
from utils.jets.generator import are_visible

CHARGED_HADRON, NEUTRAL_HADRON, ELECTRON, PHOTON, MUON, GHOST = range(6)
"""Kinds of particles."""

GHOST_SCALE = 1e-18

CM_PER_MM = 0.1


@dataclass(frozen=True)
class ParticleSettings:
    """Every number of the simulation of jets with columns. Energies and momenta are in GeV, lengths in cm."""

    beam_energy: float = 13_600.0
    """Centre-of-mass energy of the two protons."""
    hard_process: str = "HardQCD:all"
    pt_hat_min: float = 20.0
    """Smallest transverse momentum of the hard parton scattering."""
    bias_power: float = 4.0
    """Events are generated more often by (pT-hat / `bias_reference`) to this power, and weigh as much less."""
    bias_reference: float = 100.0
    eta_max: float = 5.0
    """Particles are seen up to this |eta|,"""
    tracker_eta_max: float = 2.5
    """muons and the tracks of charged particles up to this one."""
    track_pt_min: float = 0.3
    neutral_pt_min: float = 0.5
    """Smeared particles are kept above these."""
    track_resolution: tuple[float, float] = (0.01, 1e-4)
    """Relative width of pt: a constant, and what grows with pt, per GeV."""
    electromagnetic_resolution: tuple[float, float] = (0.01, 0.1)
    """Relative width of the energy of electrons and photons: a constant, and what falls with its root."""
    hadronic_resolution: tuple[float, float] = (0.05, 1.0)
    """The same of hadrons without a track."""
    impact_resolution: tuple[float, float] = (0.002, 0.01)
    """Width of transverse impact parameters: a constant, and what falls with pt."""
    heavy_hadron_pt_min: float = 5.0
    """Hadrons with a b or a c quark tell the flavour of a jet above this."""
    jet_radius: float = 0.4
    jet_pt_min: float = 15.0
    """Jets are kept above this corrected transverse momentum,"""
    jet_eta_max: float = 4.7
    """and up to this |eta|."""
    block_events: int = 500
    """Events that one Pythia instance generates, with a seed of its own: the unit of work of a worker."""


@dataclass(frozen=True)
class ParticleJets:
    """Jets of successive events, in any order: four-momenta in GeV, number of the event, flavour, and what is inside.

    `constituents` are jagged, (jets, particles): records of px, py, pz, E in GeV, charge, kind, and in cm the place vx,
    vy where each comes from and its transverse impact parameter dxy.
    """

    event: np.ndarray
    px: np.ndarray
    py: np.ndarray
    pz: np.ndarray
    energy: np.ndarray
    flavour: np.ndarray
    constituents: awkward.Array


def seen_particles(
    events: awkward.Array, pythia: Any, random: np.random.Generator, settings: ParticleSettings
) -> awkward.Array:
    """What a detector sees of the particles of some events, (events, particles), as `ParticleJets.constituents` with a
    flavour, and with ghosts."""
    heavy = (heavy_flavour(events.id) > 0) & (np.hypot(events.p.px, events.p.py) > settings.heavy_hadron_pt_min)
    kept = events[are_visible(events) | heavy]
    counts, flat = awkward.num(kept), awkward.flatten(kept)
    identity = awkward.to_numpy(flat.id)
    px, py, pz, energy = (awkward.to_numpy(flat.p[name]) for name in ("px", "py", "pz", "e"))
    vx, vy = (CM_PER_MM * awkward.to_numpy(awkward.fill_none(flat.vProd[name], 0.0)) for name in ("px", "py"))
    pt = np.hypot(px, py)
    with np.errstate(divide="ignore"):
        eta = np.abs(np.arcsinh(pz / pt))
    kind, charge = _kinds(identity, pythia, eta < settings.tracker_eta_max)
    ghost = awkward.to_numpy(flat.status) <= 0
    kind[ghost] = GHOST
    scatter = random.normal(size=(len(pt), 2))  # by particle, so that it does not depend on how many events there are
    scale = np.where(ghost, GHOST_SCALE, 1 + scatter[:, 0] * _relative_width(kind, pt, energy, settings))
    seen = pt * scale > np.where(charge != 0, settings.track_pt_min, settings.neutral_pt_min)
    seen &= (eta < np.where(kind == MUON, settings.tracker_eta_max, settings.eta_max)) & ~ghost
    constant, falling = settings.impact_resolution
    with np.errstate(divide="ignore", invalid="ignore"):
        dxy = (vx * py - vy * px) / pt + scatter[:, 1] * np.hypot(constant, falling / pt)
    momenta = {"px": px * scale, "py": py * scale, "pz": pz * scale, "E": energy * scale}
    more = {"kind": kind, "charge": charge, "flavour": heavy_flavour(identity), "vx": vx, "vy": vy, "dxy": dxy}
    particles = awkward.zip(momenta | more, with_name="Momentum4D")
    return awkward.unflatten(particles, counts)[awkward.unflatten(seen | ghost, counts)]


def heavy_flavour(identity: Any) -> Any:
    """5 for hadrons with a b quark, 4 for others with a c quark, 0 for all other particles, by their PDG numbers.

    >>> heavy_flavour(np.array([511, -5122, 443, 211, 5, 4103, 22])).tolist()
    [5, 5, 4, 0, 0, 0, 0]
    """
    number = abs(identity)
    tens, hundreds, thousands = (number // power % 10 for power in (10, 100, 1000))
    beauty, charm = ((hundreds == quark) | (thousands == quark) for quark in (5, 4))
    return (tens > 0) * (5 * beauty + 4 * (charm & ~beauty))


def _kinds(identity: np.ndarray, pythia: Any, tracked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Kinds and charges; without a tracker charged hadrons look like neutral ones, and electrons like photons."""
    numbers, place = np.unique(identity, return_inverse=True)
    charge = np.array([pythia.particleData.charge(int(number)) for number in numbers])[place] * tracked
    number = np.abs(identity)
    hadron = np.where(charge != 0, CHARGED_HADRON, NEUTRAL_HADRON)
    electron = np.where(charge != 0, ELECTRON, PHOTON)
    return np.select([number == 11, number == 22, number == 13], [electron, PHOTON, MUON], hadron), charge


def _relative_width(kind: np.ndarray, pt: np.ndarray, energy: np.ndarray, settings: ParticleSettings) -> np.ndarray:
    """The relative width by which the momentum of each particle is smeared."""
    widths = [np.hypot(settings.track_resolution[0], settings.track_resolution[1] * pt)]
    for constant, falling in (settings.electromagnetic_resolution, settings.hadronic_resolution):
        widths.append(np.hypot(constant, falling / np.sqrt(energy)))
    tracks, electromagnetic = (kind == CHARGED_HADRON) | (kind == MUON), (kind == ELECTRON) | (kind == PHOTON)
    return np.select([tracks, electromagnetic], widths[:2], widths[2])


def cluster_particles(particles: awkward.Array, pt_min: float, settings: ParticleSettings) -> ParticleJets:
    """Anti-kt jets of particles, (events, particles), with an uncorrected pt above `pt_min`."""
    _, fastjet = simulation_modules()
    fastjet._swig.ClusterSequence.set_fastjet_banner_stream(None)  # nothing public silences FastJet's banner
    vector.register_awkward()
    definition = fastjet.JetDefinition(fastjet.antikt_algorithm, settings.jet_radius)
    sequence = fastjet.ClusterSequence(particles, definition)
    found, index = sequence.inclusive_jets(min_pt=pt_min), sequence.constituent_index(min_pt=pt_min)
    per_event = awkward.to_numpy(awkward.num(particles))
    place = awkward.flatten(index + np.cumsum(per_event) - per_event)
    inside = awkward.unflatten(awkward.flatten(particles)[awkward.flatten(place)], awkward.num(place))
    px, py, pz, energy = (awkward.to_numpy(awkward.flatten(found[name])) for name in ("px", "py", "pz", "E"))
    return ParticleJets(
        event=np.repeat(np.arange(len(particles)), awkward.to_numpy(awkward.num(found))),
        px=px,
        py=py,
        pz=pz,
        energy=energy,
        flavour=awkward.to_numpy(awkward.max(inside.flavour, axis=1, mask_identity=False)),
        constituents=inside[inside.kind != GHOST],
    )
