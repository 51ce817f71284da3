"""Reading a container that may be anybody's: what it says of itself, and its arrays, within limits."""

import math
import re
import struct
import zipfile
from itertools import islice
from pathlib import Path
from typing import Self

import google_crc32c
import numpy as np

from utils.codec.archive import Archive, ContainerError, blaming
from utils.codec.container import FORMAT, ROOT, SUMMARY, chunk_name, chunk_of, digest_of
from utils.codec.streams import TYPES, decode_stream
from utils.files import Json
from utils.limits import JSON_BYTES, Form, parse_json, require_form

METADATA_BYTES = 2**16
"""Most bytes of what a group or an array says of itself; the root and the summary may be as long as any JSON."""

MOST_DIMENSIONS = 8

_FORMS: dict[str, Form] = {
    ROOT: {"format": str, "codec": str, "keep_nonfinite?": bool},
    SUMMARY: {"format": str, "codec": str, "keep_nonfinite?": bool, "chunks": int, "jets": int, "events": int},
}

_ARRAY: Form = {"shape": [int], "data_type": str}


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

    def group(self, name: str) -> Json:
        """Attributes of a group, with the names of its `arrays`; ContainerError where they are missing or damaged."""
        with blaming(f"{self.path}: {name}"):
            attributes = self._attributes(f"{name}/zarr.json", METADATA_BYTES)
            require_form(attributes, {"arrays": [str]}, "its attributes")
            if len(set(attributes["arrays"])) < len(attributes["arrays"]):
                raise ValueError("an array is named twice")
            return attributes

    def array(self, name: str, most: int) -> np.ndarray:
        """An array of at most `most` values; ContainerError where it is missing or damaged, or has more."""
        with blaming(f"{self.path}: {name}"):
            metadata = self._json(f"{name}/zarr.json", METADATA_BYTES)
            require_form(metadata, _ARRAY)
            shape, kind = metadata["shape"], metadata["data_type"]
            if kind not in TYPES:
                raise ValueError(f"data type {kind!r}; this version knows {', '.join(TYPES)}")
            size = math.prod(shape)
            if len(shape) > MOST_DIMENSIONS or not all(0 <= length <= most for length in shape) or size > most:
                raise ValueError(f"the shape {shape}; at most {most} values are read of it")
            if size == 0:
                return np.empty(shape, kind)
            coded = self._archive.content(f"{chunk_of(name, len(shape))}", 16 * size + METADATA_BYTES)
            if struct.pack("<L", google_crc32c.value(coded[:-4])) != coded[-4:]:
                raise ValueError("its crc32c does not fit its bytes")
            return decode_stream(coded[:-4], size, np.dtype(kind)).reshape(shape)

    def sizes(self) -> dict[str, int]:
        """Bytes of the coded chunks by array name, summed over the jet chunks, and of everything in the file."""
        total: dict[str, int] = {}
        for name, member in self._archive.members.items():
            parts = name.split("/")
            if parts[0].startswith("chunk_") and len(parts) > 2 and parts[2] == "c":
                total[parts[1]] = total.get(parts[1], 0) + member.size
        return total

    def close(self) -> None:
        """Release the file."""
        self._archive.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _chunk_numbers(self) -> set[int]:
        found = (re.fullmatch(r"chunk_(\d{6,9})/zarr\.json", name) for name in self._archive.members)
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
        """The attributes of the root or the summary, of this format."""
        with blaming(f"{self.path}: {member}"):
            attributes = self._attributes(member, JSON_BYTES)
            if attributes.get("format") != FORMAT:
                raise ContainerError(f"{self.path}: format {attributes.get('format')!r}, expected {FORMAT!r}")
            require_form(attributes, _FORMS[member], "its attributes")
            return attributes

    def _attributes(self, member: str, most: int) -> Json:
        content = self._json(member, most)
        require_form(content, {"attributes": dict})
        return content["attributes"]

    def _json(self, member: str, most: int) -> Json:
        return parse_json(self._archive.content(member, most), most)
