"""What each branch of a file costs and holds, and what a policy would make of it."""

import hashlib
import lzma
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from awkward.contents import Content
from tqdm import tqdm

from utils.files import Json
from utils.jets import PER_GEV, open_source, settle_units
from utils.trees.arrays import floats_of, labelled
from utils.trees.bounds import Errors
from utils.trees.observables import WORKING_POINTS, Observables
from utils.trees.policy import BOOKKEEPING, Plan, Policy, load_policy, make_plans
from utils.trees.read import Chunk, iter_chunks
from utils.trees.schema import Column, TreeFile, open_trees
from utils.trees.slim import bounded_chunk, energy_unit

LZMA_9 = [{"id": lzma.FILTER_LZMA2, "preset": 9, "dict_size": 1 << 20}]
"""How ROOT compresses at level 9, without the frame of a file."""

NOISE_BITS = 20
"""A value below the largest by more than these bits is noise of the arithmetic, where most values are."""

RESIDUAL_BINS = 41
"""Of errors in units of the bound, from -1 to 1."""


def audit(
    path: str | Path,
    policy: Policy | str | Path = "stored",
    *,
    tree: str | None = None,
    progress: bool = False,
) -> Json:
    """What each branch of a ROOT file costs and holds and, under a policy, would cost and lose; JSON-safe.

    Of each branch: bytes in the file, values, the bits that they use, whether it is constant, a copy of another, or
    noise; bytes under LZMA before and after, measured on the first chunk of some 32 MB, and errors. Where the file has
    jets: HT, leading dijet mass and counts of jets and b tags before and after (see `Observables`).
    """
    policy = policy if isinstance(policy, Policy) else load_policy(policy)
    with open_trees(path, tree) as file:
        plans = make_plans(file, policy, lambda: energy_unit(path))
        bar = tqdm(total=sum(plan.tree.entries for plan in plans), unit="entry", disable=not progress)
        trees, observables = [], None
        for plan in plans:
            seen = observables_of(file, plan) if plan.tree.name not in BOOKKEEPING else None
            branches = {column.name: _Branch(column) for column in plan.columns}
            measured = 0
            for start, stop, chunk in iter_chunks(plan.tree, plan.columns, str(path)):
                after = bounded_chunk(chunk, plan)
                for branch in branches.values():
                    branch.add(chunk, after, plan, sizes=start == 0)
                if seen is not None:
                    seen.add(chunk, after, plan.bounds)
                measured = measured or stop
                bar.update(stop - start)
            trees.append(_tree_dict(plan, branches, measured))
            observables = observables or (seen.to_dict() if seen is not None else None)
        bar.close()
        lost = [*(lost for plan in plans for lost in plan.tree.lost), *file.others]
    return {
        "file": str(path),
        "policy": policy.to_dict(),
        "trees": trees,
        "observables": observables,
        "not_readable": [[item.name, item.typename, item.why] for item in lost],
    }


