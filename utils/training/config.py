"""How to train: the schedules of the study; needs nothing but the standard library."""

from dataclasses import asdict, dataclass, replace
from typing import Any

from utils.networks import LOSS_KINDS, check_folds

OPTIMIZERS = ("adam", "soap")
"""Adam as in the published notebooks, and SOAP (Vyas et al., arXiv:2409.11321)."""

INITIAL_WEIGHTS = ("pytorch", "scaled")
"""PyTorch's own random weights of a Linear layer, or the same where tanh follows scaled to what it needs: larger."""

PROFILES = ("quick", "reference")
"""How much to spend: small and fast, or the full study."""


@dataclass(frozen=True)
class TrainingConfig:
    """How to train: optimizer, batches, learning rate, and for how many steps.

    One `learning_rates` entry is the peak of a warm-up over the fraction `warmup` of the steps and a cosine to zero;
    several are fixed rates, one after the other, over equal parts of the training. Batches shrink where an epoch would
    have fewer than `min_batches`, so that a small sample is trained for as many steps as a large one. `betas` are the
    memories of the optimizer for gradients and their squares, `initial_weights` one of `INITIAL_WEIGHTS`.

    After the fraction `frozen_batch_norm` of the epochs, BatchNorms keep the mean and variance that they have gathered:
    those of single batches are a noise that three latent numbers cannot average away. `loss` is a key of
    `networks.LOSSES`. With `folds`, the latents follow the code of a `Zigzag` of so many folds at first, as
    `FollowZigzag` says.
    """

    optimizer: str
    batch_size: int
    learning_rates: tuple[float, ...]
    steps: int
    betas: tuple[float, float]
    warmup: float = 0.05
    initial_weights: str = "pytorch"
    weight_decay: float = 1e-6
    min_batches: int = 20
    frozen_batch_norm: float = 0.5
    loss: str = "mse"
    folds: int | None = None

    def __post_init__(self) -> None:
        if self.optimizer not in OPTIMIZERS:
            raise ValueError(f"unknown optimizer {self.optimizer!r}; known: {', '.join(OPTIMIZERS)}")
        if self.loss not in LOSS_KINDS:
            raise ValueError(f"unknown loss {self.loss!r}; known: {', '.join(LOSS_KINDS)}")
        if self.initial_weights not in INITIAL_WEIGHTS:
            known = ", ".join(INITIAL_WEIGHTS)
            raise ValueError(f"unknown initial weights {self.initial_weights!r}; known: {known}")
        if self.steps < 1 or self.batch_size < 2 or not self.learning_rates:
            raise ValueError(f"training needs steps, batches of two or more and a learning rate, found {self}")
        if self.folds is not None:
            check_folds(self.folds)

    def batch_size_for(self, jets: int) -> int:
        """Batch size for so many training jets; above 8 a multiple of 8, which several processes can share."""
        size = max(2, min(self.batch_size, jets, max(32, jets // self.min_batches)))
        return size - size % 8 if size > 8 else size

    def to_dict(self) -> dict[str, Any]:
        """A JSON-safe description."""
        return asdict(self) | {"learning_rates": list(self.learning_rates), "betas": list(self.betas)}


_PLAIN = TrainingConfig(
    "soap",
    batch_size=2048,
    learning_rates=(1.5e-2,),
    steps=6860,
    betas=(0.95, 0.95),
    initial_weights="scaled",
    frozen_batch_norm=0.2,
)

_ZIGZAG = replace(_PLAIN, folds=14)

_QUICK: dict[str, Any] = {"steps": 470, "batch_size": 640}
"""Fewer steps fail tanh: after 400 of 512 jets each, one of three seeds was above the error of PCA, of 768 jets two."""

_PUBLISHED = TrainingConfig(
    "adam", 8192, learning_rates=(1e-3, 1e-4, 1e-5, 1e-6), steps=3000, betas=(0.9, 0.99), min_batches=1
)

SCHEDULES: dict[str, dict[str, TrainingConfig]] = {
    "plain": {"quick": replace(_PLAIN, **_QUICK), "reference": _PLAIN},
    "zigzag": {"quick": replace(_ZIGZAG, **_QUICK), "reference": _ZIGZAG},
    "published": {"quick": replace(_PUBLISHED, steps=300), "reference": _PUBLISHED},
}
"""Ways to spend the time of a profile, on a core of a CPU at most some 20 s and 6 minutes a model: the study's own, the
same for all variants and normalizations (notebook `2d` says how it was chosen); the same from a zigzag to begin with;
and the fixed rates in phases of the original notebooks."""


def training_config(
    profile: str = "reference", schedule: str = "plain", steps: int | None = None, loss: str = "mse"
) -> TrainingConfig:
    """The training of a profile ("quick", "reference") with a schedule: "plain", "zigzag" or "published".

    `steps` of the optimizer instead of the profile's own, None: those.
    """
    if schedule not in SCHEDULES:
        raise ValueError(f"unknown schedule {schedule!r}; known: {', '.join(SCHEDULES)}")
    if profile not in SCHEDULES[schedule]:
        raise ValueError(f"unknown profile {profile!r}; known: {', '.join(SCHEDULES[schedule])}")
    config = SCHEDULES[schedule][profile]
    return replace(config, steps=config.steps if steps is None else steps, loss=loss)
