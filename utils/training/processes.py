"""Training in several processes, as one."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from fastai.distributed import DistributedDL
from fastai.learner import Learner
from fastai.torch_core import num_distrib, rank_distrib, to_detach
from torch import distributed

from utils.training.batches import JetDataLoader

MEETING = "COMPRESSIONHEP_MEETING"
"""Environment variable with the file by which processes of `launch` find each other."""


def launch(arguments: Sequence[str], processes: int) -> int:
    """Run Python with these arguments in several processes of this machine that train as one; returns the exit code.

    They meet by a file of their own, and talk over the loopback. (`torchrun` has them meet at a port that all machines
    can reach, and believes what it is sent.) Where one fails the others are ended; Ctrl-C comes to this process alone.
    """
    loopback = "lo0" if sys.platform == "darwin" else "lo"
    together = {"WORLD_SIZE": str(processes), "LOCAL_WORLD_SIZE": str(processes)}
    together |= {"GLOO_SOCKET_IFNAME": loopback, "NCCL_SOCKET_IFNAME": loopback}
    with tempfile.TemporaryDirectory() as folder:
        together[MEETING] = str(Path(folder) / "meeting")
        running = []
        for rank in map(str, range(processes)):
            environment = {"OMP_NUM_THREADS": "1"} | os.environ | together | {"RANK": rank, "LOCAL_RANK": rank}
            running.append(subprocess.Popen([sys.executable, *arguments], env=environment, start_new_session=True))
        try:
            while None in (codes := [process.poll() for process in running]) and not any(codes):
                time.sleep(0.1)
            return next(filter(None, codes), 0)
        finally:
            for process in running:
                process.kill()
                process.wait()


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
    """Train in every process that `launch` or `torchrun` started, as one; nothing where there is one.

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
    if MEETING in os.environ and not distributed.is_initialized():
        store = distributed.FileStore(os.environ[MEETING], num_distrib())
        backend = "nccl" if on_gpu else "gloo"
        distributed.init_process_group(backend, store=store, rank=rank_distrib(), world_size=num_distrib())
    with learner.distrib_ctx(sync_bn=on_gpu, cpu=not on_gpu):
        yield
    learner.dls.loaders = [train, valid]
