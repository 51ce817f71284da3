"""Arrays to PCodec streams and back, where a stream may be anybody's.

PCodec takes memory as the stream says, and ends the process where there is not as much: for the number of values that
its header hints at, and for the window of a lookback. So the stream, which PCodec calls standalone
(https://github.com/pcodec/pcodec/blob/main/docs/format.md), is taken apart here, and decoded piece by piece into an
array that is there already: a piece is read only when its numbers are of the expected type, fit into what is left of
the array, and ask for a small window.
"""

from typing import Literal

import numpy as np
from numcodecs.pcodec import PCodec
from pcodec import wrapped

from utils.files import Json

MAGIC = b"pco!"

TYPES: dict[str, tuple[int, Literal["u32", "i32", "i64", "f32", "f64"]]] = {
    "uint32": (1, "u32"),
    "int32": (3, "i32"),
    "int64": (4, "i64"),
    "float32": (5, "f32"),
    "float64": (6, "f64"),
}
"""The arrays that containers hold: NumPy's name, and PCodec's byte and name."""

LONGEST_WINDOW = 20
"""Logarithm to base 2 of the longest window of a lookback that is decoded; PCodec writes up to 15."""

PIECE_HEADER = 16
"""Bytes of a piece that hold all that is looked at here: type, number of values, mode with its number, delta."""


def encode_stream(values: np.ndarray, settings: Json) -> bytes:
    """A contiguous array as a stream, coded by PCodec with `settings`."""
    return PCodec(**settings).encode(values)


def decode_stream(stream: bytes, size: int, dtype: np.dtype) -> np.ndarray:
    """The `size` values of `dtype` that a stream holds; ValueError where it holds others, or is damaged.

    The memory that is taken is the array's and a few MB; the caller sees to it that `size` is sensible.
    """
    kind, name = TYPES[dtype.name]
    values = np.empty(size, dtype)
    at = _end_of_header(stream, size, kind)
    try:
        decoder, used = wrapped.FileDecompressor.new(stream[at : at + PIECE_HEADER])
        at, done = at + used, 0
        while done < size:
            count = _values_of_piece(stream[at : at + PIECE_HEADER], kind, 8 * dtype.itemsize)
            if count > size - done:
                raise ValueError(f"its stream holds more than {size} values")
            piece, used = decoder.read_chunk_meta(stream[at + 4 :], name)
            at += 4 + used
            progress, used = piece.read_page_into(stream[at:], count, values[done : done + count])
            if progress.n_processed != count or not progress.finished:
                raise ValueError("its stream is cut short")
            at, done = at + used, done + count
    except RuntimeError as error:
        raise ValueError(f"its stream is damaged ({error})") from error
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # what Rust raises past Exception
            raise
        raise ValueError(f"its stream is damaged ({error})") from error
    if stream[at:] != b"\0":
        raise ValueError(f"its stream holds more than {size} values")
    return values


def _end_of_header(stream: bytes, size: int, kind: int) -> int:
    """Where the header of a stream of `size` values of a kind ends; ValueError where it announces others."""
    if stream[:4] != MAGIC or stream[4:5] not in (b"\2", b"\3"):
        raise ValueError("its stream is none of PCodec, or of a later version")
    start = 40
    if stream[4] == 3:
        if stream[5:6] not in (b"\0", bytes([kind])):
            raise ValueError("its stream holds values of another type")
        start = 48
    power = 1 + _bits(stream, start, 6)
    if (hint := _bits(stream, start + 6, power)) != size:
        raise ValueError(f"its stream announces {hint} values, expected {size}")
    return (start + 6 + power + 7) // 8


def _values_of_piece(head: bytes, kind: int, width: int) -> int:
    """How many values a piece that begins with `head` holds; ValueError where it is not to be decoded."""
    if len(head) < 5 or head[0] != kind:
        raise ValueError("its stream ends early, or holds values of another type")
    of_mode = {0: 0, 1: width, 2: width, 3: 8}.get(head[4] & 15)
    if of_mode is None:
        raise ValueError("its stream is of a mode that is not known")
    start = 36 + of_mode
    if _bits(head, start, 4) == 2 and 1 + _bits(head, start + 4, 5) > LONGEST_WINDOW:
        raise ValueError(f"its stream looks back by more than 2^{LONGEST_WINDOW} values")
    return 1 + int.from_bytes(head[1:4], "little")


def _bits(content: bytes, start: int, count: int) -> int:
    """The number in `count` bits from bit `start` on, least significant first."""
    first, last = start // 8, (start + count + 7) // 8
    return (int.from_bytes(content[first:last], "little") >> start % 8) & ((1 << count) - 1)
