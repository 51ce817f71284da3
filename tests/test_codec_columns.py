"""Entries of trees to members and back: every form, what is stored once, and headers that promise too much."""

import json
import tracemalloc
from collections.abc import Callable, Mapping
from typing import Any

import awkward as ak
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from tree_files import nano_columns, nested_columns, same_bits

from tests.fuzz.containers import unpacked
from utils.codec.columns import Entries, StoredTree, encode_entries
from utils.codec.packed import Packed, pack, read_from
from utils.trees import Bound, Chunk, Column
from utils.trees.arrays import canonical


def make_tree(
    arrays: Mapping[str, Any], counters: Mapping[str, str] | None = None, **bounds: str
) -> tuple[StoredTree, Chunk]:
    """A tree of columns with these values in its only chunk."""
    chunk = {name: canonical(ak.Array(values).layout) for name, values in arrays.items()}
    columns = tuple(
        Column(name, name, "type", f"title of {name}", layout.form, (counters or {}).get(name))
        for name, layout in chunk.items()
    )
    rules = {name: Bound.parse(bounds.get(name, "stored")) for name in chunk}
    return StoredTree("Events", "all events", "TTree", columns, rules), chunk


def encode(tree: StoredTree, chunk: Chunk) -> bytes:
    return encode_entries(tree, 0, chunk, len(next(iter(chunk.values()))), {}, False)[0]


def decode(tree: StoredTree, member: bytes) -> Entries:
    """The entries of a member, of a tree that was written to JSON and read."""
    return Entries(StoredTree.from_dict(json.loads(json.dumps(tree.to_dict()))), Packed(read_from(member)))


def ways_of(tree: StoredTree, member: bytes) -> dict[str, list[list]]:
    """How the arrays of each column are stored."""
    found: dict[str, list[list]] = {}
    for (column, _, _), piece in zip(tree.arrays, unpacked(member)[0]["pieces"], strict=True):
        found.setdefault(column.name, []).append(piece)
    return found


FORMS: dict[str, Any] = {
    "nothing": np.zeros((3, 0)),
    "fixed": np.arange(24, dtype=np.int16).reshape(2, 3, 4),
    "jagged": [[1.5, 2.5], [], [3.5]],
    "doubly jagged": [[[1], [2, 3]], [], [[]]],
    "triply jagged": [[[[1], []], []], [[[2, 3]]]],
    "lists of fixed": ak.to_regular(ak.Array([[[1, 2], [3, 4]], [], [[5, 6]]]), axis=2),
    "text": ["a", "", "bä"],
    "lists of text": [["a", ""], [], ["bcd"]],
    "bytes": [b"a", b"\xff\x00", b""],
    "options": [1.5, None, 2.5],
    "options in lists": [[1, None], [], [None]],
    "lists that may miss": [[1, 2], None, []],
    "nothing but none": ak.mask(ak.Array([1, 2]), [False, False]),
    "text that may miss": ["a", None, "b"],
    "records": [{"x": 1, "y": [2.5]}, {"x": 3, "y": []}],
    "records with text and bytes": ak.zip({"t": ["a", "bb"], "n": np.array([1, 2], np.uint8)}),
    "lists of records of lists": [[{"x": 1, "y": [2.5]}], [], [{"x": 3, "y": []}]],
}


@pytest.mark.parametrize("name", FORMS)
def test_every_form_comes_back(name: str) -> None:
    tree, chunk = make_tree({"x": FORMS[name]})
    found = ak.Array(decode(tree, encode(tree, chunk)).column("x"))
    assert found.layout.form == chunk["x"].form
    assert found.to_list() == ak.Array(FORMS[name]).to_list()


@pytest.mark.parametrize("make", [nano_columns, nested_columns])
def test_all_columns_of_a_file_come_back_bit_for_bit_alone_and_together(make: Callable[[], dict]) -> None:
    tree, chunk = make_tree(make())
    entries = decode(tree, encode(tree, chunk))
    together = entries.chunk()
    for name, layout in chunk.items():
        assert same_bits(ak.Array(together[name]), ak.Array(layout)), name
        assert same_bits(ak.Array(entries.column(name)), ak.Array(layout)), name


