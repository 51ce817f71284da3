"""The note that files of this project carry: the unit, the events without jets, and a checksum of the jets.

File formats protect little of what they hold; with the note, a changed bit is found whatever it hits. Where the number
of jets or events is not the noted one, another program, such as ROOT's `hadd`, changed the file since: that is said,
and the note then left aside.
"""

import json
import re
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from utils.files import Json
from utils.jets.events import EventIds, event_columns
from utils.jets.table import COLUMNS, JetError
from utils.jets.units import PER_GEV
from utils.limits import parse_json

NOTE_KEY = "compression_hep"

_KINDS = {"jets": int, "events": int, "empty_sum": int, "crc32": list, "ascending": bool, "empty_events": list}

_NOTE = re.compile(r'[0-9a-f]{8} \{"version": \d+, "unit": ')
"""How a note begins."""


class Digest:
    """A running checksum of jets and events that does not depend on how a stream is cut into chunks."""

    def __init__(self) -> None:
        self.jets = self.events = self.empty_sum = 0
        self.crc32: list[int] = []

    def update(self, features: list[np.ndarray], ids: np.ndarray, counts: np.ndarray) -> None:
        """Add jets: m, pt, phi, eta in float32, and the ids and jet counts of their events."""
        self.jets += len(features[0])
        self.events += len(ids)
        *others, numbers = (column.astype("<i8") for column in event_columns(ids).values())
        for column in (*others, numbers):
            self.empty_sum = (self.empty_sum + int(column[counts == 0].astype(np.uint64).sum())) % 2**64
        columns = [np.repeat(numbers, counts), *(column.astype("<f4") for column in features)]
        columns += [np.repeat(column, counts) for column in others]
        before = self.crc32 or [0] * len(columns)
        self.crc32 = [zlib.crc32(column.tobytes(), crc) for crc, column in zip(before, columns, strict=True)]

    def to_dict(self) -> Json:
        """JSON-safe: what a note holds of the jets."""
        return {"jets": self.jets, "events": self.events, "empty_sum": self.empty_sum, "crc32": self.crc32 or [0] * 5}


def format_note(digest: Digest, **more: Any) -> str:
    """The note as text: a checksum of the text itself, and JSON."""
    body = json.dumps({"version": 1, "unit": "GeV"} | digest.to_dict() | more)
    return f"{zlib.crc32(body.encode()):08x} {body}"


def find_note(texts: Mapping[Any, Any], source: str) -> Json | None:
    """The note among the texts that a file holds, by name; JetError where it, or its name, was damaged."""
    for name, text in texts.items():
        name, text = (part.decode("utf-8", "replace") if isinstance(part, bytes) else part for part in (name, text))
        if name == NOTE_KEY:
            return _parse_note(str(text), source)
        if isinstance(text, str) and _NOTE.match(text):
            raise JetError(f"{source}: damaged: the file's note about its jets is called {name!r}, not {NOTE_KEY!r}")
    return None


def _parse_note(text: str, source: str) -> Json:
    """What a note says, with the types that it has; JetError where it is damaged, or no note of this project."""
    checksum, _, body = text.partition(" ")
    if checksum != f"{zlib.crc32(body.encode()):08x}":
        raise JetError(f"{source}: damaged: the file's note about its jets does not match its own checksum")
    try:
        note = parse_json(body, len(body))
        for key, kind in _KINDS.items():
            if not isinstance(note.get(key, kind()), kind) or (key in Digest().to_dict() and key not in note):
                raise ValueError(f"{key} {note.get(key)!r:.40}")
        if note["unit"] not in PER_GEV or not all(isinstance(number, int) for number in note["crc32"]):
            raise ValueError("its unit or its checksums")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise JetError(f"{source}: the file's note about its jets is none of this project ({error})") from error
    return note


def check_note(note: Json, digest: Digest, source: str) -> str | None:
    """Compare what was read with the note. JetError where the jets differ; a sentence where their number does."""
    found = digest.to_dict()
    if (note["jets"], note["events"]) != (found["jets"], found["events"]):
        return (
            f"{source}: {found['jets']} jets in {found['events']} events, noted when written were {note['jets']} in "
            f"{note['events']}; another program changed the file since"
        )
    if any(note[key] != found[key] for key in found if digest.jets or key != "crc32"):
        raise JetError(f"{source}: damaged: its {found['jets']} jets are not those that were written (checksum)")
    return None


class NoteBuilder:
    """What a writer has to remember of the chunks that passed, for the note at the end of the file."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.ids = EventIds()
        self.columns = COLUMNS
        self.empty: list[Any] = []
        self.digest = Digest()

    def format(self, **more: Any) -> str:
        """The note at the end of the file, with `more` entries that only its format needs."""
        return format_note(self.digest, **more)
