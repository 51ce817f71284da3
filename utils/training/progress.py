"""How far a training is."""

from fastai.callback.core import Callback
from tqdm import tqdm

from utils.machine import progress_stream
from utils.training.callbacks import History


class Progress(Callback):
    """One line of progress over the epochs, where `progress_stream` says."""

    order = History.order + 1

    def __init__(self, epochs: int, history: History):
        super().__init__()
        self.epochs, self.history = epochs, history

    def before_fit(self) -> None:
        self.bar = tqdm(
            total=self.epochs,
            desc="training",
            bar_format="{desc}: {n_fmt} of {total_fmt} epochs in {elapsed}{postfix}",
            file=progress_stream(),
            mininterval=1,
        )

    def after_epoch(self) -> None:
        last = self.history.rows[-1]
        losses = {"training": last["train"], "validation": last["valid"], "best": self.history.best_loss}
        self.bar.set_postfix_str(", ".join(f"{name} {loss:.2e}" for name, loss in losses.items()), refresh=False)
        self.bar.update()

    def after_fit(self) -> None:
        self.bar.close()
