"""Many columns: integers within their bounds, networks and latents for the same integers, which column tells which."""

import numpy as np
import pandas as pd
import pytest

from utils import trees
from utils.jets import JET_WISE, embedded_columns, first_events
from utils.study import (
    SHAPE_RULES,
    ColumnNetworks,
    alone_bytes,
    foreign_bytes,
    gridded_columns,
    latent_bytes,
    of_jets,
)

JETS = 1500


@pytest.fixture(scope="module")
def columns() -> dict[str, np.ndarray]:
    """Two columns that tell each other, and one that tells nothing."""
    random = np.random.default_rng(0)
    first = np.rint(random.normal(0, 20, JETS)).astype(np.int64)
    return {"first": first, "noise": random.integers(0, 30, JETS), "second": first + random.integers(-1, 2, JETS)}


@pytest.fixture(scope="module")
def networks(columns: dict[str, np.ndarray]) -> ColumnNetworks:
    return ColumnNetworks.fit(columns, 8, 250)


def test_the_integers_of_all_columns_are_on_grids_of_their_bounds() -> None:
    table = first_events(embedded_columns(), 300)
    found = gridded_columns(table, trees.load_policy("nanoaod", SHAPE_RULES))
    assert list(found) == [column.name for column in JET_WISE]
    assert {values.dtype for values in found.values()} == {np.dtype(np.int64)}
    assert found["nConstituents"].tolist() == table["nConstituents"].tolist()
    assert np.abs(found["eta"] * 0.01 - table["eta"]).max() <= 0.005
    with pytest.raises(ValueError, match="Jet_ptD: no rule of nanoaod has a bound"):
        gridded_columns(table, trees.load_policy("nanoaod"))


def test_networks_save_what_one_column_says_of_another(
    columns: dict[str, np.ndarray], networks: ColumnNetworks
) -> None:
    sizes, alone = networks.bytes_of(columns), alone_bytes(columns)
    assert sizes["second"] < 0.7 * alone["second"]
    assert sizes["noise"] == pytest.approx(np.log2(30) / 8, rel=0.05)
    assert networks.weights == sum(network.weights for network in networks.networks.values())


def test_shuffling_hurts_where_a_network_looks_and_nowhere_else(
    columns: dict[str, np.ndarray], networks: ColumnNetworks
) -> None:
    use = networks.use_of_columns(columns)
    assert list(use.index) == list(use.columns) == list(columns)
    bits = use.to_numpy()
    assert bits[2, 0] > 1
    assert abs(bits[2, 1]) < 0.2
    assert np.isnan(bits).tolist() == (~np.tril(np.ones((3, 3), bool), -1)).tolist()


def test_latents_and_corrections_hold_the_same_integers(columns: dict[str, np.ndarray]) -> None:
    found = latent_bytes(columns, columns, 2, 150)
    assert found["bytes"] == pytest.approx(found["latents"] + found["corrections"])
    assert 0 < found["outside"] < 1
    assert found["corrections"] <= alone_bytes(columns).sum()
    assert found == latent_bytes(columns, columns, 2, 150)


def test_networks_of_other_jets_take_more_than_their_own(columns: dict[str, np.ndarray]) -> None:
    found = pd.Series(foreign_bytes(columns, columns, 4, 100, by="first"))
    assert found["own networks"] < found["foreign networks"]
    assert found["foreign networks where they pay"] <= min(found["one by one"], found["foreign networks"])
    few = of_jets(columns, np.arange(5))
    assert {len(values) for values in few.values()} == {5}
