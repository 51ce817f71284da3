"""Numbers of jets that can be worked out by hand."""

import awkward as ak
import numpy as np
import pytest

from utils.jets.particles import CHARGED_HADRON, MUON, NEUTRAL_HADRON, PHOTON, ParticleJets
from utils.jets.shapes import correction, jet_columns


def particle(pt: float, phi: float, kind: int, charge: float = 0.0, dxy: float = 0.0, vx: float = 0.0) -> dict:
    """A massless one at eta = 0."""
    place = {"px": pt * np.cos(phi), "py": pt * np.sin(phi), "pz": 0.0, "E": pt}
    return place | {"kind": kind, "charge": charge, "dxy": dxy, "vx": vx, "vy": 0.0}


def columns_of(*jets: list[dict]) -> dict[str, np.ndarray]:
    constituents = ak.Array(list(jets))
    px, py, pz, energy = (ak.to_numpy(ak.sum(constituents[name], axis=1)) for name in ("px", "py", "pz", "E"))
    none = np.zeros(len(jets), int)
    return jet_columns(ParticleJets(none, px, py, pz, energy, none, constituents), radius=0.4)


@pytest.fixture(autouse=True)
def _extra() -> None:
    pytest.importorskip("pythia8mc", reason="the extra simulation is not installed")
    pytest.importorskip("fastjet", reason="the extra simulation is not installed")


def test_a_jet_of_two_equal_particles_across_phi_of_pi() -> None:
    jet = columns_of([particle(50, np.pi - 0.1, CHARGED_HADRON, 1), particle(50, 0.1 - np.pi, PHOTON)])
    raw, mass = 100 * np.cos(0.1), 100 * np.sin(0.1)
    expected = {
        "pt": raw * correction(raw),
        "mass": mass * correction(raw),
        "eta": 0,
        "rawFactor": 1 - 1 / correction(raw),
        "chHEF": 0.5,
        "neEmEF": 0.5,
        "neHEF": 0,
        "nConstituents": 2,
        "chMultiplicity": 1,
        "neMultiplicity": 1,
        "ptD": np.sqrt(0.5),
        "width": 0.1,
        "widthPhi": 0.1,
        "tau1": 0.1 / 0.4,
        "tau2": 0,
        "leadFrac": 0.5,
        "leadR": 0.1,
        "charge": np.sqrt(0.5),
        "C1": 0.25 * 0.2**0.2,
        "N90": 2,
        "centroidR": 0,
        "sumPtTrk": 50,
        "trackWidth": 0.1,
        "leadTrkPt": 50,
        "dxyMax": 0,
        "nSVs": 0,
    }
    assert abs(jet["phi"][0]) == pytest.approx(np.pi)
    assert {name: float(jet[name][0]) for name in expected} == pytest.approx(expected, abs=1e-7)


def test_tracks_count_above_their_thresholds_and_vertices_from_two_of_them() -> None:
    far = {"dxy": -0.7, "vx": 0.5}
    jet = [
        particle(200, 0.0, NEUTRAL_HADRON),
        particle(4, 0.0, CHARGED_HADRON, 1, **far),
        particle(0.8, 0.0, CHARGED_HADRON, -1, **far),
        particle(3, 0.1, MUON, -1, dxy=0.2, vx=0.4),
        particle(0.4, 0.0, CHARGED_HADRON, 1, dxy=3.0, vx=0.4),
        particle(2, 0.0, CHARGED_HADRON, 1),
        particle(2, 0.0, CHARGED_HADRON, 1),
    ]
    columns = columns_of(jet, [particle(30, 0.0, PHOTON)], jet)
    expected = {"sumPtTrk": 11.8, "nTrk500": 5, "nTrk1000": 4, "leadTrkPt": 4, "dxyMax": 0.7, "nSVs": 1, "N90": 1}
    for name, value in expected.items():
        assert columns[name][[0, 2]] == pytest.approx(value), name
        assert columns[name][1] == (1 if name == "N90" else 0), name
    assert columns["trackWidth"][1] == -1
    assert columns["muEF"][0] == pytest.approx(3 / 212.2)
