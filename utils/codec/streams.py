"""Arrays to PCodec streams and back, where a stream may be anybody's.

PCodec takes memory as the stream says, and ends the process where there is not as much: for the number of values that
its header hints at, and for the window of a lookback. So a stream is decoded piece by piece into an array that is there
already, and a piece is read only when it asks for a small window.

A stream is PCodec's own header, then for each `PIECE_VALUES` values, or as many as are left, the metadata of a chunk
and its only page; the number of values and their type stand outside. Containers of the first version hold streams that
PCodec calls standalone (https://github.com/pcodec/pcodec/blob/main/docs/format.md), in which each piece has its type
and number of values before it.
"""

from typing import Literal

import numpy as np
from pcodec import ChunkConfig, DeltaSpec, ModeSpec, PagingSpec, wrapped

from utils.files import Json

MAGIC = b"pco!"

TYPES: dict[str, tuple[int, Literal["u32", "i32", "i64", "f32", "f64"]]] = {
    "uint32": (1, "u32"),
    "int32": (3, "i32"),
    "int64": (4, "i64"),
    "float32": (5, "f32"),
    "float64": (6, "f64"),
}
"""The arrays that streams hold: NumPy's name, and PCodec's byte and name."""

PIECE_VALUES = 2**22
"""Values of a piece; PCodec takes four times as many at most."""

LONGEST_WINDOW = 20
"""Logarithm to base 2 of the longest window of a lookback that is decoded; PCodec writes up to 15."""

HEAD_BYTES = 16
"""Bytes of a piece that hold all that is looked at here: type, number of values, mode with its number, delta."""

PLAIN: Json = {"level": 8, "mode_spec": "classic", "delta_spec": "none"}
"""PCodec settings of integers that do not depend on their neighbours."""

DIFFERENT: Json = PLAIN | {"delta_spec": "auto"}
"""PCodec settings of integers that may depend on their neighbours."""

SEARCHING: Json = DIFFERENT | {"mode_spec": "auto"}
"""PCodec settings that look for steps as well; slower."""


def encode_stream(values: np.ndarray, settings: Json) -> bytes:
    """A contiguous array as a stream, coded by PCodec with `settings`."""
    encoder = wrapped.FileCompressor()
    parts = [encoder.write_header()]
    for start in range(0, len(values), PIECE_VALUES):
        piece = values[start : start + PIECE_VALUES]
        coded = encoder.chunk_compressor(piece, _config(settings, len(piece)))
        parts += [coded.write_chunk_meta(), coded.write_page(0)]
    return b"".join(parts)


def decode_stream(stream: bytes, size: int, dtype: np.dtype) -> np.ndarray:
    """The `size` values of `dtype` that a stream holds; ValueError where it holds others, or is damaged.

    The memory that is taken is the array's and a few MB; the caller sees to it that `size` is sensible.
    """
    return _decode(stream, 0, size, dtype, standalone=False)


def decode_standalone(stream: bytes, size: int, dtype: np.dtype) -> np.ndarray:
    """The same for a stream of a container of the first version."""
    return _decode(stream, _end_of_header(stream, size, TYPES[dtype.name][0]), size, dtype, standalone=True)


def _config(settings: Json, values: int) -> ChunkConfig:
    return ChunkConfig(
        compression_level=settings["level"],
        mode_spec=getattr(ModeSpec, settings["mode_spec"])(),
        delta_spec=getattr(DeltaSpec, settings["delta_spec"])(),
        paging_spec=PagingSpec.exact_page_sizes([values]),
    )


def _decode(stream: bytes, at: int, size: int, dtype: np.dtype, standalone: bool) -> np.ndarray:
    kind, name = TYPES[dtype.name]
    values = np.empty(size, dtype)
    try:
        decoder, used = wrapped.FileDecompressor.new(stream[at : at + HEAD_BYTES])
        at, done = at + used, 0
        while done < size:
            count = min(size - done, PIECE_VALUES)
            if standalone:
                count = _values_of_piece(stream[at : at + 4], kind)
                at += 4
            if count > size - done:
                raise ValueError(f"its stream holds more than {size} values")
            _check_piece(stream[at : at + HEAD_BYTES], 8 * dtype.itemsize)
            piece, used = decoder.read_chunk_meta(stream[at:], name)
            at += used
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
    if stream[at:] != (b"\0" if standalone else b""):
        raise ValueError(f"its stream holds more than {size} values")
    return values


def _end_of_header(stream: bytes, size: int, kind: int) -> int:
    """Where the header of a standalone stream ends; ValueError where it announces other values."""
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


def _values_of_piece(head: bytes, kind: int) -> int:
    """How many values the piece of a standalone stream holds."""
    if len(head) < 4 or head[0] != kind:
        raise ValueError("its stream ends early, or holds values of another type")
    return 1 + int.from_bytes(head[1:], "little")


def _check_piece(head: bytes, width: int) -> None:
    """ValueError unless a piece whose metadata begin with `head` can be decoded without a surprise."""
    of_mode = {0: 0, 1: width, 2: width, 3: 8}.get(head[0] & 15) if head else None
    if of_mode is None:
        raise ValueError("its stream ends early, or is of a mode that is not known")
    start = 4 + of_mode
    if _bits(head, start, 4) == 2 and 1 + _bits(head, start + 4, 5) > LONGEST_WINDOW:
        raise ValueError(f"its stream looks back by more than 2^{LONGEST_WINDOW} values")


def _bits(content: bytes, start: int, count: int) -> int:
    """The number in `count` bits from bit `start` on, least significant first."""
    first, last = start // 8, (start + count + 7) // 8
    return (int.from_bytes(content[first:last], "little") >> start % 8) & ((1 << count) - 1)
