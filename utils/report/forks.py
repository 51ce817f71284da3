"""A process that has imported what notebooks use, and forks a kernel for every line that it reads.

Those imports take some 13 s of a core: here once, instead of for each notebook. `kernels` starts the process, on Linux,
and writes the lines.
"""

import ctypes
import gc
import importlib
import json
import os
import runpy
import signal
import sys
from typing import TextIO

import pandas

PRELOADED = (
    "ipykernel.kernelapp",
    "torch._dynamo",  # which torch imports with the first optimizer
    "utils.codec.neural",
    "utils.plotting.bits",
    "utils.plotting.notebook",
    "utils.study.collections",
    "utils.study.methods",
    "utils.study.sweeps",
)
"""What takes notebooks long to import; their own imports find it done."""

PR_SET_PDEATHSIG = 1
"""Of prctl(2): the signal that a process gets when its parent ends."""


def main() -> None:
    """Import, then fork as standard input says."""
    preload()
    serve(sys.stdin, sys.stdout)


def preload() -> None:
    """Import what is `PRELOADED`, fit to be forked."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # also where it was turned on: forks die of the thread that it starts
    for name in PRELOADED:
        importlib.import_module(name)
    pandas.set_option("display.max_columns", 20)  # its default in a kernel, where it does not take us for a terminal
    gc.freeze()  # so that collections in forks leave alone, and uncopied, what is shared


def serve(requests: TextIO, answers: TextIO) -> None:
    """Fork for every line of `requests`, and write the number of the new process to `answers`, or why there is none;
    returns in each fork when it has done what was asked, and here at the end of `requests`.

    A line is JSON with the arguments of `become`. Forks are killed when this process ends.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for a kernel that has ended
    parent = os.getpid()
    while line := requests.readline():
        try:
            number = os.fork()
        except OSError as error:
            print(error, file=answers, flush=True)
            continue
        if number == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() == parent:  # it lives still
                become(**json.loads(line))
            return
        print(number, file=answers, flush=True)


def become(module: str, arguments: list[str], folder: str, environment: dict[str, str]) -> None:
    """Do what `python -m module arguments` would do in a new process of that folder and environment, in a session of
    its own, without input, and with its output among the errors."""
    os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
