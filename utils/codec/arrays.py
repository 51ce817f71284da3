"""Arrays by name: those of jets in a chunk, and the weights of a codec."""

import math
import struct
from collections.abc import Mapping

import google_crc32c
import numpy as np

from utils.codec.archive import Archive
from utils.codec.container import Member
from utils.codec.packed import Packed, checked, pack, require_checked
from utils.codec.streams import PLAIN, TYPES, decode_standalone, decode_stream, encode_stream
from utils.files import Json
from utils.limits import Form, parse_json, require_form

METADATA_BYTES = 2**16
"""Most bytes of what a group or an array of the first version says of itself."""

MOST_DIMENSIONS = 8

_ARRAY: Form = {"shape": [int], "data_type": str}

_PACKED: dict[str, Form] = {"type": str, "shape": [int], "bytes": int}


def arrays_member(name: str, attributes: Json, arrays: Mapping[str, tuple[np.ndarray, Json]]) -> Member:
    """A member of arrays by name, each coded by PCodec with its settings, whose header holds the attributes."""
    streams = [checked(encode_stream(values.ravel(), settings), values) for values, settings in arrays.values()]
    described = {
        array: {"type": str(values.dtype), "shape": list(values.shape), "bytes": len(stream)}
        for (array, (values, _)), stream in zip(arrays.items(), streams, strict=True)
    }
    return Member(name, pack(attributes | {"arrays": described}, streams))


def weights_member(weights: Mapping[str, np.ndarray]) -> Member:
    """The member that holds the weights of a codec."""
    settings = PLAIN | {"mode_spec": "auto"}
    return arrays_member("decoder", {}, {name: (np.ascontiguousarray(v), settings) for name, v in weights.items()})


class Arrays:
    """The arrays of a member that `arrays_member` wrote; ValueError where they are not as it writes them."""

    def __init__(self, member: Packed):
        self._member = member
        self.attributes = member.header
        require_form(self.attributes, {"arrays": dict}, "its header")
        for array in self.attributes["arrays"].values():
            require_form(array, _PACKED, "an array")
        self.names = list(self.attributes["arrays"])

    def array(self, name: str, most: int) -> np.ndarray:
        """An array of at most `most` values; ValueError where it is missing or damaged, or has more."""
        arrays = self.attributes["arrays"]
        kind, shape, length = (arrays[name][key] for key in _PACKED)
        size = _size_within(shape, kind, most)
        start = sum(arrays[other]["bytes"] for other in self.names[: self.names.index(name)])
        checksum, stream = self._member.stream(start, length)
        values = decode_stream(stream, size, np.dtype(kind))
        require_checked(checksum, values)
        return values.reshape(shape)

    def sizes(self) -> dict[str, int]:
        """Bytes of each array as it is coded."""
        return {name: array["bytes"] for name, array in self.attributes["arrays"].items()}


class FirstArrays:
    """The same in a container of the first version: a Zarr group of arrays."""

    def __init__(self, archive: Archive, name: str):
        self._archive, self._name = archive, name
        self.attributes = attributes_of(archive, f"{name}/zarr.json", METADATA_BYTES)
        require_form(self.attributes, {"arrays": [str]}, "its attributes")
        self.names = self.attributes["arrays"]
        if len(set(self.names)) < len(self.names):
            raise ValueError("an array is named twice")

    def array(self, name: str, most: int) -> np.ndarray:
        """See `Arrays`."""
        place = f"{self._name}/{name}"
        metadata = _json(self._archive, f"{place}/zarr.json", METADATA_BYTES)
        require_form(metadata, _ARRAY)
        shape, kind = metadata["shape"], metadata["data_type"]
        size = _size_within(shape, kind, most)
        if size == 0:
            return np.empty(shape, kind)
        coded = self._archive.content("/".join([place, "c", *["0"] * len(shape)]), 16 * size + METADATA_BYTES)
        if struct.pack("<L", google_crc32c.value(coded[:-4])) != coded[-4:]:
            raise ValueError("its crc32c does not fit its bytes")
        return decode_standalone(coded[:-4], size, np.dtype(kind)).reshape(shape)

    def sizes(self) -> dict[str, int]:
        """See `Arrays`."""
        start = f"{self._name}/"
        members = self._archive.members
        coded = (name.split("/") for name in members if name.startswith(start))
        return {parts[1]: members["/".join(parts)].size for parts in coded if parts[2:3] == ["c"]}


def read_all(arrays: Arrays | FirstArrays, most: int, together: int) -> dict[str, np.ndarray]:
    """All arrays of a member, each of at most `most` values, all of at most `together`; ValueError as for one."""
    found = {}
    for name in arrays.names:
        found[name] = arrays.array(name, min(most, together))
        together -= found[name].size
    return found


def _size_within(shape: list[int], kind: str, most: int) -> int:
    """The number of values of an array; ValueError for a type that is not known, or more than `most`."""
    if kind not in TYPES:
        raise ValueError(f"data type {kind!r}; this version knows {', '.join(TYPES)}")
    fits = len(shape) <= MOST_DIMENSIONS and all(0 <= length <= most for length in shape)
    if not fits or math.prod(shape) > most:
        raise ValueError(f"the shape {str(shape)[:60]}; at most {most} values are read of it")
    return math.prod(shape)


def attributes_of(archive: Archive, member: str, most: int) -> Json:
    """The attributes of a Zarr group."""
    content = _json(archive, member, most)
    require_form(content, {"attributes": dict})
    return content["attributes"]


def _json(archive: Archive, member: str, most: int) -> Json:
    return parse_json(archive.content(member, most), most)
