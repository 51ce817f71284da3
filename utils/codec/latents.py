"""Latents of a trained model as integers, with or without corrections that hold the bounds."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from utils import networks
from utils.codec.bounded import FIT_JETS, BoundedScheme
from utils.codec.bounds import Bounds
from utils.codec.grids import GRID_LIMIT
from utils.codec.streams import PLAIN
from utils.codec.violations import Arrays, Columns, keep_exactly, restore_exactly
from utils.files import Json
from utils.jets import FEATURES, MASS_LIMIT, wrap_angle
from utils.limits import require_form

if TYPE_CHECKING:
    from utils.networks import Checkpoint

FINE_STEP = 2.0**-16
"""Step of latents where there are too few jets to fit one to."""

MSE_GROWTH = 0.01
"""By how much of itself the quantization of the latents may raise the mean squared error, by default."""


_FORM = {
    "architecture": dict,
    "normalization": dict,
    "model": dict,
    "latents": {"offset": [float], "matrix": [[float]]},
    "refine?": int,
    "corrections": (dict, None),
}


@dataclass(frozen=True, eq=False)
class AutoencoderScheme:
    """Latents of a trained model, rounded; with `corrections`, integers that bring every jet within bounds.

    The latents are z = offset + q @ matrix with integers q, rows of steps that raise the mean squared error alike (see
    `fit_latent_steps`). Corrections are differences of grid integers between the true jet and the decoder's, computed
    in float64: machines differ there by 1e-12 or so, while a decoder's value within 1e-9 of the border of a cell is not
    used, and a checksum of the decoded jets reports what might still differ. Without corrections, phi comes within
    +-pi, and what the decoder gives that is no jet (NaN, pt or m too low) is kept exactly.
    """

    checkpoint: "Checkpoint"
    offset: np.ndarray
    matrix: np.ndarray
    corrections: BoundedScheme | None = None
    refine: int = 0

    @property
    def bounds(self) -> Bounds | None:
        """What decoded jets are within; None without corrections."""
        return None if self.corrections is None else self.corrections.bounds

    @property
    def guaranteed(self) -> bool:
        """Whether decoded jets are the same everywhere, and within bounds."""
        return self.corrections is not None

    def encode(self, columns: Columns, counts: np.ndarray, sources: Columns | None = None) -> tuple[Arrays, Columns]:
        """See `BoundedScheme`."""
        jets = np.stack([columns[name] for name in FEATURES], axis=1)
        latents = networks.encode_jets(self.checkpoint, jets, refine=self.refine)
        integers = round_latents(latents, self.offset, self.matrix)
        arrays: Arrays = {f"latent_{i}": (np.ascontiguousarray(column), PLAIN) for i, column in enumerate(integers.T)}
        if self.corrections is None:
            decoded = self._outputs(integers)
            kept = {name: _unusable(name, values) for name, values in decoded.items()}
            arrays |= keep_exactly(columns, decoded, kept)
            return arrays, decoded
        corrections, decoded = self.corrections.encode(columns, counts, self._predict(integers), sources)
        return arrays | corrections, decoded

    def decode(self, arrays: Columns, counts: np.ndarray) -> Columns:
        """See `BoundedScheme`."""
        integers = np.stack([arrays[f"latent_{i}"] for i in range(len(self.matrix))], axis=1)
        if integers.dtype != np.int32:
            raise ValueError(f"latents of {integers.dtype}")
        if self.corrections is None:
            return restore_exactly(self._outputs(integers), arrays)
        return self.corrections.decode(arrays, counts, self._predict(integers))

    def to_dict(self) -> Json:
        """JSON-safe description, weights apart."""
        return {
            "architecture": networks.architecture_of(self.checkpoint.model),
            "normalization": self.checkpoint.normalization.to_dict(),
            "model": self.checkpoint.metadata,
            "latents": {
                "offset": self.offset.tolist(),
                "matrix": self.matrix.tolist(),
                "formula": "latents = offset + integers @ matrix",
            },
            "refine": self.refine,
            "corrections": self.corrections.to_dict() if self.corrections else None,
        }

    def weights(self) -> dict[str, np.ndarray]:
        """Tensors of the decoder, by name in the model's state."""
        return networks.decoder_weights(self.checkpoint)

    @staticmethod
    def from_dict(description: Json, weights: dict[str, np.ndarray]) -> "AutoencoderScheme":
        """Rebuild from `to_dict` and `weights`, ValueError where they describe none; what encodes stays untrained."""
        require_form(description, _FORM, "codec")
        checkpoint = networks.load_decoder(
            description["architecture"], description["normalization"], weights, description["model"]
        )
        offset, matrix = (np.array(description["latents"][name], np.float64) for name in ("offset", "matrix"))
        width = networks.latent_width(checkpoint)
        if (offset.shape, matrix.shape) != ((width,), (width, width)):
            raise ValueError(f"latents: expected an offset and a matrix for {width}")
        corrections = description["corrections"]
        return AutoencoderScheme(
            checkpoint,
            offset,
            matrix,
            BoundedScheme.from_dict(corrections) if corrections else None,
            description.get("refine", 0),
        )

    def _outputs(self, integers: np.ndarray) -> Columns:
        latents = restore_latents(integers, self.offset, self.matrix)
        columns = columns_of(networks.decode_latents(self.checkpoint, latents))
        with np.errstate(invalid="ignore"):  # infinities are found by `_unusable`
            return columns | {"phi": wrap_angle(columns["phi"])}

    def _predict(self, integers: np.ndarray) -> Columns:
        latents = self.offset + integers.astype(np.float64) @ self.matrix
        return columns_of(networks.decode_in_float64(self.checkpoint, latents))


