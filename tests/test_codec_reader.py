"""A container that is anybody's is read within limits, or is an error that names it."""

import json
import os
import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from codec_helpers import make_jets
from numcodecs.pcodec import PCodec

from tests.fuzz.child import Child, Outcome
from tests.fuzz.containers import Parts, fuzz, parts_of, sealed, unpacked, whole_files, with_crc
from utils.cli import main
from utils.codec import PLAIN, ContainerError, compress, inspect, iter_compressed, read_compressed
from utils.codec.arrays import Arrays, arrays_member
from utils.codec.packed import Packed, pack, read_from


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return whole_files(tmp_path_factory.mktemp("containers"))


def changed(content: bytes, member: str, change: Callable[[Any], Any]) -> bytes:
    """A container in which what a member of JSON, or the header of a packed one, says is another; all checksums fit."""
    parts: Parts = []
    for name, text in parts_of(content):
        if name == member and name.endswith(".json"):
            value = json.loads(text)
            change(value)
            text = json.dumps(value).encode()
        elif name == member:
            header, streams = unpacked(text)
            change(header)
            text = pack(header, [streams])
        parts.append((name, text))
    return sealed(parts)


def said(key: str, value: object) -> Callable[[Any], None]:
    """What puts a value into the attributes of a group, or into a header."""

    def change(content: Any) -> None:
        content.get("attributes", content)[key] = value

    return change


def of_array(name: str, **description: object) -> Callable[[Any], None]:
    """What describes an array of a packed member otherwise."""
    return lambda header: header["arrays"][name].update(description)


def with_counts(content: bytes, change: Callable[[np.ndarray], np.ndarray]) -> bytes:
    """A container whose first chunk counts its jets otherwise."""
    parts = dict(parts_of(content))
    member = Arrays(Packed(read_from(parts["chunk_000000"])))
    arrays = {name: (member.array(name, 100), PLAIN) for name in member.names}
    arrays["jets_per_event"] = change(arrays["jets_per_event"][0].astype(np.int64)).astype(np.int32), PLAIN
    header = {key: value for key, value in member.attributes.items() if key != "arrays"}
    return sealed(list((parts | {"chunk_000000": arrays_member("chunk_000000", header, arrays).content}).items()))


def with_first_counts(content: bytes, change: Callable[[np.ndarray], np.ndarray]) -> bytes:
    """The same of the first version."""
    array = "chunk_000000/jets_per_event/c/0"
    parts = dict(parts_of(content))
    counts = PCodec().decode(parts[array][:-4]).astype(np.int64)
    stream = PCodec().encode(change(counts).astype(np.int32))
    return sealed(list((parts | {array: with_crc(stream)}).items()))


def too_many(counts: np.ndarray) -> np.ndarray:
    return np.full(len(counts), 2**31 - 1)


def negative(counts: np.ndarray) -> np.ndarray:
    return np.r_[counts.sum() + 9, -9, np.zeros(len(counts) - 2)]


def architecture(**changes: object) -> Callable[[Any], None]:
    def change(content: Any) -> None:
        content["attributes"]["architecture"] = {"class": "Autoencoder", "activation": "elu", **changes}

    return change


