"""The sample with columns as a ROOT file that looks like NanoAOD, for whoever has none."""

from pathlib import Path

import awkward as ak
import numpy as np
import pandas as pd
import uproot

from utils.files import atomic_path
from utils.jets import EVENT_WISE, JET_WISE, JetColumn, embedded_columns, new_root_file
from utils.trees.arrays import canonical
from utils.trees.schema import Column
from utils.trees.settings import COMPRESSIONS
from utils.trees.ttree import TTreeWriter

EVENTS_PER_LUMINOSITY_BLOCK = 1000


def write_sample_tree(path: str | Path, table: pd.DataFrame | None = None) -> None:
    """Write jets of `jets.simulate_columns`, or those that the repository ships, as the tree `Events` of a ROOT file.

    An entry is an event: `run`, `luminosityBlock`, `event`, `genWeight`, and the jets as branches `Jet_*`, which `nJet`
    counts, with their meaning and unit as titles. The same table gives the same bytes.
    """
    branches = _branches(embedded_columns() if table is None else table)
    chunk = {name: canonical(ak.to_layout(array)) for name, (_, array) in branches.items()}
    columns = [
        Column(name, name, "", title, chunk[name].form, "nJet" if name.startswith("Jet_") else None)
        for name, (title, _) in branches.items()
    ]
    with atomic_path(path) as partial, new_root_file(partial, uproot.LZMA(COMPRESSIONS["lzma"])) as file:
        writer = TTreeWriter(file, "Events", "jets of simulated QCD dijets", columns, chunks=1)
        writer.extend(chunk)
        writer.close()


def _branches(table: pd.DataFrame) -> dict[str, tuple[str, np.ndarray | ak.Array]]:
    """Title and values of each branch, by name."""
    _, first, counts = np.unique(table["event"].to_numpy(), return_index=True, return_counts=True)
    events = table.iloc[first]
    number = events["event"].to_numpy().astype(np.uint64)
    block = (1 + number // EVENTS_PER_LUMINOSITY_BLOCK).astype(np.uint32)
    titles = {column.name: _title(column) for column in (*EVENT_WISE, *JET_WISE)}
    scalars = {
        "run": ("run number, 1 as of all simulations", np.ones(len(number), np.uint32)),
        "luminosityBlock": (f"{EVENTS_PER_LUMINOSITY_BLOCK} events each, from 1", block),
        "event": (titles["event"], number),
        "genWeight": (titles["genWeight"], events["genWeight"].to_numpy()),
        "nJet": ("number of jets", counts.astype(np.int32)),
    }
    names = [column.name for column in JET_WISE]
    return scalars | {f"Jet_{name}": (titles[name], ak.unflatten(table[name].to_numpy(), counts)) for name in names}


def _title(column: JetColumn) -> str:
    return column.meaning if column.unit == "-" else f"{column.meaning} [{column.unit}]"
