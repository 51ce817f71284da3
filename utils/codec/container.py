"""The compressed file: a Zarr v3 group in one zip, written one chunk at a time; `reader` reads it.

    zarr.json             attributes: all that is needed to decode the chunks
    decoder               weights of the decoder, or of networks, where the codec has some
    chunk_000000          jets of the first events, or entries of a tree (see `packed`)
    chunk_000001 ...
    summary/zarr.json     attributes: those of the root, the counts, the measured errors, and a digest of all members

Zarr opens the group and shows its attributes. The chunks are no Zarr arrays: those take two members of the zip for each
array of each chunk, and metadata of their own, where streams that are packed take a few numbers. Each chunk can be
checked and recovered alone, and a writer needs not know their number beforehand. Members are covered by zip's
CRC-32, streams also by a CRC-32C of what they decode to, the list of members by the digest.

In containers of the first version, which are read but not written any more, `decoder` and the chunks are groups of Zarr
arrays, each in a single chunk of exactly its length.
"""

import hashlib
import json
import zipfile
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from utils.files import Json
from utils.limits import JSON_BYTES

FORMAT, FIRST_FORMAT = "compression-hep 2", "compression-hep jets 1"

ROOT, SUMMARY = "zarr.json", "summary/zarr.json"


@dataclass(frozen=True)
class Member:
    """One file inside the zip, ready to be written."""

    name: str
    content: bytes
    compress: bool = False


def group_member(name: str, attributes: Json) -> Member:
    """The metadata of a Zarr group; `name` is empty for the root."""
    return _metadata(name, {"zarr_format": 3, "node_type": "group", "attributes": attributes})


class Writer:
    """Writes members one after the other; `close` adds the summary with the digest."""

    def __init__(self, path: Path, attributes: Json):
        self._attributes = {"format": FORMAT} | attributes
        self._zip = zipfile.ZipFile(path, "w", zipfile.ZIP_STORED)
        try:
            self.add(group_member("", self._attributes))
        except BaseException:
            self._abandon()
            raise

    def add(self, member: Member) -> None:
        """Append a member to the file."""
        info = zipfile.ZipInfo(member.name, (1980, 1, 1, 0, 0, 0))
        info.external_attr = 0o644 << 16
        info.compress_type = zipfile.ZIP_DEFLATED if member.compress else zipfile.ZIP_STORED
        self._zip.writestr(info, member.content)

    def close(self, summary: Json) -> None:
        """Write the summary and the zip's directory."""
        digest = digest_of(self._zip.infolist())
        self.add(group_member("summary", self._attributes | summary | {"digest": digest}))
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
    """Name of a chunk."""
    return f"chunk_{index:06d}"


def _metadata(name: str, content: Json) -> Member:
    text = json.dumps(content, separators=(",", ":"), allow_nan=False)
    if len(text) > JSON_BYTES:
        raise ValueError(f"too much to say of a container: {len(text)} bytes, of which at most {JSON_BYTES} are read")
    return Member(f"{name}/zarr.json" if name else ROOT, text.encode(), compress=True)


def digest_of(infos: Iterable[zipfile.ZipInfo]) -> str:
    """SHA-256 over name, CRC-32 and size of members, in order."""
    lines = (f"{info.filename} {info.CRC:08x} {info.file_size} {info.compress_size}\n" for info in infos)
    return hashlib.sha256("".join(lines).encode()).hexdigest()
