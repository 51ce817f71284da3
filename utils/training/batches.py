"""Batches of normalized jets for fastai."""

from collections.abc import Iterator
from typing import Any

import torch
from fastai.data.core import DataLoaders
from fastai.data.load import DataLoader
from numpy.typing import ArrayLike
from torch import nn

from utils.jets import JetError, Sample, feature_array
from utils.machine import pick_device
from utils.networks import Normalization, make_loss
from utils.training.config import TrainingConfig


class JetTensor:
    """Normalized jets as one float32 tensor of shape (jets, features), with what fastai asks of a dataset.

    A Learner takes the loss from here, where it is given none.
    """

    def __init__(self, jets: ArrayLike | torch.Tensor, loss_func: nn.Module | None = None):
        self.jets = torch.as_tensor(jets, dtype=torch.float32)
        self.loss_func = loss_func or nn.MSELoss()

    def __len__(self) -> int:
        return len(self.jets)

    def __getitem__(self, index: int | slice | list[int] | torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.jets[index], self.jets[index]

    def new_empty(self) -> "JetTensor":
        """The same without jets: what an exported Learner keeps."""
        return JetTensor(self.jets[:0], self.loss_func)


class JetDataLoader(DataLoader):
    """A fastai DataLoader whose batches are slices of one tensor on the device; input and target are the same.

    Shuffling permutes the whole tensor once an epoch.
    """

    n_inp = 1
    dataset: JetTensor

    def __init__(self, dataset: JetTensor | ArrayLike | torch.Tensor, bs: int = 1024, **kwargs: Any):
        super().__init__(dataset if isinstance(dataset, JetTensor) else JetTensor(dataset), bs=bs, **kwargs)

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        self.randomize()
        self.dataset.jets = self.dataset.jets.to(self.device)
        jets = self.dataset.jets
        if self.shuffle:
            generator = torch.Generator().manual_seed(self.rng.getrandbits(63))
            jets = jets[torch.randperm(len(jets), generator=generator).to(jets.device)]
        for i in range(len(self)):
            batch = jets[i * self.bs : (i + 1) * self.bs]
            yield batch, batch


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
            shuffle=True,
            drop_last=True,
            device=device,
        ),
        JetDataLoader(valid, bs=8192, device=device),
        device=device,
    )
