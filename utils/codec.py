"""Jets to a small file and back: `compress`, `decompress`, `inspect`.

Error bounds are checked, not believed: every chunk is decoded from the bytes that go to the file and compared with
the jets that came in, before the file gets its name. Chunks are worked on by all cores; NumPy and PCodec let Python's
threads run side by side.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import google_crc32c
import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from utils import __version__
from utils.container import (
    PLAIN,
    ContainerError,
    Member,
    Reader,
    Writer,
    array_members,
    chunk_name,
    decode_array,
    group_member,
)
from utils.files import atomic_path, source_sha256
from utils.jets import (
    CHUNK_JETS,
    FEATURES,
    UNITS,
    JetError,
    concat_tables,
    cut_table,
    event_counts,
    iter_jets,
    write_jets,
)
from utils.metrics import StreamingResolution
from utils.networks import load_model
from utils.quantize import EXACT, Bounds
from utils.schemes import AutoencoderScheme, BoundedScheme, Columns, Scheme, fit_latent_steps

CODECS = ("bounded", "autoencoder", "lossless")

FLOAT32_BYTES = 4 * len(FEATURES)
"""Bytes of a jet before compression."""

_EVENTS = PLAIN | {"delta_spec": "auto"}

Item = TypeVar("Item")

Result = TypeVar("Result")


def compress(
    source: str | Path | pd.DataFrame | Iterable[pd.DataFrame],
    path: str | Path,
    *,
    codec: str = "bounded",
    bounds: Bounds | None = None,
    model: Any = None,
    latent_bits: float | None = None,
    refine: int = 0,
    keep_nonfinite: bool = False,
    chunk_jets: int = CHUNK_JETS,
    workers: int | None = None,
    progress: bool = False,
    **reading: Any,
) -> dict[str, Any]:
    """Write the jets of `source` to the container `path`; returns what `inspect` says of it.

    `source` is a path that `iter_jets` reads (with the options `reading`), a jet table, or a stream of tables cut
    between events. Codecs: "bounded", every jet within `bounds`; "lossless", bit for bit; "autoencoder", the latents
    of `model` (a Checkpoint, or a path: .safetensors of this project, or published weights), rounded by `latent_bits`
    or so that the MSE grows by less than 1% - with `bounds`, also the corrections that bring every jet within them.
    `refine` steps of `refine_latents` come before the rounding.

    NaN and infinite values raise JetError; with `keep_nonfinite` they are kept bit for bit (not by "autoencoder").
    The file appears only when all of it was decoded and checked; memory is bounded by a few chunks per worker.
    """
    scheme_of = _scheme_maker(codec, bounds, model, latent_bits, refine, keep_nonfinite)
    name, tables = _open_source(source, chunk_jets, keep_nonfinite, progress, reading)
    first = next(tables, None)
    scheme, fit = scheme_of(first)
    attributes = {
        "codec": codec,
        "keep_nonfinite": keep_nonfinite,
        **scheme.to_dict(),
        **fit,
        "features": list(FEATURES),
        "units": UNITS,
        "arrays": [],
        "versions": {"compression-hep": __version__} | {name: version(name) for name in ("numpy", "numcodecs")},
    }
    errors = [StreamingResolution(quantity) for quantity in FEATURES]
    totals = {"chunks": 0, "jets": 0, "events": 0, "exact_values": 0, "outside_training_range": 0}
    training_range = attributes.get("model", {}).get("data", {}).get("range")

    def encode(item: tuple[int, pd.DataFrame]) -> _EncodedChunk:
        return _encode_chunk(scheme, *item, keep_nonfinite=keep_nonfinite, training_range=training_range)

    with atomic_path(path) as partial, Writer(partial, attributes) as writer:
        if scheme.weights():
            writer.add(_array_group("decoder", scheme.weights(), PLAIN | {"mode_spec": "auto"}))
        chunks = enumerate(_chain(first, tables))
        for chunk in _ordered_map(encode, chunks, workers):
            writer.add(chunk.members)
            for key, count in chunk.counts.items():
                totals[key] += count
            for summary, more in zip(errors, chunk.errors, strict=True):
                summary.merge(more)
        if training_range is None:
            del totals["outside_training_range"]
        writer.close(
            totals | {"source": name | _checksums(source), "errors": {e.quantity: e.to_dict() for e in errors}}
        )
    return inspect(path)


def decompress(
    path: str | Path,
    output: str | Path,
    *,
    recover: bool = False,
    workers: int | None = None,
    progress: bool = False,
    seen: Callable[[pd.DataFrame], Any] = len,
) -> list[str]:
    """Write the jets of a container to `output`, in any format of `write_jets`; returns what was lost, one line each.

    Without `recover` a damaged file raises ContainerError naming the chunk, and `output` does not appear; with it, the
    chunks that are whole are written, and the result lists the others. `seen` is called with each table.
    """
    lost: list[str] = []
    with Reader(path, recover=recover) as reader:
        keep_nonfinite = bool(reader.attributes.get("keep_nonfinite", False))
    tables = iter_compressed(path, recover=recover, lost=lost, workers=workers, progress=progress)

    def watched() -> Iterator[pd.DataFrame]:
        for table in tables:
            seen(table)
            yield table

    write_jets(watched(), output, keep_nonfinite=keep_nonfinite)
    return lost


def read_compressed(path: str | Path) -> pd.DataFrame:
    """The jet table that a container holds."""
    return concat_tables(iter_compressed(path))


def iter_compressed(
    path: str | Path,
    *,
    recover: bool = False,
    lost: list[str] | None = None,
    workers: int | None = None,
    progress: bool = False,
) -> Iterator[pd.DataFrame]:
    """Decode a container as a stream of jet tables, one a chunk; `lost` gathers what `recover` skips."""
    lost = [] if lost is None else lost
    with Reader(path, recover=recover) as reader:
        if reader.damage:
            lost.append(reader.damage)
        scheme = _read_scheme(reader)

        def decode(name: str) -> pd.DataFrame | ContainerError:
            try:
                return _decode_chunk(reader, scheme, name)
            except ContainerError as error:
                return error

        names = reader.chunk_names()
        jets = 0
        for result in tqdm(
            _ordered_map(decode, names, workers), total=len(names), unit="chunk", disable=not progress, leave=False
        ):
            if isinstance(result, ContainerError):
                if not recover:
                    raise result
                lost.append(str(result))
                continue
            jets += len(result)
            yield result
        if reader.summary and not recover and jets != reader.summary["jets"]:
            raise ContainerError(f"{path}: holds {jets} jets, expected {reader.summary['jets']}")


def inspect(path: str | Path) -> dict[str, Any]:
    """What a container says of itself, and its size; JSON-safe.

    Keys: `codec`, its settings, `jets`, `events`, `chunks`, `source`, `errors` (measured when it was written), `bytes`,
    `bytes_per_jet` (everything in the file), `ratio` to float32, and `stream_bytes` (coded arrays by name).
    """
    with Reader(path) as reader:
        assert reader.summary is not None
        summary, streams = dict(reader.summary), reader.sizes()
    size, jets = Path(path).stat().st_size, summary["jets"]
    return summary | {
        "bytes": size,
        "bytes_per_jet": size / jets if jets else None,
        "ratio": FLOAT32_BYTES * jets / size,
        "stream_bytes": streams,
    }


@dataclass(frozen=True)
class _EncodedChunk:
    members: list[Member]
    counts: dict[str, int]
    errors: list[StreamingResolution]


def check_settings(
    codec: str,
    bounds: Bounds | None = None,
    model: Any = None,
    latent_bits: float | None = None,
    refine: int = 0,
    keep_nonfinite: bool = False,
) -> None:
    """Raise ValueError for settings of `compress` that do not belong together, or a model that cannot be loaded."""
    if codec not in CODECS:
        raise ValueError(f"unknown codec {codec!r}; known: {', '.join(CODECS)}")
    if codec != "autoencoder" and (model is not None or latent_bits is not None or refine):
        raise ValueError(f"a model, latent bits and refinement belong to the codec autoencoder, not to {codec}")
    if codec == "lossless" and bounds is not None:
        raise ValueError("the codec lossless keeps every bit: it takes no error bounds")
    if codec != "autoencoder":
        return
    if model is None:
        raise ValueError("the codec autoencoder needs a model: a checkpoint of this project, or published weights")
    if keep_nonfinite:
        raise ValueError("the codec autoencoder cannot keep values that are not finite; use bounded or lossless")
    if refine < 0:
        raise ValueError(f"refinement takes a number of steps, none or more, found {refine}")
    if latent_bits is not None and not 1 <= latent_bits <= 24:
        raise ValueError(f"latent bits must lie in 1..24, found {latent_bits:g}")
    load_model(model)


def _scheme_maker(
    codec: str, bounds: Bounds | None, model: Any, latent_bits: float | None, refine: int, keep_nonfinite: bool
) -> Callable[[pd.DataFrame | None], tuple[Scheme, dict[str, Any]]]:
    """What fits the scheme of a codec to the first chunk; ValueError for settings that do not belong together."""
    check_settings(codec, bounds, model, latent_bits, refine, keep_nonfinite)
    if codec != "autoencoder":
        scheme = BoundedScheme.of(EXACT if codec == "lossless" else bounds or Bounds())
        return lambda table: (scheme if table is None else scheme.fitted(_columns(table), event_counts(table)[1]), {})
    checkpoint = load_model(model)

    def fitted(table: pd.DataFrame | None) -> tuple[Scheme, dict[str, Any]]:
        if table is None or len(table) < 2:
            raise JetError("the codec autoencoder needs at least two jets to fit its steps to")
        _refuse_nonfinite(table, 0)
        jets = np.stack(list(_columns(table).values()), axis=1)
        offset, matrix, growth = fit_latent_steps(checkpoint, jets, latent_bits, refine=refine)
        corrections = None if bounds is None else BoundedScheme.of(bounds)
        return AutoencoderScheme(checkpoint, offset, matrix, corrections, refine), {"latent_mse_growth": growth}

    return fitted


def _open_source(
    source: Any, chunk_jets: int, keep_nonfinite: bool, progress: bool, reading: dict[str, Any]
) -> tuple[dict[str, Any], Iterator[pd.DataFrame]]:
    if isinstance(source, str | Path):
        reading = reading | {"keep_nonfinite": keep_nonfinite, "progress": progress}
        name: dict[str, Any] = {"file": Path(source).name}
        if reading.get("entries") is not None:
            name["entries"] = list(reading["entries"])
        return name, iter_jets(source, chunk_jets=chunk_jets, **reading)
    if reading:
        raise ValueError(f"{', '.join(reading)} say how to read a file, and the jets come as a table")
    tables = cut_table(source, chunk_jets) if isinstance(source, pd.DataFrame) else iter(source)
    return {"file": None}, iter(tables)


def _checksums(source: Any) -> dict[str, Any]:
    """SHA-256 of the file that was read, where it was one file."""
    single = isinstance(source, str | Path) and Path(source).is_file()
    return {"sha256": source_sha256(source)} if single else {}


def _columns(table: pd.DataFrame) -> Columns:
    return {name: np.ascontiguousarray(table[name].to_numpy(), np.float32) for name in FEATURES}


def _refuse_nonfinite(table: pd.DataFrame, index: int) -> None:
    for name in FEATURES:
        bad = np.flatnonzero(~np.isfinite(table[name].to_numpy()))
        if len(bad):
            raise JetError(
                f"chunk {index}: NaN or infinite {name} in {len(bad)} of {len(table)} jets, first at row {bad[0]} "
                "of the chunk; keep_nonfinite (--keep-nonfinite) stores such values exactly"
            )


def _encode_chunk(
    scheme: Scheme, index: int, table: pd.DataFrame, keep_nonfinite: bool, training_range: Any
) -> _EncodedChunk:
    """Encode a chunk, decode what was encoded, and check it; RuntimeError if the codec broke its promise."""
    if not keep_nonfinite:
        _refuse_nonfinite(table, index)
    columns = _columns(table)
    numbers, counts = event_counts(table)
    arrays, expected = scheme.encode(columns, counts)
    arrays = {"event": (numbers, _EVENTS), "jets_per_event": (counts.astype(np.int32), _EVENTS)} | arrays
    name = chunk_name(index)
    members: list[Member] = []
    stored: Columns = {}
    for array, (values, settings) in arrays.items():
        written = array_members(f"{name}/{array}", np.ascontiguousarray(values), settings)
        members += written
        coded = written[1].content if len(written) > 1 else None
        metadata = {"shape": values.shape, "data_type": str(values.dtype)}
        stored[array] = decode_array(metadata, coded, f"{name}/{array}")
    decoded = scheme.decode(stored, stored["jets_per_event"].astype(np.int64))
    _check_chunk(scheme, name, expected, decoded)
    attributes: dict[str, Any] = {"jets": len(table), "events": len(numbers), "arrays": list(arrays)}
    if scheme.guaranteed:
        attributes["checksum"] = _checksum(decoded)
    members.insert(0, group_member(name, attributes))
    errors = [StreamingResolution(quantity) for quantity in FEATURES]
    for summary in errors:
        true, reconstructed = columns[summary.quantity], decoded[summary.quantity]
        finite = np.isfinite(true) if keep_nonfinite else None
        summary.add(*(c if finite is None else c[finite] for c in (true, reconstructed)))
    counted = {
        "chunks": 1,
        "jets": len(table),
        "events": len(numbers),
        "exact_values": sum(len(values) for array, (values, _) in arrays.items() if array.endswith("_exact")),
    }
    if training_range is not None:
        inside = [(columns[q] >= training_range[q][0]) & (columns[q] <= training_range[q][1]) for q in FEATURES]
        counted["outside_training_range"] = int(len(table) - np.logical_and.reduce(inside).sum())
    return _EncodedChunk(members, counted, errors)


def _check_chunk(scheme: Scheme, name: str, expected: Columns, decoded: Columns) -> None:
    """Compare bit for bit what the stored bytes decode to with the jets that `encode` found to be within the bounds."""
    for quantity in FEATURES:
        wrong = decoded[quantity].view(np.uint32) != expected[quantity].view(np.uint32)  # NaN differs from itself
        if scheme.guaranteed and wrong.any():
            raise RuntimeError(f"{name}: {quantity} of {wrong.sum()} jets does not decode to what was encoded; a bug")


def _decode_chunk(reader: Reader, scheme: Scheme, name: str) -> pd.DataFrame:
    """The jet table of a chunk; ContainerError naming the member that is damaged, or jets that are not those stored."""
    attributes, arrays = reader.group(name)
    counts = arrays["jets_per_event"].astype(np.int64)
    where = f"{reader.path}: {name}"
    try:
        columns = scheme.decode(arrays, counts)
    except (KeyError, IndexError, ValueError) as error:
        raise ContainerError(f"{where}: its arrays do not fit together ({error!r})") from error
    lengths = {len(column) for column in columns.values()} | {int(counts.sum()), attributes["jets"]}
    if len(lengths) > 1 or len(counts) != attributes["events"]:
        raise ContainerError(f"{where}: holds columns of {lengths} jets in {len(counts)} events, expected {attributes}")
    if scheme.guaranteed and _checksum(columns) != attributes.get("checksum"):
        raise ContainerError(
            f"{where}: decodes to other jets than when it was written; damaged, or this machine computes the decoder "
            "differently"
        )
    table = pd.DataFrame({"event": np.repeat(arrays["event"], counts)} | columns)
    empty = arrays["event"][counts == 0]
    if len(empty):
        table.attrs["empty_events"] = empty.tolist()
    return table


def _read_scheme(reader: Reader) -> Scheme:
    codec = reader.attributes.get("codec")
    if codec not in CODECS:
        raise ContainerError(f"{reader.path}: codec {codec!r}; this version knows {', '.join(CODECS)}")
    weights = reader.group("decoder")[1] if codec == "autoencoder" else {}
    try:
        if codec == "autoencoder":
            return AutoencoderScheme.from_dict(reader.attributes, weights)
        return BoundedScheme.from_dict(reader.attributes)
    except (KeyError, TypeError, ValueError) as error:
        raise ContainerError(f"{reader.path}: describes no codec that this version can use ({error})") from error


def _checksum(columns: Columns) -> str:
    """CRC-32C over the float32 columns in the order of FEATURES."""
    value = 0
    for name in FEATURES:
        value = google_crc32c.extend(value, np.ascontiguousarray(columns[name]))
    return f"{value:08x}"


def _array_group(name: str, arrays: dict[str, np.ndarray], settings: dict[str, Any]) -> Iterator[Member]:
    yield group_member(name, {"arrays": list(arrays)})
    for array, values in arrays.items():
        yield from array_members(f"{name}/{array}", np.ascontiguousarray(values), settings)


def _chain(first: pd.DataFrame | None, rest: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
    if first is not None:
        yield first
        yield from rest


def _ordered_map(function: Callable[[Item], Result], items: Iterable[Item], workers: int | None) -> Iterator[Result]:
    """`function` of each item, in order, by `workers` threads (all cores by default), with few items in flight."""
    workers = workers or os.cpu_count() or 1
    if workers == 1:
        yield from map(function, items)
        return
    with ThreadPoolExecutor(workers) as pool:
        waiting: deque = deque()
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
