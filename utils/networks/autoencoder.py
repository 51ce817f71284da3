"""The autoencoder as a torch module, built from a configuration; and PCA beside it."""

from collections.abc import Mapping
from itertools import chain, pairwise
from typing import Any, Self

import numpy as np
import torch
from torch import nn

from utils.networks.variants import AutoencoderConfig


class _FromResult(torch.autograd.Function):
    """A function whose slope follows from its result alone, so that nothing else is kept for it."""

    generate_vmap_rule = True

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[torch.Tensor], output: torch.Tensor) -> None:
        ctx.save_for_backward(output)


class _Elu(_FromResult):
    """elu(x) = max(x, exp(min(x, 0)) - 1), with the slope min(elu(x), 0) + 1."""

    @staticmethod
    def forward(x: torch.Tensor) -> torch.Tensor:
        return torch.maximum(x, x.clamp(max=0).exp_().sub_(1))

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> torch.Tensor:
        (output,) = ctx.saved_tensors
        return grad * (output.clamp(max=0) + 1)


class ELU(nn.ELU):
    """PyTorch's ELU by way of exp: PyTorch takes expm1, which costs several times as much on a CPU with AVX-512."""

    def __init__(self) -> None:
        super().__init__()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return _Elu.apply(x)


class _Tanh(_FromResult):
    """tanh(x) = 2 sigmoid(2x) - 1, with the slope 1 - tanh(x)^2."""

    @staticmethod
    def forward(x: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(2 * x).mul_(2).sub_(1)

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> torch.Tensor:
        (output,) = ctx.saved_tensors
        return torch.ops.aten.tanh_backward(grad, output)


class Tanh(nn.Tanh):
    """PyTorch's tanh by way of its sigmoid, which is several times as fast on a CPU; right to 2e-7."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return _Tanh.apply(x)


PYTORCH_LAYERS: dict[str, type[nn.Module]] = {
    "tanh": nn.Tanh,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
}
"""PyTorch's own layer for each of `ACTIVATIONS`."""

ACTIVATION_LAYERS = PYTORCH_LAYERS | {"tanh": Tanh, "elu": ELU}
"""The layer for each of `ACTIVATIONS`: PyTorch's own, or what is faster and equal to rounding."""


class Residual(nn.Sequential):
    """x + f(x) around layers f that keep the width."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + super().forward(x)


class Autoencoder(nn.Module):
    """Encoder and decoder as plain `nn.Sequential`s, built from a configuration.

    `activations` are the layers that apply them, by the names in the configuration.
    """

    def __init__(self, config: AutoencoderConfig, activations: Mapping[str, type[nn.Module]] = ACTIVATION_LAYERS):
        super().__init__()
        self.config, self._activations = config, activations
        layers = list(pairwise(config.nodes))
        if config.residual:
            blocks = [self._residual(*layer) for layer in layers]
            blocks[config.bottleneck - 1] = [nn.Linear(*layers[config.bottleneck - 1])]
            blocks[-1] = [nn.Linear(*layers[-1])]
        elif config.batch_norm:
            blocks = [[nn.Linear(*layer), *self._activation(), nn.BatchNorm1d(layer[1])] for layer in layers[:-1]]
            blocks += [[nn.Linear(*layers[-1])]]
        else:
            blocks = [[nn.Linear(*layers[0])]]
            blocks += [[*self._activation(), nn.Linear(*layer)] for layer in layers[1:]]
        self.encoder = nn.Sequential(*chain.from_iterable(blocks[: config.bottleneck]))
        self.decoder = nn.Sequential(*chain.from_iterable(blocks[config.bottleneck :]))

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        """Normalized jets, shape (jets, inputs), to latents, shape (jets, latent)."""
        return self.encoder(x)

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        """Latents, shape (jets, latent), to normalized jets, shape (jets, inputs)."""
        return self.decoder(z)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.decode(self.encode(x))

    def _residual(self, before: int, after: int) -> list[nn.Module]:
        if before == after:
            return [Residual(nn.Linear(before, after), *self._activation())]
        return [nn.Linear(before, after), *self._activation()]

    def _activation(self) -> list[nn.Module]:
        return [] if self.config.activation is None else [self._activations[self.config.activation]()]


class PCABaseline(nn.Module):
    """Principal component analysis: the best linear encoder in mean squared error, without a network.

    The same `encode` and `decode` as an `Autoencoder`. Components are the leading eigenvectors of the covariance
    matrix, in float64 when fitted; the sign of each makes its largest entry positive.
    """

    mean: torch.Tensor
    components: torch.Tensor

    def __init__(self, rank: int = 3, inputs: int = 4):
        super().__init__()
        if not 0 < rank <= inputs:
            raise ValueError(f"rank must lie in 1..{inputs}, found {rank}")
        self.rank = rank
        self.register_buffer("mean", torch.zeros(inputs))
        self.register_buffer("components", torch.eye(rank, inputs))

    def fit(self, x: np.ndarray) -> Self:
        """Fit to normalized jets, shape (jets, inputs); returns self."""
        x = np.asarray(x, dtype=np.float64)
        mean = x.mean(axis=0)
        _, vectors = np.linalg.eigh(np.cov(x - mean, rowvar=False, bias=True))
        components = vectors[:, ::-1][:, : self.rank].T
        largest = np.abs(components).argmax(axis=1)
        components = components * np.sign(components[np.arange(self.rank), largest])[:, None]
        self.mean = torch.as_tensor(mean, dtype=torch.float32)
        self.components = torch.as_tensor(components.copy(), dtype=torch.float32)
        return self

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        """Normalized jets, shape (jets, inputs), to principal components, shape (jets, rank)."""
        return (x - self.mean) @ self.components.T

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        """Principal components, shape (jets, rank), to normalized jets, shape (jets, inputs)."""
        return z @ self.components + self.mean

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.decode(self.encode(x))


def parameter_count(model: nn.Module) -> int:
    """Trainable numbers of a model; the stored mean and components of a PCA."""
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return parameters or sum(buffer.numel() for buffer in model.buffers())
