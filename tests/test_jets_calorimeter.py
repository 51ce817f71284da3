"""Towers, pile-up, clustering and the trigger, on events made by hand: no generator is needed."""

from typing import Any

import numpy as np
import pytest

from utils.jets import MASSLESS, CalorimeterRegion, SimulationSettings
from utils.jets.calorimeter import (
    PHI_TOWERS,
    Calorimeter,
    TowerLists,
    cluster_jets,
    concatenate_towers,
    fine_tower,
    make_calorimeter,
    overlay_pileup,
)

SETTINGS = SimulationSettings()


@pytest.fixture(scope="module")
def calorimeter() -> Calorimeter:
    return make_calorimeter(SETTINGS)


def towers(*events: dict[int, float]) -> TowerLists:
    """Events as {fine tower: energy}."""
    one = [
        TowerLists(
            np.array([0, len(event)]), np.array(list(event), np.int32), np.array(list(event.values()), np.float32)
        )
        for event in events
    ]
    return concatenate_towers(one)


def tower_at(eta: float, phi: float) -> int:
    return int(fine_tower(np.array([eta]), np.array([phi]), 4.9)[0])


def test_towers_of_several_lists_stand_one_event_after_the_other() -> None:
    joined = concatenate_towers([towers({5: 1.0, 6: 2.0}, {}), towers({7: 3.0})])
    assert joined.starts.tolist() == [0, 2, 2, 3]
    assert joined.towers.tolist() == [5, 6, 7]
    assert joined.energies.tolist() == [1, 2, 3]


def test_the_level_of_a_ring_is_taken_off_and_what_stands_out_of_it_is_left(calorimeter: Calorimeter) -> None:
    first = tower_at(0.35, -np.pi)
    ring = {first + column: 0.5 for column in range(PHI_TOWERS)}
    hot, far = first + 10, tower_at(-1.75, 1.0)
    event = towers(ring | {hot: 10.5, far: 4.0})
    energy = overlay_pileup(event, towers(), [np.random.default_rng(0)], SETTINGS, calorimeter)[0]
    offset = SETTINGS.tower_offset
    expected = np.zeros(len(energy))
    expected[calorimeter.tower_of[[hot, far]]] = 10, 4
    np.testing.assert_allclose(energy, expected - offset, atol=1e-6)


def test_pile_up_keeps_its_energy_and_its_distance_from_the_beam(calorimeter: Calorimeter) -> None:
    settings = SimulationSettings(pileup_mean=6.0, tower_offset=0.0)
    place = tower_at(0.65, 0.3)
    generators = [np.random.default_rng(seed) for seed in range(40)]
    hard = towers(*[{}] * 40)
    energy = overlay_pileup(hard, towers({place: 1.0}), generators, settings, calorimeter)
    overlaid = np.rint(energy.sum(axis=1))
    np.testing.assert_allclose(energy.sum(axis=1), overlaid, atol=1e-6)
    assert overlaid.mean() == pytest.approx(6, abs=4 * np.sqrt(6 / 40))
    hit = np.flatnonzero(energy.sum(axis=0))
    assert np.unique(np.round(calorimeter.eta[hit], 6)).tolist() == [-0.65, 0.65]
    assert len(np.unique(calorimeter.phi[hit])) > 40
    again = overlay_pileup(
        hard, towers({place: 1.0}), [np.random.default_rng(s) for s in range(40)], settings, calorimeter
    )
    np.testing.assert_array_equal(again, energy)


def test_larger_towers_hold_the_energy_of_those_they_join(calorimeter: Calorimeter) -> None:
    place = tower_at(2.55, 0.02)
    energies = {place: 1.0, place + 1: 2.0, place + PHI_TOWERS: 4.0, place + PHI_TOWERS + 1: 8.0}
    energy = overlay_pileup(towers(energies), towers(), [np.random.default_rng(0)], SETTINGS, calorimeter)[0]
    assert energy[calorimeter.tower_of[place]] == pytest.approx(15 - SETTINGS.tower_offset)


