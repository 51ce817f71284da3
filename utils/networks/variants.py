"""The architectures of the study by name; needs nothing but the standard library."""

from dataclasses import asdict, dataclass
from typing import Any

ACTIVATIONS = ("tanh", "leaky_relu", "elu", "gelu")
"""What an autoencoder's layers may apply; None stands for a linear network."""

NORMALIZATION_KINDS = ("none", "standard", "custom")
"""Keys of `NORMALIZATIONS`."""

LOSS_KINDS = ("mse", "resolution")
"""Keys of `LOSSES`."""


@dataclass(frozen=True)
class AutoencoderConfig:
    """Shape of an autoencoder.

    `nodes` are the widths from input to output; the narrowest is the latent space. `activation` is a key of
    `ACTIVATIONS`, or None for a linear network. With `batch_norm`, every layer but the last is Linear, activation,
    BatchNorm, the latent layer included; without it, activations stand between the Linear layers, so that the latent
    itself is unbounded and passes an activation only on its way into the decoder. With `residual` the two halves mirror
    each other: Linear and activation, for every further layer of the same width a block x + activation(Linear(x)), and
    a Linear layer to the latents, or from the last block to the output.
    """

    nodes: tuple[int, ...] = (4, 200, 100, 50, 3, 50, 100, 200, 4)
    activation: str | None = "tanh"
    batch_norm: bool = False
    residual: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "nodes", tuple(int(width) for width in self.nodes))
        if len(self.nodes) < 3 or min(self.nodes) < 1:
            raise ValueError(f"nodes must be at least three positive widths, found {self.nodes}")
        if self.nodes[0] != self.nodes[-1]:
            raise ValueError(f"an autoencoder gives back what it takes: first and last of {self.nodes} must agree")
        if self.bottleneck in (0, len(self.nodes) - 1):
            raise ValueError(f"no layer of {self.nodes} is narrower than the input")
        if self.activation is not None and self.activation not in ACTIVATIONS:
            raise ValueError(f"unknown activation {self.activation!r}; known: {sorted(ACTIVATIONS)} and None")
        if self.residual and self.batch_norm:
            raise ValueError("a residual network has no BatchNorm: choose one of the two")

    @property
    def bottleneck(self) -> int:
        """Index of the latent layer in `nodes`."""
        return self.nodes.index(min(self.nodes))

    @property
    def latent(self) -> int:
        """Number of latent values."""
        return min(self.nodes)

    def to_dict(self) -> dict[str, Any]:
        """A JSON-safe description; `AutoencoderConfig(**description)` turns it back."""
        return asdict(self) | {"nodes": list(self.nodes)}


VARIANTS: dict[str, AutoencoderConfig] = {
    "linear": AutoencoderConfig(activation=None),
    "tanh": AutoencoderConfig(activation="tanh"),
    "leaky_relu_bn": AutoencoderConfig(activation="leaky_relu", batch_norm=True),
    "elu_bn": AutoencoderConfig(activation="elu", batch_norm=True),
    "residual_gelu": AutoencoderConfig((4, *[64] * 7, 3, *[64] * 7, 4), activation="gelu", residual=True),
}

VARIANT_LABELS: dict[str, str] = {
    "linear": "linear",
    "tanh": "tanh",
    "leaky_relu_bn": "LeakyReLU + BN",
    "elu_bn": "ELU + BN",
    "residual_gelu": "residual GELU",
    "pca": "rank-3 PCA",
}
"""What tables and legends call them."""


def schedule_label(variant: str, schedule: str) -> str:
    """What tables and legends call a variant trained with a schedule; the study's own goes without saying."""
    starts = {"plain": "", "zigzag": ", started from a zigzag"}
    return VARIANT_LABELS[variant] + starts.get(schedule, f", {schedule}")


MAX_FOLDS = 100_000
"""With more, a float32 tells fewer than a hundred places along a stripe of a `Zigzag`."""


def check_folds(folds: int) -> None:
    """Raise ValueError for what is no number of folds of a `Zigzag`."""
    if not 1 <= folds <= MAX_FOLDS:
        raise ValueError(f"a zigzag has 1 to {MAX_FOLDS:,} folds, found {folds}")
