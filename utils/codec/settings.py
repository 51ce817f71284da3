"""Which codecs there are."""

SUFFIX = ".zarr.zip"
"""How the names of containers end."""

CODECS = ("bounded", "neural", "autoencoder", "lossless")

TREE_CODECS = ("plain", "neural")
"""How the columns of whole trees are coded in a container: each by itself, or by networks that see others."""
