"""The kernels that notebooks run in: of the running interpreter, and for nobody else to talk to."""

import os
import shutil
import tempfile
import weakref
from typing import Any

import torch
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager

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
        await super().start_kernel(**options | {"env": dict(os.environ) | self._environment()})

    async def shutdown_kernel(self, now: bool = False, restart: bool = False) -> None:  # type: ignore[override]
        """End the kernel, and remove the sockets."""
        await super().shutdown_kernel(now, restart)
        if not restart:
            self._remove_sockets()

    def _environment(self) -> dict[str, str]:
        return KERNEL_ENVIRONMENT


class SharingKernelManager(OwnKernelManager):
    """One whose kernels share the threads of torch and OpenMP with as many others as run at a time."""

    def _environment(self) -> dict[str, str]:
        threads = max(1, torch.get_num_threads() // SIDE_BY_SIDE)
        return KERNEL_ENVIRONMENT | {"OMP_NUM_THREADS": str(threads)}
