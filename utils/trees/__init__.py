"""Whole trees of a ROOT file: what they hold, a bound for each branch by name, reading, writing, checking, auditing."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
