"""The ladder of the four numbers is a list of named steps, and the same codes are measured at other errors."""

from dataclasses import replace
from itertools import pairwise

import pandas as pd
import pytest

from utils.jets import Sample, load_sample
from utils.study import (
    ALONE,
    BOUNDED_STEP,
    CODES,
    EVENT,
    LIMIT,
    ORDER,
    TRANSFORMS,
    Density,
    Rung,
    Step,
    TransformTraining,
    event_saving,
    ladder_frame,
    ladder_steps,
    measure_ladder,
    rate_points,
)

SHORT = Density(hidden=8, steps=25, batch_jets=512)


@pytest.fixture(scope="module")
def sample() -> Sample:
    return load_sample(max_jets=2000)


@pytest.fixture(scope="module")
def rungs(sample: Sample) -> list[Rung]:
    return measure_ladder(ladder_steps(SHORT, replace(SHORT, memory=4)), sample)


def test_the_steps_have_names_and_a_transform_changes_one_quantity(rungs: list[Rung]) -> None:
    assert [rung.name for rung in rungs] == [BOUNDED_STEP, *(f"+ {name}" for name in TRANSFORMS), ALONE, EVENT, LIMIT]
    for before, after in pairwise(rungs[: 1 + len(TRANSFORMS)]):
        assert sum(before.columns[name] != after.columns[name] for name in ORDER) <= 1
        assert after.weights == 0
    assert rungs[len(TRANSFORMS)].total < rungs[0].total
    assert rungs[-1].weights > rungs[-2].weights > 0


def test_the_event_tells_pt_and_leaves_the_first_phi(rungs: list[Rung]) -> None:
    alone, event = rungs[-3], rungs[-2]
    assert event.columns["pt"] < 0.9 * alone.columns["pt"]
    assert event.by_rank is not None
    assert event.by_rank.shape == (8, 4)
    assert event.by_rank["phi"][1] < event.by_rank["phi"][0]


def test_the_frame_has_a_row_for_each_step_and_takes_one_more(sample: Sample, rungs: list[Rung]) -> None:
    frame = ladder_frame(rungs)
    assert frame["bytes_per_jet"].tolist() == pytest.approx(frame[list(ORDER)].sum(axis=1).tolist())
    assert frame["ratio"].iloc[0] == 1
    more = Step("half of it", lambda _, before: Rung("half of it", {n: s / 2 for n, s in before.columns.items()}))  # type: ignore[union-attr]
    first = ladder_steps(SHORT, SHORT)[0]
    assert ladder_frame(measure_ladder([first, more], sample))["ratio"].tolist() == pytest.approx([1, 0.5])


def test_codes_are_measured_at_an_error_and_moved_along_the_slope_of_the_bound(sample: Sample) -> None:
    points = rate_points(sample, [2e-4], SHORT, TransformTraining(steps=40))
    assert points["code"].tolist() == list(CODES)
    found = points.set_index("code")
    assert found["mse"].between(1e-4, 4e-4).all()
    assert found["at_target"].iloc[-1] == found["bytes_per_jet"].iloc[-1]
    row = found.loc[CODES[0]]
    assert 2 ** (4 * (row["at_target"] - row["bytes_per_jet"])) == pytest.approx(row["mse"] / 2e-4)
    assert isinstance(points, pd.DataFrame)


def test_without_events_the_event_saves_nothing(sample: Sample) -> None:
    single = sample.train.drop_duplicates("event")
    alone = replace(sample, train=single, test=sample.test.drop_duplicates("event"))
    assert event_saving(alone, 1e-4, replace(SHORT, steps=3)) == 0
    assert event_saving(sample, 1e-4, SHORT) > 0.02
