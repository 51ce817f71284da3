"""Writing files that appear whole or not at all and destroy nothing, telling them apart, and identifying them."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
