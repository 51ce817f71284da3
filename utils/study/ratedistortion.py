"""Error against size: the ways to store jets, measured on the same jets in the same space."""

import math
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd
import torch
import vector
from scipy.special import digamma, gammaln
from sklearn.neighbors import NearestNeighbors

from utils.files import Json
from utils.jets import FEATURES, MASSLESS, event_counts, feature_array
from utils.metrics import RESIDUAL_UNITS, mean_squared_error, median_and_width, residuals, resolutions
from utils.networks import VARIANT_LABELS, Checkpoint, load_checkpoint, resolution
from utils.study.methods import COMMON_SPACE, Method
from utils.study.record import STUDY_MODELS

T = TypeVar("T")

RESOLUTION_SOURCE = (
    "pt as ATLAS measured it (arXiv:2007.02645); assumed: m twice as wide as pt and 1 GeV at the least, phi and eta "
    "1 GeV / pt and 0.01 in quadrature"
)
"""Where the bands of `resolution_bands` come from."""

_NORMALIZATION_LABELS = {"none": ", no norm.", "standard": ", standard norm."}


def resolution_bands(jets: np.ndarray) -> dict[str, tuple[float, float]]:
    """What a detector resolves (`networks.resolution`) for jets of shape (jets, 4): the middle 80%, by quantity.

    Relative for pt and m (without massless jets), phi in rad, in the order pt, m, phi, eta.
    """
    jets = np.asarray(jets, np.float32)
    jets = jets[jets[:, FEATURES.index("m")] > MASSLESS]
    sigma = resolution(torch.from_numpy(jets)).numpy()
    bands = {}
    for name in ("pt", "m", "phi", "eta"):
        column = sigma[:, FEATURES.index(name)]
        if RESIDUAL_UNITS[name] == "relative":
            column = column / jets[:, FEATURES.index(name)]
        low, high = np.quantile(column, [0.1, 0.9]).tolist()
        bands[name] = (low, high)
    return bands


def measure(method: Method, jets: np.ndarray, repeats: int = 3) -> Json:
    """Size, errors and speeds of a method; one row, JSON-safe.

    Columns: `method`, `setting`, `named`, `bytes_per_jet`, `weight_bytes`, `mse` (in custom-normalized space),
    <quantity>_half_width_68, <quantity>_q99 and <quantity>_max of the residuals, and `encode_mjets`, `decode_mjets`,
    the fastest of `repeats` in millions of jets per second of CPU time.
    """
    jets = np.ascontiguousarray(jets, np.float32)
    encode_time, streams = _timed(lambda: method.encode(jets), repeats)
    decode_time, found = _timed(lambda: method.decode(streams), repeats)
    with np.errstate(divide="ignore"):
        by_quantity = resolutions(jets, found)
    errors = {
        f"{quantity}_{column}": getattr(resolution, column)
        for quantity, resolution in by_quantity.items()
        for column in ("half_width_68", "q99", "max")
    }
    return {
        "method": method.name,
        "setting": method.setting,
        "named": method.named,
        "bytes_per_jet": sum(map(len, streams)) / len(jets),
        "weight_bytes": method.weight_bytes,
        "mse": _common_space_mse(jets, found),
        **errors,
        "encode_mjets": len(jets) / encode_time / 1e6,
        "decode_mjets": len(jets) / decode_time / 1e6,
    }


def measure_all(methods: Iterable[Method], jets: np.ndarray, repeats: int = 3) -> pd.DataFrame:
    """`measure` for each method, one row each."""
    return pd.DataFrame([measure(method, jets, repeats) for method in methods])


def find_labelled_models(*folders: Path) -> dict[str, Checkpoint]:
    """The models of the study in the first of `folders` that has some, by a label; none is no error.

    ValueError where two have the same label.
    """
    for folder in folders:
        models = {}
        for path in sorted(Path(folder).glob(STUDY_MODELS)):
            checkpoint = load_checkpoint(path)
            kind = checkpoint.normalization.kind
            label = VARIANT_LABELS.get(checkpoint.name, checkpoint.name) + _NORMALIZATION_LABELS.get(kind, "")
            if label in models:
                raise ValueError(f"{path}: a second model that is labelled {label}; move one of them away")
            models[label] = checkpoint
        if models:
            return models
    return {}


def nearest_neighbour_entropy(values: np.ndarray, neighbours: int = 3) -> float:
    """Differential entropy in bits per jet of rows of shape (jets, dimensions).

    The estimator of Kozachenko and Leonenko (Probl. Inf. Transm. 23 (1987) 9) with the k-th neighbour, as in Kraskov
    et al., Phys. Rev. E 69 (2004) 066138, eq. 20: psi(N) - psi(k) + ln V_d + d <ln r_k>. Rows that have k equals are
    left out: a density does not describe them.
    """
    values = np.asarray(values, np.float64)
    jets, dimensions = values.shape
    distances = NearestNeighbors(n_neighbors=neighbours + 1).fit(values).kneighbors(values)[0][:, -1]
    ball = dimensions / 2 * math.log(math.pi) - gammaln(dimensions / 2 + 1)
    radius = np.log(distances[distances > 0]).mean()
    return float(digamma(jets) - digamma(neighbours) + ball + dimensions * radius) / math.log(2)


