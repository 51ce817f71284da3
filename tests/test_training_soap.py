"""SOAP with products of matrices is SOAP."""

from typing import Any

import pytest
import torch
from pytorch_optimizer import SOAP

from utils.training.soap import MatrixSOAP


@pytest.mark.parametrize(("shape", "largest"), [((6, 4), 9), ((6, 4), 5), ((6,), 9), ((2, 3, 4), 9)])
def test_gradients_are_projected_and_remembered_as_by_the_library(shape: tuple[int, ...], largest: int) -> None:
    """Also where a side is too long for a basis, for a bias, and for more than rows and columns."""
    results = []
    for kind in (SOAP, MatrixSOAP):
        random = torch.Generator().manual_seed(0)
        weights = torch.nn.Parameter(torch.zeros(shape))
        optimizer = kind([weights])
        state: dict[str, Any] = {"exp_avg_sq": torch.rand(shape, generator=random)}
        optimizer.init_pre_conditioner(weights, state, precondition_frequency=2, max_precondition_dim=largest)
        sides = [len(matrix) for matrix in state["GG"]]
        state["Q"] = [torch.linalg.qr(torch.randn(n, n, generator=random))[0] if n else [] for n in sides]
        for step in range(9):
            gradient = torch.randn(shape, generator=random)
            optimizer.update_pre_conditioner(gradient, state, step, max_precondition_dim=largest)
        seen = optimizer.project(gradient, state, max_precondition_dim=largest)
        back = optimizer.project(seen, state, max_precondition_dim=largest, project_type="backward")
        torch.testing.assert_close(back, gradient)
        results.append([seen, state["exp_avg_sq"], *state["GG"], *state["Q"]])
    for theirs, ours in zip(*results, strict=True):
        torch.testing.assert_close(torch.as_tensor(ours), torch.as_tensor(theirs), rtol=1e-4, atol=1e-4)


def test_a_step_with_it_is_one_of_the_library() -> None:
    stepped = []
    for kind in (SOAP, MatrixSOAP):
        random = torch.Generator().manual_seed(0)
        weights, bias = (torch.nn.Parameter(torch.randn(shape, generator=random)) for shape in ((3, 3), (3,)))
        optimizer = kind([weights, bias], lr=0.1)
        for _ in range(3):
            weights.grad = torch.diag(torch.tensor([3.0, 2.0, 1.0])) + 0.1 * torch.randn(3, 3, generator=random)
            bias.grad = torch.randn(3, generator=random)
            optimizer.step()
        stepped.append([weights.detach(), bias.detach()])
    torch.testing.assert_close(stepped[1], stepped[0], rtol=1e-4, atol=1e-4)
