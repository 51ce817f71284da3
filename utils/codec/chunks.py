"""One chunk of jets to members of a container and back, checked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import google_crc32c
import numpy as np
import pandas as pd

from utils import networks
from utils.codec.archive import ContainerError, blaming
from utils.codec.arrays import Arrays, arrays_member, read_all
from utils.codec.container import Member, chunk_name
from utils.codec.incoming import MOST_JETS, jet_columns, source_columns
from utils.codec.packed import Packed, read_from
from utils.codec.reader import Reader
from utils.codec.scheme import Scheme
from utils.codec.streams import DIFFERENT
from utils.codec.violations import Columns, errors_of_bound
from utils.files import Json
from utils.jets import EVENT_COLUMNS, FEATURES, JetError, event_columns, event_counts, event_ids, with_empty_events
from utils.limits import require_form
from utils.metrics import StreamingResolution

MOST_ARRAYS = 64
"""So many arrays as long as a chunk are read of it at most."""

_CHUNK = {"jets": int, "events": int, "checksum?": str}


@dataclass(frozen=True)
class EncodedChunk:
    """What `encode_chunk` made of a chunk: a member of the container, counts to add up, errors to merge.

    `errors_of_bound` are the largest errors in units of the bound, None where there are no bounds; `rounding` is by how
    much float32 differs from the source at most, where it does.
    """

    member: Member
    counts: dict[str, int]
    errors: list[StreamingResolution]
    errors_of_bound: dict[str, float] | None
    rounding: dict[str, float]


def encode_chunk(
    scheme: Scheme,
    index: int,
    table: pd.DataFrame,
    keep_nonfinite: bool,
    training_range: Mapping[str, Sequence[float]] | None,
) -> EncodedChunk:
    """Encode a chunk, decode what was encoded, and check it; errors are those against the source's own digits.

    JetError where float32, in which jets are stored, cannot hold the source's digits within the bounds; RuntimeError if
    the codec broke its promise.
    """
    columns, sources = jet_columns(table), source_columns(table)
    ids, counts = event_counts(table)
    arrays, expected = scheme.encode(columns, counts, sources=sources)
    events = event_columns(ids) | {"jets_per_event": counts.astype(np.int32)}
    arrays = {array: (np.ascontiguousarray(values), DIFFERENT) for array, values in events.items()} | arrays
    name = chunk_name(index)
    arrays = {array: (np.ascontiguousarray(values), settings) for array, (values, settings) in arrays.items()}
    attributes: Json = {"jets": len(table), "events": len(ids)}
    if scheme.guaranteed:
        attributes["checksum"] = _checksum(expected)
    member = arrays_member(name, attributes, arrays)
    stored = Arrays(Packed(read_from(member.content)))
    again = {array: stored.array(array, len(table) + len(ids)) for array in stored.names}
    decoded = scheme.decode(again, again["jets_per_event"].astype(np.int64))
    _check_chunk(scheme, name, expected, decoded)
    errors = [StreamingResolution(quantity) for quantity in FEATURES]
    for summary in errors:
        true, reconstructed = sources[summary.quantity], decoded[summary.quantity]
        finite = np.isfinite(true) if keep_nonfinite else None
        summary.add(*(c if finite is None else c[finite] for c in (true, reconstructed)))
    counted = {
        "chunks": 1,
        "jets": len(table),
        "events": len(ids),
        "exact_values": sum(len(values) for array, (values, _) in arrays.items() if array.endswith("_exact")),
    }
    if training_range is not None:
        counted["outside_training_range"] = networks.count_outside(training_range, columns)
    shares = None if scheme.bounds is None else errors_of_bound(scheme.bounds, sources, decoded)
    for quantity, share in (shares or {}).items():
        if share > 1:
            raise JetError(
                f"{name}: {quantity} of its source has digits that float32, in which jets are stored, has not: its "
                f"rounding alone is {share:.3g} of the bound; give a larger one, or 0 for every bit of float32"
            )
    return EncodedChunk(member, counted, errors, shares, _rounding(sources, columns))


def _rounding(sources: Columns, columns: Columns) -> dict[str, float]:
    """The largest difference (GeV, rad) of float32 columns from those of their source, where there is one."""
    largest = {}
    for quantity in FEATURES:
        if sources[quantity].dtype != np.float32:
            error = np.abs(sources[quantity] - columns[quantity])
            largest[quantity] = float(error.max(initial=0.0, where=np.isfinite(error)))
    return {quantity: error for quantity, error in largest.items() if error}


def _check_chunk(scheme: Scheme, name: str, expected: Columns, decoded: Columns) -> None:
    """Compare bit for bit what the stored bytes decode to with the jets that `encode` found to be within the bounds."""
    for quantity in FEATURES:
        wrong = decoded[quantity].view(np.uint32) != expected[quantity].view(np.uint32)  # NaN differs from itself
        if scheme.guaranteed and wrong.any():
            raise RuntimeError(f"{name}: {quantity} of {wrong.sum()} jets does not decode to what was encoded; a bug")


def decode_chunk(reader: Reader, scheme: Scheme, name: str) -> pd.DataFrame:
    """The jet table of a chunk; ContainerError naming the member that is damaged, or jets that are not those stored."""
    where = f"{reader.path}: {name}"
    with blaming(where):
        group = reader.arrays(name)
        attributes = group.attributes
        require_form(attributes, _CHUNK, "its attributes")
        jets, events = attributes["jets"], attributes["events"]
        if not (0 <= jets <= MOST_JETS and 0 <= events <= MOST_JETS):
            raise ContainerError(f"{where}: {jets} jets in {events} events; a chunk holds at most {MOST_JETS}")
        most = max(jets, events)
        arrays = read_all(group, most, MOST_ARRAYS * most)
        counts = arrays["jets_per_event"].astype(np.int64)
        found = {(arrays[name].shape, arrays[name].dtype.name) for name in EVENT_COLUMNS if name in arrays}
        if (found, counts.shape) != ({((events,), "int64")}, (events,)):
            raise ContainerError(f"{where}: its event numbers are not {events} integers")
        ids = event_ids(arrays)
        if counts.min(initial=0) < 0 or counts.sum() != jets:
            raise ContainerError(f"{where}: holds {counts.sum()} jets by its events, expected {jets}")
        columns = scheme.decode(arrays, counts)
        if {(column.shape, column.dtype.name) for column in columns.values()} != {((jets,), "float32")}:
            raise ContainerError(f"{where}: its columns do not hold {jets} jets each")
    if scheme.guaranteed and _checksum(columns) != attributes.get("checksum"):
        raise ContainerError(
            f"{where}: decodes to other jets than when it was written; damaged, or this machine computes the decoder "
            "differently"
        )
    table = pd.DataFrame(event_columns(np.repeat(ids, counts)) | columns)
    return with_empty_events(table, ids[counts == 0])


def _checksum(columns: Columns) -> str:
    """CRC-32C over the float32 columns in the order of FEATURES."""
    value = 0
    for name in FEATURES:
        value = google_crc32c.extend(value, np.ascontiguousarray(columns[name]))
    return f"{value:08x}"
