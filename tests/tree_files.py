"""Small ROOT files with trees of all kinds, for the tests of trees."""

from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import uproot

COUNTS = np.array([2, 0, 3, 1, 0, 4])
ENTRIES, OBJECTS = len(COUNTS), int(COUNTS.sum())


def jagged(values: np.ndarray) -> ak.Array:
    return ak.unflatten(values, COUNTS)


def nano_columns(seed: int = 0) -> dict[str, Any]:
    """Columns like those of NanoAOD: all widths, flags, fixed shapes, strings, NaN, infinities, sentinels."""
    rng = np.random.default_rng(seed)
    pt = rng.exponential(60, OBJECTS).astype(np.float32) + 20
    score = rng.uniform(0, 1, OBJECTS).astype(np.float32)
    score[:3] = [-1, -10, np.nan]
    odd = np.array([np.nan, np.inf, -np.inf, 0, -0.0, 3.4e38, 1e-44, -999, np.pi, 1e-30], np.float32)
    columns: dict[str, Any] = {
        "run": np.full(ENTRIES, 1, np.uint32),
        "event": np.arange(ENTRIES, dtype=np.uint64) + 2**63,
        "HLT_any": rng.uniform(size=ENTRIES) > 0.5,
        "weights": rng.normal(size=(ENTRIES, 3)),
        "matrix": rng.integers(0, 9, (ENTRIES, 2, 2)).astype(np.int16),
        "label": ak.Array(["a", "", "long " * 60, "b", "c", "d"]),
        "nJet": COUNTS.astype(np.int32),
        "Jet_pt": jagged(pt),
        "Jet_eta": jagged(rng.normal(0, 1.5, OBJECTS).astype(np.float32)),
        "Jet_phi": jagged(rng.uniform(-np.pi, np.pi, OBJECTS).astype(np.float32)),
        "Jet_mass": jagged(pt / 10),
        "Jet_btagDeepFlavB": jagged(score),
        "Jet_odd": jagged(odd),
        "Jet_wide": jagged(rng.normal(size=OBJECTS) * 1e200),
        "Jet_flag": jagged(rng.uniform(size=OBJECTS) > 0.5),
        "Jet_cov": jagged(rng.normal(size=(OBJECTS, 2)).astype(np.float32)),
    }
    for kind in ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"):
        columns[f"Jet_{kind}"] = jagged(rng.integers(0, 100, OBJECTS).astype(kind))
        columns[f"scalar_{kind}"] = np.arange(ENTRIES).astype(kind)
    return columns


def write_ntuple(path: Path, name: str, columns: dict[str, object], titles: dict[str, str] | None = None) -> None:
    """An RNTuple with titles of its fields, in two clusters."""
    arrays = {key: ak.Array(value) for key, value in columns.items()}
    for key, title in (titles or {}).items():
        arrays[key] = ak.with_parameter(arrays[key], "__doc__", title)
    layouts = [array.layout for array in arrays.values()]
    record = ak.Array(ak.contents.RecordArray(layouts, list(arrays)))
    with uproot.recreate(path) as file:
        writer = file.mkrntuple(name, record.layout.form)
        writer.extend(record[:2])
        writer.extend(record[2:])


def write_trees(path: Path) -> None:
    """`Events` with jets, `Runs` with a sum of weights, `extra/more` in a folder, an empty tree, and a histogram."""
    columns = nano_columns()
    del columns["Jet_cov"]  # of which uproot writes wrong offsets
    lists = {key: value for key, value in columns.items() if key.startswith("Jet_")}
    types = {key: _type(value) for key, value in columns.items() if key not in lists and key != "nJet"}
    counter = {"counter_name": lambda name: "nJet" if name == "Jet" else f"n{name}"}
    with uproot.recreate(path) as file:
        jets = ak.zip({key[4:]: value for key, value in lists.items()}, depth_limit=2)
        tree = file.mktree("Events", types | {"Jet": ak.type(jets).content}, title="all events", **counter)
        rest = {key: columns[key] for key in types}
        tree.extend({key: value[:4] for key, value in rest.items()} | {"Jet": jets[:4]})
        tree.extend({key: value[4:] for key, value in rest.items()} | {"Jet": jets[4:]})
        runs = file.mktree("Runs", {"run": np.uint32, "genEventSumw": np.float64})
        runs.extend({"run": np.array([1], np.uint32), "genEventSumw": np.array([1234.5678])})
        file.mktree("extra/more", {"x": np.float32}).extend({"x": np.linspace(0, 1, 50, dtype=np.float32)})
        file.mktree("empty", {"x": np.float32})
        file["histogram"] = np.histogram([1.0, 2.0])


def nested_columns() -> dict[str, object]:
    """Columns like those of PHYSLITE: names with dots, of which most share their counts; doubly jagged, records, text
    inside of lists, values that may be missing."""
    pt = ak.Array([[1.5, 2.5], [], [3.5], [1, 2], [], [9]])
    keys = ak.Array([[[1], []], [], [[2, 3]], [[]], [], [[4]]])
    return {
        "JetsAux.pt": ak.values_astype(pt, np.float32),
        "JetsAux.energy": ak.Array([[[1.0, 2.0], []], [], [[3.0]], [[4.0], [5.0, 6.0]], [], [[]]]),
        "JetsAux.link.key": ak.values_astype(pt, np.uint32),
        "Other.a": pt,
        "Other.b": ak.Array([[1]] * ENTRIES),
        "Info.run": np.arange(ENTRIES),
        "Info.names": ak.Array([["x", "yy"], [], [""], [], [], ["z"]]),
        "alone": ak.Array(["s"] * ENTRIES),
        "links": ak.Array([[{"key": 1, "index": 2}], [], [{"key": 3, "index": 4}], [], [], []]),
        "deep": ak.zip({"key": ak.values_astype(keys, np.uint32), "tag": ak.values_astype(keys, np.uint8)}),
        "maybe": ak.Array([1.5, None, 2.5, None, None, 1.0]),
    }


def write_nested(path: Path) -> None:
    """An RNTuple of `nested_columns`, whose fields are records where names have dots."""
    fields: dict[str, Any] = {}
    for name, value in nested_columns().items():
        *parents, own = name.split(".")
        place = fields
        for parent in parents:
            place = place.setdefault(parent, {})
        place[own] = ak.Array(value)

    def layout(part: Any) -> ak.contents.Content:
        if isinstance(part, ak.Array):
            return part.layout
        return ak.contents.RecordArray([layout(inner) for inner in part.values()], list(part))

    record = ak.Array(layout(fields))
    with uproot.recreate(path) as file:
        writer = file.mkrntuple("CollectionTree", record.layout.form)
        writer.extend(record[:3])
        writer.extend(record[3:])


def _type(value: Any) -> object:
    return ak.type(value).content if isinstance(value, ak.Array) else np.dtype((value.dtype, value.shape[1:]))


def same_bits(one: ak.Array, other: ak.Array) -> bool:
    """Whether two arrays hold the same, NaN, infinities and the sign of zero included."""
    both = [ak.to_packed(ak.without_parameters(array)) for array in (one, other)]
    if ak.type(both[0]) != ak.type(both[1]):
        return False
    (_, _, first), (_, _, second) = (ak.to_buffers(array) for array in both)
    return all(np.asarray(first[key]).tobytes() == np.asarray(second[key]).tobytes() for key in first)
