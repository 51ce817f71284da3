"""Streams of integers that know of the event: cheap transforms in front of an entropy coder, one for each quantity."""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from numcodecs.pcodec import PCodec

from utils.codec import PLAIN, BoundedScheme, Bounds
from utils.jets import FEATURES
from utils.study.gridded import GriddedJets
from utils.study.jet_features import ORDER
from utils.study.methods import columns_of

Columns = dict[str, float]
"""Bytes a jet by quantity."""

PHI_RANKS, ROOMS, PTS, ETAS = 3, 8, 8, 4
"""Into so many classes jets are told apart, those of pt and eta with about as many jets each."""


def bounded_bytes(table: pd.DataFrame, train: pd.DataFrame, bounds: Bounds | None = None) -> Columns:
    """What the streams of the codec `bounded` take in its own use of events, fitted on other jets."""
    fit, jets = (GriddedJets.of(one, bounds) for one in (train, table))
    scheme = BoundedScheme.of(bounds or Bounds()).fitted(_columns(train), fit.counts)
    arrays, _ = scheme.encode(_columns(table), jets.counts)
    found = dict.fromkeys(ORDER, 0.0)
    for name, (values, settings) in arrays.items():
        found[name.split("_")[0]] += len(PCodec(**settings).encode(values)) / len(jets)
    return found


def _columns(table: pd.DataFrame) -> dict[str, np.ndarray]:
    return columns_of(table[list(FEATURES)].to_numpy(np.float32))


def phi_from_recoil(jets: GriddedJets, fit: GriddedJets) -> Columns:
    """phi relative to minus the vector sum of the earlier jets, in streams by rank."""
    return {"phi": stream_bytes(jets.phi_from_recoil, np.minimum(jets.rank, PHI_RANKS)) / len(jets)}


def pt_by_room(jets: GriddedJets, fit: GriddedJets) -> Columns:
    """pt below that of the jet before, in streams by how far that lies above the lowest, and whether more follow."""
    later, lowest = jets.rank > 0, fit.integers["pt"].min()
    room, fit_room = (one.earlier(one.integers["pt"]) - lowest for one in (jets, fit))
    classes = 2 * _classes(room, fit_room[fit.rank > 0], ROOMS) + (jets.left == 1)
    streams = stream_bytes(jets.integers["pt"][~later]), stream_bytes(jets.drop[later], classes[later])
    return {"pt": sum(streams) / len(jets)}


def m_from_medians(jets: GriddedJets, fit: GriddedJets) -> Columns:
    """m less the median of jets of about the same pt and |eta|, in streams by pt and |eta|."""
    cells, fit_cells = (_cells(one, fit, PTS, ETAS) for one in (jets, fit))
    covariance = np.cov(fit.integers["pt"], fit.integers["m"])
    slope = int(np.rint(16 * covariance[0, 1] / covariance[0, 0]))
    sloped, fit_sloped = (one.integers["m"] - ((slope * one.integers["pt"]) >> 4) for one in (jets, fit))
    medians = pd.Series(fit_sloped).groupby(fit_cells).median().reindex(range(PTS * ETAS)).fillna(0)
    left = sloped - medians.to_numpy().astype(np.int64)[cells]
    return {"m": stream_bytes(left, _cells(jets, fit, 4, 3)) / len(jets)}


def _cells(jets: GriddedJets, fit: GriddedJets, pts: int, etas: int) -> np.ndarray:
    pt = _classes(jets.integers["pt"], fit.integers["pt"], pts)
    return etas * pt + _classes(np.abs(jets.integers["eta"]), np.abs(fit.integers["eta"]), etas)


def _classes(values: np.ndarray, fit: np.ndarray, number: int) -> np.ndarray:
    """The class of each value, of `number` that hold about as many of other values each."""
    edges = np.unique(np.quantile(fit, np.linspace(0, 1, number + 1)[1:-1])) if len(fit) else np.empty(0)
    return np.searchsorted(edges, values, side="right")


def stream_bytes(integers: np.ndarray, classes: np.ndarray | None = None) -> int:
    """Bytes of integers in a stream of PCodec, or in one for each class where that takes fewer."""
    parts = [] if classes is None else [integers[classes == one] for one in np.unique(classes)]
    sizes = [_stream(integers), *([sum(map(_stream, parts))] if parts else [])]
    return min(sizes)


def _stream(integers: np.ndarray) -> int:
    return len(PCodec(**PLAIN).encode(np.ascontiguousarray(integers, np.int32))) if len(integers) else 0


TRANSFORMS: Mapping[str, Callable[[GriddedJets, GriddedJets], Columns]] = {
    "phi from the recoil": phi_from_recoil,
    "pt by the room below": pt_by_room,
    "m from medians": m_from_medians,
}
"""By name, in the order of the ladder; each takes jets and those that it is fitted on."""
