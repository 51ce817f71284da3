"""A stream of PCodec is decoded only into what is expected of it."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp

from utils.codec import PLAIN, SEARCHING
from utils.codec.streams import decode_stream, encode_stream

KINDS = ("int32", "int64", "uint32", "float32", "float64")


@settings(max_examples=60)
@given(st.sampled_from(KINDS).flatmap(lambda kind: hnp.arrays(kind, st.integers(0, 700))), st.booleans())
def test_every_array_comes_back_bit_for_bit(values: np.ndarray, searching: bool) -> None:
    delta = "try_lookback" if len(values) > 1 else "none"  # PCodec cannot read the lookback of one value
    stream = encode_stream(values, SEARCHING if searching else PLAIN | {"delta_spec": delta})
    found = decode_stream(stream, len(values), values.dtype)
    assert found.dtype == values.dtype
    assert found.tobytes() == values.tobytes()


def test_an_array_of_several_pieces_comes_back() -> None:
    values = np.arange(600_000, dtype=np.int32) // 7
    np.testing.assert_array_equal(decode_stream(encode_stream(values, PLAIN), len(values), values.dtype), values)


def test_signalling_nan_keep_their_bits() -> None:
    values = np.array([0x7F800001, 0xFFC01234, 0x3F800000], np.uint32).view(np.float32)
    assert decode_stream(encode_stream(values, SEARCHING), 3, values.dtype).tobytes() == values.tobytes()


LOOKBACK = bytearray(
    encode_stream(np.tile(np.arange(9, dtype=np.int32) ** 5, 40), PLAIN | {"delta_spec": "try_lookback"})
)


@pytest.mark.parametrize(
    ("stream", "message"),
    [
        (bytes.fromhex("70636f21022e00000000001003030000000000"), "announces 70368744177664 values, expected 360"),
        (bytes.fromhex("70636f21"), "none of PCodec"),
        (b"", "none of PCodec"),
        (b"pco!\x09" + bytes(99), "of a later version"),
        (bytes(LOOKBACK[:13]) + b"\x1f" + bytes(LOOKBACK[14:]), r"looks back by more than 2\^20"),
        (bytes(LOOKBACK[:30]), "damaged|cut short|ends early"),
        (bytes(LOOKBACK[:-1]), "damaged|more than"),
        (bytes(LOOKBACK) + b"\0", "more than 360 values"),
    ],
)
def test_a_stream_that_asks_for_more_is_an_error_and_no_end_of_the_process(stream: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        decode_stream(stream, 360, np.dtype(np.int32))


def test_another_type_or_number_of_values_is_an_error() -> None:
    for size, kind in ((359, "int32"), (361, "int32"), (360, "uint32"), (360, "float32"), (180, "int64")):
        with pytest.raises(ValueError, match="its stream"):
            decode_stream(bytes(LOOKBACK), size, np.dtype(kind))
