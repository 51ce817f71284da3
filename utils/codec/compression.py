"""Jets to a small file and back: `compress`, `decompress`, `inspect`.

Error bounds are checked, not believed: every chunk is decoded from the bytes that go to the file and compared with
the jets that came in, before the file gets its name. Chunks are worked on by all cores; NumPy and PCodec let Python's
threads run side by side.
"""

import warnings
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from tqdm import tqdm

from utils import __version__
from utils.codec.archive import ContainerError
from utils.codec.arrays import weights_member
from utils.codec.bounds import Bounds
from utils.codec.chunks import EncodedChunk, decode_chunk, encode_chunk
from utils.codec.container import Writer
from utils.codec.description import describe
from utils.codec.incoming import Jets, checksum_of, open_jets
from utils.codec.opening import write_root
from utils.codec.reader import TREES, Reader
from utils.codec.scheme import Scheme
from utils.codec.schemes import read_scheme, scheme_maker
from utils.codec.settings import SUFFIX
from utils.codec.threads import ordered_map, require_workers
from utils.files import Json, atomic_path, refuse_output, unchanging
from utils.jets import (
    CHUNK_JETS,
    FEATURES,
    UNITS,
    JetWarning,
    concat_tables,
    sample_files,
    write_jets,
)
from utils.metrics import StreamingResolution

if TYPE_CHECKING:
    from utils.codec.jet_networks import JetNetworks
    from utils.codec.models import AnyModel
    from utils.networks import Checkpoint

FLOAT32_BYTES = 4 * len(FEATURES)
"""Bytes of a jet before compression."""


def compress(
    source: Jets,
    path: str | Path,
    *,
    codec: str = "bounded",
    bounds: Bounds | None = None,
    model: "Checkpoint | JetNetworks | str | Path | None" = None,
    embed_model: bool = False,
    latent_bits: float | None = None,
    refine: int = 0,
    keep_nonfinite: bool = False,
    chunk_jets: int = CHUNK_JETS,
    workers: int | None = None,
    progress: bool = False,
    **reading: Any,
) -> Json:
    """Write the jets of `source` to the container `path`; returns what `inspect` says of it.

    `source` is a path that `iter_jets` reads (with the options `reading`), a jet table, or a stream of tables cut
    between events. Codecs: "bounded", every jet within `bounds`; "neural", the same from fewer bytes, by small networks
    that are fitted to the first chunk and stored, or those of `model`, which the file names, or holds with
    `embed_model`; "lossless", bit for bit; "autoencoder", the latents
    of `model` (a Checkpoint, or a path: .safetensors of this project, or published weights), rounded by `latent_bits`
    or so that the MSE grows by less than 1% - with `bounds`, also the corrections that bring every jet within them.
    `refine` steps of `refine_latents` come before the rounding.

    `path` ends in .zarr.zip, and is neither the source nor the model (OutputError). Jets that `decompress` would refuse
    raise JetError; so do NaN and infinite values, which `keep_nonfinite` keeps bit for bit (not with "autoencoder").
    Jets are stored as float32. Bounds hold, and errors are measured, against the source's own digits; where a quantity
    is to be kept exactly and float32 has fewer digits, a JetWarning says by how much it was rounded.
    The file appears only when all of it was decoded and checked; memory is bounded by a few chunks per worker.

    >>> from tempfile import TemporaryDirectory
    >>> from utils.jets import EMBEDDED_FILES, read_jets
    >>> with TemporaryDirectory() as folder:
    ...     report = compress(EMBEDDED_FILES[1], f"{folder}/jets.zarr.zip")
    ...     lost = decompress(f"{folder}/jets.zarr.zip", f"{folder}/jets.parquet")
    ...     jets = read_jets(f"{folder}/jets.parquet")
    >>> report["bytes_per_jet"] < 4, len(jets) == report["jets"], lost
    (True, True, [])
    >>> bool((jets["pt"] / read_jets(EMBEDDED_FILES[1])["pt"] - 1).abs().max() <= 0.01)
    True
    """
    files = sample_files(source) if isinstance(source, str | Path) else []
    read = [*files, *([model] if isinstance(model, str | Path) else [])]
    refuse_output(path, read, SUFFIX)
    require_workers(workers)
    scheme_of = scheme_maker(codec, bounds, model, latent_bits, refine, keep_nonfinite, embed_model)
    name, tables = open_jets(source, chunk_jets, keep_nonfinite, progress, reading)
    first = next(tables, None)
    scheme, fit = scheme_of(first)
    attributes = _attributes(codec, keep_nonfinite, scheme.to_dict() | fit)
    training_range = attributes.get("model", {}).get("data", {}).get("range")

    def encode(item: tuple[int, pd.DataFrame]) -> EncodedChunk:
        return encode_chunk(scheme, *item, keep_nonfinite=keep_nonfinite, training_range=training_range)

    totals = _Totals()
    with atomic_path(path) as partial, unchanging(files), Writer(partial, attributes) as writer:
        if weights := scheme.weights():
            writer.add(weights_member(weights))
        for chunk in ordered_map(encode, enumerate(_chain(first, tables)), workers):
            writer.add(chunk.member)
            totals.add(chunk)
        errors = {
            "errors": totals.resolutions(),
            "errors_of_bound": totals.errors_of_bound,
            "rounding": totals.rounding,
        }
        writer.close(totals.counts | {"source": name | checksum_of(source)} | errors)
    _say_what_was_rounded(name["file"] or "jet table", scheme, totals.rounding)
    return inspect(path)


