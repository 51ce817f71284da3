"""What a training does beside its steps: following a zigzag, keeping the best weights, recording activations."""

import copy
from typing import Any

import numpy as np
import torch
from fastai.callback.core import Callback
from fastai.callback.hook import ActivationStats
from fastai.learner import Recorder
from fastai.torch_core import num_distrib
from torch import nn

from utils.networks import Zigzag

FOLLOWED = (0.4, 0.5)
"""Fractions of a training: until the first, latents follow a zigzag with full weight; from the second, not at all."""


class FollowZigzag(Callback):
    """Add the mean squared distance between latents and the code of a zigzag to the loss that is minimized.

    In units of the loss: times what it makes of a mean squared error of 1. With full weight until the first of
    `FOLLOWED`, then less and less until the second. From there on the training is as without, but from a surface with
    the folds of the zigzag: how many there are, gradient descent hardly changes.
    """

    def __init__(self, zigzag: Zigzag):
        super().__init__()
        self.zigzag = zigzag

    def before_fit(self) -> None:
        encoder: Any = unwrapped(self.model).encoder
        self.hook = encoder.register_forward_hook(self._keep)

    def _keep(self, encoder: nn.Module, inputs: tuple[torch.Tensor, ...], latents: torch.Tensor) -> None:
        self.latents = latents

    def after_loss(self) -> None:
        full, free = FOLLOWED
        weight = min(1.0, (free - self.pct_train) / (free - full))
        if self.training and weight > 0:
            code = torch.as_tensor(self.zigzag.encode(self.x.cpu())).to(self.x)
            unit = self.loss.detach() / nn.functional.mse_loss(self.pred.detach(), self.y)
            self.learn.loss_grad = self.loss_grad + weight * unit * nn.functional.mse_loss(self.latents, code)

    def after_fit(self) -> None:
        self.hook.remove()


class History(Callback):
    """Losses of every epoch, and the best weights in memory."""

    order = Recorder.order + 1

    def __init__(self, frozen_from: float):
        super().__init__()
        self.frozen_from = frozen_from
        self.rows: list[dict[str, float]] = []
        self.best_epoch, self.best_loss = -1, float("inf")
        self.best_state: dict[str, torch.Tensor] = {}

    def before_train(self) -> None:
        if self.epoch >= self.frozen_from:
            for layer in self.model.modules():
                if isinstance(layer, nn.modules.batchnorm._BatchNorm):  # also those that processes synchronize
                    layer.eval()
        self.train_loss = torch.zeros((), device=self.dls.device)

    def after_batch(self) -> None:
        if self.training:
            self.train_loss += self.learn.loss.detach()

    def after_epoch(self) -> None:
        if num_distrib() > 1:
            torch.distributed.all_reduce(self.train_loss)
            self.train_loss /= num_distrib()
        train = self.train_loss.item() / len(self.dls.train)
        valid = float(self.recorder.loss.value)
        if not np.isfinite(train):
            raise FloatingPointError(f"the training loss became {train} in epoch {self.epoch}; lower the learning rate")
        self.rows.append({"epoch": self.epoch, "train": train, "valid": valid})
        if valid < self.best_loss:
            self.best_epoch, self.best_loss = self.epoch, valid
            self.best_state = copy.deepcopy(unwrapped(self.model).state_dict())


class Activations(ActivationStats):
    """fastai's ActivationStats without the share of values near zero, which takes half of its time."""

    def hook(self, module: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> dict[str, float]:
        output = output.detach()
        mean = output.mean(dtype=torch.float64).item()
        square = torch.linalg.vector_norm(output).item() ** 2 / output.numel()
        return {"mean": mean, "std": max(0.0, square - mean**2) ** 0.5}


def unwrapped(model: nn.Module) -> nn.Module:
    """The model itself, which several processes wrap."""
    return getattr(model, "module", model)
