"""Compressed files as streams of what they hold, and how much a file may hold for its size."""

import bz2
import gzip
import io
import lzma
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

import pyarrow as pa

from utils.jets.table import JetError
from utils.text import bytes_text

RATIO = 200
"""How many times its size a file may hold, unless `--read ratio=N` says otherwise: jets shrink to a tenth at best."""

FREE_BYTES = 2**26
"""What any file may hold."""

_MAGIC = {b"\x1f\x8b": "gzip", b"BZh": "bz2", b"\xfd7zXZ\0": "xz", b"\x28\xb5\x2f\xfd": "zstd"}

_OPENERS: dict[str, Callable[[Any], Any]] = {
    "gzip": gzip.open,
    "bz2": bz2.open,
    "xz": lzma.open,
    "zstd": lambda stream: pa.CompressedInputStream(pa.PythonFile(stream, "r"), "zstd"),
}


def compression_of(head: bytes) -> str | None:
    """The compression of a file by its first bytes: gzip, bz2, xz, zstd or none."""
    return next((kind for magic, kind in _MAGIC.items() if head.startswith(magic)), None)


def encoding_of(head: bytes) -> str:
    """The encoding of text by its first bytes: UTF-16 begins with a mark, as Excel writes it."""
    return "utf-16" if head[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"


def allowed_bytes(size: int, read: Mapping[str, str], name: str) -> int:
    """What a file of `size` bytes may hold in memory and time; JetError for a `ratio` that is no number."""
    text = read.get("ratio", str(RATIO))
    if not text.isdecimal() or not 0 < int(text) < 2**32:
        raise JetError(f"{name}: ratio: expected a whole number above 0, found {text!r}")
    return FREE_BYTES + int(text) * size


def require_proportion(held: int, size: int, read: Mapping[str, str], name: str, what: str = "") -> None:
    """Raise JetError where a file of `size` bytes claims to hold more than it may."""
    if held > allowed_bytes(size, read, name):
        raise JetError(_too_much(name, bytes_text(held), size, read, what))


def _too_much(name: str, held: str, size: int, read: Mapping[str, str], what: str = "") -> str:
    return (
        f"{name}: {what or 'the file'} holds {held} in {bytes_text(size)}, more than {read.get('ratio', RATIO)} times "
        "as much, the limit for files that were made to fill memory; --read ratio=N (read= in Python) lifts it"
    )


class _Limited(io.RawIOBase):
    """A stream that is an error where it gives more than it may."""

    def __init__(self, stream: Any, packed: BinaryIO, left: int, error: str) -> None:
        self.stream, self.packed, self.left, self.error = stream, packed, left, error

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self.stream.read(len(buffer))
        self.left -= len(data)
        if self.left < 0:
            raise JetError(self.error)
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self.packed.close()
        super().close()


def unpacked(packed: BinaryIO, compression: str, read: Mapping[str, str], name: str) -> BinaryIO:
    """What a compressed stream holds; reading is a JetError beyond the limit, and whatever the library raises."""
    size = packed.seek(0, io.SEEK_END)
    packed.seek(0)
    allowed = allowed_bytes(size, read, name)
    error = _too_much(name, f"more than {bytes_text(allowed)}", size, read)
    return io.BufferedReader(_Limited(_OPENERS[compression](packed), packed, allowed, error), 2**16)
