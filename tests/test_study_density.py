"""Densities of jets: probabilities that add up, no look ahead, and the same network from the same arguments."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from utils.jets import Sample, load_sample
from utils.study import Density, GriddedJets, JetDensity, Ranges, density_bits, train_density

TRAINING = Density(hidden=8, memory=4, steps=12, batch_jets=256)


@pytest.fixture(scope="module")
def sample() -> Sample:
    return load_sample(max_jets=1500)


@pytest.fixture(scope="module")
def jets(sample: Sample) -> GriddedJets:
    return GriddedJets.of(sample.test)


@pytest.fixture(scope="module")
def ranges(jets: GriddedJets) -> Ranges:
    return Ranges.of(jets)


@pytest.fixture(scope="module")
def model(jets: GriddedJets, ranges: Ranges) -> JetDensity:
    return train_density(TRAINING, [jets], ranges)


def one_event(jets: GriddedJets, **changes: int) -> GriddedJets:
    """The first event; the integer of a quantity of its last jet replaced."""
    count = int(jets.counts[0])
    integers = {name: values[:count].copy() for name, values in jets.integers.items()}
    values = {name: levels[:count].copy() for name, levels in jets.values.items()}
    for name, integer in changes.items():
        integers[name][-1] = integer
        if name == "eta":
            values[name] = jets.eta_grid.levels(integers[name])
        if name == "phi":
            values[name] = jets.phi_grid.levels(integers[name])
    return replace(jets, integers=integers, values=values, counts=jets.counts[:1])


@pytest.mark.parametrize("quantity", ["eta", "phi"])
def test_the_probabilities_of_all_levels_add_up_to_one(
    jets: GriddedJets, ranges: Ranges, model: JetDensity, quantity: str
) -> None:
    column = ("pt", "eta", "phi", "m").index(quantity)
    low, high = ranges.low[quantity], ranges.high[quantity]
    levels = range(jets.phi_grid.count) if quantity == "phi" else range(low, high + 1)
    bits = [density_bits(model, one_event(jets, **{quantity: level}), ranges)[-1, column] for level in levels]
    assert np.exp2(-np.array(bits, float)).sum() == pytest.approx(1, abs=1e-3)


def test_a_jet_is_told_from_those_before_it_alone(jets: GriddedJets, ranges: Ranges, model: JetDensity) -> None:
    here = density_bits(model, one_event(jets), ranges)
    other = density_bits(model, one_event(jets, eta=ranges.low["eta"], phi=5), ranges)
    assert np.abs(here[:-1] - other[:-1]).max() < 1e-4
    assert here[-1, 0] == pytest.approx(other[-1, 0], abs=1e-4), "pt is told before eta and phi"
    assert np.abs(here[-1, 1:3] - other[-1, 1:3]).max() > 1e-3


def test_training_saves_bits_and_gives_the_same_network_again(
    jets: GriddedJets, ranges: Ranges, model: JetDensity
) -> None:
    before = density_bits(train_density(replace(TRAINING, steps=1), [jets], ranges), jets, ranges)
    after = density_bits(model, jets, ranges)
    assert after.shape == (len(jets), 4)
    assert after.sum(1).mean() < before.sum(1).mean() - 1
    again = train_density(TRAINING, [jets], ranges)
    for name, values in model.state_dict().items():
        assert torch.equal(values, again.state_dict()[name]), name
    assert model.weights == sum(values.numel() for values in model.parameters())


def test_without_a_memory_and_without_events_there_is_a_density_as_well(sample: Sample) -> None:
    alone = GriddedJets.of(sample.test, events=False)
    ranges = Ranges.of(alone)
    found = density_bits(train_density(Density(hidden=4, steps=2, batch_jets=64), [alone], ranges), alone, ranges)
    assert np.isfinite(found).all()
