"""From files to a stream of jet tables: what kind of file it is, which unit it uses, where its events end."""

import glob
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from utils.files import describe_head
from utils.jet_columns import features_of
from utils.jet_note import Digest, check_note
from utils.jets import (
    CHUNK_JETS,
    MEV_FROM,
    EventNumbers,
    JetError,
    JetWarning,
    Paths,
    find_problems,
    make_table,
    refuse_jets,
    wrap_phi,
)
from utils.sources import Block, Options, Source, is_remote, open_binary, reading
from utils.text import listing

PER_GEV = {"GeV": 1.0, "MeV": 1000.0}

FORMATS = {
    "ROOT": (".root",),
    "Parquet": (".parquet", ".pq"),
    "HDF5": (".h5", ".hdf5", ".hdf", ".hdf4"),
    "NumPy archive": (".npz",),
    "pickle": (".pkl", ".pickle"),
    "text": (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".txt.gz"),
}


@dataclass(frozen=True)
class EventBlock:
    """Jets of successive events of one file: m, pt, phi, eta in GeV and rad (float32), jets per event, numbers.

    `unit` is the unit that the file uses.
    """

    features: list[np.ndarray]
    counts: np.ndarray
    numbers: np.ndarray
    unit: str


def sample_files(path: Paths) -> list[str]:
    """The files of a sample: a file, several, or what a glob pattern matches, sorted; JetError where there is none."""
    if not isinstance(path, str | Path):
        files = [file for part in path for file in sample_files(part)]
        if not files:
            raise JetError("no files given")
        return files
    name = str(path)
    if is_remote(name):
        return _remote_files(name)
    if Path(name).is_dir():
        raise JetError(f"{name}: a directory; give a file, several, or a pattern such as '{name.rstrip('/')}/*.root'")
    if Path(name).exists():
        return [name]
    if not glob.has_magic(name):
        raise JetError(f"{name}: no such file")
    files = sorted(file for file in glob.glob(name, recursive=True) if Path(file).is_file())
    if not files:
        raise JetError(f"{name}: no file matches this pattern")
    return files


def _remote_files(name: str) -> list[str]:
    import fsspec

    if not glob.has_magic(name):
        return [name]
    with reading(name, "an address"):
        files = [file.full_name for file in fsspec.open_files(name)]
    if not files:
        raise JetError(f"{name}: no file matches this pattern")
    return sorted(files)


def kind_of_file(name: str) -> tuple[str, str | None]:
    """The format of a file by its first bytes, and its compression; JetError where its suffix says another."""
    with reading(name, "a file"), open_binary(name) as file:
        head = file.read(4096)
    if not head:
        raise JetError(f"{name}: an empty file (0 bytes)")
    compression = "gzip" if head[:2] == b"\x1f\x8b" else None
    if compression:
        with reading(name, "gzip"), open_binary(name, compression) as file:
            head = file.read(4096)
    if other_kind := describe_head(head):
        raise JetError(f"{name}: expected jets, found {other_kind}")
    signatures = {b"root": "ROOT", b"PAR1": "Parquet", b"\x89HDF\r\n\x1a\n": "HDF5", b"PK\x03\x04": "NumPy archive"}
    found = next((kind for magic, kind in signatures.items() if head.startswith(magic)), None)
    if found is None and head[:1] == b"\x80" and len(head) > 1 and head[1] <= 5:
        found = "pickle"
    promised = next((kind for kind, endings in FORMATS.items() if name.lower().endswith(endings)), None)
    if found is None and b"\0" not in head and (promised == "text" or _is_text(head)):
        found = "text"
    if promised is not None and promised != found:
        what = {None: f"a file of an unknown kind, beginning with {head[:8]!r}", "NumPy archive": "a zip archive"}
        raise JetError(
            f"{name}: its suffix says {promised}, its first bytes say {what.get(found, found)}; "
            "rename it, or restore it if it is damaged"
        )
    if found is None:
        raise JetError(f"{name}: an unknown kind of file, beginning with {head[:8]!r}; known: {listing(FORMATS)}")
    if found == "NumPy archive" and promised is None:
        raise JetError(f"{name}: a zip archive; a file of jets would be a NumPy archive called .npz")
    return found, compression


def _is_text(head: bytes) -> bool:
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start > len(head) - 4 > 0
    return True