def _say_what_was_rounded(source: str, scheme: Scheme, rounding: dict[str, float]) -> None:
    """A JetWarning where a quantity was to be kept exactly, and its source has more digits than float32."""
    kept = [name for name in rounding if scheme.bounds is not None and getattr(scheme.bounds, name).exact]
    if kept:
        units = {name: f" {unit}" if unit else "" for name, unit in UNITS.items()}
        sizes = ", ".join(f"{name} by {rounding[name]:.1e}{units[name]}" for name in kept)
        message = f"{source}: float32, of which every bit is kept, differs from the source: {sizes} at most"
        warnings.warn(message, JetWarning, stacklevel=3)


def _attributes(codec: str, keep_nonfinite: bool, scheme: Json) -> Json:
    """What the root of a container says of all chunks."""
    return {
        "codec": codec,
        "keep_nonfinite": keep_nonfinite,
        **scheme,
        "features": list(FEATURES),
        "units": UNITS,
        "versions": {"compression-hep": __version__} | {name: version(name) for name in ("numpy", "pcodec")},
    }


class _Totals:
    """Counts and errors of all chunks."""

    def __init__(self) -> None:
        self.counts = {"chunks": 0, "jets": 0, "events": 0, "exact_values": 0}
        self.errors = [StreamingResolution(quantity) for quantity in FEATURES]
        self.errors_of_bound: dict[str, float] | None = {}
        self.rounding: dict[str, float] = {}

    def add(self, chunk: EncodedChunk) -> None:
        for key, count in chunk.counts.items():
            self.counts[key] = self.counts.get(key, 0) + count
        for summary, more in zip(self.errors, chunk.errors, strict=True):
            summary.merge(more)
        for name, size in chunk.rounding.items():
            self.rounding[name] = max(self.rounding.get(name, 0.0), size)
        if chunk.errors_of_bound is None or self.errors_of_bound is None:
            self.errors_of_bound = None
        else:
            for name, share in chunk.errors_of_bound.items():
                self.errors_of_bound[name] = max(self.errors_of_bound.get(name, 0.0), share)

    def resolutions(self) -> dict[str, Json]:
        return {summary.quantity: summary.result().to_dict() for summary in self.errors}


