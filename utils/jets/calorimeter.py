"""A coarse calorimeter: towers, pile-up and its subtraction, clustering and the trigger."""

from collections.abc import Iterable
from dataclasses import dataclass
from types import ModuleType

import awkward
import numpy as np
import vector

from utils.jets.table import JetError

NEUTRINOS = (12, 14, 16)

FINE_TOWER = 0.1

PHI_TOWERS = 64
"""Fine towers in phi; in eta they measure FINE_TOWER."""


@dataclass(frozen=True)
class CalorimeterRegion:
    """Towers up to |eta| = `eta_max`, beyond the region before."""

    eta_max: float
    merged: int
    """Fine towers (0.1 in eta, 2 pi / 64 in phi) joined into one tower, in eta and in phi."""
    threshold: float
    """Transverse energy that a tower must exceed after subtraction, in GeV."""


@dataclass(frozen=True)
class SimulationSettings:
    """Every number of the simulation. Energies and momenta are in GeV."""

    beam_energy: float = 13_000.0
    """Centre-of-mass energy of the two protons, in GeV."""
    hard_process: str = "HardQCD:all"
    pt_hat_min: float = 110.0
    """Smallest transverse momentum of the hard parton scattering, in GeV."""
    pileup_process: str = "SoftQCD:inelastic"
    pileup_mean: float = 50.0
    """Mean of the Poisson number of minimum-bias events overlaid on a hard event."""
    pileup_pool: int = 10_000
    """Minimum-bias events to draw from; each is turned by a random angle and mirrored at random when drawn."""
    regions: tuple[CalorimeterRegion, ...] = (
        CalorimeterRegion(1.0, 1, 1.2),
        CalorimeterRegion(1.5, 1, 0.1),
        CalorimeterRegion(2.5, 1, 1.7),
        CalorimeterRegion(3.3, 2, 3.0),
        CalorimeterRegion(4.9, 2, 3.5),
    )
    tower_offset: float = 0.06
    """Transverse energy subtracted from every tower besides the median of its ring, in GeV."""
    jet_radius: float = 0.4
    jet_pt_min: float = 20.0
    """Jets are kept above this transverse momentum, in GeV."""
    trigger_pt: float = 166.0
    """Transverse momentum that the smeared leading jet must exceed, in GeV."""
    trigger_resolution: float = 0.07
    """Relative width of the Gaussian that smears the leading jet for the trigger alone."""
    trigger_eta_max: float = 3.2
    """The trigger looks at jets with |eta| below this."""
    block_events: int = 500
    """Hard events that one Pythia instance generates, with a seed of its own: the unit of work of a worker."""
    pileup_block_events: int = 2500
    """The same for minimum-bias events, whose Pythia takes seconds to start."""


@dataclass(frozen=True)
class TowerLists:
    """Fine towers of many events: those of event i stand at starts[i]:starts[i + 1]."""

    starts: np.ndarray
    towers: np.ndarray
    energies: np.ndarray


@dataclass(frozen=True)
class Calorimeter:
    """Towers in their order; `tower_of` leads from a fine tower to its tower."""

    tower_of: np.ndarray
    eta: np.ndarray
    phi: np.ndarray
    threshold: np.ndarray
    rings: tuple[tuple[int, int, int], ...]
    """First tower, past-the-last tower and towers in phi, per region."""


def simulation_modules() -> tuple[ModuleType, ModuleType]:
    """Pythia 8 and FastJet, or a JetError that says how to get them."""
    try:
        import fastjet
        import pythia8mc
    except ImportError as error:
        message = (
            f"simulating jets needs Pythia 8 and FastJet, but {error.name or error} is not installed; "
            'install them in the root of a clone: pip install -e ".[simulation]"'
        )
        raise JetError(message) from error
    return pythia8mc, fastjet


def fine_tower(eta: np.ndarray, phi: np.ndarray, eta_max: float) -> np.ndarray:
    """The fine tower of a direction, counted by ring in eta, then in phi; beyond `eta_max` in the last ring."""
    rings = round(2 * eta_max / FINE_TOWER)
    ring = np.clip(np.floor((eta + eta_max) / FINE_TOWER).astype(int), 0, rings - 1)
    column = np.floor((phi + np.pi) * PHI_TOWERS / (2 * np.pi)).astype(int) % PHI_TOWERS
    return ring * PHI_TOWERS + column


def concatenate_towers(parts: Iterable[TowerLists]) -> TowerLists:
    """The tower lists of successive events as one."""
    kept = list(parts)
    counts = np.concatenate([np.empty(0, np.int64), *(np.diff(part.starts) for part in kept)])
    towers = np.concatenate([np.empty(0, np.int32), *(part.towers for part in kept)])
    energies = np.concatenate([np.empty(0, np.float32), *(part.energies for part in kept)])
    return TowerLists(np.concatenate([[0], np.cumsum(counts)]).astype(np.int64), towers, energies)


