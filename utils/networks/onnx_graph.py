"""An ONNX graph under construction."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import ArrayLike, DTypeLike
from onnx import helper, numpy_helper


class Graph:
    """An ONNX graph that grows node by node; weights are float32."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: dict[str, onnx.TensorProto] = {}

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Append a node; returns the name of its output."""
        return self._node(operator, inputs, 1, attributes)[0]

    def split(self, x: str, columns: int) -> list[str]:
        """The names of the columns of the value called `x`, each of shape (n, 1)."""
        return self._node("Split", [x], columns, {"axis": 1})

    def shifted(self, column: str, shift: float) -> str:
        """A column plus a number; in one dimension, where ONNX Runtime adds it without a loop over the rows."""
        if not shift:
            return column
        axes = self.constant([1], np.int64)
        flat = self.add("Add", self.add("Squeeze", column, axes), self.constant([shift]))
        return self.add("Unsqueeze", flat, axes)

    def constant(self, values: ArrayLike, dtype: DTypeLike = np.float32) -> str:
        """A weight with these values; returns its name."""
        name = f"weight_{len(self.weights)}"
        self.weights[name] = numpy_helper.from_array(np.asarray(values, dtype=dtype), name)
        return name

    def name(self, x: str, output: str) -> None:
        """Give the value called `x` the name `output` as well."""
        self.nodes.append(helper.make_node("Identity", [x], [output]))

    def _node(self, operator: str, inputs: Sequence[str], outputs: int, attributes: Mapping[str, Any]) -> list[str]:
        names = [f"{operator.lower()}_{len(self.nodes)}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(operator, list(inputs), names, **attributes))
        return names
