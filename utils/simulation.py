"""Simulated jets that look like the trigger jets of data: Pythia 8, a coarse calorimeter and FastJet.

QCD dijets at 13 TeV with minimum-bias pile-up are summed into massless calorimeter towers; the median transverse
energy of each eta ring is subtracted, towers below a noise threshold are dropped, the others are clustered with
anti-kt, and events pass a trigger on the leading jet. Needs the extra `compression-hep[simulation]`.

Please cite Pythia 8.3 (arXiv:2203.11601), FastJet (arXiv:1111.6097) and anti-kt (arXiv:0802.1189).
"""

import argparse
import math
import multiprocessing
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from utils.files import atomic_path
from utils.jets import JetError, make_table

NEUTRINOS = (12, 14, 16)

BATCH_EVENTS = 100
"""Events whose records are held in memory at once."""

FINE_TOWER = 0.1

PHI_TOWERS = 64
"""Fine towers in phi; in eta they measure FINE_TOWER."""

EMBEDDED_SEED = 20201

EMBEDDED_EVENTS = 64_000

EMBEDDED_JETS = {"qcd_jets_train.parquet": 111_778, "qcd_jets_test.parquet": 27_945}
"""Files of the embedded sample and the number of jets that each may hold at most; whole events fill them in turn."""


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
class _TowerLists:
    """Fine towers of many events: those of event i stand at starts[i]:starts[i + 1]."""

    starts: np.ndarray
    towers: np.ndarray
    energies: np.ndarray


@dataclass(frozen=True)
class _Calorimeter:
    """Towers in their order; `tower_of` leads from a fine tower to its tower."""

    tower_of: np.ndarray
    eta: np.ndarray
    phi: np.ndarray
    threshold: np.ndarray
    rings: tuple[tuple[int, int, int], ...]
    """First tower, past-the-last tower and towers in phi, per region."""


def simulate_jets(
    n_events: int,
    seed: int,
    workers: int = 1,
    progress: bool = True,
    settings: SimulationSettings | None = None,
) -> pd.DataFrame:
    """Generate `n_events` hard events and return the jets of those that pass the trigger, as a jet table.

    About 27% of the events pass with the default settings, with 9 jets each. Jets are sorted by falling pt inside an
    event, and `event` is the number of the hard event, from 0 to n_events - 1. The table depends on `seed` and
    `settings` alone, not on `workers`, and the table of fewer events is the beginning of that of more. With more
    than one worker the calling script needs the usual `if __name__ == "__main__"`.

    Masses are what double precision leaves of E² - p²: a jet of a single massless tower has a mass of zero or a few
    10 keV of either sign, the negative root of -m² where m² < 0.

    Raises JetError for unusable arguments and where Pythia 8 or FastJet is not installed.
    """
    settings = settings or SimulationSettings()
    for name, value, smallest in (("n_events", n_events, 1), ("workers", workers, 1), ("seed", seed, 0)):
        if value < smallest:
            raise JetError(f"{name}: expected at least {smallest}, got {value}")
    _simulation_modules()
    _calorimeter(settings)
    pool_blocks = _blocks(settings.pileup_pool, settings.pileup_block_events)
    blocks = _blocks(n_events, settings.block_events)
    with _bar("minimum bias", settings.pileup_pool, progress) as bar:
        pool_tasks = [(seed, block, size, settings) for block, size in pool_blocks]
        pool = _concatenate(_map(_minimum_bias_block, pool_tasks, workers, None, bar))
    with _bar("hard events", n_events, progress) as bar:
        tasks = [(seed, block, size, settings) for block, size in blocks]
        tables = list(_map(_hard_block, tasks, workers, pool, bar))
    event, m, pt, phi, eta = (np.concatenate(columns) for columns in zip(*tables, strict=True))
    return make_table(m, pt, phi, eta, event=event)


def write_embedded_sample(directory: str | Path, workers: int = 1, progress: bool = True) -> list[Path]:
    """Generate the sample that the repository ships and write its two Parquet files into `directory`.

    Whole events fill the training file until its number of jets is reached, then the test file.
    """
    table = simulate_jets(EMBEDDED_EVENTS, EMBEDDED_SEED, workers, progress)
    event = table["event"].to_numpy()
    ends = np.append(np.flatnonzero(np.diff(event)) + 1, len(event))
    start, paths = 0, []
    for name, n_jets in EMBEDDED_JETS.items():
        if len(table) - start < n_jets:
            raise JetError(f"{name}: expected {n_jets} jets, but only {len(table) - start} are left")
        end = int(ends[np.searchsorted(ends, start + n_jets, side="right") - 1])
        paths.append(Path(directory) / name)
        _write_compact(table.iloc[start:end], paths[-1])
        start = end
    return paths


