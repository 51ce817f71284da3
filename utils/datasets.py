"""The samples of the study, and their split into training, validation and test jets."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from utils.files import REPOSITORY, sha256_of
from utils.jets import read_jets

EMBEDDED = REPOSITORY / "datasets"
EMBEDDED_FILES = (EMBEDDED / "qcd_jets_train.parquet", EMBEDDED / "qcd_jets_test.parquet")


@dataclass(frozen=True)
class Sample:
    """Three disjoint jet tables, and where they come from (JSON-safe)."""

    train: pd.DataFrame
    valid: pd.DataFrame
    test: pd.DataFrame
    source: dict


def load_sample(
    dataset: str | Path = "embedded", max_jets: int | None = None, seed: int = 0, valid_fraction: float = 0.1
) -> Sample:
    """Load a sample and split it by event.

    `dataset` is "embedded" (the sample that the repository ships) or a path that `read_jets` understands, of which
    20% of the events become the test jets. Validation jets come out of the training events. With
    `max_jets`, at most so many training jets, and a quarter as many test jets, are kept.
    """
    if str(dataset) == "embedded":
        train, test = (read_jets(path) for path in EMBEDDED_FILES)
        source = {path.name: sha256_of(path) for path in EMBEDDED_FILES}
    else:
        everything = read_jets(dataset)
        train, test = split_jets(everything, (0.8, 0.2), seed)
        source = {Path(dataset).name: sha256_of(dataset)}
    if max_jets is not None:
        train, test = train.head(max_jets), test.head(max(max_jets // 4, 1))
    train, valid = split_jets(train, (1 - valid_fraction, valid_fraction), seed)
    counts = {"train": len(train), "valid": len(valid), "test": len(test)}
    return Sample(train, valid, test, {"dataset": str(dataset), "sha256": source, "jets": counts, "split_seed": seed})


def split_jets(table: pd.DataFrame, fractions: tuple[float, ...], seed: int = 0) -> list[pd.DataFrame]:
    """Split a jet table into disjoint parts by event, with about the given fractions of the events in each."""
    numbers = table["event"].unique()
    order = np.random.default_rng(seed).permutation(len(numbers))
    bounds = np.round(np.cumsum(fractions)[:-1] / np.sum(fractions) * len(numbers)).astype(int)
    parts = []
    for chosen in np.split(order, bounds):
        parts.append(table[table["event"].isin(numbers[chosen])].reset_index(drop=True))
    return parts
