"""Files of jets, damaged at random.

Half of the files are cut short, in the other half one to three bytes are changed. What foreign formats say of their
own bytes cannot be checked: there, other jets in silence are no fault of the reader.
"""

import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pandas as pd
import uproot

from tests.fuzz.child import FINE, Child, Outcome, Tally
from utils.jets import JetError, JetWarning, event_counts, feature_array, make_table, read_jets, write_jets

CASES = 200
"""Damaged files of each format in `make fuzz`."""


def example_table(jets: int = 300, seed: int = 0) -> pd.DataFrame:
    """Jets of a falling spectrum in events of 0 to 6, float32 digits and all."""
    random = np.random.default_rng(seed)
    counts = random.integers(0, 7, size=jets)
    event = np.repeat(np.arange(len(counts)) * 3 + 11, counts)[:jets]
    empty = [int(number) * 3 + 11 for number in np.flatnonzero(counts == 0) if number * 3 + 11 <= event[-1]]
    pt = 20 + random.exponential(40, jets)
    m = np.where(random.random(jets) < 0.05, 0, pt * random.uniform(0.05, 0.3, jets))
    return make_table(m, pt, random.uniform(-np.pi, np.pi, jets), random.uniform(-4, 4, jets), event, empty)


def _write_with_project(path: Path, table: pd.DataFrame) -> None:
    write_jets(table, path)


def write_ttree(path: Path, table: pd.DataFrame) -> None:
    """A NanoAOD-like tree, as another program writes it."""
    with uproot.recreate(path) as file:
        file.mktree("Events", {"event": "int64", "Jet": _lists(table).type.content})
        file["Events"].extend({"event": event_counts(table)[0], "Jet": _lists(table)})


def write_rntuple(path: Path, table: pd.DataFrame) -> None:
    """The same as an RNTuple."""
    with uproot.recreate(path) as file:
        file.mkrntuple("Events", {"event": event_counts(table)[0], "Jet": _lists(table)})


def write_npz(path: Path, table: pd.DataFrame) -> None:
    """One array per column."""
    columns: dict[str, Any] = {str(name): table[name].to_numpy() for name in table}
    np.savez(path, **columns)


def write_pickle(path: Path, table: pd.DataFrame) -> None:
    """A pickled DataFrame."""
    pd.DataFrame(table).to_pickle(path)


def write_plain_parquet(path: Path, table: pd.DataFrame) -> None:
    """Parquet as pandas writes it, without checksums."""
    table.to_parquet(path)


def write_event_lines(path: Path, table: pd.DataFrame) -> None:
    """DarkMachines lines, in MeV."""
    lines = []
    numbers, counts = event_counts(table)
    jets = iter(feature_array(table) * [1e3, 1e3, 1, 1])
    for _, count in zip(numbers, counts, strict=True):
        fields = ["1", "process", "2.4e-05", "832841", "-1.2"]
        for m, pt, phi, eta in (next(jets) for _ in range(count)):
            fields.append(f"j,{np.hypot(m, pt * np.cosh(eta)):.9g},{pt:.9g},{eta:.9g},{phi:.9g}")
        lines.append(";".join(fields) + ";\n")
    path.write_text("".join(lines))


def _lists(table: pd.DataFrame) -> ak.Array:
    columns = {"pt": "pt", "eta": "eta", "phi": "phi", "mass": "m"}
    records = ak.zip({branch: table[name].to_numpy() for branch, name in columns.items()})
    return ak.unflatten(records, event_counts(table)[1])


FORMATS: dict[str, tuple[str, Callable[[Path, pd.DataFrame], None]]] = {
    "ROOT": (".root", _write_with_project),
    "Parquet": (".parquet", _write_with_project),
    "HDF5": (".h5", _write_with_project),
    "CSV": (".csv", _write_with_project),
    "foreign TTree": (".root", write_ttree),
    "foreign RNTuple": (".root", write_rntuple),
    "foreign Parquet": (".parquet", write_plain_parquet),
    "npz": (".npz", write_npz),
    "pickle": (".pkl", write_pickle),
    "event lines": (".csv", write_event_lines),
}


def damage(content: bytes, random: np.random.Generator) -> bytes:
    """The content cut short, or with one to three bytes changed."""
    if random.random() < 0.5:
        return content[: random.integers(0, len(content))]
    damaged = bytearray(content)
    for place in random.integers(0, len(content), size=random.integers(1, 4)):
        damaged[place] ^= int(random.integers(1, 256))
    return bytes(damaged)


def outcome_of(path: Path, expected: pd.DataFrame) -> Outcome:
    """What reading a damaged file comes to, and the message."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            table = read_jets(path)
        except JetError as error:
            return ("error" if path.name in str(error) else "exception"), str(error)
        except Exception as error:
            return "exception", repr(error)
    if table.equals(expected) and all(
        np.array_equal(found, wanted) for found, wanted in zip(event_counts(table), event_counts(expected), strict=True)
    ):
        return "same", ""
    said = [str(warning.message) for warning in caught if issubclass(warning.category, JetWarning)]
    return ("changed, said", said[0]) if said else ("changed, silent", f"{len(table)} jets")


def read_damaged(path: Path, expected: pd.DataFrame, content: bytes) -> Outcome:
    """`outcome_of` a file with this content."""
    path.write_bytes(content)
    return outcome_of(path, expected)


def fuzz(cases: int, seed: int, folder: Path) -> dict[str, Tally]:
    """Read so many damaged files of each format; what came of each."""
    return {name: _fuzz_format(name, cases, seed, folder) for name in FORMATS}


def _fuzz_format(name: str, cases: int, seed: int, folder: Path) -> Tally:
    suffix, write = FORMATS[name]
    path = folder / f"whole{suffix}"
    write(path, example_table())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", JetWarning)
        content, expected = path.read_bytes(), read_jets(path)
    random = np.random.default_rng(seed)
    allowed = FINE if write is _write_with_project else (*FINE, "changed, silent")
    tally = Tally()
    with Child(partial(read_damaged, folder / f"damaged{suffix}", expected)) as child:
        for number in range(cases):
            damaged = damage(content, random)
            kind = "cut" if len(damaged) < len(content) else "changed"
            where = f"{name} {number} ({kind} at {_first_difference(content, damaged)})"
            tally.add(where, child.run(damaged), allowed)
    return tally


def _first_difference(whole: bytes, damaged: bytes) -> int:
    return next((i for i, (a, b) in enumerate(zip(whole, damaged, strict=False)) if a != b), len(damaged))
