"""Reading a container that may be anybody's: what it says of itself, and its arrays, within limits."""

import re
import zipfile
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Self

from utils.codec.archive import Archive, ContainerError, blaming
from utils.codec.arrays import Arrays, FirstArrays, attributes_of
from utils.codec.container import FIRST_FORMAT, FORMAT, ROOT, SUMMARY, chunk_name, digest_of
from utils.codec.packed import Packed, read_from
from utils.files import Json
from utils.limits import JSON_BYTES, Form, require_form

_FORMS: dict[str, dict[str, Form]] = {
    ROOT: {"format": str, "codec": str, "keep_nonfinite?": bool},
    SUMMARY: {"format": str, "codec": str, "keep_nonfinite?": bool, "chunks": int},
}

_JETS: Form = {"jets": int, "events": int}

TREES = "trees"
"""The codec of containers of whole trees; all others are of jets."""


class Reader:
    """Reads a container; safe to use from several threads.

    Without `recover` the file must be whole: the digest in the summary is compared with the zip's directory at once,
    and every member with its checksums when it is read. With `recover`, members are also found without the directory,
    and damage shows only when a member that is needed is read.
    """

    def __init__(self, path: str | Path, recover: bool = False):
        self.path = Path(path)
        self._archive = Archive(self.path, recover)
        self.summary: Json | None = None
        try:
            if self._archive.damage is None:
                try:
                    self.summary = self._whole_summary()
                except ContainerError as error:
                    if not recover:
                        raise
                    self._archive.recover(str(error))
            self.attributes = self.summary or self._description(
                SUMMARY if SUMMARY in self._archive.members else ROOT,
            )
        except BaseException:
            self.close()
            raise

    @property
    def damage(self) -> str | None:
        """Why the file is not whole; None where it is."""
        return self._archive.damage

    def chunk_names(self) -> list[str]:
        """Names of the chunks that are there, in order."""
        return [chunk_name(number) for number in sorted(self._chunk_numbers())]

    def missing_chunks(self) -> str | None:
        """What is said of chunks that a damaged file has lost altogether, where its summary tells how many it had."""
        numbers, chunks = self._chunk_numbers(), self.attributes.get("chunks", 0)
        if (lost := chunks - len(numbers)) <= 0:
            return None
        first = list(islice((chunk_name(number) for number in range(chunks) if number not in numbers), 5))
        return f"{self.path}: {lost} of {chunks} chunks are missing: {', '.join(first)}{', ...' if lost > 5 else ''}"

    def holds(self, name: str) -> bool:
        """Whether there is such a member."""
        return name in self._archive.members

    def size_of(self, name: str) -> int:
        """Bytes of a member."""
        return self._archive.size_of(name)

    def member(self, name: str, whole: bool = True) -> Packed:
        """A member of packed streams, all of it at once or what is asked for; ContainerError where it is damaged."""
        with blaming(f"{self.path}: {name}"):
            if whole:
                return Packed(read_from(self._archive.content(name, self._archive.size_of(name))))
            return Packed(partial(self._archive.part, name))

    def arrays(self, name: str) -> Arrays | FirstArrays:
        """The arrays of jets in a chunk, or of the decoder; ContainerError where they are missing or damaged."""
        with blaming(f"{self.path}: {name}"):
            if self.attributes["format"] == FIRST_FORMAT:
                return FirstArrays(self._archive, name)
            return Arrays(self.member(name))

    def sizes(self) -> dict[str, int]:
        """Bytes of the coded arrays of jets by name, summed over the chunks."""
        total: dict[str, int] = {}
        for name in self.chunk_names():
            for array, size in self.arrays(name).sizes().items():
                total[array] = total.get(array, 0) + size
        return total

    def close(self) -> None:
        """Release the file."""
        self._archive.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _chunk_numbers(self) -> set[int]:
        found = (re.fullmatch(r"chunk_(\d{6,9})(/zarr\.json)?", name) for name in self._archive.members)
        return {int(match[1]) for match in found if match}

    def _whole_summary(self) -> Json:
        if SUMMARY not in self._archive.members:
            raise ContainerError(
                f"{self.path}: a zip file without {SUMMARY}; not written by `compressionhep compress`, or cut"
            )
        summary = self._description(SUMMARY)
        if summary.get("digest") != digest_of(self._infos_but_summary()):
            raise ContainerError(
                f"{self.path}: the zip's directory does not fit the digest in {SUMMARY}; it is damaged"
            )
        numbers = self._chunk_numbers()
        if len(numbers) != summary["chunks"] or max(numbers, default=-1) >= summary["chunks"]:
            raise ContainerError(f"{self.path}: holds {len(numbers)} chunks, expected {summary['chunks']}")
        return summary

    def _infos_but_summary(self) -> list[zipfile.ZipInfo]:
        return [info for info in self._archive.infos if info.filename != SUMMARY]

    def _description(self, member: str) -> Json:
        """The attributes of the root or the summary, of a format that is known."""
        with blaming(f"{self.path}: {member}"):
            attributes = attributes_of(self._archive, member, JSON_BYTES)
            if attributes.get("format") not in (FORMAT, FIRST_FORMAT):
                raise ContainerError(f"{self.path}: format {attributes.get('format')!r}, expected {FORMAT!r}")
            require_form(attributes, _FORMS[member], "its attributes")
            if member == SUMMARY and attributes["codec"] != TREES:
                require_form(attributes, _JETS, "its attributes")
            return attributes