def open_source(name: str, tree: str | None = None, collection: str | None = None) -> Source:
    """Open one file and find the jets in it."""
    from utils import root_files, table_files, text_files

    kind, compression = kind_of_file(name)
    options: Options = (tree, collection)
    if kind == "text":
        return text_files.open_text(name, options, compression)
    if compression:
        raise JetError(f"{name}: a compressed {kind} file; uncompress it first (only text is read through gzip)")
    openers: dict[str, Callable[[str, Options], Source]] = {
        "ROOT": root_files.open_root,
        "Parquet": table_files.open_parquet,
        "HDF5": table_files.open_hdf5,
        "NumPy archive": table_files.open_npz,
        "pickle": table_files.open_pickle,
    }
    return openers[kind](name, options)


def read_blocks(source: Source, unit: str | None = None, progress: Callable[[int], Any] = int) -> Iterator[EventBlock]:
    """The jets of a file, converted but not checked; numbers are counted from 0 where the file has none.

    The unit is `unit`, or what the file or its format says, or guessed from the smallest pt. What is decided on the
    way is said in JetWarnings.
    """
    for notice in source.notices:
        warnings.warn(notice, JetWarning, stacklevel=2)
    blocks = source.read(source.columns.needed)
    unit = unit or (source.note or {}).get("unit") or source.unit
    guessed = unit is None
    if guessed:
        unit, blocks = _guess_unit(blocks, source)
    digest, spacelike, events = Digest(), 0, 0
    for block in blocks:
        progress(block.done)
        values = block.values or {role: np.empty(0) for role in source.columns.needed}
        if guessed and unit == "MeV" and len(_pt(values)) and np.nanmin(_pt(values)) <= MEV_FROM:
            raise JetError(
                f"{source.name}: the first jets look like MeV, pt above {MEV_FROM:g}, but then pt = "
                f"{np.nanmin(_pt(values)):g} turns up; give the unit with --unit (unit= in Python)"
            )
        features, hidden = features_of(values, PER_GEV[str(unit)], source.name)
        features[2] = wrap_phi(features[2])
        spacelike += hidden
        numbers = np.arange(events, events + len(block.counts)) if block.event is None else block.event
        events += len(numbers)
        digest.update(features, numbers, block.counts)
        yield EventBlock(features, block.counts, numbers, str(unit))
    if spacelike:
        warnings.warn(f"{source.name}: {spacelike} jets with E^2 < p^2 by rounding: m = 0", JetWarning, stacklevel=2)
    changed = check_note(source.note, digest, source.name) if source.note else None
    if changed:
        warnings.warn(changed, JetWarning, stacklevel=2)


def unit_of(source: Source) -> str:
    """The unit of a file: what it or its format says, or else a guess from its first jets."""
    return (source.note or {}).get("unit") or source.unit or _guess_unit(source.read(source.columns.needed), source)[0]


def _guess_unit(blocks: Iterator[Block], source: Source) -> tuple[str, Iterator[Block]]:
    """MeV where the smallest of the first pt is above `MEV_FROM`, otherwise GeV; and all blocks again."""
    seen: list[Block] = []
    jets, smallest = 0, np.inf
    for block in blocks:
        seen.append(block)
        pt = _pt(block.values)
        jets += len(pt)
        smallest = np.fmin(smallest, np.nanmin(pt)) if len(pt) and not np.isnan(pt).all() else smallest
        if jets >= CHUNK_JETS or smallest <= MEV_FROM:
            break
    unit = "MeV" if MEV_FROM < smallest < np.inf else "GeV"
    if unit == "MeV":
        warnings.warn(
            f"{source.name}: taken to be in MeV, since the smallest pt is {smallest:g}; --unit GeV (unit= in Python) "
            "says otherwise",
            JetWarning,
            stacklevel=3,
        )

    def again() -> Iterator[Block]:
        yield from seen
        yield from blocks

    return unit, again()


def _pt(values: dict[str, np.ndarray]) -> np.ndarray:
    if "pt" in values or not values:
        return values.get("pt", np.empty(0))
    return np.hypot(values["px"], values["py"])


