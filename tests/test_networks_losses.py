"""Losses in units of detector resolution."""

import math

import pytest
import torch

from utils.networks import (
    CustomNormalization,
    NoNormalization,
    ResolutionLoss,
    StandardNormalization,
    make_loss,
    resolution,
)

JETS = torch.tensor([[5.0, 20.0, 0.5, 1.0], [40.0, 300.0, 3.1, -2.0], [0.0, 25.0, -3.0, 0.2]], dtype=torch.float64)
NORMALIZATIONS = [NoNormalization(), StandardNormalization().fit(JETS.numpy()), CustomNormalization()]


def test_the_plain_loss_is_the_mean_squared_error():
    a, b = torch.rand(2, 5, 4)
    assert make_loss("mse", CustomNormalization())(a, b) == pytest.approx(torch.nn.functional.mse_loss(a, b))


def test_an_unknown_loss_is_refused():
    with pytest.raises(ValueError, match="unknown loss 'mae'; known: mse, resolution"):
        make_loss("mae", CustomNormalization())


def test_the_pt_resolution_is_that_of_its_source():
    sigma = resolution(JETS)
    assert sigma[0, 1] / 20 == pytest.approx(0.24, abs=0.005)
    assert sigma[1, 1] / 300 == pytest.approx(0.06, abs=0.003)
    assert torch.all(sigma > 0)


@pytest.mark.parametrize("normalization", NORMALIZATIONS, ids=lambda n: n.kind)
def test_one_resolution_aside_costs_one(normalization):
    loss, target = ResolutionLoss(normalization), normalization.normalize(JETS)
    small = 1e-4
    for i in range(4):
        moved = JETS.clone()
        moved[:, i] += small * resolution(JETS)[:, i]
        residuals = loss.residuals(normalization.normalize(moved), target)
        expected = torch.zeros_like(JETS)
        expected[:, i] = small
        torch.testing.assert_close(residuals, expected, rtol=1e-3, atol=1e-9)


@pytest.mark.parametrize("normalization", NORMALIZATIONS, ids=lambda n: n.kind)
def test_phi_is_wrapped(normalization):
    loss = ResolutionLoss(normalization)
    across = JETS.clone()
    across[:, 2] = -JETS[:, 2].sign() * (2 * math.pi - JETS[:, 2].abs()) + 0.01  # the same direction, and 0.01 further
    residuals = loss.residuals(normalization.normalize(across), normalization.normalize(JETS))
    torch.testing.assert_close(residuals[:, 2], 0.01 / resolution(JETS)[:, 2])


def test_the_resolution_is_its_formula_for_every_quantity():
    for m, pt in ((0.0, 20.0), (15.0, 100.0), (-3.0, 60.0), (80.0, 900.0)):
        sigma_pt = math.sqrt(2.6**2 + 0.89**2 * pt + (0.03 * pt) ** 2)
        sigma_m = math.hypot(2 * m * sigma_pt / pt, 1)
        sigma_angle = math.hypot(1 / pt, 0.01)
        found = resolution(torch.tensor([[m, pt, 0.5, -1.0]], dtype=torch.float64))
        torch.testing.assert_close(
            found, torch.tensor([[sigma_m, sigma_pt, sigma_angle, sigma_angle]], dtype=torch.float64)
        )


def test_below_one_gev_the_resolution_is_that_of_one_gev():
    soft = torch.tensor([[0.5, pt, 0.1, 0.2] for pt in (1.0, 0.1, 0.0, -3.0)], dtype=torch.float64)
    found = resolution(soft)
    assert torch.isfinite(found).all()
    torch.testing.assert_close(found, found[:1].expand(4, -1))


@pytest.mark.parametrize("normalization", NORMALIZATIONS, ids=lambda n: n.kind)
def test_a_large_error_stays_as_large_as_its_linear_part(normalization):
    """In the loss, an output of twice the normalized distance costs four times as much, wherever it comes to lie."""
    loss, target = ResolutionLoss(normalization), normalization.normalize(JETS)
    aside = torch.tensor([[0.2, -0.3, 0.0, 0.1]], dtype=torch.float64)
    assert loss(target + 2 * aside, target) == pytest.approx(4 * float(loss(target + aside, target)))
