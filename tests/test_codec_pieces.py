"""One array to bytes and back, in each of the ways in which a container stores numbers."""

import json

import numpy as np
import pytest
from hypothesis import example, given, settings, strategies as st
from hypothesis.extra import numpy as hnp

from utils.codec import DIFFERENT, PLAIN, SEARCHING
from utils.codec.grids import Grid, UniformGrid, grid_of
from utils.codec.pieces import NAMES, Piece, Way, decode_piece, encode_piece
from utils.trees import SENTINELS, Bound, Errors

STORED = Bound("stored", text="stored")

INTEGERS = sorted(name for name in NAMES if "float" not in name)

WAYS = [(way, settings) for way in ("integers", "stored", "floats", "levels") for settings in (PLAIN, DIFFERENT)]


def there_and_back(
    values: np.ndarray, bound: Bound = STORED, text: bool = False, way: Way | None = None
) -> tuple[Piece, np.ndarray]:
    """An array as a piece, and what that decodes to."""
    grid = grid_of(bound.relative, bound.absolute) if bound.kind == "bound" else None
    piece = encode_piece(values, bound, grid, text, way)
    parameters = json.loads(json.dumps(piece.parameters))
    return piece, decode_piece(piece.way, parameters, piece.content, len(values), values.dtype, grid)


def assert_same(found: np.ndarray, values: np.ndarray) -> None:
    assert found.dtype == values.dtype
    assert found.tobytes() == values.tobytes()


@st.composite
def any_bits(draw: st.DrawFn, names: tuple[str, ...] = tuple(sorted(NAMES))) -> np.ndarray:
    """Any patterns of bits, of which some end in zeros, with repetitions."""
    dtype = np.dtype(draw(st.sampled_from(names)))
    if dtype.kind == "b":
        return draw(hnp.arrays(dtype, st.integers(0, 400)))
    pool = draw(hnp.arrays(f"u{dtype.itemsize}", st.integers(1, 40)))
    pool &= np.array(2 ** (8 * dtype.itemsize) - 2 ** draw(st.integers(0, 8 * dtype.itemsize - 1)), pool.dtype)
    places = draw(hnp.arrays(np.intp, st.integers(0, 400), elements=st.integers(0, len(pool) - 1)))
    return pool[places].view(dtype)


@settings(max_examples=100)
@given(any_bits(), st.none() | st.sampled_from(WAYS))
@example(np.array([2**63 - 1, 5, 7]).view(np.float64), None)
@example(np.array([2**63 - 2, 5, 7]).view(np.float64), None)
@example(np.array([0x7FFFFFFF, 0x7F800001, 0xFFC01234] * 9, np.uint32).view(np.float32), ("floats", DIFFERENT))
def test_every_array_comes_back_bit_for_bit(values: np.ndarray, way: Way | None) -> None:
    assert_same(there_and_back(values, way=way)[1], values)


@pytest.mark.parametrize("kind", INTEGERS)
def test_integers_come_back_to_the_ends_of_their_range(kind: str) -> None:
    dtype = np.dtype(kind)
    ends = [False, True] if kind == "bool" else [np.iinfo(dtype).min, np.iinfo(dtype).max, 0, 1]
    for values in (np.array(ends * 50, dtype), np.array(ends[:2], dtype), np.array(ends[1:], dtype)):
        assert_same(there_and_back(values)[1], values)


@pytest.mark.parametrize("kind", sorted(NAMES))
def test_one_value_or_none_is_a_constant(kind: str) -> None:
    for size in (0, 1, 1000):
        piece, found = there_and_back(np.ones(size, kind))
        assert (piece.way, len(piece.content)) == ("constant", np.dtype(kind).itemsize if size else 0)
        assert_same(found, np.ones(size, kind))
    zeros = np.zeros(9, np.float32)
    zeros[3] = -0.0
    assert there_and_back(zeros)[0].way != "constant"
    nan = np.full(9, np.nan)
    assert there_and_back(nan)[0].way == "constant"


def ten_bits(size: int) -> np.ndarray:
    values = np.random.default_rng(0).normal(size=size).astype(np.float32)
    return (values.view(np.int32) & -(2**13)).view(np.float32)


def test_floats_are_stored_by_the_bits_that_they_use() -> None:
    values = ten_bits(3000)
    piece, found = there_and_back(values)
    assert piece.way == "stored"
    assert piece.parameters[-1] == 13
    assert len(piece.content) < 1.9 * len(values)
    assert_same(found, values)


def test_a_few_values_of_more_bits_stand_apart() -> None:
    values = ten_bits(3000)
    values[[5, 70, 800]] = [0.1, np.nan, 1 / 3]
    piece, found = there_and_back(values)
    assert (piece.parameters[1], piece.parameters[-1]) == (2, 13)  # NaN ends in zeros
    assert_same(found, values)


BOUNDS = ("1%", "0.005", "1%,0.01", "0.3%,5", "60%", "1e-6", "1e-9%", "1e-20%,0.001", "1e-300%", "1e-310", "1e30")


@settings(max_examples=100)
@given(
    st.sampled_from([np.float32, np.float64]).flatmap(
        lambda kind: hnp.arrays(
            kind,
            st.integers(0, 300),
            elements=st.sampled_from([0.0, -0.0, np.nan, np.inf, -np.inf, 3.1415925, *SENTINELS[:12]])
            | st.floats(-1e4, 1e4, width=16)
            | hnp.from_dtype(np.dtype(kind)),
        )
    ),
    st.sampled_from(BOUNDS),
    st.none() | st.sampled_from(WAYS),
)
@example(np.array([np.inf, 1, -0.0, 0, -np.inf, 3], np.float32), "1%", None)
def test_values_stay_within_their_bound_and_what_means_none_stays(
    values: np.ndarray, text: str, way: Way | None
) -> None:
    bound = Bound.parse(text)
    _, found = there_and_back(values, bound, way=way)
    assert found.dtype == values.dtype
    assert Errors().add(values, found, bound)
    fixed = ~np.isfinite(values) | (values == 0) | np.isin(values, SENTINELS)
    assert_same(found[fixed], values[fixed])


