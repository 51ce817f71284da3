"""What the command line offers for trees; needs nothing but the standard library."""

PRESETS = ("stored", "nanoaod", "physlite")
"""Policies that ship with the project: every bit of everything, and bounds for the jets of two experiments."""

COMPRESSIONS = {"lzma": 6, "zstd": 5, "lz4": 4}
"""Compressors of ROOT and their levels, the first is the default, and the smallest. LZMA at level 6 differs from CMS's
9 in the size of its dictionary alone, 8 MB in place of 64, which a basket does not fill and which takes milliseconds to
set up."""

KINDS = {"ttree": "TTree", "rntuple": "RNTuple"}
"""What trees are written as."""
