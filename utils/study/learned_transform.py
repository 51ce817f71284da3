"""A transform of jets that is trained for bits: encoder, rounding, decoder, and a distribution of what is rounded.

J. Balle, V. Laparra and E. Simoncelli, arXiv:1611.01704 (2016), and J. Balle et al., arXiv:1802.01436 (2018): in the
training, uniform noise stands for rounding, and a distribution of each latent number by itself (factorized) for its
bits. The loss is bits plus lambda times the squared error.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from utils.jets import FEATURES
from utils.machine import torch_threads
from utils.study.methods import COMMON_SPACE

COMPONENTS = 24
"""Logistic distributions that each latent's is the sum of."""

PERIOD = 2 * math.pi / COMMON_SPACE.scale[FEATURES.index("phi")]
"""Of phi, which is even and tells nothing of the others: it is rounded, and has no part in the transform."""

HIDDEN = 64

OTHERS = tuple(FEATURES.index(name) for name in FEATURES if name != "phi")


@dataclass(frozen=True)
class TransformTraining:
    """How long and how fast a transform is trained."""

    steps: int = 1500
    batch_size: int = 1024
    learning_rate: float = 0.003
    seed: int = 0


class LearnedTransform(nn.Module):
    """The transform that aims at a mean squared error, of the numbers `OTHERS` in the common space."""

    center: torch.Tensor
    spread: torch.Tensor

    def __init__(self, mse: float, values: torch.Tensor):
        super().__init__()
        self.step, inputs = math.sqrt(12 * mse), values.shape[1]
        self.register_buffer("center", values.mean(0))
        self.register_buffer("spread", values.std(0))
        self.encoder, self.decoder = (_network(2 * inputs, inputs) for _ in range(2))
        scaled = (values - values.mean(0)) / self.step
        places = torch.quantile(scaled, (torch.arange(COMPONENTS) + 0.5) / COMPONENTS, dim=0)
        self.places = nn.Parameter(places)
        self.widths = nn.Parameter(torch.log(scaled.std(0) / COMPONENTS + 0.3).expand(COMPONENTS, -1).clone())
        self.shares = nn.Parameter(torch.zeros(COMPONENTS, inputs))

    def encode(self, values: torch.Tensor) -> torch.Tensor:
        """Latents in units of their rounding."""
        return (values - self.center) / self.step + self.encoder(self._seen(values - self.center))

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """The numbers back."""
        values = latents * self.step
        return self.center + values + self.step * self.decoder(self._seen(values))

    def bits(self, latents: torch.Tensor) -> torch.Tensor:
        """Bits of each row of latents, by the probability of the unit interval around each."""
        away = (latents[:, None, :] - self.places).abs()
        scale = torch.exp(-self.widths)
        share = torch.sigmoid((0.5 - away) * scale) - torch.sigmoid((-0.5 - away) * scale)
        found = (torch.softmax(self.shares, 0) * share).sum(1)
        return -torch.log2(found.clamp_min(1e-9)).sum(1)

    def _seen(self, values: torch.Tensor) -> torch.Tensor:
        scaled = values / self.spread
        return torch.cat([scaled, scaled.abs()], 1)


def _network(inputs: int, outputs: int) -> nn.Sequential:
    network = nn.Sequential(nn.Linear(inputs, HIDDEN), nn.GELU(), nn.Linear(HIDDEN, HIDDEN), nn.GELU())
    last = nn.Linear(HIDDEN, outputs)
    nn.init.normal_(last.weight, std=0.01)
    nn.init.zeros_(last.bias)
    return network.append(last)


def transform_rate(
    train: np.ndarray, test: np.ndarray, mse: float, training: TransformTraining | None = None
) -> tuple[float, float]:
    """Bytes a jet and mean squared error in the common space of a transform trained to about `mse`, on test jets.

    Jets have shape (jets, 4). Bits are those of the trained distribution, on latents that were rounded.
    """
    training = training or TransformTraining()
    fit, jets = (_others(one) for one in (train, test))
    with torch_threads(1), torch.random.fork_rng(devices=[]):
        torch.manual_seed(training.seed)
        model = LearnedTransform(mse, fit)
        optimizer = torch.optim.AdamW(model.parameters(), training.learning_rate, weight_decay=1e-4)
        rates = torch.optim.lr_scheduler.OneCycleLR(optimizer, training.learning_rate, total_steps=training.steps)
        price = fit.shape[1] / (2 * math.log(2) * mse)  # bits that a smaller error costs, where errors are small
        for _ in range(training.steps):
            values = fit[torch.randint(len(fit), (training.batch_size,))]
            latents = model.encode(values)
            noisy = latents + torch.rand_like(latents) - 0.5
            error = ((model.decode(noisy) - values) ** 2).mean(1)
            optimizer.zero_grad(set_to_none=True)
            (model.bits(noisy) + price * error).mean().backward()
            nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            optimizer.step()
            rates.step()
        with torch.inference_mode():
            rounded = model.encode(jets).round()
            bits = model.bits(rounded).mean().item()
            squares = ((model.decode(rounded) - jets) ** 2).mean().item()
    levels = max(1, round(PERIOD / math.sqrt(12 * mse)))
    return (bits + math.log2(levels)) / 8, (len(OTHERS) * squares + (PERIOD / levels) ** 2 / 12) / len(FEATURES)


def _others(jets: np.ndarray) -> torch.Tensor:
    return torch.tensor(COMMON_SPACE.normalize(np.asarray(jets, np.float64))[:, OTHERS], dtype=torch.float32)
