"""Work on chunks by all cores, in order; NumPy and PCodec let Python's threads run side by side."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")

Result = TypeVar("Result")


def require_workers(workers: int | None) -> None:
    """ValueError unless there is a worker, or their number is left open."""
    if workers is not None and workers < 1:
        raise ValueError(f"expected one worker at least, found {workers}")


def ordered_map(function: Callable[[Item], Result], items: Iterable[Item], workers: int | None) -> Iterator[Result]:
    """`function` of each item, in order, by `workers` threads (all cores by default), with few items in flight."""
    workers = workers or os.cpu_count() or 1
    if workers == 1:
        yield from map(function, items)
        return
    with ThreadPoolExecutor(workers) as pool:
        waiting: deque = deque()
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