@settings(max_examples=25)
@given(st.lists(st.lists(st.none() | st.lists(st.floats(width=32), max_size=3), max_size=3), min_size=1, max_size=9))
def test_any_lists_come_back(values: list) -> None:
    array = ak.values_astype(ak.concatenate([ak.Array([[[0.5], None]]), ak.Array(values)]), np.float32)
    tree, chunk = make_tree({"x": array})
    assert same_bits(ak.Array(decode(tree, encode(tree, chunk)).column("x")), ak.Array(chunk["x"]))


def test_no_entries_are_a_chunk_too() -> None:
    tree, chunk = make_tree({name: ak.Array(values)[:0] for name, values in nano_columns().items()})
    assert all(len(layout) == 0 for layout in decode(tree, encode(tree, chunk)).chunk().values())


def test_counts_are_stored_once_whatever_the_type_of_the_counter() -> None:
    counts = np.array([3, 0, 1, 2] * 30)
    jets = {f"Jet_{i}": ak.unflatten(np.random.default_rng(i).normal(size=180), counts) for i in range(5)}
    arrays = {"nJet": counts.astype(np.uint8), **jets, "other": ak.unflatten(np.arange(180.0), counts[::-1])}
    tree, chunk = make_tree(arrays, dict.fromkeys(jets, "nJet"))
    member = encode(tree, chunk)
    ways = ways_of(tree, member)
    assert ways["nJet"][0][0] == "integers"
    assert all(ways[name][0] == ["same", 0, 0] for name in jets)
    assert ways["other"][0][0] == "integers"
    for name, values in arrays.items():
        assert ak.array_equal(ak.Array(decode(tree, member).column(name)), values)


def test_copies_are_stored_once_and_those_with_another_bound_apart() -> None:
    values = np.random.default_rng(0).normal(size=500).astype(np.float32)
    arrays = dict.fromkeys(("a", "b", "fine", "coarse", "c"), values) | {"wide": values.astype(float)}
    tree, chunk = make_tree(arrays, fine="0.001", coarse="0.1")
    ways = ways_of(tree, encode(tree, chunk))
    assert [ways[name][0][0] for name in arrays] == ["stored", "same", "levels", "levels", "same", "stored"]
    alone, _ = make_tree({"a": values})
    assert len(encode(tree, chunk)) < 4.2 * len(encode(alone, {"a": chunk["a"]}))


@st.composite
def counted(draw: st.DrawFn) -> dict[str, np.ndarray]:
    """Three columns of integers, of which the last is mostly the sum or the difference of the others."""
    random = np.random.default_rng(draw(st.integers(0, 99)))
    size, sign = draw(st.sampled_from([300, 1000])), draw(st.sampled_from([1, -1]))
    types = [np.dtype(draw(st.sampled_from(["u1", "i2", "i4", "u4"]))) for _ in range(3)]
    first, second = random.integers(60, 120, size), random.integers(0, 60, size)
    third = first + sign * second + (random.random(size) < 0.05)
    return {name: v.astype(t) for name, v, t in zip("abc", (first, second, third), types, strict=True)}


@given(counted())
@settings(max_examples=20, deadline=None)
def test_a_sum_of_two_columns_is_stored_as_what_is_left(columns: dict[str, np.ndarray]) -> None:
    tree, chunk = make_tree(columns | {"copy": columns["c"]})
    member = encode(tree, chunk)
    ways = ways_of(tree, member)
    assert ways["c"][0][0] == "sum"
    assert sorted(ways["c"][0][2:4]) == [0, 1]
    assert ways["copy"][0][0] == "same"
    assert ways["c"][0][1] < ways["a"][0][1] / 2
    found = decode(tree, member)
    for name in ("copy", "c", "b"):
        assert same_bits(ak.Array(found.column(name)), ak.Array(chunk[name]))


