"""Containers: damaged, cut and spliced, or written by someone hostile whose checksums all fit."""

import io
import json
import struct
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import lru_cache, partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import google_crc32c
import numpy as np
import pandas as pd
from numcodecs.pcodec import PCodec

from tests.fuzz.child import FINE, Child, Outcome, Tally
from tests.fuzz.inputs import damage, example_table
from tests.fuzz.spoil import bits_changed, spoiled
from tests.jet_network_helpers import random_networks
from utils.codec import PLAIN, SEARCHING, Bounds, ContainerError, compress, inspect, iter_compressed, read_compressed
from utils.codec.container import SUMMARY, digest_of
from utils.codec.packed import PREFIX, Packed, pack, read_from
from utils.codec.streams import decode_standalone, decode_stream, encode_stream
from utils.files import Json
from utils.jets import event_counts, feature_array
from utils.networks import Checkpoint, CustomNormalization, PCABaseline

CASES = 4000
"""Of each kind in `make fuzz`."""

SECONDS = 300
"""A case that takes longer hangs; most take 20 ms, the first ones seconds, for what is imported late."""

GOLDEN = Path(__file__).parents[1] / "data"

MEGABYTES = 400
"""What reading a container of some kB may take."""

Parts = list[tuple[str, bytes]]


def whole_files(folder: Path) -> dict[str, bytes]:
    """A small container of each codec, in three chunks; and those of the first version that the tests keep."""
    table = example_table(90)
    normalization = CustomNormalization()
    model = Checkpoint(PCABaseline(3).fit(normalization.normalize(feature_array(table))), normalization)
    settings: dict[str, dict] = {
        "bounded": {},
        "lossless": {"codec": "lossless"},
        "autoencoder": {"codec": "autoencoder", "model": model},
        "corrected": {"codec": "autoencoder", "model": model, "bounds": Bounds()},
    }
    files = {}
    for name, options in settings.items():
        compress(table, folder / f"{name}.zarr.zip", chunk_jets=30, workers=1, **options)
        files[name] = (folder / f"{name}.zarr.zip").read_bytes()
        files[f"first {name}"] = (GOLDEN / f"golden_{name}.zarr.zip").read_bytes()
        (folder / f"first {name}.zarr.zip").write_bytes(files[f"first {name}"])
    with patch("utils.codec.schemes.choose_networks", lambda plain, columns, counts, model, apart: (model, {})):
        neural: dict[str, Any] = {"codec": "neural", "model": random_networks(0), "embed_model": True}
        compress(table, folder / "neural.zarr.zip", chunk_jets=30, workers=1, **neural)
    files["neural"] = (folder / "neural.zarr.zip").read_bytes()
    return files


def parts_of(content: bytes) -> Parts:
    """The members of a container, in order."""
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        return [(info.filename, file.read(info)) for info in file.infolist()]


