"""Jets on grids in their events: what stands before each jet, and the recoil that phi is told from."""

import numpy as np
import pandas as pd
import pytest

from utils.codec import Bounds, ErrorBound
from utils.jets import load_sample, make_table
from utils.study import GriddedJets, mirrored


def two_events() -> pd.DataFrame:
    """An event of two jets back to back, and one of three, not in order of pt."""
    jets = np.array(
        [
            [5.0, 100.0, 0.5, 1.0],
            [4.0, 100.0, 0.5 - np.pi, -1.0],
            [3.0, 30.0, 3.0, 0.1],
            [9.0, 200.0, 1.0, 0.2],
            [8.0, 150.0, -2.0, 0.3],
        ]
    )
    m, pt, phi, eta = jets.T
    return make_table(m, pt, phi, eta, np.array([7, 7, 9, 9, 9]))


def test_what_stands_before_a_jet_is_of_its_event_alone() -> None:
    jets = GriddedJets.of(two_events())
    assert jets.rank.tolist() == [0, 1, 0, 1, 2]
    assert jets.left.tolist() == [2, 1, 3, 2, 1]
    pt = jets.values["pt"].round(-1)
    assert jets.earlier(pt).tolist() == [0, 100, 0, 200, 150]
    assert jets.earlier(pt, 2, -1).tolist() == [-1, -1, -1, -1, 200]
    assert jets.leading(pt, 0).tolist() == [0, 100, 0, 200, 200]
    assert jets.sum_before(pt).tolist() == [0, 100, 0, 200, 350]
    assert (jets.drop >= 0).all()
    assert jets.drop[[0, 2]].tolist() == [0, 0]


def test_the_recoil_is_minus_the_vector_sum_of_the_jets_before() -> None:
    jets = GriddedJets.of(two_events())
    size, azimuth = jets.recoil
    assert size[[0, 2]].tolist() == [0, 0]
    assert size[1] == pytest.approx(100, rel=0.01)
    assert azimuth[1] == pytest.approx(0.5 - np.pi, abs=0.01)
    assert abs(jets.phi_from_recoil[1]) <= 1
    back = (jets.phi_from_recoil + jets.recoil_level) % jets.phi_grid.count
    assert back.tolist() == jets.integers["phi"].tolist()


def test_without_events_each_jet_stands_alone_and_exact_bounds_have_no_grid() -> None:
    jets = GriddedJets.of(two_events(), events=False)
    assert jets.rank.tolist() == [0] * 5
    assert not jets.recoil_level.any()
    with pytest.raises(ValueError, match="pt: an exact bound has no grid"):
        GriddedJets.of(two_events(), Bounds(pt=ErrorBound()))


def test_mirrored_jets_are_four_tables_of_as_many_jets() -> None:
    table = load_sample(max_jets=500).test
    tables = mirrored(table)
    assert [len(one) for one in tables] == [len(table)] * 4
    assert tables[0]["eta"].tolist() == table["eta"].tolist()
    assert {(one["eta"].iloc[0], one["phi"].iloc[0]) for one in tables} == {
        (x * table["eta"].iloc[0], y * table["phi"].iloc[0]) for x in (1, -1) for y in (1, -1)
    }
    assert all(one["pt"].tolist() == table["pt"].tolist() for one in tables)
