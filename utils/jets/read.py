"""Files to jet tables: one file, several or a pattern, whole or as a stream cut between events."""

import logging
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from typing import Any, Unpack

import numpy as np
import pandas as pd
from tqdm import tqdm

from utils.files import unchanging
from utils.jets.blocks import EventBlock, read_blocks
from utils.jets.checks import require_distinct_events
from utils.jets.detect import open_source
from utils.jets.events import EVENT_COLUMNS, EventIds, event_columns, event_ids
from utils.jets.formats.source import Source
from utils.jets.paths import sample_files
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
    columns: str | Mapping[str, str] | None = None,
    padding: Mapping[str, float] | None = None,
    read: Mapping[str, Any] | None = None,
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

    `tree` and `collection` choose where a file holds several. `columns` names the columns, by role (pt, eta, phi, m, e,
    px, py, pz, event, run, luminosityBlock), as a mapping or as `pt=jetPt,eta=...`; `{i}` in a name stands for the
    numbers of jets of which each has a column. Places where the columns of `padding`, by role, hold its values (in the
    unit of the file) are no jets. `read` says what a file does not, by the names of `READ_OPTIONS`, such as
    {"encoding": "utf-16"}; its format must know them. `unit`, a key of `PER_GEV`, is the unit of all energies; without
    it, it is decided once for the sample: by names, titles and formats, or else from the bulk of the jets
    (`decide_units`, of which the result can be given as well). JetError where it cannot be told. What is read, and in
    which unit, is a message of the logger "utils.jets", level INFO.

    Jets with pt < `pt_min` GeV or |eta| > `eta_max` are cut away first. Those of the others that cannot be used (see
    `validate_jets`; masked; with a momentum above `beam_energy`, by default 7 TeV, in FCC files 50 TeV, and without
    limit in files with this project's note) are refused, or with `bad_jets` "drop" left out, and a JetWarning says how
    many and why. NaN and infinite values can be used where they are to be kept (`keep_nonfinite`). Events that lose
    their jets stay, as events without jets, in `attrs["empty_events"]` of the table that holds their neighbours;
    a sample without any jets is one table without rows.

    What needs the whole file (an event number that turns up again) is raised at the end of the stream; so is
    `files.ChangedError` where a file was written to, or replaced, meanwhile.
    `entries` (first, last + 1) limits one ROOT file with an entry an event to those. `tally`, where it is given, counts
    what was `read`, `cut` and `dropped`. With `unrounded`, columns are float64 where a file's numbers have more digits.
    """
    if bad_jets not in BAD_JETS:
        raise JetError(f"bad_jets: unknown choice {bad_jets!r}; known: {', '.join(BAD_JETS)}")
    if chunk_jets < 1:
        raise ValueError(f"chunk_jets must be positive, found {chunk_jets}")
    if beam_energy is not None and not beam_energy > 0:
        raise ValueError(f"a beam energy is above 0 GeV, found {beam_energy:g}")
    files = sample_files(path)
    whole = ExitStack()
    whole.enter_context(unchanging(files))
    sources = [open_source(name, tree, collection, columns, padding, read) for name in files]
    sources = settle_units(sources, unit, beam_energy)
    _say_what_is_read(sources)
    named = _names_of_events(sources)
    if entries is not None:
        sources = [source.part(*entries) for source in sources]
    totals = [source.total for source in sources]
    total = None if None in totals else sum(filter(None, totals))
    tally = Counter() if tally is None else tally
    with whole, tqdm(total=total, desc="reading", unit_scale=True, disable=not progress) as bar:
        events = entries[0] if entries else 0

        def blocks() -> Iterator[EventBlock]:
            nonlocal events
            for source in sources:
                seen = EventIds()
                screen = Screen(source, keep_nonfinite, bad_jets == "drop", {"pt_min": pt_min, "eta_max": eta_max})
                for block in screen.passing(read_blocks(source, bar.update, unrounded), tally):
                    counted = np.arange(events, events + len(block.ids))
                    events += len(block.ids)
                    ids = _ids_named(block.ids, named) if named else counted
                    seen.add(ids if named else ids[:0])
                    yield replace(block, ids=ids)
                require_distinct_events(seen.repeated(), source.name)

        nothing = make_table([], [], [], [], {name: [] for name in named or ("event",)})
        yield from _chunks(blocks(), chunk_jets, nothing)


def _say_what_is_read(sources: list[Source]) -> None:
    """A line for the files that are read alike."""
    alike: dict[str, list[str]] = {}
    for source in sources:
        alike.setdefault(source.description, []).append(source.name)
    for description, names in alike.items():
        LOG.info("reading %s: %s", listing(names, 3), description)


def _names_of_events(sources: list[Source]) -> tuple[str, ...]:
    """The columns that name events in all files; none where they are to be counted, which is said if ids repeat."""
    named = tuple(name for name in EVENT_COLUMNS if all(name in source.columns.events for source in sources))
    if "event" not in named:
        return ()
    if len(sources) == 1 and not sources[0].jagged:
        return named  # jets of one event that stand apart are an error, which the stream finds
    seen = EventIds()
    for source in sources:
        for block in source.read({}):
            if block.event is not None:
                seen.add(_ids_named(block.event, named))
    if len(seen.repeated()):
        names = listing((source.name for source in sources), 3)
        what = f"event numbers repeat{', even by ' + ' and '.join(named[:-1]) if len(named) > 1 else ''}"
        warnings.warn(f"{names}: {what}, so events are counted from 0", JetWarning, stacklevel=3)
        return ()
    return named


def _ids_named(ids: np.ndarray, named: tuple[str, ...]) -> np.ndarray:
    """Ids of these columns alone."""
    columns = event_columns(ids)
    return ids if tuple(columns) == named else event_ids({name: columns[name] for name in named})


def _chunks(blocks: Iterator[EventBlock], chunk_jets: int, nothing: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Cut a stream behind the first event that fills a chunk; events without jets stay with the jets before them.

    There is always a chunk, if only `nothing`.
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
    yield table_of(_merge(held)) if held else nothing


def _merge(blocks: list[EventBlock]) -> EventBlock:
    if len(blocks) == 1:
        return blocks[0]
    features = [np.concatenate(columns) for columns in zip(*(block.features for block in blocks), strict=True)]
    counts, ids = (np.concatenate([getattr(block, key) for block in blocks]) for key in ("counts", "ids"))
    return EventBlock(features, counts, ids)


def _part(block: EventBlock, first: int, last: int, start: int, stop: int) -> EventBlock:
    features = [column[start:stop] for column in block.features]
    return EventBlock(features, block.counts[first:last], block.ids[first:last])
