"""Jets whose columns tell of each other, as ROOT files, and what containers hold of them."""

from pathlib import Path

import awkward as ak
import numpy as np
import uproot

from utils import codec
from utils.codec.bins import Bins
from utils.codec.column_networks import ColumnNetworks, NamedCollection, NamedColumn
from utils.codec.conditional import Collection, Conditional
from utils.networks import IntegerNetwork
from utils.trees import load_policy

JETS = ("pt", "mass", "charged", "neutral", "tracks", "flag")


def write_jets(path: Path, jets: int, seed: int = 0) -> None:
    """A NanoAOD-like tree of jets whose columns tell of each other, with NaN and sentinels among them."""
    rng = np.random.default_rng(seed)
    counts = rng.poisson(3, jets)
    counts = counts[np.cumsum(counts) <= jets]
    counts[-1] += jets - counts.sum()
    pt = 20 + rng.exponential(40, jets)
    charged = rng.beta(3, 2, jets)
    tracks = rng.poisson(charged * pt / 4)
    columns = {
        "pt": pt.astype(np.float32),
        "mass": (pt * rng.lognormal(-2, 0.2, jets)).astype(np.float32),
        "charged": charged.astype(np.float32),
        "neutral": (1 - charged + rng.normal(0, 0.01, jets)).astype(np.float32),
        "tracks": tracks.astype(np.int32),
        "flag": tracks > 6,
    }
    columns["neutral"][::200] = np.nan
    columns["mass"][::150] = -1
    arrays = {name: ak.unflatten(values, counts) for name, values in columns.items()}
    record = ak.zip(arrays)
    with uproot.recreate(path) as file:
        kinds = {"event": np.int64, "Jet": ak.type(record).content}
        tree = file.mktree("Events", kinds, counter_name=lambda name: f"n{name}")
        tree.extend({"event": np.arange(len(counts)), "Jet": record})


POLICY = load_policy("nanoaod", bounds=["Jet_charged=0.005", "Jet_neutral=0.005"])


def flat(array: ak.Array) -> np.ndarray:
    return np.asarray(ak.flatten(array))


def assert_same(one: Path, other: Path, model: Path | None = None) -> None:
    """Two containers hold the same columns, bit for bit; `model` is what the first may name."""
    with codec.open(one, model) as first, codec.open(other) as second:
        assert list(first) == list(second)
        for name in first:
            assert ak.to_buffers(first[name])[2].keys() == ak.to_buffers(second[name])[2].keys()
            for key, values in ak.to_buffers(first[name])[2].items():
                assert values.tobytes() == ak.to_buffers(second[name])[2][key].tobytes(), name


def read_all(path: Path) -> list[np.ndarray]:
    with codec.open(path) as container:
        return [flat(container[f"Jet_{name}"]) for name in JETS]


def smallest_model() -> ColumnNetworks:
    """Networks for the columns Jet_a and Jet_b, whose integers are 0 to 3, that know nothing."""
    bins = Bins(np.arange(4), np.ones(4, np.int64))
    network = IntegerNetwork(*(np.zeros(shape, np.int32) for shape in ((2, 1), (2,), (4, 2), (4,))))
    columns = (Conditional(0, ("integers", 0), bins, None), Conditional(1, ("integers", 0), bins, network))
    names = (NamedColumn("Jet_a", "", {}), NamedColumn("Jet_b", "", {}))
    return ColumnNetworks((NamedCollection("Events", "nJet", names, Collection(columns)),))
