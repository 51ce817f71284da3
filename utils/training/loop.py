"""Training an autoencoder with fastai."""

import copy
import random
import tempfile
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from fastai.callback.core import Callback
from fastai.callback.progress import ProgressCallback
from fastai.callback.schedule import ParamScheduler, SchedNo, combine_scheds, combined_cos, steep, valley
from fastai.data.core import DataLoaders
from fastai.learner import Learner
from fastai.optimizer import OptimWrapper
from fastai.torch_core import num_distrib, set_seed
from torch import nn

from utils.jets import Sample
from utils.machine import machine_info, machine_line, torch_threads
from utils.networks import Autoencoder, AutoencoderConfig, Checkpoint, Normalization, Zigzag
from utils.training.callbacks import Activations, FollowZigzag, History
from utils.training.config import TrainingConfig
from utils.training.kept import load_training, save_training, training_digest
from utils.training.processes import all_processes
from utils.training.progress import Progress
from utils.training.soap import MatrixSOAP

OPTIMIZER_FUNCTIONS: dict[str, Any] = {
    "adam": partial(OptimWrapper, opt=torch.optim.AdamW, eps=1e-5),
    "soap": partial(OptimWrapper, opt=MatrixSOAP, precondition_frequency=5),
}
"""What makes each of `OPTIMIZERS`. Adam is PyTorch's with fastai's epsilon: fastai's own takes twice the time."""

GAINS = {"tanh": 5 / 3}
"""Standard deviation of the "scaled" initial weights times the root of a layer's inputs, by activation; others have
PyTorch's, 1/sqrt(3). With 1 a linear layer hands on the variance that it gets (LeCun et al., Efficient BackProp, 1998);
tanh makes it smaller, and 5/3 makes up for that (`torch.nn.init.calculate_gain`)."""

RECORDED_STEPS = 100
"""At so many steps of a training, activations are recorded."""


def make_learner(config: AutoencoderConfig, dls: DataLoaders, training: TrainingConfig, seed: int = 0) -> Learner:
    """A fastai Learner with a freshly initialized autoencoder; the same seed gives the same weights and batches."""
    set_seed(seed, reproducible=True)
    for dl in dls.loaders:
        dl.rng = random.Random(seed)
    learner = Learner(
        dls,
        _initial_model(config, training.initial_weights),
        opt_func=partial(OPTIMIZER_FUNCTIONS[training.optimizer], betas=training.betas),
        lr=training.learning_rates[0],
        wd=training.weight_decay,
        path=Path(tempfile.gettempdir()),
    )
    learner.remove_cb(ProgressCallback)
    return learner


def _initial_model(config: AutoencoderConfig, weights: str) -> Autoencoder:
    """An autoencoder with random weights of a kind, one of `config.INITIAL_WEIGHTS`; the biases are PyTorch's."""
    model = Autoencoder(config)
    if weights == "scaled" and config.activation in GAINS:
        with torch.no_grad():
            for layer in model.modules():
                if isinstance(layer, nn.Linear):
                    layer.weight.mul_(GAINS[config.activation] * 3**0.5)
    return model


@dataclass(frozen=True)
class LearningRateScan:
    """Training loss against a learning rate that grows every step, and the rates that fastai's two rules suggest."""

    learning_rates: np.ndarray
    losses: np.ndarray
    valley: float
    steep: float


def find_learning_rate(
    config: AutoencoderConfig, dls: DataLoaders, training: TrainingConfig, seed: int = 0
) -> LearningRateScan:
    """fastai's learning-rate finder (L. N. Smith, arXiv:1506.01186) on a throw-away model."""
    with tempfile.TemporaryDirectory() as folder:
        learner = make_learner(config, dls, training, seed)
        learner.path = Path(folder)
        with learner.no_logging(), torch_threads(1):
            suggestions = learner.lr_find(start_lr=1e-6, end_lr=1, suggest_funcs=(valley, steep), show_plot=False)
    return LearningRateScan(
        np.asarray(learner.recorder.lrs), np.asarray(learner.recorder.losses), suggestions.valley, suggestions.steep
    )


FACTS = ("best_epoch", "seconds", "cpu_seconds", "machine")
"""What is known of a training beside its numbers."""


@dataclass(frozen=True)
class TrainingResult:
    """A trained model with its losses (one row an epoch: epoch, train, valid) and the fastai Learner behind it.

    `seconds` of wall time, `cpu_seconds` of all threads of the process: where other work ran meanwhile, the second says
    more; `machine` says whose time. `activations` has a row for each recorded step and layer: step, layer, mean, std.
    """

    learner: Learner
    losses: pd.DataFrame
    activations: pd.DataFrame
    best_epoch: int
    seconds: float
    cpu_seconds: float
    machine: str
    training: TrainingConfig = field(repr=False)

    @property
    def model(self) -> Autoencoder:
        """The trained network."""
        return self.learner.model


