"""Simulated jets that look like the trigger jets of data: Pythia 8, a coarse calorimeter and FastJet.

QCD dijets at 13 TeV with minimum-bias pile-up are summed into massless calorimeter towers; the median transverse
energy of each eta ring is subtracted, towers below a noise threshold are dropped, the others are clustered with
anti-kt, and events pass a trigger on the leading jet. Needs the extra `simulation`.

Please cite Pythia 8.3 (arXiv:2203.11601), FastJet (arXiv:1111.6097) and anti-kt (arXiv:0802.1189).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import awkward
import numpy as np
import pandas as pd
import pyarrow

from utils.jets.calorimeter import (
    SimulationSettings,
    TowerLists,
    cluster_jets,
    concatenate_towers,
    fine_tower,
    make_calorimeter,
    overlay_pileup,
)
from utils.jets.compact import write_compact
from utils.jets.generator import (
    are_visible,
    blocks,
    event_batches,
    make_pythia,
    map_blocks,
    progress_bar,
    require_arguments,
    shared,
)
from utils.jets.table import JetError, make_table

EMBEDDED_SEED = 20201

EMBEDDED_EVENTS = 64_000

EMBEDDED_JETS = {"qcd_jets_train.parquet": 111_778, "qcd_jets_test.parquet": 27_945}
"""Files of the embedded sample and the number of jets that each may hold at most; whole events fill them in turn."""


def simulate_jets(
    n_events: int,
    seed: int,
    workers: int = 1,
    progress: bool = True,
    settings: SimulationSettings | None = None,
) -> pd.DataFrame:
    """Generate `n_events` hard events and return the jets of those that pass the trigger, as a jet table.

    About a quarter of the events pass with the default settings, with 9 jets each. Jets are sorted by falling pt
    inside an event, and `event` is the number of the hard event, from 0 to n_events - 1. The table depends on `seed`
    and `settings` alone, not on `workers`, and the table of fewer events is the beginning of that of more. With more
    than one worker the calling script needs the usual `if __name__ == "__main__"`.

    Masses are what double precision leaves of E² - p²: a jet of a single massless tower has a mass of zero or a few
    10 keV of either sign, the negative root of -m² where m² < 0.

    Raises JetError for unusable arguments and where Pythia 8 or FastJet is not installed.
    """
    settings = settings or SimulationSettings()
    require_arguments(n_events, seed, workers)
    make_calorimeter(settings)
    with progress_bar("minimum bias", settings.pileup_pool, progress) as bar:
        pool_blocks = blocks(settings.pileup_pool, settings.pileup_block_events)
        pool_tasks = [(seed, block, size, settings) for block, size in pool_blocks]
        pool = concatenate_towers(map_blocks(_minimum_bias_block, pool_tasks, workers, bar))
    with progress_bar("hard events", n_events, progress) as bar:
        tasks = [(seed, block, size, settings) for block, size in blocks(n_events, settings.block_events)]
        tables = list(map_blocks(_hard_block, tasks, workers, bar, share=pool))
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
        write_compact(pyarrow.Table.from_pandas(table.iloc[start:end], preserve_index=False), paths[-1])
        start = end
    return paths


def _generate(pythia: Any, n_events: int, eta_max: float) -> Iterator[TowerLists]:
    """Visible final particles of `n_events` events as fine towers, a batch at a time; failed events are empty."""
    for batch in event_batches(pythia, n_events):
        size = len(batch)
        particles = awkward.fill_none(batch.prt, [], axis=0)
        momenta = particles.p[are_visible(particles)]
        event = np.repeat(np.arange(size), awkward.to_numpy(awkward.num(momenta.e)))
        px, py, pz, energy = (awkward.to_numpy(awkward.flatten(momenta[name])) for name in ("px", "py", "pz", "e"))
        pt = np.hypot(px, py)
        with np.errstate(divide="ignore"):
            eta = np.arcsinh(pz / pt)
        inside = np.abs(eta) < eta_max
        transverse = (energy * pt / np.hypot(pt, pz))[inside]
        towers = fine_tower(eta[inside], np.arctan2(py, px)[inside], eta_max)
        starts = np.searchsorted(event[inside], np.arange(size + 1))
        yield TowerLists(starts, towers.astype(np.int32), transverse.astype(np.float32))


def _minimum_bias_block(task: tuple[int, int, int, SimulationSettings]) -> TowerLists:
    seed, block, size, settings = task
    pythia = make_pythia(settings.pileup_process, (seed, "pileup", block), settings.beam_energy)
    return concatenate_towers(_generate(pythia, size, settings.regions[-1].eta_max))


def _hard_block(task: tuple[int, int, int, SimulationSettings]) -> tuple[np.ndarray, ...]:
    """Columns event, m, pt, phi, eta of the jets of one block that pass the trigger."""
    seed, block, size, settings = task
    pool = shared()
    calorimeter = make_calorimeter(settings)
    hard = (f"PhaseSpace:pTHatMin = {settings.pt_hat_min}",)
    pythia = make_pythia(settings.hard_process, (seed, "hard", block), settings.beam_energy, hard)
    columns = []
    first = block * settings.block_events
    for batch in _generate(pythia, size, settings.regions[-1].eta_max):
        events = first + np.arange(len(batch.starts) - 1)
        generators = [np.random.default_rng((seed, int(event))) for event in events]
        towers = overlay_pileup(batch, pool, generators, settings, calorimeter)
        smearing = np.array([1 + settings.trigger_resolution * generator.normal() for generator in generators])
        columns.append(cluster_jets(towers, events, smearing, settings, calorimeter))
        first += len(events)
    return tuple(np.concatenate(column) for column in zip(*columns, strict=True))
