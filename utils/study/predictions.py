"""Many columns of a jet at one guarantee: coded one by one, by networks from each other, or by latents of all.

All ways store the same integers, those of grids within the bounds of a policy, so that every value comes back within
its bound whatever is predicted; only the bytes differ. What networks code is counted by their frequencies, all else by
PCodec's streams.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
import torch
from torch import nn

from utils import training, trees
from utils.codec import Bins, UniformGrid, grid_of, stacked, symbol_bits, to_integers
from utils.jets import JET_WISE
from utils.machine import torch_threads
from utils.networks import IntegerNetwork
from utils.study.transforms import stream_bytes

INTERVALS = 48
"""Intervals of a column, as the codec has them."""

ESCAPE_BITS = 64
"""What an integer outside the intervals is taken to cost, as in the codec."""

Integers = Mapping[str, np.ndarray]
"""Integers of jets by column, int64 (jets,)."""


def gridded_columns(table: pd.DataFrame, policy: trees.Policy) -> dict[str, np.ndarray]:
    """The integers of a jet's columns under a policy for the branches `Jet_*`; those of floats on grids of bounds."""
    found = {}
    for column in JET_WISE:
        values, rule = table[column.name].to_numpy(), policy.first(f"Jet_{column.name}")
        if values.dtype.kind == "f":
            if rule is None:
                raise ValueError(f"Jet_{column.name}: no rule of {policy.name} has a bound")
            bound = trees.Bound.parse(rule.bound, lambda: "GeV")
            relative = bound.relative > 0
            grid = grid_of(bound.relative, bound.absolute) if relative else UniformGrid(2 * bound.absolute)
            values = to_integers(grid, values)
        found[column.name] = values.astype(np.int64)
    return found


def of_jets(integers: Integers, which: np.ndarray) -> dict[str, np.ndarray]:
    """The integers of some of the jets."""
    return {name: values[which] for name, values in integers.items()}


def alone_bytes(integers: Integers) -> pd.Series:
    """Bytes a jet of each column by itself, as PCodec's stream."""
    return pd.Series({name: stream_bytes(values) / len(values) for name, values in integers.items()})


@dataclass(frozen=True)
class ColumnNetworks:
    """A network of integers for each column, which sees the columns before it, and the intervals of all columns."""

    bins: dict[str, Bins]
    networks: dict[str, IntegerNetwork]

    @staticmethod
    def fit(integers: Integers, hidden: int, steps: int, seed: int = 0) -> "ColumnNetworks":
        """Train networks with `hidden` units on the jets given."""
        bins = {name: Bins.fit(values, INTERVALS) for name, values in integers.items()}
        fitted = training.fit_networks(
            np.concatenate([bins[name].features(values) for name, values in integers.items()]),
            np.cumsum([0, *(one.inputs for one in bins.values())])[:-1].tolist(),
            [bins[name].split(values)[0] for name, values in integers.items()],
            [len(one) for one in bins.values()],
            hidden,
            training.ConditionalTraining(steps=steps, seed=seed),
        )
        return ColumnNetworks(bins, dict(zip(bins, fitted, strict=True)))

    @property
    def weights(self) -> int:
        """Weights and biases of all of them, each about a byte."""
        return sum(network.weights for network in self.networks.values())

    def bytes_of(self, integers: Integers) -> pd.Series:
        """Bytes a jet of each column of some jets, without the weights."""
        features = [self.bins[name].features(values) for name, values in integers.items()]
        return pd.Series(
            {
                name: self._bits(name, values, features[:number]) / 8 / len(values)
                for number, (name, values) in enumerate(integers.items())
            }
        )

    def _bits(self, name: str, values: np.ndarray, features: Sequence[np.ndarray]) -> float:
        bins = self.bins[name]
        symbols, _ = bins.split(values)
        bits = symbol_bits(self.networks[name], stacked(features, len(symbols)), symbols)
        bits += np.log2(bins.widths_of(symbols)).sum()
        return float(bits) + ESCAPE_BITS * np.count_nonzero(symbols == len(bins))

    def use_of_columns(self, integers: Integers, seed: int = 0) -> pd.DataFrame:
        """Bits a jet by which each column (a row) takes more when another (a column) is shuffled among the jets.

        What a network does not see, because it comes later, is NaN.
        """
        random, names = np.random.default_rng(seed), list(integers)
        features = [self.bins[name].features(values) for name, values in integers.items()]
        jets = len(next(iter(integers.values())))
        shuffled = [feature[:, random.permutation(jets)] for feature in features]
        found = pd.DataFrame(np.nan, index=names, columns=names)
        for row, name in enumerate(names):
            known = self._bits(name, integers[name], features[:row])
            for column in range(row):
                seen = [*features[:column], shuffled[column], *features[column + 1 : row]]
                found.iloc[row, column] = (self._bits(name, integers[name], seen) - known) / jets
        return found


