"""How each codec turns the jets of one chunk into integer arrays and back.

A scheme is fitted once, on the first chunk, and then a constant: `to_dict` and `weights` are all that a file must hold
to decode. Columns are a dict of float32 arrays, one per quantity.
"""

import math
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from utils.container import PLAIN, SEARCHING
from utils.jets import FEATURES, MASS_LIMIT
from utils.metrics import absolute_error
from utils.quantize import (
    BLOCK,
    GRID_LIMIT,
    Bounds,
    CircularGrid,
    ErrorBound,
    Grid,
    grid_from_dict,
    grid_to_dict,
    make_grid,
    to_integers,
    to_values,
)

Columns = dict[str, np.ndarray]

Arrays = dict[str, tuple[np.ndarray, dict[str, Any]]]
"""Arrays of a chunk by name, each with its PCodec settings."""

FIT_JETS = 2**14
"""Jets of the first chunk that settings are fitted on, evenly spaced."""

MSE_GROWTH = 0.01
"""By how much of itself the quantization of the latents may raise the mean squared error, by default."""

RELATIONS = {
    "m": "integers of m = array m + floor(mass_slope_sixteenths * integers of pt / 16)",
    "pt": "with pt_drops: array pt for the first jet of an event, else that of the jet before it - array pt_drop",
    "exact": "where there are arrays <quantity>_exact: value[<quantity>_exact_index] = <quantity>_exact",
}
"""What a reader of the file undoes, in words."""

_LOWEST = {"pt": 0.0, "m": MASS_LIMIT}
"""Jets at or below these, in GeV, are refused by the project."""

_AMBIGUOUS = 1e-9
"""Predictions this close to the border of a cell, relative and absolute, are not trusted to round alike everywhere."""


