"""Files to jet tables: one file, several or a pattern, whole or as a stream cut between events."""

import glob
import logging
import os
import re
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Unpack

import fsspec
import numpy as np
import pandas as pd
from tqdm import tqdm

from utils.jets.blocks import EventBlock, read_blocks
from utils.jets.checks import EventNumbers
from utils.jets.detect import open_source
from utils.jets.formats.source import Source, is_remote, reading
from utils.jets.sample_units import settle_units
from utils.jets.screen import Screen, table_of
from utils.jets.table import CHUNK_JETS, JetError, JetWarning, Paths, concat_tables, make_table
from utils.jets.units import BAD_JETS, Decided, Reading
from utils.text import listing

LOG = logging.getLogger("utils.jets")


def read_jets(path: Paths, *, progress: bool = False, **reading: Unpack[Reading]) -> pd.DataFrame:
    """Read the jet table of a file, of several files, or of a glob pattern, as one sample; see `iter_jets`.

    Raises JetError naming the file and the cause where the jets cannot be used.

    >>> from utils.jets import EMBEDDED_FILES, read_jets
    >>> list(read_jets(EMBEDDED_FILES))
    ['event', 'm', 'pt', 'phi', 'eta']
    """
    return concat_tables(iter_jets(path, progress=progress, **reading))


def iter_jets(
    path: Paths,
    *,
    chunk_jets: int = CHUNK_JETS,
    tree: str | None = None,
    collection: str | None = None,
    unit: str | Decided | None = None,
    beam_energy: float | None = None,
    bad_jets: str = "refuse",
    pt_min: float | None = None,
    eta_max: float | None = None,
    keep_nonfinite: bool = False,
    entries: tuple[int, int] | None = None,
    progress: bool = False,
    tally: Counter[str] | None = None,
    unrounded: bool = False,
) -> Iterator[pd.DataFrame]:
    """Read jets as a stream of jet tables of about `chunk_jets` jets, cut between events; memory stays bounded.

    `tree` and `collection` choose where a file holds several. `unit`, a key of `PER_GEV`, is the unit of all energies;
    without it, it is decided once for the sample: by names, titles and formats, or else from the bulk of the jets
    (`decide_units`, of which the result can be given as well). JetError where it cannot be told. What is read, and in
    which unit, is a message of the logger "utils.jets", level INFO.

    Jets with pt < `pt_min` GeV or |eta| > `eta_max` are cut away first. Those of the others that cannot be used (see
    `validate_jets`; masked; with a momentum above `beam_energy`, by default 7 TeV, in FCC files 50 TeV, and without
    limit in files with this project's note) are refused, or with `bad_jets` "drop" left out, and a JetWarning says how
    many and why. NaN and infinite values can be used where they are to be kept (`keep_nonfinite`). Events that lose
    their jets stay, as events without jets, in `attrs["empty_events"]` of the table that holds their neighbours;
    a sample without any jets is one table without rows.

    What needs the whole file (an event number that turns up again) is raised at the end of the stream.
    `entries` (first, last + 1) limits one ROOT file with an entry an event to those. `tally`, where it is given, counts
    what was `read`, `cut` and `dropped`. With `unrounded`, columns are float64 where a file's numbers have more digits.
    """
    if bad_jets not in BAD_JETS:
        raise JetError(f"bad_jets: unknown choice {bad_jets!r}; known: {', '.join(BAD_JETS)}")
    if chunk_jets < 1:
        raise ValueError(f"chunk_jets must be positive, found {chunk_jets}")
    if beam_energy is not None and not beam_energy > 0:
        raise ValueError(f"a beam energy is above 0 GeV, found {beam_energy:g}")
    sources = [open_source(name, tree, collection) for name in sample_files(path)]
    sources = settle_units(sources, unit, beam_energy)
    _say_what_is_read(sources)
    keep_numbers = _numbers_are_distinct(sources)
    if entries is not None:
        sources = [source.part(*entries) for source in sources]
    totals = [source.total for source in sources]
    total = None if None in totals else sum(filter(None, totals))
    tally = Counter() if tally is None else tally
    with tqdm(total=total, desc="reading", unit_scale=True, disable=not progress) as bar:
        events = entries[0] if entries else 0

        def blocks() -> Iterator[EventBlock]:
            nonlocal events
            for source in sources:
                seen = EventNumbers()
                screen = Screen(source, keep_nonfinite, bad_jets == "drop", {"pt_min": pt_min, "eta_max": eta_max})
                for block in screen.passing(read_blocks(source, bar.update, unrounded), tally):
                    seen.add(block.numbers if keep_numbers else block.numbers[:0])
                    counted = np.arange(events, events + len(block.numbers))
                    events += len(block.numbers)
                    yield block if keep_numbers else replace(block, numbers=counted)
                seen.require_distinct(source.name)

        yield from _chunks(blocks(), chunk_jets)


