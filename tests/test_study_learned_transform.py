"""A transform trained for bits: its rate and error, beside those of plain rounding."""

import math

import numpy as np
import pytest

from utils.jets import feature_array, load_sample
from utils.study import TransformTraining, transform_rate


def test_a_transform_comes_to_the_error_that_it_aims_at_and_learns_bits() -> None:
    sample = load_sample(max_jets=3000)
    train, test = (feature_array(table, np.float32) for table in (sample.train, sample.test))
    short, long = (transform_rate(train, test, 1e-3, TransformTraining(steps=n)) for n in (2, 120))
    assert long[1] == pytest.approx(1e-3, rel=0.4)
    slope = math.log2(long[1] / short[1]) / 4
    assert long[0] + slope < short[0]
    assert transform_rate(train, test, 1e-3, TransformTraining(steps=2)) == short
