"""Reading a pandas pickle without running anything that it brings.

A pickle is a program: its calls may be to anything that can be imported. Here no call is made at all. The names that
a pickled table needs are each replaced by a stand-in that only records its arguments, any other name stops the
reading, and the recorded calls are then understood as what they are known to mean: arrays, column names and blocks of
columns. Tables pickled by pandas 1 to 3 and NumPy 1 and 2, protocols 2 to 5, are read alike.
"""

import io
import pickle
import re
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar, Self, TypeGuard

import numpy as np
import pandas as pd

from utils.files import describe_content
from utils.jets.formats.streams import FREE_BYTES, RATIO
from utils.jets.table import JetError

_MULTIARRAY = ("numpy.core.multiarray", "numpy._core.multiarray")

_NUMERIC = ("numpy.core.numeric", "numpy._core.numeric")

_BUILTINS = ("builtins", "__builtin__")

_INDEX_CLASSES = ("Index", "Int64Index", "UInt64Index", "Float64Index", "RangeIndex")

ALLOWED: dict[tuple[str, str], str] = {
    ("pandas", "DataFrame"): "frame",
    ("pandas.core.frame", "DataFrame"): "frame",
    ("pandas.core.internals.managers", "BlockManager"): "manager",
    ("pandas.core.internals", "BlockManager"): "manager",
    ("pandas._libs.internals", "_unpickle_block"): "block",
    ("pandas.core.internals.blocks", "new_block"): "block",
    ("pandas.core.indexes.base", "_new_Index"): "index",
    ("pandas.core.indexes.range", "RangeIndex"): "RangeIndex",
    **{(module, name): name for module in ("pandas", "pandas.core.indexes.base") for name in _INDEX_CLASSES},
    **{("pandas.core.indexes.numeric", name): name for name in _INDEX_CLASSES},
    ("pandas.arrays", "ArrowStringArray"): "strings",
    ("pandas.core.arrays.string_arrow", "ArrowStringArray"): "strings",
    ("pandas", "StringDtype"): "string dtype",
    ("pandas.core.arrays.string_", "StringDtype"): "string dtype",
    ("pyarrow.lib", "_restore_array"): "arrow array",
    ("pyarrow.lib", "type_for_alias"): "arrow type",
    ("pyarrow.lib", "py_buffer"): "bytes",
    ("_codecs", "encode"): "bytes",
    **{(module, name): "bytes" for module in _BUILTINS for name in ("bytes", "bytearray")},
    **{(module, "slice"): "slice" for module in _BUILTINS},
    ("numpy", "ndarray"): "ndarray",
    ("numpy", "dtype"): "dtype",
    **{(module, "_reconstruct"): "array" for module in _MULTIARRAY},
    **{(module, "_frombuffer"): "array from buffer" for module in _NUMERIC},
}
"""Every name that a pickled table may ask for, and what it is taken to mean."""


class _Call:
    """Records the call or object that a pickle asks for: its arguments, and the state set afterwards."""

    meaning: str
    args: tuple[Any, ...]
    state: Any

    def __new__(cls, *args: Any) -> Self:
        self = super().__new__(cls)
        self.args, self.state = args, None
        return self

    def __setstate__(self, state: Any) -> None:
        self.state = state


_STAND_INS = {path: type("_Call", (_Call,), {"meaning": meaning}) for path, meaning in ALLOWED.items()}


class _Refused(Exception):
    """The pickle asks for a name that no table needs."""


class _Recorder(pickle._Unpickler):
    """The unpickler in Python: the one in C fills all memory where a damaged pickle names a huge memo index."""

    dispatch: ClassVar[dict[int, Any]] = dict(pickle._Unpickler.dispatch)

    def load_bytearray(self: Any) -> None:
        """The bytes that there are; Python's own makes room for as many as the pickle promises."""
        self.append(bytearray(self.read(int.from_bytes(self.read(8), "little"))))

    dispatch[pickle.BYTEARRAY8[0]] = load_bytearray

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _STAND_INS:
            raise _Refused(f"{module}.{name}")
        return _STAND_INS[module, name]


