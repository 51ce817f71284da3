"""The samples of the study, and their split into training, validation and test jets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from utils.files import REPOSITORY, Json, require_clone, sha256_of
from utils.jets.events import run_lengths
from utils.jets.formats.pickles import read_pickled_table
from utils.jets.formats.source import is_remote
from utils.jets.paths import sample_files
from utils.jets.published import TEST_SAMPLE, TRAIN_SAMPLE, find_published, has_published
from utils.jets.read import read_jets
from utils.jets.table import (
    FEATURES,
    JetError,
    Paths,
    empty_ids,
    event_counts,
    make_table,
    select_jets,
    table_ids,
    with_empty_events,
)
from utils.text import listing

Dataset: TypeAlias = Paths | Mapping[str, Any]
"""Files, or one of the project's samples by its name, or a mapping of such a `path` and of how it is read."""

OPENING = ("tree", "collection", "columns", "padding", "read", "unit", "beam_energy", "bad_jets")
"""Arguments of `iter_jets` that a dataset may have."""

EMBEDDED = REPOSITORY / "datasets"

EMBEDDED_FILES = (EMBEDDED / "qcd_jets_train.parquet", EMBEDDED / "qcd_jets_test.parquet")

TEST_FRACTION = 0.2

TEST_SPLIT_SEED = 0
"""Test jets are set apart with this seed always, so that models of different seeds are compared on the same jets."""


@dataclass(frozen=True)
class Sample:
    """Three disjoint jet tables, and where they come from (JSON-safe)."""

    train: pd.DataFrame
    valid: pd.DataFrame
    test: pd.DataFrame
    source: Json

    def with_training_jets(self, jets: int) -> "Sample":
        """The same test jets with fewer others: the first events, of `jets` training and validation jets together."""
        share = jets / max(1, len(self.train) + len(self.valid))
        train, valid = (first_events(table, round(share * len(table))) for table in (self.train, self.valid))
        counts = {"train": len(train), "valid": len(valid), "test": len(self.test)}
        return Sample(train, valid, self.test, self.source | {"jets": counts})

    def select(self, pt_min: float | None = None, eta_max: float | None = None) -> "Sample":
        """The jets with pt >= `pt_min` GeV and |eta| <= `eta_max`; JetError where a part would have none."""
        parts = {name: select_jets(getattr(self, name), pt_min, eta_max) for name in ("train", "valid", "test")}
        cuts = []
        if pt_min is not None:
            cuts.append(f"pt >= {pt_min:g} GeV")
        if eta_max is not None:
            cuts.append(f"|eta| <= {eta_max:g}")
        for name, table in parts.items():
            if len(table) == 0:
                raise JetError(f"none of the {len(getattr(self, name))} {name} jets has {' and '.join(cuts)}")
        counts = {name: len(table) for name, table in parts.items()}
        return Sample(**parts, source=self.source | {"selection": ", ".join(cuts), "jets": counts})

    @property
    def training_data(self) -> Json:
        """What a model should remember of its training jets: their source, and lowest and highest value per column."""
        columns = {name: self.train[name] for name in FEATURES}
        ranges = {name: [float(column.min()), float(column.max())] for name, column in columns.items()}
        return self.source | {"range": ranges}


def split_dataset(dataset: Dataset) -> tuple[Paths, Json]:
    """The path of a dataset, and the arguments that say how it is read; JetError for what says neither."""
    if not isinstance(dataset, Mapping):
        return dataset, {}
    path, reading = dataset.get("path"), {key: value for key, value in dataset.items() if key != "path"}
    unknown = reading.keys() - set(OPENING)
    if path is None or unknown:
        raise JetError(f"a dataset has a path and may have {', '.join(OPENING)}; found {listing(map(str, dataset))}")
    if reading and str(path) in ("embedded", "published"):
        raise JetError(f"{path}: a sample of this project needs no {' or '.join(reading)}")
    return path, reading


