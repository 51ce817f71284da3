"""Latents are rounded where it costs least: by the decoder's own metric."""

from pathlib import Path

import numpy as np
import pytest
import torch
from codec_helpers import assert_within

from utils.codec import (
    Bounds,
    check_settings,
    compress,
    decompress,
    fit_latent_steps,
    read_compressed,
    restore_latents,
    round_latents,
)
from utils.jets import FEATURES, find_problems, make_table
from utils.networks import (
    Autoencoder,
    AutoencoderConfig,
    Checkpoint,
    CustomNormalization,
    NoNormalization,
    PCABaseline,
    StandardNormalization,
    decode_normalized,
    encode_jets,
)


@pytest.fixture(scope="module")
def jets() -> np.ndarray:
    rng = np.random.default_rng(0)
    columns = (rng.gamma(2, 4, 2000), 20 + rng.exponential(60, 2000), rng.uniform(-3, 3, 2000), rng.normal(0, 2, 2000))
    return np.stack(columns, axis=1).astype(np.float32)


@pytest.fixture(scope="module")
def checkpoint(jets: np.ndarray) -> Checkpoint:
    """A linear decoder in which the first latent moves the jets ten times as far as the second, and they mix."""
    normalization = StandardNormalization().fit(jets.astype(float))
    model = PCABaseline(3).fit(normalization.normalize(jets.astype(float)))
    mixing = torch.tensor([[3.0, 1.0, 0.0], [0.0, 0.3, 0.0], [0.5, 0.0, 1.0]])
    model.components = mixing @ model.components
    ranges = {name: [float(jets[:, i].min()), float(jets[:, i].max())] for i, name in enumerate(FEATURES)}
    return Checkpoint(model, normalization, {"model": "linear", "data": {"range": ranges}})


def test_one_step_of_any_latent_integer_costs_the_same_and_the_steps_are_orthogonal(checkpoint, jets) -> None:
    _, matrix, _ = fit_latent_steps(checkpoint, jets, bits=8)
    moved = matrix @ checkpoint.model.components.double().numpy()
    gram = moved @ moved.T
    np.testing.assert_allclose(gram / gram[0, 0], np.eye(3), atol=1e-3)


@pytest.mark.parametrize("bits", [4, 10])
def test_the_bits_are_those_of_the_widest_axis(checkpoint, jets, bits: int) -> None:
    offset, matrix, _ = fit_latent_steps(checkpoint, jets, bits=bits)
    integers = round_latents(encode_jets(checkpoint, jets), offset, matrix)
    assert np.ptp(integers, axis=0).max() == pytest.approx(2**bits, abs=1)


def test_the_widest_step_is_taken_that_raises_the_error_by_no_more_than_asked(checkpoint, jets) -> None:
    normalized = checkpoint.normalization.normalize(jets.astype(float))
    checkpoint = Checkpoint(PCABaseline(3).fit(normalized), checkpoint.normalization)
    latents = encode_jets(checkpoint, jets).astype(float)

    def mse(z: np.ndarray) -> float:
        return float(np.mean((decode_normalized(checkpoint, z) - normalized) ** 2))

    for growth in (0.01, 0.1):
        offset, matrix, found = fit_latent_steps(checkpoint, jets, growth=growth)
        rounded = restore_latents(round_latents(latents, offset, matrix), offset, matrix)
        assert mse(rounded) / mse(latents) - 1 == pytest.approx(found, rel=1e-3, abs=1e-6)
        assert found is not None
        assert 0.75 * growth < found <= 0.9 * growth


def test_latents_go_to_the_nearest_integers() -> None:
    offset, matrix = np.array([1.0, -2.0]), np.array([[0.5, 0.1], [0.0, 0.25]])
    exact = np.array([[3, -4], [0, 0], [-7, 2]])
    for aside in (-0.49, 0.49):
        latents = offset + (exact + aside) @ matrix
        assert round_latents(latents, offset, matrix).tolist() == exact.tolist()
    np.testing.assert_allclose(restore_latents(exact, offset, matrix), offset + exact @ matrix, rtol=1e-6)


