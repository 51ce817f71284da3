"""What networks inside a file cost: whole files of few and of many jets, by the codec without and with networks."""

import time
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from utils import codec
from utils.files import Json
from utils.study.collections import choose_policy, tree_file

COLUMN_FILES = ("plain", "neural")


def compare_codecs(sizes: Sequence[int], folder: Path) -> pd.DataFrame:
    """Files of the first jets of the sample with columns, within the bounds of its policy, by both codecs of trees.

    A row for each size: `jets`, `plain` and `neural` (bytes of the file), `ratio`, `coded` (columns coded by networks),
    `network_bytes` (of `neural`), `fit_seconds` (CPU time of writing, beyond that of plain), `plain_mb_per_s` and
    `neural_mb_per_s`: megabytes of float32 and integer columns that reading gives back a second of CPU time.
    """
    rows = []
    for size in sizes:
        part = folder / str(size)
        part.mkdir()
        path, _ = tree_file("embedded", part, size)
        policy = choose_policy(path, columns=True)
        found: Json = {}
        for name in COLUMN_FILES:
            start = time.process_time()
            report = codec.slim(path, part / f"{name}{codec.SUFFIX}", policy, codec=name, workers=1)
            found |= {name: report["output_bytes"], f"{name}_seconds": time.process_time() - start}
            found |= {f"{name}_mb_per_s": _reading_rate(part / f"{name}{codec.SUFFIX}")}
        (networks,) = report["networks"]["Events"]
        rows.append(
            {"jets": networks["values"]}
            | {key: found[key] for key in (*COLUMN_FILES, "plain_mb_per_s", "neural_mb_per_s")}
            | {"ratio": found["neural"] / found["plain"], "coded": networks["coded"]}
            | {"network_bytes": networks.get("network_bytes", 0) if networks["coded"] else 0}
            | {"fit_seconds": found["neural_seconds"] - found["plain_seconds"]}
        )
    return pd.DataFrame(rows)


def _reading_rate(path: Path) -> float:
    """Megabytes of columns a second."""
    start, size = time.process_time(), 0
    with codec.open(path) as file:
        for name in file:
            size += file[name].nbytes
    return size / max(time.process_time() - start, 1e-6) / 1e6
