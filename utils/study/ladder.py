"""The four numbers of a jet, from the codec to the least that they can take, step by step; and at other errors."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from math import log2

import numpy as np
import pandas as pd

from utils.codec import Bounds
from utils.jets import Sample, feature_array
from utils.study.density import Density, density_bits, train_density
from utils.study.gridded import GriddedJets, mirrored
from utils.study.jet_features import ORDER, Ranges
from utils.study.learned_transform import TransformTraining, transform_rate
from utils.study.methods import bounded_method, bounds_for_mse
from utils.study.ratedistortion import measure, shannon_lower_bound
from utils.study.transforms import TRANSFORMS, Columns, bounded_bytes

BOUNDED_STEP, ALONE, EVENT, LIMIT = "bounded: pcodec", "network, jet alone", "network, event", "limit: GRU, event"

RANKS = 8
"""Jets of an event up to which bits are given by rank."""

CODES = (
    "rounding + pcodec",
    "learned transform",
    "rounding + network, jet alone",
    "rounding, event + pcodec",
    "rounding + network, event",
    "Shannon bound of single jets",
)
"""What is compared at other errors, those of single jets first."""


@dataclass(frozen=True)
class Rung:
    """A step of the ladder: bytes a jet by quantity, the weights of its network, bits by rank and quantity if known."""

    name: str
    columns: Columns
    weights: int = 0
    by_rank: pd.DataFrame | None = None
    cpu_seconds: float = 0.0

    @property
    def total(self) -> float:
        """Bytes a jet, weights not counted."""
        return sum(self.columns.values())


@dataclass(frozen=True)
class Step:
    """A step of the ladder by name, and how it is measured on a sample from the rung before (None: there is none)."""

    name: str
    measure: Callable[[Sample, Rung | None], Rung]


def ladder_steps(small: Density, limit: Density) -> list[Step]:
    """The codec, its transforms one after the other, and networks; `small` ones, and one that comes near the limit."""
    densities = ((ALONE, small, False), (EVENT, small, True), (LIMIT, limit, True))
    return [
        Step(BOUNDED_STEP, lambda sample, _: Rung(BOUNDED_STEP, bounded_bytes(sample.test, sample.train))),
        *(Step(f"+ {name}", partial(_transformed, name)) for name in TRANSFORMS),
        *(Step(name, partial(_density, name, density, events)) for name, density, events in densities),
    ]


def measure_ladder(steps: Sequence[Step], sample: Sample) -> list[Rung]:
    """All steps on the test jets of a sample, fitted and trained on its training jets."""
    rungs: list[Rung] = []
    for step in steps:
        rungs.append(step.measure(sample, rungs[-1] if rungs else None))
    return rungs


def _transformed(name: str, sample: Sample, before: Rung | None) -> Rung:
    fit, jets = (GriddedJets.of(table) for table in (sample.train, sample.test))
    return Rung(f"+ {name}", ({} if before is None else before.columns) | TRANSFORMS[name](jets, fit))


def _density(name: str, density: Density, events: bool, sample: Sample, _: Rung | None = None) -> Rung:
    return density_rung(name, density, events, sample, Bounds())


def density_rung(name: str, density: Density, events: bool, sample: Sample, bounds: Bounds) -> Rung:
    """What test jets take under a density that is trained on the training jets, turned over in eta and phi as well."""
    start = time.process_time()
    train = [GriddedJets.of(table, bounds, events) for table in mirrored(sample.train)]
    test = GriddedJets.of(sample.test, bounds, events)
    ranges = Ranges.of(*train, test)
    model = train_density(density, train, ranges)
    bits = density_bits(model, test, ranges)
    rank = GriddedJets.of(sample.test, bounds).rank
    by_rank = pd.DataFrame(bits, columns=list(ORDER)).groupby(rank).mean().head(RANKS)
    columns = dict(zip(ORDER, (bits.mean(0) / 8).tolist(), strict=True))
    return Rung(name, columns, model.weights, by_rank, time.process_time() - start)


def ladder_frame(rungs: Sequence[Rung]) -> pd.DataFrame:
    """A row for each rung: bytes a jet by quantity and in all, the ratio to the first, weights."""
    frame = pd.DataFrame([rung.columns for rung in rungs], index=pd.Index([r.name for r in rungs], name="step"))
    frame = frame[list(ORDER)]
    frame["bytes_per_jet"] = [rung.total for rung in rungs]
    frame["ratio"] = frame["bytes_per_jet"] / rungs[0].total
    frame["weights"] = [rung.weights for rung in rungs]
    return frame


def rate_points(sample: Sample, mses: Sequence[float], density: Density, transform: TransformTraining) -> pd.DataFrame:
    """Bytes a jet of `CODES` at mean squared errors in the common space: `code`, `mse`, `bytes_per_jet`, `target`.

    `at_target` is what each would take at the error aimed at, along the slope of the bound: a quarter of a byte for a
    factor of two.
    """
    train, test = (feature_array(table, np.float32) for table in (sample.train, sample.test))
    limit = shannon_lower_bound(test, mses)["bytes_per_jet"]
    rows = []
    for target, bound in zip(mses, limit, strict=True):
        bounds = bounds_for_mse(target)
        plain = measure(bounded_method(bounds, "", train), test, repeats=1)
        learned, error = transform_rate(train, test, target, transform)
        networks = [density_rung("", density, events, sample, bounds).total for events in (False, True)]
        event = bounded_bytes(sample.test, sample.train, bounds)
        fit, jets = (GriddedJets.of(table, bounds) for table in (sample.train, sample.test))
        for function in TRANSFORMS.values():
            event |= function(jets, fit)
        sizes = (plain["bytes_per_jet"], learned, networks[0], sum(event.values()), networks[1], bound)
        errors = (plain["mse"], error, *[plain["mse"]] * 3, target)
        rows += list(zip(CODES, errors, sizes, [target] * len(CODES), strict=True))
    frame = pd.DataFrame(rows, columns=["code", "mse", "bytes_per_jet", "target"])
    return frame.assign(at_target=frame["bytes_per_jet"] + (frame["mse"] / frame["target"]).map(log2) / 4)


def event_saving(sample: Sample, mse: float, density: Density) -> float:
    """Bytes a jet that the earlier jets of its event save a network, at a mean squared error in the common space.

    How much one number says of another does not depend on how finely both are told, once this is fine: so at smaller
    errors the event saves about as much. What a network finds is no more than what there is.
    """
    alone, event = (density_rung("", density, events, sample, bounds_for_mse(mse)).total for events in (False, True))
    return max(0.0, alone - event)
