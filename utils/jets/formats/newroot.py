"""New ROOT files that are the same, byte for byte, where what is written is the same."""

import contextlib
import datetime
import uuid
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Self

import uproot
from uproot.writing import _cascade, _cascadentuple, _cascadetree


class _FirstDay(datetime.datetime):
    """The first day that ROOT can write, at any time."""

    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> Self:
        """1995-01-01, 00:00."""
        return cls(1995, 1, 1, tzinfo=tz)


@contextlib.contextmanager
def new_root_file(path: str | Path, compression: uproot.compression.Compression) -> Iterator[uproot.WritableDirectory]:
    """A ROOT file that is written, with one time for all that is in it, an identifier without one, and no name inside.

    uproot takes an identifier of one's own, but asks the clock for the times of keys, directories, baskets and pages.
    While the file is open, its writers are given another clock.
    """
    writers = (_cascade, _cascadetree, _cascadentuple)
    clocks = [writer.datetime for writer in writers]
    for writer in writers:
        writer.datetime = SimpleNamespace(datetime=_FirstDay)
    try:
        with (
            Path(path).open("wb+") as opened,
            uproot.recreate(opened, compression=compression, uuid_function=lambda: uuid.UUID(int=0)) as file,
        ):
            yield file
    finally:
        for writer, clock in zip(writers, clocks, strict=True):
            writer.datetime = clock
