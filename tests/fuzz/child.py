"""A process that tries one case after the other, within limits, and is replaced when it crashes or hangs."""

import functools
import multiprocessing
import re
import resource
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Generic, Self, TypeVar

Case = TypeVar("Case")

Outcome = tuple[str, str]
"""A word for what a case came to, and the message that tells more."""

FINE = ("error", "same", "changed, said")
"""An error of the project's own, that names the file; the same content; other content, announced by a warning."""

BAD = ("changed, silent", "exception", "crash", "hang", "memory")
"""Other content in silence; any other exception; the process died; it took longer, or more memory, than it may."""

OUTCOMES = (*FINE, *BAD)


@dataclass
class Tally:
    """How often each outcome came, and a line for each that must not be."""

    counts: Counter[str] = field(default_factory=Counter)
    bad: list[str] = field(default_factory=list)

    def add(self, case: object, outcome: Outcome, allowed: tuple[str, ...] = FINE) -> None:
        """Count the outcome of a case; keep its message where it is none of those that are `allowed`."""
        word, message = outcome
        self.counts[word] += 1
        if word not in allowed:
            self.bad.append(f"{case}: {word}: {message}")


class Child(Generic[Case]):
    """Runs `function(case)`, which returns an Outcome, in a process of its own: `with Child(function) as child`.

    `function` and cases must be picklable. A case may take `seconds`, and `megabytes` beyond what the process has.
    """

    def __init__(self, function: Callable[[Case], Outcome], seconds: float = 60, megabytes: float = 500) -> None:
        self._function, self._seconds, self._megabytes = function, seconds, megabytes

    def __enter__(self) -> Self:
        context = multiprocessing.get_context("forkserver")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, self._function, self._megabytes), daemon=True)
        self._process.start()
        theirs.close()
        self._connection.recv()  # once it has imported what it needs, which is no part of a case
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._process.kill()
        self._process.join()
        self._connection.close()

    def run(self, case: Case) -> Outcome:
        """The outcome of a case: what `function` says, or exception, memory, crash or hang."""
        try:
            self._connection.send(case)
            if self._connection.poll(self._seconds):
                return self._connection.recv()
            result = "hang", f"longer than {self._seconds:g} s"
        except (EOFError, OSError):
            self._process.join()
            result = "crash", f"exit code {self._process.exitcode}"
        self.__exit__(None, None, None)
        self.__enter__()
        return result


def _serve(connection: Connection, function: Callable[[Case], Outcome], megabytes: float) -> None:
    limit = functools.partial(_limit_memory, round(megabytes * 1e6))
    connection.send("ready")
    while True:
        case = connection.recv()
        limit()
        try:
            outcome = function(case)
        except MemoryError as error:
            outcome = "memory", f"more than {megabytes:g} MB: {error}"
        except Exception as error:
            outcome = "exception", repr(error)
        connection.send(outcome)


def _limit_memory(more: int) -> None:
    """Let this process have `more` bytes beyond those that it has; nothing where the system does not say."""
    status = Path("/proc/self/status")
    if status.exists() and (found := re.search(r"^VmData:\s*(\d+) kB", status.read_text(), re.MULTILINE)):
        resource.setrlimit(resource.RLIMIT_DATA, (int(found[1]) * 1024 + more, resource.RLIM_INFINITY))
