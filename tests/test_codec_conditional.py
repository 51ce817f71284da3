"""Columns of a collection by networks: they come back from the same bytes everywhere; escapes and damage."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from utils.codec.arrays import Arrays
from utils.codec.bins import Bins
from utils.codec.conditional import Coded, Collection, Conditional, Decoding, encode_collection
from utils.codec.kept_networks import networks_member, to_collections
from utils.codec.packed import Packed, pack, read_from
from utils.networks import LARGEST_WEIGHT, IntegerNetwork

SCALE = ("integers", 0)


def random_network(rng: np.random.Generator, inputs: int, symbols: int, hidden: int = 5) -> IntegerNetwork:
    shapes = (hidden, inputs), (hidden,), (symbols, hidden), (symbols,)
    largest = LARGEST_WEIGHT, 2**14, LARGEST_WEIGHT // 8, 2**8
    arrays = (rng.integers(-most, most + 1, shape) for most, shape in zip(largest, shapes, strict=True))
    return IntegerNetwork(*(array.astype(np.int32) for array in arrays))


def make_collection(seed: int, size: int = 1000) -> tuple[Collection, dict[int, np.ndarray]]:
    """Networks of random weights for four of five columns, array 7 coded alone, and integers with some escapes."""
    rng = np.random.default_rng(seed)
    integers = {
        3: rng.integers(0, 3, size),
        7: rng.integers(-1000, 1000, size),
        4: rng.normal(0, 5000, size).astype(np.int64),
        9: np.full(size, 12) + (np.arange(size) % 10 == 0),
        1: rng.integers(0, 40, size) ** 2,
    }
    columns: list[Conditional] = []
    for place, values in integers.items():
        bins = Bins.fit(values, 16)
        inputs = sum(column.bins.inputs for column in columns)
        network = None if place == 7 else random_network(rng, inputs, len(bins))
        columns.append(Conditional(place, SCALE, bins, network))
    integers[4][::97] = 2**40
    integers[1][5:6] = -1
    return Collection(tuple(columns)), integers


def decode(collection: Collection, integers: dict[int, np.ndarray], coded: dict[int, Coded]) -> dict[int, np.ndarray]:
    size = len(integers[7])
    decoding = Decoding(collection, size, lambda column: integers[column.place], lambda column: coded[column.place])
    return {place: decoding.integers(place) for place in collection.places}


@given(seed=st.integers(0, 2**32), size=st.integers(1, 700))
@settings(max_examples=15, deadline=None)
def test_integers_come_back_whatever_networks_think_of_them(seed: int, size: int) -> None:
    collection, integers = make_collection(seed, size)
    found = decode(collection, integers, encode_collection(collection, integers))
    assert set(found) == {3, 4, 9, 1}
    assert all((values == integers[place]).all() for place, values in found.items())


def test_a_column_is_decoded_with_those_before_it_alone_and_kept() -> None:
    collection, integers = make_collection(1)
    coded = encode_collection(collection, integers)
    asked: list[int] = []

    def give(column: Conditional) -> Coded:
        asked.append(column.place)
        return coded[column.place]

    decoding = Decoding(collection, 1000, lambda column: integers[column.place], give)
    assert (decoding.integers(4) == integers[4]).all()
    assert asked == [3, 4]
    assert (decoding.integers(3) == integers[3]).all()
    assert (decoding.integers(9) == integers[9]).all()
    assert asked == [3, 4, 9]


def digest_of_bytes() -> str:
    """A digest of all bytes of a collection that is coded here."""
    import hashlib

    coded = encode_collection(*make_collection(5, 3000))
    return hashlib.sha256(b"".join(one.stream + one.words for one in coded.values())).hexdigest()


def test_bytes_are_the_same_in_a_fresh_process_of_one_thread_or_two() -> None:
    here = Path(__file__).parent
    program = f"import sys; sys.path[:0] = [{str(here)!r}, {str(here.parent)!r}]; "
    program += "from test_codec_conditional import digest_of_bytes; print(digest_of_bytes())"
    found = [digest_of_bytes()]
    for threads in ("1", "2"):
        counts = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), threads)
        run = [sys.executable, "-c", program]
        done = subprocess.run(run, env=os.environ | counts, capture_output=True, text=True, check=True)
        found.append(done.stdout.strip())
    assert found == 3 * found[:1]


def test_damaged_words_are_an_error_or_other_integers_and_never_a_crash() -> None:
    collection, integers = make_collection(2, 400)
    coded = encode_collection(collection, integers)
    rng = np.random.default_rng(0)
    for _ in range(40):
        spoiled = dict(coded)
        place = int(rng.choice(collection.places))
        words = bytearray(spoiled[place].words)
        words[rng.integers(len(words))] ^= int(rng.integers(1, 256))
        spoiled[place] = replace(spoiled[place], words=bytes(words))
        try:
            found = decode(collection, integers, spoiled)
        except ValueError:
            continue
        assert any((values != integers[column]).any() for column, values in found.items())
    for wrong in (
        replace(coded[4], words=coded[4].words[:-2]),
        replace(coded[4], words=coded[4].words + b"\0\0"),
        replace(coded[4], escapes=0, stream=b""),
        replace(coded[4], stream=coded[4].stream[:-1]),
    ):
        with pytest.raises(ValueError, match=r"."):
            decode(collection, integers, coded | {4: wrong})


def kept(collection: Collection) -> tuple[bytes, Arrays]:
    content = networks_member(0, [collection]).content
    return content, Arrays(Packed(read_from(content)))


def test_networks_are_kept_in_a_member_and_code_the_same_bytes() -> None:
    collection, integers = make_collection(3)
    _, arrays = kept(collection)
    (again,) = to_collections(arrays, 10)
    assert encode_collection(again, integers) == encode_collection(collection, integers)
    assert [column.place for column in again.columns] == [3, 7, 4, 9, 1]
    assert again.columns[1].network is None


def test_networks_that_do_not_fit_are_refused() -> None:
    collection, _ = make_collection(4)
    content, arrays = kept(collection)
    with pytest.raises(ValueError, match="not there"):
        to_collections(arrays, 9)
    rows = arrays.attributes["collections"][0]
    rest = content[8 + int.from_bytes(content[:4], "little") :]

    def refused(change: list[list]) -> None:
        header = arrays.attributes | {"collections": [change]}
        with pytest.raises(ValueError, match=r"."):
            to_collections(Arrays(Packed(read_from(pack(header, [rest])))), 10)

    for row, number, value in (
        (0, 0, -1), (0, 0, 7), (0, 0, "3"), (0, 1, 5), (0, 2, None), (0, 3, 0), (0, 3, 2**40), (0, 3, 4), (0, 4, 65),
        (0, 4, -1), (2, 4, 6), (1, 3, 15),
    ):  # fmt: skip
        changed = [list(one) for one in rows]
        changed[row][number] = value
        refused(changed)
    refused([])
    refused([rows[0][:4]])
    refused([*rows, *rows])
    refused([rows[1]])
