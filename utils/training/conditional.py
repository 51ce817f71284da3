"""Training the networks that tell the distribution of each column of a collection from the columns before it.

All are trained at once, as one masked network with hidden units of their own for each column (M. Germain et al.,
arXiv:1502.03509), and become `IntegerNetwork`s. The loop is torch's own.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from utils.machine import torch_threads
from utils.networks import (
    HIDDEN_SHIFT,
    HIDDEN_UNIT,
    INPUT_UNIT,
    LARGEST_HIDDEN,
    LARGEST_WEIGHT,
    LOGIT_STEPS,
    OUTPUT_SHIFT,
    IntegerNetwork,
)

HIDDEN_WEIGHTS = HIDDEN_UNIT * 2**HIDDEN_SHIFT / INPUT_UNIT
"""Whole numbers in a weight of 1 of the hidden layer, and in one of the output."""

OUTPUT_WEIGHTS = LOGIT_STEPS / math.log(2) * 2**OUTPUT_SHIFT / HIDDEN_UNIT

_NEVER = -30.0


@dataclass(frozen=True)
class ConditionalTraining:
    """How long and how fast networks are trained: a number of steps, not a time, so that a run can be repeated."""

    steps: int = 1500
    batch_size: int = 512
    learning_rate: float = 0.04
    seed: int = 0


class ConditionalNetworks(nn.Module):
    """Logits of the symbols of each column from the first `known` of the inputs, as many for each column."""

    def __init__(self, inputs: int, known: Sequence[int], counts: Sequence[np.ndarray], hidden: int):
        super().__init__()
        columns, symbols = len(counts), max(map(len, counts))
        mask = (torch.arange(inputs)[None, :] < torch.tensor(known)[:, None]).float()[:, None, :]
        self.known, self.mask = known, mask
        scale = (1 + mask.sum(2, keepdim=True)).rsqrt()
        self.hidden = nn.Parameter(torch.randn(columns, hidden, inputs) * scale)
        self.hidden_bias = nn.Parameter(0.3 * torch.randn(columns, hidden))
        self.output = nn.Parameter(torch.randn(columns, hidden, symbols) * 0.05 / math.sqrt(hidden))
        bias = torch.full((columns, 1, symbols), _NEVER)
        for column, count in enumerate(counts):
            bias[column, 0, : len(count)] = torch.log(torch.tensor((count + 0.5) / (count + 0.5).sum()))
        self.output_bias = nn.Parameter(bias)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Logits, (columns, jets, symbols), in natural units, for features (jets, inputs)."""
        columns, units, inputs = self.hidden.shape
        weights = (_in_steps(self.hidden, HIDDEN_WEIGHTS) * self.mask).view(columns * units, inputs)
        found = torch.addmm(self.hidden_bias.view(-1), features, weights.T)
        hidden = found.clamp(0, LARGEST_HIDDEN / HIDDEN_UNIT).view(-1, columns, units).transpose(0, 1)
        return torch.baddbmm(self.output_bias, hidden, _in_steps(self.output, OUTPUT_WEIGHTS))

    def networks(self, numbers: Sequence[int]) -> list[IntegerNetwork]:
        """The same in whole numbers, a network for each column."""
        hidden, output = (_whole(w, most) for w, most in ((self.hidden, HIDDEN_WEIGHTS), (self.output, OUTPUT_WEIGHTS)))
        hidden_bias = _whole(self.hidden_bias, HIDDEN_WEIGHTS * INPUT_UNIT, 2**22) + 2 ** (HIDDEN_SHIFT - 1)
        output_bias = _whole(self.output_bias, OUTPUT_WEIGHTS * HIDDEN_UNIT, 2**22)
        return [
            IntegerNetwork(
                hidden[column, :, : self.known[column]],
                hidden_bias[column],
                output[column, :, :number].T,
                output_bias[column, 0, :number],
            )
            for column, number in enumerate(numbers)
        ]


def _in_steps(weights: torch.Tensor, steps: float) -> torch.Tensor:
    """Weights rounded as those of an `IntegerNetwork` are; gradients pass as if they were not."""
    rounded = (weights * steps).round().clamp(-LARGEST_WEIGHT, LARGEST_WEIGHT) / steps
    return weights + (rounded - weights).detach()


def _whole(weights: torch.Tensor, steps: float, most: int = LARGEST_WEIGHT) -> np.ndarray:
    return (weights.detach() * steps).round().clamp(-most, most).numpy().astype(np.int32)


def fit_networks(
    features: np.ndarray,
    known: Sequence[int],
    symbols: Sequence[np.ndarray],
    numbers: Sequence[int],
    hidden: int,
    training: ConditionalTraining | None = None,
) -> list[IntegerNetwork]:
    """A network for each column, with `hidden` units, whose inputs are the first `known` of the features.

    Features (inputs, jets) are whole numbers of which `INPUT_UNIT` are a standard deviation. For each column: how many
    of them are known, symbols (jets,), from 0 on, and their number. Those from this number on are left out. The same
    arguments give the same networks on the same machine.
    """
    training = training or ConditionalTraining()
    inputs = torch.from_numpy(features.T / np.float32(INPUT_UNIT)).contiguous()
    targets = torch.from_numpy(np.stack(symbols, 1).astype(np.int64))  # a jet's lie together, as its inputs do
    targets[targets >= torch.tensor(numbers)] = -100
    counts = [np.bincount(column, minlength=number)[:number] for column, number in zip(symbols, numbers, strict=True)]
    random = torch.Generator().manual_seed(training.seed)
    with torch_threads(1), torch.random.fork_rng(devices=[]):
        torch.manual_seed(training.seed)
        model = ConditionalNetworks(len(features), known, counts, hidden)
        optimizer = torch.optim.Adam(model.parameters(), training.learning_rate)
        rates = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, training.learning_rate, total_steps=training.steps, pct_start=0.1
        )
        for _ in range(training.steps):
            batch = torch.randint(len(inputs), (training.batch_size,), generator=random)
            logits = model(inputs[batch])
            loss = nn.functional.cross_entropy(
                logits.reshape(-1, logits.shape[2]), targets[batch].T.reshape(-1), reduction="sum"
            )
            optimizer.zero_grad(set_to_none=True)
            (loss / training.batch_size).backward()
            optimizer.step()
            rates.step()
    return model.networks(numbers)
