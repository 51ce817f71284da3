"""Events of Pythia 8 in blocks, each with random numbers of its own, on one process or several."""

import math
import multiprocessing
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import awkward
import numpy as np
from tqdm import tqdm

from utils.jets.calorimeter import NEUTRINOS, simulation_modules
from utils.jets.table import JetError

BATCH_EVENTS = 100
"""Events whose records are held in memory at once."""


def require_arguments(n_events: int, seed: int, workers: int) -> None:
    """JetError where one is too small, or where Pythia 8 or FastJet is not installed."""
    for name, value, smallest in (("n_events", n_events, 1), ("workers", workers, 1), ("seed", seed, 0)):
        if value < smallest:
            raise JetError(f"{name}: expected at least {smallest}, got {value}")
    simulation_modules()


def progress_bar(label: str, total: int, progress: bool) -> tqdm:
    """A progress bar; in a log it says something twice a minute at most."""
    interval = 0.1 if sys.stderr.isatty() else 30.0
    return tqdm(desc=label, total=total, unit="event", disable=not progress, mininterval=interval)


def blocks(n_events: int, size: int) -> list[tuple[int, int]]:
    """Number and size of the blocks that hold `n_events`; only the last may be smaller."""
    return [(block, min(size, n_events - block * size)) for block in range(math.ceil(n_events / size))]


_shared: Any = None


def shared() -> Any:
    """What `map_blocks` was given for all its tasks."""
    return _shared


def _share(value: Any) -> None:
    global _shared
    _shared = value


def map_blocks(
    function: Callable[[Any], Any], tasks: list[Any], workers: int, bar: tqdm, share: Any = None
) -> Iterator[Any]:
    """Results of `function` over tasks (seed, block, events, ...), in order, from this process or `workers` others.

    The function finds `share`, which each process gets once, as `shared()`.
    """
    if workers == 1:
        _share(share)
        for task in tasks:
            yield function(task)
            bar.update(task[2])
        _share(None)
        return
    context = multiprocessing.get_context("spawn")
    processes = min(workers, max(len(tasks), 1))
    with context.Pool(processes, initializer=_share, initargs=(share,)) as processor:
        for task, result in zip(tasks, processor.imap(function, tasks), strict=True):
            yield result
            bar.update(task[2])


def make_pythia(process: str, seed: tuple[int, str, int], beam_energy: float, extra: Iterable[str] = ()) -> Any:
    """A Pythia instance whose random numbers follow from `seed` (seed of the run, kind of block, block) alone."""
    pythia8mc, _ = simulation_modules()
    run, kind, block = seed
    state = np.random.SeedSequence((run, *kind.encode(), block)).generate_state(1)[0]
    pythia = pythia8mc.Pythia("", False)
    for command in (
        "Print:quiet = on",
        f"Beams:eCM = {beam_energy}",
        "Random:setSeed = on",
        f"Random:seed = {int(state) % 900_000_000 + 1}",
        f"{process} = on",
        *extra,
    ):
        if not pythia.readString(command):
            raise JetError(f"Pythia does not accept the setting {command!r}")
    if not pythia.init():
        raise JetError(f"Pythia could not be initialized for {process}")
    return pythia


def event_batches(pythia: Any, n_events: int) -> Iterator[awkward.Array]:
    """The records of `n_events` events, a batch at a time; failed events are None."""
    for start in range(0, n_events, BATCH_EVENTS):
        yield pythia.nextBatch(min(BATCH_EVENTS, n_events - start), "none")


def are_visible(particles: awkward.Array) -> awkward.Array:
    """Whether each particle of some events is there at the end and is no neutrino."""
    identity = abs(particles.id)
    visible = particles.status > 0
    for neutrino in NEUTRINOS:
        visible = visible & (identity != neutrino)
    return visible
