"""One array to bytes and back: the ways in which a container stores numbers, and the choice between them.

    constant    one value for all
    integers    a PCodec stream of int32 or int64, from which integers and booleans of any width are cast
    stored      floats by the bits that they use: as integers of the same order, without the zeros that all end in
    levels      floats on a grid (see `grids`): the integers of their levels
    floats      a PCodec stream of the floats themselves
    bytes       text, under LZMA

Under `stored` and `levels`, values that do not fit (sentinels, NaN, what ends in no zeros, what the grid cannot hold)
stand in a table, and integers from `first` on are places in it. All ways but levels are exact.
"""

import lzma
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from utils.codec.grids import GRID_LIMIT, Grid, to_integers, to_values
from utils.codec.streams import DIFFERENT, PLAIN, SEARCHING, TYPES, decode_stream, encode_stream
from utils.files import Json
from utils.trees import Bound, kept

Way = tuple[str, Json]
"""How an array is stored, and the settings of PCodec."""

MANTISSA = {2: 10, 4: 23, 8: 52}

NAMES = {"bool", *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64))}
NAMES |= {"float16", "float32", "float64"}
"""The types of arrays that are stored, as NumPy calls them."""

_RARE, _MOST_RARE = 256, 32
"""Of so many values one may be kept apart, and so many different ones, so that the others need fewer bits."""

_LZMA = [{"id": lzma.FILTER_LZMA2, "preset": 9, "dict_size": 1 << 20}]


@dataclass(frozen=True)
class Piece:
    """An array as it is stored: in which way, with which parameters, the bytes, and the settings that wrote them."""

    way: str
    parameters: tuple[int | str, ...]
    content: bytes
    settings: Json


def encode_piece(values: np.ndarray, bound: Bound, grid: Grid | None, text: bool, way: Way | None = None) -> Piece:
    """The smallest of the ways in which an array can be stored within its bound, or the one that is given, if it can.

    `grid` is that of the bound, None where every bit is kept.
    """
    if len(values) == 0 or (_bits(values) == _bits(values[:1])).all():
        return Piece("constant", (), values[:1].tobytes(), PLAIN)
    pieces = list(_candidates(values, bound, grid, text, way))
    if not pieces and way is not None:
        return encode_piece(values, bound, grid, text)
    if not pieces:
        return Piece("floats", (), encode_stream(values, SEARCHING), SEARCHING)
    return min(pieces, key=lambda piece: len(piece.content))


def _candidates(values: np.ndarray, bound: Bound, grid: Grid | None, text: bool, given: Way | None) -> Iterator[Piece]:
    if text:
        yield Piece("bytes", (), lzma.compress(values.tobytes(), lzma.FORMAT_RAW, filters=_LZMA), PLAIN)
        return
    floats = values.dtype.kind == "f"
    ways: list[tuple[str, Json]] = [("integers", PLAIN), ("integers", DIFFERENT)]
    if floats:
        ways = [("stored", PLAIN), ("stored", DIFFERENT)]
        ways += [("floats", SEARCHING)] if values.dtype.name in TYPES else []
    if grid is not None:
        ways = [("levels", PLAIN), ("levels", DIFFERENT), ("stored", PLAIN)]
    if given is not None:
        ways = [given] if given in ways else []
    coded: dict[str, tuple[np.ndarray, tuple[int, ...], bytes] | None] = {}
    for way, settings in ways:
        if way not in coded:
            coded[way] = _integers(way, values, bound, grid)
        if (found := coded[way]) is not None:
            integers, parameters, table = found
            of_stream: tuple[int | str, ...] = () if way == "floats" else (integers.dtype.name, *parameters)
            yield Piece(way, of_stream, table + encode_stream(integers, settings), settings)


def _integers(
    way: str, values: np.ndarray, bound: Bound, grid: Grid | None
) -> tuple[np.ndarray, tuple[int, ...], bytes] | None:
    """What goes into the stream, the parameters, and the table before it; None where the way is of no use."""
    if way == "floats":
        return values, (), b""
    if way == "integers":
        return _narrow(values), (), b""
    if way == "stored":
        return _stored(values)
    assert grid is not None
    integers = to_integers(grid, np.where(np.isfinite(values), values, 0))
    apart = kept(values, to_values(grid, integers, values.dtype), bound)
    return _with_table(integers, values, apart)


