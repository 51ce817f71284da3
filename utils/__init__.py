"""Autoencoder compression of jet four-momenta: the helpers that the notebooks and the command line share."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("compression-hep")
except PackageNotFoundError:  # a bare checkout on the path, never installed
    __version__ = "unknown"