def test_columns_that_repeat_one_value_or_have_nothing_to_do_with_each_other_are_stored_alone() -> None:
    random = np.random.default_rng(0)
    many = {f"x{i}": random.integers(0, 50, 2000).astype(np.int32) for i in range(20)}
    rare = {f"r{i}": (random.random(2000) < 0.01).astype(np.uint8) for i in range(4)}
    tree, chunk = make_tree(many | rare)
    assert all(piece[0] == "integers" for pieces in ways_of(tree, encode(tree, chunk)).values() for piece in pieces)


SUMS, ADDED = make_tree(
    {
        "a": np.arange(600, dtype=np.int32) % 7,
        "b": np.arange(600, dtype=np.int32) % 11,
        "c": (np.arange(600) % 7 + np.arange(600) % 11).astype(np.uint8),
        "d": np.linspace(0, 1, 600),
        "e": np.arange(600, dtype=np.int32) % 13,
    }
)


@pytest.mark.parametrize(
    ("piece", "message"),
    [
        ((0, 1, 1), "a sum without a rest"),
        ((0, 1, 1, "floats"), "a sum without a rest"),
        ((0, 1, 1, "sum", 0, 1, 1, "constant"), "a sum without a rest"),
        ((0, 2, 1, "constant"), "a sum of pieces 0 and 2"),
        ((-1, 0, 1, "constant"), "a sum of pieces -1 and 0"),
        ((0, 1, 10**30, "constant"), "a sum of pieces 0 and 1, with the sign 1"),
        ((0, 1.0, 1, "constant"), "expected an integer"),
        ((0, 1, 1, "constant", 3), "stored as constant"),
        ((1, 0, -1, "constant"), "not those that were written|checksum|beyond uint8"),
    ],
)
def test_a_sum_that_cannot_be_is_an_error(piece: tuple, message: str) -> None:
    header, streams = unpacked(encode(SUMS, ADDED))
    assert header["pieces"][2][:5] == ["sum", header["pieces"][2][1], 0, 1, 1]
    header["pieces"][2][2:] = piece
    with pytest.raises(ValueError, match=message):
        decode(SUMS, pack(header, [streams])).chunk()


def test_a_sum_of_what_is_no_integer_or_a_sum_itself_is_an_error() -> None:
    header, streams = unpacked(encode(SUMS, ADDED))
    header["pieces"][4][2:] = [2, 3, 1, "constant"]
    header["pieces"][4][0] = "sum"
    with pytest.raises(ValueError, match="a sum with piece 2"):
        decode(SUMS, pack(header, [streams])).column("e")
    header["pieces"][4][2:] = [3, 0, 1, "constant"]
    with pytest.raises(ValueError, match="a sum with piece 3"):
        decode(SUMS, pack(header, [streams])).column("e")


def test_each_column_is_within_its_own_bound() -> None:
    values = np.random.default_rng(0).exponential(50, 2000).astype(np.float32)
    bounds = {"a": "1%", "b": "0.5", "c": "bits=7", "d": "1%,3"}
    tree, chunk = make_tree({**dict.fromkeys(bounds, values), "e": values}, None, **bounds)
    found = decode(tree, encode(tree, chunk)).chunk()
    for name, text in bounds.items():
        error = np.abs(found[name].data - values.astype(float))
        assert error.max() > 0
        assert np.all(error <= Bound.parse(text).at(values)), name
    assert found["e"].data.tobytes() == values.tobytes()


def test_the_same_entries_make_the_same_bytes_and_ways_are_learned() -> None:
    tree, chunk = make_tree(nano_columns())
    ways: dict = {}
    first, _ = encode_entries(tree, 0, chunk, 6, ways, True)
    assert ways
    assert encode_entries(tree, 0, chunk, 6, dict(ways), False)[0] == first == encode(tree, chunk)