def _say_what_is_read(sources: list[Source]) -> None:
    """A line for the files that are read alike."""
    alike: dict[str, list[str]] = {}
    for source in sources:
        alike.setdefault(source.description, []).append(source.name)
    for description, names in alike.items():
        LOG.info("reading %s: %s", listing(names, 3), description)


def sample_files(path: Paths) -> list[str]:
    """The files of a sample: a file, several, what a glob pattern matches, sorted, or the Parquet files of a folder.

    JetError where there is none, and for what is no file, such as a pipe.
    """
    if not isinstance(path, str | Path):
        files = [file for part in path for file in sample_files(part)]
        if not files:
            raise JetError("no files given")
        return files
    name = os.path.expanduser(path)
    if not name:
        raise JetError("the name of a file is empty")
    if is_remote(name):
        return _remote_files(name)
    if Path(name).is_dir():
        if parts := _parquet_parts(name):
            return parts
        raise JetError(f"{name}: a directory; give a file, several, or a pattern such as '{name.rstrip('/')}/*.root'")
    if Path(name).is_file():
        return [name]
    if Path(name).exists():
        raise JetError(f"{name}: a pipe, a device or the like; jets are read from files")
    if not glob.has_magic(name):
        raise JetError(f"{name}: no such file")
    fixed = pattern_root(name)
    pattern = os.path.join(*map(glob.escape, fixed.parts), *Path(name).parts[len(fixed.parts) :])
    files = sorted(file for file in glob.glob(pattern, recursive=True) if Path(file).is_file())
    if not files:
        raise JetError(f"{name}: no file matches this pattern")
    return files


def pattern_root(pattern: str) -> Path:
    """The fixed part of a glob pattern: its folders before the first that is a pattern and not the name of one there.

    >>> pattern_root("data/run*/jets[0-9].root").as_posix()
    'data'
    """
    parts = Path(pattern).parts
    fixed = 0
    while fixed < len(parts) and (not glob.has_magic(parts[fixed]) or Path(*parts[: fixed + 1]).is_dir()):
        fixed += 1
    return Path(*parts[:fixed])


def _parquet_parts(folder: str) -> list[str]:
    """The files of a sample that Dask or Spark wrote as a folder, in the order of their numbers; none of any other."""
    files = [path for path in Path(folder).iterdir() if path.is_file() and not path.name.startswith(("_", "."))]
    if not files or any(path.suffix not in (".parquet", ".pq") for path in files):
        return []
    return sorted(map(str, files), key=_natural)


def _natural(name: str) -> list[tuple[int, str]]:
    """A key that puts part.2 before part.10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)]


def _remote_files(name: str) -> list[str]:
    if not glob.has_magic(name):
        return [name]
    with reading(name, "an address"):
        files = [file.full_name for file in fsspec.open_files(name)]
    if not files:
        raise JetError(f"{name}: no file matches this pattern")
    return sorted(files)


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
        warnings.warn(f"{names}: event numbers repeat, so events are counted from 0", JetWarning, stacklevel=3)
    return distinct


def _chunks(blocks: Iterator[EventBlock], chunk_jets: int) -> Iterator[pd.DataFrame]:
    """Cut a stream behind the first event that fills a chunk; events without jets stay with the jets before them.

    There is always a chunk, if without jets.
    """
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
                yield table_of(_part(merged, first, cut, start, int(ends[cut - 1])))
                first, start = cut, int(ends[cut - 1])
            held = [_part(merged, first, len(ends), start, int(ends[-1]))]
            jets -= start
    yield table_of(_merge(held)) if held else make_table([], [], [], [])


def _merge(blocks: list[EventBlock]) -> EventBlock:
    if len(blocks) == 1:
        return blocks[0]
    features = [np.concatenate(columns) for columns in zip(*(block.features for block in blocks), strict=True)]
    counts, numbers = (np.concatenate([getattr(block, key) for block in blocks]) for key in ("counts", "numbers"))
    return EventBlock(features, counts, numbers)


def _part(block: EventBlock, first: int, last: int, start: int, stop: int) -> EventBlock:
    features = [column[start:stop] for column in block.features]
    return EventBlock(features, block.counts[first:last], block.numbers[first:last])