def stream_tables(
    path: Paths,
    chunk_jets: int = CHUNK_JETS,
    *,
    tree: str | None = None,
    collection: str | None = None,
    unit: str | None = None,
    keep_nonfinite: bool = False,
    entries: tuple[int, int] | None = None,
    progress: bool = False,
) -> Iterator[pd.DataFrame]:
    """What `utils.jets.iter_jets` promises."""
    from tqdm.auto import tqdm

    if unit is not None and unit not in PER_GEV:
        raise JetError(f"unknown unit {unit!r}; known: {', '.join(PER_GEV)}")
    if chunk_jets < 1:
        raise ValueError(f"chunk_jets must be positive, found {chunk_jets}")
    sources = [open_source(name, tree, collection) for name in sample_files(path)]
    keep_numbers = _numbers_are_distinct(sources)
    if entries is not None:
        sources = [source.part(*entries) for source in sources]
    totals = [source.total for source in sources]
    total = None if None in totals else sum(filter(None, totals))
    with tqdm(total=total, desc="reading", unit_scale=True, disable=not progress) as bar:
        first = entries[0] if entries else 0
        blocks = _checked_blocks(sources, keep_numbers, unit, keep_nonfinite, bar.update, first)
        yield from _chunks(blocks, chunk_jets, listing((source.name for source in sources), 3))


def _numbers_are_distinct(sources: list[Source]) -> bool:
    """Whether event numbers can be taken from the files; where not, because they repeat, that is said."""
    if any(source.event_column is None for source in sources):
        return False
    if len(sources) == 1 and not sources[0].jagged:
        return True  # jets of one event that stand apart are an error, which the stream finds
    numbers = [block.event for source in sources for block in source.read({}) if block.event is not None]
    every = np.concatenate(numbers) if numbers else np.empty(0, np.int64)
    distinct = bool(np.all(every[1:] > every[:-1])) or len(np.unique(every)) == len(every)
    if not distinct:
        names = listing((source.name for source in sources), 3)
        warnings.warn(f"{names}: event numbers repeat, so events are counted from 0", JetWarning, stacklevel=4)
    return distinct


def _checked_blocks(
    sources: list[Source],
    keep_numbers: bool,
    unit: str | None,
    keep_nonfinite: bool,
    progress: Callable[[int], Any],
    events: int = 0,
) -> Iterator[EventBlock]:
    for source in sources:
        jets = 0
        seen = EventNumbers()
        blocks = read_blocks(source, unit, progress)
        for block in blocks:
            part = _table(block)
            if find_problems(part, keep_nonfinite):
                refuse_jets(chain([part], map(_table, blocks)), source.name, jets, keep_nonfinite)
            jets += len(part)
            seen.add(block.numbers if keep_numbers else block.numbers[:0])
            counted = np.arange(events, events + len(block.numbers))
            events += len(block.numbers)
            yield block if keep_numbers else replace(block, numbers=counted)
        seen.require_distinct(source.name)


def _chunks(blocks: Iterator[EventBlock], chunk_jets: int, name: str) -> Iterator[pd.DataFrame]:
    """Cut a stream behind the first event that fills a chunk; events without jets stay with the jets before them."""
    held: list[EventBlock] = []
    jets = 0
    for block in blocks:
        held.append(block)
        jets += len(block.features[0])
        if jets > chunk_jets:
            merged = _merge(held)
            ends = np.cumsum(merged.counts)
            start = first = 0
            while True:
                cut = int(np.searchsorted(ends, start + chunk_jets))
                if cut >= len(ends) or ends[cut] == ends[-1]:
                    break
                cut = int(np.searchsorted(ends, ends[cut], side="right"))
                yield _table(_part(merged, first, cut, start, int(ends[cut - 1])))
                first, start = cut, int(ends[cut - 1])
            held = [_part(merged, first, len(ends), start, int(ends[-1]))]
            jets -= start
    if jets == 0:
        events = sum(len(block.counts) for block in held)
        raise JetError(f"{name}: no jets, in {events} events")
    yield _table(_merge(held))


def _merge(blocks: list[EventBlock]) -> EventBlock:
    if len(blocks) == 1:
        return blocks[0]
    features = [np.concatenate(columns) for columns in zip(*(block.features for block in blocks), strict=True)]
    counts, numbers = (np.concatenate([getattr(block, key) for block in blocks]) for key in ("counts", "numbers"))
    return EventBlock(features, counts, numbers, blocks[0].unit)


def _part(block: EventBlock, first: int, last: int, start: int, stop: int) -> EventBlock:
    features = [column[start:stop] for column in block.features]
    return EventBlock(features, block.counts[first:last], block.numbers[first:last], block.unit)


def _table(block: EventBlock) -> pd.DataFrame:
    empty = block.numbers[block.counts == 0]
    m, pt, phi, eta = block.features
    return make_table(m, pt, phi, eta, np.repeat(block.numbers, block.counts), empty)
