"""Training autoencoders with fastai: in a notebook, or from the command line in one process or several.

    torchrun --standalone --nproc-per-node 2 -m utils.training --variant tanh --output tanh.safetensors

trains in two processes, on a GPU each where there are any, with the same global batch as `python -m utils.training`.
"""

import argparse
import copy
import random
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from fastai.callback.core import Callback
from fastai.callback.hook import ActivationStats
from fastai.callback.progress import ProgressCallback
from fastai.callback.schedule import ParamScheduler, SchedCos, SchedNo, combine_scheds, steep, valley
from fastai.data.core import DataLoaders
from fastai.data.load import DataLoader
from fastai.distributed import DistributedDL
from fastai.learner import Learner, Recorder
from fastai.optimizer import Adam, OptimWrapper
from fastai.torch_core import num_distrib, rank_distrib, set_seed, to_detach
from pytorch_optimizer import SOAP
from torch import nn
from tqdm import tqdm

from utils.jets import FEATURES, JetError, Sample, feature_array, load_sample
from utils.machine import pick_device, torch_threads
from utils.metrics import evaluate, save_model
from utils.networks import (
    LOSSES,
    NORMALIZATIONS,
    VARIANTS,
    Autoencoder,
    AutoencoderConfig,
    Checkpoint,
    Normalization,
    Zigzag,
    make_loss,
)


