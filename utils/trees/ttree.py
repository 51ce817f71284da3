"""Writing a TTree with uproot as the source had it: titles, types of counters, counters shared; metadata written once.

uproot 5.7 has no argument for the title of a branch or the type of a counter, writes a counter for each jagged branch
or else zips a collection, and keeps the metadata of a tree uncompressed in front of its baskets, where `extend` changes
them in place: 1.4 MB for the 2,656 branches of a NanoAOD file. Its own writer, `uproot.writing._cascadetree.Tree`,
holds all of it in `_branch_data` until it serializes it. So it is set there, and serialized once, compressed, behind
the baskets.

A basket of lists ends in a table of where each list begins, which tells what the counter says as well. ROOT knows
baskets without one (kGenerateOffsetMap), which are smaller. But ROOT 6.40 counts from the entry that it reads first,
and where that is not the first of its basket, as in an RDataFrame that skips empty lists, it gives the values of other
events without a word. So the tables stay.
"""

import math
import struct
from collections.abc import Sequence
from typing import Any

import awkward as ak
import uproot
from uproot.const import kByteCountMask
from uproot.models import TBranch, TLeaf, TObjArray, TTree
from uproot.serialization import numbytes_version
from uproot.writing import _cascadetree
from uproot.writing._cascade import RawStreamerInfo

from utils.trees.arrays import flat_type, is_text
from utils.trees.read import Chunk
from utils.trees.schema import Column

_MODELS = (
    TLeaf.Model_TLeafB_v1,
    TLeaf.Model_TLeafS_v1,
    TLeaf.Model_TLeafI_v1,
    TLeaf.Model_TLeafL_v1,
    TLeaf.Model_TLeafF_v1,
    TLeaf.Model_TLeafD_v1,
    TLeaf.Model_TLeafC_v1,
    TLeaf.Model_TLeafO_v1,
    TBranch.Model_TBranch_v13,
    TTree.Model_TTree_v20,
)
"""The classes whose layout ROOT looks up in a file with a TTree."""


_TOGETHER = 64
"""Branches that are serialized at a time."""

_BEFORE = b"\x00\x00@\x00\x00\x07\x00\x00\x1a\xa1/\x10\x00"
"""What stands in a TTree, version 20, between its numbers and its branches: no cluster ranges, no I/O features."""

_ARRAY_BYTES, _NO_BASKETS_BYTES, _AFTER_BYTES = 25, 25, 28
"""Bytes of the head of an array of objects; of one without any; of the null pointers at the end of a TTree."""


def _leaf_array(references: Sequence[int]) -> bytes:
    """The array of the leaves of a tree, by the places where they were serialized."""
    head = struct.pack(">I", (21 + 4 * len(references)) | int(kByteCountMask))
    return b"".join(
        [
            head + b"\x00\x03\x00\x01\x00\x00\x00\x00\x03\x00\x00\x00\x00",
            struct.pack(">II", len(references), 0),
            struct.pack(f">{len(references)}I", *references),
        ]
    )


class TTreeWriter:
    """A TTree of these columns in an open file, filled chunk by chunk and complete after `close`."""

    def __init__(
        self, file: uproot.WritableDirectory, name: str, title: str, columns: Sequence[Column], chunks: int
    ) -> None:
        folder, _, own = name.rpartition("/")
        self.file = file.file
        self.columns = counters_first(columns)
        directory = (file.mkdir(folder) if folder else file)._cascading
        self.tree = _Tree(directory, own, title, self.columns, chunks)

    def extend(self, chunk: Chunk) -> None:
        """Write one basket of each branch; ValueError where lists disagree with their counter."""
        self.tree.extend(self.file, self.file.sink, {column.name: _basket(chunk, column) for column in self.columns})

    def close(self) -> None:
        """Write the metadata of the tree, and the layout of its classes."""
        self.tree.write_metadata(self.file.sink)
        layouts = {streamer[-2:]: streamer for model in _MODELS for streamer in model.class_rawstreamers}
        streamers = [RawStreamerInfo(*streamer) for streamer in layouts.values()]
        self.file._cascading.streamers.update_streamers(self.file.sink, streamers)


def counters_first(columns: Sequence[Column]) -> list[Column]:
    """The columns in their order, but each counter before those that it counts."""
    by_name = {column.name: column for column in columns}
    ordered: dict[str, Column] = {}
    for column in columns:
        if column.counter is not None:
            ordered.setdefault(column.counter, by_name[column.counter])
        ordered.setdefault(column.name, column)
    return list(ordered.values())


def _basket(chunk: Chunk, column: Column) -> Any:
    layout = chunk[column.name]
    return ak.to_numpy(layout) if flat_type(column.form) is not None else ak.Array(layout)


