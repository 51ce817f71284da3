"""What every codec of jets is to the container: one interface, whatever predicts the columns."""

from typing import Protocol

import numpy as np

from utils.codec.bounds import Bounds
from utils.codec.violations import Arrays, Columns
from utils.files import Json


class Scheme(Protocol):
    """Fitted once, on the first chunk, and then a constant.

    Those that hold bounds put integers on the grids of a `BoundedScheme`, and differ in what predicts these: nothing or
    a line in pt and the jet before (`BoundedScheme`), an autoencoder (`AutoencoderScheme`), networks (`NeuralScheme`).
    """

    @property
    def bounds(self) -> Bounds | None:
        """What decoded jets are within; None for none."""

    @property
    def guaranteed(self) -> bool:
        """Whether decoded jets are the same everywhere, and within bounds."""

    def encode(self, columns: Columns, counts: np.ndarray, *, sources: Columns | None = None) -> tuple[Arrays, Columns]:
        """The arrays to store for jets in events of `counts`, and the columns that they decode to.

        Bounds hold against `sources`, the columns before they were rounded to float32.
        """

    def decode(self, arrays: Columns, counts: np.ndarray) -> Columns:
        """The columns from the arrays; ValueError where they are not such as `encode` gives."""

    def to_dict(self) -> Json:
        """JSON-safe description: with `weights`, all that a file must hold to decode."""

    def weights(self) -> dict[str, np.ndarray]:
        """Arrays that are stored once."""
