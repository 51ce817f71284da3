"""Tasks on Dask workers: the cores of this machine, or a cluster that runs already."""

import importlib.util
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from pathlib import Path
from typing import TextIO, TypeVar, TypeVarTuple

from dask import config
from distributed import Client, Nanny, Scheduler, SpecCluster, Worker, as_completed
from distributed.security import Security
from tqdm import tqdm

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

ANSWER_SECONDS = 15
"""How long a scheduler may take to answer, and to have a first worker."""

LOOPBACK = "127.0.0.1"

LOG_SECONDS = 60
"""A progress bar in a log is printed no more often than this."""

_SETTINGS = {
    "distributed.worker.daemon": True,
    "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": 2**28,
    "distributed.nanny.pre-spawn-environ.MALLOC_MMAP_THRESHOLD_": 2**25,
    "distributed.nanny.pre-spawn-environ.PYTHONWARNINGS": "ignore::FutureWarning",  # of libraries that are imported
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.system-monitor.interval": "10s",
}
"""Dask has its workers give back memory at once, so that a training asks for the same pages again at every step: that
took two fifths of its time. Here they keep 256 MiB, arrays below 32 MiB included, which is the most that glibc takes;
by its own defaults they gave back enough to cost ELU + BN 3 to 10%. And Dask looks at every process fifty times a
second: that took 3% of a core for each."""


class ClusterError(ValueError):
    """A Dask cluster that is not there, or has no workers."""


@contextmanager
def connect(workers: int | None = None, scheduler: str | None = None, dashboard: bool = False) -> Iterator[Client]:
    """A Dask client: of the running `scheduler` (its address, or a scheduler file), or of processes on this machine.

    Processes of this machine are `workers` many (default: one a core) with one thread each; they end with the block,
    and talk by TLS with a key of their own. A running cluster with TLS wants Dask's own settings of the keys.
    `dashboard` shows Dask's, to every user of this machine.
    Raises ClusterError where no scheduler answers within `ANSWER_SECONDS`, or has no worker.
    """
    if scheduler is not None:
        if workers is not None:
            raise ClusterError("workers and a scheduler do not go together: a running cluster has its own workers")
        if dashboard:
            raise ClusterError(
                "a dashboard and a scheduler do not go together: a running cluster serves its own dashboard"
            )
        with _running(scheduler) as client:
            yield client
        return
    if workers is not None and workers < 1:
        raise ClusterError(f"expected one worker at least, found {workers}")
    with (
        _kept_environment(),
        config.set(_SETTINGS),
        _local(workers or available_cores(), dashboard) as cluster,
        Client(cluster) as client,
    ):
        if dashboard:
            tqdm.write(f"dashboard: {client.dashboard_link}", file=sys.stderr)
        yield client


@contextmanager
def _kept_environment() -> Iterator[None]:
    """The environment is afterwards what it was: Dask sets what its workers are to inherit, such as one thread for
    torch, in this process, and all that it starts later would inherit it as well."""
    before = dict(os.environ)
    try:
        yield
    finally:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)


def _local(workers: int, dashboard: bool) -> SpecCluster:
    """Processes of this machine that nobody else can talk to: by TLS, with a key that is made now and kept in memory.

    Who reaches a scheduler without one can have it run any code, and all users of a machine reach its ports.
    """
    if dashboard and importlib.util.find_spec("bokeh") is None:
        raise ClusterError("the dashboard is drawn by bokeh, which is not installed: pip install bokeh")
    common = {"host": LOOPBACK, "protocol": "tls://", "security": Security.temporary()}
    pages = {"dashboard": True, "dashboard_address": f"{LOOPBACK}:0"} if dashboard else {"dashboard": False}
    worker = {"worker_class": _Worker, "nthreads": 1, "memory_limit": 0, "silence_logs": logging.CRITICAL}
    resource_tracker.ensure_running()  # who starts it later lets the thread hear Ctrl-C again
    return SpecCluster(
        scheduler={"cls": Scheduler if dashboard else _Scheduler, "options": common | pages},
        workers={number: {"cls": _Nanny, "options": common | worker} for number in range(workers)},
        security=common["security"],
        silence_logs=logging.CRITICAL,
    )


class _Scheduler(Scheduler):
    """One that serves no pages; Dask's own does, to all users of the machine, with the dashboard or without."""

    def start_http_server(self, *arguments: object, **options: object) -> None:
        """Do nothing."""


class _Nanny(Nanny):
    """One whose workers are deaf to Ctrl-C, which a terminal sends to every process of a command: the command ends
    them, and they say nothing."""

    async def start_unsafe(self) -> Nanny:
        """Start a worker; it inherits what signals the thread of Dask's loop is deaf to."""
        if threading.current_thread() is not threading.main_thread():
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
        return await super().start_unsafe()


class _Worker(Worker):
    """One that serves no pages."""

    def start_http_server(self, *arguments: object, **options: object) -> None:
        """Do nothing."""


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
