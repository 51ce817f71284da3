"""The zigzag holds four quantities in three numbers, the better the more folds it has."""

import numpy as np
import pytest
import torch

from utils.jets import feature_array, load_sample
from utils.metrics import mean_squared_error
from utils.networks import CustomNormalization, PCABaseline, Zigzag


@pytest.fixture(scope="module")
def rectangle() -> np.ndarray:
    """Jets spread evenly over 1 in pt and 0.2 in m."""
    m, pt, phi, eta = np.random.default_rng(0).uniform([0, 0, -1, -1], [0.2, 1, 1, 1], (40_000, 4)).T
    return np.column_stack([m, pt, phi, eta])


@pytest.mark.parametrize("folds", [4, 10, 50])
def test_the_error_is_that_of_the_middle_of_a_stripe(rectangle, folds):
    code = Zigzag(folds).fit(rectangle)
    decoded = code.decode(code.encode(rectangle))
    assert np.mean((decoded - rectangle)[:, 1] ** 2) == pytest.approx(1 / folds**2 / 12, rel=0.2)
    assert np.mean((decoded - rectangle)[:, 0] ** 2) < 1e-6
    np.testing.assert_allclose(decoded[:, 2:], rectangle[:, 2:], atol=1e-6)


def test_codes_lie_between_the_ends_of_the_line_and_neighbours_on_it_are_neighbours(rectangle):
    codes = Zigzag(6).fit(rectangle).encode(rectangle)
    assert codes.dtype == np.float32
    assert codes.shape == (len(rectangle), 3)
    assert -1 <= codes[:, 0].min() < -0.99
    assert 0.99 < codes[:, 0].max() <= 1
    line = np.column_stack([np.linspace(-1, 1, 20_001), np.zeros(20_001), np.zeros(20_001)])
    steps = np.abs(np.diff(Zigzag(6).fit(rectangle).decode(line), axis=0))
    assert steps[:, 0].max() < 1e-3  # across the stripes the line has no jump; along it moves on by one of six
    assert steps[:, 1].max() < 0.2


def test_a_jet_has_the_same_code_whatever_comes_with_it(rectangle):
    code = Zigzag(7).fit(rectangle)
    np.testing.assert_array_equal(code.encode(rectangle)[:50], code.encode(rectangle[:50]))


def test_jets_beyond_the_edges_go_onto_them(rectangle):
    code = Zigzag(3).fit(rectangle)
    far = np.array([[9.0, 0.5, 0.1, 0.2], [-9.0, 0.5, 0.1, 0.2], [0.1, 9.0, 0.1, 0.2], [0.1, -9.0, 0.1, 0.2]])
    assert np.abs(code.encode(far)[:, 0]).max() <= 1
    decoded = code.decode(code.encode(far))
    assert (decoded[:, :2] > -0.1).all()
    assert (decoded[:, :2] < 1.2).all()


@pytest.mark.parametrize("folds", [5, 14, 1000])
def test_jets_at_the_end_of_their_stripe_come_back_to_it(rectangle, folds):
    """All of one mass, they lie at an edge, where one stripe goes over into the next."""
    massless = rectangle * [0, 1, 1, 1]
    code = Zigzag(folds).fit(massless)
    decoded = code.decode(code.encode(massless))
    assert np.mean((decoded - massless)[:, 1] ** 2) == pytest.approx(1 / folds**2 / 12, rel=0.2)


def test_the_same_jet_over_and_over_can_be_fitted():
    same = np.tile([[0.3, 0.5, 0.1, 0.2]], (30, 1))
    code = Zigzag(5).fit(same)
    np.testing.assert_allclose(code.decode(code.encode(same)), same, atol=1e-5)


@pytest.mark.parametrize("jets", [np.ones((1, 4)), np.array([[np.nan, 1, 1, 1], [0, 1, 1, 1]])])
def test_what_has_no_plane_is_refused(jets):
    with pytest.raises(ValueError, match="two or more jets with finite m and pt"):
        Zigzag(5).fit(jets)


