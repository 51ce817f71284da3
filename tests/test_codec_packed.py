"""Members of packed streams: what was packed comes back, what is damaged or too large is an error."""

import json
import struct
import zlib

import google_crc32c
import numpy as np
import pytest

from utils.codec.packed import PREFIX, Packed, checked, pack, read_from, require_checked

VALUES: list[np.ndarray] = [np.arange(5), np.linspace(0, 1, 40), np.array([], np.float32), np.array([True, False])]

STREAMS = [checked(bytes([number]) * 9, values) for number, values in enumerate(VALUES)]

MEMBER = pack({"jets": 3}, STREAMS)


def with_header(text: bytes) -> bytes:
    """A member whose header is this text, with the checksum that fits."""
    return PREFIX.pack(len(text), google_crc32c.value(text)) + text


def test_header_and_streams_come_back_in_any_order() -> None:
    member = Packed(read_from(MEMBER))
    assert member.header == {"jets": 3}
    for number in (2, 0, 3, 1):
        checksum, content = member.stream(13 * number, 13)
        assert content == bytes([number]) * 9
        require_checked(checksum, VALUES[number])
        with pytest.raises(ValueError, match="decodes to other values"):
            require_checked(checksum, np.arange(6))


def test_a_stream_is_read_without_the_others() -> None:
    asked = []

    def read(start: int, size: int) -> bytes:
        asked.append(size)
        return MEMBER[start : start + size]

    Packed(read).stream(13, 13)
    assert asked == [8, len(MEMBER) - 8 - 52, 13]


def test_the_same_content_is_packed_into_the_same_bytes() -> None:
    assert pack({"jets": 3}, STREAMS) == MEMBER
    with pytest.raises(ValueError, match="JSON"):
        pack({"jets": float("nan")}, [])


@pytest.mark.parametrize(("start", "size"), [(0, 99), (39, 14), (52, 4), (-13, 13), (13, -1), (0, 3), (10**30, 13)])
def test_a_stream_that_is_not_there_is_an_error(start: int, size: int) -> None:
    with pytest.raises(ValueError, match="a stream is cut short"):
        Packed(read_from(MEMBER)).stream(start, size)


@pytest.mark.parametrize(
    ("member", "message"),
    [
        (b"", "cut short"),
        (MEMBER[:7], "cut short"),
        (MEMBER[:20], "does not fit its CRC-32C"),
        (MEMBER[:10] + b"x" + MEMBER[11:], "does not fit its CRC-32C"),
        (struct.pack("<LL", 2**32 - 1, 0) + MEMBER[8:], "does not fit its CRC-32C"),
        (with_header(b"{}"), "header is damaged"),
        (with_header(zlib.compress(b"[]")), "no object"),
        (with_header(zlib.compress(b"nonsense")), "Expecting value"),
        (with_header(zlib.compress(b"\xff\xff")), "utf-8"),
        (with_header(zlib.compress(b" " * 10**7)), "JSON of 4194305 bytes"),
        (with_header(zlib.compress(json.dumps({"a": [[]] * 3}).encode().replace(b"[]", b"[" * 40 + b"]" * 40))), "32"),
    ],
)
def test_a_header_that_is_damaged_or_too_large_is_an_error(member: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Packed(read_from(member))


@pytest.mark.parametrize("flip", range(0, 8 * (len(MEMBER) - 52), 7))
def test_no_bit_of_a_header_is_flipped_unseen(flip: int) -> None:
    damaged = bytearray(MEMBER)
    damaged[flip // 8] ^= 1 << flip % 8
    with pytest.raises(ValueError, match="header"):
        Packed(read_from(bytes(damaged)))
