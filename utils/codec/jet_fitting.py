"""Fitting networks to the integers of jets."""

from typing import Any

import numpy as np

from utils import training
from utils.codec.arrays import weights_member
from utils.codec.bins import Bins
from utils.codec.bounded import BoundedScheme
from utils.codec.jet_networks import KNOWN, QUANTITY, JetNetworks, differences, go_through
from utils.codec.streams import encode_stream
from utils.codec.violations import Arrays, Columns
from utils.files import Json

STEPS = 1500
"""Steps of a training."""

LEAST_JETS = 2000
"""Fewer jets have no networks fitted to them: none is that small."""

SIZES = {0: (4, 32), 50_000: (8, 48), 200_000: (16, 64), 2_000_000: (32, 64)}
"""Hidden units, and most intervals of a column, from so many jets on that networks are to code."""


def choose_networks(
    plain: BoundedScheme, columns: Columns, counts: np.ndarray, model: JetNetworks | None = None, apart: bool = False
) -> tuple[JetNetworks | None, Json]:
    """A model, or networks fitted to jets, where these take fewer bytes than by `plain`, networks in the file counted
    unless they are `apart`; else None. And what they take: `bytes_bounded`, `bytes_coded`, `network_bytes`."""
    jets = len(columns["pt"])
    saving: Json = {"jets": jets, "bytes_bounded": _bytes_of(plain.encode(columns, counts)[0])}
    if jets == 0 or (model is None and jets < LEAST_JETS):
        return None, saving
    integers, _, _ = (plain if model is None else model.plain).quantize(columns)
    found = model or fit_jet_networks(plain, integers, counts, jets)
    saving["bytes_coded"] = _bytes_of(found.encode(integers, counts))
    saving["network_bytes"] = 0 if apart else len(weights_member(found.arrays).content)
    pays = saving["bytes_coded"] + saving["network_bytes"] < saving["bytes_bounded"]
    return (found if pays else None), saving


def _bytes_of(arrays: Arrays) -> int:
    return sum(len(encode_stream(values, settings)) for values, settings in arrays.values())


def fit_jet_networks(
    plain: BoundedScheme, integers: Columns, counts: np.ndarray, jets: int, steps: int | None = None, seed: int = 0
) -> JetNetworks:
    """Networks for integers of the grids of `plain`, in events of so many jets; of a size that suits so many `jets`.

    The same arguments give the same networks on the same machine; training takes some seconds on one core.
    """
    pt = np.sort(integers["pt"])
    floor = int(pt[len(pt) // 1000])
    rows: list[np.ndarray] = []
    known = differences(plain, integers)
    coded = {name: np.empty(len(pt), np.int64) for name in QUANTITY}
    there = {name: np.zeros(len(pt), bool) for name in QUANTITY}
    place = np.empty(len(pt), np.int64)
    done = 0

    def code(name: str, features: np.ndarray, of: np.ndarray, base: Any) -> np.ndarray:
        nonlocal done
        found = known(name, features, of, base)
        coded[name][of], there[name][of] = found, True
        if name == "m":
            rows.append(features)
            place[of] = np.arange(done, done + len(of))
            done += len(of)
        return found

    go_through(plain, floor, counts, code)
    hidden, most = next(entry for least, entry in reversed(SIZES.items()) if jets >= least)
    bins = {name: Bins.fit(coded[name][there[name]], most) for name in QUANTITY}
    symbols = []
    for name in QUANTITY:
        found = np.where(there[name], bins[name].split(coded[name])[0], len(bins[name]))
        symbols.append(np.empty_like(found))
        symbols[-1][place] = found
    fitted = training.fit_networks(
        np.concatenate(rows, 1),
        list(KNOWN.values()),
        symbols,
        [len(bins[name]) for name in QUANTITY],
        hidden,
        training.ConditionalTraining(steps=steps or STEPS, seed=seed),
    )
    return JetNetworks(plain, floor, bins, dict(zip(QUANTITY, fitted, strict=True)))
