"""The file of compressed jets: a Zarr v3 group in one zip, written and read one chunk of jets at a time.

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
import mmap
import os
import struct
import zipfile
import zlib
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import google_crc32c
import numpy as np
from numcodecs.pcodec import PCodec

from utils.files import Json

FORMAT = "compression-hep jets 1"

ROOT, SUMMARY = "zarr.json", "summary/zarr.json"

PLAIN = {"level": 8, "mode_spec": "classic", "delta_spec": "none"}
"""PCodec settings of integers that do not depend on their neighbours."""

SEARCHING = {"level": 8, "mode_spec": "auto", "delta_spec": "auto"}
"""PCodec settings that look for steps and for differences between neighbours; slower."""

_LOCAL_HEADER = struct.Struct("<4s5H3L2H")


class ContainerError(ValueError):
    """A file that is not a container of jets, or is damaged; the message names the file and the member."""


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
        coded = PCodec(**settings).encode(values)
        coded += struct.pack("<L", google_crc32c.value(coded))
        members.append(Member("/".join([name, "c", *["0"] * values.ndim]), coded))
    return members


def decode_array(metadata: Json, coded: bytes | None, where: str) -> np.ndarray:
    """The values of an array from its metadata and its chunk; ContainerError where they do not fit."""
    shape, dtype = tuple(metadata["shape"]), np.dtype(metadata["data_type"])
    if coded is None:
        return np.empty(shape, dtype)
    if google_crc32c.value(coded[:-4]) != struct.unpack("<L", coded[-4:])[0]:
        raise ContainerError(f"{where}: its crc32c does not fit its bytes")
    values = PCodec().decode(coded[:-4])
    if values.dtype != dtype or values.size != int(np.prod(shape)):
        raise ContainerError(f"{where}: holds {values.size} {values.dtype}, expected {shape} {dtype}")
    return values.reshape(shape)


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
        digest = _digest(self._zip.infolist())
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


class Reader:
    """Reads a container; safe to use from several threads.

    Without `recover` the file must be whole: the digest in the summary is compared with the zip's directory at once,
    and every member with its checksums when it is read. With `recover`, members are also found without the directory,
    and damage shows only when a member that is needed is read.
    """

    def __init__(self, path: str | Path, recover: bool = False):
        self.path = Path(path)
        if self.path.exists() and not self.path.is_file():
            raise ContainerError(f"{path}: not a file; expected one that `compressionhep compress` wrote")
        size = self.path.stat().st_size
        self._file = os.open(self.path, os.O_RDONLY)
        self._map = mmap.mmap(self._file, 0, access=mmap.ACCESS_READ) if size else b""
        self.damage: str | None = None
        self.summary: Json | None = None
        self._members: dict[str, tuple[int, int, int, int]] = {}
        try:
            try:
                self._members = self._from_directory()
                self.summary = self._read_summary()
            except ContainerError as error:
                if not recover:
                    raise
                self.damage = str(error)
                self._members = self._from_scan()
            self.attributes = self.summary or self._read_root()
        except BaseException:
            self.close()
            raise

    def chunk_names(self) -> list[str]:
        """Names of the chunks, in order; with a whole summary also those that the file has lost."""
        found = {name.split("/")[0] for name in self._members if name.startswith("chunk_")}
        if self.summary:
            found |= {chunk_name(i) for i in range(self.summary["chunks"])}
        return sorted(found)

    def group(self, name: str) -> tuple[Json, dict[str, np.ndarray]]:
        """Attributes and arrays of a group; ContainerError naming the member that is damaged or missing."""
        attributes = self._attributes_of(f"{name}/zarr.json" if name else ROOT)
        names = attributes.get("arrays", [])
        arrays = {}
        for array in names:
            where = f"{name}/{array}"
            metadata = self._json(f"{where}/zarr.json")
            coded = None
            if int(np.prod(metadata["shape"])):
                coded = self._read("/".join([where, "c", *["0"] * len(metadata["shape"])]))
            arrays[array] = decode_array(metadata, coded, f"{self.path}: {where}")
        return attributes, arrays

    def sizes(self) -> dict[str, int]:
        """Bytes of the coded chunks by array name, summed over the jet chunks, and of everything in the file."""
        total: dict[str, int] = {}
        for name, (_, size, _, _) in self._members.items():
            parts = name.split("/")
            if parts[0].startswith("chunk_") and len(parts) > 2 and parts[2] == "c":
                total[parts[1]] = total.get(parts[1], 0) + size
        return total

    def close(self) -> None:
        """Release the file."""
        if isinstance(self._map, mmap.mmap):
            self._map.close()
        os.close(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _from_directory(self) -> dict[str, tuple[int, int, int, int]]:
        """Members by name: offset of the local header, stored size, CRC-32, compression."""
        try:
            with zipfile.ZipFile(self.path) as file:
                self._infos = file.infolist()
        except Exception as error:  # zipfile raises many kinds on a damaged directory
            raise ContainerError(
                f"{self.path}: not a whole zip file ({error}); expected a file that `compressionhep compress` wrote"
            ) from error
        return {
            info.filename: (info.header_offset, info.compress_size, info.CRC, info.compress_type)
            for info in self._infos
        }

    def _from_scan(self) -> dict[str, tuple[int, int, int, int]]:
        """Members found by the signature of their local headers, those with a right CRC-32 alone."""
        members, at = {}, -1
        while (at := self._map.find(b"PK\x03\x04", at + 1)) >= 0:
            header = self._map[at : at + _LOCAL_HEADER.size]
            if len(header) < _LOCAL_HEADER.size:
                break
            _, _, _, compression, _, _, crc, stored, _, name_size, _ = _LOCAL_HEADER.unpack(header)
            raw = self._map[at + _LOCAL_HEADER.size : at + _LOCAL_HEADER.size + name_size]
            name = raw.decode("utf-8", "replace")
            members[name] = (at, stored, crc, compression)
            try:
                self._content(name, members[name])
            except ContainerError:
                del members[name]
        return members

    def _read_summary(self) -> Json:
        if SUMMARY not in self._members:
            raise ContainerError(
                f"{self.path}: a zip file without {SUMMARY}; not written by `compressionhep compress`, or cut"
            )
        summary = self._attributes_of(SUMMARY)
        if summary.get("format") != FORMAT:
            raise ContainerError(f"{self.path}: format {summary.get('format')!r}, expected {FORMAT!r}")
        if summary.get("digest") != _digest(info for info in self._infos if info.filename != SUMMARY):
            raise ContainerError(
                f"{self.path}: the zip's directory does not fit the digest in {SUMMARY}; it is damaged"
            )
        return summary

    def _read_root(self) -> Json:
        attributes = self._attributes_of(SUMMARY if SUMMARY in self._members else ROOT)
        if attributes.get("format") != FORMAT:
            raise ContainerError(f"{self.path}: format {attributes.get('format')!r}, expected {FORMAT!r}")
        return attributes

    def _attributes_of(self, member: str) -> Json:
        return self._json(member).get("attributes", {})

    def _json(self, name: str) -> Json:
        return json.loads(self._read(name))

    def _read(self, name: str) -> bytes:
        if name not in self._members:
            raise ContainerError(f"{self.path}: member {name} is missing or damaged")
        return self._content(name, self._members[name])

    def _content(self, name: str, member: tuple[int, int, int, int]) -> bytes:
        offset, size, crc, compression = member
        header = self._map[offset : offset + _LOCAL_HEADER.size]
        if len(header) == _LOCAL_HEADER.size and header[:4] == b"PK\x03\x04":
            fields = _LOCAL_HEADER.unpack(header)
            start = offset + _LOCAL_HEADER.size + fields[-2] + fields[-1]
            content = self._map[start : start + size]
            if compression == zipfile.ZIP_DEFLATED:
                try:
                    content = zlib.decompress(content, -zlib.MAX_WBITS)
                except zlib.error:
                    content = b""
            if zlib.crc32(content) == crc and (content or not size):
                return content
        raise ContainerError(f"{self.path}: member {name} is damaged: its CRC-32 does not fit its bytes")


def chunk_name(index: int) -> str:
    """Name of the group of a chunk of jets."""
    return f"chunk_{index:06d}"


def _metadata(name: str, content: Json) -> Member:
    text = json.dumps(content, separators=(",", ":"), allow_nan=False)
    return Member(f"{name}/zarr.json" if name else ROOT, text.encode(), compress=True)


def _digest(infos: Iterable[zipfile.ZipInfo]) -> str:
    """SHA-256 over name, CRC-32 and size of members, in order."""
    lines = (f"{info.filename} {info.CRC:08x} {info.file_size} {info.compress_size}\n" for info in infos)
    return hashlib.sha256("".join(lines).encode()).hexdigest()
