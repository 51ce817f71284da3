"""Error against size: the ways to store jets, measured on the same jets by the same ruler.

Every method stores the four columns alone (no event numbers, no file around them), so that what differs is the method.
Bytes per jet do not count a decoder's weights, which `weight_bytes` gives apart. Errors are measured on what the
decoder gives back, as float32 in GeV and rad.
"""

import math
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numcodecs import Shuffle, Zstd
from numcodecs.pcodec import PCodec
from sklearn.neighbors import NearestNeighbors

from utils.codec import (
    PLAIN,
    SEARCHING,
    BoundedScheme,
    Bounds,
    ErrorBound,
    fit_latent_steps,
    restore_latents,
    round_latents,
)
from utils.jets import FEATURES, event_counts, feature_array, wrap_phi
from utils.metrics import mean_squared_error, residuals, resolution_table
from utils.networks import VARIANT_LABELS, Checkpoint, CustomNormalization, decode_latents, encode_jets, load_checkpoint

RULER = CustomNormalization()
"""The space in which the mean squared error is taken."""

MSE_STEPS = tuple(float(mse) for mse in np.geomspace(3e-3, 1e-8, 12))
"""Mean squared errors that the methods with a free step aim at, at most."""

LATENT_BITS = (4, 5, 6, 7, 8, 9, 10, 12, 14, 16)

MANTISSA_BITS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14)

NANOAOD = "NanoAOD, 10 bits for m and pt, 12 for phi and eta"
"""Mantissa bits of jets in CMS NanoAOD (CMSSW, PhysicsTools/NanoAOD)."""

TIGHT = Bounds(ErrorBound(0.001, 0.001), ErrorBound(0.001), ErrorBound(absolute=0.001), ErrorBound(absolute=0.001))

DEFAULT_SETTING = "1%, 1% (10 MeV), 0.005, 0.005"

TIGHT_SETTING = "0.1%, 0.1% (1 MeV), 0.001, 0.001"

OPTIONAL = {"zfp": ("zfpy", 'extra "codecs"'), "SZ3": ("pysz", 'extra "codecs"')}
"""Methods that need a package which may be missing: its name, and what brings it."""

CMS_JET_RESOLUTION = ((30.0, 0.15, 0.20), (100.0, 0.10, 0.10), (1000.0, 0.05, 0.05))
"""Relative resolution of jet pt in CMS, lowest and highest at a pt in GeV (arXiv:1607.03663)."""

_NORMALIZATION_LABELS = {"none": ", no norm.", "standard": ", standard norm."}

Streams = list[bytes]


@dataclass(frozen=True)
class Method:
    """One way to store jets, at one setting. `encode` takes jets of shape (jets, 4), float32, in GeV and rad.

    A setting that is `named` stands for itself, such as NanoAOD's, and is no point of the method's curve.
    """

    name: str
    setting: str
    encode: Callable[[np.ndarray], Streams]
    decode: Callable[[Streams], np.ndarray]
    weight_bytes: int = 0
    named: bool = False


def measure(method: Method, jets: np.ndarray, repeats: int = 3) -> dict[str, Any]:
    """Size, errors and speeds of a method; one row, JSON-safe.

    Columns: `method`, `setting`, `named`, `bytes_per_jet`, `weight_bytes`, `mse` (in custom-normalized space),
    <quantity>_half_width_68, <quantity>_q99 and <quantity>_max of the residuals, and `encode_mjets`, `decode_mjets`,
    the fastest of `repeats` in millions of jets per second.
    """
    jets = np.ascontiguousarray(jets, np.float32)
    encode_time, streams = _timed(lambda: method.encode(jets), repeats)
    decode_time, found = _timed(lambda: method.decode(streams), repeats)
    with np.errstate(divide="ignore"):
        table = resolution_table(jets, found)
    errors = {
        f"{quantity}_{column}": float(table[column][quantity])
        for quantity in FEATURES
        for column in ("half_width_68", "q99", "max")
    }
    return {
        "method": method.name,
        "setting": method.setting,
        "named": method.named,
        "bytes_per_jet": sum(map(len, streams)) / len(jets),
        "weight_bytes": method.weight_bytes,
        "mse": _ruler_mse(jets, found),
        **errors,
        "encode_mjets": len(jets) / encode_time / 1e6,
        "decode_mjets": len(jets) / decode_time / 1e6,
    }


def measure_all(methods: Iterable[Method], jets: np.ndarray, repeats: int = 3) -> pd.DataFrame:
    """`measure` for each method, one row each."""
    return pd.DataFrame([measure(method, jets, repeats) for method in methods])