def sealed(parts: Parts) -> bytes:
    """A zip of these members, with the digest that fits them in its summary."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Duplicate name")
        for name, content in parts:
            if name == SUMMARY:
                content = _with_digest(content, digest_of(archive.infolist()))
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED if name.endswith(".json") else zipfile.ZIP_STORED
            archive.writestr(info, content)
    return file.getvalue()


def _with_digest(content: bytes, digest: str) -> bytes:
    try:
        value = json.loads(content)
    except ValueError:  # a stream in its place
        return content
    if isinstance(value, dict) and isinstance(value.get("attributes"), dict):
        value["attributes"]["digest"] = digest
    return json.dumps(value).encode()


def with_crc(coded: bytes) -> bytes:
    """A stream with its crc32c behind it, as arrays of the first version are stored."""
    return coded + struct.pack("<L", google_crc32c.value(coded))


def unpacked(content: bytes) -> tuple[Json, bytes]:
    """The header of a packed member, and its streams."""
    header = Packed(read_from(content)).header
    return header, content[PREFIX.size + PREFIX.unpack(content[: PREFIX.size])[0] :]


def damaged(content: bytes, random: np.random.Generator) -> bytes:
    """A file with changed bytes, cut short, or with a piece of itself in another place."""
    if random.random() < 0.7:
        return damage(content, random)
    start, place = random.integers(0, len(content), 2).tolist()
    piece = content[start : start + int(random.integers(1, len(content)))]
    kept = place + int(random.integers(0, 2)) * len(piece)
    return content[:place] + piece + content[kept:]


def hostile(parts: Parts, random: np.random.Generator) -> bytes:
    """A container of which a member says or holds something else, is missing or is there twice; all checksums fit.

    Those of what streams decode to do not: `unchecked` reads them all the same.
    """
    parts = list(parts)
    for _ in range(random.integers(1, 3)):
        place = int(random.integers(len(parts)))
        name, content = parts[place]
        match random.integers(12):
            case 0:
                del parts[place]
            case 1:
                other = int(random.integers(len(parts)))
                parts[place] = name, parts[other][1]
            case 2:
                parts.append((name, parts[int(random.integers(len(parts)))][1]))
            case _:
                parts[place] = name, _spoiled_member(name, content, random)
        if not parts:
            break
    return sealed(parts)


def _spoiled_member(name: str, content: bytes, random: np.random.Generator) -> bytes:
    if "/" in name and not name.endswith(".json"):
        return with_crc(bits_changed(content[:-4], random))
    try:
        if name.endswith(".json"):
            return json.dumps(spoiled(json.loads(content), random)).encode()
        header, streams = unpacked(content)
    except ValueError:  # another member's content, or changed before
        return bits_changed(content, random)
    if random.random() < 0.5:
        return pack(spoiled(header, random), [streams])
    return pack(header, [bits_changed(streams, random)])


@contextmanager
def unchecked() -> Iterator[None]:
    """Read streams and networks as if a hostile writer had computed their checksums."""
    checks = "arrays.require_checked", "columns.require_checked", "jet_networks.require_named"
    with ExitStack() as stack:
        for name in checks:
            stack.enter_context(patch(f"utils.codec.{name}"))
        yield


def read_damaged(path: Path, expected: pd.DataFrame, content: bytes) -> Outcome:
    """What a damaged container comes to: an error or the same jets, and with `recover` no others."""
    path.write_bytes(content)
    try:
        table = read_compressed(path)
        outcome = ("same", "") if _same(table, expected) else ("changed, silent", f"{len(table)} jets")
    except ContainerError as error:
        outcome = ("error" if path.name in str(error) else "exception"), str(error)
    lost: list[str] = []
    try:
        rows = {row for part in iter_compressed(path, recover=True, lost=lost, workers=1) for row in _rows(part)}
    except ContainerError:
        return outcome
    if rows - set(_rows(expected)):
        return "changed, silent", "recovered jets that were never written"
    if not lost and len(rows) < len(set(_rows(expected))):
        return "changed, silent", "recovered fewer jets, and said nothing"
    return outcome


def read_hostile(path: Path, content: bytes) -> Outcome:
    """What a hostile container comes to: an error, or jets, which may be any."""
    path.write_bytes(content)
    word = "jets"
    for recover in (True, False):
        try:
            if not recover:
                inspect(path)
            for table in iter_compressed(path, recover=recover, workers=1):
                event_counts(table)
        except ContainerError as error:
            word = "error"
            if path.name not in str(error) or "\n" in str(error) or len(str(error)) > 2000:
                return "exception", str(error)
    return word, ""


def read_stream(case: tuple[bytes, int, str]) -> Outcome:
    """What a stream, of this version and taken for one of the first, comes to: an error, or values."""
    stream, size, kind = case
    word, message = "values", ""
    for decode in (decode_stream, decode_standalone):
        try:
            values = decode(stream, size, np.dtype(kind))
        except ValueError as error:
            word, message = "error", str(error)
            continue
        if (len(values), values.dtype) != (size, kind):
            return "exception", "other values"
    return word, message


def read(folder: Path, case: tuple[str, Any]) -> Outcome:
    """What a case of a kind comes to, in a folder that holds the whole files."""
    kind, content = case
    if kind == "stream":
        return read_stream(content)
    if kind == "hostile":
        with unchecked():
            return read_hostile(folder / "x.zarr.zip", content)
    return read_damaged(folder / "x.zarr.zip", _expected(folder / f"{kind}.zarr.zip"), content)


def fuzz(cases: int, seed: int, folder: Path) -> dict[str, Tally]:
    """So many cases of each kind; what came of each."""
    random = np.random.default_rng(seed)
    files = list(whole_files(folder).items())
    streams = _streams(random)
    tallies = {name: Tally() for name in ("container damaged", "container hostile", "stream")}
    with Child(partial(read, folder), SECONDS, MEGABYTES) as child:
        for case in range(cases):
            name, content = files[case % len(files)]
            tallies["container damaged"].add(f"{name} {case}", child.run((name, damaged(content, random))))
            outcome = child.run(("hostile", hostile(parts_of(content), random)))
            tallies["container hostile"].add(f"{name} {case}", outcome, (*FINE, "jets"))
            stream, size, kind = streams[case % len(streams)]
            outcome = child.run(("stream", (bits_changed(stream, random), size, kind)))
            tallies["stream"].add(f"stream {case}", outcome, (*FINE, "values"))
    return tallies


@lru_cache
def _expected(path: Path) -> pd.DataFrame:
    return read_compressed(path)


def _streams(random: np.random.Generator) -> list[tuple[bytes, int, str]]:
    arrays: list[np.ndarray] = [
        np.arange(50, dtype=np.int32),
        random.integers(0, 9, 300).astype(np.int32),
        np.zeros(40, np.int64),
        random.normal(size=200).astype(np.float32),
        np.round(random.normal(size=300), 1),
        np.tile(random.integers(0, 2**30, 20), 30).astype(np.uint32),
    ]
    settings = [PLAIN, SEARCHING, PLAIN | {"delta_spec": "auto"}, PLAIN | {"delta_spec": "try_lookback"}]
    return [
        (encode(values, choice), len(values), values.dtype.name)
        for values in arrays
        for choice in settings
        for encode in (encode_stream, lambda values, choice: PCodec(**choice).encode(values))
    ]


def _rows(table: pd.DataFrame) -> list[tuple]:
    return list(map(tuple, table.to_numpy()))


def _same(table: pd.DataFrame, expected: pd.DataFrame) -> bool:
    found, wanted = event_counts(table), event_counts(expected)
    return table.equals(expected) and all(map(np.array_equal, found, wanted))
