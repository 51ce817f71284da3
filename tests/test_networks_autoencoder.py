"""The variants have the layers, sizes and properties that the study says they have."""

import json

import numpy as np
import pytest
import torch

from utils.networks import (
    ACTIVATION_LAYERS,
    ACTIVATIONS,
    PYTORCH_LAYERS,
    VARIANTS,
    Autoencoder,
    AutoencoderConfig,
    PCABaseline,
    parameter_count,
)


def layers(part: torch.nn.Sequential) -> list[str]:
    return [type(layer).__name__ for layer in part]


def test_tanh_stands_between_the_layers_and_before_the_decoder() -> None:
    model = Autoencoder(VARIANTS["tanh"])
    assert layers(model.encoder) == ["Linear", "Tanh"] * 3 + ["Linear"]
    assert layers(model.decoder) == ["Tanh", "Linear"] * 4


@pytest.mark.parametrize(("variant", "activation"), [("leaky_relu_bn", "LeakyReLU"), ("elu_bn", "ELU")])
def test_batch_norm_follows_every_layer_but_the_last(variant: str, activation: str) -> None:
    model = Autoencoder(VARIANTS[variant])
    assert layers(model.encoder) == ["Linear", activation, "BatchNorm1d"] * 4
    assert layers(model.decoder) == ["Linear", activation, "BatchNorm1d"] * 3 + ["Linear"]


@pytest.mark.parametrize(
    ("variant", "count"),
    [("linear", 52_607), ("tanh", 52_607), ("leaky_relu_bn", 54_013), ("elu_bn", 54_013), ("residual_gelu", 50_951)],
)
def test_number_of_parameters(variant: str, count: int) -> None:
    assert parameter_count(Autoencoder(VARIANTS[variant])) == count


def test_residual_blocks_join_layers_of_the_same_width() -> None:
    model = Autoencoder(VARIANTS["residual_gelu"])
    half = ["Linear", "GELU", *["Residual"] * 6, "Linear"]
    assert layers(model.encoder) == half
    assert layers(model.decoder) == half
    block, x = model.get_submodule("encoder.2"), torch.randn(5, 64)
    torch.testing.assert_close(block(x), x + torch.nn.functional.gelu(block.get_submodule("0")(x)))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations_are_those_of_pytorch_to_rounding(activation: str) -> None:
    x = torch.linspace(-20, 20, 1001, requires_grad=True)
    config = AutoencoderConfig(activation=activation)
    ours, pytorch = (Autoencoder(config, layers).encoder[1] for layers in (ACTIVATION_LAYERS, PYTORCH_LAYERS))
    torch.testing.assert_close(ours(x), pytorch(x), rtol=1e-6, atol=2e-7)
    slopes = [torch.autograd.grad(module(x).sum(), x)[0] for module in (ours, pytorch)]
    torch.testing.assert_close(slopes[0][x != 0], slopes[1][x != 0], rtol=1e-6, atol=5e-7)


def test_without_activation_the_network_is_an_affine_map() -> None:
    model = Autoencoder(VARIANTS["linear"]).double()
    x, y = torch.randn(2, 5, 4, dtype=torch.float64)
    torch.testing.assert_close(model(x + y) - model(y), model(x) - model(torch.zeros_like(x)))


@pytest.mark.parametrize(
    ("nodes", "latent"), [((4, 200, 3, 200, 4), 3), ((27, 50, 8, 50, 27), 8), ((4, 100, 2, 100, 4), 2)]
)
@pytest.mark.parametrize("batch_norm", [False, True])
def test_other_widths_need_no_new_class(nodes: tuple[int, ...], latent: int, batch_norm: bool) -> None:
    model = Autoencoder(AutoencoderConfig(nodes, "elu", batch_norm))
    x = torch.randn(7, nodes[0])
    assert model.encode(x).shape == (7, latent)
    assert model(x).shape == x.shape


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"nodes": (4, 3)}, "at least three"),
        ({"nodes": (4, 3, 5)}, "must agree"),
        ({"nodes": (4, 8, 4)}, "narrower"),
        ({"batch_norm": True, "residual": True}, "no BatchNorm"),
        ({"activation": "sine"}, "unknown activation 'sine'"),
    ],
)
def test_a_configuration_without_sense_is_refused(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        AutoencoderConfig(**options)


def test_pca_is_the_projection_on_the_leading_components() -> None:
    from sklearn.decomposition import PCA

    rng = np.random.default_rng(1)
    x = rng.normal(size=(500, 4)) @ rng.normal(size=(4, 4)) + 3
    reference = PCA(3).fit(x)
    expected = reference.inverse_transform(reference.transform(x))
    found = PCABaseline(3).fit(x)(torch.tensor(x, dtype=torch.float32)).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_pca_of_full_rank_loses_nothing() -> None:
    x = np.random.default_rng(2).normal(size=(100, 4))
    found = PCABaseline(4).fit(x)(torch.tensor(x, dtype=torch.float32)).numpy()
    np.testing.assert_allclose(found, x, atol=1e-5)


def test_pca_of_impossible_rank_is_refused() -> None:
    with pytest.raises(ValueError, match="rank must lie in"):
        PCABaseline(5)


def test_the_linear_network_has_nothing_but_linear_layers() -> None:
    model = Autoencoder(VARIANTS["linear"])
    assert layers(model.encoder) == layers(model.decoder) == ["Linear"] * 4


@pytest.mark.parametrize("variant", VARIANTS)
def test_forward_is_decoding_what_was_encoded_into_three_numbers(variant: str) -> None:
    model = Autoencoder(VARIANTS[variant]).eval()
    x = torch.randn(6, 4)
    assert model.encode(x).shape == (6, 3)
    assert torch.equal(model(x), model.decode(model.encode(x)))


def test_a_configuration_survives_json() -> None:
    for config in VARIANTS.values():
        assert AutoencoderConfig(**json.loads(json.dumps(config.to_dict()))) == config


def test_pca_has_orthonormal_components_whose_largest_entry_is_positive() -> None:
    rng = np.random.default_rng(4)
    pca = PCABaseline(3).fit(rng.normal(size=(300, 4)) * [1, 5, 2, 3])
    torch.testing.assert_close(pca.components @ pca.components.T, torch.eye(3))
    assert pca.components.abs().argmax(dim=1).tolist() == [1, 3, 2]
    assert (pca.components.gather(1, pca.components.abs().argmax(dim=1, keepdim=True)) > 0).all()
    assert parameter_count(pca) == 16
