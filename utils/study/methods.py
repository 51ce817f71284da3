"""The ways to store jets that are compared.

Every method stores the four columns alone (no event numbers, no file around them), so that what differs is the method.
Bytes per jet do not count a decoder's weights, which `weight_bytes` gives apart. Errors are measured on what the
decoder gives back, as float32 in GeV and rad.
"""

import math
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec

import numpy as np
from numcodecs import BitRound, Shuffle, Zstd
from numcodecs.abc import Codec
from numcodecs.pcodec import PCodec

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
from utils.jets import FEATURES, wrap_phi
from utils.networks import Checkpoint, CustomNormalization, decode_latents, encode_jets

COMMON_SPACE = CustomNormalization()
"""The common space, in which the mean squared error is taken."""

MSE_STEPS = tuple(float(mse) for mse in np.geomspace(3e-3, 1e-8, 12))
"""Mean squared errors that the methods with a free step aim at, at most."""

LATENT_BITS = (4, 5, 6, 7, 8, 9, 10, 12, 14, 16)
"""Bits of each latent number that are tried."""

MANTISSA_BITS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14)
"""Bits of each mantissa that are tried."""

NANOAOD = "NanoAOD, 10 bits for m and pt, 12 for phi and eta"
"""Mantissa bits of jets in CMS NanoAOD (CMSSW, PhysicsTools/NanoAOD)."""

TIGHT = Bounds(ErrorBound(0.001, 0.001), ErrorBound(0.001), ErrorBound(absolute=0.001), ErrorBound(absolute=0.001))

DEFAULT_SETTING = "pt 1%, m 1% or 10 MeV, phi and eta 0.005"

TIGHT_SETTING = "pt 0.1%, m 0.1% or 1 MeV, phi and eta 0.001"

OPTIONAL = {"zfp": "zfpy", "SZ3": "pysz"}
"""Methods that need a package of the extra `codecs`, and its name."""

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


def missing_methods() -> dict[str, str]:
    """Methods that cannot be measured here, and what to install."""
    return {
        name: f'needs the package {package}: pip install -e ".[codecs]" in a clone'
        for name, package in OPTIONAL.items()
        if find_spec(package) is None
    }


def bounds_for_mse(mse: float) -> Bounds:
    """Bounds under which the custom-normalized mean squared error comes to about `mse`.

    A uniform step s in a normalized quantity gives s^2 / 12 (Bennett); steps in log10(pt) and log10(m + 1) are turned
    into relative bounds, for m with an absolute part that reaches the same at m = 1 GeV.
    """
    half = math.sqrt(12 * mse) / 2
    m, pt = (math.tanh(half * COMMON_SPACE.scale[FEATURES.index(name)] * math.log(10)) for name in ("m", "pt"))
    phi, eta = (half * COMMON_SPACE.scale[FEATURES.index(name)] for name in ("phi", "eta"))
    return Bounds(ErrorBound(m, m), ErrorBound(pt), ErrorBound(absolute=phi), ErrorBound(absolute=eta))


def bounded_method(bounds: Bounds, setting: str, fit_jets: np.ndarray) -> Method:
    """The project's codec `bounded`, without use of events."""
    fit = columns_of(np.asarray(fit_jets, np.float32))
    scheme = BoundedScheme.of(bounds).fitted(fit, np.ones(len(fit_jets), np.int64))

    def encode(jets: np.ndarray) -> Streams:
        arrays, _ = scheme.encode(columns_of(jets), np.ones(len(jets), np.int64))
        names[:] = arrays
        return [PCodec(**settings).encode(values) for values, settings in arrays.values()]

    def decode(streams: Streams) -> np.ndarray:
        arrays = {name: PCodec().decode(stream) for name, stream in zip(names, streams, strict=True)}
        return np.stack(list(scheme.decode(arrays, np.ones(len(arrays["pt"]), np.int64)).values()), axis=1)

    names: list[str] = []
    return Method("bounded", setting, encode, decode)


def mantissa_method(bits: int, angle_bits: int, setting: str) -> Method:
    """float32 with mantissas rounded to `bits` (m, pt) and `angle_bits` (phi, eta), bytes shuffled, zstd 19.

    Rounded to the nearest: truncating would shift every value towards zero, pt by 0.28% on average at 7 bits.
    """
    kept = {"m": bits, "pt": bits, "phi": angle_bits, "eta": angle_bits}

    def encode(jets: np.ndarray) -> Streams:
        columns = {
            name: BitRound(kept[name]).encode(column).view(np.float32) for name, column in columns_of(jets).items()
        }
        columns["phi"] = wrap_phi(columns["phi"])
        return [Zstd(19).encode(Shuffle(4).encode(column)) for column in columns.values()]

    return Method("mantissa rounding + zstd", setting, encode, _decode_shuffled(Zstd()))


def lossless_methods() -> Iterator[Method]:
    """Coders that keep every bit of the float32 columns."""
    pcodec = PCodec(**SEARCHING)
    yield Method(
        "lossless pcodec",
        "",
        lambda jets: [pcodec.encode(column) for column in columns_of(jets).values()],
        lambda streams: np.stack([pcodec.decode(stream) for stream in streams], axis=1),
    )
    zstd = Zstd(19)
    yield Method(
        "lossless zstd",
        "shuffled, level 19",
        lambda jets: [zstd.encode(Shuffle(4).encode(column)) for column in columns_of(jets).values()],
        _decode_shuffled(zstd),
    )
    yield Method(
        "lossless zlib",
        "level 6",
        lambda jets: [zlib.compress(column.tobytes()) for column in columns_of(jets).values()],
        lambda streams: np.stack([np.frombuffer(zlib.decompress(s), np.float32) for s in streams], axis=1),
    )


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

        def encode(jets: np.ndarray, offset: np.ndarray = offset, matrix: np.ndarray = matrix) -> Streams:
            integers = round_latents(encode_jets(checkpoint, jets), offset, matrix)
            return [coder.encode(np.ascontiguousarray(column)) for column in integers.T]

        def decode(streams: Streams, offset: np.ndarray = offset, matrix: np.ndarray = matrix) -> np.ndarray:
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


def _decode_shuffled(coder: Codec) -> Callable[[Streams], np.ndarray]:
    def decode(streams: Streams) -> np.ndarray:
        columns: list[np.ndarray] = [
            np.frombuffer(Shuffle(4).decode(coder.decode(stream)), np.float32) for stream in streams
        ]
        return np.stack(columns, axis=1)

    return decode


def columns_of(jets: np.ndarray) -> dict[str, np.ndarray]:
    """The columns of jets of shape (jets, 4) by name, float32 and contiguous."""
    return {name: np.ascontiguousarray(jets[:, i], np.float32) for i, name in enumerate(FEATURES)}


def _normalized(jets: np.ndarray) -> list[np.ndarray]:
    return [np.ascontiguousarray(c, np.float32) for c in COMMON_SPACE.normalize(jets.astype(np.float64)).T]


def _unnormalized(columns: list[np.ndarray]) -> np.ndarray:
    jets = COMMON_SPACE.unnormalize(np.stack(columns, axis=1).astype(np.float64)).astype(np.float32)
    jets[:, FEATURES.index("phi")] = wrap_phi(jets[:, FEATURES.index("phi")])
    return jets