def _write_compact(table: pd.DataFrame, path: Path) -> None:
    """Parquet with split float bytes and event differences under Zstandard: the smallest of the lossless choices."""
    import pyarrow
    import pyarrow.parquet

    columns = pyarrow.Table.from_pandas(table, preserve_index=False).replace_schema_metadata(None)
    with atomic_path(path) as partial:
        pyarrow.parquet.write_table(
            columns,
            partial,
            compression="zstd",
            compression_level=22,
            use_dictionary=False,
            column_encoding={
                name: "DELTA_BINARY_PACKED" if name == "event" else "BYTE_STREAM_SPLIT" for name in columns.column_names
            },
        )


def _simulation_modules() -> tuple[ModuleType, ModuleType]:
    """Pythia 8 and FastJet, or a JetError that says how to get them."""
    try:
        import fastjet
        import pythia8mc
    except ImportError as error:
        message = (
            f"simulating jets needs Pythia 8 and FastJet, but {error.name or error} is not installed; "
            'install them with: pip install "compression-hep[simulation]"'
        )
        raise JetError(message) from error
    return pythia8mc, fastjet


def _bar(label: str, total: int, progress: bool) -> tqdm:
    """A progress bar; in a log it says something twice a minute at most."""
    interval = 0.1 if sys.stderr.isatty() else 30.0
    return tqdm(desc=label, total=total, unit="event", disable=not progress, mininterval=interval)


def _blocks(n_events: int, size: int) -> list[tuple[int, int]]:
    """Number and size of the blocks that hold `n_events`; only the last may be smaller."""
    return [(block, min(size, n_events - block * size)) for block in range(math.ceil(n_events / size))]


_worker_pool: _TowerLists | None = None


def _set_worker_pool(pool: _TowerLists | None) -> None:
    global _worker_pool
    _worker_pool = pool


def _map(
    function: Callable[[Any], Any], tasks: list[Any], workers: int, pool: _TowerLists | None, bar: tqdm
) -> Iterator[Any]:
    """Results of `function` over `tasks`, in order, from this process or from `workers` others."""
    if workers == 1:
        _set_worker_pool(pool)
        for task in tasks:
            yield function(task)
            bar.update(task[2])
        _set_worker_pool(None)
        return
    context = multiprocessing.get_context("spawn")
    processes = min(workers, max(len(tasks), 1))
    with context.Pool(processes, initializer=_set_worker_pool, initargs=(pool,)) as processor:
        for task, result in zip(tasks, processor.imap(function, tasks), strict=True):
            yield result
            bar.update(task[2])


def _pythia(process: str, seed: tuple[int, str, int], settings: SimulationSettings, extra: Iterable[str] = ()) -> Any:
    """A Pythia instance whose random numbers follow from `seed` (seed of the run, kind of block, block) alone."""
    pythia8mc, _ = _simulation_modules()
    run, kind, block = seed
    state = np.random.SeedSequence((run, *kind.encode(), block)).generate_state(1)[0]
    pythia = pythia8mc.Pythia("", False)
    for command in (
        "Print:quiet = on",
        f"Beams:eCM = {settings.beam_energy}",
        "Random:setSeed = on",
        f"Random:seed = {int(state) % 900_000_000 + 1}",
        f"{process} = on",
        *extra,
    ):
        if not pythia.readString(command):
            raise JetError(f"Pythia does not accept the setting {command!r}")
    if not pythia.init():
        raise JetError(f"Pythia could not be initialized for {process}")
    return pythia


def _generate(pythia: Any, n_events: int, eta_max: float) -> Iterator[_TowerLists]:
    """Visible final particles of `n_events` events as fine towers, a batch at a time; failed events are empty."""
    import awkward

    for start in range(0, n_events, BATCH_EVENTS):
        size = min(BATCH_EVENTS, n_events - start)
        particles = awkward.fill_none(pythia.nextBatch(size, "none").prt, [], axis=0)
        identity = abs(particles.id)
        visible = particles.status > 0
        for neutrino in NEUTRINOS:
            visible = visible & (identity != neutrino)
        momenta = particles.p[visible]
        event = np.repeat(np.arange(size), awkward.to_numpy(awkward.num(momenta.e)))
        px, py, pz, energy = (awkward.to_numpy(awkward.flatten(momenta[name])) for name in ("px", "py", "pz", "e"))
        pt = np.hypot(px, py)
        with np.errstate(divide="ignore"):
            eta = np.arcsinh(pz / pt)
        inside = np.abs(eta) < eta_max
        transverse = (energy * pt / np.hypot(pt, pz))[inside]
        towers = _fine_tower(eta[inside], np.arctan2(py, px)[inside], eta_max)
        starts = np.searchsorted(event[inside], np.arange(size + 1))
        yield _TowerLists(starts, towers.astype(np.int32), transverse.astype(np.float32))