SUMMARY = "summary/zarr.json"
HOSTILE: dict[str, tuple[str, Callable[[bytes], bytes], str]] = {
    "10^9 chunks": (
        "bounded",
        lambda c: changed(c, SUMMARY, said("chunks", 10**9)),
        "holds 3 chunks, expected 1000000000",
    ),
    "a chunk of 2^31 jets": (
        "bounded",
        lambda c: changed(c, "chunk_000000", said("jets", 2**31)),
        "2147483648 jets in .* at most 4194304",
    ),
    "a first chunk of 2^31 jets": (
        "first bounded",
        lambda c: changed(c, "chunk_000000/zarr.json", said("jets", 2**31)),
        "2147483648 jets in .* at most 4194304",
    ),
    "2^31 jets an event": ("bounded", lambda c: with_counts(c, too_many), r"holds \d+ jets by its events, expected 31"),
    "2^31 first jets an event": (
        "first bounded",
        lambda c: with_first_counts(c, too_many),
        r"holds \d+ jets by its events, expected \d+",
    ),
    "a negative number of jets": ("bounded", lambda c: with_counts(c, negative), "jets by its events"),
    "a shape of 2^40": (
        "bounded",
        lambda c: changed(c, "chunk_000000", of_array("m", shape=[2**40])),
        r"the shape \[1099511627776\]; at most 31 values",
    ),
    "a first shape of 2^40": (
        "first bounded",
        lambda c: changed(c, "chunk_000000/m/zarr.json", lambda value: value.update(shape=[2**40])),
        r"the shape \[1099511627776\]; at most \d+ values",
    ),
    "a shape of many dimensions": (
        "bounded",
        lambda c: changed(c, "chunk_000000", of_array("m", shape=[10**30] * 100_000)),
        r"the shape \[1000.*at most 31 values",
    ),
    "10^4 arrays of 2^18 values": (
        "bounded",
        lambda c: with_many_arrays(c, 2**18, 10_000),
        r"the shape \[262144\]; at most 0 values",
    ),
    "values of Python": (
        "bounded",
        lambda c: changed(c, "chunk_000000", of_array("m", type="object")),
        "data type 'object'",
    ),
    "a stream of -5 bytes": (
        "bounded",
        lambda c: changed(c, "chunk_000000", of_array("m", bytes=-5)),
        "a stream is cut short",
    ),
    "a stream of 10^30 bytes": (
        "bounded",
        lambda c: changed(c, "chunk_000000", of_array("m", bytes=10**30)),
        "chunk_000000: damaged",
    ),
    "first JSON that is deflated": (
        "first bounded",
        lambda c: changed(c, "chunk_000000/zarr.json", said("jets", " " * 10**8)),
        "holds more than the 65536 bytes that are read of it",
    ),
    "a header that is deflated": (
        "bounded",
        lambda c: changed(c, "chunk_000000", said("jets", " " * 10**8)),
        "JSON of 4194305 bytes; at most 4194304",
    ),
    "a summary that is deflated": (
        "bounded",
        lambda c: changed(c, SUMMARY, said("source", "x" * 10**8)),
        "holds more than the 4194304 bytes",
    ),
    "nested JSON": ("bounded", lambda c: changed(c, SUMMARY, said("source", nested(40))), "more than 32 levels"),
    "a nested header": ("bounded", lambda c: changed(c, "chunk_000000", said("jets", nested(40))), "than 32 levels"),
    "a grid without steps": (
        "bounded",
        lambda c: changed(changed(c, "zarr.json", grid(step=0)), SUMMARY, grid(step=0)),
        "steps above 0, found 0",
    ),
    "a first array named twice": (
        "first bounded",
        lambda c: changed(c, "chunk_000000/zarr.json", said("arrays", ["m"] * 10000)),
        "an array is named twice",
    ),
    "a wide encoder": (
        "autoencoder",
        lambda c: changed(c, SUMMARY, architecture(nodes=[4, 8000, 8000, 3, 4])),
        "the weights do not fit|an encoder of",
    ),
    "20,000 layers": (
        "autoencoder",
        lambda c: changed(c, SUMMARY, architecture(nodes=[4, *[5] * 20_000, 3, 4])),
        "20003 layers .* at most 1000 layers",
    ),
    "layers of 10^9 nodes": (
        "autoencoder",
        lambda c: changed(c, SUMMARY, architecture(nodes=[4, 10**9, 3, 4])),
        "1000000000 nodes; files hold those of at most",
    ),
    "latents of text": (
        "autoencoder",
        lambda c: changed(c, SUMMARY, said("latents", {"offset": ["x"], "matrix": []})),
        "offset is 'x', expected a number",
    ),
}


def grid(**parameters: object) -> Callable[[Any], None]:
    return lambda content: content["attributes"]["grids"]["eta"].update(parameters)


def nested(levels: int) -> Any:
    return [nested(levels - 1)] if levels else []


def with_many_arrays(content: bytes, size: int, number: int) -> bytes:
    """A container whose first chunk holds many arrays of as many zeros as a chunk may have jets."""
    zeros = arrays_member("chunk_000000", {}, {"x": (np.zeros(size, np.int32), PLAIN)})
    header, stream = unpacked(zeros.content)
    arrays = {f"x{i}": header["arrays"]["x"] for i in range(number)}
    member = pack({"jets": size, "events": size, "arrays": arrays}, [stream] * number)
    return sealed(list((dict(parts_of(content)) | {"chunk_000000": member}).items()))


def outcome(case: tuple[Path, bytes]) -> Outcome:
    path, content = case
    path.write_bytes(content)
    try:
        read_compressed(path)
    except ContainerError as error:
        return "error", str(error)
    return "jets", ""


@pytest.fixture(scope="module")
def child() -> Iterator[Child]:
    with Child(outcome, seconds=300, megabytes=300) as child:
        yield child


