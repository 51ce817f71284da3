"""Writing an RNTuple with uproot: records for names with dots, and collections whose columns share their counts.

ROOT takes no dot in the name of a field, and both ROOT and uproot read it as a way into a record. So the columns
`AnalysisJetsAuxDyn.pt`, `AnalysisJetsAuxDyn.eta`, ... become the fields of a collection `AnalysisJetsAuxDyn` where they
all have as many values in each entry, and of a record where not; their names stay what they were.
"""

import contextlib
from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import awkward as ak
import numpy as np
import uproot
from awkward.contents import Content, ListOffsetArray, RecordArray
from uproot.const import rntuple_col_type_to_num_dict
from uproot.writing import _cascadentuple

from utils.trees.arrays import is_text
from utils.trees.read import Chunk
from utils.trees.schema import Column

Names = dict[str, "Names | str"]
"""A record: the name of each field, and the record or the column that it is."""

_FORBIDDEN = str.maketrans(dict.fromkeys("/\\ ", "_") | {".": ":"})


class UnsharedError(ValueError):
    """Columns that were taken for a collection have other counts than each other."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the columns of {name} have different counts")
        self.name = name


def field_names(columns: Sequence[Column]) -> dict[str, str]:
    """The name of each column in an RNTuple: its own, unless ROOT takes no such name of a field.

    Blanks and slashes become "_"; a dot that stands for no record (beside a column of the bare name, or at an end)
    becomes ":", as in ATLAS.
    """
    wanted = {column.name: column.name.translate(_FORBIDDEN | {ord("."): "."}) for column in columns}
    taken = set(wanted.values())
    for name, field in wanted.items():
        parts = field.split(".")
        parents = {".".join(parts[:i]) for i in range(1, len(parts))}
        if not all(parts) or parents & taken:
            wanted[name] = field.translate(_FORBIDDEN)
    return wanted


def candidates(columns: Sequence[Column]) -> set[str]:
    """The records whose columns may turn out to share their counts: all of them are lists."""
    by_record: dict[str, list[Column]] = {}
    names = field_names(columns)
    for column in columns:
        record, dot, _ = names[column.name].partition(".")
        if dot:
            by_record.setdefault(record, []).append(column)
    return {
        record
        for record, members in by_record.items()
        if len(members) > 1
        and all(type(column.form).__name__ == "ListOffsetForm" and not is_text(column.form) for column in members)
    }


class NTupleWriter:
    """An RNTuple of these columns in an open file, filled chunk by chunk; `shared` names the collections."""

    def __init__(
        self, file: uproot.WritableDirectory, name: str, title: str, columns: Sequence[Column], shared: set[str]
    ) -> None:
        self.columns, self.shared = columns, shared
        self.tree: Names = {}
        for column, field in field_names(columns).items():
            *parents, own = field.split(".")
            record = self.tree
            for parent in parents:
                inner = record.setdefault(parent, {})
                assert isinstance(inner, dict)
                record = inner
            record[own] = column
        empty = {column.name: column.form.length_zero_array(highlevel=False) for column in columns}
        with _split_offsets():
            self.writer = file.mkrntuple(name, self._record(empty).form, title)

    def extend(self, chunk: Chunk) -> None:
        """Write one cluster; UnsharedError where the columns of a collection have different counts."""
        with _split_offsets():
            self.writer.extend(ak.Array(self._record(chunk)))

    def close(self) -> None:
        """Nothing is left to write."""

    def _record(self, chunk: Chunk) -> RecordArray:
        described = {column.name: _described(chunk[column.name], column.title) for column in self.columns}
        contents = [
            _collection(name, inner, described)
            if name in self.shared and isinstance(inner, dict)
            else _nested(inner, described)
            for name, inner in self.tree.items()
        ]
        return RecordArray(contents, list(self.tree))


@contextlib.contextmanager
def _split_offsets() -> Iterator[None]:
    """Have uproot write the ends of lists as ROOT does: each less the one before, byte by byte (SplitIndex64).

    uproot 5.7 reads this, and writes them as they are, which takes more bytes after LZMA.
    """
    types, awkward = _cascadentuple._ak_primitive_to_num_dict, _cascadentuple.awkward
    plain = types["i64"]
    types["i64"] = rntuple_col_type_to_num_dict["splitindex64"]
    _cascadentuple.awkward = SimpleNamespace(**vars(awkward) | {"to_buffers": _to_buffers})
    try:
        yield
    finally:
        types["i64"], _cascadentuple.awkward = plain, awkward


def _to_buffers(values: Content) -> tuple[Any, int, "_Buffers"]:
    form, length, buffers = ak.to_buffers(values)
    return form, length, _Buffers(buffers)


class _Buffers(dict[str, np.ndarray]):
    """The buffers of an array; uproot sets the ends of lists anew before it writes them, and they are split then."""

    def __setitem__(self, key: str, values: np.ndarray) -> None:
        if key.endswith(("-offsets", "-index")) and values.dtype == np.int64:
            steps = np.diff(values, prepend=0)
            values = np.ascontiguousarray(steps.view(np.uint8).reshape(-1, 8).T).reshape(-1).view(np.int64)
        super().__setitem__(key, values)


def _described(layout: Content, title: str) -> Content:
    return layout.copy(parameters=layout.parameters | {"__doc__": title}) if title else layout


def _nested(names: "Names | str", values: Chunk) -> Content:
    if isinstance(names, str):
        return values[names]
    return RecordArray([_nested(inner, values) for inner in names.values()], list(names))


def _collection(name: str, names: Names, values: Chunk) -> Content:
    members = list(_columns(names))
    offsets = values[members[0]].offsets
    if any(not np.array_equal(values[member].offsets, offsets) for member in members):
        raise UnsharedError(name)
    inner = {
        member: _described(values[member].content, values[member].parameters.get("__doc__", "")) for member in members
    }
    return ListOffsetArray(offsets, _nested(names, inner))


def _columns(names: Names) -> list[str]:
    return [leaf for inner in names.values() for leaf in ([inner] if isinstance(inner, str) else _columns(inner))]
