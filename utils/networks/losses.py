"""What training and latent refinement make small: squared residuals of normalized jets."""

from typing import ClassVar

import torch
from torch import nn

from utils.jets import FEATURES, wrap_angle
from utils.networks.normalization import Normalization

M, PT, PHI, ETA = (FEATURES.index(name) for name in ("m", "pt", "phi", "eta"))


class ResidualLoss(nn.Module):
    """Mean over jets and features of the squared residuals, which subclasses define."""

    kind: ClassVar[str]

    def __init__(self, normalization: Normalization):
        super().__init__()
        self.normalization = normalization

    def residuals(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """One residual of each value; all of shape (jets, 4), normalized."""
        raise NotImplementedError

    def forward(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """The mean squared residual, a scalar."""
        return self.residuals(output, target).square().mean()


class PlainLoss(ResidualLoss):
    """Differences in the normalized space: the mean squared error of the study."""

    kind = "mse"

    def residuals(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return output - target


class ResolutionLoss(ResidualLoss):
    """Differences in units of a detector's resolution, with phi wrapped: 1 is an error as large as the measurement's.

    They are linearized at the true jet, (output - target) dx/dy / sigma(x): relative errors stay relative ones however
    large, and nothing explodes early in a training.
    """

    kind = "resolution"

    def residuals(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        jets = self.normalization.unnormalize(target)
        scale = self.normalization.scale[PHI]
        difference = list((output - target).unbind(dim=1))
        difference[PHI] = wrap_angle(difference[PHI] * scale) / scale
        return torch.stack(difference, dim=1) * self.normalization.slopes(jets) / resolution(jets)


LOSSES: dict[str, type[ResidualLoss]] = {loss.kind: loss for loss in (PlainLoss, ResolutionLoss)}


def make_loss(kind: str, normalization: Normalization) -> ResidualLoss:
    """The loss of this kind ("mse", "resolution") for jets under a normalization."""
    if kind not in LOSSES:
        raise ValueError(f"unknown loss {kind!r}; known: {', '.join(LOSSES)}")
    return LOSSES[kind](normalization)


NOISE, STOCHASTIC, CONSTANT = 2.6, 0.89, 0.03
"""Terms of the relative pt resolution in GeV, sqrt(GeV) and 1: 24% at 20 GeV, 6% at 300 GeV and 3% far above, as ATLAS
measured for its jets of radius 0.4 (arXiv:2007.02645)."""

MASS_FACTOR, MASS_FLOOR = 2.0, 1.0
"""The relative resolution of the mass over that of pt, and its smallest value in GeV: assumptions, of the size that
calorimeters reach."""

ANGLE_NOISE, ANGLE_FLOOR = 1.0, 0.01
"""Angular resolution: GeV over pt, and the size of a fine calorimeter cell; assumptions as well."""


def resolution(jets: torch.Tensor) -> torch.Tensor:
    """Typical detector resolution of each value of jets in GeV and rad, both of shape (jets, 4).

    sigma(pt)/pt = N/pt + S/sqrt(pt) + C, sigma(m) = 2 m sigma(pt)/pt + 1 GeV, sigma(phi) = sigma(eta) = 1 GeV/pt
    + 0.01, terms added in quadrature.
    """
    pt = jets[:, PT].clamp_min(1.0)
    relative = ((NOISE / pt).square() + STOCHASTIC**2 / pt + CONSTANT**2).sqrt()
    sigma: list[torch.Tensor] = [torch.empty(0)] * len(FEATURES)
    sigma[PT] = relative * pt
    sigma[M] = ((MASS_FACTOR * relative * jets[:, M]).square() + MASS_FLOOR**2).sqrt()
    sigma[PHI] = sigma[ETA] = ((ANGLE_NOISE / pt).square() + ANGLE_FLOOR**2).sqrt()
    return torch.stack(sigma, dim=1)
