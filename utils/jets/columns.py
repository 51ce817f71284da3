"""The sample of jets with columns as NanoAOD and xAOD have them: what they are, how it is made, and reading it.

QCD dijets of Pythia 8 at 13.6 TeV, biased to high momenta, whose particles are smeared (`particles`), clustered with
anti-kt, corrected, and described (`shapes`). Needs the extra `simulation` to be made, not to be read.

Please cite Pythia 8.3 (arXiv:2203.11601), FastJet (arXiv:1111.6097), anti-kt (arXiv:0802.1189) and N-subjettiness
(arXiv:1011.2268).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import awkward
import numpy as np
import pandas as pd
import pyarrow
import pyarrow.parquet

from utils.files import require_clone
from utils.jets.compact import write_compact
from utils.jets.generator import blocks, event_batches, make_pythia, map_blocks, progress_bar, require_arguments
from utils.jets.particles import ParticleSettings, cluster_particles, seen_particles
from utils.jets.samples import EMBEDDED
from utils.jets.shapes import jet_columns

EMBEDDED_COLUMNS = EMBEDDED / "qcd_jet_columns.parquet"

EMBEDDED_SEED = 20202

EMBEDDED_EVENTS = 12_000


@dataclass(frozen=True)
class JetColumn:
    """A column: name, type, unit ("-" for none), meaning, and the bits that the mantissas of floats are rounded to."""

    name: str
    dtype: str
    unit: str
    meaning: str
    bits: int | None = None

    def stored(self, values: np.ndarray) -> np.ndarray:
        """Values as they are stored: rounded to the type, and floats to the bits of the mantissa."""
        if self.dtype == "uint8":
            return np.minimum(values, 255).astype(np.uint8)
        values = values.astype(self.dtype)
        return values if self.bits is None else round_mantissas(values, self.bits)


def _float(name: str, unit: str, meaning: str, bits: int = 10) -> JetColumn:
    return JetColumn(name, "float32", unit, meaning, bits)


def _count(name: str, meaning: str) -> JetColumn:
    return JetColumn(name, "uint8", "-", meaning)


EVENT_WISE = (
    JetColumn("event", "int64", "-", "number of the simulated event; events without jets are missing"),
    JetColumn("genWeight", "float32", "-", "weight of the event, which makes up for the bias to high momenta"),
)
"""What the jets of an event have in common."""

JET_WISE = (
    _float("pt", "GeV", "transverse momentum, corrected"),
    _float("eta", "-", "pseudorapidity", 12),
    _float("phi", "rad", "azimuth, -pi to pi", 12),
    _float("mass", "GeV", "mass, corrected"),
    _float("chHEF", "-", "share of charged hadrons in the energy"),
    _float("neHEF", "-", "share of neutral hadrons in the energy, of all hadrons where there is no tracker"),
    _float("chEmEF", "-", "share of electrons in the energy"),
    _float("neEmEF", "-", "share of photons in the energy, and of electrons where there is no tracker"),
    _float("muEF", "-", "share of muons in the energy"),
    _count("nConstituents", "particles in the jet"),
    _count("chMultiplicity", "charged particles in the jet"),
    _count("neMultiplicity", "neutral particles in the jet"),
    _float("ptD", "-", "root of the sum of pt^2 over the sum of pt"),
    _float("width", "-", "mean distance from the axis in eta and phi, weighted with pt"),
    _float("widthPhi", "-", "mean distance from the axis in phi, weighted with pt"),
    _float("tau1", "-", "1-subjettiness, over R = 0.4"),
    _float("tau2", "-", "2-subjettiness, over R = 0.4"),
    _float("leadFrac", "-", "share of the hardest particle in the sum of pt"),
    _float("leadR", "-", "distance of the hardest particle from the axis in eta and phi"),
    _float("charge", "-", "sum of charges, weighted with the root of pt, over the root of the sum of pt"),
    _float("sumPtTrk", "GeV", "sum of pt of tracks above 0.5 GeV"),
    _count("nTrk500", "tracks above 0.5 GeV"),
    _count("nTrk1000", "tracks above 1 GeV"),
    _float("trackWidth", "-", "width of tracks above 0.5 GeV alone; -1 where there is none"),
    _float("C1", "-", "energy correlation of pairs of particles, beta = 0.2, over the square of the sum of pt"),
    _count("N90", "hardest particles that have 90% of the sum of pt"),
    _float("centroidR", "-", "distance of the mean of eta and phi, weighted with pt, from the axis"),
    _count("hadronFlavour", "5 with a b hadron above 5 GeV inside, else 4 with a c hadron, else 0; from the generator"),
    _float("rawFactor", "-", "1 - uncorrected pt over pt"),
    _float("leadTrkPt", "GeV", "pt of the hardest track above 0.5 GeV; 0 where there is none"),
    _float("dxyMax", "cm", "largest transverse impact parameter of tracks above 0.5 GeV; 0 where there is none"),
    _count("nSVs", "points 0.1 to 20 mm from the beam where two or more tracks above 0.5 GeV begin"),
)
"""The columns of each jet, under NanoAOD's names where it has them and without its `Jet_`."""


