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

from tests.fuzz.child import Child, Outcome
from tests.fuzz.containers import Parts, fuzz, parts_of, sealed, whole_files, with_crc
from utils.cli import main
from utils.codec import PLAIN, ContainerError, compress, inspect, iter_compressed, read_compressed
from utils.codec.streams import encode_stream


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return whole_files(tmp_path_factory.mktemp("containers"))


def changed(content: bytes, member: str, change: Callable[[Any], Any]) -> bytes:
    """A container in which what a member of JSON says is another; all checksums fit."""
    parts: Parts = []
    for name, text in parts_of(content):
        if name == member:
            value = json.loads(text)
            text = json.dumps(change(value["attributes"] if "attributes" in member else value) or value).encode()
        parts.append((name, text))
    return sealed(parts)


def said(key: str, value: object) -> Callable[[Any], None]:
    """What puts a value into the attributes of a group."""

    def change(content: Any) -> None:
        content["attributes"][key] = value

    return change


def with_counts(content: bytes, counts: np.ndarray) -> bytes:
    """A container whose first chunk counts its jets otherwise."""
    stream = with_crc(encode_stream(counts.astype(np.int32), PLAIN))
    array = "chunk_000000/jets_per_event"
    return sealed([(name, stream if name == f"{array}/c/0" else text) for name, text in parts_of(content)])


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
        lambda c: changed(c, "chunk_000000/zarr.json", said("jets", 2**31)),
        "2147483648 jets in .* at most 4194304",
    ),
    "2^31 jets an event": (
        "bounded",
        lambda c: with_counts(c, np.full(len(read_counts(c)), 2**31 - 1)),
        r"holds \d+ jets by its events, expected 31",
    ),
    "a negative number of jets": (
        "bounded",
        lambda c: with_counts(c, np.r_[read_counts(c)[0] + 9, -9, np.zeros(len(read_counts(c)) - 2)]),
        "jets by its events",
    ),
    "a shape of 2^40": (
        "bounded",
        lambda c: changed(c, "chunk_000000/m/zarr.json", lambda value: value.update(shape=[2**40])),
        r"the shape \[1099511627776\]; at most 31 values",
    ),
    "values of Python": (
        "bounded",
        lambda c: changed(c, "chunk_000000/m/zarr.json", lambda value: value.update(data_type="object")),
        "data type 'object'",
    ),
    "JSON that is deflated": (
        "bounded",
        lambda c: changed(c, "chunk_000000/zarr.json", said("jets", " " * 10**8)),
        "holds more than the 65536 bytes that are read of it",
    ),
    "a summary that is deflated": (
        "bounded",
        lambda c: changed(c, SUMMARY, said("source", "x" * 10**8)),
        "holds more than the 4194304 bytes",
    ),
    "nested JSON": ("bounded", lambda c: changed(c, SUMMARY, said("source", nested(40))), "more than 32 levels"),
    "a grid without steps": (
        "bounded",
        lambda c: changed(changed(c, "zarr.json", grid(step=0)), SUMMARY, grid(step=0)),
        "steps above 0, found 0",
    ),
    "an array named twice": (
        "bounded",
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


def read_counts(content: bytes) -> np.ndarray:
    from numcodecs.pcodec import PCodec

    return PCodec().decode(dict(parts_of(content))["chunk_000000/jets_per_event/c/0"][:-4])


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
        lambda name, text: (name, b"[]") if name == "chunk_000001/zarr.json" else (name, text),
        lambda name, text: (
            (name, b'{"attributes": {"arrays": 3}}') if name == "chunk_000001/zarr.json" else (name, text)
        ),
        lambda name, text: (name, b"\xff" * 9) if name == "chunk_000001/event/zarr.json" else (name, text),
        lambda name, text: (name, with_crc(text[:9])) if name == "chunk_000001/eta/c/0" else (name, text),
        lambda name, text: ("lost" if name.startswith("chunk_000001/") else name, text),
    ],
)
def test_recovery_goes_on_past_a_chunk_whatever_is_wrong_with_it(
    spoil: Callable[[str, bytes], tuple[str, bytes]], whole: dict[str, bytes], tmp_path: Path, capsys
) -> None:
    path = tmp_path / "x.zarr.zip"
    parts = dict([spoil(name, text) for name, text in parts_of(whole["bounded"])])
    path.write_bytes(sealed(list(parts.items())))
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
    start, end = content.index(b"chunk_000001/zarr.json") - 30, content.index(b"chunk_000002/zarr.json") - 30
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
