"""Fitting networks to the integers of jets."""

from dataclasses import replace
from typing import Any

import numpy as np

from utils import training
from utils.codec.arrays import weights_member
from utils.codec.bins import Bins
from utils.codec.bounded import BoundedScheme
from utils.codec.bounds import Bounds
from utils.codec.incoming import jet_columns
from utils.codec.jet_networks import KNOWN, QUANTITY, JetNetworks, differences, go_through
from utils.codec.streams import encode_stream
from utils.codec.violations import Arrays, Columns
from utils.files import Json
from utils.jets import FEATURES, Sample, event_counts

STEPS = 1000
"""Steps of a training."""

FIT_JETS = 2**16
"""Jets that networks are fitted to, and judged by, are as many and those that are left of their event."""

LEAST_JETS = 2000
"""Fewer jets have no networks fitted to them: none is that small."""

DESCRIBING_BYTES = {True: 450, False: 550}
"""Bytes, about, by which what a file says of itself grows with networks that are apart, or inside."""

MODEL_JETS, MODEL_STEPS = 1_000_000, 3000
"""Jets that a model for many files is to code, and steps of its training."""

SIZES = {0: (4, 32), 50_000: (8, 48), 200_000: (16, 64)}
"""Hidden units, and most intervals of a column, from so many jets on that networks are to code."""


def choose_networks(
    plain: BoundedScheme, columns: Columns, counts: np.ndarray, model: JetNetworks | None = None, apart: bool = False
) -> tuple[JetNetworks | None, Json]:
    """A model, or networks fitted to jets, where these take fewer bytes than by `plain`, networks in the file counted
    unless they are `apart`; else None. And what they take: `bytes_bounded`, `bytes_coded`, `network_bytes`."""
    jets = len(columns["pt"])
    columns, counts = _first(columns, counts)
    share = max(len(columns["pt"]), 1) / max(jets, 1)
    saving: Json = {"jets": jets, "bytes_bounded": int(_bytes_of(plain.encode(columns, counts)[0]) / share)}
    if jets == 0 or (model is None and jets < LEAST_JETS):
        return None, saving
    integers, _, _ = (plain if model is None else model.plain).quantize(columns)
    found = model or fit_jet_networks(plain, integers, counts, jets)
    saving["bytes_coded"] = int(_bytes_of(found.encode(integers, counts)) / share)
    saving["network_bytes"] = 0 if apart else len(weights_member(found.arrays).content)
    pays = saving["bytes_coded"] + saving["network_bytes"] + DESCRIBING_BYTES[apart] < saving["bytes_bounded"]
    return (found if pays else None), saving


def _first(columns: Columns, counts: np.ndarray) -> tuple[Columns, np.ndarray]:
    """The first events with some `FIT_JETS` jets."""
    ends = np.cumsum(counts)
    events = int(np.searchsorted(ends, FIT_JETS)) + 1
    jets = int(ends[:events].max(initial=0))
    return {name: values[:jets] for name, values in columns.items()}, counts[:events]


def train_jet_networks(
    sample: Sample, bounds: Bounds | None = None, steps: int | None = None, seed: int = 0
) -> tuple[JetNetworks, Json]:
    """A model for many files, from the training jets of a sample; and what it makes of the test jets.

    ValueError for bounds of 0, and for fewer than `LEAST_JETS` jets.
    """
    bounds = bounds or Bounds()
    if any(getattr(bounds, name).exact for name in FEATURES) or (steps is not None and steps < 1):
        raise ValueError(f"networks need a bound above 0 for each quantity, and a step, found {bounds} and {steps}")
    columns, counts = jet_columns(sample.train), event_counts(sample.train)[1]
    if len(columns["pt"]) < LEAST_JETS:
        raise ValueError(f"{len(columns['pt'])} training jets are too few for networks: {LEAST_JETS} are the least")
    plain = BoundedScheme.of(bounds).fitted(columns, counts)
    integers, _, _ = plain.quantize(columns)
    model = fit_jet_networks(plain, integers, counts, MODEL_JETS, steps or MODEL_STEPS, seed)
    columns, counts = jet_columns(sample.test), event_counts(sample.test)[1]
    integers, _, _ = plain.quantize(columns)
    taken = {"bytes_bounded": plain.encode(columns, counts)[0], "bytes_coded": model.encode(integers, counts)}
    found = {name: _bytes_of(arrays) for name, arrays in taken.items()}
    return model, {"jets": len(columns["pt"])} | found | {"network_bytes": len(weights_member(model.arrays).content)}


def _bytes_of(arrays: Arrays) -> int:
    return sum(len(encode_stream(values, settings)) for values, settings in arrays.values())


def fit_jet_networks(
    plain: BoundedScheme, integers: Columns, counts: np.ndarray, jets: int, steps: int | None = None, seed: int = 0
) -> JetNetworks:
    """Networks for integers of the grids of `plain`, in events of so many jets; of a size that suits so many `jets`.

    The same arguments give the same networks on the same machine; training takes some seconds on one core.
    """
    plain = replace(plain, pt_drops=False)
    pt = np.sort(integers["pt"])
    floor = int(pt[len(pt) // 1000])
    features, coded, codes = _told(plain, floor, integers, counts)
    hidden, most = next(entry for least, entry in reversed(SIZES.items()) if jets >= least)
    bins = {name: Bins.fit(coded[name][codes[name]] if codes[name].any() else np.zeros(1), most) for name in QUANTITY}
    fitted = training.fit_networks(
        features,
        list(KNOWN.values()),
        [np.where(codes[name], one.split(coded[name])[0], len(one)) for name, one in bins.items()],
        [len(one) for one in bins.values()],
        hidden,
        training.ConditionalTraining(steps=steps or STEPS, seed=seed),
    )
    return JetNetworks(plain, floor, bins, dict(zip(QUANTITY, fitted, strict=True)))


def _told(
    plain: BoundedScheme, floor: int, integers: Columns, counts: np.ndarray
) -> tuple[np.ndarray, Columns, Columns]:
    """In the order of coding: the features of jets, what each network codes, and of which jets it does."""
    differ = differences(plain, integers)
    rows: list[np.ndarray] = []
    coded: dict[str, list[np.ndarray]] = {name: [] for name in QUANTITY}
    codes: dict[str, list[np.ndarray]] = {name: [] for name in QUANTITY}

    def code(name: str, features: np.ndarray, jets: np.ndarray, base: Any) -> np.ndarray:
        found = differ(name, features, jets, base)
        coded[name].append(found)
        codes[name].append(np.ones(len(jets), bool))
        if name.startswith("pt"):
            other = "pt" if name == "pt_first" else "pt_first"
            coded[other].append(np.zeros_like(found))
            codes[other].append(np.zeros(len(jets), bool))
        if name == "m":
            rows.append(features)
        return found

    go_through(plain, floor, counts, code)
    joined = [{name: np.concatenate(parts) for name, parts in kept.items()} for kept in (coded, codes)]
    return np.concatenate(rows, 1), joined[0], joined[1]
