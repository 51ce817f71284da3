"""Fuzz for minutes to hours and count what comes of it: `python -m tests.fuzz [NAME ...] [--cases N] [--seed S]`."""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd

from tests.fuzz import containers, inputs, signals, trees, weights
from tests.fuzz.child import OUTCOMES

FUZZERS = {"inputs": inputs, "containers": containers, "trees": trees, "weights": weights, "signals": signals}
"""Modules with `CASES`, how many there are by default, and `fuzz(cases, seed, folder)`, a Tally for each kind."""


def main() -> int:
    """Run fuzzers, print a table of their outcomes; 1 where there was one that must not be."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[[], *FUZZERS], metavar="NAME", help=", ".join(FUZZERS))
    parser.add_argument("--cases", type=int, help="cases of each kind (default: each fuzzer's own)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rows, bad = {}, 0
    for name in options.names or FUZZERS:
        start = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            tallies = FUZZERS[name].fuzz(options.cases or FUZZERS[name].CASES, options.seed, Path(folder))
        for kind, tally in tallies.items():
            rows[name, kind] = tally.counts
            bad += len(tally.bad)
            print(*tally.bad, sep="\n", end="\n" if tally.bad else "", file=sys.stderr)
        print(f"{name}: {time.perf_counter() - start:.0f} s", file=sys.stderr)
    words = [*OUTCOMES, *sorted({word for counts in rows.values() for word in counts} - set(OUTCOMES))]
    table = pd.DataFrame.from_dict(rows, orient="index").reindex(columns=words).fillna(0).astype(int)
    print(table.to_string(), f"\n{int(table.to_numpy().sum())} cases, {bad} of them as they must not be")
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
