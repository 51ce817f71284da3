"""A process that has imported what notebooks use, and forks a kernel for every line that it reads.

Those imports take some 13 s of a core: here once, instead of for each notebook. `kernels` starts the process and writes
the lines.
"""

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


def main() -> None:
    """Import, then fork as standard input says. Kernels end when this process does: ipykernel reads at its import whose
    end to watch for."""
    os.environ["JPY_PARENT_PID"] = str(os.getpid())
    for name in PRELOADED:
        importlib.import_module(name)
    pandas.set_option("display.max_columns", 20)  # its default in a kernel, where it does not take us for a terminal
    gc.freeze()  # so that collections in forks leave alone, and uncopied, what is shared
    serve(sys.stdin, sys.stdout)


def serve(requests: TextIO, answers: TextIO) -> None:
    """Fork for every line of `requests`, and write the number of the new process to `answers`; returns in each fork
    when it has done what was asked, and here at the end of `requests`.

    A line is JSON with the arguments of `become`.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for a kernel that has ended
    while line := requests.readline():
        number = os.fork()
        if number == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
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