def all_methods(
    checkpoints: dict[str, Checkpoint],
    fit_jets: np.ndarray,
    latent_bits: Sequence[int] = LATENT_BITS,
    mse_steps: Sequence[float] = MSE_STEPS,
    mantissa_bits: Sequence[int] = MANTISSA_BITS,
) -> Iterator[Method]:
    """Every method of the study. Those that need fitting are fitted on `fit_jets`, which should not be those measured.

    `checkpoints` are the models by the name that they get, rank-3 PCA among them. Methods whose package is missing are
    left out; `missing_methods` names them.
    """
    for name, checkpoint in checkpoints.items():
        yield from _latent_methods(name, checkpoint, fit_jets, latent_bits)
    for mse in mse_steps:
        yield bounded_method(bounds_for_mse(mse), f"MSE {mse:.1e}", fit_jets)
    for bounds, setting in ((Bounds(), DEFAULT_SETTING), (TIGHT, TIGHT_SETTING)):
        yield replace(bounded_method(bounds, setting, fit_jets), named=True)
    for bits in mantissa_bits:
        yield mantissa_method(bits, bits, f"{bits} bits")
    yield replace(mantissa_method(10, 12, NANOAOD), named=True)
    for name, make in (("zfp", _zfp_method), ("SZ3", _sz3_method)):
        if name not in missing_methods():
            yield from (make(mse) for mse in mse_steps)
    yield from lossless_methods()


def find_models(*folders: Path) -> dict[str, Checkpoint]:
    """The project's checkpoints in the first of `folders` that has some, by a label; none is no error."""
    for folder in folders:
        models = {}
        for path in sorted(Path(folder).glob("*.safetensors")):
            checkpoint = load_checkpoint(path)
            kind = checkpoint.normalization.kind
            label = VARIANT_LABELS.get(checkpoint.name, checkpoint.name)
            models[label + _NORMALIZATION_LABELS.get(kind, "")] = checkpoint
        if models:
            return models
    return {}


def missing_methods() -> dict[str, str]:
    """Methods that cannot be measured here, and what to install."""
    return {
        name: f"needs the package {package} ({extra})"
        for name, (package, extra) in OPTIONAL.items()
        if find_spec(package) is None
    }


def bounds_for_mse(mse: float) -> Bounds:
    """Bounds under which the custom-normalized mean squared error comes to about `mse`.

    A uniform step s in a normalized quantity gives s^2 / 12 (Bennett); steps in log10(pt) and log10(m + 1) are turned
    into relative bounds, for m with an absolute part that reaches the same at m = 1 GeV.
    """
    half = math.sqrt(12 * mse) / 2
    m, pt = (math.tanh(half * RULER.scale[FEATURES.index(name)] * math.log(10)) for name in ("m", "pt"))
    phi, eta = (half * RULER.scale[FEATURES.index(name)] for name in ("phi", "eta"))
    return Bounds(ErrorBound(m, m), ErrorBound(pt), ErrorBound(absolute=phi), ErrorBound(absolute=eta))


def bounded_method(bounds: Bounds, setting: str, fit_jets: np.ndarray) -> Method:
    """The project's codec `bounded`, without use of events."""
    fit = _columns(np.asarray(fit_jets, np.float32))
    scheme = BoundedScheme.of(bounds).fitted(fit, np.ones(len(fit_jets), np.int64))

    def encode(jets: np.ndarray) -> Streams:
        arrays, _ = scheme.encode(_columns(jets), np.ones(len(jets), np.int64))
        names[:] = arrays
        return [PCodec(**settings).encode(values) for values, settings in arrays.values()]

    def decode(streams: Streams) -> np.ndarray:
        arrays = {name: PCodec().decode(stream) for name, stream in zip(names, streams, strict=True)}
        return np.stack(list(scheme.decode(arrays, np.ones(len(arrays["pt"]), np.int64)).values()), axis=1)

    names: list[str] = []
    return Method("bounded", setting, encode, decode)


def mantissa_method(bits: int, angle_bits: int, setting: str) -> Method:
    """float32 with mantissas rounded to `bits` (m, pt) and `angle_bits` (phi, eta), bytes shuffled, zstd 19."""
    kept = {"m": bits, "pt": bits, "phi": angle_bits, "eta": angle_bits}

    def encode(jets: np.ndarray) -> Streams:
        columns = {name: round_mantissa(column, kept[name]) for name, column in _columns(jets).items()}
        columns["phi"] = wrap_phi(columns["phi"])
        return [Zstd(19).encode(Shuffle(4).encode(column)) for column in columns.values()]

    return Method("mantissa rounding + zstd", setting, encode, _decode_shuffled(Zstd()))


