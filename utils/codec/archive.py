"""The members of a zip file that is not ours, read within limits: all of a whole file, or what a damaged one still has.

A whole archive is laid out as `Writer` does: one member behind the other from the first byte on, then the directory,
and nothing else, so that no byte belongs to two members or to none. Memory and time are bounded by the file's size.
"""

import contextlib
import os
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from utils.limits import JSON_BYTES

_HEADER = struct.Struct("<4s5H3L2H")

_SIGNATURE = b"PK\x03\x04"

_END = b"PK\x05\x06"

_WINDOW = 2**20
"""Bytes that are searched for members at a time."""

_LARGEST = 2**28
"""Bytes of the largest member that is read."""

_LONGEST_NAME = 200

_SCANS, _SPARE = 16, 2**26
"""How often each byte may be looked at in the search for members of a damaged file, on average; and bytes more."""


class ContainerError(ValueError):
    """A file that is not a container of jets, or is damaged; the message names the file and the member."""


@contextlib.contextmanager
def blaming(where: str) -> Iterator[None]:
    """Turn whatever is raised over the content of a file into a ContainerError that names the place."""
    try:
        yield
    except ContainerError:
        raise
    except Exception as error:
        what = " ".join(str(error).split())[:200] or type(error).__name__
        raise ContainerError(f"{where}: damaged, or nothing that this version can use ({what})") from error


class Member(NamedTuple):
    """Where a member's bytes are, how many, their CRC-32, and whether they are deflated."""

    start: int
    size: int
    crc: int
    deflated: bool


class Archive:
    """The members of a zip file by name; safe to use from several threads.

    `whole` tells whether the file is as `Writer` leaves it. Where it is not, ContainerError says why; with `recover`,
    `damage` does, and the members are those whose local headers and checksums are right.
    """

    def __init__(self, path: str | Path, recover: bool = False):
        self.path = Path(path)
        if self.path.exists() and not self.path.is_file():
            raise ContainerError(f"{path}: not a file; expected one that `compressionhep compress` wrote")
        self._file = os.open(self.path, os.O_RDONLY)
        self.damage: str | None = None
        self.infos: list[zipfile.ZipInfo] = []
        try:
            self._size = os.fstat(self._file).st_size
            try:
                self.members = self._from_directory()
            except ContainerError as error:
                if not recover:
                    raise
                self.recover(str(error))
        except BaseException:
            self.close()
            raise

    def recover(self, damage: str) -> None:
        """Look for the members anew, without the directory, because of some damage."""
        self.damage = damage
        self.members = self._from_scan()

    def content(self, name: str, most: int) -> bytes:
        """The bytes of a member, at most `most` of them; ContainerError where it is missing, damaged or larger."""
        if name not in self.members:
            raise ContainerError(f"{self.path}: member {name} is missing or damaged")
        return self._content(name, self.members[name], most)

    def size_of(self, name: str) -> int:
        """The bytes of a member in the file; none where it is missing."""
        return self.members[name].size if name in self.members else 0

    def part(self, name: str, start: int, size: int) -> bytes:
        """Some bytes of a member that is stored as it is, fewer where it ends; its CRC-32 is not looked at."""
        if name not in self.members or self.members[name].deflated:
            raise ContainerError(f"{self.path}: member {name} is missing or damaged")
        member = self.members[name]
        return self._read(member.start + start, max(0, min(size, member.size - start)))

    def close(self) -> None:
        """Release the file."""
        os.close(self._file)

    def _from_directory(self) -> dict[str, Member]:
        try:
            with zipfile.ZipFile(self.path) as file:
                self.infos, end, comment = file.infolist(), file.start_dir, file.comment
        except Exception as error:  # zipfile raises many kinds on a damaged directory
            raise self._not_whole(str(error)) from error
        if comment or self._read(self._size - 22, 4) != _END:
            raise self._not_whole("something follows its directory")
        members: dict[str, Member] = {}
        at = 0
        for info in self.infos:
            found = self._local(info.header_offset)
            if info.header_offset != at or found is None or found[0] != info.filename or info.filename in members:
                raise self._not_whole(f"its directory gives member {info.filename!r} a place that it has not")
            members[info.filename] = found[1]
            if (found[1].size, found[1].crc) != (info.compress_size, info.CRC):
                raise self._not_whole(f"its directory does not fit the header of member {info.filename!r}")
            at = found[1].start + found[1].size
        if at != end:
            raise self._not_whole("something lies between its members and its directory")
        return members

    def _from_scan(self) -> dict[str, Member]:
        """Members found by the signature of their local headers, those with a right CRC-32 alone.

        A member that is right is passed over; those that are not may claim any number of bytes, and only so many in all
        are looked at.
        """
        members: dict[str, Member] = {}
        left, end = _SCANS * self._size + _SPARE, 0
        for at in self._signatures():
            found = self._local(at) if at >= end else None
            if found is None:
                continue
            name, member = found
            most = JSON_BYTES if member.deflated else member.size
            try:
                left -= len(self._content(name, member, most))
            except ContainerError:
                left -= most
                if left < 0:
                    break
                continue
            if members.setdefault(name, member).crc != member.crc:
                raise ContainerError(
                    f"{self.path}: holds member {name} twice: two containers in one file; cut them apart"
                )
            end = member.start + member.size
        return members

    def _signatures(self) -> Iterator[int]:
        for start in range(0, self._size, _WINDOW):
            window = self._read(start, _WINDOW + len(_SIGNATURE) - 1)
            at = window.find(_SIGNATURE)
            while at >= 0:
                yield start + at
                at = window.find(_SIGNATURE, at + 1)

    def _local(self, at: int) -> tuple[str, Member] | None:
        """Name and place of the member whose local header is at a place of the file; None where there is none."""
        head = self._read(at, _HEADER.size + _LONGEST_NAME)
        if len(head) < _HEADER.size or head[:4] != _SIGNATURE:
            return None
        _, _, _, compression, _, _, crc, size, _, name_size, extra_size = _HEADER.unpack_from(head)
        start = at + _HEADER.size + name_size + extra_size
        if compression not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or name_size > _LONGEST_NAME:
            return None
        if start + size > self._size or size > _LARGEST:
            return None
        name = head[_HEADER.size : _HEADER.size + name_size].decode("ascii", "replace")
        return name, Member(start, size, crc, compression == zipfile.ZIP_DEFLATED)

    def _content(self, name: str, member: Member, most: int) -> bytes:
        too_large = ContainerError(f"{self.path}: member {name} holds more than the {most} bytes that are read of it")
        if member.size > most:
            raise too_large
        content = self._read(member.start, member.size)
        if member.deflated:
            try:
                content = zlib.decompressobj(-zlib.MAX_WBITS).decompress(content, most + 1)
            except zlib.error:
                content = b""
            if len(content) > most:
                raise too_large
        if zlib.crc32(content) != member.crc or (member.size and not content):
            raise ContainerError(f"{self.path}: member {name} is damaged: its CRC-32 does not fit its bytes")
        return content

    def _read(self, start: int, size: int) -> bytes:
        return os.pread(self._file, size, start) if start >= 0 else b""

    def _not_whole(self, why: str) -> ContainerError:
        return ContainerError(
            f"{self.path}: not a whole zip file ({why}); expected a file that `compressionhep compress` wrote"
        )
