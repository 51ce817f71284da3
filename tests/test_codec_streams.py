"""A stream of PCodec is decoded only into what is expected of it."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp
from pcodec import ChunkConfig, DeltaSpec, standalone

from utils.codec import PLAIN, SEARCHING
from utils.codec.streams import decode_standalone, decode_stream, encode_stream

KINDS = ("int32", "int64", "uint32", "float32", "float64")


@settings(max_examples=60)
@given(st.sampled_from(KINDS).flatmap(lambda kind: hnp.arrays(kind, st.integers(0, 700))), st.booleans())
def test_every_array_comes_back_bit_for_bit(values: np.ndarray, searching: bool) -> None:
    delta = "try_lookback" if len(values) > 1 else "none"  # PCodec cannot read the lookback of one value
    stream = encode_stream(values, SEARCHING if searching else PLAIN | {"delta_spec": delta})
    found = decode_stream(stream, len(values), values.dtype)
    assert found.dtype == values.dtype
    assert found.tobytes() == values.tobytes()


def test_an_array_of_several_pieces_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("utils.codec.streams.PIECE_VALUES", 1000)
    for values in (np.arange(3000, dtype=np.int32) // 7, np.arange(3001) * 0.5):
        stream = encode_stream(values, PLAIN)
        np.testing.assert_array_equal(decode_stream(stream, len(values), values.dtype), values)
        with pytest.raises(ValueError, match=r"damaged|cut short|ends early|more than"):
            decode_stream(stream, 2999, values.dtype)


def test_signalling_nan_keep_their_bits() -> None:
    values = np.array([0x7F800001, 0xFFC01234, 0x3F800000], np.uint32).view(np.float32)
    assert decode_stream(encode_stream(values, SEARCHING), 3, values.dtype).tobytes() == values.tobytes()


VALUES = np.tile(np.arange(9, dtype=np.int32) ** 5, 40)

LOOKBACK = encode_stream(VALUES, PLAIN | {"delta_spec": "try_lookback"})

STANDALONE = standalone.simple_compress(VALUES, ChunkConfig(8, delta_spec=DeltaSpec.try_lookback()))
"""The same, as containers of the first version have it."""


@pytest.mark.parametrize(
    ("stream", "message"),
    [
        (b"", "damaged"),
        (b"\x09" + bytes(99), "damaged"),
        (LOOKBACK[:2] + b"\x1f" + LOOKBACK[3:], r"looks back by more than 2\^20"),
        (LOOKBACK[:1] + b"\x0f" + LOOKBACK[2:], "of a mode that is not known"),
        (LOOKBACK[:1], "ends early"),
        (LOOKBACK[:30], "damaged|cut short|ends early"),
        (LOOKBACK[:-1], "damaged|more than"),
        (LOOKBACK + b"\0", "more than 360 values"),
        (STANDALONE, "damaged"),
    ],
)
def test_a_stream_that_asks_for_more_is_an_error_and_no_end_of_the_process(stream: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        decode_stream(stream, 360, np.dtype(np.int32))


@pytest.mark.parametrize(
    ("stream", "message"),
    [
        (bytes.fromhex("70636f21022e00000000001003030000000000"), "announces 70368744177664 values, expected 360"),
        (bytes.fromhex("70636f21"), "none of PCodec"),
        (b"", "none of PCodec"),
        (b"pco!\x09" + bytes(99), "of a later version"),
        (STANDALONE[:13] + b"\x1f" + STANDALONE[14:], r"looks back by more than 2\^20"),
        (STANDALONE[:30], "damaged|cut short|ends early"),
        (STANDALONE[:-1], "damaged|more than"),
        (STANDALONE + b"\0", "more than 360 values"),
    ],
)
def test_so_is_a_stream_of_the_first_version(stream: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        decode_standalone(stream, 360, np.dtype(np.int32))


def test_another_type_or_number_of_values_is_an_error() -> None:
    assert decode_standalone(STANDALONE, 360, np.dtype(np.int32)).tobytes() == VALUES.tobytes()
    for size, kind in ((359, "int32"), (361, "int32"), (360, "uint32"), (360, "float32"), (180, "int64")):
        with pytest.raises(ValueError, match="its stream"):
            decode_standalone(STANDALONE, size, np.dtype(kind))
    for size, kind in ((361, "int32"), (180, "int64")):  # for all else there is a checksum of the values
        with pytest.raises(ValueError, match="its stream"):
            decode_stream(LOOKBACK, size, np.dtype(kind))