def fit_latent_steps(
    checkpoint: "Checkpoint", jets: np.ndarray, bits: float | None = None, growth: float = MSE_GROWTH, refine: int = 0
) -> tuple[np.ndarray, np.ndarray, float | None]:
    """Offset and matrix to round latents with, fitted on jets of shape (jets, 4); and the growth of the MSE there.

    Transform coding with the decoder's own metric (Goyal, IEEE Signal Process. Mag. 18 (2001) 9): latents are first
    scaled so that an error of any direction costs the same in the decoder's output, by the metric G = mean of J^T J
    over the jets with J the Jacobian, then rotated to their principal axes, where one step for all is best. `bits` sets
    that step to the widest axis's range divided by 2^bits; without it, the step is the widest that raises the MSE, in
    the checkpoint's normalized space, by less than `growth`. Fewer than two jets have no spread, and other jets none
    that the decoder shows, or no error that could grow: their step is fine, and the growth unknown.
    """
    jets = jets[:: max(1, len(jets) // FIT_JETS)]
    latents = networks.encode_jets(checkpoint, jets, refine=refine).astype(np.float64)
    width = latents.shape[1]
    fine = np.zeros(width), FINE_STEP * np.eye(width), None
    reference = networks.decode_normalized(checkpoint, latents)
    normalized = checkpoint.normalization.normalize(jets.astype(np.float64))
    whole = np.isfinite(np.concatenate([latents, reference, normalized], axis=1)).all(axis=1)
    if whole.sum() < 2:
        return fine
    latents, reference, normalized = latents[whole], reference[whole], normalized[whole]
    offset = latents.mean(axis=0)
    unit = _unit_of_metric(checkpoint, latents, reference, offset)
    own = float(np.mean((reference - normalized) ** 2))
    if unit is None or not 0 < own < np.inf:
        return fine

    def grown(step: float) -> float:
        rounded = restore_latents(round_latents(latents, offset, unit * step), offset, unit * step)
        return float(np.mean((networks.decode_normalized(checkpoint, rounded) - normalized) ** 2) / own - 1)

    if bits is not None:
        axes = (latents - offset) @ np.linalg.inv(unit)
        step = float(np.ptp(axes, axis=0).max()) / 2**bits
    else:
        step = math.sqrt(growth * own * len(FEATURES) * 12 / width)
        smallest = step * FINE_STEP
        while step > smallest and not grown(step) <= 0.9 * growth:
            step /= 1.05
    if not step > 0 or np.linalg.matrix_rank(unit * step) < width:
        return fine
    found = grown(step)
    return offset, unit * step, found if math.isfinite(found) else None


def _unit_of_metric(
    checkpoint: "Checkpoint", latents: np.ndarray, reference: np.ndarray, offset: np.ndarray
) -> np.ndarray | None:
    """Rows of latents along the principal axes, all of the same length in the decoder's metric; None where no latent
    changes what is decoded."""
    spread = np.maximum(latents.std(axis=0), 1e-6)
    shifts = np.diag(1e-2 * spread)
    jacobian = np.stack(
        [(networks.decode_normalized(checkpoint, latents + shift) - reference) / shift.max() for shift in shifts],
        axis=2,
    )
    metric = np.einsum("noi,noj->ij", jacobian, jacobian) / len(latents)
    if not 0 < np.trace(metric) < np.inf:
        return None
    values, vectors = np.linalg.eigh(metric + np.eye(len(metric)) * 1e-12 * np.trace(metric))
    to_metric = vectors * np.sqrt(np.maximum(values, 1e-12 * values.max()))
    covariance = np.cov((latents - offset) @ to_metric, rowvar=False).reshape(metric.shape)
    if not np.isfinite(covariance).all():
        return None
    rotation = np.linalg.eigh(covariance)[1][:, ::-1]
    return np.linalg.inv(to_metric @ rotation)


def _unusable(quantity: str, decoded: np.ndarray) -> np.ndarray:
    """Positions where a decoder gives no jet, or one that another machine might not have as a jet."""
    low = {"pt": 1e-6, "m": MASS_LIMIT + 1e-3}.get(quantity, -np.inf)
    return np.flatnonzero(~(np.isfinite(decoded) & (decoded > low)))


def round_latents(latents: np.ndarray, offset: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Integers q, int32, for which offset + q @ matrix comes next to the latents."""
    integers = np.rint((latents - offset) @ np.linalg.inv(matrix))
    return np.clip(np.nan_to_num(integers), -GRID_LIMIT, GRID_LIMIT).astype(np.int32)


def restore_latents(integers: np.ndarray, offset: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Latents, float32, from their integers."""
    with np.errstate(over="ignore"):
        return (offset + integers.astype(np.float64) @ matrix).astype(np.float32)


def columns_of(jets: np.ndarray) -> Columns:
    """Jets of shape (jets, 4) as contiguous columns by name."""
    return {name: np.ascontiguousarray(jets[:, i]) for i, name in enumerate(FEATURES)}