def read_pickled_table(path: str | Path) -> pd.DataFrame:
    """Read the columns of a pickled pandas DataFrame; the row index is dropped, and of `attrs` the numbers of events
    without jets are kept.

    Nothing that the file brings is ever run. Raises JetError where the pickle asks for a name that a table of numbers
    does not need (the message gives the name), claims to hold more than `RATIO` times its size, is cut short or
    damaged, or is another kind of file.
    """
    path = Path(path)
    if path.exists() and not path.is_file():
        raise JetError(f"{path}: a folder, a pipe or a device; expected a pandas pickle")
    other_kind = describe_content(path)
    if other_kind is not None:
        raise JetError(f"{path}: expected a pandas pickle, found {other_kind}")
    try:
        content = path.read_bytes()  # so that nothing reads more than there is
        recorded = _Recorder(io.BytesIO(content), encoding="latin1").load()
    except _Refused as refused:
        raise JetError(
            f"{path}: refused, and nothing in it was run: the pickle asks for {refused}, which a table of jets does "
            "not need. If the file is yours, write the table as Parquet instead"
        ) from None
    except EOFError as error:
        raise JetError(f"{path}: the pickle ends early, after {len(content)} bytes; it was cut short") from error
    except Exception as error:  # a damaged pickle fails in any way: as text, index, memory, type ...
        early = " ends early; it was cut short" if "truncated" in str(error) else " is damaged, or no pickle at all"
        raise JetError(f"{path}: the pickle{early} ({type(error).__name__}: {error})") from error
    try:
        return _table(recorded, FREE_BYTES + RATIO * len(content))
    except JetError as error:
        raise JetError(f"{path}: {error}") from error
    except Exception as error:
        raise JetError(
            f"{path}: a pickle, but not of a table that can be understood ({type(error).__name__}: {error})"
        ) from error


def read_plain_pickle(content: bytes) -> Any:
    """The lists, dicts, numbers and text of a pickle; ValueError for any other. Nothing that it brings is run."""
    try:
        return _Recorder(io.BytesIO(content), encoding="latin1").load()
    except Exception as error:
        raise ValueError(f"no plain pickle ({error})") from error


def _is(value: Any, meaning: str) -> TypeGuard[_Call]:
    return isinstance(value, _Call) and value.meaning == meaning


def _table(frame: Any, allowed: int) -> pd.DataFrame:
    """The table that was recorded, of so many bytes at most."""
    if not _is(frame, "frame") or not isinstance(frame.state, dict):
        raise JetError(f"expected a pickled pandas DataFrame, found {_describe(frame)}")
    manager = frame.state.get("_mgr", frame.state.get("_data"))
    if not _is(manager, "manager"):
        raise JetError(f"expected the blocks of a DataFrame, found {_describe(manager)}")
    if manager.args:
        blocks, axes = manager.args[:2]
        parts = [block.args[:2] for block in blocks]
    else:  # written by pandas before 1.3
        content = manager.state[3]["0.14.1"]
        axes = content["axes"]
        parts = [(block["values"], block["mgr_locs"]) for block in content["blocks"]]
    names = _labels(axes[0], allowed)
    columns: dict[str, np.ndarray] = {}
    for values, placement in parts:
        rows = np.atleast_2d(_values(values))
        allowed -= rows.nbytes
        if allowed < 0:
            raise JetError(f"its columns are more than {RATIO} times as large as the file")
        for row, place in zip(rows, _places(placement, len(names)), strict=True):
            columns[names[place]] = row
    if len(columns) != len(names):
        raise JetError(f"columns {names}: some are doubled or without values")
    table = pd.DataFrame({name: columns[name] for name in names})
    empty = (frame.state.get("attrs") or {}).get("empty_events", [])
    if not isinstance(empty, list) or not all(isinstance(number, int) for number in empty):
        raise JetError("attrs of the table hold events without jets that are no list of whole numbers")
    table.attrs = {"empty_events": empty} if empty else {}
    return table


