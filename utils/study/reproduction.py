"""The numbers of the published tables, again, from the published weights and jets; and beside them the right ones."""

import copy
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import numpy as np
import pandas as pd
import torch

from utils.files import Json
from utils.jets import FEATURES, feature_array, find_published, has_published, load_published_jets
from utils.metrics import evaluate, mean_squared_error, median_and_width, published_residuals, resolutions
from utils.networks import (
    BATCH_SIZE,
    Checkpoint,
    CustomNormalization,
    NoNormalization,
    Normalization,
    PCABaseline,
    load_published,
)
from utils.text import Table, or_dash

GEV_IN_MEV = 1e3


class ReproducedResult(TypedDict):
    """A model's errors on the published test jets, beside those published; None where nothing was, as for PCA.

    `mse` in the space that the model was trained in; `residual_mean_published_recipe` by the published recipe with its
    own inverse, `residual_mean_correct_inverse` with the exact one; relative deviations of `mse` and of the means; and
    in `resolution` the figures to use: exact inverse, angles wrapped, massless jets masked.
    """

    model: str
    file: str | None
    normalization: str
    mse: float
    mse_published: float | None
    mse_deviation: float | None
    residual_mean_published_recipe: dict[str, float]
    residual_mean_published: dict[str, float] | None
    residual_mean_deviation: dict[str, float] | None
    residual_mean_correct_inverse: dict[str, float]
    resolution: dict[str, Json]


@dataclass(frozen=True)
class PublishedResult:
    """A published model and what was published of it: the MSE on the test set, and the mean residuals by its recipe."""

    label: str
    file: str
    mse: float
    residual_mean: dict[str, float]


def _per_feature(*values: float) -> dict[str, float]:
    return dict(zip(FEATURES, values, strict=True))


PUBLISHED_RESULTS: dict[str, PublishedResult] = {
    "no_norm": PublishedResult(
        "no norm., linear",
        "AE_3D_200_no1cycle_no_norm.pth",
        0.5181,
        _per_feature(-0.005725, -0.000001969, -0.004830, -1.0107),
    ),
    "std_norm": PublishedResult(
        "standard norm., tanh",
        "AE_3D_200_no1cycle_std_norm.pth",
        0.01111,
        _per_feature(0.001250, 0.01578, -0.01810, 0.05978),
    ),
    "custom_norm": PublishedResult(
        "custom norm., tanh",
        "AE_3D_200_no1cycle_custom_norm.pth",
        0.0007314,
        _per_feature(0.010748, -0.0001039, 0.0007383, 0.002638),
    ),
    "leaky_relu_bn_custom_norm": PublishedResult(
        "custom norm., LeakyReLU + BN",
        "AE_3D_200_ReLU_BN_custom_norm.pth",
        0.0005750,
        _per_feature(0.004853, -0.001126, 0.008089, -0.02475),
    ),
    "elu_bn_custom_norm": PublishedResult(
        "custom norm., ELU + BN",
        "AE_3D_200_ELU_BN_custom_norm.pth",
        0.0005754,
        _per_feature(0.005528, -0.0007568, -0.003144, -0.0002156),
    ),
    "pretrained": PublishedResult(
        "pre-trained, tanh",
        "AE_3D_200_no1cycle_trainforever.pth",
        0.1864,
        _per_feature(3515, -0.0275639, -0.0898516, 0.1344021),
    ),
}
"""The six published models, with the figures of the original's README and, for the last one, of its notebook.

The pre-trained one's mean residual of m is decided by a handful of massless jets."""

LABELS: dict[str, str] = {
    **{name: result.label for name, result in PUBLISHED_RESULTS.items()},
    "pca_no_norm": "no norm., rank-3 PCA",
    "pca_custom_norm": "custom norm., rank-3 PCA",
}
"""What tables call the rows of `reproduce`."""