def latent_bytes(train: Integers, test: Integers, latents: int, steps: int, seed: int = 0) -> dict[str, float]:
    """Bytes a jet of an autoencoder's rounded latents, and of the corrections that bring every value within its bound.

    The step of the latents is the one that takes fewest bytes in all. A column whose corrections take more than the
    column itself is stored as itself. `outside` is the share of values that the latents alone leave outside the bounds.
    """
    names = list(train)
    fit, jets = (np.stack([one[name] for name in names], 1).astype(np.float64) for one in (train, test))
    mean, spread = fit.mean(0), np.maximum(fit.std(0), 1e-9)
    encoder, decoder = _train_autoencoder((fit - mean) / spread, latents, steps, seed)
    codes, center = encoder((jets - mean) / spread), encoder((fit - mean) / spread)
    turn = np.linalg.svd(np.cov((center - center.mean(0)).T).reshape(latents, latents))[0]
    codes = (codes - center.mean(0)) @ turn
    alone = alone_bytes(test)
    best: dict[str, float] = {}
    for step in codes.std() / 2.0 ** np.arange(1, 6):
        rounded = np.rint(codes / step)
        decoded = decoder(rounded * step @ turn.T + center.mean(0)) * spread + mean
        left = dict(zip(names, (jets - np.rint(decoded)).astype(np.int64).T, strict=True))
        coded = sum(stream_bytes(column) for column in rounded.T) / len(jets)
        corrections = float(np.minimum(alone_bytes(left), alone).sum())
        if not best or coded + corrections < best["bytes"]:
            outside = float(np.mean([np.mean(column != 0) for column in left.values()]))
            best = {"bytes": coded + corrections, "latents": coded, "corrections": corrections, "outside": outside}
    return best


def _train_autoencoder(values: np.ndarray, latents: int, steps: int, seed: int) -> tuple:
    """Encoder and decoder of standardized columns, as functions of arrays."""
    columns, width = values.shape[1], 128
    with torch_threads(1), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        data = torch.tensor(values, dtype=torch.float32)
        sizes = [columns, width, width, latents, width, width, columns]
        layers = [nn.Linear(before, after) for before, after in pairwise(sizes)]
        encoder = nn.Sequential(layers[0], nn.GELU(), layers[1], nn.GELU(), layers[2])
        decoder = nn.Sequential(layers[3], nn.GELU(), layers[4], nn.GELU(), layers[5])
        model = nn.Sequential(encoder, decoder)
        optimizer = torch.optim.AdamW(model.parameters(), 4e-3, weight_decay=1e-4)
        rates = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps)
        for _ in range(steps):
            batch = data[torch.randint(len(data), (512,))]
            optimizer.zero_grad(set_to_none=True)
            nn.functional.mse_loss(model(batch), batch).backward()
            optimizer.step()
            rates.step()

    def run(part: nn.Module, array: np.ndarray) -> np.ndarray:
        with torch_threads(1), torch.inference_mode():
            return part(torch.tensor(array, dtype=torch.float32)).double().numpy()

    return (lambda array: run(encoder, array)), (lambda array: run(decoder, array))


def foreign_bytes(
    train: Integers, test: Integers, hidden: int, steps: int, by: str = "pt", seed: int = 0
) -> dict[str, float]:
    """Bytes a jet of the test jets above the median of a column, without the weights.

    One by one; by networks fitted to jets of their kind; by those of jets below the median, which are of another kind;
    and by these where a column does not take more than by itself.
    """
    middle = np.median(train[by])
    own, other = (of_jets(train, which) for which in (train[by] > middle, train[by] <= middle))
    jets = of_jets(test, test[by] > middle)
    alone = alone_bytes(jets)
    mine, foreign = (ColumnNetworks.fit(fit, hidden, steps, seed).bytes_of(jets) for fit in (own, other))
    sizes = {"one by one": alone, "own networks": mine, "foreign networks": foreign}
    sizes["foreign networks where they pay"] = foreign.clip(upper=alone)
    return {name: float(size.sum()) for name, size in sizes.items()}
