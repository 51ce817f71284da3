"""Whether a network tells the same frequencies however its sums are ordered: with floats, and with whole numbers."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch

from utils.machine import torch_threads
from utils.networks import HIDDEN_SHIFT, LARGEST_HIDDEN, LOGIT_STEPS, OUTPUT_SHIFT, TOTAL_BITS, IntegerNetwork

BATCH = 37
"""Jets in a call, where they are not all in one."""


@dataclass(frozen=True)
class _Weights:
    """The layers of a network as float32, whether these are whole numbers, and who multiplies."""

    hidden: torch.Tensor
    hidden_bias: torch.Tensor
    output: torch.Tensor
    output_bias: torch.Tensor
    whole: bool
    product: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] = torch.mm

    def tables(self, inputs: torch.Tensor) -> np.ndarray:
        """What an entropy coder is given, (jets, symbols): frequencies, or the whole logits that decide them."""
        hidden = (self.product(inputs, self.hidden.T) + self.hidden_bias) * 2.0**-HIDDEN_SHIFT
        hidden = (hidden.floor() if self.whole else hidden).clamp(0, LARGEST_HIDDEN)
        logits = (self.product(hidden, self.output.T) + self.output_bias) * 2.0**-OUTPUT_SHIFT
        if self.whole:
            return logits.floor().numpy()
        shares = torch.softmax(logits * (np.log(2) / LOGIT_STEPS), 1)
        return (shares * ((1 << TOTAL_BITS) - logits.shape[1])).floor().numpy()


def changed_tables(network: IntegerNetwork, features: np.ndarray, seed: int = 0) -> pd.DataFrame:
    """The share of jets whose frequencies change with the way in which a network is computed, floats and whole numbers.

    A row for each way, beside one call on one thread. The float network has the weights of the whole one with digits
    behind the point, as before they were rounded. `features` are its inputs, (inputs, jets).
    """
    random = np.random.default_rng(seed)
    whole = _weights(network)
    digits = [torch.from_numpy(random.uniform(-0.5, 0.5, part.shape).astype(np.float32)) for part in whole[:2]]
    kinds = {
        "floats": _Weights(whole[0] + digits[0], whole[2], whole[1] + digits[1], whole[3], False),
        "whole numbers": _Weights(whole[0], whole[2], whole[1], whole[3], True),
    }
    inputs = torch.from_numpy(np.ascontiguousarray(features.T))
    order = torch.from_numpy(random.permutation(inputs.shape[1]))
    found = {}
    for kind, weights in kinds.items():
        with torch_threads(1), torch.inference_mode():
            first = weights.tables(inputs)
        found[kind] = {way: float((other != first).any(1).mean()) for way, other in _other_ways(weights, inputs, order)}
    return pd.DataFrame(found)


def _weights(network: IntegerNetwork) -> list[torch.Tensor]:
    """Weights of both layers, and their biases."""
    parts = (network.hidden, network.output, network.hidden_bias, network.output_bias)
    return [torch.from_numpy(part.astype(np.float32)) for part in parts]


def _other_ways(weights: _Weights, inputs: torch.Tensor, order: torch.Tensor) -> Iterator[tuple[str, np.ndarray]]:
    """The tables again, each time computed in another way that changes nothing in the formula."""
    with torch_threads(2), torch.inference_mode():
        yield "two threads", weights.tables(inputs)
    with torch_threads(1), torch.inference_mode():
        yield f"{BATCH} jets at a time", np.concatenate([weights.tables(part) for part in inputs.split(BATCH)])
        yield "by NumPy, not PyTorch", replace(weights, product=_numpy_product).tables(inputs)
        turned = replace(weights, hidden=weights.hidden[:, order].contiguous())
        yield "inputs in another order", turned.tables(inputs[:, order].contiguous())


def _numpy_product(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(left.numpy() @ right.numpy())
