"""The same network computed in other ways: whole numbers never change, and are those of the codec's own network."""

import numpy as np

from utils.networks import IntegerNetwork
from utils.study import changed_tables


def network(random: np.random.Generator, inputs: int = 40, hidden: int = 16, symbols: int = 30) -> IntegerNetwork:
    shapes = ((hidden, inputs), (hidden,), (symbols, hidden), (symbols,))
    return IntegerNetwork(*(random.integers(-60, 61, shape).astype(np.int32) for shape in shapes))


def test_no_table_of_whole_numbers_changes_with_the_way_it_is_computed() -> None:
    random = np.random.default_rng(0)
    features = random.integers(-400, 401, (40, 1000)).astype(np.float32)
    found = changed_tables(network(random), features)
    assert len(found) == 4
    assert (found["whole numbers"] == 0).all()
    assert found["floats"].between(0, 1).all()