def round_mantissa(values: np.ndarray, bits: int) -> np.ndarray:
    """float32 values with the mantissa rounded to the nearest of `bits` bits, ties away from zero.

    Truncating instead would shift every value towards zero, pt by 0.28% on average at 7 bits.
    """
    dropped = 23 - bits
    if dropped <= 0:
        return values
    patterns = values.view(np.uint32) + np.uint32(1 << (dropped - 1))
    return (patterns & np.uint32(0xFFFFFFFF << dropped & 0xFFFFFFFF)).view(np.float32)


def lossless_methods() -> Iterator[Method]:
    """Coders that keep every bit of the float32 columns."""
    pcodec = PCodec(**SEARCHING)
    yield Method(
        "lossless pcodec",
        "",
        lambda jets: [pcodec.encode(column) for column in _columns(jets).values()],
        lambda streams: np.stack([pcodec.decode(stream) for stream in streams], axis=1),
    )
    zstd = Zstd(19)
    yield Method(
        "lossless zstd",
        "shuffled, level 19",
        lambda jets: [zstd.encode(Shuffle(4).encode(column)) for column in _columns(jets).values()],
        _decode_shuffled(zstd),
    )
    yield Method(
        "lossless zlib",
        "level 6",
        lambda jets: [zlib.compress(column.tobytes()) for column in _columns(jets).values()],
        lambda streams: np.stack([np.frombuffer(zlib.decompress(s), np.float32) for s in streams], axis=1),
    )


def nearest_neighbour_entropy(values: np.ndarray, neighbours: int = 3) -> float:
    """Differential entropy in bits per jet of rows of shape (jets, dimensions).

    The estimator of Kozachenko and Leonenko (Probl. Inf. Transm. 23 (1987) 9) with the k-th neighbour, as in Kraskov
    et al., Phys. Rev. E 69 (2004) 066138, eq. 20: psi(N) - psi(k) + ln V_d + d <ln r_k>. Rows that have k equals are
    left out: a density does not describe them.
    """
    from scipy.special import digamma, gammaln

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
    entropy = nearest_neighbour_entropy(RULER.normalize(np.asarray(jets, np.float64)), neighbours)
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
    return np.sqrt(np.maximum(_invariant_square(jets[starts], jets[starts + 1]), 0))


def dijet_shift(table: pd.DataFrame, method: Method) -> dict[str, float]:
    """What a method does to the mass of the leading two jets: relative shift (median) and width (68%), and events."""
    _, counts = event_counts(table)
    jets = feature_array(table, np.float32)
    order = np.lexsort((-jets[:, FEATURES.index("pt")], np.repeat(np.arange(len(counts)), counts)))
    jets = np.ascontiguousarray(jets[order])
    true = dijet_masses(jets.astype(np.float64), counts)
    found = dijet_masses(method.decode(method.encode(jets)).astype(np.float64), counts)
    low, median, high = np.quantile(found / true - 1, [0.16, 0.5, 0.84])
    return {"events": len(true), "median": float(median), "half_width_68": float((high - low) / 2)}


def _latent_methods(
    name: str, checkpoint: Checkpoint, fit_jets: np.ndarray, latent_bits: Sequence[int]
) -> Iterator[Method]:
    coder = PCodec(**PLAIN)
    state = checkpoint.model.state_dict()
    weights = sum(tensor.nbytes for name, tensor in state.items() if not name.startswith("encoder."))

    def encode_floats(dtype: type) -> Callable[[np.ndarray], Streams]:
        return lambda jets: [column.tobytes() for column in encode_jets(checkpoint, jets).astype(dtype).T]

    def decode_floats(dtype: type) -> Callable[[Streams], np.ndarray]:
        def decode(streams: Streams) -> np.ndarray:
            columns: list[np.ndarray] = [np.frombuffer(stream, dtype) for stream in streams]
            return decode_latents(checkpoint, np.stack(columns, axis=1).astype(np.float32))

        return decode

    for dtype in (np.float32, np.float16):
        yield Method(
            name,
            f"{np.dtype(dtype)} latents",
            encode_floats(dtype),
            decode_floats(dtype),
            weights,
        )
    for bits in latent_bits:
        offset, matrix, _ = fit_latent_steps(checkpoint, fit_jets, bits)

        def encode(jets: np.ndarray, offset: Any = offset, matrix: Any = matrix) -> Streams:
            integers = round_latents(encode_jets(checkpoint, jets), offset, matrix)
            return [coder.encode(np.ascontiguousarray(column)) for column in integers.T]

        def decode(streams: Streams, offset: Any = offset, matrix: Any = matrix) -> np.ndarray:
            integers = np.stack([coder.decode(stream) for stream in streams], axis=1)
            return decode_latents(checkpoint, restore_latents(integers, offset, matrix))

        yield Method(name, f"{bits}-bit latents", encode, decode, weights)


