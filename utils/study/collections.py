"""Whole collections of jets: their bytes by each way to store them, and files made in each way."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from awkward.contents import Content
from numcodecs import Shuffle, Zstd

from utils import codec, trees
from utils.files import Json, sha256_of
from utils.jets import (
    TEST_SAMPLE,
    Dataset,
    embedded_columns,
    find_published,
    first_events,
    iter_jets,
    split_dataset,
    write_jets,
)
from utils.text import listing


class Way(NamedTuple):
    """One way to store a tree: whether values may change within bounds, and the suffix of its files."""

    bounded: bool
    suffix: str | None


LZMA = "ROOT, LZMA"

RNTUPLE = "RNTuple, byte split and zstd"

LOSSLESS = "container, lossless"

BOUNDED = "ROOT, LZMA, bounded"

SMALLEST = "container, bounded"

WAYS = {
    LZMA: Way(False, ".root"),
    RNTUPLE: Way(False, None),
    LOSSLESS: Way(False, codec.SUFFIX),
    BOUNDED: Way(True, ".root"),
    SMALLEST: Way(True, codec.SUFFIX),
}
"""What is compared, by name. The first is what NanoAOD does, and what the others are divided by. Of the second, ROOT's
own for RNTuples, there are no files here: uproot writes them without the byte split."""

SHAPE_RULES = (
    "Jet_ptD=0.005",
    "Jet_leadFrac=0.005",
    "Jet_C1=0.005",
    "Jet_*idth*=0.005",
    "Jet_leadR=0.005",
    "Jet_centroidR=0.005",
    "Jet_charge=0.005",
    "Jet_tau[12]=1%,0.002",
    "Jet_sumPtTrk=1%,10MeV",
    "Jet_leadTrkPt=1%,10MeV",
    "Jet_dxyMax=1%,0.0005",
)
"""Bounds for the columns of the embedded sample that NanoAOD has not: shares, shapes and angles as fine as the presets
have theirs, sums of tracks as pt, an impact parameter (in cm) to a quarter of its resolution of 20 um."""


def tree_file(dataset: Dataset, folder: Path, max_jets: int | None = None) -> tuple[Path, Json]:
    """A ROOT file with the trees of a dataset, and what stands for the source of a sample (see `write_metrics`).

    A ROOT file of this machine is itself the file. "embedded" is the sample with columns, of which at most `max_jets`
    jets are written to `folder`; jets of any other format are written there too, with their four numbers.
    """
    path, reading = split_dataset(dataset)
    name = str(path) if isinstance(path, str | Path) else ", ".join(map(str, path))
    made = folder / "jets.root"
    if name == "embedded":
        table = embedded_columns()
        trees.write_sample_tree(made, table if max_jets is None else first_events(table, max_jets))
        name = "embedded columns"
    elif _is_root(Path(name)):
        made = Path(name)
    else:
        write_jets(iter_jets(find_published(TEST_SAMPLE) if name == "published" else path, **reading), made)
    return made, {"dataset": name, "sha256": {made.name: sha256_of(made)}}


def _is_root(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(4) == b"root"


def choose_policy(
    path: Path, policy: str | Path | None = None, bounds: Sequence[str] | None = None, columns: bool = False
) -> trees.Policy:
    """The policy that is asked for, else the preset that fits the branches of a file; `bounds` go before its rules.

    With `columns`, the file is that of the embedded sample, and `SHAPE_RULES` go before the preset.
    """
    bounds = [*(bounds or ()), *(SHAPE_RULES if columns and policy is None else ())]
    if policy is None:
        with trees.open_trees(path) as file:
            names = [column.name for tree in file.trees for column in tree.columns]
        policy = "physlite" if any("AuxDyn" in name for name in names) else "nanoaod"
    return trees.load_policy(policy, bounds)


def rules_frame(policy: trees.Policy, branches: Sequence[Json]) -> pd.DataFrame:
    """The rules that bound some of the branches of `trees.audit`: bound, why, and the branches that each is for."""
    found: dict[tuple[str, str], list[str]] = {}
    for branch in branches:
        rule = policy.first(branch["name"])
        if rule is not None and branch["residuals"] is not None:
            found.setdefault((rule.bound, rule.why), []).append(branch["name"])
    rows = [(bound, why, listing(names, 4)) for (bound, why), names in found.items()]
    return pd.DataFrame(rows, columns=["bound", "why", "branches"]).set_index("bound")


def errors_frame(report: Json, tree: str) -> pd.DataFrame:
    """The errors of the bounded branches of a tree, of a report of `slim`; the nearest to its bound is last."""
    columns = ["bound", "largest error", "typical error", "largest / bound"]
    found = pd.DataFrame.from_dict(report["trees"][tree]["bounded"], orient="index", columns=columns)
    return found.sort_values("largest / bound")


def write_files(path: Path, folder: Path, policy: trees.Policy) -> dict[str, Json]:
    """Write the trees of a ROOT file to `folder` in each of `WAYS` that has files; gives the reports of `slim`, by way.

    Where a TTree cannot hold a branch, ROOT files are RNTuples.
    """
    with trees.open_trees(path) as file:
        fits = all(tree.kind == "RNTuple" or column.fits_ttree for tree in file.trees for column in tree.columns)
    reports = {}
    for number, (name, way) in enumerate(WAYS.items()):
        if way.suffix is not None:
            to = None if fits or way.suffix == codec.SUFFIX else "rntuple"
            target = folder / f"{number}{way.suffix}"
            reports[name] = codec.slim(path, target, policy if way.bounded else "stored", to=to)
    return reports


def measure_collection(path: Path, policy: trees.Policy, shares: Sequence[float] = (0.5, 1)) -> pd.DataFrame:
    """Bytes of each column of the jets of a ROOT file in each of `WAYS`, for the first `shares` of its entries.

    A row for each share, way and column: `entries`, `jets`, `way`, `column`, `bytes`; column "" is what a container
    needs to describe the others. Lists that have the same counts store them once in every way. Of a file without jets,
    the collection with most columns is measured; of a long one, the first chunk (see `trees.iter_chunks`).
    """
    rows = []
    with trees.open_trees(path) as file:
        plan, first = _plan_of_jets(file, policy, path)
        lossless = replace(plan, bounds={name: trees.Bound("stored", text="stored") for name in plan.bounds})
        most = next((stop for _, stop, _ in trees.iter_chunks(plan.tree, plan.columns, str(path))), 0)
        for stop in sorted({max(1, round(share * most)) for share in shares} if most else ()):
            chunk = trees.read_chunk(plan.tree, plan.columns, 0, stop, str(path))
            jets = _number_of_jets(chunk[first])
            for name, sizes in _sizes(plan, lossless, chunk, stop).items():
                rows += [(stop, jets, name, column, size) for column, size in sizes.items()]
    if not rows:
        raise ValueError(f"{path}: tree {plan.tree.name} has no entries")
    return pd.DataFrame(rows, columns=["entries", "jets", "way", "column", "bytes"])


def _plan_of_jets(file: trees.TreeFile, policy: trees.Policy, path: Path) -> tuple[trees.Plan, str]:
    """The plan of the tree of events, with the columns of jets alone and what counts them; and one of the columns."""
    plans = trees.make_plans(file, policy, lambda: trees.energy_unit(path))
    plans = [plan for plan in plans if plan.tree.name not in trees.BOOKKEEPING] or plans
    for plan in plans:
        if (seen := trees.observables_of(file, plan)) is not None:
            prefix = seen.roles["pt"][: -len("pt")]
            return _restricted(plan, [c for c in plan.columns if c.depth and c.name.startswith(prefix)])
    largest = max(plans, key=lambda plan: len(plan.columns))
    collections: dict[str, list[trees.Column]] = {}
    for column in largest.columns:
        collections.setdefault(column.collection, []).append(column)
    lists = {name: columns for name, columns in collections.items() if name} or collections
    return _restricted(largest, max(lists.values(), key=len))


def _restricted(plan: trees.Plan, columns: Sequence[trees.Column]) -> tuple[trees.Plan, str]:
    wanted = {column.name for column in columns} | {column.counter for column in columns}
    kept = tuple(column for column in plan.columns if column.name in wanted)
    return replace(plan, columns=kept, bounds={c.name: plan.bounds[c.name] for c in kept}), columns[0].name


def _number_of_jets(layout: Content) -> int:
    label, values = next(trees.labelled(layout))
    return int(values[-1]) if label == "offsets" else len(layout)


def _sizes(plan: trees.Plan, lossless: trees.Plan, chunk: trees.Chunk, entries: int) -> dict[str, dict[str, int]]:
    """Bytes of each column in each of `WAYS`."""
    stored, rounded = _arrays(plan, chunk), _arrays(plan, trees.bounded_chunk(chunk, plan))
    zstd = Zstd(trees.COMPRESSIONS["zstd"])
    found = (
        {name: sum(map(trees.lzma_size, arrays)) for name, arrays in stored.items()},
        {name: sum(len(zstd.encode(_split(array))) for array in arrays) for name, arrays in stored.items()},
        codec.entry_sizes(lossless, chunk, entries),
        {name: sum(map(trees.lzma_size, arrays)) for name, arrays in rounded.items()},
        codec.entry_sizes(plan, chunk, entries),
    )
    return dict(zip(WAYS, found, strict=True))


def _arrays(plan: trees.Plan, chunk: trees.Chunk) -> dict[str, list[np.ndarray]]:
    """The arrays of each column, with the counts of lists as int32, and those that another column has left out."""
    counters = {column.counter for column in plan.columns}
    seen: set[bytes] = set()
    found: dict[str, list[np.ndarray]] = {}
    for column in plan.columns:
        arrays = found.setdefault(column.name, [])
        for label, values in trees.labelled(chunk[column.name]):
            array = np.diff(values).astype(np.int32) if label == "offsets" else values
            if label == "offsets" or column.name in counters:
                key = array.astype(np.int32).tobytes()
                if key in seen:
                    continue
                seen.add(key)
            if len(array):
                arrays.append(np.ascontiguousarray(array))
    return found


def _split(values: np.ndarray) -> bytes:
    """Numbers byte by byte, the first of all, the second of all, and flags bit by bit, as RNTuple lays them out."""
    return np.packbits(values).tobytes() if values.dtype == bool else bytes(Shuffle(values.itemsize).encode(values))


def collection_totals(points: pd.DataFrame) -> pd.DataFrame:
    """Of `measure_collection`, bytes a jet by way and number of jets: `way`, `entries`, `jets`, `bytes_per_jet`."""
    totals = points.groupby(["way", "entries", "jets"], sort=False, as_index=False)["bytes"].sum()
    return totals.assign(bytes_per_jet=totals["bytes"] / totals["jets"].clip(lower=1))


def compare_ways(points: pd.DataFrame, reports: Mapping[str, Json]) -> pd.DataFrame:
    """A row for each of `WAYS`: bytes of its file (NaN without one), of a jet, of one more, and ratios to the first.

    `points` are of `measure_collection`, `reports` of `write_files`. One more jet: the difference of all entries and
    the fewer that are nearest to half of them, over that of their jets, so that what a file needs anyway falls out; NaN
    where there are no fewer.
    """
    totals = collection_totals(points)
    most = totals["entries"].max()
    fewer = totals.loc[totals["entries"] < most, "entries"]
    half = fewer.iloc[(fewer - most / 2).abs().argmin()] if len(fewer) else most
    some, every = (totals[totals["entries"] == entries].set_index("way") for entries in (half, most))
    table = pd.DataFrame(index=pd.Index(WAYS, name="way"))
    table["file"] = [reports[way]["output_bytes"] if way in reports else np.nan for way in WAYS]
    table["jet"] = every["bytes_per_jet"]
    more = (every["jets"] - some["jets"]).astype(float)
    table["more_jet"] = (every["bytes"] - some["bytes"]) / more.where(more > 0)
    for name in ("file", "jet", "more_jet"):
        table[f"{name}_ratio"] = table[name] / table[name].iloc[0]
    return table


def ways_frame(ways: pd.DataFrame) -> pd.DataFrame:
    """The numbers of `compare_ways` as text, for people."""
    words = {"file": ("file", "{:,.0f} B"), "jet": ("a jet", "{:.1f} B"), "more_jet": ("one more jet", "{:.1f} B")}
    shown = {}
    for name, (word, form) in words.items():
        shown[word] = ways[name].map(form.format)
        shown[f"{word} / LZMA"] = ways[f"{name}_ratio"].map("{:.3f}".format)
    return pd.DataFrame(shown).replace(r"^nan.*", "-", regex=True)