def _fine_tower(eta: np.ndarray, phi: np.ndarray, eta_max: float) -> np.ndarray:
    rings = round(2 * eta_max / FINE_TOWER)
    ring = np.clip(np.floor((eta + eta_max) / FINE_TOWER).astype(int), 0, rings - 1)
    column = np.floor((phi + np.pi) * PHI_TOWERS / (2 * np.pi)).astype(int) % PHI_TOWERS
    return ring * PHI_TOWERS + column


def _concatenate(parts: Iterable[_TowerLists]) -> _TowerLists:
    kept = list(parts)
    counts = np.concatenate([np.empty(0, np.int64), *(np.diff(part.starts) for part in kept)])
    towers = np.concatenate([np.empty(0, np.int32), *(part.towers for part in kept)])
    energies = np.concatenate([np.empty(0, np.float32), *(part.energies for part in kept)])
    return _TowerLists(np.concatenate([[0], np.cumsum(counts)]).astype(np.int64), towers, energies)


def _minimum_bias_block(task: tuple[int, int, int, SimulationSettings]) -> _TowerLists:
    seed, block, size, settings = task
    pythia = _pythia(settings.pileup_process, (seed, "pileup", block), settings)
    return _concatenate(_generate(pythia, size, settings.regions[-1].eta_max))


def _hard_block(task: tuple[int, int, int, SimulationSettings]) -> tuple[np.ndarray, ...]:
    """Columns event, m, pt, phi, eta of the jets of one block that pass the trigger."""
    seed, block, size, settings = task
    pool = _worker_pool if _worker_pool is not None else _concatenate([])
    calorimeter = _calorimeter(settings)
    hard = (f"PhaseSpace:pTHatMin = {settings.pt_hat_min}",)
    pythia = _pythia(settings.hard_process, (seed, "hard", block), settings, hard)
    columns = []
    first = block * settings.block_events
    for batch in _generate(pythia, size, settings.regions[-1].eta_max):
        events = first + np.arange(len(batch.starts) - 1)
        generators = [np.random.default_rng((seed, int(event))) for event in events]
        towers = _overlay(batch, pool, generators, settings, calorimeter)
        smearing = np.array([1 + settings.trigger_resolution * generator.normal() for generator in generators])
        columns.append(_jets(towers, events, smearing, settings, calorimeter))
        first += len(events)
    return tuple(np.concatenate(column) for column in zip(*columns, strict=True))


def _overlay(
    hard: _TowerLists,
    pool: _TowerLists,
    generators: list[np.random.Generator],
    settings: SimulationSettings,
    calorimeter: _Calorimeter,
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


def _jets(
    energy: np.ndarray,
    events: np.ndarray,
    smearing: np.ndarray,
    settings: SimulationSettings,
    calorimeter: _Calorimeter,
) -> tuple[np.ndarray, ...]:
    """Cluster the towers above threshold and keep the jets of the events that pass the trigger."""
    import awkward
    import vector

    _, fastjet = _simulation_modules()
    fastjet._swig.ClusterSequence.set_fastjet_banner_stream(None)
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


def _calorimeter(settings: SimulationSettings) -> _Calorimeter:
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
    return _Calorimeter(
        tower_of.ravel(), np.concatenate(eta), np.concatenate(phi), np.concatenate(threshold), tuple(rings)
    )


def main(arguments: list[str] | None = None) -> None:
    """`python -m utils.simulation DIRECTORY`: write the embedded sample."""
    parser = argparse.ArgumentParser(description="Generate the sample that the repository ships in datasets/.")
    parser.add_argument("directory", type=Path, help="where the two Parquet files go")
    parser.add_argument("--workers", type=int, default=1, metavar="W", help="processes (default: %(default)s)")
    options = parser.parse_args(arguments)
    try:
        for path in write_embedded_sample(options.directory, options.workers):
            print(path)
    except (JetError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from error