def _zfp_method(mse: float) -> Method:
    import zfpy

    tolerance = math.sqrt(300 * mse)  # zfp errs far less than it may, in two dimensions by this much
    return Method(
        "zfp",
        f"tolerance {tolerance:.1e}, normalized",
        lambda jets: [zfpy.compress_numpy(np.stack(_normalized(jets), axis=1), tolerance=tolerance)],
        lambda streams: _unnormalized(list(zfpy.decompress_numpy(streams[0]).T)),
    )


def _sz3_method(mse: float) -> Method:
    from pysz import sz, szAlgorithm, szConfig, szErrorBoundMode

    bound = math.sqrt(3 * mse)

    def encode(jets: np.ndarray) -> Streams:
        config = szConfig()
        config.errorBoundMode = szErrorBoundMode.ABS
        config.absErrorBound = bound
        config.cmprAlgo = szAlgorithm.NOPRED  # the best of its predictors here: neighbouring jets say little
        shape[:] = [len(jets)]
        return [sz.compress(column, config)[0].tobytes() for column in _normalized(jets)]

    def decode(streams: Streams) -> np.ndarray:
        arrays = [np.frombuffer(stream, np.uint8).copy() for stream in streams]
        return _unnormalized([sz.decompress(array, np.float32, tuple(shape))[0] for array in arrays])

    shape: list[int] = []
    return Method("SZ3", f"absolute bound {bound:.1e}, normalized", encode, decode)


def _decode_shuffled(coder: Any) -> Callable[[Streams], np.ndarray]:
    def decode(streams: Streams) -> np.ndarray:
        columns: list[np.ndarray] = [
            np.frombuffer(Shuffle(4).decode(coder.decode(stream)), np.float32) for stream in streams
        ]
        return np.stack(columns, axis=1)

    return decode


def _columns(jets: np.ndarray) -> dict[str, np.ndarray]:
    return {name: np.ascontiguousarray(jets[:, i], np.float32) for i, name in enumerate(FEATURES)}


def _normalized(jets: np.ndarray) -> list[np.ndarray]:
    return [np.ascontiguousarray(c, np.float32) for c in RULER.normalize(jets.astype(np.float64)).T]


def _unnormalized(columns: list[np.ndarray]) -> np.ndarray:
    jets = RULER.unnormalize(np.stack(columns, axis=1).astype(np.float64)).astype(np.float32)
    jets[:, FEATURES.index("phi")] = wrap_phi(jets[:, FEATURES.index("phi")])
    return jets


def _ruler_mse(jets: np.ndarray, found: np.ndarray) -> float:
    """MSE in custom-normalized space, phi taken the shorter way round; reconstructed masses are held above -1 GeV."""
    m, phi = FEATURES.index("m"), FEATURES.index("phi")
    true, found = jets.astype(np.float64), found.astype(np.float64)
    found[:, phi] = true[:, phi] + residuals(true, found)["phi"].to_numpy()
    found[:, m] = np.maximum(found[:, m], -1 + 1e-6)
    found[:, FEATURES.index("pt")] = np.maximum(found[:, FEATURES.index("pt")], 1e-6)
    return mean_squared_error(RULER.normalize(true), RULER.normalize(found))


def _invariant_square(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    total = _four_vectors(first) + _four_vectors(second)
    return total[:, 0] ** 2 - (total[:, 1:] ** 2).sum(axis=1)


def _four_vectors(jets: np.ndarray) -> np.ndarray:
    m, pt, phi, eta = jets.T
    momentum = np.stack([pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)], axis=1)
    return np.column_stack([np.sqrt((momentum**2).sum(axis=1) + np.sign(m) * m**2), momentum])


def _timed(work: Callable[[], Any], repeats: int) -> tuple[float, Any]:
    times = []
    for _ in range(max(repeats, 1)):
        start = time.perf_counter()
        result = work()
        times.append(time.perf_counter() - start)
    return min(times), result
