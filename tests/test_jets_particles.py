"""What a detector sees of particles, and the jets that they make."""

from types import SimpleNamespace

import awkward as ak
import numpy as np
import pytest

from utils.jets import ParticleSettings
from utils.jets.particles import (
    CHARGED_HADRON,
    ELECTRON,
    GHOST,
    MUON,
    NEUTRAL_HADRON,
    PHOTON,
    cluster_particles,
    seen_particles,
)

CHARGES = {211: 1.0, -211: -1.0, 11: -1.0, 13: -1.0, 22: 0.0, 130: 0.0, 12: 0.0, 521: 1.0, 411: 1.0}
PYTHIA = SimpleNamespace(particleData=SimpleNamespace(charge=CHARGES.__getitem__))
EXACT = ParticleSettings(
    track_resolution=(0, 0), electromagnetic_resolution=(0, 0), hadronic_resolution=(0, 0), impact_resolution=(0, 0)
)


def event(*particles: tuple[int, float, float], status: int = 1) -> list[dict]:
    """Particles along x in the transverse plane, born 2 mm away along y: PDG number, pt, eta."""
    origin = {"px": 0.0, "py": 2.0, "pz": 0.0, "e": 0.0}
    return [
        {
            "id": number,
            "status": status,
            "p": {"px": pt, "py": 0.0, "pz": pt * np.sinh(eta), "e": pt * np.cosh(eta)},
            "vProd": origin,
        }
        for number, pt, eta in particles
    ]


def seen(events: list[list[dict]], settings: ParticleSettings = EXACT, seed: int = 0) -> ak.Array:
    return seen_particles(ak.Array(events), PYTHIA, np.random.default_rng(seed), settings)


def test_charged_particles_have_tracks_within_the_tracker_alone() -> None:
    numbers = (211, -211, 11, 22, 130)
    central, forward = seen([event(*((number, 10.0, eta) for number in numbers)) for eta in (1.0, 3.0)])
    assert central.kind.tolist() == [CHARGED_HADRON, CHARGED_HADRON, ELECTRON, PHOTON, NEUTRAL_HADRON]
    assert central.charge.tolist() == [1, -1, -1, 0, 0]
    assert forward.kind.tolist() == [NEUTRAL_HADRON, NEUTRAL_HADRON, PHOTON, PHOTON, NEUTRAL_HADRON]
    assert forward.charge.tolist() == [0] * 5
    assert central.px.tolist() == [10] * 5
    assert central.dxy.tolist() == pytest.approx([-0.2] * 5), "2 mm, in cm"


def test_neutrinos_soft_particles_and_those_beyond_the_detector_are_not_seen() -> None:
    hidden = event((12, 10, 0), (211, 0.2, 0), (22, 0.4, 0), (13, 10, 3.0), (130, 10, 5.5))
    there = event((211, 0.4, 0), (22, 0.6, 0), (13, 10, 2.0))
    decayed = event((211, 50, 0), status=-2)
    (found,) = seen([hidden + there + decayed])
    assert found.kind.tolist() == [CHARGED_HADRON, PHOTON, MUON]
    assert seen([[], hidden, there]).kind.tolist()[:2] == [[], []]


def test_heavy_hadrons_are_ghosts_of_no_momentum_above_their_threshold() -> None:
    (found,) = seen([event((521, 6, 0), (411, 6, 0), (521, 4, 0), status=-2)])
    assert found.kind.tolist() == [GHOST, GHOST]
    assert found.flavour.tolist() == [5, 4]
    assert np.max(found.px) < 1e-16


@pytest.mark.parametrize(("number", "width"), [(211, np.hypot(0.01, 0.01)), (22, np.hypot(0.01, 0.01)), (130, 0.1118)])
def test_each_kind_is_smeared_with_its_width(number: int, width: float) -> None:
    (found,) = seen([event(*[(number, 100.0, 0.0)] * 4000)], ParticleSettings())
    assert np.mean(found.px) == pytest.approx(100, rel=0.01)
    assert np.std(found.px) / 100 == pytest.approx(width, rel=0.05)
    assert found.E.tolist() == pytest.approx(found.px.tolist()), "directions stay"


def test_an_event_is_smeared_alike_whatever_follows_it() -> None:
    events = [event((211, 10.0, 0.0), (22, 10.0, 0.0)), event((130, 10.0, 0.0))]
    both, alone = (seen(events[:number], ParticleSettings(), seed=3) for number in (2, 1))
    assert both[:1].tolist() == alone.tolist()


def test_ghosts_give_a_jet_its_flavour_and_are_not_inside() -> None:
    pytest.importorskip("pythia8mc", reason="the extra simulation is not installed")
    pytest.importorskip("fastjet", reason="the extra simulation is not installed")
    beauty = event((211, 30, 0.0), (22, 20, 0.1)) + event((521, 40, 0.0), (411, 20, 0.0), status=-2)
    pair = event((22, 40, -1.0), (211, 25, 1.0)) + event((411, 20, 1.1), status=-2)
    found = cluster_particles(seen([beauty, event((22, 3, 0)), pair]), 10.0, EXACT)
    jets = {round(float(px)): flavour for px, flavour in zip(found.px, found.flavour, strict=True)}
    assert jets == {50: 5, 40: 0, 25: 4}
    assert found.event.tolist() == [0, 2, 2]
    assert ak.num(found.constituents).tolist() == [2, 1, 1]
    assert ak.sum(found.constituents.px, axis=1).tolist() == pytest.approx(found.px.tolist())
