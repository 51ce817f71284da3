"""Autoencoder compression of jet four-momenta: the helpers that the notebooks and the command line share."""

import os
from typing import TYPE_CHECKING

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # or importing ONNX Runtime sends its maker what it is used for

if TYPE_CHECKING:
    __version__: str
else:

    def __getattr__(name):
        """`__version__` when it is asked for: importing what knows it takes as long as the rest of a command's help."""
        if name != "__version__":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version("compression-hep")
        except PackageNotFoundError:  # a bare checkout on the path, never installed
            return "unknown"
