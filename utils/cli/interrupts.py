"""What SIGINT (Ctrl-C) and SIGTERM (a batch system, `kill`) do to a command: it ends at once, in one line.

An exception would do, were it not for code that is not ours: it is lost in callbacks and finalizers, caught by loops
that go on, and shown as a traceback by whoever is being imported. So the handler ends the process itself. All outputs
are whole or absent at any moment, so nothing else has to be seen to.
"""

import atexit
import os
import signal
import sys
from contextlib import suppress
from types import FrameType

import psutil

WORDS = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}
"""What is said of a signal; the exit code is 128 and its number."""


def end_on_signals() -> None:
    """Have this process, the one that a command runs in, end so; those that it forks end without a word."""
    command = os.getpid()

    def end(number: int, frame: FrameType | None) -> None:
        if os.getpid() == command:
            for other in WORDS:
                signal.signal(other, signal.SIG_IGN)
            _end_others()
            bars = getattr(getattr(sys.modules.get("tqdm"), "tqdm", None), "_instances", ())
            with suppress(OSError):
                os.write(2, (("\n" if bars else "") + f"compressionhep: {WORDS[signal.Signals(number)]}\n").encode())
        os._exit(128 + number)

    for number in WORDS:
        if signal.getsignal(number) != signal.SIG_IGN:  # as `nohup` and shells have it for what they put in background
            signal.signal(number, end)
            atexit.register(signal.signal, number, signal.SIG_IGN)  # the work is done


def _end_others() -> None:
    """Kill the workers and kernels of this process, and remove its unfinished files."""
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            child.kill()
    if partial := sys.modules.get("utils.files.partial"):
        partial.remove_partial()