def published_custom_inverse(values: np.ndarray) -> np.ndarray:
    """The inverse of the custom normalization behind the published tables, which it is not: to reproduce them only.

    m = 10^y - 1 and pt = 10^y + 1.3, where log10(m + 1) / 1.8 and (log10(pt) - 1.3) / 1.2 had been taken.
    """
    y_m, y_pt, y_phi, y_eta = np.asarray(values, np.float64).T
    return np.stack([10**y_m - 1, 10**y_pt + 1.3, 3 * y_phi, 5 * y_eta], axis=1)


def reproduce(folder: str | Path | None = None) -> list[ReproducedResult]:
    """Test the six published models, and rank-3 PCA, on the published test jets; one row per model.

    `folder` holds the published files, by default the one that `published_folder` gives. PCA is fitted to the test jets
    themselves: no linear model does better. Raises PublishedFilesError where a file is not at hand.
    """
    jets = feature_array(load_published_jets(folder=folder))
    rows = []
    for name, result in PUBLISHED_RESULTS.items():
        rows.append(_row(name, load_result(name, folder), jets, result))
    baselines: tuple[tuple[str, Normalization], ...] = (
        ("pca_no_norm", NoNormalization()),
        ("pca_custom_norm", CustomNormalization()),
    )
    for name, normalization in baselines:
        rows.append(_row(name, Checkpoint(PCABaseline().fit(normalization.normalize(jets)), normalization), jets, None))
    return rows


def evaluate_published(table: pd.DataFrame) -> list[Json]:
    """`metrics.evaluate` of the published models of the custom normalization on any jets, beside what was published.

    Rows have `published_as` and `mse_published`, the figure of the study on its own test sample. Models that are not at
    hand (see `fetch_published`) are left out.
    """
    return [
        evaluate(load_result(name), table) | {"published_as": result.label, "mse_published": result.mse}
        for name, result in PUBLISHED_RESULTS.items()
        if name.endswith("custom_norm") and has_published(result.file)
    ]


def load_result(name: str, folder: str | Path | None = None) -> Checkpoint:
    """The model behind an entry of `PUBLISHED_RESULTS`."""
    return load_published(find_published(PUBLISHED_RESULTS[name].file, folder))


def _row(name: str, checkpoint: Checkpoint, jets: np.ndarray, result: PublishedResult | None) -> ReproducedResult:
    normalization = checkpoint.normalization
    inputs = normalization.normalize(jets)
    outputs = _outputs(checkpoint, inputs)
    reconstructed = normalization.unnormalize(outputs)
    mse = mean_squared_error(inputs, outputs)
    if isinstance(normalization, CustomNormalization):
        recipe = published_residuals(published_custom_inverse(inputs), published_custom_inverse(outputs))
    elif name == "pretrained":  # the study left the jets of this one in MeV: here massless is below 1 eV
        in_mev = np.array([GEV_IN_MEV, GEV_IN_MEV, 1, 1])
        recipe = published_residuals(jets * in_mev, reconstructed * in_mev)
    else:
        recipe = published_residuals(jets, reconstructed)
    recipe_mean = _means(recipe)
    published_mean = result.residual_mean if result else None
    return {
        "model": name,
        "file": result.file if result else None,
        "normalization": normalization.kind,
        "mse": mse,
        "mse_published": result.mse if result else None,
        "mse_deviation": mse / result.mse - 1 if result else None,
        "residual_mean_published_recipe": recipe_mean,
        "residual_mean_published": published_mean,
        "residual_mean_deviation": {name: recipe_mean[name] / published_mean[name] - 1 for name in FEATURES}
        if published_mean
        else None,
        "residual_mean_correct_inverse": _means(published_residuals(jets, reconstructed)),
        "resolution": _resolution(jets, reconstructed),
    }