@dataclass(frozen=True)
class BoundedScheme:
    """Every jet within `bounds`; with `EXACT` bounds, bit for bit.

    Two relations between the integers are used to store less, both undone exactly. m grows with pt: the mass's integer
    is stored minus floor(`mass_slope` / 16 * that of pt). Jets of an event usually stand in order of pt: with
    `pt_drops`, pt is stored for the first jet of each event, and for the others (array pt_drop) as the difference
    from the jet before. Values that the grid cannot hold are in the arrays <quantity>_exact, at the positions
    <quantity>_exact_index; quantities whose grid is None are stored as float32.
    """

    bounds: Bounds
    grids: dict[str, Grid | None]
    mass_slope: int = 0
    pt_drops: bool = False

    guaranteed: ClassVar[bool] = True

    @staticmethod
    def of(bounds: Bounds) -> "BoundedScheme":
        """The scheme with the coarsest grids that hold `bounds`."""
        return BoundedScheme(bounds, {name: make_grid(name, getattr(bounds, name)) for name in FEATURES})

    def fitted(self, columns: Columns, counts: np.ndarray) -> "BoundedScheme":
        """The scheme with the relations that these jets show."""
        grids, slope, drops = self.grids, 0, False
        if grids["pt"] is not None and len(columns["pt"]) > 1:
            later = _is_later(counts)[1:]
            falls = columns["pt"][1:] <= columns["pt"][:-1]
            drops = bool(later.any() and np.mean(falls[later]) > 0.9)
            every = slice(None, None, max(1, len(columns["pt"]) // FIT_JETS))
            if grids["m"] is not None and len(columns["pt"]) >= 256:
                pt, m = (to_integers(grids[name], _finite(columns[name][every])).astype(float) for name in ("pt", "m"))  # type: ignore[arg-type]
                inside = (m > 0) & (np.maximum(pt, m) < GRID_LIMIT)
                covariance = np.cov(pt[inside], m[inside]) if inside.sum() > 2 else np.zeros((2, 2))
                if covariance[0, 0] > 0:
                    slope = int(np.clip(np.rint(16 * covariance[0, 1] / covariance[0, 0]), 0, 64))
        return replace(self, mass_slope=slope, pt_drops=drops)

    def encode(self, columns: Columns, counts: np.ndarray, predicted: Columns | None = None) -> tuple[Arrays, Columns]:
        """The arrays to store for a chunk with `counts` jets in its events, and the columns that they decode to.

        With `predicted` columns (float64), integers are stored as differences from theirs.
        """
        arrays: Arrays = {}
        decoded: Columns = {}
        integers: Columns = {}
        for name, grid in self.grids.items():
            true = columns[name]
            if grid is None:
                decoded[name] = true
                arrays[name] = (true, SEARCHING)
                continue
            integers[name] = to_integers(grid, _finite(true))
            decoded[name] = to_values(grid, integers[name])
            exact = find_violations(name, true, decoded[name], getattr(self.bounds, name))
            if predicted is not None:
                base, ambiguous = _predicted_integers(grid, predicted[name])
                integers[name] = _difference(grid, integers[name], base)
                exact = np.union1d(exact, ambiguous)
            if len(exact):
                decoded[name][exact] = true[exact]
                integers[name][exact] = 0
                arrays[f"{name}_exact_index"] = (exact.astype(np.uint32), PLAIN | {"delta_spec": "auto"})
                arrays[f"{name}_exact"] = (true[exact], SEARCHING)
        if predicted is None and "pt" in integers:
            if self.mass_slope and "m" in integers:
                integers["m"] = integers["m"] - _scaled(integers["pt"], self.mass_slope)
            if self.pt_drops:
                later = _is_later(counts)
                drops = integers["pt"][:-1] - integers["pt"][1:]
                arrays["pt_drop"] = (drops[later[1:]], PLAIN)
                integers["pt"] = integers["pt"][~later]
        arrays |= {name: (values, PLAIN) for name, values in integers.items()}
        return arrays, decoded

    def decode(self, arrays: Columns, counts: np.ndarray, predicted: Columns | None = None) -> Columns:
        """The columns of a chunk from its arrays."""
        columns: Columns = {}
        integers = {name: arrays[name] for name, grid in self.grids.items() if grid is not None}
        if predicted is None and "pt" in integers:
            if self.pt_drops:
                integers["pt"] = _undo_drops(integers["pt"], arrays["pt_drop"], counts)
            if self.mass_slope and "m" in integers:
                integers["m"] = integers["m"] + _scaled(integers["pt"], self.mass_slope)
        for name, grid in self.grids.items():
            if grid is None:
                columns[name] = arrays[name]
                continue
            if predicted is not None:
                base, _ = _predicted_integers(grid, predicted[name])
                integers[name] = _sum(grid, integers[name], base)
            columns[name] = to_values(grid, integers[name])
            if f"{name}_exact" in arrays:
                columns[name][arrays[f"{name}_exact_index"]] = arrays[f"{name}_exact"]
        return columns

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe description."""
        return {
            "bounds": self.bounds.to_dict(),
            "grids": {name: grid_to_dict(grid) for name, grid in self.grids.items()},
            "mass_slope_sixteenths": self.mass_slope,
            "pt_drops": self.pt_drops,
            "relations": RELATIONS,
        }

    def weights(self) -> dict[str, np.ndarray]:
        """None."""
        return {}

    @staticmethod
    def from_dict(description: dict[str, Any]) -> "BoundedScheme":
        """Rebuild from `to_dict`."""
        return BoundedScheme(
            Bounds.from_dict(description["bounds"]),
            {name: grid_from_dict(grid) for name, grid in description["grids"].items()},
            description["mass_slope_sixteenths"],
            description["pt_drops"],
        )


@dataclass(frozen=True, eq=False)
class AutoencoderScheme:
    """Latents of a trained model, rounded; with `corrections`, integers that bring every jet within bounds.

    The latents are z = offset + q @ matrix with integers q, rows of steps that raise the mean squared error alike (see
    `fit_latent_steps`). Corrections are differences of grid integers between the true jet and the decoder's, computed
    in float64: machines differ there by 1e-12 or so, while a decoder's value within 1e-9 of the border of a cell is not
    used, and a checksum of the decoded jets reports what might still differ.
    """

    checkpoint: Any
    offset: np.ndarray
    matrix: np.ndarray
    corrections: BoundedScheme | None = None
    refine: int = 0

    @property
    def guaranteed(self) -> bool:
        """Whether decoded jets are the same everywhere, and within bounds."""
        return self.corrections is not None

    def encode(self, columns: Columns, counts: np.ndarray) -> tuple[Arrays, Columns]:
        """See `BoundedScheme`."""
        from utils.networks import encode_jets

        jets = np.stack([columns[name] for name in FEATURES], axis=1)
        latents = encode_jets(self.checkpoint, jets, refine=self.refine)
        integers = round_latents(latents, self.offset, self.matrix)
        arrays: Arrays = {f"latent_{i}": (np.ascontiguousarray(column), PLAIN) for i, column in enumerate(integers.T)}
        if self.corrections is None:
            return arrays, self._outputs(integers)
        corrections, decoded = self.corrections.encode(columns, counts, self._predict(integers))
        return arrays | corrections, decoded

    def decode(self, arrays: Columns, counts: np.ndarray) -> Columns:
        """See `BoundedScheme`."""
        integers = np.stack([arrays[f"latent_{i}"] for i in range(len(self.matrix))], axis=1)
        if self.corrections is None:
            return self._outputs(integers)
        return self.corrections.decode(arrays, counts, self._predict(integers))

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe description, weights apart."""
        from utils.networks import architecture_of

        return {
            "architecture": architecture_of(self.checkpoint.model),
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
        state = self.checkpoint.model.state_dict()
        return {name: tensor.cpu().numpy() for name, tensor in state.items() if not name.startswith("encoder.")}

    @staticmethod
    def from_dict(description: dict[str, Any], weights: dict[str, np.ndarray]) -> "AutoencoderScheme":
        """Rebuild from `to_dict` and `weights`; what encodes stays untrained."""
        import torch

        from utils.networks import Checkpoint, Normalization, build_model

        model = build_model(description["architecture"])
        state = {name: torch.from_numpy(np.array(values)) for name, values in weights.items()}
        missing = [name for name in model.state_dict() if not name.startswith("encoder.") and name not in state]
        if missing:
            raise ValueError(f"its decoder lacks {', '.join(missing)}")
        model.load_state_dict(state, strict=False)
        checkpoint = Checkpoint(model, Normalization.from_dict(description["normalization"]), description["model"])
        corrections = description["corrections"]
        return AutoencoderScheme(
            checkpoint,
            np.array(description["latents"]["offset"], np.float64),
            np.array(description["latents"]["matrix"], np.float64),
            BoundedScheme.from_dict(corrections) if corrections else None,
            description.get("refine", 0),
        )

    def _outputs(self, integers: np.ndarray) -> Columns:
        from utils.networks import decode_latents

        outputs = decode_latents(self.checkpoint, restore_latents(integers, self.offset, self.matrix))
        return _columns_of(outputs)

    def _predict(self, integers: np.ndarray) -> Columns:
        import copy

        import torch

        decoder = copy.deepcopy(self.checkpoint.model).double()
        latents = torch.as_tensor(self.offset + integers.astype(np.float64) @ self.matrix)
        with torch.inference_mode():
            batches = [self.checkpoint.normalization.unnormalize(decoder.decode(z)) for z in latents.split(2048)]
            return _columns_of(torch.cat(batches).numpy()) if batches else _columns_of(np.empty((0, len(FEATURES))))


def fit_latent_steps(
    checkpoint: Any, jets: np.ndarray, bits: float | None = None, growth: float = MSE_GROWTH, refine: int = 0
) -> tuple[np.ndarray, np.ndarray, float]:
    """Offset and matrix to round latents with, fitted on jets of shape (jets, 4); and the growth of the MSE there.

    Transform coding with the decoder's own metric (Goyal, IEEE Signal Process. Mag. 18 (2001) 9): latents are first
    scaled so that an error of any direction costs the same in the decoder's output, by the metric G = mean of J^T J
    over the jets with J the Jacobian, then rotated to their principal axes, where one step for all is best. `bits` sets
    that step to the widest axis's range divided by 2^bits; without it, the step is the widest that raises the MSE, in
    the checkpoint's normalized space, by less than `growth`.
    """
    import torch

    from utils.networks import encode_jets

    jets = jets[:: max(1, len(jets) // FIT_JETS)]
    latents = encode_jets(checkpoint, jets, refine=refine).astype(np.float64)
    offset = latents.mean(axis=0)
    model, normalized = checkpoint.model, checkpoint.normalization.normalize(jets.astype(np.float64))

    def decode(values: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return model.decode(torch.as_tensor(values, dtype=torch.float32)).numpy().astype(np.float64)

    spread = np.maximum(latents.std(axis=0), 1e-6)
    reference = decode(latents)
    shifts = np.diag(1e-2 * spread)
    jacobian = np.stack([(decode(latents + shift) - reference) / shift.max() for shift in shifts], axis=2)
    metric = np.einsum("noi,noj->ij", jacobian, jacobian) / len(jets)
    values, vectors = np.linalg.eigh(metric + np.eye(len(metric)) * 1e-12 * np.trace(metric))
    to_metric = vectors * np.sqrt(values)
    rotation = np.linalg.eigh(np.cov((latents - offset) @ to_metric, rowvar=False).reshape(metric.shape))[1][:, ::-1]
    unit = np.linalg.inv(to_metric @ rotation)
    own = np.mean((reference - normalized) ** 2)

    def grown(step: float) -> float:
        rounded = restore_latents(round_latents(latents, offset, unit * step), offset, unit * step)
        return float(np.mean((decode(rounded) - normalized) ** 2) / own - 1)

    if bits is not None:
        axes = (latents - offset) @ to_metric @ rotation
        step = float(np.ptp(axes, axis=0).max()) / 2**bits
    else:
        step = math.sqrt(growth * own * len(FEATURES) * 12 / len(metric))
        while grown(step) > 0.9 * growth:
            step /= 1.05
    return offset, unit * step, grown(step)


def round_latents(latents: np.ndarray, offset: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Integers q, int32, for which offset + q @ matrix comes next to the latents."""
    integers = np.rint((latents - offset) @ np.linalg.inv(matrix))
    return np.clip(np.nan_to_num(integers), -GRID_LIMIT, GRID_LIMIT).astype(np.int32)


def restore_latents(integers: np.ndarray, offset: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Latents, float32, from their integers."""
    return (offset + integers.astype(np.float64) @ matrix).astype(np.float32)


def find_violations(quantity: str, true: np.ndarray, reconstructed: np.ndarray, bound: ErrorBound) -> np.ndarray:
    """Positions where `reconstructed` is not within `bound` of `true`, or is no jet that the project can use.

    Both float32; differences are exact in float64, and taken around the circle for phi. Values that are not finite
    never pass; neither does a pt that vanishes or a mass that falls to the limit below which jets are refused.
    """
    found = []
    for start in range(0, len(true), BLOCK):
        x = true[start : start + BLOCK].astype(np.float64)
        y = reconstructed[start : start + BLOCK]
        error = absolute_error(quantity, x, y)
        good = (error <= bound.at(x)) & (error < np.inf)
        if not good.all():
            found.append(np.flatnonzero(~good) + start)
        if quantity in _LOWEST and len(y) and y.min() <= _LOWEST[quantity]:
            found.append(np.flatnonzero((y <= _LOWEST[quantity]) & (x > _LOWEST[quantity])) + start)
    return np.unique(np.concatenate(found)) if found else np.empty(0, np.int64)


def _finite(values: np.ndarray) -> np.ndarray:
    finite = np.isfinite(values)
    return values if finite.all() else np.where(finite, values, np.float32(0))


def _is_later(counts: np.ndarray) -> np.ndarray:
    """Whether each jet has another of its event before it."""
    later = np.ones(int(counts.sum()), bool)
    later[(np.cumsum(counts) - counts)[counts > 0]] = False
    return later


def _undo_drops(first: np.ndarray, drops: np.ndarray, counts: np.ndarray) -> np.ndarray:
    counts = counts[counts > 0]
    fallen = np.zeros(int(counts.sum()), np.int32)
    fallen[_is_later(counts)] = drops
    fallen = np.cumsum(fallen, dtype=np.int32)
    starts = np.cumsum(counts) - counts
    return np.repeat(first + fallen[starts], counts) - fallen


def _scaled(integers: np.ndarray, sixteenths: int) -> np.ndarray:
    return ((integers.astype(np.int64) * sixteenths) >> 4).astype(np.int32)


def _predicted_integers(grid: Grid, predicted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Integers of a prediction, and the positions where another machine might round it to a neighbour."""
    values = np.nan_to_num(predicted, nan=0.0, posinf=1e30, neginf=-1e30)
    margin = _AMBIGUOUS * (1 + np.abs(values))
    below, above = to_integers(grid, values - margin), to_integers(grid, values + margin)
    ambiguous = (below != above) | ~np.isfinite(predicted) | (np.abs(below) >= GRID_LIMIT)
    return below, np.flatnonzero(ambiguous)


def _difference(grid: Grid, integers: np.ndarray, base: np.ndarray) -> np.ndarray:
    difference = integers - base
    if isinstance(grid, CircularGrid):
        half = grid.count // 2
        return ((difference + half) % grid.count - half).astype(np.int32)
    return difference


def _sum(grid: Grid, difference: np.ndarray, base: np.ndarray) -> np.ndarray:
    return (difference + base) % grid.count if isinstance(grid, CircularGrid) else difference + base


def _columns_of(jets: np.ndarray) -> Columns:
    return {name: np.ascontiguousarray(jets[:, i]) for i, name in enumerate(FEATURES)}


Scheme = BoundedScheme | AutoencoderScheme
