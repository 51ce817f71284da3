"""The file of compressed jets: a Zarr v3 group in one zip, written one chunk of jets at a time; `reader` reads it.

    zarr.json             attributes: all that is needed to decode the chunks
    decoder/...           weights of the decoder, where the codec has one
    chunk_000000/         jets of the first events; attributes: how many, and a checksum of what they decode to
        event, jets_per_event, m, pt, ...   one array each, in a single Zarr chunk of exactly its length
        run, luminosityBlock    beside event, where the jets had them
    chunk_000001/ ...
    summary/zarr.json     attributes: those of the root, the counts, the measured errors, and a digest of all members

A group per chunk means that nothing is padded, that a writer needs not know the number of jets beforehand, and that
each chunk can be checked and recovered alone. Members are covered by zip's CRC-32, arrays also by Zarr's crc32c, the
list of members by the digest.
"""

import hashlib
import json
import struct
import zipfile
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import google_crc32c
import numpy as np

from utils.codec.streams import encode_stream
from utils.files import Json

FORMAT = "compression-hep jets 1"

ROOT, SUMMARY = "zarr.json", "summary/zarr.json"

PLAIN = {"level": 8, "mode_spec": "classic", "delta_spec": "none"}
"""PCodec settings of integers that do not depend on their neighbours."""

SEARCHING = {"level": 8, "mode_spec": "auto", "delta_spec": "auto"}
"""PCodec settings that look for steps and for differences between neighbours; slower."""


@dataclass(frozen=True)
class Member:
    """One file inside the zip, ready to be written."""

    name: str
    content: bytes
    compress: bool = False


def group_member(name: str, attributes: Json) -> Member:
    """The metadata of a Zarr group; `name` is empty for the root."""
    return _metadata(name, {"zarr_format": 3, "node_type": "group", "attributes": attributes})


def array_members(name: str, values: np.ndarray, settings: Json) -> list[Member]:
    """The metadata and the single chunk of a Zarr array, coded by PCodec with `settings` and a crc32c."""
    metadata = {
        "zarr_format": 3,
        "node_type": "array",
        "shape": list(values.shape),
        "data_type": str(values.dtype),
        "chunk_grid": {
            "name": "regular",
            "configuration": {"chunk_shape": [max(length, 1) for length in values.shape]},
        },
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": 0,
        "codecs": [{"name": "numcodecs.pcodec", "configuration": settings}, {"name": "crc32c"}],
        "attributes": {},
    }
    members = [_metadata(name, metadata)]
    if values.size:
        coded = encode_stream(values, settings)
        coded += struct.pack("<L", google_crc32c.value(coded))
        members.append(Member(chunk_of(name, values.ndim), coded))
    return members


def chunk_of(array: str, dimensions: int) -> str:
    """Name of the single chunk of an array."""
    return "/".join([array, "c", *["0"] * dimensions])


class Writer:
    """Writes members one after the other; `close` adds the summary with the digest."""

    def __init__(self, path: Path, attributes: Json):
        self._attributes = {"format": FORMAT} | attributes
        self._zip = zipfile.ZipFile(path, "w", zipfile.ZIP_STORED)
        try:
            self.add([group_member("", self._attributes)])
        except BaseException:
            self._abandon()
            raise

    def add(self, members: Iterable[Member]) -> None:
        """Append members to the file."""
        for member in members:
            info = zipfile.ZipInfo(member.name, (1980, 1, 1, 0, 0, 0))
            info.external_attr = 0o644 << 16
            info.compress_type = zipfile.ZIP_DEFLATED if member.compress else zipfile.ZIP_STORED
            self._zip.writestr(info, member.content)

    def close(self, summary: Json) -> None:
        """Write the summary and the zip's directory."""
        digest = digest_of(self._zip.infolist())
        self.add([group_member("summary", self._attributes | summary | {"digest": digest})])
        self._zip.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is not None:
            self._abandon()

    def _abandon(self) -> None:
        """Close the file without its directory: nobody needs that, and a full disk has no room for it."""
        file, self._zip.fp = self._zip.fp, None
        if file is not None:
            with suppress(OSError):
                file.close()


def chunk_name(index: int) -> str:
    """Name of the group of a chunk of jets."""
    return f"chunk_{index:06d}"


def _metadata(name: str, content: Json) -> Member:
    text = json.dumps(content, separators=(",", ":"), allow_nan=False)
    return Member(f"{name}/zarr.json" if name else ROOT, text.encode(), compress=True)


def digest_of(infos: Iterable[zipfile.ZipInfo]) -> str:
    """SHA-256 over name, CRC-32 and size of members, in order."""
    lines = (f"{info.filename} {info.CRC:08x} {info.file_size} {info.compress_size}\n" for info in infos)
    return hashlib.sha256("".join(lines).encode()).hexdigest()
