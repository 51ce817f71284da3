"""What a model does to jets: rows of a model comparison, and what they say in sentences."""

import time

import numpy as np
import pandas as pd

from utils.files import Json
from utils.jets import FEATURES, Sample, feature_array
from utils.metrics.errors import mean_squared_error
from utils.metrics.resolution import Resolution, read_resolutions, resolutions
from utils.networks import (
    VARIANT_LABELS,
    Checkpoint,
    CustomNormalization,
    decode_latents,
    encode_jets,
    parameter_count,
    refine_latents,
)
from utils.text import decimals, significant


def evaluate(checkpoint: Checkpoint, table: pd.DataFrame, refine: int = 0) -> Json:
    """What a model does to the jets of `table`: a JSON-safe row of a model comparison.

    `mse` in the space the model was trained in, which cannot be compared between normalizations; `mse_custom` in the
    custom-normalized space, None where an output has no place there (m <= -1 GeV or pt <= 0: counted in `unphysical`);
    `resolution`, rows of `resolutions` in physical units. With `refine`, `refined` holds the same three of latents that
    so many steps of `refine_latents` improved, `steps`, and the CPU `seconds` (of the whole process) that a million
    jets took, to `encode` and to `refine`.
    """
    true = feature_array(table)
    start = time.process_time()
    latents = encode_jets(checkpoint, true)
    encoded = time.process_time()
    row = _errors(checkpoint, true, latents)
    if refine:
        begin = time.process_time()
        refined = refine_latents(checkpoint, true, latents, refine)
        done = time.process_time()
        per_million = 1e6 / max(1, len(true))
        seconds = {"encode": per_million * (encoded - start), "refine": per_million * (done - begin)}
        row["refined"] = {"steps": refine, "seconds": seconds, **_errors(checkpoint, true, refined)}
    training = checkpoint.metadata.get("training", {})
    return {
        "model": checkpoint.name,
        "label": VARIANT_LABELS.get(checkpoint.name, checkpoint.name),
        "normalization": checkpoint.normalization.kind,
        "loss": training.get("loss", "mse"),
        "parameters": parameter_count(checkpoint.model),
        "epochs": training.get("epochs"),
        "training_seconds": training.get("seconds"),
        "training_cpu_seconds": training.get("cpu_seconds"),
        "training_machine": training.get("machine"),
        "train_mse": training.get("train_loss"),
        "valid_mse": training.get("valid_loss"),
        **row,
        "checkpoint": None,
    }


def _errors(checkpoint: Checkpoint, true: np.ndarray, latents: np.ndarray) -> Json:
    output = decode_latents(checkpoint, latents).astype(np.float64)
    custom, normalization = CustomNormalization(), checkpoint.normalization
    unphysical = int(np.sum((output[:, FEATURES.index("m")] <= -1) | (output[:, FEATURES.index("pt")] <= 0)))
    comparable = None if unphysical else mean_squared_error(custom.normalize(true), custom.normalize(output))
    return {
        "mse": mean_squared_error(normalization.normalize(true), normalization.normalize(output)),
        "mse_custom": comparable,
        "unphysical": unphysical,
        "resolution": [{"quantity": name} | found.to_dict() for name, found in resolutions(true, output).items()],
    }


def resolution_frame(rows: list[Json]) -> pd.DataFrame:
    """The resolutions of several models (`evaluate`) as text to read, with two digits, indexed by quantity and model.

    m and pt in percent, phi in mrad; what `Resolution` says of the residuals.
    """
    lines = []
    for row in rows:
        for quantity, found in read_resolutions(row["resolution"]).items():
            columns = {"median": found.median, "68% half-width": found.half_width_68}
            columns |= {"99% quantile": found.q99, "largest": found.max}
            texts = {name: _with_unit(value, found.unit) for name, value in columns.items()}
            lines.append({"quantity": quantity, "model": row["label"], **texts})
    return pd.DataFrame(lines).set_index(["quantity", "model"]).loc[list(FEATURES)]


def _with_unit(value: float, unit: str) -> str:
    factor, name = {"relative": (100, "%"), "rad": (1000, " mrad")}.get(unit, (1, ""))
    digits = decimals(factor * value)
    return f"{factor * value:.{digits}f}{name}"


def describe(rows: list[Json]) -> str:
    """What the numbers of `evaluate` say, in sentences (Markdown): the last row is the baseline."""
    *models, baseline = rows
    widths = {row["label"]: read_resolutions(row["resolution"]) for row in rows}
    lines = []
    for row in models:
        ratio = row["mse"] / baseline["mse"]
        times = f"{ratio:.2f}" if ratio < 10 else significant(ratio, 3)
        entries, others = widths[row["label"]], widths[baseline["label"]]
        lines.append(
            f"- **{row['label']}**: test MSE {row['mse']:.4g} in its training space, {times} times that of "
            f"{baseline['label']} ({baseline['mse']:.4g}). 68% half-widths, in brackets those of {baseline['label']}: "
            + ", ".join(
                f"{quantity} {_readable(entries[quantity])} ({_readable(others[quantity])})" for quantity in FEATURES
            )
            + f". The worst 1% of the jets miss pt by more than {_readable(entries['pt'], 'q99')} and m by more than "
            f"{_readable(entries['m'], 'q99')}."
        )
        if row["unphysical"]:
            jets = "jet comes" if row["unphysical"] == 1 else "jets come"
            lines.append(f"  {row['unphysical']} {jets} out with m <= -1 GeV or pt <= 0.")
    return "\n".join(lines)


def evaluate_transfer(checkpoints: dict[str, Checkpoint], samples: dict[str, Sample]) -> list[Json]:
    """`evaluate` each model, by the name of its training sample, on the test jets of each sample."""
    return [
        {"trained_on": trained, "tested_on": tested} | evaluate(checkpoint, sample.test)
        for tested, sample in samples.items()
        for trained, checkpoint in checkpoints.items()
    ]


def transfer_frame(rows: list[Json]) -> pd.DataFrame:
    """MSE and 68% half-widths of `evaluate_transfer`, indexed by the samples tested and trained on."""
    frame = pd.DataFrame(
        [
            {"tested on": row["tested_on"], "trained on": row["trained_on"], "MSE": row["mse"]}
            | {name: found.half_width_68 for name, found in read_resolutions(row["resolution"]).items()}
            for row in rows
        ]
    )
    return frame.set_index(["tested on", "trained on"])


def describe_transfer(rows: list[Json]) -> str:
    """What the numbers of `evaluate_transfer` say, in sentences (Markdown)."""
    mse = {(row["tested_on"], row["trained_on"]): row["mse"] for row in rows}
    return "\n".join(
        f"- Tested on **{tested}**: the model trained on {trained} has {significant(value / mse[tested, tested], 3)} "
        f"times the MSE of the one trained on {tested} ({value:.3g} against {mse[tested, tested]:.3g})."
        for (tested, trained), value in mse.items()
        if tested != trained
    )


def _readable(resolution: Resolution, which: str = "half_width_68") -> str:
    return _with_unit(getattr(resolution, which), resolution.unit)