def round_mantissas(values: np.ndarray, bits: int) -> np.ndarray:
    """Float32 with the mantissas rounded to so many bits, as NanoAOD stores them; halves away from zero.

    >>> round_mantissas(np.array([1.00048828125, -3.14159274, 0], np.float32), 10).tolist()
    [1.0009765625, -3.140625, 0.0]
    """
    drop = np.uint32(23 - bits)
    pattern = np.ascontiguousarray(values, np.float32).view(np.uint32)
    return ((pattern + (np.uint32(1) << (drop - np.uint32(1)))) >> drop << drop).view(np.float32)


def simulate_columns(
    n_events: int,
    seed: int,
    workers: int = 1,
    progress: bool = True,
    settings: ParticleSettings | None = None,
) -> pd.DataFrame:
    """Generate `n_events` events and return their jets, a row each, with the columns `EVENT_WISE` and `JET_WISE`.

    Nearly all events have jets, four on average. Jets are sorted by falling pt inside an event, and `event` goes from
    0 to n_events - 1. The table depends on `seed` and `settings` alone, not on `workers`, and the table of fewer events
    is the beginning of that of more. With more than one worker the calling script needs the usual
    `if __name__ == "__main__"`.

    Raises JetError for unusable arguments and where Pythia 8 or FastJet is not installed.
    """
    settings = settings or ParticleSettings()
    require_arguments(n_events, seed, workers)
    tasks = [(seed, block, size, settings) for block, size in blocks(n_events, settings.block_events)]
    with progress_bar("events", n_events, progress) as bar:
        tables = list(map_blocks(_block, tasks, workers, bar))
    return pd.concat(tables, ignore_index=True)


def _block(task: tuple[int, int, int, ParticleSettings]) -> pd.DataFrame:
    """The jets of one block of events."""
    seed, block, size, settings = task
    bias = (
        f"PhaseSpace:pTHatMin = {settings.pt_hat_min}",
        "PhaseSpace:bias2Selection = on",
        f"PhaseSpace:bias2SelectionPow = {settings.bias_power}",
        f"PhaseSpace:bias2SelectionRef = {settings.bias_reference}",
    )
    pythia = make_pythia(settings.hard_process, (seed, "columns", block), settings.beam_energy, bias)
    random = np.random.default_rng((seed, block))
    tables = []
    first = block * settings.block_events
    for batch in event_batches(pythia, size):
        tables.append(_jets_of(batch, first, pythia, random, settings))
        first += len(batch)
    return pd.concat(tables, ignore_index=True)


def _jets_of(
    batch: awkward.Array, first: int, pythia: Any, random: np.random.Generator, settings: ParticleSettings
) -> pd.DataFrame:
    """The jets of a batch of events, of which `first` is the first."""
    particles = seen_particles(awkward.fill_none(batch.prt, [], axis=0), pythia, random, settings)
    jets = cluster_particles(particles, settings.jet_pt_min / 2, settings)
    columns = jet_columns(jets, settings.jet_radius)
    weights = awkward.to_numpy(awkward.fill_none(awkward.firsts(batch.info.weights), 0.0))
    columns |= {"event": first + jets.event, "genWeight": weights[jets.event]}
    kept = (columns["pt"] > settings.jet_pt_min) & (np.abs(columns["eta"]) < settings.jet_eta_max)
    order = np.lexsort((-columns["pt"], jets.event))
    order = order[kept[order]]
    stored = {column.name: column.stored(columns[column.name][order]) for column in (*EVENT_WISE, *JET_WISE)}
    return pd.DataFrame(stored)


def write_columns(table: pd.DataFrame, path: str | Path) -> None:
    """Write a table of `simulate_columns` as Parquet, the unit and the meaning of each column in its metadata."""
    columns = (*EVENT_WISE, *JET_WISE)
    said = {column.name: {"unit": column.unit, "description": column.meaning} for column in columns}
    fields = [pyarrow.field(column.name, column.dtype, metadata=said[column.name]) for column in columns]
    write_compact(pyarrow.Table.from_pandas(table, pyarrow.schema(fields), preserve_index=False), path)


def write_embedded_columns(directory: str | Path, workers: int = 1, progress: bool = True) -> list[Path]:
    """Generate the sample with columns that the repository ships and write its file into `directory`."""
    path = Path(directory) / EMBEDDED_COLUMNS.name
    write_columns(simulate_columns(EMBEDDED_EVENTS, EMBEDDED_SEED, workers, progress), path)
    return [path]


def embedded_columns() -> pd.DataFrame:
    """The sample with columns that the repository ships: a jet a row, sorted by event and by falling pt.

    `EVENT_WISE` and `JET_WISE` say what the columns are. CloneError where the package is installed without the
    repository.

    >>> embedded_columns()[["event", "pt", "nConstituents"]].dtypes.astype(str).tolist()
    ['int64', 'float32', 'uint8']
    """
    require_clone(EMBEDDED_COLUMNS, "the embedded sample with columns")
    return pyarrow.parquet.read_table(EMBEDDED_COLUMNS).to_pandas()