def test_a_bound_makes_levels_and_less_than_a_third_of_the_bytes() -> None:
    values = np.random.default_rng(0).exponential(50, 5000)
    piece, _ = there_and_back(values, Bound.parse("1%"))
    assert piece.way == "levels"
    assert len(piece.content) < len(there_and_back(values)[0].content) / 3


def test_arrays_of_several_pieces_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("utils.codec.streams.PIECE_VALUES", 1000)
    for values in (np.arange(3500) // 3, ten_bits(2000), np.arange(2001) % 7 > 2):
        assert_same(there_and_back(values)[1], values)


def test_text_is_packed_as_text() -> None:
    text = np.frombuffer(b"HLT_IsoMu24 HLT_PFJet500 " * 40, np.uint8)
    piece, found = there_and_back(text, text=True)
    assert piece.way == "bytes"
    assert len(piece.content) < 80
    assert_same(found, text)


def test_the_settings_of_one_array_are_used_for_the_next_where_they_can() -> None:
    values = ten_bits(500)
    for way in (("stored", DIFFERENT), ("floats", SEARCHING)):
        piece, _ = there_and_back(values, way=way)
        assert (piece.way, piece.settings) == way
    assert there_and_back(values, way=("levels", PLAIN))[0].way in ("stored", "floats")


INT32, INT64, FLOAT, BYTES = (np.dtype(kind) for kind in ("int32", "int64", "float32", "uint8"))

GRID = UniformGrid(0.5)

NUMBERS, _ = there_and_back(np.arange(100) ** 2, way=("integers", PLAIN))

FLOATS, _ = there_and_back(np.r_[np.float32(0.1), ten_bits(999)], way=("stored", PLAIN))


@pytest.mark.parametrize(
    ("way", "parameters", "content", "size", "dtype", "grid", "message"),
    [
        ("best", [], b"", 3, INT32, None, "int32 stored as best"),
        ("constant", [1], bytes(4), 3, INT32, None, "int32 stored as constant with"),
        ("constant", [], bytes(3), 3, INT32, None, "constant is of another type"),
        ("constant", [], bytes(4), 0, INT32, None, "constant is of another type"),
        ("integers", ["int32"], NUMBERS.content, 99, INT64, None, "its stream"),
        ("integers", ["int64"], NUMBERS.content[:9], 100, INT64, None, "its stream"),
        ("integers", ["float32"], NUMBERS.content, 100, INT64, None, "int64 stored as integers"),
        ("integers", ["int32"], NUMBERS.content, 100, FLOAT, None, "float32 stored as integers"),
        ("integers", [], NUMBERS.content, 100, INT64, None, "int64 stored as integers"),
        ("floats", [], NUMBERS.content, 100, INT64, None, "int64 stored as floats"),
        ("floats", [], b"", 100, FLOAT, None, "its stream"),
        ("floats", [], b"", 100, np.dtype(np.float16), None, "float16 stored as floats"),
        ("bytes", [], b"", 5, BYTES, None, "does not hold 5 bytes"),
        ("bytes", [], b"\x77" * 9, 5, BYTES, None, "its text is damaged"),
        ("bytes", [], there_and_back(np.frombuffer(b"abcdef", "u1"), text=True)[0].content, 5, BYTES, None, "5 bytes"),
        ("bytes", [], b"", 5, INT32, None, "int32 stored as bytes"),
        ("stored", ["int32", 10**12, 0, 0], FLOATS.content, 1000, FLOAT, None, "table of 1000000000000 values"),
        ("stored", ["int32", -1, 0, 0], FLOATS.content, 1000, FLOAT, None, "table of -1 values"),
        ("stored", ["int32", 1, 0, 24], FLOATS.content, 1000, FLOAT, None, "shifted by 24 bits"),
        ("stored", ["int32", 1, 0, -1], FLOATS.content, 1000, FLOAT, None, "shifted by -1 bits"),
        ("stored", ["int32", 1, 10**30, 3], FLOATS.content, 1000, FLOAT, None, "from 10+ on a table"),
        ("stored", ["int32", 1, -7, 13], FLOATS.content, 1000, FLOAT, None, "asked for of its table of 1"),
        ("stored", ["int32", 1, 0.5, 13], FLOATS.content, 1000, FLOAT, None, "float32 stored as stored"),
        ("levels", ["int32", 0, 9], NUMBERS.content, 100, FLOAT, None, "float32 stored as levels"),
        ("levels", ["int32", 0, 9], NUMBERS.content, 100, FLOAT, GRID, "asked for of its table of 0"),
        ("levels", ["int32", 0, 10**30], NUMBERS.content, 100, FLOAT, GRID, "its levels end before 10"),
        ("levels", ["int64", 0, 10000], NUMBERS.content, 100, FLOAT, GRID, "float32 stored as levels"),
        ("levels", ["int32", 0, 10000], NUMBERS.content, 100, INT64, GRID, "int64 stored as levels"),
    ],
)
def test_a_piece_that_holds_something_else_is_an_error(
    way: str, parameters: list, content: bytes, size: int, dtype: np.dtype, grid: Grid | None, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        decode_piece(way, parameters, content, size, dtype, grid)
