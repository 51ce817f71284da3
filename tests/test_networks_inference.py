"""Encoding and decoding: independent of batches and threads, true to the model, in bounded memory."""

import threading

import numpy as np
import pytest
import torch

from utils.networks import (
    Autoencoder,
    Checkpoint,
    StandardNormalization,
    decode_latents,
    encode_jets,
    prepare,
    reconstruct,
)
from utils.networks.prepared import LANES, MIN_SHARE, PreparedModel
from utils.study import untrained_checkpoint

NAMES = ["linear", "tanh", "leaky_relu_bn", "elu_bn", "residual_gelu"]


@pytest.fixture(scope="module")
def jets():
    rng = np.random.default_rng(2)
    n = 5000
    columns = [rng.gamma(2, 4, n), 20 + rng.exponential(60, n), rng.uniform(-3.1, 3.1, n), rng.normal(0, 2, n)]
    return np.stack(columns, axis=1).astype(np.float32)


def assert_same(found, expected):
    """To 1e-6 of each column's range."""
    assert found.dtype == np.float32
    assert np.all(np.abs(found - expected).max(axis=0) <= 1e-6 * np.ptp(expected, axis=0))


@pytest.mark.parametrize("name", NAMES)
def test_results_do_not_depend_on_batch_size_or_threads(name, jets):
    checkpoint = untrained_checkpoint(name)
    latents = encode_jets(checkpoint, jets)
    outputs = decode_latents(checkpoint, latents)
    for batch_size in (7, 128, 3333, 100_000):
        assert_same(encode_jets(checkpoint, jets, batch_size), latents)
        assert_same(decode_latents(checkpoint, latents, batch_size), outputs)
    for threads in (1, 3):
        assert_same(prepare(checkpoint, threads).encode(jets), latents)


@pytest.mark.parametrize("name", NAMES)
def test_one_jet_encodes_and_decodes_as_in_a_batch(name, jets):
    model = prepare(untrained_checkpoint(name))
    latents = model.encode(jets)
    assert_same(np.concatenate([model.encode(jets[i : i + 1]) for i in range(200)]), latents[:200])
    outputs = model.decode(latents)
    assert_same(np.concatenate([model.decode(latents[i : i + 1]) for i in range(200)]), outputs[:200])


@pytest.mark.parametrize("name", NAMES)
def test_results_are_those_of_the_model_and_its_normalization(name, jets):
    fitted = StandardNormalization().fit(jets.astype(float))
    for checkpoint in (untrained_checkpoint(name), Checkpoint(untrained_checkpoint(name).model, fitted)):
        with torch.inference_mode():
            latents = checkpoint.model.encode(checkpoint.normalization.normalize(torch.from_numpy(jets)))
            outputs = checkpoint.normalization.unnormalize(checkpoint.model.decode(latents)).numpy()
        np.testing.assert_allclose(encode_jets(checkpoint, jets), latents, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(reconstruct(checkpoint, jets), outputs, rtol=1e-4, atol=1e-5)


def test_errors_stay_far_below_those_of_sixteen_bit_latents(jets):
    for name in NAMES:
        checkpoint = untrained_checkpoint(name)
        found = encode_jets(checkpoint, jets)
        with torch.inference_mode():
            x = torch.from_numpy(jets).double()
            true = checkpoint.model.double().encode(checkpoint.normalization.normalize(x)).numpy()
        rounding = np.abs(true.astype(np.float16) - true).max(axis=0)
        assert np.all(np.abs(found - true).max(axis=0) < 0.05 * rounding)


def test_weights_that_change_are_seen_at_once(jets):
    checkpoint = untrained_checkpoint("tanh")
    assert isinstance(checkpoint.model, Autoencoder)
    before = encode_jets(checkpoint, jets)
    with torch.no_grad():
        list(checkpoint.model.encoder.parameters())[-1].add_(1)
    np.testing.assert_allclose(encode_jets(checkpoint, jets), before + 1, rtol=1e-5, atol=1e-5)


def test_double_precision_strided_and_empty_arrays_are_taken(jets):
    checkpoint = untrained_checkpoint("tanh")
    expected = encode_jets(checkpoint, jets)
    assert_same(encode_jets(checkpoint, np.asfortranarray(jets.astype(np.float64))), expected)
    assert_same(encode_jets(checkpoint, jets[::2]), expected[::2])
    assert encode_jets(checkpoint, jets[:0]).shape == (0, 3)
    assert decode_latents(checkpoint, expected[:0]).shape == (0, 4)


def test_arrays_of_another_shape_are_refused(jets):
    with pytest.raises(ValueError, match=r"expected an array of the shape \(jets, 4\), found \(5000, 3\)"):
        encode_jets(untrained_checkpoint("tanh"), jets[:, :3])
    with pytest.raises(ValueError, match=r"expected an array of the shape \(jets, 3\), found \(4,\)"):
        decode_latents(untrained_checkpoint("tanh"), jets[0])


def test_torch_keeps_its_number_of_threads(jets):
    threads = torch.get_num_threads()
    encode_jets(untrained_checkpoint("tanh"), jets)
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize("number", [1, 15, 16, 17, 130, 2051])
def test_batches_are_filled_up_to_whole_vectors_and_only_the_jets_come_back(number):
    seen = []

    def first_three(jets):
        seen.append(len(jets))
        return jets[:, :3]

    model = PreparedModel(first_three, first_three, 3, batch_size=2048, threads=1)
    rows = np.random.default_rng(0).normal(size=(number, 4)).astype(np.float32)
    np.testing.assert_array_equal(model.encode(rows), rows[:, :3])
    assert {size % LANES for size in seen} == {0}
    assert number <= sum(seen) < number + LANES


@pytest.mark.parametrize(("number", "threads", "sharing"), [(2 * MIN_SHARE - 1, 2, 1), (4 * MIN_SHARE, 4, 4)])
def test_a_call_is_shared_among_as_many_threads_as_it_is_worth(number, threads, sharing):
    batches = []
    together = threading.Barrier(sharing)

    def first_three(jets):
        if threading.get_ident() not in batches:
            together.wait(timeout=60)
        batches.append(threading.get_ident())
        return jets[:, :3]

    model = PreparedModel(first_three, first_three, 3, batch_size=768, threads=threads)
    rows = np.random.default_rng(0).normal(size=(number, 4)).astype(np.float32)
    np.testing.assert_array_equal(model.encode(rows), rows[:, :3])
    assert len(set(batches)) == sharing
    assert len(batches) % sharing == 0  # as many for each


def test_a_call_does_not_wait_for_a_thread_that_is_busy_with_another_call():
    callers, gave_up = {threading.get_ident()}, []
    helping, release = threading.Event(), threading.Event()

    def first_three(jets):
        if threading.get_ident() in callers:
            assert helping.wait(timeout=60)
        else:
            helping.set()
            if not release.wait(timeout=60):
                gave_up.append(True)
        return jets[:, :3]

    model = PreparedModel(first_three, first_three, 3, batch_size=768, threads=2)
    rows = np.random.default_rng(0).normal(size=(4 * MIN_SHARE, 4)).astype(np.float32)

    def call():
        callers.add(threading.get_ident())
        model.encode(rows)

    other = threading.Thread(target=call)
    other.start()
    assert helping.wait(timeout=60)  # the one helper of the pool has a batch of the other call
    np.testing.assert_array_equal(model.encode(rows), rows[:, :3])
    assert not gave_up
    release.set()
    other.join()