@dataclass(frozen=True)
class TrainingConfig:
    """How to train: optimizer, batches, learning rate, and for how many steps.

    One `learning_rates` entry is the peak of a warm-up over the fraction `warmup` of the steps and a cosine to zero;
    several are fixed rates, one after the other, over equal parts of the training. Batches shrink where an epoch would
    have fewer than `min_batches`, so that a small sample is trained for as many steps as a large one.

    After the fraction `frozen_batch_norm` of the epochs, BatchNorms keep the mean and variance that they have gathered:
    those of single batches are a noise that three latent numbers cannot average away. Gradients longer than `clip`
    times their running mean are shortened to that (None: as they are): where an encoder folds four dimensions into
    three, a few jets give gradients far longer than all others. `symmetries` moves the jets by
    `apply_symmetries`. `loss` is a key of `losses.LOSSES`. With `folds`, the latents follow the code of a `Zigzag` of
    so many folds at first, as `_FollowZigzag` says.
    """

    optimizer: str
    batch_size: int
    learning_rates: tuple[float, ...]
    steps: int
    warmup: float = 0.05
    weight_decay: float = 1e-6
    min_batches: int = 20
    frozen_batch_norm: float = 0.5
    clip: float | None = None
    symmetries: bool = False
    loss: str = "mse"
    folds: int | None = None

    def __post_init__(self) -> None:
        if self.optimizer not in OPTIMIZERS:
            raise ValueError(f"unknown optimizer {self.optimizer!r}; known: {sorted(OPTIMIZERS)}")
        if self.loss not in LOSSES:
            raise ValueError(f"unknown loss {self.loss!r}; known: {', '.join(LOSSES)}")
        if self.steps < 1 or self.batch_size < 2 or not self.learning_rates:
            raise ValueError(f"training needs steps, batches of two or more and a learning rate, found {self}")
        if self.folds is not None:
            Zigzag(self.folds)  # refuses what is no number of folds
        if self.clip is not None and self.clip <= 1:
            raise ValueError(f"gradients are clipped at more than their running mean, found {self.clip} times it")

    def batch_size_for(self, jets: int) -> int:
        """Batch size for so many training jets; above 8 a multiple of 8, which several processes can share."""
        size = max(2, min(self.batch_size, jets, max(32, jets // self.min_batches)))
        return size - size % 8 if size > 8 else size

    def to_dict(self) -> dict[str, Any]:
        """A JSON-safe description."""
        return asdict(self) | {"learning_rates": list(self.learning_rates)}


OPTIMIZERS: dict[str, Any] = {
    "adam": Adam,
    "soap": partial(OptimWrapper, opt=SOAP, betas=(0.95, 0.95), precondition_frequency=10),
}
"""Adam as in the published notebooks, and SOAP (Vyas et al., arXiv:2409.11321)."""

_PROJECT = TrainingConfig(
    "soap",
    batch_size=1024,
    learning_rates=(1e-2,),
    steps=8000,
    frozen_batch_norm=0.2,
    clip=1.2,
    symmetries=True,
    folds=14,
)

_PUBLISHED = TrainingConfig("adam", 8192, learning_rates=(1e-3, 1e-4, 1e-5, 1e-6), steps=3000, min_batches=1)

SCHEDULES: dict[str, dict[str, TrainingConfig]] = {
    "project": {"quick": replace(_PROJECT, steps=1200), "reference": _PROJECT},
    "unguided": {"quick": replace(_PROJECT, steps=1200, folds=None), "reference": replace(_PROJECT, folds=None)},
    "published": {"quick": replace(_PUBLISHED, steps=300), "reference": _PUBLISHED},
}
"""Ways to spend the time of a profile, on a CPU some 40 s and 2 to 7 minutes a model: the project's own, the same
without a zigzag to begin with, and the fixed rates in phases of the original notebooks."""

BATCH_SIZES = {"residual_gelu": 512}
"""Variants that smaller batches suit: with batches of 1024, more seeds of the residual network ended badly."""


def training_config(
    profile: str = "reference",
    schedule: str = "project",
    steps: int | None = None,
    loss: str = "mse",
    variant: str | None = None,
) -> TrainingConfig:
    """The training of a profile ("quick", "reference") with a schedule: "project", "unguided" or "published".

    `steps` of the optimizer instead of the profile's own, None: those. With a `variant`, the first two have the batches
    of `BATCH_SIZES`.
    """
    if schedule not in SCHEDULES:
        raise ValueError(f"unknown schedule {schedule!r}; known: {', '.join(SCHEDULES)}")
    if profile not in SCHEDULES[schedule]:
        raise ValueError(f"unknown profile {profile!r}; known: {', '.join(SCHEDULES[schedule])}")
    config = SCHEDULES[schedule][profile]
    if schedule != "published" and variant in BATCH_SIZES:
        config = replace(config, batch_size=BATCH_SIZES[variant])
    return replace(config, steps=config.steps if steps is None else steps, loss=loss)


class JetTensor:
    """Normalized jets as one float32 tensor of shape (jets, features), with what fastai asks of a dataset.

    A Learner takes the loss from here, where it is given none.
    """

    def __init__(self, jets: Any, loss_func: Any = None):
        self.jets = torch.as_tensor(jets, dtype=torch.float32)
        self.loss_func = loss_func or nn.MSELoss()

    def __len__(self) -> int:
        return len(self.jets)

    def __getitem__(self, index: Any) -> tuple[torch.Tensor, torch.Tensor]:
        return self.jets[index], self.jets[index]

    def new_empty(self) -> "JetTensor":
        """The same without jets: what an exported Learner keeps."""
        return JetTensor(self.jets[:0], self.loss_func)


class JetDataLoader(DataLoader):
    """A fastai DataLoader whose batches are slices of one tensor on the device; input and target are the same.

    Shuffling permutes the whole tensor once an epoch. With `symmetries`, the normalization of the jets, it also moves
    them by `apply_symmetries`, anew in every epoch.
    """

    n_inp = 1
    dataset: JetTensor

    def __init__(self, dataset: Any, bs: int = 1024, symmetries: Normalization | None = None, **kwargs: Any):
        super().__init__(dataset if isinstance(dataset, JetTensor) else JetTensor(dataset), bs=bs, **kwargs)
        self.symmetries = symmetries

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        self.randomize()
        self.dataset.jets = self.dataset.jets.to(self.device)
        jets = self.dataset.jets
        if self.shuffle:
            generator = torch.Generator().manual_seed(self.rng.getrandbits(63))
            jets = jets[torch.randperm(len(jets), generator=generator).to(jets.device)]
            if self.symmetries is not None:
                jets = apply_symmetries(jets, self.symmetries, generator)
        for i in range(len(self)):
            batch = jets[i * self.bs : (i + 1) * self.bs]
            yield batch, batch


def apply_symmetries(jets: torch.Tensor, normalization: Normalization, generator: torch.Generator) -> torch.Tensor:
    """Turn every jet by a random angle around the beam, and mirror half of them at the plane eta = 0.

    Jets of unpolarized symmetric beams in a symmetric detector are distributed as before. `jets` are normalized ones,
    shape (jets, 4); a copy is returned.
    """
    phi, eta = FEATURES.index("phi"), FEATURES.index("eta")
    turn, mirror = torch.rand(2, len(jets), generator=generator).to(jets)
    jets = jets.clone()
    offset, scale = normalization.offset, normalization.scale
    angle = jets[:, phi] * scale[phi] + offset[phi] + 2 * np.pi * turn
    jets[:, phi] = (torch.remainder(angle, 2 * np.pi) - np.pi - offset[phi]) / scale[phi]
    mirrored = -jets[:, eta] - 2 * offset[eta] / scale[eta]
    jets[:, eta] = torch.where(mirror < 0.5, mirrored, jets[:, eta])
    return jets


def make_dataloaders(
    sample: Sample, normalization: Normalization, training: TrainingConfig, device: str | torch.device | None = None
) -> DataLoaders:
    """Training and validation batches of a sample's normalized jets, on `device` (None: a GPU where there is one).

    Every training batch is full: what an epoch leaves over comes up in the next, since the order is drawn anew.
    Raises JetError where there are fewer than two training jets or no validation jet.
    """
    if len(sample.train) < 2 or len(sample.valid) < 1:
        raise JetError(
            "training needs two or more training jets and a validation jet, "
            f"found {len(sample.train)} and {len(sample.valid)}"
        )
    loss = make_loss(training.loss, normalization)
    train, valid = (
        JetTensor(normalization.normalize(feature_array(table)), loss) for table in (sample.train, sample.valid)
    )
    device = pick_device(device)
    return DataLoaders(
        JetDataLoader(
            train,
            bs=training.batch_size_for(len(train)),
            symmetries=normalization if training.symmetries else None,
            shuffle=True,
            drop_last=True,
            device=device,
        ),
        JetDataLoader(valid, bs=8192, device=device),
        device=device,
    )


def make_learner(config: AutoencoderConfig, dls: DataLoaders, training: TrainingConfig, seed: int = 0) -> Learner:
    """A fastai Learner with a freshly initialized autoencoder; the same seed gives the same weights and batches."""
    set_seed(seed, reproducible=True)
    for dl in dls.loaders:
        dl.rng = random.Random(seed)
    learner = Learner(
        dls,
        Autoencoder(config),
        opt_func=OPTIMIZERS[training.optimizer],
        lr=training.learning_rates[0],
        wd=training.weight_decay,
        path=Path(tempfile.gettempdir()),
    )
    learner.remove_cb(ProgressCallback)
    return learner


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


@dataclass(frozen=True)
class TrainingResult:
    """A trained model with its losses (one row an epoch: epoch, train, valid) and the fastai Learner behind it.

    `seconds` of wall time, `cpu_seconds` of all threads of the process: where other work ran meanwhile, the second says
    more. `activations` has a row for each recorded step and layer: step, layer, mean, std.
    """

    learner: Learner
    losses: pd.DataFrame
    activations: pd.DataFrame
    best_epoch: int
    seconds: float
    cpu_seconds: float
    training: TrainingConfig = field(repr=False)

    @property
    def model(self) -> Autoencoder:
        return self.learner.model


def train(
    config: AutoencoderConfig, dls: DataLoaders, training: TrainingConfig, seed: int = 0, progress: bool = True
) -> TrainingResult:
    """Train an autoencoder and keep the weights of the epoch with the lowest validation loss.

    A progress bar over the epochs goes to standard error. On a CPU it takes one thread, so that the weights do not
    depend on the number of cores; more threads wait for each other, far longer where anything else runs.
    The same seed on the same machine gives the same weights. Raises FloatingPointError where the losses are not finite.
    """
    if training.folds and config.latent != 3:
        raise ValueError(f"a zigzag has three numbers and the network {config.latent} latents: train with folds=None")
    learner = make_learner(config, dls, training, seed)
    epochs = max(1, round(training.steps / len(dls.train)))
    history = _History(epochs, training.frozen_batch_norm * epochs, progress)
    stats = ActivationStats(every=max(1, epochs * len(dls.train) // 200), modules=_activation_modules(learner.model))
    if len(training.learning_rates) == 1:
        peak = training.learning_rates[0]
        schedule = combine_scheds(
            [training.warmup, 1 - training.warmup], [SchedCos(peak / 100, peak), SchedCos(peak, 0.0)]
        )
    else:
        parts = len(training.learning_rates)
        schedule = combine_scheds([1 / parts] * parts, [SchedNo(rate, rate) for rate in training.learning_rates])
    start, cpu_start = time.perf_counter(), time.process_time()
    try:
        with learner.no_logging(), torch_threads(1), _all_processes(learner):
            extra: list[Callback] = [_Clip(training.clip)] if training.clip else []
            if training.folds:
                extra.append(_FollowZigzag(Zigzag(training.folds).fit(dls.train.dataset.jets.cpu())))
            learner.fit(epochs, cbs=[ParamScheduler({"lr": schedule}), stats, history, *extra])
    except torch.linalg.LinAlgError as error:  # SOAP decomposes gradients, which NaN has no decomposition of
        raise FloatingPointError(f"the training diverged in epoch {learner.epoch}; lower the learning rate") from error
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu_start
    if not history.best_state:
        raise FloatingPointError("the validation loss was finite in no epoch; lower the learning rate")
    if num_distrib() > 1:  # several processes on GPUs trained with another class of BatchNorm
        learner.model = Autoencoder(config).to(dls.device)
    learner.model.load_state_dict(history.best_state)
    losses, activations = pd.DataFrame(history.rows), _activation_table(stats)
    return TrainingResult(learner, losses, activations, history.best_epoch, seconds, cpu_seconds, training)


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
            "best_epoch": result.best_epoch,
            "train_loss": losses["train"],
            "valid_loss": losses["valid"],
        },
        "data": sample.training_data,
    }
    return Checkpoint(copy.deepcopy(result.model).cpu(), normalization, metadata)


class PartOfBatches(DistributedDL):
    """What one of several processes sees of a JetDataLoader: its share of every batch, or all of it.

    The order of the jets is the same in all processes, since it comes from the same seed. fastai's own class would
    share out the jets of an epoch instead, so that a step saw other jets than in one process.
    """

    def __init__(self, dl: JetDataLoader, shared: bool):
        super().__init__(dl)
        self.shared = shared

    def __len__(self) -> int:
        return len(self.dl)

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        mine = slice(self.rank, None, self.world_size) if self.shared else slice(None)
        for x, y in self.dl:
            yield x[mine], y[mine]

    def to_detach(self, b: Any, cpu: bool = True, gather: bool = True) -> Any:
        return to_detach(b, cpu, False)


@contextmanager
def _all_processes(learner: Learner) -> Iterator[None]:
    """Train in every process that `torchrun` started, as one; nothing where it started none.

    Each batch is shared out, gradients are averaged (torch's DistributedDataParallel, by way of fastai and accelerate).
    BatchNorms see whole batches on GPUs, where torch can synchronize them; on CPUs the share of their own process.
    """
    if num_distrib() < 2:
        yield
        return
    train, valid = learner.dls.loaders
    if train.bs % num_distrib():
        raise ValueError(f"a batch of {train.bs} jets cannot be shared evenly between {num_distrib()} processes")
    learner.dls.loaders = [PartOfBatches(train, shared=True), PartOfBatches(valid, shared=False)]
    on_gpu = learner.dls.device.type == "cuda"
    with learner.distrib_ctx(sync_bn=on_gpu, cpu=not on_gpu):
        yield
    learner.dls.loaders = [train, valid]


class _Clip(Callback):
    """Shorten gradients to `factor` times the running mean of their length, in which shortened ones count as such."""

    def __init__(self, factor: float):
        super().__init__()
        self.factor = factor

    def before_fit(self) -> None:
        self.mean: torch.Tensor | None = None

    def before_step(self) -> None:
        parameters = [parameter for parameter in self.model.parameters() if parameter.grad is not None]
        length = nn.utils.get_total_norm(parameter.grad for parameter in parameters)
        self.mean = length if self.mean is None else self.mean
        limit = self.factor * self.mean
        nn.utils.clip_grads_with_norm_(parameters, float(limit), length)
        self.mean = torch.lerp(self.mean, torch.minimum(length, limit), 0.01)


FOLLOWED = (0.4, 0.5)
"""Fractions of a training: until the first, latents follow a zigzag with full weight; from the second, not at all."""


class _FollowZigzag(Callback):
    """Add the mean squared distance between latents and the code of a zigzag to the loss that is minimized.

    In units of the loss: times what it makes of a mean squared error of 1. With full weight until the first of
    `FOLLOWED`, then less and less until the second. From there on the training is as without, but from a surface with
    the folds of the zigzag: how many there are, gradient descent hardly changes.
    """

    def __init__(self, zigzag: Zigzag):
        super().__init__()
        self.zigzag = zigzag

    def before_fit(self) -> None:
        encoder: Any = _unwrapped(self.model).encoder
        self.hook = encoder.register_forward_hook(self._keep)

    def _keep(self, encoder: nn.Module, inputs: Any, latents: torch.Tensor) -> None:
        self.latents = latents

    def after_loss(self) -> None:
        full, free = FOLLOWED
        weight = min(1.0, (free - self.pct_train) / (free - full))
        if self.training and weight > 0:
            code = torch.as_tensor(self.zigzag.encode(self.x.cpu())).to(self.x)
            unit = self.loss.detach() / nn.functional.mse_loss(self.pred.detach(), self.y)
            self.learn.loss_grad = self.loss_grad + weight * unit * nn.functional.mse_loss(self.latents, code)

    def after_fit(self) -> None:
        self.hook.remove()


class _History(Callback):
    """Losses of every epoch, the best weights in memory, and one progress bar."""

    order = Recorder.order + 1

    def __init__(self, epochs: int, frozen_from: float, progress: bool):
        super().__init__()
        self.epochs, self.frozen_from, self.progress = epochs, frozen_from, progress
        self.rows: list[dict[str, float]] = []
        self.best_epoch, self.best_loss = -1, float("inf")
        self.best_state: dict[str, torch.Tensor] = {}

    def before_fit(self) -> None:
        self.bar = tqdm(
            total=self.epochs, desc="training", unit="epoch", disable=not self.progress, file=sys.stderr, mininterval=1
        )

    def before_train(self) -> None:
        if self.epoch >= self.frozen_from:
            for layer in self.model.modules():
                if isinstance(layer, nn.modules.batchnorm._BatchNorm):  # also those that processes synchronize
                    layer.eval()
        self.train_loss = torch.zeros((), device=self.dls.device)

    def after_batch(self) -> None:
        if self.training:
            self.train_loss += self.learn.loss.detach()

    def after_epoch(self) -> None:
        if num_distrib() > 1:
            torch.distributed.all_reduce(self.train_loss)
            self.train_loss /= num_distrib()
        train = self.train_loss.item() / len(self.dls.train)
        valid = float(self.recorder.loss.value)
        if not np.isfinite(train):
            raise FloatingPointError(f"the training loss became {train} in epoch {self.epoch}; lower the learning rate")
        self.rows.append({"epoch": self.epoch, "train": train, "valid": valid})
        if valid < self.best_loss:
            self.best_epoch, self.best_loss = self.epoch, valid
            self.best_state = copy.deepcopy(_unwrapped(self.model).state_dict())
        self.bar.set_postfix(train=f"{train:.3g}", valid=f"{valid:.3g}", best=f"{self.best_loss:.3g}", refresh=False)
        self.bar.update()

    def after_fit(self) -> None:
        self.bar.close()


def _unwrapped(model: Any) -> nn.Module:
    """The model itself, which several processes wrap."""
    return getattr(model, "module", model)


def _activation_modules(model: Autoencoder) -> list[nn.Module]:
    """The activation functions, or the Linear layers of a network that has none."""
    layers = [*model.encoder, *model.decoder]
    activations = [layer for layer in layers if not isinstance(layer, nn.Linear | nn.BatchNorm1d)]
    return activations or layers


def _activation_table(stats: ActivationStats) -> pd.DataFrame:
    every = stats.every or 1
    return pd.DataFrame(
        {"step": i * every, "layer": layer, "mean": values["mean"], "std": values["std"]}
        for i, layers in enumerate(stats.stats)
        for layer, values in enumerate(layers)
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Train one model from the command line; with `torchrun`, in all of its processes.

    Returns the exit code: 0, 1 where the training diverged, 2 for bad input or usage.
    """
    parser = argparse.ArgumentParser(prog="python -m utils.training", description="Train an autoencoder of jets.")
    parser.add_argument("--variant", default="tanh", choices=VARIANTS, help="default: %(default)s")
    parser.add_argument("--dataset", default="embedded", help="embedded, published, or a file (default: %(default)s)")
    parser.add_argument("--normalization", default="custom", choices=NORMALIZATIONS, help="default: %(default)s")
    parser.add_argument("--profile", default="reference", choices=SCHEDULES["project"], help="default: %(default)s")
    parser.add_argument("--schedule", default="project", choices=SCHEDULES, help="default: %(default)s")
    parser.add_argument("--steps", type=int, help="steps of the optimizer (default: those of the profile)")
    parser.add_argument("--loss", default="mse", choices=LOSSES, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    parser.add_argument("--max-jets", type=int, help="at most so many training jets (default: all)")
    parser.add_argument("--device", help="cpu, cuda, ... (default: a GPU for each process where there are any)")
    parser.add_argument("--output", required=True, metavar="FILE.safetensors", help="where the model goes")
    options = parser.parse_args(arguments)
    try:
        _train_one(options)
    except (ValueError, OSError, FloatingPointError) as error:
        print(f"{parser.prog}: error: {error}", file=sys.stderr)
        return 1 if isinstance(error, FloatingPointError) else 2
    return 0


def _train_one(options: argparse.Namespace) -> None:
    sample = load_sample(options.dataset, options.max_jets, options.seed)
    config = training_config(options.profile, options.schedule, options.steps, options.loss, options.variant)
    normalization = NORMALIZATIONS[options.normalization].fit(feature_array(sample.train))
    batches = make_dataloaders(sample, normalization, config, options.device)
    result = train(VARIANTS[options.variant], batches, config, options.seed, progress=rank_distrib() == 0)
    if rank_distrib() == 0:
        checkpoint = make_checkpoint(result, options.variant, normalization, sample, options.seed)
        row = evaluate(checkpoint, sample.test)
        save_model(Path(options.output), checkpoint, row)
        last = result.losses.iloc[result.best_epoch]
        print(
            f"{options.output}: test MSE {row['mse']:.6g}, training loss {last['train']:.6g}, validation loss "
            f"{last['valid']:.6g} in epoch {result.best_epoch + 1} of {len(result.losses)}, {result.seconds:.1f} s"
        )