def test_on_real_jets_twelve_folds_beat_pca_and_a_hundred_are_far_better():
    sample = load_sample()
    train, test = (CustomNormalization().normalize(feature_array(table)) for table in (sample.train, sample.test))
    twelve, hundred = (
        mean_squared_error(test, code.decode(code.encode(test))) for code in (Zigzag(n).fit(train) for n in (12, 100))
    )
    with torch.no_grad():
        pca = PCABaseline(3).fit(train)(torch.as_tensor(test, dtype=torch.float32)).numpy()
    assert twelve < 0.3 * mean_squared_error(test, pca)
    assert hundred < 0.04 * twelve


@pytest.mark.parametrize("folds", [0, 200_000])
def test_no_fold_and_more_than_float32_can_tell_are_refused(folds):
    with pytest.raises(ValueError, match=f"1 to 100,000 folds, found {folds}"):
        Zigzag(folds)


@pytest.fixture(scope="module")
def wedge() -> np.ndarray:
    """Jets whose density falls with pt, and whose masses spread the wider the larger pt is."""
    rng = np.random.default_rng(1)
    pt = rng.beta(1, 4, 50_000)
    return np.column_stack([rng.uniform(0, 0.1, 50_000) * (0.2 + pt), pt, *rng.uniform(-1, 1, (2, 50_000))])


def test_stripes_are_narrower_where_jets_are_denser_by_the_cube_root(wedge):
    """A stripe of n jets and width w has the density n / w: w^2 n is the same for all."""
    folds = 12
    stripe = np.floor((Zigzag(folds).fit(wedge).encode(wedge)[:, 0] + 1) / 2 * folds)
    inner = [wedge[stripe == i, 1] for i in range(1, folds - 2)]
    products = np.array([np.ptp(pt) ** 2 * len(pt) for pt in inner])
    assert np.ptp(inner[-1]) > 1.5 * np.ptp(inner[0])
    np.testing.assert_allclose(products / products.mean(), 1, atol=0.15)


def test_the_other_way_round_stripes_are_the_same_in_reverse(wedge):
    folds = 12
    code, mirrored = Zigzag(folds).fit(wedge), Zigzag(folds).fit(wedge * [-1, -1, 1, 1])
    np.testing.assert_allclose(mirrored.stripes, folds - code.stripes[::-1], atol=1e-3)
    np.testing.assert_allclose(mirrored.along, -code.along[::-1], atol=1e-12)
    np.testing.assert_allclose(mirrored.high - mirrored.low, (code.high - code.low)[::-1], atol=1e-9)


def test_stripes_and_edges_are_those_of_a_histogram_and_of_the_jets_in_nine_bins(wedge):
    code = Zigzag(5).fit(wedge)
    values, vectors = np.linalg.eigh(np.cov(wedge[:, 0], wedge[:, 1]))
    long = vectors[:, np.argmax(values)] * np.sign(vectors[1, np.argmax(values)])
    plane = wedge[:, :2] - wedge[:, :2].mean(axis=0)
    along = plane @ long
    counts, borders = np.histogram(along, 100)
    smooth = [counts[max(0, i - 4) : i + 5].sum() for i in range(100)]
    expected = np.cumsum(np.cbrt(smooth))
    np.testing.assert_allclose(code.along, borders, atol=1e-12)
    np.testing.assert_allclose(code.stripes[1:], 5 * expected / expected[-1], rtol=1e-3)
    across = plane @ code.axes[:, 0]
    for i in range(10, 60, 7):
        near = np.abs(along - borders[i]) <= 4.5 * (borders[1] - borders[0])
        assert (code.low[i], code.high[i]) == pytest.approx((across[near].min(), across[near].max()), abs=1e-12)


def test_the_line_begins_at_low_pt_and_ends_at_high_pt(wedge):
    codes = Zigzag(9).fit(wedge).encode(wedge[np.argsort(wedge[:, 1])])[:, 0]
    assert codes[:100].max() < -1 + 2 / 9 + 1e-6
    assert codes[-100:].min() > 1 - 4 / 9
