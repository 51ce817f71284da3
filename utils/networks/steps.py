"""The parts that a model is made of, each as PyTorch computes it and as an ONNX graph holds it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from utils.networks.onnx_graph import Graph


class Step:
    """One part of a model: `apply` is what PyTorch does, `add_to` what the ONNX graph holds. Both must agree."""

    def apply(self, x: torch.Tensor) -> torch.Tensor:
        """The step of x, shape (jets, columns), where x lies and in its precision."""
        raise NotImplementedError

    def add_to(self, graph: Graph, x: str) -> str:
        """Append the step of the value called `x` to a graph; returns the name of the result."""
        raise NotImplementedError


@dataclass(frozen=True, eq=False)
class Affine(Step):
    """y = x * scale + shift, column by column."""

    scale: np.ndarray
    shift: np.ndarray

    def apply(self, x: torch.Tensor) -> torch.Tensor:
        return x * _tensor(self.scale, x) + _tensor(self.shift, x)

    def add_to(self, graph: Graph, x: str) -> str:
        if self.shift.ndim == 0:  # no Linear layer beside it to fold into, and of unknown width
            return graph.add("Add", graph.add("Mul", x, graph.constant(self.scale)), graph.constant(self.shift))
        weight = graph.constant(np.diag(np.broadcast_to(self.scale, self.shift.shape)))
        return graph.add("Gemm", x, weight, graph.constant(self.shift))


@dataclass(frozen=True, eq=False)
class Linear(Step):
    """y = x @ weight.T + bias."""

    weight: np.ndarray
    bias: np.ndarray

    def apply(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.linear(x, _tensor(self.weight, x), _tensor(self.bias, x))

    def add_to(self, graph: Graph, x: str) -> str:
        return graph.add("Gemm", x, graph.constant(self.weight.T), graph.constant(self.bias))


@dataclass(frozen=True)
class Tanh(Step):
    """tanh(x)."""

    def apply(self, x: torch.Tensor) -> torch.Tensor:
        return torch.tanh(x)

    def add_to(self, graph: Graph, x: str) -> str:
        return graph.add("Tanh", x)


@dataclass(frozen=True)
class Gelu(Step):
    """x (1 + erf(x / sqrt(2))) / 2, in the form that ONNX Runtime fuses into one kernel: with a division."""

    def apply(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.gelu(x)

    def add_to(self, graph: Graph, x: str) -> str:
        grown = graph.add("Erf", graph.add("Div", x, graph.constant(math.sqrt(2))))
        product = graph.add("Mul", x, graph.add("Add", grown, graph.constant(1.0)))
        return graph.add("Mul", product, graph.constant(0.5))


@dataclass(frozen=True)
class LeakyRelu(Step):
    """x, or slope * x below zero."""

    slope: float

    def apply(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.leaky_relu(x, self.slope)

    def add_to(self, graph: Graph, x: str) -> str:
        return graph.add("LeakyRelu", x, alpha=self.slope)


@dataclass(frozen=True)
class ShiftedElu(Step):
    """elu(x - 1) + 1 = max(x, min(exp(x - 1), 1)).

    The shifts fold into the layers beside it; what is left takes a quarter fewer passes over memory than elu(x) + 1.
    """

    def apply(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.elu(x - 1) + 1

    def add_to(self, graph: Graph, x: str) -> str:
        return graph.add("Max", x, graph.add("HardSigmoid", graph.add("Exp", x), alpha=1 / math.e, beta=0.0))


@dataclass(frozen=True)
class _Columns(Step):
    """A function of each column whose shift is not None."""

    shifts: tuple[float | None, ...]

    def apply(self, x: torch.Tensor) -> torch.Tensor:
        columns = [
            x[:, i] if shift is None else self._apply_column(x[:, i], shift) for i, shift in enumerate(self.shifts)
        ]
        return torch.stack(columns, dim=1)

    def add_to(self, graph: Graph, x: str) -> str:
        if all(shift is None for shift in self.shifts):
            return x
        columns = [
            column if shift is None else self._add_column(graph, column, shift)
            for column, shift in zip(graph.split(x, len(self.shifts)), self.shifts, strict=True)
        ]
        return graph.add("Concat", *columns, axis=1)

    def _apply_column(self, column: torch.Tensor, shift: float) -> torch.Tensor:
        raise NotImplementedError

    def _add_column(self, graph: Graph, column: str, shift: float) -> str:
        raise NotImplementedError


class Logarithm(_Columns):
    """ln(x + shift) of each column whose shift is not None."""

    def _apply_column(self, column: torch.Tensor, shift: float) -> torch.Tensor:
        return torch.log(column + shift)

    def _add_column(self, graph: Graph, column: str, shift: float) -> str:
        return graph.add("Log", graph.shifted(column, shift))


class Exponential(_Columns):
    """exp(x) - shift of each column whose shift is not None: the inverse of Logarithm."""

    def _apply_column(self, column: torch.Tensor, shift: float) -> torch.Tensor:
        return torch.exp(column) - shift

    def _add_column(self, graph: Graph, column: str, shift: float) -> str:
        return graph.shifted(graph.add("Exp", column), -shift)


@dataclass(frozen=True, eq=False)
class Skip(Step):
    """x + f(x), f being these steps."""

    steps: tuple[Step, ...]

    def apply(self, x: torch.Tensor) -> torch.Tensor:
        return x + run_steps(self.steps, x)

    def add_to(self, graph: Graph, x: str) -> str:
        return graph.add("Add", x, add_steps(graph, self.steps, x))


def run_steps(steps: Sequence[Step], x: torch.Tensor) -> torch.Tensor:
    """Apply steps to a tensor of shape (jets, columns) where it lies, in its precision: how a GPU does it."""
    for step in steps:
        x = step.apply(x)
    return x


def _tensor(values: np.ndarray, like: torch.Tensor) -> torch.Tensor:
    return torch.as_tensor(values, dtype=like.dtype, device=like.device)


def add_steps(graph: Graph, steps: Sequence[Step], x: str) -> str:
    """Append steps of the value called `x` to a graph; returns the name of the result."""
    for step in steps:
        x = step.add_to(graph, x)
    return x