class _Tree(_cascadetree.Tree):
    """uproot's writer of a TTree, told of titles and counters, its metadata in memory until all baskets are there."""

    _branch_data: list[Any]
    _directory: Any

    def __init__(self, directory: Any, name: str, title: str, columns: Sequence[Column], chunks: int) -> None:
        counters = {column.name: column.counter for column in columns}
        types = {column.name: _branch_type(column) for column in columns}
        super().__init__(
            directory,
            name,
            title,
            types,
            directory.freesegments,
            counter_name=lambda branch: counters.get(branch) or f"n{branch}",
            field_name=lambda outer, inner: f"{outer}_{inner}",
            initial_basket_capacity=chunks + 2,
            resize_factor=2,
        )
        data = {datum["fName"]: datum for datum in self._branch_data}
        for column in columns:
            if column.title:
                data[column.name]["fTitle"] = column.title
            if column.counter is not None:
                counter = data[column.counter]
                counter["kind"] = "counter"
                data[column.name] |= {"counter": counter, "fEntryOffsetLen": 1000}

    def write_jagged_basket(self, sink: Any, branch_name: str, compression: Any, array: Any, offsets: Any) -> Any:
        """A basket of lists; uproot 5.7 leaves out how many numbers one of their values has, where it is an array."""
        offsets *= math.prod(self._branch_data[self._branch_lookup[branch_name]]["shape"])
        return super().write_jagged_basket(sink, branch_name, compression, array, offsets)

    def _build_out(self) -> list[bytes]:
        """The serialized tree. uproot looks over all that it has so far for each branch, 20 s for 2,656 of them; so it
        serializes some at a time here, and they are put together: what is said of places is moved along."""
        every, bodies, moved = self._branch_data, [], 0
        for first in range(0, len(every), _TOGETHER):
            self._branch_data = every[first : first + _TOGETHER]
            blob = bytearray(b"".join(super()._build_out()))
            start = self._metadata_start + TTree._ttree20_format1.size + len(_BEFORE) + _ARRAY_BYTES
            body = blob[start : len(blob) - len(_leaf_array([0] * len(self._branch_data))) - _AFTER_BYTES]
            for datum in self._branch_data:
                for place in ("metadata_start", "basket_metadata_start", "tleaf_reference_number"):
                    datum[place] += moved
            for datum in self._branch_data:
                if datum["counter"] is not None:
                    leaf_end = datum["basket_metadata_start"] - moved - start - _NO_BASKETS_BYTES
                    place = leaf_end - datum["tleaf_special_struct"].size - 4
                    body[place : place + 4] = struct.pack(">I", datum["counter"]["tleaf_reference_number"])
            bodies.append(bytes(body))
            moved += len(body)
        self._branch_data = every
        head = bytes(blob[6 : start - _ARRAY_BYTES])
        array = b"\x00\x01\x00\x00\x00\x00\x03\x00@\x00\x00" + TObjArray._tobjarray_format1.pack(len(every), 0)
        rest = b"".join([numbytes_version(len(array) + moved, 3), array, *bodies])
        rest = head + rest + _leaf_array([datum["tleaf_reference_number"] for datum in every]) + bytes(_AFTER_BYTES)
        return [numbytes_version(len(rest), 20), rest]

    def write_updates(self, sink: Any) -> None:
        """Nothing: the metadata are not in the file yet."""

    def write_metadata(self, sink: Any) -> None:
        """Serialize the tree into memory, with what changed as baskets came; from there, compressed, to the file."""
        memory, directory = _Memory(), self.directory
        self._directory = memory  # where uproot puts the serialized tree, of which it then changes parts
        super().write_anew(sink)
        super().write_updates(memory)
        raw = bytes(memory.raw)
        packed = uproot.compression.compress(raw, directory.freesegments.fileheader.compression)
        directory.add_object(sink, "TTree", self._name, self._title, packed, len(raw), big=True)


class _Memory:
    """Stands for the directory that takes an object, and for the file in which parts of it are then changed."""

    seek_location = num_bytes = 0

    def add_object(self, sink: Any, classname: str, name: str, title: str, raw: bytes, *more: Any, **named: Any) -> Any:
        self.raw = bytearray(raw)
        return self

    def write(self, position: int, data: bytes) -> None:
        self.raw[position : position + len(data)] = data

    def flush(self) -> None:
        pass


def _branch_type(column: Column) -> Any:
    """What uproot calls the type of a branch; of a jagged one, that of the values in its lists."""
    if is_text(column.form):
        return ak.types.from_datashape("string", highlevel=False)
    flat = flat_type(column.form)
    return flat if flat is not None else flat_type(column.form.content)