@pytest.mark.parametrize("name", HOSTILE)
def test_what_a_hostile_container_says_is_refused_before_it_costs_anything(
    name: str, whole: dict[str, bytes], tmp_path: Path, child: Child
) -> None:
    codec, make, message = HOSTILE[name]
    word, text = child.run((tmp_path / "x.zarr.zip", make(whole[codec])))
    assert word == "error"
    assert "x.zarr.zip: " in text
    assert "\n" not in text
    assert re.search(message, text), text


def test_a_file_with_more_than_a_container_in_it_is_not_whole(whole: dict[str, bytes], tmp_path: Path) -> None:
    path = tmp_path / "x.zarr.zip"
    commented = bytearray(whole["lossless"])
    commented[-2:] = len(whole["bounded"]).to_bytes(2, "little")
    other = zipfile.ZipFile(tmp_path / "other.zip", "w")
    with other:
        other.writestr("a", b"b")
        other.comment = whole["bounded"]
    for content in (
        whole["bounded"] + whole["lossless"],
        b"x" + whole["bounded"],
        whole["bounded"] + b"x",
        bytes(commented) + whole["bounded"],
        (tmp_path / "other.zip").read_bytes(),
    ):
        path.write_bytes(content)
        for read in (inspect, read_compressed):
            with pytest.raises(ContainerError, match=r"x\.zarr\.zip: not a whole zip file"):
                read(path)
    path.write_bytes(whole["bounded"] + whole["lossless"])
    with pytest.raises(ContainerError, match="two containers in one file"):
        list(iter_compressed(path, recover=True))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: b"",
        lambda text: b"\xff" * 99,
        lambda text: pack({"jets": 1}, []),
        lambda text: pack({"jets": 1, "events": 1, "arrays": {"m": 3}}, []),
        lambda text: pack(unpacked(text)[0], [unpacked(text)[1][:9]]),
        lambda text: pack(unpacked(text)[0], [bytes(9), unpacked(text)[1][9:]]),
        lambda text: None,
    ],
)
def test_recovery_goes_on_past_a_chunk_whatever_is_wrong_with_it(
    spoil: Callable[[bytes], bytes | None], whole: dict[str, bytes], tmp_path: Path, capsys
) -> None:
    path = tmp_path / "x.zarr.zip"
    parts = dict(parts_of(whole["bounded"]))
    spoiled = spoil(parts.pop("chunk_000001"))
    path.write_bytes(sealed(list((parts | ({} if spoiled is None else {"chunk_000001": spoiled})).items())))
    assert main(["decompress", str(path), str(tmp_path / "out.csv")]) == 2
    assert main(["decompress", str(path), str(tmp_path / "out.csv"), "--recover"]) == 1
    lost = [line for line in capsys.readouterr().err.splitlines() if ": lost: " in line]
    assert any("chunk_000001" in line for line in lost)
    found = sum(map(len, iter_compressed(path, recover=True)))
    path.write_bytes(whole["bounded"])
    assert found == 90 - len(list(iter_compressed(path))[1])


def test_the_chunks_that_a_cut_file_has_lost_are_counted_where_its_summary_is_there(
    whole: dict[str, bytes], tmp_path: Path
) -> None:
    path = tmp_path / "x.zarr.zip"
    content = whole["bounded"]
    start, end = content.index(b"chunk_000001") - 30, content.index(b"chunk_000002") - 30
    path.write_bytes(content[:start] + content[end:])
    lost: list[str] = []
    assert sum(map(len, iter_compressed(path, recover=True, lost=lost))) < 90
    assert any("1 of 3 chunks are missing: chunk_000001" in line for line in lost)


@pytest.mark.parametrize("piece", [b"PK\x03\x04", b"PK\x03\x04" + bytes(14) + b"\xff\xff\x01\0" + bytes(8)])
def test_recovery_looks_at_each_byte_a_few_times(piece: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.zarr.zip"
    compress(make_jets(3000), path, chunk_jets=1000)
    content = path.read_bytes()
    path.write_bytes(content[:-30] + piece * (2_500_000 // len(piece)))
    looked, pread = 0, os.pread

    def counted(file: int, size: int, start: int) -> bytes:
        nonlocal looked
        found = pread(file, size, start)
        looked += len(found)
        return found

    monkeypatch.setattr(os, "pread", counted)
    assert sum(map(len, iter_compressed(path, recover=True, workers=1))) == 3000
    assert looked < 60 * path.stat().st_size + 2**26


def test_damaged_and_hostile_containers_come_to_an_error_or_to_what_they_hold(tmp_path: Path) -> None:
    tallies = fuzz(60, 1, tmp_path)
    assert [line for tally in tallies.values() for line in tally.bad] == []
    assert tallies["container damaged"].counts["error"] > 30