def _outputs(checkpoint: Checkpoint, inputs: np.ndarray) -> np.ndarray:
    """What the model makes of normalized jets, in its own space, float64 of shape (jets, 4), computed in float64.

    A mean of (out - in) / in hangs on a few jets near zero, and so on the last bits of float32 sums, which differ
    between processors.
    """
    model = copy.deepcopy(checkpoint.model).double()
    with torch.inference_mode():
        return torch.cat([model(batch) for batch in torch.as_tensor(inputs).split(BATCH_SIZE)]).numpy()


def _means(table: pd.DataFrame) -> dict[str, float]:
    return {str(name): float(value) for name, value in table.mean().items()}


def _resolution(jets: np.ndarray, reconstructed: np.ndarray) -> dict[str, Json]:
    """`resolutions`, JSON-safe, with the absolute errors of m and pt in GeV besides, massless jets included."""
    rows = {name: resolution.to_dict() for name, resolution in resolutions(jets, reconstructed).items()}
    for name in ("m", "pt"):
        difference = (reconstructed - jets)[:, FEATURES.index(name)]
        median, width = median_and_width(difference)
        q99 = float(np.quantile(np.abs(difference), 0.99))
        rows[name]["absolute"] = {"unit": "GeV", "median": median, "half_width_68": width, "q99": q99}
    return rows


def text_tables(rows: Iterable[ReproducedResult]) -> str:
    """The rows of `reproduce` as aligned text for a terminal."""
    return "\n\n".join(table.text() for table in _tables(list(rows)))


def markdown_tables(rows: Iterable[ReproducedResult]) -> str:
    """The rows of `reproduce` as Markdown tables, as the README shows them."""
    return "\n\n".join(f"*{table.title}*\n\n{table.grid('pipe')}" for table in _tables(list(rows)))


def _tables(rows: list[ReproducedResult]) -> list[Table]:
    return [_mse_table(rows), _recipe_table(rows), _resolution_table(rows)]


def _mse_table(rows: list[ReproducedResult]) -> Table:
    lines = [
        [
            LABELS[row["model"]],
            or_dash(row["mse_published"], lambda value: f"{value:.4g}"),
            f"{row['mse']:.5g}",
            or_dash(row["mse_deviation"], lambda value: f"{value:+.2%}"),
        ]
        for row in rows
    ]
    title = "MSE on the published test jets, each in the space that the model was trained in"
    return Table(title, ["model", "published", "here", "deviation"], lines)


def _recipe_table(rows: list[ReproducedResult]) -> Table:
    lines = []
    for row in rows:
        wrong = row["normalization"] == "custom"
        recipe, correct = row["residual_mean_published_recipe"], row["residual_mean_correct_inverse"]
        deviation = row["residual_mean_deviation"]
        lines.append(
            [
                LABELS[row["model"]],
                "published" if wrong else "exact",
                *(f"{recipe[name]:.4g}" for name in FEATURES),
                or_dash(deviation, lambda value: f"{max(map(abs, value.values())):.2%}"),
            ]
        )
        if recipe != correct:
            exact = "exact" if wrong else "exact, in GeV"
            lines.append([LABELS[row["model"]], exact, *(f"{correct[name]:.4g}" for name in FEATURES), "-"])
    title = "Mean of (out - in) / in by the published recipe (+1 on massless true masses, division by angles)"
    return Table(title, ["model", "inverse", *FEATURES, "largest deviation"], lines, labels=2)


def _resolution_table(rows: list[ReproducedResult]) -> Table:
    lines = []
    for row in rows:
        cells = [row["resolution"][name] for name in FEATURES]
        lines.append(
            [
                LABELS[row["model"]],
                *(" / ".join(f"{cell[key]:.2g}" for key in ("median", "half_width_68", "q99")) for cell in cells),
            ]
        )
    title = "Errors, exact inverse, angles wrapped, massless jets masked: median / 68% half-width / 99% of the absolute"
    return Table(title, ["model", "m, relative", "pt, relative", "phi [rad]", "eta"], lines)