def _stored(values: np.ndarray) -> tuple[np.ndarray, tuple[int, ...], bytes] | None:
    zeros = _zeros(values)
    counts = np.bincount(zeros, minlength=MANTISSA[values.itemsize] + 1)
    below = np.cumsum(counts) - counts
    shift = int(np.flatnonzero(below <= len(values) // _RARE)[-1])
    apart = zeros < shift
    if len(np.unique(_bits(values[apart]))) > _MOST_RARE:
        shift = int(np.flatnonzero(counts)[0])
        apart = np.zeros(len(values), bool)
    found = _with_table(_ordered(values) >> shift, values, apart)
    return None if found is None else (found[0], (*found[1], shift), found[2])


def _with_table(
    integers: np.ndarray, values: np.ndarray, apart: np.ndarray
) -> tuple[np.ndarray, tuple[int, ...], bytes] | None:
    """Integers in which those of the values that stand apart are places in a table, from `first` on."""
    table, places = np.unique(_bits(values[apart]), return_inverse=True)
    if 2 * len(table) > len(values):
        return None
    integers = integers.astype(np.int64)
    first = int(integers[~apart].max(initial=-1)) + 1
    if first + len(table) >= 2**63:
        return None
    integers[apart] = first + places
    return _narrow(integers), (len(table), first), table.tobytes()


def decode_piece(
    way: str, parameters: list[int | str], content: bytes, size: int, dtype: np.dtype, grid: Grid | None
) -> np.ndarray:
    """The `size` values of `dtype` that a piece holds; ValueError where it holds no such thing."""
    if way == "constant" and not parameters:
        if len(content) != (dtype.itemsize if size else 0):
            raise ValueError("its constant is of another type")
        return np.full(size, np.frombuffer(content, dtype)[0]) if size else np.empty(0, dtype)
    if way == "bytes" and not parameters and dtype == np.uint8:
        decoder = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=_LZMA)
        try:
            text = decoder.decompress(content, size + 1)
        except lzma.LZMAError as error:
            raise ValueError(f"its text is damaged ({error})") from error
        if len(text) != size:
            raise ValueError(f"its text does not hold {size} bytes")
        return np.frombuffer(text, np.uint8)
    if way == "floats" and not parameters and dtype.kind == "f" and dtype.name in TYPES:
        return decode_stream(content, size, dtype)
    width, table, stream = split_piece(way, parameters, content, size, dtype)
    return values_of(way, parameters, decode_stream(stream, size, width), table, dtype, grid)


def split_piece(
    way: str, parameters: list[int | str], content: bytes, size: int, dtype: np.dtype
) -> tuple[np.dtype, np.ndarray, bytes]:
    """Of a piece of integers: their type, the table, and the bytes behind it; ValueError where it is none such."""
    match way, dtype.kind, parameters:
        case "integers", "i" | "u" | "b", ["int32" | "int64" as width]:
            return np.dtype(width), np.empty(0, dtype), content
        case "stored", "f", ["int32" | "int64" as width, int(length), int(first), int(shift)]:
            if not 0 <= shift <= MANTISSA[dtype.itemsize] or not -(2**63) <= first < 2**63:
                raise ValueError(f"its integers are shifted by {shift} bits, from {first} on a table")
            return np.dtype(width), *_table(content, length, size, dtype)
        case "levels", "f", ["int32" as width, int(length), int(first)]:
            if abs(first) > 2 * GRID_LIMIT:
                raise ValueError(f"its levels end before {first}")
            return np.dtype(width), *_table(content, length, size, dtype)
    raise ValueError(f"{dtype} stored as {way} with {parameters}")


def values_of(
    way: str, parameters: list, integers: np.ndarray, table: np.ndarray, dtype: np.dtype, grid: Grid | None
) -> np.ndarray:
    """The values for which the integers of a piece stand."""
    if way == "integers":
        return _cast(integers, dtype)
    if way == "stored":
        integers = integers.astype(np.int64)
        return _fill(_floats(integers, parameters[3], dtype), integers, table, parameters[2])
    if grid is None:
        raise ValueError(f"{dtype} stored as {way} without a bound")
    first = parameters[2]
    return _fill(to_values(grid, np.minimum(integers, first - 1), dtype), integers, table, first)


def _table(content: bytes, length: int, size: int, dtype: np.dtype) -> tuple[np.ndarray, bytes]:
    end = length * dtype.itemsize
    if not 0 <= length <= size or end > len(content):
        raise ValueError(f"its table of {length} values is cut short")
    return np.frombuffer(content[:end], dtype), content[end:]


def _fill(values: np.ndarray, integers: np.ndarray, table: np.ndarray, first: int) -> np.ndarray:
    apart = integers >= first
    if apart.any():
        places = integers[apart].astype(np.int64) - first
        if not 0 <= places.min() <= places.max() < len(table):
            raise ValueError(f"value {places.max()} is asked for of its table of {len(table)}")
        values[apart] = table[places]
    return values


def _bits(values: np.ndarray) -> np.ndarray:
    return values.view(f"u{values.itemsize}")


def _zeros(values: np.ndarray) -> np.ndarray:
    """How many zeros end the mantissa of each float."""
    ended = _bits(values).astype(np.uint64) | np.uint64(1 << MANTISSA[values.itemsize])
    return np.frexp((ended & (~ended + np.uint64(1))).astype(np.float64))[1] - 1


def _ordered(values: np.ndarray) -> np.ndarray:
    """Integers in the order of the floats, one for each pattern of bits."""
    integers = values.view(f"i{values.itemsize}").astype(np.int64)
    return integers ^ ((integers >> 63) & (2 ** (8 * values.itemsize - 1) - 1))


def _floats(integers: np.ndarray, shift: int, dtype: np.dtype) -> np.ndarray:
    """The floats whose ordered integers, shifted, are these."""
    whole = integers << shift
    whole |= (integers >> 63) & ((1 << shift) - 1)
    whole ^= (whole >> 63) & (2 ** (8 * dtype.itemsize - 1) - 1)
    return whole.astype(f"i{dtype.itemsize}").view(dtype)


def _narrow(values: np.ndarray) -> np.ndarray:
    """Integers or booleans as int32 where they fit, else as int64."""
    if values.dtype.kind == "b":
        return values.astype(np.int32)
    if values.dtype == np.uint64:
        values = values.view(np.int64)
    limits = np.iinfo(np.int32)
    fits = (
        values.itemsize < 4 or values.dtype == np.int32 or (limits.min <= values.min() and values.max() <= limits.max)
    )
    return np.ascontiguousarray(values, np.int32 if fits else np.int64)


def _cast(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    return values.astype(np.int64).view(dtype) if dtype == np.uint64 else values.astype(dtype)
