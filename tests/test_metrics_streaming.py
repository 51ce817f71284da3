"""What a stream of jets says is what all jets at once say, whatever the sign and wherever phi jumps."""

import pickle

import numpy as np
import pytest

from utils.jets import FEATURES, MASSLESS
from utils.metrics import StreamingResolution, residuals, resolution_table

QUANTILE_ERROR = 0.004
"""What the histogram may add to a quantile, as it promises."""


def streamed(name: str, true: np.ndarray, reconstructed: np.ndarray, parts: int = 1) -> StreamingResolution:
    whole = StreamingResolution(name)
    column = FEATURES.index(name)
    pairs = (np.array_split(jets[:, column].astype(np.float32), parts) for jets in (true, reconstructed))
    for x, y in zip(*pairs, strict=True):
        part = StreamingResolution(name)
        part.add(x, y)
        whole.merge(part)
    return whole


@pytest.fixture(scope="module")
def biased() -> tuple[np.ndarray, np.ndarray]:
    """Jets that come out too small in everything, and turned; a tenth of them massless."""
    rng = np.random.default_rng(0)
    jets = 20_000
    true = rng.uniform([1, 20, -np.pi, -2], [50, 200, np.pi, 2], (jets, 4))
    true[::10, 0] = 0
    reconstructed = true * [0.9, 0.8, 1, 1] + rng.normal([0, 0, 0.4, -0.1], [0.1, 1, 0.2, 0.05], true.shape)
    reconstructed[:, 2] = (reconstructed[:, 2] + np.pi) % (2 * np.pi) - np.pi
    return true.astype(np.float32), reconstructed.astype(np.float32)


@pytest.mark.parametrize("name", FEATURES)
def test_a_stream_says_what_all_jets_at_once_say(name, biased):
    expected = resolution_table(*biased).loc[name]
    true, reconstructed = biased
    found = streamed(name, true, reconstructed, parts=3).result()
    assert (found.unit, found.jets, found.masked) == (expected["unit"], expected["jets"], expected["masked"])
    assert found.mean == pytest.approx(expected["mean"], rel=1e-9)
    assert found.max == pytest.approx(expected["max"], rel=1e-9)
    assert found.median == pytest.approx(expected["median"], rel=QUANTILE_ERROR)
    assert found.q99 == pytest.approx(expected["q99"], rel=QUANTILE_ERROR)
    sides = 2 * QUANTILE_ERROR * (abs(expected["median"]) + expected["half_width_68"])
    assert found.half_width_68 == pytest.approx(expected["half_width_68"], abs=sides)


@pytest.mark.parametrize("name", FEATURES)
def test_signed_quantiles_are_those_of_the_residuals(name, biased):
    values = residuals(*biased)[name].dropna()
    probabilities = (0.01, 0.16, 0.5, 0.84, 0.99)
    found = streamed(name, *biased).quantiles(probabilities)
    np.testing.assert_allclose(found, np.quantile(values, probabilities), rtol=QUANTILE_ERROR, atol=1e-4)


def test_the_largest_residual_counts_whatever_its_sign_and_its_chunk():
    true = np.tile([10.0, 100.0, 0.0, 0.0], (3, 1))
    low = true + np.array([[0, 0, 0, 0], [-9, -90, -3, -3], [1, 1, 1, 1]])
    for name, expected in zip(FEATURES, (0.9, 0.9, 3, 3), strict=True):
        for parts in (1, 3):
            assert streamed(name, true, low, parts).result().max == pytest.approx(expected)
    for parts in (1, 3):
        assert streamed("pt", true, low, parts).result().max_absolute == 90
        assert streamed("m", true, low, parts).result().max_absolute == 9


def test_jets_on_both_sides_of_phi_pi_are_neighbours():
    true = np.array([[1.0, 20.0, phi, 0.0] for phi in (3.1, -3.1, 3.0, 0.0)])
    there = np.array([[1.0, 20.0, phi, 0.0] for phi in (-3.1, 3.1, 3.1, 0.0)])
    expected = residuals(true, there)["phi"]
    found = streamed("phi", true, there).result()
    assert found.max == pytest.approx(0.1, abs=1e-6)
    assert found.mean == pytest.approx(expected.mean(), abs=1e-6) == pytest.approx(0.025, abs=1e-6)


def test_a_heavy_negative_mass_counts_and_a_massless_one_of_either_sign_does_not():
    m = np.array([-0.5, -4.5e-5, 0, MASSLESS / 2, 2 * MASSLESS])
    true = np.column_stack([m, m * 0 + 20, m * 0, m * 0])
    found = streamed("m", true, true + np.array([0.1, 0, 0, 0])).result()
    assert (found.jets, found.masked) == (2, 3)
    assert found.mean == pytest.approx((-0.2 + 50) / 2, rel=1e-5)
    assert found.max_absolute == pytest.approx(0.1)


def test_a_summary_travels_between_processes_unchanged(biased):
    here = streamed("pt", *biased)
    there = pickle.loads(pickle.dumps(here))
    assert there.result() == here.result()
    np.testing.assert_array_equal(there.histogram, here.histogram)


def test_nothing_streamed_has_no_resolution():
    assert StreamingResolution("eta").result().to_dict() == {"unit": "", "jets": 0, "masked": 0}