def _values(value: Any) -> np.ndarray:
    """An array of numbers or objects, or text, as recorded."""
    if _is(value, "array"):
        _, shape, dtype, fortran, data = value.state[:5]
        return _array(data, _dtype(dtype), shape, "F" if fortran else "C")
    if _is(value, "array from buffer"):
        data, dtype, shape, order = value.args
        return _array(data, _dtype(dtype), shape, order)
    if _is(value, "strings"):
        state = value.state[0] if isinstance(value.state, tuple) else value.state
        return np.array(_strings(state["_pa_array"] if "_pa_array" in state else state["_data"]), dtype=object)
    raise JetError(f"expected an array of numbers, found {_describe(value)}")


def _array(data: Any, dtype: np.dtype, shape: tuple[int, ...], order: Any) -> np.ndarray:
    if dtype.hasobject:  # a list of objects, of which only text and numbers are of use
        if not isinstance(data, list) or not all(isinstance(item, str | int | float | None) for item in data):
            raise JetError(f"expected a list of text or numbers, found {_describe(data)}")
        flat = np.empty(len(data), dtype=object)
        flat[:] = data
    else:
        flat = np.frombuffer(_bytes(data), dtype=dtype).astype(dtype.newbyteorder("="))
    return flat.reshape(shape, order=order)


def _dtype(value: Any) -> np.dtype:
    """The recorded dtype, of booleans, integers, floats or objects: its size and byte order, never its flags."""
    code = value.args[0] if _is(value, "dtype") and value.args else None
    if not isinstance(code, str) or not re.fullmatch(r"b1|[iu][1248]|f[248]|O8|O", code):
        raise JetError(f"a column of dtype {code!r}; expected numbers")
    order = value.state[1] if value.state is not None else "="
    return np.dtype(code if order not in ("<", ">") or code.startswith("O") else order + code)


def _bytes(value: Any) -> bytes:
    if _is(value, "bytes"):
        return _bytes(value.args[0]) if value.args else b""
    if isinstance(value, str):  # bytes of a pickle of protocol 2
        return value.encode("latin1")
    if isinstance(value, bytes | bytearray):
        return bytes(value)
    raise JetError(f"expected bytes, found {_describe(value)}")


def _labels(index: Any, allowed: int) -> list[str]:
    """Column names, as text, which so many bytes may hold."""
    if _is(index, "index"):
        kind, content = index.args[:2]
        if _is_class(kind, "RangeIndex"):
            numbers = range(content["start"], content["stop"], content["step"])
            if len(numbers[:allowed]) * 64 > allowed:
                raise JetError(f"columns from {numbers.start} to {numbers.stop} are more than the file has room for")
            return [str(i) for i in numbers]
        return [str(label) for label in _values(content["data"])]
    raise JetError(f"expected column names, found {_describe(index)}")


def _is_class(value: Any, meaning: str) -> bool:
    return isinstance(value, type) and getattr(value, "meaning", None) == meaning


def _places(placement: Any, columns: int) -> list[int]:
    if _is(placement, "slice"):
        return list(range(columns))[slice(*placement.args)]
    return [int(place) for place in _values(placement)]


def _strings(array: Any) -> list[str]:
    """Text of a pickled Arrow string array (chunked arrays are one chunk a recorded array)."""
    kind, length, _, offset, (_, offsets, characters), *_ = array.args[0]
    width = {"large_string": np.int64, "string": np.int32}[kind.args[0]]
    bounds = np.frombuffer(_bytes(offsets), dtype=width)[offset : offset + length + 1]
    text = _bytes(characters)
    if np.any(np.diff(bounds) < 0):
        raise JetError("text whose pieces overlap")
    return [text[start:stop].decode("utf-8") for start, stop in pairwise(bounds)]


def _describe(value: Any) -> str:
    if isinstance(value, _Call):
        return f"a pickled {value.meaning}"
    return f"a {type(value).__name__}"
