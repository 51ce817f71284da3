"""The codec neural: the integers of the codec bounded, so the same guarantee, coded by networks."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from utils.codec.bounds import Bounds
from utils.codec.jet_networks import ORDER, JetNetworks, require_named
from utils.codec.violations import Arrays, Columns, keep_exactly
from utils.files import Json
from utils.limits import require_form

RELATIONS = {
    "states": "of rANS, with which decoding begins",
    "m, pt, phi, eta": "words of rANS; jets are coded rank by rank, in blocks of events, by the networks",
    "escapes": "where there are arrays <quantity>_escapes: differences that are in no interval, in order",
    "exact": "where there are arrays <quantity>_exact: value[<quantity>_exact_index] = <quantity>_exact",
}
"""What a reader of the file undoes, in words."""


@dataclass(frozen=True)
class NeuralScheme:
    """Every jet within bounds; its integers are coded by networks, which are stored unless they are `apart`."""

    networks: JetNetworks
    apart: bool = False

    @property
    def bounds(self) -> Bounds:
        """What decoded jets are within."""
        return self.networks.plain.bounds

    @property
    def guaranteed(self) -> bool:
        """Decoded jets are the same everywhere."""
        return True

    def encode(self, columns: Columns, counts: np.ndarray, sources: Columns | None = None) -> tuple[Arrays, Columns]:
        """See `BoundedScheme`."""
        integers, decoded, exact = self.networks.plain.quantize(columns, sources)
        arrays = keep_exactly(columns, decoded, exact)
        return arrays | self.networks.encode(integers, counts), decoded

    def decode(self, arrays: Columns, counts: np.ndarray) -> Columns:
        """See `BoundedScheme`."""
        if wrong := [name for name, values in arrays.items() if values.dtype != self._type_of(name)]:
            raise ValueError(f"array {wrong[0]} holds {arrays[wrong[0]].dtype}")
        return self.networks.plain.restore(self.networks.decode(arrays, counts), arrays)

    def _type_of(self, array: str) -> str:
        if array.endswith("_escapes"):
            return "int64"
        return "uint32" if array in ("states", *ORDER) else self.networks.plain.type_of(array)

    def to_dict(self) -> Json:
        """JSON-safe description, weights apart."""
        return self.networks.to_dict() | {"relations": RELATIONS, "networks_apart": self.apart}

    def weights(self) -> dict[str, np.ndarray]:
        """Intervals and weights of the networks; none where they are apart."""
        return {} if self.apart else self.networks.arrays

    @staticmethod
    def from_dict(
        description: Json, weights: Mapping[str, np.ndarray], model: JetNetworks | None = None
    ) -> "NeuralScheme":
        """Rebuild from `to_dict` and `weights`, or with the model that it names; ValueError where they are none."""
        if model is not None:
            require_form(description, {"networks": {"sha256": str}}, "codec")
            require_named(model, description["networks"]["sha256"])
            return NeuralScheme(model, apart=True)
        return NeuralScheme(JetNetworks.from_dict(description, weights))