def shannon_lower_bound(jets: np.ndarray, mses: Iterable[float], neighbours: int = 3) -> pd.DataFrame:
    """Bytes per jet that no code of single jets can beat at a custom-normalized MSE; columns `mse`, `bytes_per_jet`.

    R(D) >= h - d/2 log2(2 pi e D) (Shannon 1959), with h from `nearest_neighbour_entropy` and D the mean over the d = 4
    quantities; tight where D is small. Codes that use a jet's event may do better.
    """
    entropy = nearest_neighbour_entropy(COMMON_SPACE.normalize(np.asarray(jets, np.float64)), neighbours)
    rows = []
    for mse in mses:
        bits = entropy - len(FEATURES) / 2 * math.log2(2 * math.pi * math.e * mse)
        rows.append({"mse": float(mse), "bytes_per_jet": max(bits, 0.0) / 8})
    return pd.DataFrame(rows)


def bytes_at_equal_error(points: pd.DataFrame, bound: pd.DataFrame, mses: Sequence[float]) -> pd.DataFrame:
    """Bytes per jet of each method at given MSEs, one column each, interpolated in log(MSE); NaN where out of reach.

    The Shannon lower bound is the last row. A lossless coder costs the same at any MSE.
    """
    rows = {}
    for name, group in points[~points["named"]].groupby("method", sort=False):
        curve = group.sort_values("bytes_per_jet")
        if (curve["mse"] == 0).all():
            rows[name] = [float(curve["bytes_per_jet"].min())] * len(mses)
            continue
        curve = curve[curve["mse"] < curve["mse"].cummin().shift(fill_value=np.inf)]
        logs = np.log(curve["mse"].to_numpy())[::-1]
        sizes = curve["bytes_per_jet"].to_numpy()[::-1]
        rows[name] = [float(np.interp(math.log(mse), logs, sizes, left=np.nan, right=np.nan)) for mse in mses]
    limit = bound.sort_values("mse")
    rows["Shannon lower bound"] = [
        float(np.interp(math.log(mse), np.log(limit["mse"]), limit["bytes_per_jet"], left=np.nan, right=np.nan))
        for mse in mses
    ]
    return pd.DataFrame.from_dict(rows, orient="index", columns=list(mses)).rename_axis("method")


def dijet_masses(jets: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Invariant mass in GeV of the first two jets of each event that has two.

    `jets` has shape (jets, 4), `counts` are the jets per event; jets stand in order of the true pt.
    """
    starts = (np.cumsum(counts) - counts)[counts >= 2]
    first, second = (
        vector.MomentumNumpy4D(dict(zip(("mass", "pt", "phi", "eta"), jets[which].T, strict=True)))
        for which in (starts, starts + 1)
    )
    both: vector.MomentumNumpy4D = first + second  # type: ignore[assignment]
    return np.maximum(both.mass, 0)


def dijet_shift(table: pd.DataFrame, method: Method) -> dict[str, float]:
    """What a method does to the mass of the leading two jets: relative shift (median) and width (68%), and events."""
    _, counts = event_counts(table)
    jets = feature_array(table, np.float32)
    order = np.lexsort((-jets[:, FEATURES.index("pt")], np.repeat(np.arange(len(counts)), counts)))
    jets = np.ascontiguousarray(jets[order])
    true = dijet_masses(jets.astype(np.float64), counts)
    found = dijet_masses(method.decode(method.encode(jets)).astype(np.float64), counts)
    median, width = median_and_width(found / true - 1)
    return {"events": len(true), "median": median, "half_width_68": width}


def _common_space_mse(jets: np.ndarray, found: np.ndarray) -> float:
    """MSE in custom-normalized space, phi taken the shorter way round; reconstructed masses are held above -1 GeV."""
    m, phi = FEATURES.index("m"), FEATURES.index("phi")
    true, found = jets.astype(np.float64), found.astype(np.float64)
    found[:, phi] = true[:, phi] + residuals(true, found)["phi"].to_numpy()
    found[:, m] = np.maximum(found[:, m], -1 + 1e-6)
    found[:, FEATURES.index("pt")] = np.maximum(found[:, FEATURES.index("pt")], 1e-6)
    return mean_squared_error(COMMON_SPACE.normalize(true), COMMON_SPACE.normalize(found))


def _timed(work: Callable[[], T], repeats: int) -> tuple[float, T]:
    """The least CPU seconds of some calls, and what the last one gave."""
    times = []
    for _ in range(max(repeats, 1)):
        start = time.process_time()
        result = work()
        times.append(time.process_time() - start)
    return min(times), result