def decompress(
    path: str | Path,
    output: str | Path,
    *,
    recover: bool = False,
    model: "AnyModel | None" = None,
    workers: int | None = None,
    progress: bool = False,
    seen: Callable[[pd.DataFrame], object] | None = None,
) -> list[str]:
    """Write the jets of a container to `output`, in any format of `write_jets`; returns what was lost, one line each.

    Without `recover` a damaged file raises ContainerError naming the chunk, and `output` does not appear; with it, the
    chunks that are whole are written, and the result lists the others. `model` is what the file names, where it holds
    no networks of its own. `seen` is called with each table of jets.
    A container of whole trees becomes a ROOT file, in one thread; ValueError for any other format.
    """
    refuse_output(output, [path])
    require_workers(workers)
    lost: list[str] = []
    with Reader(path, recover=recover) as reader:
        keep_nonfinite = bool(reader.attributes.get("keep_nonfinite", False))
        whole_trees = reader.attributes["codec"] == TREES
    if whole_trees:
        if not str(output).endswith(".root"):
            suffix = "OUT.root, in a folder --format root"
            raise ValueError(f"{output}: {path} holds whole trees, which are written to ROOT alone ({suffix})")
        return write_root(path, output, recover=recover, model=model, progress=progress)
    tables = iter_compressed(path, recover=recover, lost=lost, model=model, workers=workers, progress=progress)

    def watched() -> Iterator[pd.DataFrame]:
        for table in tables:
            if seen is not None:
                seen(table)
            yield table

    write_jets(watched(), output, keep_nonfinite=keep_nonfinite)
    return lost


def holds_trees(path: str | Path, recover: bool = False) -> bool:
    """Whether a container is of whole trees, and not of jets; ContainerError for a damaged one without `recover`."""
    with Reader(path, recover=recover) as reader:
        return reader.attributes["codec"] == TREES


def read_compressed(path: str | Path, model: "AnyModel | None" = None) -> pd.DataFrame:
    """The jet table that a container holds."""
    return concat_tables(iter_compressed(path, model=model))


def iter_compressed(
    path: str | Path,
    *,
    recover: bool = False,
    lost: list[str] | None = None,
    model: "AnyModel | None" = None,
    workers: int | None = None,
    progress: bool = False,
) -> Iterator[pd.DataFrame]:
    """Decode a container as a stream of jet tables, one a chunk; `lost` gathers what `recover` skips."""
    lost = [] if lost is None else lost
    with unchanging([path]), Reader(path, recover=recover) as reader:
        lost += filter(None, [reader.damage, reader.missing_chunks()])
        scheme = read_scheme(reader, model)

        def decode(name: str) -> pd.DataFrame | ContainerError:
            try:
                return decode_chunk(reader, scheme, name)
            except ContainerError as error:
                return error

        names = reader.chunk_names()
        jets = 0
        for result in tqdm(
            ordered_map(decode, names, workers), total=len(names), unit="chunk", disable=not progress, leave=False
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


def inspect(path: str | Path) -> Json:
    """What a container says of itself, and its size; JSON-safe.

    Keys: `codec`, its settings, `jets`, `events`, `chunks`, `source`, `errors` (measured when it was written),
    `errors_of_bound` (the largest, in units of the bound; None without bounds, or of earlier versions), `rounding` (by
    how much float32 differs from the source at most, in GeV and rad, by quantity; {} of earlier versions), `bytes`,
    `bytes_per_jet` (everything in the file), `ratio` to float32, and `stream_bytes` (coded arrays by name). Where the
    codec neural was asked for, `saving` has the bytes of the first chunk by `bounded`, by networks, and of these; where
    networks save nothing, `codec` is "bounded".
    Of a container of whole trees: `trees` (entries, columns, and `stream_bytes` by column), the `record` of what was
    done, `chunks`, `bytes`, and `container_bytes`, what is no stream of a column.
    """
    with Reader(path) as reader:
        assert reader.summary is not None
        if reader.attributes["codec"] == TREES:
            return describe(path)
        summary, streams = dict(reader.summary), reader.sizes()
    size, jets = Path(path).stat().st_size, summary["jets"]
    return (
        {"errors_of_bound": None, "rounding": {}}
        | summary
        | {
            "bytes": size,
            "bytes_per_jet": size / jets if jets else None,
            "ratio": FLOAT32_BYTES * jets / size,
            "stream_bytes": streams,
        }
    )


def _chain(first: pd.DataFrame | None, rest: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
    if first is not None:
        yield first
        yield from rest