@dataclass
class _Branch:
    """What is known of one branch so far."""

    column: Column
    values: int = 0
    used: int = 0
    low: int | None = None
    high: int | None = None
    first: dict[str, np.ndarray] = field(default_factory=dict)
    constant: bool = True
    exponents: np.ndarray = field(default_factory=lambda: np.zeros(4096, np.int64))
    digest: "hashlib._Hash" = field(default_factory=hashlib.sha256)
    before: int = 0
    after: int = 0
    errors: Errors = field(default_factory=Errors)
    residuals: np.ndarray = field(default_factory=lambda: np.zeros(RESIDUAL_BINS, np.int64))

    def add(self, chunk: Chunk, after: Chunk, plan: Plan, sizes: bool) -> None:
        """Look at more values, and at what became of them."""
        name, bound = self.column.name, plan.bounds[self.column.name]
        for label, part in labelled(chunk[name]):
            self.digest.update(np.ascontiguousarray(part).data)
            if label == "values":
                self._look(part)
        if sizes:
            self.before = _lzma(chunk[name])
            self.after = self.before if bound.lossless else min(self.before, _lzma(after[name]))
        if bound.lossless:
            return
        for true, new in zip(floats_of(chunk[name]), floats_of(after[name]), strict=True):
            self.errors.add(true, new, bound)
            finite = np.isfinite(true)
            true, new = true[finite].astype(np.float64), new[finite].astype(np.float64)
            with np.errstate(divide="ignore", invalid="ignore"):
                pulls = np.nan_to_num((new - true) / bound.at(true))
            self.residuals += np.histogram(pulls, RESIDUAL_BINS, (-1, 1))[0]

    def _look(self, values: np.ndarray) -> None:
        if len(values) == 0:
            return
        self.values += len(values)
        first = self.first.setdefault(values.dtype.str, values[:1].copy())
        self.constant = self.constant and bool((_bits(values) == _bits(first)).all())
        if values.dtype.kind == "f":
            self.used |= int(np.bitwise_or.reduce(_bits(values)))
            finite = values[np.isfinite(values) & (values != 0)]
            self.exponents += np.bincount(np.frexp(finite)[1] + 2048, minlength=4096)[:4096]
        elif values.dtype.kind in "iub":
            self.low = min(int(values.min()), int(values.min()) if self.low is None else self.low)
            self.high = max(int(values.max()), int(values.max()) if self.high is None else self.high)

    def bits(self) -> int | None:
        """Mantissa bits that floats use; bits of the range of integers."""
        if self.used or self.exponents.any():
            stored = self.used & ((1 << (52 if self._is_double() else 23)) - 1)
            return (52 if self._is_double() else 23) - ((stored & -stored).bit_length() - 1) if stored else 0
        return None if self.low is None or self.high is None else (self.high - self.low).bit_length()

    def _is_double(self) -> bool:
        return any(first.dtype == np.float64 for first in self.first.values())

    def noise(self) -> float:
        """The share of values other than zero that are tiny beside the largest."""
        there = np.flatnonzero(self.exponents)
        return float(self.exponents[: there[-1] - NOISE_BITS].sum() / self.exponents.sum()) if len(there) else 0.0

    def to_dict(self, plan: Plan, copy_of: str | None, measured_share: float) -> Json:
        """JSON-safe."""
        column, bound = self.column, plan.bounds[self.column.name]
        each = max(self.values * measured_share, 1)
        return {
            "name": column.name,
            "type": column.typename or str(column.form.type),
            "depth": column.depth,
            "collection": column.collection,
            "bytes": column.bytes,
            "values": self.values,
            "bits": self.bits(),
            "constant": self.values > 0 and self.constant,
            "copy_of": copy_of,
            "noise": self.noise(),
            "bound": bound.text,
            "lzma_bytes": self.before,
            "lzma_bytes_after": self.after,
            "bytes_per_value": self.before / each,
            "bytes_per_value_after": self.after / each,
            "largest_error": self.errors.largest,
            "typical_error": self.errors.typical,
            "largest_share_of_bound": self.errors.share,
            "residuals": self.residuals.tolist() if not bound.lossless else None,
        }


def _bits(values: np.ndarray) -> np.ndarray:
    return values.view(f"u{values.itemsize}")


def _lzma(layout: Content) -> int:
    """Bytes under LZMA-9 in the order of ROOT, lists by their counts."""
    total = 0
    for label, part in labelled(layout):
        values = np.diff(part).astype(np.int32) if label == "offsets" else part
        total += lzma_size(values)
    return total


def lzma_size(values: np.ndarray) -> int:
    """Bytes of an array under LZMA-9 in the byte order of ROOT, without the frame of a file."""
    swapped = values.astype(values.dtype.newbyteorder(">"))
    return len(lzma.compress(swapped.tobytes(), lzma.FORMAT_RAW, filters=LZMA_9))


def _tree_dict(plan: Plan, branches: dict[str, _Branch], measured: int) -> Json:
    share = measured / plan.tree.entries if plan.tree.entries else 1.0
    first: dict[str, str] = {}
    rows = []
    for name, branch in branches.items():
        key = f"{branch.column.form.type} {branch.digest.hexdigest()}"
        copy_of = first.setdefault(key, name)
        constant = branch.constant or not branch.values
        rows.append(branch.to_dict(plan, None if copy_of == name or constant else copy_of, share))
    return {
        "name": plan.tree.name,
        "kind": plan.tree.kind,
        "entries": plan.tree.entries,
        "measured_entries": measured,
        "dropped": list(plan.dropped),
        "branches": rows,
    }


def observables_of(file: TreeFile, plan: Plan) -> Observables | None:
    """What to look at in a tree with jets, whose columns are all carried; None in any other."""
    try:
        source = settle_units([open_source(str(file.path), plan.tree.name)], None, None)[0]
    except ValueError:
        return None
    roles = {role: name for role, name in source.columns.columns.items() if role in ("pt", "eta", "phi", "m")}
    lists = {column.name for column in plan.columns if column.depth == 1}
    if len(roles) < 4 or not lists.issuperset(roles.values()) or source.units is None:
        return None
    prefix = roles["pt"][: -len("pt")]
    tags = {f"{prefix}{tag}": points for tag, points in WORKING_POINTS.items() if f"{prefix}{tag}" in lists}
    return Observables(roles, PER_GEV[source.units.by_role["pt"]], tags)