def train(
    config: AutoencoderConfig,
    dls: DataLoaders,
    training: TrainingConfig,
    seed: int = 0,
    progress: bool = True,
    keep: str | Path | None = None,
) -> TrainingResult:
    """Train an autoencoder and keep the weights of the epoch with the lowest validation loss.

    A progress bar over the epochs goes to standard error. On a CPU it takes one thread, so that the weights do not
    depend on the number of cores; more threads wait for each other, far longer where anything else runs.
    The same seed on the same machine gives the same weights. Raises FloatingPointError where the losses are not finite.

    With `keep`, a folder, the result is kept there, and one of the same jets, architecture, schedule, seed and code
    (`training_digest`) is taken from there.

    >>> from utils import jets, networks, training
    >>> sample, normalization = jets.load_sample(max_jets=500), networks.CustomNormalization()
    >>> two_steps = training.training_config("quick", steps=2)
    >>> batches = training.make_dataloaders(sample, normalization, two_steps, "cpu")
    >>> result = training.train(networks.VARIANTS["tanh"], batches, two_steps, progress=False)
    >>> list(result.losses)
    ['epoch', 'train', 'valid']
    """
    if keep is None:
        return _train(config, dls, training, seed, progress)
    digest = training_digest(config, dls, training, seed)
    found = load_training(Path(keep), digest)
    if found is None:
        result = _train(config, dls, training, seed, progress)
        tables = {"losses": result.losses, "activations": result.activations}
        facts = {name: getattr(result, name) for name in FACTS}
        save_training(Path(keep), digest, result.model.state_dict(), tables, facts)
        return result
    state, tables, about = found
    learner = make_learner(config, dls, training, seed)
    learner.model.load_state_dict(state)
    known: dict[str, Any] = {name: about[name] for name in FACTS} | tables
    return TrainingResult(learner, **known, training=training)


def _train(
    config: AutoencoderConfig, dls: DataLoaders, training: TrainingConfig, seed: int, progress: bool
) -> TrainingResult:
    if training.folds and config.latent != 3:
        raise ValueError(f"a zigzag has three numbers and the network {config.latent} latents: train with folds=None")
    learner = make_learner(config, dls, training, seed)
    epochs = max(1, round(training.steps / len(dls.train)))
    history = History(training.frozen_batch_norm * epochs)
    every = -(-epochs * len(dls.train) // RECORDED_STEPS)
    stats = Activations(every=every, modules=_activation_modules(learner.model))
    callbacks: list[Callback] = [ParamScheduler({"lr": _rates(training)}), stats, history]
    if progress:
        callbacks.append(Progress(epochs, history))
    if training.folds:
        callbacks.append(FollowZigzag(Zigzag(training.folds).fit(dls.train.dataset.jets.cpu())))
    start, cpu_start = time.perf_counter(), time.process_time()
    try:
        with learner.no_logging(), torch_threads(1), all_processes(learner):
            learner.fit(epochs, cbs=callbacks)
    except torch.linalg.LinAlgError as error:  # SOAP decomposes gradients, which NaN has no decomposition of
        raise FloatingPointError(f"the training diverged in epoch {learner.epoch}; lower the learning rate") from error
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu_start
    if not history.best_state:
        raise FloatingPointError("the validation loss was finite in no epoch; lower the learning rate")
    if num_distrib() > 1:  # several processes on GPUs trained with another class of BatchNorm
        learner.model = Autoencoder(config).to(dls.device)
    learner.model.load_state_dict(history.best_state)
    losses, activations = pd.DataFrame(history.rows), _activation_table(stats)
    machine = machine_line(machine_info())
    return TrainingResult(learner, losses, activations, history.best_epoch, seconds, cpu_seconds, machine, training)


def _rates(training: TrainingConfig) -> Any:
    """The learning rate over a training, as a function of the fraction that is done."""
    if len(training.learning_rates) == 1:
        peak = training.learning_rates[0]
        return combined_cos(training.warmup, peak / 100, peak, 0.0)
    parts = len(training.learning_rates)
    return combine_scheds([1 / parts] * parts, [SchedNo(rate, rate) for rate in training.learning_rates])


def make_checkpoint(
    result: TrainingResult, name: str, normalization: Normalization, sample: Sample, seed: int = 0
) -> Checkpoint:
    """The trained model as a checkpoint on the CPU, with the training and the data that made it."""
    losses = result.losses.to_dict("records")[result.best_epoch]
    metadata = {
        "model": name,
        "training": result.training.to_dict()
        | {
            "seed": seed,
            "epochs": len(result.losses),
            "seconds": round(result.seconds, 2),
            "cpu_seconds": round(result.cpu_seconds, 2),
            "machine": result.machine,
            "best_epoch": result.best_epoch,
            "train_loss": losses["train"],
            "valid_loss": losses["valid"],
        },
        "data": sample.training_data,
    }
    return Checkpoint(copy.deepcopy(result.model).cpu(), normalization, metadata)


def _activation_modules(model: Autoencoder) -> list[nn.Module]:
    """The activation functions, or the Linear layers of a network that has none."""
    layers = [*model.encoder, *model.decoder]
    activations = [layer for layer in layers if not isinstance(layer, nn.Linear | nn.BatchNorm1d)]
    return activations or layers


def _activation_table(stats: Activations) -> pd.DataFrame:
    every = stats.every or 1
    return pd.DataFrame(
        {"step": i * every, "layer": layer, "mean": values["mean"], "std": values["std"]}
        for i, layers in enumerate(stats.stats)
        for layer, values in enumerate(layers)
    )
