"""Which codecs there are, and which settings belong together."""

from typing import TYPE_CHECKING

from utils import networks

if TYPE_CHECKING:
    from pathlib import Path

    from utils.codec.bounds import Bounds
    from utils.networks import Checkpoint

SUFFIX = ".zarr.zip"
"""How the names of containers end."""

CODECS = ("bounded", "autoencoder", "lossless")

TREE_CODECS = ("plain", "neural")
"""How the columns of whole trees are coded in a container: each by itself, or by networks that see others."""


def check_settings(
    codec: str,
    bounds: "Bounds | None" = None,
    model: "Checkpoint | str | Path | None" = None,
    latent_bits: float | None = None,
    refine: int = 0,
    keep_nonfinite: bool = False,
) -> None:
    """Raise ValueError for settings of `compress` that do not belong together, or a model that cannot be loaded."""
    if codec not in CODECS:
        raise ValueError(f"unknown codec {codec!r}; known: {', '.join(CODECS)}")
    if codec != "autoencoder" and (model is not None or latent_bits is not None or refine):
        raise ValueError(f"a model, latent bits and refinement belong to the codec autoencoder, not to {codec}")
    if codec == "lossless" and bounds is not None:
        raise ValueError("the codec lossless keeps every bit: it takes no error bounds")
    if codec != "autoencoder":
        return
    if model is None:
        raise ValueError("the codec autoencoder needs a model: a checkpoint of this project, or published weights")
    if keep_nonfinite:
        raise ValueError("the codec autoencoder cannot keep values that are not finite; use bounded or lossless")
    if refine < 0:
        raise ValueError(f"refinement takes a number of steps, none or more, found {refine}")
    if latent_bits is not None and not 1 <= latent_bits <= 24:
        raise ValueError(f"latent bits must lie in 1..24, found {latent_bits:g}")
    networks.load_model(model)
