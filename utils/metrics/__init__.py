"""Errors of reconstructed jets, in the units that a physicist reads."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