TREE, CHUNK = make_tree(
    {
        "n": np.array([2, 0, 3]),
        "x": ak.unflatten(np.arange(5.0), [2, 0, 3]),
        "s": ["a", "", "bb"],
        "b": np.array([0.5, 1.5, 1.5]),
        "o": ak.Array([1.0, None, 2.0]),
    },
    b="0.01",
)

N, X_COUNTS, X, S_COUNTS, S, B, THERE, MAYBE = range(8)


def with_pieces(change: Callable[[list], object]) -> bytes:
    """A member whose pieces are described otherwise."""
    header, streams = unpacked(encode(TREE, CHUNK))
    change(header["pieces"])
    return pack(header, [streams])


def put(number: int, *piece: object) -> bytes:
    return with_pieces(lambda pieces: pieces.__setitem__(number, list(piece)))


@pytest.mark.parametrize(
    ("number", "piece", "message"),
    [
        (X_COUNTS, ("same", 0, X_COUNTS), "same as piece 1, which it cannot be"),
        (X_COUNTS, ("same", 0, X), "same as piece 1, which it cannot be"),
        (X_COUNTS, ("same", 0, -1), "same as piece 1, which it cannot be"),
        (X_COUNTS, ("same", 0, 10**30), "same as piece 1, which it cannot be"),
        (X_COUNTS, ("same", 0), "same as piece 1, which it cannot be"),
        (X_COUNTS, ("same", 0, 0, 0), "same as piece 1, which it cannot be"),
        (X_COUNTS, ("same", 0, 0.0), "is 0.0, expected an integer"),
        (THERE, ("same", 0, 0), "same as piece 0, which it cannot be"),
        (B, ("same", 0, N), "same as piece 0, which it cannot be"),
        (MAYBE, ("same", 0, S), "same as piece 4, which it cannot be"),
        (S_COUNTS, ("same", 0, X_COUNTS), "same as piece 1, which it cannot be"),
        (N, ("same",), "expected text"),
        (N, (1, 2), "expected text"),
        (N, ("integers", "9"), "expected an integer"),
        (N, ("integers", 10**30, "int32"), "cut short|int"),
        (N, ("integers", -9, "int32"), "cut short"),
        (N, ("integers", 3, "int32"), "cut short"),
        (N, ("stored", 40, "int32", 0, 0, 0), "int64 stored as stored"),
        (B, ("levels", 10**9, "int32", 0, 0), "cut short"),
        (B, ("levels", 40, "int32", 10**12, 0), "table of 1000000000000 values"),
    ],
)
def test_a_piece_that_cannot_be_is_an_error(number: int, piece: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        decode(TREE, put(number, *piece)).chunk()


def test_a_member_of_another_tree_or_another_number_of_entries_is_an_error() -> None:
    member = encode(TREE, CHUNK)
    header, streams = unpacked(member)
    for changed, message in (
        ({"entries": 10**12}, "1000000000000 entries"),
        ({"entries": -1}, "-1 entries"),
        ({"entries": 2}, "its stream|decodes to other values|its constant|its text"),
        ({"entries": 2**22}, "its stream|decodes to other values|its constant|its text"),
        ({"entries": "3"}, "expected an integer"),
        ({"pieces": []}, "a chunk holds 8"),
        ({"pieces": {}}, "expected a list"),
        ({"pieces": [[]] * 8}, "expected text"),
    ):
        with pytest.raises(ValueError, match=message):
            decode(TREE, pack(header | changed, [streams])).chunk()
    with pytest.raises(KeyError):
        decode(TREE, member).column("y")


@pytest.mark.parametrize("counts", [[-1, 6, 0], [2**62] * 4, [10**12, 0, 0], [5, 0, 1], [4, 0, 0]])
def test_counts_that_cannot_be_are_an_error(counts: list[int]) -> None:
    numbers, lists = make_tree({"n": np.array(counts), "x": np.zeros(len(counts))})
    header, streams = unpacked(encode(numbers, lists))
    tree, _ = make_tree({"n": np.array(counts), "x": [[0.5]] * len(counts)})
    header["pieces"] = [header["pieces"][0], ["same", 0, 0], header["pieces"][1]]
    with pytest.raises(ValueError, match=r"a list of|more than 268435456 bytes|decodes to other values"):
        decode(tree, pack(header, [streams])).chunk()


def described(change: Callable[[dict], object]) -> dict:
    """What a container says of a tree, changed."""
    description = json.loads(json.dumps(TREE.to_dict()))
    change(description)
    return description


def with_form(form: object) -> dict:
    return described(lambda tree: tree["columns"][1].__setitem__(4, form))


RECORD: dict[str, Any] = {"class": "RecordArray", "fields": [], "contents": []}


@pytest.mark.parametrize(
    ("description", "message"),
    [
        (described(lambda tree: tree.update(columns=[])), "without names"),
        (described(lambda tree: tree["columns"].append(tree["columns"][0])), "without names"),
        (described(lambda tree: tree["columns"][0].pop()), "five things"),
        (described(lambda tree: tree["columns"][0].__setitem__(0, 3)), "expected text"),
        (described(lambda tree: tree["columns"][0].__setitem__(3, "nX")), "no column nX, which is to count"),
        (described(lambda tree: tree["columns"][0].__setitem__(3, 5)), "expected text or null"),
        (described(lambda tree: tree.update(kind="TChain")), "of kind 'TChain'"),
        (described(lambda tree: tree["bounds"].update(y=tree["bounds"]["b"])), "bounds without any"),
        (described(lambda tree: tree["bounds"]["b"].update(relative=2)), "relative < 100%"),
        (described(lambda tree: tree["bounds"]["b"].update(absolute=-1)), "0 <= absolute"),
        (described(lambda tree: tree["bounds"]["b"].update(relative=float("inf"))), "expected a number"),
        (described(lambda tree: tree["bounds"]["b"].update(kind="best")), "expected one of exact"),
        (described(lambda tree: tree["bounds"]["b"].update(kind="bits", bits=10**9)), "1 to 52 bits"),
        (with_form("complex128"), "holds complex128"),
        (with_form("datetime64[s]"), "holds datetime64"),
        (with_form({"class": "NumpyArray", "primitive": "float64", "inner_shape": [10**6]}), "not that of a column"),
        (with_form({"class": "ListArray", "starts": "i64", "stops": "i64", "content": "float64"}), "not that"),
        (with_form({"class": "ListOffsetArray", "offsets": "i32", "content": "float64"}), "not that of a column"),
        (with_form({"class": "EmptyArray"}), "without a type"),
        (with_form(RECORD), "a column without values"),
        (with_form({"class": "RegularArray", "size": -1, "content": "float64"}), "size"),
    ],
)
def test_a_description_that_is_of_no_tree_is_an_error(description: dict, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        StoredTree.from_dict(description)


def test_arrays_of_a_giant_size_are_refused_before_they_are_made() -> None:
    tree = StoredTree.from_dict(with_form({"class": "RegularArray", "size": 10**12, "content": "float64"}))
    member = pack({"tree": 0, "entries": 3, "pieces": [["constant", 12]] * len(tree.arrays)}, [bytes(99)])
    with pytest.raises(ValueError, match="x: more than 268435456 bytes of values in a chunk"):
        Entries(tree, Packed(read_from(member))).column("x")


def test_a_chunk_of_many_constants_takes_no_more_memory_than_one_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("utils.codec.columns.MOST_BYTES", 10**6)
    tree, chunk = make_tree({f"x{i}": np.full(10_000, float(i)) for i in range(50)})
    column = {name: layout[:1] for name, layout in chunk.items()}
    header, streams = unpacked(encode(tree, column))
    monkeypatch.setattr("utils.codec.columns.require_checked", lambda checksum, values: None)
    tracemalloc.start()
    with pytest.raises(ValueError, match="x12: more than 1000000 bytes of values in a chunk"):
        decode(tree, pack(header | {"entries": 10_000}, [streams])).chunk()
    assert tracemalloc.get_traced_memory()[1] < 3e6
    tracemalloc.stop()
