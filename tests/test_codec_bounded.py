"""The relations that save space, and the corrections of a prediction: found where they hold, and small."""

from pathlib import Path

import numpy as np
import pytest

from utils.codec import BoundedScheme, Bounds, CircularGrid, ErrorBound, compress, read_compressed
from utils.jets import FEATURES, make_table

BOUNDS = Bounds(ErrorBound(0.01, 1e-4), ErrorBound(0.01), ErrorBound(absolute=0.01), ErrorBound(absolute=0.01))


def columns(jets: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    pt = rng.uniform(20, 400, jets)
    values = (pt / 10, pt, rng.uniform(-np.pi, np.pi, jets), rng.normal(0, 2, jets))
    return {name: column.astype(np.float32) for name, column in zip(FEATURES, values, strict=True)}


@pytest.mark.parametrize(("power", "slope"), [(0.5, 8), (1, 16), (2, 32)])
def test_the_slope_is_the_power_of_pt_with_which_the_mass_grows(power: float, slope: int) -> None:
    """Integers of equal relative steps count logarithms: those of m grow `power` times as fast as those of pt."""
    jets = columns(4000)
    noise = np.random.default_rng(1).lognormal(0, 0.05, 4000)
    jets["m"] = (0.05 * jets["pt"].astype(float) ** power * noise).astype(np.float32)
    fitted = BoundedScheme.of(BOUNDS).fitted(jets, np.ones(4000, np.int64))
    assert fitted.mass_slope == slope
    assert not fitted.pt_drops


def test_equal_pt_in_an_event_counts_as_falling() -> None:
    jets = columns(400)
    jets["pt"] = np.repeat(jets["pt"][::4], 4)
    assert BoundedScheme.of(BOUNDS).fitted(jets, np.full(100, 4)).pt_drops
    jets["pt"] = jets["pt"] * np.tile([1, 1.1, 1.2, 1.3], 100).astype(np.float32)
    assert not BoundedScheme.of(BOUNDS).fitted(jets, np.full(100, 4)).pt_drops


def test_events_of_one_jet_have_nothing_that_falls() -> None:
    jets = columns(300)
    jets["pt"] = np.sort(jets["pt"])[::-1].copy()
    assert not BoundedScheme.of(BOUNDS).fitted(jets, np.ones(300, np.int64)).pt_drops


@pytest.mark.parametrize("step", [0.01, 0.0101])
def test_corrections_of_phi_go_the_shorter_way_round(step: float) -> None:
    """With an even and with an odd number of levels: a prediction on the other side of pi is off by a level or two."""
    scheme = BoundedScheme.of(Bounds(phi=ErrorBound(absolute=step)))
    grid = scheme.grids["phi"]
    assert isinstance(grid, CircularGrid)
    true = columns(500)
    true["phi"] = np.linspace(3.12, 3.16, 500).astype(np.float32)
    true["phi"] -= np.where(true["phi"] > np.pi, 2 * np.pi, 0).astype(np.float32)
    predicted = {name: values.astype(np.float64) for name, values in true.items()}
    predicted["phi"] = (predicted["phi"] + 0.03 * np.sin(np.arange(500)) + np.pi) % (2 * np.pi) - np.pi
    counts = np.full(100, 5)
    arrays, decoded = scheme.encode(true, counts, predicted)
    assert np.abs(arrays["phi"][0]).max() <= 0.03 / step
    stored = {name: values for name, (values, _) in arrays.items()}
    for name, found in scheme.decode(stored, counts, predicted).items():
        np.testing.assert_array_equal(found, decoded[name])


def test_the_right_prediction_leaves_no_correction_and_no_value_to_be_kept_exactly() -> None:
    true = columns(2000)
    scheme = BoundedScheme.of(BOUNDS)
    _, levels = scheme.encode(true, np.full(400, 5))
    predicted = {name: values.astype(np.float64) for name, values in levels.items()}
    arrays, _ = scheme.encode(levels, np.full(400, 5), predicted)
    assert set(arrays) == set(FEATURES)
    for values, _ in arrays.values():
        assert not values.any()


def test_a_prediction_at_the_border_of_a_cell_is_not_used() -> None:
    """Another machine might round it to the other side: these values, and no others, are kept exactly."""
    true = columns(100)
    scheme = BoundedScheme.of(BOUNDS)
    predicted = {name: values.astype(np.float64) for name, values in true.items()}
    predicted["eta"][[3, 50]] = np.array([0.5, -7.5]) * scheme.grids["eta"].step  # type: ignore[union-attr]
    predicted["eta"][7] = np.nan
    arrays, decoded = scheme.encode(true, np.full(20, 5), predicted)
    assert arrays["eta_exact_index"][0].tolist() == [3, 7, 50]
    np.testing.assert_array_equal(decoded["eta"][[3, 7, 50]], true["eta"][[3, 7, 50]])


def test_the_ratio_is_that_to_float32_and_the_bytes_are_those_of_the_file(tmp_path: Path) -> None:
    jets = columns(1000)
    path = tmp_path / "jets.zarr.zip"
    report = compress(make_table(**jets), path, bounds=BOUNDS)
    size = path.stat().st_size
    assert report["bytes"] == size
    assert report["bytes_per_jet"] == pytest.approx(size / 1000)
    assert report["ratio"] == pytest.approx(4 * 4 * 1000 / size)
    assert report["exact_values"] == 0
    assert len(read_compressed(path)) == 1000
