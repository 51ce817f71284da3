"""Every normalization can be undone, is fitted on the jets it is given alone, and says which jets it can't take."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from utils.jets import JetError
from utils.networks import (
    NORMALIZATIONS,
    CustomNormalization,
    NoNormalization,
    Normalization,
    StandardNormalization,
    closure,
)

JETS = np.array(
    [
        [0.0, 20.00007, 3.1415, -4.78],
        [-4.5e-5, 25.0, -3.1415, 0.0],
        [1e-7, 30.0, 0.0, 1e-6],
        [5.7, 27.2, 0.001, 1.16],
        [250.0, 4000.0, -1.2, 2.3],
    ]
)


@pytest.mark.parametrize("kind", NORMALIZATIONS)
def test_inverse_closes_for_massless_and_negative_masses(kind: str) -> None:
    norm = NORMALIZATIONS[kind].fit(JETS)
    assert max(closure(norm, JETS).values()) < 1e-9
    back = norm.unnormalize(norm.normalize(JETS))
    np.testing.assert_allclose(back, JETS, rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize("kind", NORMALIZATIONS)
def test_torch_gives_what_numpy_gives(kind: str) -> None:
    norm = NORMALIZATIONS[kind].fit(JETS)
    values = norm.normalize(torch.tensor(JETS))
    np.testing.assert_allclose(values.numpy(), norm.normalize(JETS), rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(norm.unnormalize(values).numpy(), JETS, rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize("kind", NORMALIZATIONS)
def test_description_survives_json(kind: str) -> None:
    norm = NORMALIZATIONS[kind].fit(JETS)
    assert Normalization.from_dict(json.loads(json.dumps(norm.to_dict()))) == norm


def test_custom_normalization_is_the_published_formula() -> None:
    values = CustomNormalization().normalize(np.array([[9.0, 1000.0, 1.5, -2.5]]))
    np.testing.assert_allclose(values, [[1 / 1.8, 1.7 / 1.2, 0.5, -0.5]], rtol=1e-15)


def test_standard_normalization_takes_moments_of_the_jets_it_is_fitted_to() -> None:
    values = StandardNormalization().fit(JETS).normalize(JETS)
    np.testing.assert_allclose(values.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(values.std(axis=0), 1, rtol=1e-12)


def test_fitting_leaves_the_original_as_it_was() -> None:
    norm = StandardNormalization()
    norm.fit(JETS)
    with pytest.raises(ValueError, match="must be fitted first"):
        norm.normalize(JETS)


def test_a_column_that_does_not_vary_has_no_standard_normalization() -> None:
    with pytest.raises(JetError, match="eta does not vary"):
        StandardNormalization().fit(np.column_stack([JETS[:, :3], np.ones(len(JETS))]))


@pytest.mark.parametrize(
    ("column", "value", "name"),
    [(0, -1.0, "m > -1"), (0, -7.0, "m > -1"), (1, 0.0, "pt > 0"), (1, -5.0, "pt > 0"), (1, np.nan, "pt > 0")],
)
def test_jets_outside_the_domain_are_named_by_row(column: int, value: float, name: str) -> None:
    jets = JETS.copy()
    jets[3, column] = value
    with pytest.raises(JetError, match=rf"needs {name} GeV; 1 of 5 jets have not: rows 3 \({value:g}\)"):
        CustomNormalization().normalize(jets)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "magic"}, "unknown normalization 'magic'"),
        ({"features": ["pt", "eta", "phi", "m"]}, "expected"),
        ({"scale": [1, 1, 1]}, "scale must be 4 numbers"),
        ({"scale": [1, 1, 0, 1]}, "holds a zero"),
        ({"offset": [0, "a", 0, 0]}, "offset must be 4 numbers"),
    ],
)
def test_a_malformed_description_is_refused(change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Normalization.from_dict(CustomNormalization().to_dict() | change)


def test_changed_numbers_change_the_result() -> None:
    twice = replace(CustomNormalization(), scale=(3.6, 1.2, 3.0, 5.0))
    np.testing.assert_allclose(2 * twice.normalize(JETS)[:, 0], CustomNormalization().normalize(JETS)[:, 0])


def test_of_many_jets_outside_the_domain_five_are_named() -> None:
    jets = np.tile([1.0, -2.0, 0.0, 0.0], (9, 1))
    with pytest.raises(JetError, match=r"9 of 9 jets have not: rows 0 \(-2\), .*, 4 \(-2\), \.\.\.$"):
        CustomNormalization().normalize(jets)


@pytest.mark.parametrize("kind", NORMALIZATIONS)
@pytest.mark.parametrize("shape", [(5, 3), (5, 5), (4,)])
def test_other_than_four_columns_are_refused_both_ways(kind: str, shape: tuple[int, ...]) -> None:
    norm = NORMALIZATIONS[kind].fit(JETS)
    for way in (norm.normalize, norm.unnormalize):
        with pytest.raises(JetError, match=r"expected jets of shape \(jets, 4\), found"):
            way(np.ones(shape))
        with pytest.raises(JetError, match=r"expected jets of shape \(jets, 4\), found"):
            way(torch.ones(shape))


@pytest.mark.parametrize("kind", ["none", "custom"])
def test_fixed_normalizations_do_not_depend_on_the_jets(kind: str) -> None:
    assert NORMALIZATIONS[kind].fit(JETS) == NORMALIZATIONS[kind]


def test_jets_that_are_normalized_later_do_not_move_the_fit() -> None:
    norm = StandardNormalization().fit(JETS[:4])
    alone = norm.normalize(JETS[:4])
    np.testing.assert_array_equal(norm.normalize(JETS)[:4], alone)
    np.testing.assert_allclose(norm.offset, JETS[:4].mean(axis=0))


@pytest.mark.parametrize("description", [None, [1], "custom", {}])
def test_what_is_no_description_is_refused(description: object) -> None:
    with pytest.raises(ValueError, match="normalization"):
        Normalization.from_dict(description)  # type: ignore[arg-type]


def test_a_normalization_without_its_fit_does_not_travel() -> None:
    with pytest.raises(ValueError, match="scale must be 4 numbers, found"):
        Normalization.from_dict(StandardNormalization().to_dict())


@pytest.mark.parametrize("kind", NORMALIZATIONS)
@pytest.mark.parametrize("make", [np.array, torch.tensor])
def test_slopes_are_the_derivatives_of_the_inverse(kind: str, make: Any) -> None:
    norm = NORMALIZATIONS[kind].fit(JETS)
    values, step = norm.normalize(JETS), 1e-6
    expected = (norm.unnormalize(values + step) - norm.unnormalize(values - step)) / (2 * step)
    np.testing.assert_allclose(np.asarray(norm.slopes(make(JETS))), expected, rtol=1e-6)


def test_closure_is_relative_to_the_jet_and_to_one_mev_where_that_is_less() -> None:
    class Shifted(NoNormalization):
        def unnormalize(self, values: Any) -> Any:
            return super().unnormalize(values) + np.array([1e-5, 1e-2, 2e-5, 0])

    jets = np.array([[0.0, 200.0, 2.0, 1.0], [10.0, 100.0, 2.0, 1.0]])
    found = closure(Shifted(), jets)
    assert found == pytest.approx({"m": 1e-2, "pt": 1e-4, "phi": 1e-5, "eta": 0}, rel=1e-6)


def test_a_standard_deviation_far_from_zero_keeps_its_digits() -> None:
    """In float32, the mean of many jets and what is left after its subtraction would lose theirs."""
    jets = np.tile(np.array([[1000.0, 1e4, 3, 5], [1000.01, 1e4 + 0.1, -3, -5]], np.float32), (50_000, 1))
    norm = StandardNormalization().fit(jets)
    np.testing.assert_allclose(norm.offset, jets[:2].mean(axis=0, dtype=np.float64), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(norm.scale, jets[:2].std(axis=0, dtype=np.float64), rtol=1e-9)
