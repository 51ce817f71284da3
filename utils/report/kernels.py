"""The kernels that notebooks run in: of the running interpreter, and for nobody else to talk to."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, ClassVar

import psutil
import torch
from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from jupyter_client.provisioning import LocalProvisioner

SIDE_BY_SIDE = 2
"""Notebooks that run at a time; more would gain nothing, since one of them takes half of their time together."""

KERNEL_ENVIRONMENT = {
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    "PYTHONWARNINGS": "ignore::FutureWarning,ignore:IProgress not found",  # of libraries that are imported
}
"""Figures show below the cell that made them, though batch systems set MPLBACKEND=Agg, which shows none; and pages are
free of what libraries tell programmers."""


class OwnKernelManager(AsyncKernelManager):
    """Starts kernels in the running interpreter, whatever kernels are registered on the machine, and in
    `KERNEL_ENVIRONMENT`; talks to them by sockets in a folder of its own, not by ports."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        folder = tempfile.mkdtemp(prefix="kernel-")  # short, on a local disk, and its owner's alone
        self._remove_sockets = weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        self.transport, self.ip = "ipc", os.path.join(folder, "socket")
        self.connection_file = os.path.join(folder, "connection.json")

    def _kernel_spec_manager_default(self) -> KernelSpecManager:
        return KernelSpecManager(kernel_dirs=[])

    async def start_kernel(self, **options: Any) -> None:  # type: ignore[override]
        """Start the kernel, in the environment."""
        await super().start_kernel(**options | {"env": dict(os.environ) | self.environment()})

    async def shutdown_kernel(self, now: bool = False, restart: bool = False) -> None:  # type: ignore[override]
        """End the kernel, and remove the sockets."""
        await super().shutdown_kernel(now, restart)
        if not restart:
            self._remove_sockets()

    @staticmethod
    def environment() -> dict[str, str]:
        """What its kernels have beside the environment of this process."""
        return KERNEL_ENVIRONMENT


class Nursery:
    """A process that forks kernels (`forks.main`), for threads to share."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", "from utils.report.forks import main; main()"],
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C comes to this process alone
        )

    def fork(self, command: Sequence[str], folder: str, environment: Mapping[str, str]) -> "ForkedProcess":
        """A fork that does what the `command`, python -m MODULE ARGUMENT..., would do in a new process; raises
        ChildProcessError where there is none."""
        module, *arguments = command[command.index("-m") + 1 :]
        request = {"module": module, "arguments": arguments, "folder": folder, "environment": dict(environment)}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        answer = ""
        with self._lock, suppress(BrokenPipeError):
            print(json.dumps(request), file=self._process.stdin, flush=True)
            answer = self._process.stdout.readline().strip()
        if not answer:
            raise ChildProcessError(f"the process that forks kernels has ended, with code {self._process.wait()}")
        if not answer.isdecimal():
            raise ChildProcessError(answer)
        try:
            return ForkedProcess(int(answer))
        except psutil.NoSuchProcess as error:
            raise ChildProcessError("a fork has ended at once") from error

    def close(self) -> None:
        """End the process, and with it its forks."""
        with suppress(BrokenPipeError), self._process:  # of what it did not read
            self._process.kill()


class ForkedProcess(psutil.Process):
    """A process that is no child of this one, as `LocalProvisioner` wants it."""

    stdin = stdout = stderr = None

    def poll(self) -> int | None:
        """None while it runs, then 0: how it ended is for its parent to know."""
        with suppress(psutil.NoSuchProcess):
            if self.is_running() and self.status() != psutil.STATUS_ZOMBIE:
                return None
        return 0

    def send_signal(self, sig: int) -> None:
        """Send a signal; nothing where it has ended, as of a `Popen`."""
        with suppress(psutil.NoSuchProcess):
            super().send_signal(sig)


class ForkingProvisioner(LocalProvisioner):
    """Forks kernels from the `nursery` of the manager that it belongs to."""

    async def launch_kernel(self, cmd: list[str], **options: Any) -> KernelConnectionInfo:
        """Fork a kernel, the leader of its process group; start one where none can be forked."""
        assert self.parent is not None
        try:
            self.process = self.parent.nursery.fork(cmd, options["cwd"], options["env"])
        except ChildProcessError:
            return await super().launch_kernel(cmd, **options)
        self.cwd = options["cwd"]
        self.pid = self.pgid = self.process.pid
        return self.connection_info


class SharingKernelManager(OwnKernelManager):
    """One whose kernels share the threads of torch and OpenMP with as many others as run at a time, forked from a
    `nursery` where there is one."""

    nursery: ClassVar[Nursery | None] = None

    async def start_kernel(self, **options: Any) -> None:  # type: ignore[override]
        """Start the kernel, or fork it."""
        if self.nursery is not None:
            self.provisioner = ForkingProvisioner(parent=self, kernel_spec=self.kernel_spec)
        await super().start_kernel(**options)

    @staticmethod
    def environment() -> dict[str, str]:
        """What its kernels have beside the environment of this process."""
        threads = max(1, torch.get_num_threads() // SIDE_BY_SIDE)
        return KERNEL_ENVIRONMENT | {"OMP_NUM_THREADS": str(threads)}


@contextmanager
def sharing_kernels() -> Iterator[type[SharingKernelManager]]:
    """`SharingKernelManager`, on Linux with a nursery while the block runs; not beside a GPU, since what has asked for
    one cannot be forked."""
    if sys.platform != "linux" or torch.cuda.is_available():
        yield SharingKernelManager
        return
    opened = Nursery(SharingKernelManager.environment())

    class ForkedKernelManager(SharingKernelManager):
        nursery = opened

    try:
        yield ForkedKernelManager
    finally:
        opened.close()