def test_the_training_jets_are_inside_their_own_range_ends_included(tmp_path: Path, checkpoint, jets) -> None:
    inside = compress(make_table(*jets.T), tmp_path / "a.zarr.zip", codec="autoencoder", model=checkpoint)
    assert inside["outside_training_range"] == 0
    jets = jets.copy()
    jets[[5, 9], 1] *= 1000
    jets[9, 3] = -50
    outside = compress(make_table(*jets.T), tmp_path / "b.zarr.zip", codec="autoencoder", model=checkpoint)
    assert outside["outside_training_range"] == 2


def test_latents_have_one_to_twenty_four_bits(checkpoint) -> None:
    for bits in (1, 24):
        check_settings("autoencoder", model=checkpoint, latent_bits=bits)
    for beyond in (0.5, 24.5):
        with pytest.raises(ValueError, match=f"latent bits must lie in 1..24, found {beyond}"):
            check_settings("autoencoder", model=checkpoint, latent_bits=beyond)


# ---- jets without spread, and what a decoder gives that is no jet --------------------------------------------------


def degenerate() -> dict[str, np.ndarray]:
    """Jets, shape (jets, 4), of which columns, or all, are the same, that are few, or that are far from any."""
    many = np.random.default_rng(0).uniform([0, 20, -3, -2], [30, 200, 3, 2], (40, 4))
    found = {f"{count} jets": many[:count] for count in (0, 1, 2, 3)}
    found |= {"all the same": np.repeat(many[:1], 40, axis=0), "massless": many * [0, 1, 1, 1]}
    for name, columns in (("m", [0]), ("pt and eta", [1, 3]), ("all but phi", [0, 1, 3])):
        found[f"constant {name}"] = np.where(np.isin(np.arange(4), columns), many[0], many)
    found["one beyond all"] = np.concatenate([many, [[3e38, 3e38, 0, 0]]])
    found["pt of nothing"] = np.where(np.arange(4) == 1, 1e-45, many)
    return found


@pytest.mark.parametrize("bits", [None, 6])
@pytest.mark.parametrize("bounds", [None, Bounds()], ids=["plain", "bounded"])
@pytest.mark.parametrize("few", degenerate().values(), ids=degenerate())
def test_jets_without_spread_are_compressed_and_come_back(
    checkpoint, tmp_path, few: np.ndarray, bounds: Bounds | None, bits: int | None
) -> None:
    table = make_table(*few.T)
    flat = Autoencoder(AutoencoderConfig((4, 6, 3, 6, 4), "tanh"))
    for parameter in flat.parameters():
        torch.nn.init.zeros_(parameter)
    for model in (
        checkpoint,
        Checkpoint(PCABaseline(4), CustomNormalization()),
        Checkpoint(flat, CustomNormalization()),
    ):
        compress(table, tmp_path / "a.zarr.zip", codec="autoencoder", model=model, bounds=bounds, latent_bits=bits)
        found = read_compressed(tmp_path / "a.zarr.zip")
        assert find_problems(found) == {}
        decompress(tmp_path / "a.zarr.zip", tmp_path / "a.parquet")
        if bounds is not None:
            assert_within(found, table, bounds)


def test_what_a_decoder_gives_that_is_no_jet_is_kept_exactly_and_phi_comes_within_pi(checkpoint, tmp_path) -> None:
    model = Autoencoder(AutoencoderConfig((4, 6, 3, 6, 4), "tanh"))
    last = model.decoder[-1]
    torch.nn.init.zeros_(last.weight)  # type: ignore[arg-type]
    last.bias.data = torch.tensor([-1.5, 0.0, 3.5, 0.0])
    table = make_table([5, 6, 7], [30, 20, 10], [0, 1, 2], [0, 1, 2])
    compress(table, tmp_path / "a.zarr.zip", codec="autoencoder", model=Checkpoint(model, NoNormalization()))
    found = read_compressed(tmp_path / "a.zarr.zip")
    assert found["m"].tolist() == [5, 6, 7]
    assert found["pt"].tolist() == [30, 20, 10]
    np.testing.assert_allclose(found["phi"], 3.5 - 2 * np.pi, rtol=1e-6)
    np.testing.assert_allclose(found["eta"], 0, atol=1e-6)
