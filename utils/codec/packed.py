"""A chunk as one member of a container: what it holds as JSON, then its streams one behind the other.

    4 bytes     length of the header, little-endian
    4 bytes     CRC-32C of the header
    header      JSON, deflated
    streams     each behind the CRC-32C of what it decodes to, 4 bytes

A header says how long each stream is, so a stream can be read alone.
"""

import json
import struct
import zlib
from collections.abc import Callable, Sequence

import google_crc32c
import numpy as np

from utils.files import Json
from utils.limits import JSON_BYTES, parse_json

PREFIX = struct.Struct("<LL")

CHECKED = 4
"""Bytes of the checksum before each stream."""


def pack(header: Json, streams: Sequence[bytes]) -> bytes:
    """A member of these streams."""
    text = zlib.compress(json.dumps(header, separators=(",", ":"), allow_nan=False).encode(), 9)
    return b"".join([PREFIX.pack(len(text), google_crc32c.value(text)), text, *streams])


Read = Callable[[int, int], bytes]
"""Gives bytes of a member, by place and number; fewer where it ends."""


class Packed:
    """A member of packed streams, of which `read` gives what is asked for; ValueError where it is damaged."""

    def __init__(self, read: Read):
        self._read = read
        prefix = read(0, PREFIX.size)
        if len(prefix) < PREFIX.size:
            raise ValueError("its header is cut short")
        length, checksum = PREFIX.unpack(prefix)
        text = read(PREFIX.size, length) if length <= JSON_BYTES else b""
        if len(text) < length or google_crc32c.value(text) != checksum:
            raise ValueError("its header does not fit its CRC-32C")
        try:
            self.header = parse_json(zlib.decompressobj().decompress(text, JSON_BYTES + 1))
        except zlib.error as error:
            raise ValueError(f"its header is damaged ({error})") from error
        if not isinstance(self.header, dict):
            raise ValueError("its header is no object")
        self._start = PREFIX.size + length

    def stream(self, start: int, size: int) -> tuple[bytes, bytes]:
        """The checksum and the bytes of the stream that lies `start` bytes behind the header."""
        content = self._read(self._start + start, size) if min(start, size) >= 0 else b""
        if not CHECKED <= size == len(content):
            raise ValueError("a stream is cut short")
        return content[:CHECKED], content[CHECKED:]


def read_from(content: bytes) -> Read:
    """What reads from bytes that are in memory."""
    return lambda start, size: content[start : start + size]


def checked(stream: bytes, values: np.ndarray) -> bytes:
    """A stream behind the checksum of what it decodes to."""
    return _checksum(values) + stream


def require_checked(checksum: bytes, values: np.ndarray) -> None:
    """ValueError where values are not those of which `checksum` was taken."""
    if checksum != _checksum(values):
        raise ValueError("decodes to other values than when it was written; damaged, or computed differently here")


def _checksum(values: np.ndarray) -> bytes:
    return struct.pack("<L", google_crc32c.value(np.ascontiguousarray(values)))
