"""Latent refinement: never worse, the same in any batch, and right where the answer is known."""

import numpy as np
import pytest
import torch

from utils.cli import main
from utils.codec import compress, inspect
from utils.jets import make_table, write_jets
from utils.networks import (
    Autoencoder,
    Checkpoint,
    CustomNormalization,
    PCABaseline,
    StandardNormalization,
    decode_latents,
    encode_jets,
    make_loss,
    reconstruct,
    refine_latents,
)
from utils.networks.refinement import BATCH_SIZE
from utils.study import untrained_checkpoint

NAMES = ["tanh", "leaky_relu_bn", "elu_bn", "residual_gelu"]


@pytest.fixture(scope="module")
def jets():
    rng = np.random.default_rng(5)
    n = BATCH_SIZE + 300
    columns = [rng.gamma(2, 4, n), 20 + rng.exponential(60, n), rng.uniform(-3.1, 3.1, n), rng.normal(0, 2, n)]
    return np.stack(columns, axis=1).astype(np.float32)


def costs(checkpoint, jets, latents):
    true, decoded = (
        checkpoint.normalization.normalize(torch.from_numpy(x).double())
        for x in (jets, decode_latents(checkpoint, latents))
    )
    loss = make_loss(checkpoint.metadata.get("training", {}).get("loss", "mse"), checkpoint.normalization)
    return loss.residuals(decoded, true).square().sum(dim=1).numpy()


@pytest.mark.parametrize("loss", ["mse", "resolution"])
@pytest.mark.parametrize("name", NAMES)
def test_no_jet_is_made_worse_and_most_become_better(name, loss, jets):
    bare = untrained_checkpoint(name)
    checkpoint = Checkpoint(bare.model, CustomNormalization(), {"training": {"loss": loss}})
    latents = encode_jets(checkpoint, jets)
    before = costs(checkpoint, jets, latents)
    for steps in (1, 4):
        after = costs(checkpoint, jets, refine_latents(checkpoint, jets, latents, steps))
        assert np.all(after <= before)
    assert np.mean(after < before) > 0.9


@pytest.mark.parametrize("name", NAMES)
def test_results_depend_neither_on_the_batch_nor_on_the_threads(name, jets):
    checkpoint = untrained_checkpoint(name)
    latents = encode_jets(checkpoint, jets)
    refined = refine_latents(checkpoint, jets, latents, 3, threads=1)
    np.testing.assert_array_equal(refine_latents(checkpoint, jets, latents, 3, threads=3), refined)
    for part in (slice(0, 1), slice(7, 20), slice(BATCH_SIZE - 5, BATCH_SIZE + 5), slice(100, None)):
        np.testing.assert_array_equal(refine_latents(checkpoint, jets[part], latents[part], 3), refined[part])


def test_it_finds_the_latents_of_a_decoder_whose_inverse_is_known(jets):
    """The best latents of a linear decoder are the projection on it; one undamped step would be exact."""
    normalization = StandardNormalization().fit(jets.astype(float))
    pca = Checkpoint(PCABaseline(3).fit(normalization.normalize(jets.astype(float))), normalization)
    exact = encode_jets(pca, jets)
    found = refine_latents(pca, jets, exact + np.array([3, -2, 1], np.float32), 6)
    np.testing.assert_allclose(found, exact, atol=1e-4)


def test_it_finds_the_latents_that_made_a_jet():
    """Jets that a nonlinear decoder made come back exactly, from latents beside theirs."""
    checkpoint = untrained_checkpoint("residual_gelu")
    rng = np.random.default_rng(3)
    true = rng.normal(size=(500, 3)).astype(np.float32)
    start = true + rng.normal(scale=0.1, size=true.shape).astype(np.float32)
    jets = decode_latents(checkpoint, true)
    found = refine_latents(checkpoint, jets, start, 12)
    np.testing.assert_allclose(decode_latents(checkpoint, found), jets, rtol=1e-3, atol=1e-3)
    assert costs(checkpoint, jets, found).max() < 1e-6 * np.median(costs(checkpoint, jets, start))


def test_no_steps_and_no_jets_change_nothing(jets):
    checkpoint = untrained_checkpoint("tanh")
    latents = encode_jets(checkpoint, jets)
    np.testing.assert_array_equal(refine_latents(checkpoint, jets, latents, 0), latents)
    assert refine_latents(checkpoint, jets[:0], latents[:0], 3).shape == (0, 3)
    np.testing.assert_array_equal(encode_jets(checkpoint, jets, refine=2), refine_latents(checkpoint, jets, latents, 2))
    np.testing.assert_array_equal(
        reconstruct(checkpoint, jets, refine=2), decode_latents(checkpoint, encode_jets(checkpoint, jets, refine=2))
    )
    with pytest.raises(ValueError, match="found -1"):
        refine_latents(checkpoint, jets, latents, -1)


def test_compress_takes_refined_latents_and_says_so(tmp_path, jets, capsys):
    from utils.networks import save_checkpoint

    write_jets(make_table(*jets.T), tmp_path / "jets.parquet")
    save_checkpoint(tmp_path / "tanh.safetensors", untrained_checkpoint("tanh"))
    sizes = {}
    for steps in (0, 3):
        path = tmp_path / f"refined{steps}.zarr.zip"
        arguments = ["compress", str(tmp_path / "jets.parquet"), str(path), "--codec", "autoencoder"]
        assert main([*arguments, "--model", str(tmp_path / "tanh.safetensors"), "--refine", str(steps)]) == 0
        sizes[steps] = inspect(path)
    assert [report["refine"] for report in sizes.values()] == [0, 3]
    assert sizes[3]["errors"]["pt"]["half_width_68"] < sizes[0]["errors"]["pt"]["half_width_68"]
    with pytest.raises(ValueError, match="refinement belong to the codec autoencoder"):
        compress(tmp_path / "jets.parquet", tmp_path / "no.zarr.zip", refine=3)
    with pytest.raises(ValueError, match="found -2"):
        compress(tmp_path / "jets.parquet", tmp_path / "no.zarr.zip", codec="autoencoder", model="x", refine=-2)
    assert not (tmp_path / "no.zarr.zip").exists()


@pytest.mark.parametrize("number", [1, 300, BATCH_SIZE])
def test_a_jet_meets_the_same_matrix_shapes_whatever_comes_with_it(number, jets):
    checkpoint = untrained_checkpoint("tanh")
    latents = encode_jets(checkpoint, jets[:number])
    seen = []
    model = checkpoint.model
    assert isinstance(model, Autoencoder)
    hook = model.decoder.register_forward_pre_hook(lambda module, inputs: seen.append(len(inputs[0])))
    refined = refine_latents(checkpoint, jets[:number], latents, 2, threads=1)
    hook.remove()
    assert set(seen) == {BATCH_SIZE}
    assert refined.shape == latents.shape