def test_regions_have_their_thresholds_and_a_tower_for_every_fine_one() -> None:
    regions = (CalorimeterRegion(1.0, 1, 0.5), CalorimeterRegion(2.0, 2, 3.0))
    calorimeter = make_calorimeter(SimulationSettings(regions=regions))
    assert calorimeter.rings == ((0, 20 * 64, 64), (20 * 64, 20 * 64 + 10 * 32, 32))
    assert sorted(set(calorimeter.tower_of)) == list(range(20 * 64 + 10 * 32))
    np.testing.assert_array_equal(calorimeter.threshold, np.where(np.abs(calorimeter.eta) < 1, 0.5, 3.0))
    assert np.bincount(calorimeter.tower_of).tolist() == [1] * 20 * 64 + [4] * 10 * 32
    assert (calorimeter.eta.min(), calorimeter.eta.max()) == (pytest.approx(-1.9), pytest.approx(1.9))


def cluster(calorimeter: Calorimeter, smearing: Any, *events: dict[int, float]) -> tuple[np.ndarray, ...]:
    pytest.importorskip("pythia8mc", reason="the extra simulation is not installed")
    pytest.importorskip("fastjet", reason="the extra simulation is not installed")
    energy = np.zeros((len(events), len(calorimeter.eta)))
    for row, event in zip(energy, events, strict=True):
        row[calorimeter.tower_of[list(event)]] = list(event.values())
    return cluster_jets(energy, np.arange(len(events)), np.asarray(smearing), SETTINGS, calorimeter)


def test_the_trigger_asks_for_a_central_jet_above_its_threshold_after_smearing(calorimeter: Calorimeter) -> None:
    central, forward = tower_at(0.05, 0.3), tower_at(3.75, 0.3)
    events = [{central: 170.0}, {central: 160.0}, {forward: 300.0}, {central: 150.0}, {central: 180.0}]
    event, _, pt, _, _ = cluster(calorimeter, [1, 1, 1, 1.2, 0.9], *events)
    assert event.tolist() == [0, 3]
    assert pt == pytest.approx([170, 150])


def test_a_passing_event_keeps_its_jets_by_falling_pt_down_to_the_smallest(calorimeter: Calorimeter) -> None:
    places = {
        tower_at(eta, phi): pt
        for eta, phi, pt in ((0.05, 0.3, 50.0), (-3.85, -2, 200.0), (1.15, 2, 180.0), (2, -1, 19.0))
    }
    event, _, pt, phi, eta = cluster(calorimeter, [1.0], places)
    assert event.tolist() == [0, 0, 0]
    assert pt == pytest.approx([200, 180, 50])
    assert phi == pytest.approx([-2, 2, 0.3], abs=0.1)
    assert eta == pytest.approx([-3.85, 1.15, 0.05], abs=0.1)


def test_towers_below_their_threshold_do_not_join_a_jet(calorimeter: Calorimeter) -> None:
    central, beside = tower_at(0.05, 0.3), tower_at(0.15, 0.3)
    _, m, pt, _, _ = cluster(calorimeter, [1, 1], {central: 200.0, beside: 1.1}, {central: 200.0, beside: 1.3})
    assert pt == pytest.approx([200, 201.3], rel=1e-4)
    assert m[0] < MASSLESS < m[1]


def test_massless_jets_have_the_masses_of_either_sign_that_rounding_leaves(calorimeter: Calorimeter) -> None:
    rng = np.random.default_rng(0)
    events = [{tower_at(eta, phi): 200.0} for eta, phi in rng.uniform([-2, -3], [2, 3], (60, 2))]
    _, m, _, _, _ = cluster(calorimeter, np.ones(60), *events)
    assert len(m) == 60
    assert np.all(np.abs(m) < MASSLESS)
    assert (m < 0).any()
    assert (m > 0).any()
