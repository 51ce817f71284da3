"""Tasks on Dask workers: the cores of this machine, or a cluster that runs already."""

import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO, TypeVar, TypeVarTuple

from dask import config
from distributed import Client, LocalCluster, as_completed
from tqdm import tqdm

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

ANSWER_SECONDS = 15
"""How long a scheduler may take to answer, and to have a first worker."""

LOG_SECONDS = 60
"""A progress bar in a log is printed no more often than this."""

_SETTINGS = {
    "distributed.worker.daemon": True,
    "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": None,
    "distributed.nanny.pre-spawn-environ.PYTHONWARNINGS": "ignore::FutureWarning",  # of libraries that are imported
}
"""Dask has its workers give back memory at once, so that a training asks for the same pages again at every step: that
took two fifths of its time."""


class ClusterError(ValueError):
    """A Dask cluster that is not there, or has no workers."""


@contextmanager
def connect(workers: int | None = None, scheduler: str | None = None) -> Iterator[Client]:
    """A Dask client: of the running `scheduler` (its address, or a scheduler file), or of processes on this machine.

    Processes of this machine are `workers` many (default: one a core) with one thread each; they end with the block.
    Raises ClusterError where no scheduler answers within `ANSWER_SECONDS`, or has no worker.
    """
    if scheduler is not None:
        if workers is not None:
            raise ClusterError("a running cluster has its own workers: give a number of workers or a scheduler")
        with _running(scheduler) as client:
            yield client
        return
    if workers is not None and workers < 1:
        raise ClusterError(f"expected one worker at least, found {workers}")
    with (
        config.set(_SETTINGS),
        LocalCluster(
            n_workers=workers or available_cores(),
            threads_per_worker=1,
            memory_limit=0,
            dashboard_address=":0",
            silence_logs=logging.CRITICAL,
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def _running(scheduler: str) -> Iterator[Client]:
    is_file = "://" not in scheduler and (os.sep in scheduler or Path(scheduler).suffix == ".json")
    if is_file and not Path(scheduler).is_file():
        raise ClusterError(f"{scheduler}: no such scheduler file")
    try:
        where = {"scheduler_file": scheduler} if is_file else {"address": scheduler}
        client = Client(**where, timeout=ANSWER_SECONDS)
    except (OSError, ValueError, TimeoutError) as error:
        raise ClusterError(f"no Dask scheduler answers at {scheduler} within {ANSWER_SECONDS} s ({error})") from error
    with client:
        try:
            client.wait_for_workers(1, timeout=ANSWER_SECONDS)
        except TimeoutError as error:
            raise ClusterError(f"the Dask scheduler at {scheduler} has no workers") from error
        if max(client.nthreads().values()) > 1:
            raise ClusterError(
                f"a worker of the Dask scheduler at {scheduler} has several threads, and tasks would share one torch; "
                "start workers with --nthreads 1, and --nworkers for more of them"
            )
        yield client


def run_tasks(
    client: Client,
    function: Callable[[*Ts], T],
    tasks: Mapping[str, tuple[*Ts]],
    unit: str,
    progress: bool = True,
    stream: TextIO | None = None,
) -> Iterator[tuple[str, T | BaseException]]:
    """Run function(*arguments) for every named task; yields (name, result, or the exception) as they end.

    A task whose worker dies is run again elsewhere, three times at most. One progress bar goes to standard error, or a
    plain line to `stream`.
    """
    futures = {client.submit(function, *arguments, pure=False): name for name, arguments in tasks.items()}
    bar = tqdm(
        total=len(futures),
        unit=unit,
        file=stream or sys.stderr,
        disable=not progress,
        bar_format=None if stream is None else "{n_fmt} of {total_fmt} {unit}s in {elapsed}",
        mininterval=0.2 if sys.stderr.isatty() else LOG_SECONDS,
    )
    try:
        with bar:
            for future in as_completed(futures):
                name = futures[future]
                bar.update()
                if future.cancelled():
                    yield name, ClusterError("the Dask scheduler went away before this was done")
                    continue
                error = future.exception()
                yield name, future.result() if error is None else error
                future.release()
    finally:
        with suppress(Exception):  # a scheduler that is gone has nothing to cancel
            client.cancel(list(futures))
