"""Damage files of jets at random and see what reading them comes to: `python -m tests.fuzz_inputs [--count 1000]`.

Half of the files are cut short, in the other half one to three bytes are changed. Each is read in a process of its own
that may crash or hang without harm. The outcomes: a clear error; the same table; other jets, announced by a warning;
other jets in silence; and, never to happen, another exception, a crash, or a hang.
"""

import argparse
import multiprocessing
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pandas as pd
import uproot

from utils.jets import JetError, JetWarning, event_counts, feature_array, make_table, read_jets, write_jets

TIMEOUT = 60
OUTCOMES = ("error", "same", "changed, said", "changed, silent", "exception", "crash", "hang")


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


def outcome_of(path: Path, expected: pd.DataFrame) -> tuple[str, str]:
    """What reading a damaged file comes to, one of `OUTCOMES`, and the message."""
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


def _serve(connection: Connection, path: Path, expected: pd.DataFrame) -> None:
    while True:
        content = connection.recv()
        if content is None:
            return
        path.write_bytes(content)
        connection.send(outcome_of(path, expected))


class Reader:
    """A process that reads damaged files and is replaced when it crashes or hangs."""

    def __init__(self, path: Path, expected: pd.DataFrame) -> None:
        self.path, self.expected = path, expected
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("forkserver")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, self.path, self.expected), daemon=True)
        self.process.start()
        theirs.close()

    def read(self, content: bytes) -> tuple[str, str]:
        try:
            self.connection.send(content)
            if self.connection.poll(TIMEOUT):
                return self.connection.recv()
            result = "hang", f"longer than {TIMEOUT} s"
        except (EOFError, OSError):
            self.process.join()
            result = "crash", f"exit code {self.process.exitcode}"
        self.process.kill()
        self.process.join()
        self._start()
        return result

    def close(self) -> None:
        self.connection.send(None)
        self.process.join()


def fuzz(
    name: str, folder: Path, count: int, jets: int, seed: int, keep: Path | None = None
) -> tuple[Counter[str], list[str]]:
    """Read `count` damaged files of `jets` jets in a format; the outcomes, and the messages of the bad ones."""
    suffix, write = FORMATS[name]
    path = folder / f"whole{suffix}"
    write(path, example_table(jets))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", JetWarning)
        content, expected = path.read_bytes(), read_jets(path)
    random = np.random.default_rng(seed)
    outcomes: Counter[str] = Counter()
    bad = []
    reader = Reader(folder / f"damaged{suffix}", expected)
    for number in range(count):
        damaged = damage(content, random)
        outcome, message = reader.read(damaged)
        outcomes[outcome] += 1
        if outcome not in ("error", "same"):
            kind = "cut" if len(damaged) < len(content) else "changed"
            bad.append(f"{name} {number} ({kind} at {_first_difference(content, damaged)}): {outcome}: {message}")
            if keep is not None:
                (keep / f"{name.replace(' ', '_')}-{number}{suffix}").write_bytes(damaged)
    reader.close()
    return outcomes, bad


def _first_difference(whole: bytes, damaged: bytes) -> int:
    return next((i for i, (a, b) in enumerate(zip(whole, damaged, strict=False)) if a != b), len(damaged))


def main() -> int:
    """Fuzz the formats, print a table of outcomes; 1 where a reader crashed, hung or raised anything but a JetError."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000, help="damaged files per format (default: %(default)s)")
    parser.add_argument("--jets", type=int, default=300, help="jets in a file (default: %(default)s)")
    parser.add_argument("--formats", nargs="+", default=list(FORMATS), choices=list(FORMATS), metavar="FORMAT")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="folder for the files that were not an error or the same")
    options = parser.parse_args()
    if options.keep is not None:
        options.keep.mkdir(parents=True, exist_ok=True)
    rows = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in options.formats:
            outcomes, bad = fuzz(name, Path(folder), options.count, options.jets, options.seed, options.keep)
            rows[name] = [outcomes[outcome] for outcome in OUTCOMES]
            print(*bad, sep="\n", file=sys.stderr)
    table = pd.DataFrame.from_dict(rows, orient="index", columns=list(OUTCOMES))
    print(table.to_string())
    return int(table[["exception", "crash", "hang"]].to_numpy().any())


if __name__ == "__main__":
    sys.exit(main())