def load_sample(
    dataset: Dataset = "embedded", max_jets: int | None = None, seed: int = 0, valid_fraction: float = 0.1
) -> Sample:
    """Load a sample and split it by event.

    `dataset` is "embedded" (the sample that the repository ships), "published" (the study's own, where its files
    are at hand: see `fetch_published`), or what `read_jets` understands: a path, several, a pattern, or an address, of
    which the SHA-256 in `source` is null. Such a sample, and the published one where only its test file is there,
    gives 20% of its events to the test, the same whatever the seed. Validation jets come out of the training events,
    by `seed`. A mapping such as `{"path": "my.root", "columns": "pt=..."}` says how files are read as well, by
    arguments of `iter_jets` that are in `OPENING`. With `max_jets`, at most so many training jets, and a quarter as
    many test jets, are kept: whole events, and one event at the least.
    """
    path, reading = split_dataset(dataset)
    split = "as shipped: training and test events in files of their own"
    if str(path) == "embedded":
        files: Sequence[str | Path] = EMBEDDED_FILES
        require_sample(path)
        train, test = (read_jets(file) for file in files)
    elif str(path) == "published" and has_published(TRAIN_SAMPLE):
        files = [find_published(name) for name in (TRAIN_SAMPLE, TEST_SAMPLE)]
        train, test = (load_published_jets(name) for name in (TRAIN_SAMPLE, TEST_SAMPLE))
        split = "as published: training and test jets in files of their own"
    else:
        published = str(path) == "published"
        files = [find_published(TEST_SAMPLE)] if published else sample_files(path)
        everything = load_published_jets(TEST_SAMPLE) if published else read_jets(files, **reading)
        train, test = split_jets(everything, (1 - TEST_FRACTION, TEST_FRACTION), TEST_SPLIT_SEED)
        which = "the published test sample alone" if published else "a sample of its own"
        split = f"{which}, {1 - TEST_FRACTION:.0%} of its events for training and {TEST_FRACTION:.0%} for the test"
    if max_jets is not None:
        train, test = first_events(train, max_jets), first_events(test, max_jets // 4)
    train, valid = split_jets(train, (1 - valid_fraction, valid_fraction), seed)
    source = {
        "dataset": str(path) if isinstance(path, str | Path) else [str(part) for part in path],
        **({"reading": reading} if reading else {}),
        "sha256": {Path(file).name: None if is_remote(str(file)) else sha256_of(file) for file in files},
        "split": split,
        "jets": {"train": len(train), "valid": len(valid), "test": len(test)},
        "split_seed": seed,
    }
    return Sample(train, valid, test, source)


def require_sample(dataset: Dataset) -> None:
    """Raise JetError, PublishedFilesError or CloneError where a dataset of `load_sample` has no files."""
    path, _ = split_dataset(dataset)
    if str(path) == "embedded":
        for file in EMBEDDED_FILES:
            require_clone(file, "the embedded sample")
    elif str(path) == "published":
        find_published(TEST_SAMPLE)
    else:
        sample_files(path)


def load_contrasting_samples(
    dataset: str | Path | Mapping[str, Any] = "embedded", max_jets: int | None = None, seed: int = 0
) -> dict[str, Sample]:
    """Samples by name, to see what a model that was trained on one makes of another.

    The first is `dataset`; then the published one, if it is at hand (the embedded one, where the first is the
    published); and the jets of the first with pt >= 40 GeV and |eta| <= 2.1 alone, a deliberately different selection.
    """
    first = load_sample(dataset, max_jets=max_jets, seed=seed)
    path = split_dataset(dataset)[0]
    samples = {Path(str(path)).stem: first}
    other = "embedded" if str(path) == "published" else "published"
    if other == "embedded" or has_published(TEST_SAMPLE):
        samples[other] = load_sample(other, max_jets=max_jets, seed=seed)
    return samples | {"central, high pt": first.select(pt_min=40.0, eta_max=2.1)}


def load_published_jets(name: str = TEST_SAMPLE, folder: str | Path | None = None) -> pd.DataFrame:
    """The jet table of a published sample, from MeV to GeV; it holds no event numbers, so each jet is an event."""
    jets = read_pickled_table(find_published(name, folder))
    return make_table(jets["m"] / 1e3, jets["pt"] / 1e3, jets["phi"], jets["eta"])


def first_events(table: pd.DataFrame, max_jets: int) -> pd.DataFrame:
    """The first whole events of a jet table, as many as fit into `max_jets` jets, and one at the least."""
    if len(table) <= max_jets:
        return table
    numbers, counts = event_counts(table)
    first_filled = int(np.flatnonzero(counts)[0]) + 1
    events = max(int(np.searchsorted(np.cumsum(counts), max_jets, side="right")), first_filled)
    return with_empty_events(table.head(counts[:events].sum()), numbers[:events][counts[:events] == 0])


def split_jets(table: pd.DataFrame, fractions: tuple[float, ...], seed: int = 0) -> list[pd.DataFrame]:
    """Split a jet table into disjoint parts by event, with about the given fractions of the events in each.

    The order of the events is kept, and events without jets are shared out as well. Raises JetError where a part
    would have no jets.
    """
    numbers, counts = run_lengths(table_ids(table))
    empty = empty_ids(table)
    events = len(numbers) + len(empty)
    bounds = np.round(np.cumsum(fractions)[:-1] / np.sum(fractions) * events).astype(int)
    order = np.random.default_rng(seed).permutation(events)
    part_of = np.empty(events, dtype=np.int8)
    for part, chosen in enumerate(np.split(order, bounds)):
        part_of[chosen] = part
    part_of_jet, part_of_empty = np.repeat(part_of[: len(numbers)], counts), part_of[len(numbers) :]
    parts = [
        with_empty_events(table[part_of_jet == part], empty[part_of_empty == part]) for part in range(len(fractions))
    ]
    if any(len(part) == 0 for part in parts):
        raise JetError(
            f"{len(numbers)} events with jets are too few to split into parts of {tuple(fractions)}: one has none"
        )
    return parts
