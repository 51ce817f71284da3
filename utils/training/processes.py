"""Training in the processes that `torchrun` started, as one."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from fastai.distributed import DistributedDL
from fastai.learner import Learner
from fastai.torch_core import num_distrib, to_detach

from utils.training.batches import JetDataLoader


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
        """Losses stay those of this process; fastai's own would gather batches that all processes share already."""
        return to_detach(b, cpu, False)


@contextmanager
def all_processes(learner: Learner) -> Iterator[None]:
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
