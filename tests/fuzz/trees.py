"""Containers of whole trees: damaged, cut and spliced, or written by someone hostile whose checksums all fit."""

import json
from functools import lru_cache, partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import awkward as ak
import numpy as np

from tests.fuzz.child import FINE, Child, Outcome, Tally
from tests.fuzz.containers import damaged, hostile, parts_of, unchecked
from tests.tree_files import write_nested, write_trees
from utils import codec, trees
from utils.codec import ContainerError
from utils.codec.opening import write_root

CASES = 500
"""Of each kind in `make fuzz`."""

SECONDS = 300

MEGABYTES = 1200
"""What reading a container of some kB may take: a chunk's 256 MB of values, and as much again and again while they are
made."""

RULES = {
    "trees": ("Jet_pt=1%", "Jet_btag*=0.001", "Jet_odd=1%,0.01", "weights=bits=6", "Jet_eta=0.005"),
    "nested": ("JetsAux.pt=1%", "JetsAux.energy=0.01"),
}

Rows = dict[str, list[str]]
"""Of each tree, its entries as text."""


def whole_files(folder: Path) -> dict[str, bytes]:
    """Containers of several trees of small chunks, and of nested columns of all kinds."""
    files = {}
    for name, write in {"trees": write_trees, "nested": write_nested}.items():
        write(folder / f"{name}.root")
        policy = trees.load_policy(bounds=RULES[name])
        with patch("utils.trees.read.CHUNK_BYTES", 700):
            codec.slim(folder / f"{name}.root", folder / f"{name}.zarr.zip", policy, workers=1)
        files[name] = (folder / f"{name}.zarr.zip").read_bytes()
    return files


def rows_of(path: Path, recover: bool = False) -> tuple[Rows, list[str]]:
    """The entries of all trees of a container, and what was lost."""
    with codec.Trees(path, recover) as container:
        return {name: _rows(columns) for name, columns in container.trees.items()}, container.lost


def _rows(columns: codec.Columns) -> list[str]:
    values = [ak.to_list(columns[name]) for name in columns]
    return [repr(row) for row in zip(*values, strict=True)]


def read_damaged(path: Path, expected: Rows, content: bytes) -> Outcome:
    """What a damaged container comes to: an error or the same entries, and with `recover` no others."""
    path.write_bytes(content)
    try:
        outcome = ("same", "") if rows_of(path)[0] == expected else ("changed, silent", "other entries")
    except ContainerError as error:
        outcome = ("error" if path.name in str(error) else "exception"), str(error)
    try:
        found, lost = rows_of(path, recover=True)
    except ContainerError:
        return outcome
    if any(set(rows) - set(expected.get(name, [])) for name, rows in found.items()):
        return "changed, silent", "recovered entries that were never written"
    if not lost and found != expected:
        return "changed, silent", "recovered fewer entries, and said nothing"
    return outcome


def read_hostile(path: Path, content: bytes) -> Outcome:
    """What a hostile container comes to: an error, or entries, which may be any; and a ROOT file of them, or none."""
    path.write_bytes(content)
    word, output = "entries", path.with_suffix(".root")
    for read in (_inspect, rows_of, partial(rows_of, recover=True), partial(write_root, output=output)):
        try:
            read(path)
        except ValueError as error:
            word = "error"
            if path.name not in str(error) or "\n" in str(error) or len(str(error)) > 3000:
                return "exception", repr(error)
        finally:
            output.unlink(missing_ok=True)
    return word, ""


def _inspect(path: Path) -> str:
    return json.dumps(codec.shortened(codec.inspect(path)), allow_nan=False)


def read(folder: Path, case: tuple[str, Any]) -> Outcome:
    """What a case of a kind comes to, in a folder that holds the whole files."""
    kind, content = case
    if kind == "hostile":
        with unchecked():
            return read_hostile(folder / "x.zarr.zip", content)
    return read_damaged(folder / "x.zarr.zip", _expected(folder / f"{kind}.zarr.zip"), content)


def fuzz(cases: int, seed: int, folder: Path) -> dict[str, Tally]:
    """So many cases of each kind; what came of each."""
    random = np.random.default_rng(seed)
    files = list(whole_files(folder).items())
    tallies = {name: Tally() for name in ("trees damaged", "trees hostile")}
    with Child(partial(read, folder), SECONDS, MEGABYTES) as child:
        for case in range(cases):
            name, content = files[case % len(files)]
            tallies["trees damaged"].add(f"{name} {case}", child.run((name, damaged(content, random))))
            outcome = child.run(("hostile", hostile(parts_of(content), random)))
            tallies["trees hostile"].add(f"{name} {case}", outcome, (*FINE, "entries"))
    return tallies


@lru_cache
def _expected(path: Path) -> Rows:
    return rows_of(path)[0]
