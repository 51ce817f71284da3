"""Training by the project's loop beside the original's recipe."""

import copy
import math
import random
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from typing import TypedDict

import torch
from fastai.callback.hook import Hooks
from fastai.data.core import DataLoaders

from utils.jets import Sample, feature_array
from utils.machine import CPU, torch_threads
from utils.networks import PYTORCH_LAYERS, VARIANTS, Autoencoder, AutoencoderConfig, CustomNormalization
from utils.study.ways import ORIGINAL, PROJECT, Timing, time_in_turns
from utils.training import RECORDED_STEPS, Activations, TrainingConfig, make_dataloaders, train, training_config


class EpochTime(TypedDict):
    """The validation error behind an epoch in a way, and the seconds since the start."""

    way: str
    epoch: int
    seconds: float
    valid_mse: float


class TrainingTime(TypedDict):
    """What `time_training` measures: all epochs, the seconds of one, and those until the target was reached."""

    variant: str
    jets: int
    rows: list[EpochTime]
    epoch_s: dict[str, float]
    target_mse: float
    reached_s: dict[str, float | None]


def time_training(
    sample: Sample, variant: str = "tanh", epochs: int = 10, device: torch.device = CPU, seed: int = 0
) -> TrainingTime:
    """Training by the project's loop beside the original's recipe, on the same jets with the custom normalization.

    The original's: `epochs` of Adam at the rate 1e-3, batches of 8192 that a PyTorch DataLoader gathers jet by jet. The
    project's: its own schedule, in half of the epochs. `epoch_s` holds the seconds of an epoch in both ways and
    their `ratio`; `reached_s` the seconds until the validation error was at most that of the original's last epoch
    (`target_mse`), None where it never was.
    """
    normalization = CustomNormalization()
    x, valid = (
        torch.as_tensor(normalization.normalize(feature_array(table)), dtype=torch.float32, device=device)
        for table in (sample.train, sample.valid)
    )
    rows = _train_as_original(VARIANTS[variant], x, valid, epochs, seed)
    config = training_config()
    dls = make_dataloaders(sample, normalization, config, device)
    own_epochs = max(1, epochs // 2)
    result = train(VARIANTS[variant], dls, replace(config, steps=own_epochs * len(dls.train)), seed, progress=False)
    losses = result.losses["valid"].tolist()
    rows += [
        {"way": PROJECT, "epoch": i + 1, "seconds": result.seconds * (i + 1) / len(losses), "valid_mse": loss}
        for i, loss in enumerate(losses)
    ]
    by_way = {way: [row for row in rows if row["way"] == way] for way in (PROJECT, ORIGINAL)}
    epoch_s = {way: found[-1]["seconds"] / len(found) for way, found in by_way.items()}
    target = by_way[ORIGINAL][-1]["valid_mse"]
    return {
        "variant": variant,
        "jets": len(x),
        "rows": rows,
        "epoch_s": epoch_s | {"ratio": epoch_s[ORIGINAL] / epoch_s[PROJECT]},
        "target_mse": target,
        "reached_s": {
            way: next((row["seconds"] for row in found if row["valid_mse"] <= target), None)
            for way, found in by_way.items()
        },
    }


class LoopTime(TypedDict):
    """The same training by fastai's loop and by a bare one: times by loop, and the `ratio` of their medians."""

    batch_size: int
    steps: int
    timings: dict[str, Timing]
    ratio: float


def time_loops(sample: Sample, epochs: int = 4, turns: int = 3, seed: int = 0) -> LoopTime:
    """What fastai's loop costs beside the same training of the tanh variant written out in PyTorch, on one CPU thread.

    Both take Adam at the rate 1e-3 and the same batches (of 1024 jets, fewer for a small sample), record activations,
    and after each epoch find the validation error and keep the best weights. After one of each to warm up they take
    `turns`.
    """
    training = TrainingConfig("adam", 1024, learning_rates=(1e-3, 1e-3), steps=1, betas=(0.9, 0.99))
    dls = make_dataloaders(sample, CustomNormalization(), training, CPU)
    training = replace(training, steps=epochs * len(dls.train))
    config = VARIANTS["tanh"]
    calls: dict[str, Callable[[], object]] = {
        "fastai": partial(train, config, dls, training, seed, progress=False),
        "bare": partial(train_bare, config, dls, training, seed),
    }
    with torch_threads(1):
        timings = time_in_turns(calls, turns, CPU, limit_s=math.inf)
    ratio = timings["fastai"]["median_s"] / timings["bare"]["median_s"]
    size = training.batch_size_for(len(sample.train))
    return {"batch_size": size, "steps": training.steps, "timings": timings, "ratio": ratio}


def train_bare(config: AutoencoderConfig, dls: DataLoaders, training: TrainingConfig, seed: int) -> float:
    """`training.train` at a fixed rate without fastai's loop, for a network with tanh; the best validation error."""
    torch.manual_seed(seed)
    dls.train.rng = random.Random(seed)
    model, loss_of = Autoencoder(config), dls.train.dataset.loss_func
    optimizer = torch.optim.AdamW(
        model.parameters(), training.learning_rates[0], training.betas, eps=1e-5, weight_decay=training.weight_decay
    )
    activations = [layer for layer in model.modules() if isinstance(layer, torch.nn.Tanh)]
    record, recorded = Activations(modules=activations).hook, list[list[dict[str, float]]]()
    best, kept, every = math.inf, model.state_dict(), -(-training.steps // RECORDED_STEPS)
    for epoch in range(training.steps // len(dls.train)):
        model.train()
        total = torch.zeros(())
        for step, (x, y) in enumerate(dls.train, epoch * len(dls.train)):
            with Hooks(activations, record) if step % every == 0 else nullcontext() as hooks:
                loss = loss_of(model(x), y)
                if hooks:
                    recorded.append(hooks.stored)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            total += loss.detach()
        model.eval()
        with torch.no_grad():
            error = sum(loss_of(model(x), y).item() * len(x) for x, y in dls.valid) / len(dls.valid.dataset)
        if error < best:
            best, kept = error, copy.deepcopy(model.state_dict())
    model.load_state_dict(kept)
    return best


def _train_as_original(
    config: AutoencoderConfig, x: torch.Tensor, valid: torch.Tensor, epochs: int, seed: int
) -> list[EpochTime]:
    torch.manual_seed(seed)
    model, loss_of = Autoencoder(config, PYTORCH_LAYERS).to(x.device), torch.nn.MSELoss()
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, x), batch_size=8192, shuffle=True)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, weight_decay=1e-6)
    rows: list[EpochTime] = []
    start = time.perf_counter()
    for epoch in range(epochs):
        model.train()
        for inputs, targets in loader:
            optimizer.zero_grad()
            loss_of(model(inputs), targets).backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            loss = loss_of(model(valid), valid).item()
        seconds = time.perf_counter() - start
        rows.append({"way": ORIGINAL, "epoch": epoch + 1, "seconds": seconds, "valid_mse": loss})
    return rows
