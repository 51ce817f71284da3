"""What a notebook measures: timing, memory, rate and distortion, the published numbers again, sweeps over seeds."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
