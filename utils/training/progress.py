"""How far a training is."""

import sys

from fastai.callback.core import Callback
from tqdm import tqdm

from utils.training.callbacks import History


class Progress(Callback):
    """One progress bar over the epochs, on standard error."""

    order = History.order + 1

    def __init__(self, epochs: int, history: History):
        super().__init__()
        self.epochs, self.history = epochs, history

    def before_fit(self) -> None:
        self.bar = tqdm(total=self.epochs, desc="training", unit="epoch", file=sys.stderr, mininterval=1)

    def after_epoch(self) -> None:
        last = self.history.rows[-1]
        losses = {"train": last["train"], "valid": last["valid"], "best": self.history.best_loss}
        self.bar.set_postfix({name: f"{loss:.3g}" for name, loss in losses.items()}, refresh=False)
        self.bar.update()

    def after_fit(self) -> None:
        self.bar.close()
