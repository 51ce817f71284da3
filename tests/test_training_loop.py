"""Training is repeatable, keeps the best weights, and feeds batches that are slices of one tensor."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from fastai.callback.core import Callback
from fastai.callback.hook import ActivationStats
from fastai.learner import Learner, load_learner

from utils.cli import main
from utils.files import OutputError
from utils.jets import JetError, Sample, make_table
from utils.machine import pick_device
from utils.networks import VARIANTS, Autoencoder, AutoencoderConfig, CustomNormalization, Zigzag
from utils.training import (
    INITIAL_WEIGHTS,
    Activations,
    FollowZigzag,
    JetDataLoader,
    find_learning_rate,
    make_checkpoint,
    make_dataloaders,
    make_learner,
    train,
    training_config,
    training_digest,
)

CONFIG = AutoencoderConfig((4, 16, 3, 16, 4))
TRAINING = replace(training_config(), steps=60, batch_size=64)


def make_jets(jets: int, seed: int = 0):
    rng = np.random.default_rng(seed)
    return make_table(
        rng.gamma(3, 3, jets), 20 + rng.exponential(40, jets), rng.uniform(-3, 3, jets), rng.normal(0, 1.5, jets)
    )


def sample_of(train: int, valid: int) -> Sample:
    return Sample(make_jets(train), make_jets(valid, 1), make_jets(100, 2), {"dataset": "made up"})


SAMPLE = sample_of(640, 100)


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def batches():
    return make_dataloaders(SAMPLE, CustomNormalization(), TRAINING, "cpu")


def weights(result) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in result.model.parameters()])


def test_an_epoch_shows_every_jet_once_in_a_new_order() -> None:
    jets = torch.arange(100.0).reshape(25, 4)
    loader = JetDataLoader(jets, bs=10, shuffle=True)
    first, second = (torch.cat([x for x, _ in loader]) for _ in range(2))
    assert [len(x) for x, _ in loader] == [10, 10, 5]
    assert not torch.equal(first, second)
    for epoch in (first, second):
        assert torch.equal(epoch[epoch[:, 0].argsort()], jets)


def test_unshuffled_batches_are_views_of_the_tensor() -> None:
    loader = JetDataLoader(torch.rand(20, 4), bs=8)
    for i, (x, y) in enumerate(loader):
        assert x is y
        assert x.data_ptr() == loader.dataset.jets[8 * i :].data_ptr()


def test_the_loader_is_one_that_fastai_can_use(batches, tmp_path) -> None:
    learner = make_learner(CONFIG, batches, TRAINING)
    x, y = batches.one_batch()
    assert x.shape == y.shape == (32, 4)
    assert batches.valid.new(bs=7).one_batch()[0].shape == (7, 4)
    assert batches.valid.to("cpu") is None
    assert batches.device == torch.device("cpu")
    assert "Linear" in str(learner.summary())
    with learner.no_bar():
        outputs, targets = learner.get_preds()
    assert outputs.shape == (100, 4)
    torch.testing.assert_close(targets, batches.valid.dataset.jets)
    learner.export(tmp_path / "learner.pkl")
    exported = load_learner(tmp_path / "learner.pkl")
    torch.testing.assert_close(exported.model(x), learner.model(x))
    assert len(exported.dls.train_ds) == 0


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(batches) -> None:
    first, second, other = (train(CONFIG, batches, TRAINING, seed, progress=False) for seed in (3, 3, 4))
    assert torch.equal(weights(first), weights(second))
    assert not torch.equal(weights(first), weights(other))


def test_the_finder_leaves_no_trace_in_the_training(batches) -> None:
    alone = train(CONFIG, batches, TRAINING, progress=False)
    scan = find_learning_rate(CONFIG, batches, TRAINING)
    assert scan.learning_rates[0] < scan.valley < scan.learning_rates[-1]
    assert len(scan.learning_rates) == len(scan.losses)
    assert torch.equal(weights(train(CONFIG, batches, TRAINING, progress=False)), weights(alone))


def test_the_best_weights_on_the_validation_jets_are_kept(batches) -> None:
    wild = replace(TRAINING, learning_rates=(3e-2, 3e-1))
    result = train(CONFIG, batches, wild, progress=False)
    assert result.best_epoch == result.losses["valid"].argmin()
    x = batches.valid.dataset.jets
    with torch.inference_mode():
        loss = float(torch.nn.functional.mse_loss(result.model.eval()(x), x))
    assert loss == pytest.approx(result.losses["valid"].min(), rel=1e-5)


def test_training_lowers_the_loss_and_is_recorded(batches) -> None:
    result = train(CONFIG, batches, TRAINING, progress=False)
    assert result.losses["valid"].iloc[-1] < 0.5 * result.losses["valid"].iloc[0]
    assert len(result.losses) == round(60 / 20)
    assert set(result.activations["layer"]) == {0, 1, 2}
    assert result.activations["step"].max() < 60
    record = make_checkpoint(result, "small", CustomNormalization(), SAMPLE, seed=0).metadata
    assert record["training"]["best_epoch"] == result.best_epoch
    assert record["training"]["optimizer"] == "soap"
    assert record["data"]["dataset"] == "made up"


def test_the_published_schedule_steps_through_its_rates(batches) -> None:
    published = replace(training_config("quick", "published"), steps=40, batch_size=32)
    result = train(CONFIG, batches, published, progress=False)
    rates = np.asarray(result.learner.recorder.lrs)
    assert np.unique(np.round(np.log10(rates), 6)).tolist() == [-6, -5, -4, -3]
    assert (np.diff(rates) <= 0).all()


def test_the_projects_schedule_ends_at_zero(batches) -> None:
    rates = np.asarray(train(CONFIG, batches, TRAINING, progress=False).learner.recorder.lrs)
    assert rates.max() == pytest.approx(1.5e-2, rel=0.02)
    assert rates[-1] < 1e-4


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("weights", INITIAL_WEIGHTS)
def test_first_weights_have_the_spread_that_the_schedule_asks_for(batches, variant: str, weights: str) -> None:
    config = VARIANTS[variant]
    model = make_learner(config, batches, replace(TRAINING, initial_weights=weights)).model
    wanted = 5 / 3 if (variant, weights) == ("tanh", "scaled") else 1 / 3**0.5
    layers = [layer for layer in model.modules() if isinstance(layer, torch.nn.Linear) and layer.weight.numel() > 150]
    assert len(layers) >= 4
    for layer in layers:
        tolerance = 4 / layer.weight.numel() ** 0.5
        assert layer.weight.std().item() * layer.in_features**0.5 == pytest.approx(wanted, rel=tolerance)


@pytest.mark.parametrize(("jets", "batch"), [(100_000, 640), (12_800, 640), (2000, 96), (400, 32), (20, 16), (7, 7)])
def test_small_samples_get_small_batches(jets: int, batch: int) -> None:
    assert training_config("quick").batch_size_for(jets) == batch


def test_bad_choices_are_refused_with_those_there_are() -> None:
    with pytest.raises(ValueError, match=r"unknown profile 'fast'; known: quick, reference"):
        training_config("fast")
    with pytest.raises(ValueError, match=r"unknown schedule 'x'; known: plain, zigzag, published"):
        training_config("quick", "x")
    with pytest.raises(ValueError, match=r"unknown optimizer 'sgd'"):
        replace(TRAINING, optimizer="sgd")
    with pytest.raises(ValueError, match=r"unknown initial weights 'zeros'; known: pytorch, scaled"):
        replace(TRAINING, initial_weights="zeros")
    with pytest.raises(ValueError, match=r"unknown device 'nonsense'; expected cpu"):
        pick_device("nonsense")


def test_the_command_names_what_is_wrong_and_writes_nothing(tmp_path, capsys) -> None:
    output = tmp_path / "model.safetensors"
    (tmp_path / "jets.csv").write_text("m,pt,phi,eta\n1,abc,0,0\n")
    for options, message in (
        (["--dataset", str(tmp_path / "none.root")], "none.root"),
        (["--dataset", str(tmp_path / "jets.csv")], "jets.csv"),
        (["--steps", "0"], "training needs steps"),
    ):
        assert main(["train", *options, "--output", str(output)]) == 2
        assert message in capsys.readouterr().err
    assert not output.exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_gpu_that_is_not_there_is_an_error_and_none_is_the_cpu() -> None:
    assert pick_device(None) == torch.device("cpu")
    with pytest.raises(ValueError, match="no GPU that torch can use"):
        pick_device("cuda")


def test_training_batches_are_full_and_show_a_jet_at_most_once() -> None:
    loader = make_dataloaders(sample_of(650, 50), CustomNormalization(), TRAINING, "cpu").train
    shown = torch.cat([x for x, _ in loader])
    assert {len(x) for x, _ in loader} == {loader.bs}
    assert len(shown) == len(shown.unique(dim=0)) == loader.bs * (650 // loader.bs) < 650


def test_a_new_loader_keeps_what_is_not_changed(batches) -> None:
    loader = batches.train.new(bs=16)
    assert isinstance(loader, JetDataLoader)
    assert (loader.bs, loader.shuffle, loader.drop_last, len(loader)) == (16, True, True, 40)


def test_new_jets_go_through_a_trained_learner(batches) -> None:
    result = train(CONFIG, batches, TRAINING, progress=False)
    jets = torch.rand(5, 4)
    with result.learner.no_bar():
        outputs, _ = result.learner.get_preds(dl=batches.test_dl(jets))
    torch.testing.assert_close(outputs, result.model.eval()(jets).detach())


@pytest.mark.parametrize("schedule", ["plain", "zigzag"])
def test_the_schedules_lower_the_error_and_are_repeatable(schedule: str) -> None:
    config = replace(training_config("quick", schedule), steps=100, batch_size=64)
    results = [
        train(CONFIG, make_dataloaders(SAMPLE, CustomNormalization(), config, "cpu"), config, progress=False)
        for _ in range(2)
    ]
    assert results[0].losses["valid"].iloc[-1] < 0.5 * results[0].losses["valid"].iloc[0]
    assert torch.equal(weights(results[0]), weights(results[1]))


def test_a_kept_training_is_the_same_as_one_that_is_done(batches, tmp_path, monkeypatch) -> None:
    config = AutoencoderConfig((4, 8, 3, 8, 4), "elu", batch_norm=True)
    done = train(config, batches, TRAINING, seed=3, progress=False, keep=tmp_path)
    monkeypatch.setattr(Learner, "fit", None)
    found = train(config, batches, TRAINING, seed=3, progress=False, keep=tmp_path)
    pd.testing.assert_frame_equal(found.losses, done.losses)
    pd.testing.assert_frame_equal(found.activations, done.activations)
    assert (found.best_epoch, found.seconds) == (done.best_epoch, done.seconds)
    assert all(torch.equal(found.model.state_dict()[name], value) for name, value in done.model.state_dict().items())
    assert make_checkpoint(found, "x", CustomNormalization(), SAMPLE).metadata["training"]["epochs"] == len(done.losses)


def test_whatever_a_training_depends_on_makes_another_one(batches) -> None:
    other = make_dataloaders(sample_of(640, 99), CustomNormalization(), TRAINING, "cpu")
    digests = [
        training_digest(CONFIG, batches, TRAINING, 0),
        training_digest(CONFIG, batches, TRAINING, 1),
        training_digest(CONFIG, batches, replace(TRAINING, betas=(0.9, 0.95)), 0),
        training_digest(replace(CONFIG, activation="elu"), batches, TRAINING, 0),
        training_digest(CONFIG, other, TRAINING, 0),
    ]
    assert len(set(digests)) == len(digests)
    again = make_dataloaders(SAMPLE, CustomNormalization(), TRAINING, "cpu")
    assert training_digest(CONFIG, again, TRAINING, 0) == digests[0]


def test_what_is_kept_is_not_taken_from_a_damaged_file(batches, tmp_path) -> None:
    first = train(CONFIG, batches, TRAINING, progress=False, keep=tmp_path)
    (path,) = tmp_path.glob("*.safetensors")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(OutputError, match="not as this project wrote it"):
        train(CONFIG, batches, TRAINING, progress=False, keep=tmp_path)
    path.unlink()
    assert torch.equal(weights(train(CONFIG, batches, TRAINING, progress=False, keep=tmp_path)), weights(first))


def test_activations_are_those_of_fastai(batches) -> None:
    stats = ActivationStats(every=7, modules=list(Autoencoder(CONFIG).encoder))
    x = torch.randn(500, 16) * 3 + 1
    ours, theirs = (kind.hook(torch.nn.Identity(), (x,), x) for kind in (Activations(), stats))
    assert ours["mean"] == pytest.approx(theirs["mean"], abs=1e-5)
    assert ours["std"] == pytest.approx(theirs["std"], rel=1e-3)


class FromZigzag(Callback):
    """Mean squared distance of the latents of all jets from the code of a zigzag, after every epoch."""

    def __init__(self, folds: int):
        super().__init__()
        self.zigzag = Zigzag(folds)
        self.distances: list[float] = []

    def after_epoch(self) -> None:
        jets = self.dls.train.dataset.jets
        with torch.no_grad():
            latents = self.model.encode(jets).numpy()
        self.distances.append(float(np.mean((latents - self.zigzag.fit(jets).encode(jets)) ** 2)))


def test_latents_follow_the_zigzag_and_are_set_free(batches) -> None:
    distances = {}
    for folds in (2, None):
        record = FromZigzag(2)
        learner = make_learner(CONFIG, batches, TRAINING)
        follow = FollowZigzag(Zigzag(2).fit(batches.train.dataset.jets))
        guide = [follow] if folds else []
        with learner.no_logging():
            learner.fit(24, lr=1e-2, cbs=[record, *guide])
        distances[folds] = record.distances
        if folds:
            seen = follow.latents
            learner.model.encoder(batches.train.dataset.jets)
            assert follow.latents is seen, "it looks on no longer"
    followed = distances[2]
    assert followed[8] < 0.3 * followed[0]
    assert followed[8] < 0.3 * min(distances[None])
    assert followed[-1] > 1.2 * followed[8]


@pytest.mark.parametrize("folds", [0, -1])
def test_a_number_of_folds_that_is_none_is_refused(folds: int) -> None:
    with pytest.raises(ValueError, match=f"folds, found {folds}"):
        replace(TRAINING, folds=folds)


def test_a_zigzag_needs_three_latents(batches) -> None:
    with pytest.raises(ValueError, match="three numbers and the network 2 latents"):
        train(AutoencoderConfig((4, 8, 2, 8, 4)), batches, replace(TRAINING, folds=3), progress=False)


@pytest.mark.parametrize("jets", [100, 640, 1500])
def test_a_training_takes_its_steps_whatever_the_size_of_the_sample(jets: int) -> None:
    batches = make_dataloaders(sample_of(jets, 50), CustomNormalization(), TRAINING, "cpu")
    result = train(CONFIG, batches, TRAINING, progress=False)
    taken = len(result.learner.recorder.lrs)
    assert taken == len(result.losses) * len(batches.train)
    assert abs(taken - TRAINING.steps) <= len(batches.train) / 2


def test_batch_norm_trains_where_jets_are_left_over() -> None:
    config = AutoencoderConfig((4, 8, 3, 8, 4), "elu", batch_norm=True)
    batches = make_dataloaders(sample_of(33, 50), CustomNormalization(), TRAINING, "cpu")
    losses = train(config, batches, TRAINING, progress=False).losses
    assert np.isfinite(losses[["train", "valid"]].to_numpy()).all()


@pytest.mark.parametrize(("jets", "valid"), [(1, 50), (0, 50), (50, 0)])
def test_too_few_jets_to_train_are_an_error_with_their_number(jets: int, valid: int) -> None:
    with pytest.raises(JetError, match=f"a validation jet, found {jets} and {valid}"):
        make_dataloaders(sample_of(jets, valid), CustomNormalization(), TRAINING, "cpu")


@pytest.mark.parametrize(
    ("optimizer", "part", "message"),
    [
        ("soap", "train", "training diverged in epoch 0; lower the learning rate"),
        ("adam", "train", "training loss became nan in epoch 0; lower the learning rate"),
        ("soap", "valid", "validation loss was finite in no epoch"),
    ],
)
def test_a_loss_that_is_no_number_is_an_error(batches, optimizer: str, part: str, message: str) -> None:
    getattr(batches, part).dataset.jets[:, 0] = float("nan")
    with pytest.raises(FloatingPointError, match=message):
        train(CONFIG, batches, replace(TRAINING, optimizer=optimizer), progress=False)