def overlay_pileup(
    hard: TowerLists,
    pool: TowerLists,
    generators: list[np.random.Generator],
    settings: SimulationSettings,
    calorimeter: Calorimeter,
) -> np.ndarray:
    """Transverse energies (events, towers) in GeV, with the pile-up added and its median level taken off."""
    n_towers, last_ring = len(calorimeter.eta), len(calorimeter.tower_of) // PHI_TOWERS - 1
    energy = np.zeros((len(generators), n_towers))
    for index, generator in enumerate(generators):
        drawn = slice(hard.starts[index], hard.starts[index + 1])
        fine, weights = [hard.towers[drawn]], [hard.energies[drawn]]
        count = generator.poisson(settings.pileup_mean) if len(pool.starts) > 1 else 0
        picked = generator.integers(len(pool.starts) - 1, size=count) if count else ()
        turns = generator.integers(PHI_TOWERS, size=count)
        mirrored = generator.random(count) < 0.5
        for event, turn, mirror in zip(picked, turns, mirrored, strict=True):
            drawn = slice(pool.starts[event], pool.starts[event + 1])
            ring, column = np.divmod(pool.towers[drawn], PHI_TOWERS)
            fine.append((last_ring - ring if mirror else ring) * PHI_TOWERS + (column + turn) % PHI_TOWERS)
            weights.append(pool.energies[drawn])
        towers = calorimeter.tower_of[np.concatenate(fine)]
        energy[index] = np.bincount(towers, np.concatenate(weights), minlength=n_towers)
    for start, end, columns in calorimeter.rings:
        rings = energy[:, start:end].reshape(len(energy), -1, columns)
        rings -= np.median(rings, axis=2, keepdims=True)
    return energy - settings.tower_offset


def cluster_jets(
    energy: np.ndarray,
    events: np.ndarray,
    smearing: np.ndarray,
    settings: SimulationSettings,
    calorimeter: Calorimeter,
) -> tuple[np.ndarray, ...]:
    """Cluster the towers above threshold and keep the jets of the events that pass the trigger."""
    _, fastjet = simulation_modules()
    fastjet._swig.ClusterSequence.set_fastjet_banner_stream(None)  # nothing public silences FastJet's banner
    vector.register_awkward()
    above = energy > calorimeter.threshold
    tower, pt = np.nonzero(above)[1], energy[above]
    phi, eta = calorimeter.phi[tower], calorimeter.eta[tower]
    momenta = {"px": pt * np.cos(phi), "py": pt * np.sin(phi), "pz": pt * np.sinh(eta), "E": pt * np.cosh(eta)}
    particles = awkward.unflatten(awkward.zip(momenta, with_name="Momentum4D"), above.sum(axis=1))
    definition = fastjet.JetDefinition(fastjet.antikt_algorithm, settings.jet_radius)
    found = fastjet.ClusterSequence(particles, definition).inclusive_jets(min_pt=settings.jet_pt_min)
    index = np.repeat(np.arange(len(events)), awkward.to_numpy(awkward.num(found.px)))
    px, py, pz, e = (awkward.to_numpy(awkward.flatten(found[name])) for name in ("px", "py", "pz", "E"))
    pt = np.hypot(px, py)
    eta = np.arcsinh(pz / pt)
    mass_squared = e * e - (px * px + py * py + pz * pz)
    m = np.copysign(np.sqrt(np.abs(mass_squared)), mass_squared)

    leading = np.zeros(len(events))
    seen = np.abs(eta) < settings.trigger_eta_max
    np.maximum.at(leading, index[seen], pt[seen])
    passed = leading * smearing > settings.trigger_pt
    order = np.lexsort((-pt, index))
    order = order[passed[index[order]]]
    return events[index[order]], m[order], pt[order], np.arctan2(py, px)[order], eta[order]


def make_calorimeter(settings: SimulationSettings) -> Calorimeter:
    """The towers of `settings.regions`; JetError where a region is not made of whole towers."""
    half = round(settings.regions[-1].eta_max / FINE_TOWER)
    tower_of = np.empty((2 * half, PHI_TOWERS), np.int32)
    eta: list[np.ndarray] = []
    phi: list[np.ndarray] = []
    threshold: list[np.ndarray] = []
    rings, start, low = [], 0, 0
    for region in settings.regions:
        high, merged = round(region.eta_max / FINE_TOWER), region.merged
        if high <= low or (high - low) % merged or PHI_TOWERS % merged:
            message = (
                f"calorimeter region up to |eta| = {region.eta_max}: expected a positive whole number of towers of "
                f"{merged} x {merged} fine ones, got {high - low} x {PHI_TOWERS} fine ones"
            )
            raise JetError(message)
        columns = PHI_TOWERS // merged
        edges = [*range(half - high, half - low, merged), *range(half + low, half + high, merged)]
        for number, edge in enumerate(edges):
            row = start + number * columns + np.arange(PHI_TOWERS) // merged
            tower_of[edge : edge + merged] = row
            eta.append(np.full(columns, (edge + merged / 2 - half) * FINE_TOWER))
            phi.append(-np.pi + (np.arange(columns) + 0.5) * 2 * np.pi / columns)
        end = start + len(edges) * columns
        threshold.append(np.full(end - start, region.threshold))
        rings.append((start, end, columns))
        start, low = end, high
    return Calorimeter(
        tower_of.ravel(), np.concatenate(eta), np.concatenate(phi), np.concatenate(threshold), tuple(rings)
    )
