"""Bounds: what they allow, how they are read, and rounding inside them."""

import math

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra.numpy import arrays, from_dtype

from utils.trees import SENTINELS, Bound, Errors, rounded

BOUNDS = [
    Bound.parse(text) for text in ("1%", "0.005", "1%,0.01", "0.3%,5", "bits=1", "bits=7", "60%", "1e-6", "1e-9%")
]


@pytest.mark.parametrize(
    ("text", "relative", "absolute"),
    [
        ("1%", 0.01, 0),
        ("10 MeV", 0, 0.01),
        ("1%,10MeV", 0.01, 0.01),
        ("0.5GeV, 2%", 0.02, 0.5),
        ("0.005", 0, 0.005),
        ("5mrad", 0, 0.005),
        ("1e-3", 0, 0.001),
    ],
)
def test_a_bound_has_a_relative_part_an_absolute_part_or_both(text: str, relative: float, absolute: float) -> None:
    bound = Bound.parse(text, lambda: "GeV")
    assert (bound.kind, bound.relative, bound.absolute) == ("bound", pytest.approx(relative), pytest.approx(absolute))


def test_a_unit_of_energy_is_turned_into_that_of_the_file() -> None:
    assert Bound.parse("10MeV", lambda: "MeV").absolute == pytest.approx(10)
    assert Bound.parse("1GeV", lambda: "MeV").absolute == pytest.approx(1000)
    with pytest.raises(ValueError, match="unit"):
        Bound.parse("10MeV")


def test_no_error_at_all_is_exact() -> None:
    assert Bound.parse("0").kind == Bound.parse("0%").kind == "exact"
    assert [Bound.parse(text).kind for text in ("exact", "stored", "drop", "bits=10")] == [
        "exact",
        "stored",
        "drop",
        "bits",
    ]


@pytest.mark.parametrize(
    "text", ["", "much", "1%,2%", "5 apples", "-1%", "100%", "inf", "nan", "bits=0", "bits=60", "1,2"]
)
def test_what_is_no_bound_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected|needs"):
        Bound.parse(text, lambda: "GeV")


@given(
    values=st.sampled_from([np.float32, np.float64]).flatmap(
        lambda kind: arrays(kind, st.integers(0, 60), elements=from_dtype(np.dtype(kind)))
    ),
    bound=st.sampled_from(BOUNDS),
)
@settings(max_examples=200)
def test_every_value_stays_within_its_bound_and_none_loses_what_it_means(values: np.ndarray, bound: Bound) -> None:
    found = rounded(values, bound)
    assert found.dtype == values.dtype
    finite = np.isfinite(values)
    wide, new = values[finite].astype(float), found[finite].astype(float)
    assert np.all(np.abs(new - wide) <= bound.at(wide))
    assert values[~finite].tobytes() == found[~finite].tobytes()
    assert np.array_equal(np.signbit(values[finite]), np.signbit(found[finite]))
    assert Errors().add(values, found, bound)


@pytest.mark.parametrize("bound", BOUNDS, ids=str)
def test_sentinels_zeros_and_the_circle_survive(bound: Bound) -> None:
    special = np.array([*SENTINELS, 0, -0.0, np.nan, np.inf, -np.inf], np.float32)
    assert rounded(special, bound).tobytes() == special.tobytes()
    angles = np.linspace(-math.pi, math.pi, 1001, dtype=np.float32)
    assert np.all(np.abs(rounded(angles, bound)) <= np.abs(angles).max())


@pytest.mark.parametrize("bound", BOUNDS, ids=str)
def test_order_is_kept_and_what_is_equal_stays_equal(bound: Bound) -> None:
    rng = np.random.default_rng(1)
    values = np.sort(rng.exponential(50, 2000).astype(np.float32))
    found = rounded(values, bound)
    assert np.all(np.diff(found) >= 0)
    again = rounded(found, bound)
    assert np.array_equal(again, found)


def test_rounding_leaves_few_bits_of_the_mantissa() -> None:
    values = np.random.default_rng(0).exponential(50, 1000).astype(np.float32)
    bits = rounded(values, Bound.parse("1%")).view(np.uint32)
    assert np.all(bits & ((1 << 17) - 1) == 0)
    steps = rounded(values, Bound.parse("0.005")) / 2.0**-7
    assert np.array_equal(steps, np.rint(steps))


def test_errors_tell_the_largest_the_typical_and_the_share_of_the_bound() -> None:
    errors, bound = Errors(), Bound.parse("0.1")
    assert errors.add(np.array([1.0, 2.0]), np.array([1.05, 2.0]), bound)
    assert not errors.add(np.array([1.0, 2.0]), np.array([1.0, 2.2]), bound)
    assert (errors.values, errors.changed) == (4, 2)
    assert errors.largest == pytest.approx(0.2)
    assert errors.share == pytest.approx(2)
    assert errors.typical == pytest.approx(math.sqrt((0.05**2 + 0.2**2) / 4))


@pytest.mark.parametrize("pair", [(np.nan, 1.0), (1.0, np.inf), (-999.0, -999.5)])
def test_what_stands_for_no_value_may_not_change(pair: tuple[float, float]) -> None:
    before, after = (np.array([value], np.float32) for value in pair)
    assert not Errors().add(before, after, Bound.parse("50%"))
