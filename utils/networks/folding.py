"""A model as a list of steps, with everything linear folded together.

Normalization, BatchNorm and constant terms go into the Linear layers beside them, in float64.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from utils.networks.autoencoder import PCABaseline, Residual
from utils.networks.checkpoint import Checkpoint
from utils.networks.steps import Affine, Exponential, Gelu, LeakyRelu, Linear, Logarithm, ShiftedElu, Skip, Step, Tanh


def encoder_steps(checkpoint: Checkpoint) -> list[Step]:
    """From jets in GeV and rad to latents, folded."""
    normalization, model = checkpoint.normalization, checkpoint.model
    scale, offset, log_scale = _normalization_arrays(checkpoint)
    steps: list[Step] = [Logarithm(normalization.log_shift), Affine(1 / (log_scale * scale), -offset / scale)]
    if isinstance(model, PCABaseline):
        mean, components = _array(model.mean), _array(model.components)
        return fold([*steps, Linear(components, -components @ mean)])
    return fold([*steps, *_module_steps(model.encoder)])


def decoder_steps(checkpoint: Checkpoint) -> list[Step]:
    """From latents to jets in GeV and rad, folded."""
    normalization, model = checkpoint.normalization, checkpoint.model
    scale, offset, log_scale = _normalization_arrays(checkpoint)
    steps: list[Step] = [Affine(scale * log_scale, offset * log_scale), Exponential(normalization.log_shift)]
    if isinstance(model, PCABaseline):
        return fold([Linear(_array(model.components).T, _array(model.mean)), *steps])
    return fold([*_module_steps(model.decoder), *steps])


def _normalization_arrays(checkpoint: Checkpoint) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scale and offset per column, and ln(10) where the column is a logarithm of base 10, else 1."""
    normalization = checkpoint.normalization
    log_scale = np.array([1.0 if shift is None else math.log(10) for shift in normalization.log_shift])
    return np.array(normalization.scale), np.array(normalization.offset), log_scale


def _module_steps(modules: nn.Sequential) -> list[Step]:
    steps: list[Step] = []
    for module in modules:
        if isinstance(module, Residual):
            steps.append(Skip(tuple(fold(_module_steps(module)))))
        elif isinstance(module, nn.Linear):
            steps.append(Linear(_array(module.weight), _array(module.bias)))
        elif isinstance(module, nn.BatchNorm1d):
            scale = _array(module.weight) / np.sqrt(_array(module.running_var) + module.eps)
            steps.append(Affine(scale, _array(module.bias) - _array(module.running_mean) * scale))
        elif isinstance(module, nn.Tanh):
            steps.append(Tanh())
        elif isinstance(module, nn.GELU) and module.approximate == "none":
            steps.append(Gelu())
        elif isinstance(module, nn.LeakyReLU):
            steps.append(LeakyRelu(module.negative_slope))
        elif isinstance(module, nn.ELU) and module.alpha == 1:
            one = np.array(1.0)
            steps += [Affine(one, one), ShiftedElu(), Affine(one, -one)]
        else:
            raise TypeError(
                f"no ONNX form for the layer {module}; known: Linear, BatchNorm1d, Tanh, LeakyReLU, ELU, GELU, Residual"
            )
    return steps


def _array(tensor: torch.Tensor | None) -> np.ndarray:
    assert tensor is not None
    return tensor.detach().cpu().double().numpy()


def fold(steps: Sequence[Step]) -> list[Step]:
    """The same function in fewer steps: neighbours that are linear become one, in float64."""
    folded: list[Step] = []
    for step in steps:
        while folded and (merged := _merge(folded[-1], step)) is not None:
            folded.pop()
            step = merged
        folded.append(step)
    return folded


def _merge(first: Step, second: Step) -> Step | None:
    match first, second:
        case Affine(), Affine():
            return Affine(first.scale * second.scale, first.shift * second.scale + second.shift)
        case Affine(), Linear():
            shift = np.broadcast_to(first.shift, second.weight.shape[1])
            return Linear(second.weight * first.scale, second.bias + second.weight @ shift)
        case Linear(), Affine():
            weight = first.weight * np.broadcast_to(second.scale, first.bias.shape)[:, None]
            return Linear(weight, first.bias * second.scale + second.shift)
        case Linear(), Linear():
            return Linear(second.weight @ first.weight, second.weight @ first.bias + second.bias)
    return None


def latent_width(checkpoint: Checkpoint) -> int:
    """Number of latent values of a model."""
    model = checkpoint.model
    return model.rank if isinstance(model, PCABaseline) else model.config.latent
