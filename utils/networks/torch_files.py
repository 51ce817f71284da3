"""What `torch.save` wrote, looked over before torch reads it: what its pickles ask for, and what they may cost."""

import pickletools
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch

from utils.files import describe_content
from utils.networks.checkpoint import CheckpointError


class _ListOfFastai:
    """Stands in for fastcore's list class, in which fastai 2 keeps the settings of its optimizer."""

    def __setstate__(self, state: Any) -> None:
        self.state = state


_NUMPY_SCALAR = np.float64(0).__reduce__()[0]
"""What NumPy unpickles its numbers with."""

_SAFE_GLOBALS: list[Any] = [
    (_NUMPY_SCALAR, "numpy.core.multiarray.scalar"),
    (_NUMPY_SCALAR, "numpy._core.multiarray.scalar"),
    np.dtype,
    np.dtypes.Float32DType,
    np.dtypes.Float64DType,
    (_ListOfFastai, "fastcore.foundation.L"),
]
"""What fastai's optimizer states hold beyond tensors."""

_ASKED_FOR = {
    "_codecs.encode",
    "collections.OrderedDict",
    "fastcore.foundation.L",
    "numpy._core.multiarray.scalar",
    "numpy.core.multiarray.scalar",
    "numpy.dtype",
    "numpy.dtypes.Float32DType",
    "numpy.dtypes.Float64DType",
    "torch._utils._rebuild_parameter",
    "torch._utils._rebuild_tensor_v2",
    *(f"torch.{kind}Storage" for kind in ("Float", "Double", "Half", "BFloat16", "Long", "Int", "Bool", "Byte")),
}
"""What weights and states of optimizers ask for; torch itself would grant more, and memory without end with it."""

_NESTED = 20
"""Most tuples inside each other: to hash one that holds another twice takes twice as long as the other."""

_FOLDER = 0x10
"""The bit in a zip's directory that makes a record a folder."""

_MARK = -1

_FROM_MARK = (pickletools.markobject, pickletools.stackslice)

_LEGACY_PICKLES = 5
"""Pickles at the beginning of a file that is no zip: a magic number, version, machine, the content, the storages."""


def read_torch_file(path: Path) -> Any:
    """The content of a file that `torch.save` wrote: tensors and plain values.

    Raises CheckpointError for anything else, naming what the file asks for, and for tensors that take more memory than
    the file.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file")
    other_kind = describe_content(path)
    if other_kind is not None:
        raise CheckpointError(f"{path}: expected weights that fastai wrote (.pth), found {other_kind}")
    with _damaged(path):
        for pickle in _pickles(path):
            _look_over(pickle, path)
        with torch.serialization.safe_globals(_SAFE_GLOBALS), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a pickle that is no whole one, before its error
            return torch.load(path, map_location="cpu", weights_only=True)


def require_tensors(state: dict[Any, Any], path: Path) -> dict[str, torch.Tensor]:
    """The named tensors of a model; CheckpointError where there are others, or more numbers than the file has bytes.

    What is no tensor stays, to be listed among what does not fit.
    """
    if not all(isinstance(name, str) for name in state):
        raise CheckpointError(f"{path}: expected tensors by name")
    tensors = [value for value in state.values() if isinstance(value, torch.Tensor)]
    if any(tensor.layout != torch.strided for tensor in tensors):
        raise CheckpointError(f"{path}: expected dense tensors")
    size = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
    if size > path.stat().st_size:
        raise CheckpointError(f"{path}: tensors of {size} bytes in a file of {path.stat().st_size}")
    return state


@contextmanager
def _damaged(path: Path) -> Iterator[None]:
    try:
        yield
    except CheckpointError:
        raise
    except Exception as error:  # a damaged file fails in any way: as text, index, end of file, archive ...
        first_line = str(error).strip().partition("\n")[0]
        raise CheckpointError(
            f"{path}: not weights that fastai wrote, or damaged ({type(error).__name__}: {first_line})"
        ) from error


def _pickles(path: Path) -> Iterator[IO[bytes]]:
    """The pickles of a file, each to be read from where it begins; the records of a zip checked."""
    with path.open("rb") as file:
        if file.read(4) != b"PK\x03\x04":
            file.seek(0)
            for _ in range(_LEGACY_PICKLES):
                yield file
            return
    with zipfile.ZipFile(path) as records:
        infos = records.infolist()
        if any(info.compress_type for info in infos) or sum(info.file_size for info in infos) > path.stat().st_size:
            raise CheckpointError(
                f"{path}: its records are compressed, which torch does not do; expected weights (.pth)"
            )
        if any(info.external_attr & _FOLDER for info in infos):
            raise CheckpointError(f"{path}: damaged: a record is marked as a folder, and torch would read zeros")
        if (bad := records.testzip()) is not None:
            raise CheckpointError(f"{path}: damaged: the CRC-32 of its record {bad} does not fit")
        for info in infos:
            if info.filename.endswith(".pkl"):
                yield BytesIO(records.read(info))


def _look_over(pickle: IO[bytes], path: Path) -> None:
    """Raise CheckpointError for a pickle that asks for more than weights do, in names or in time; nothing of it is run.

    Followed are the stack and the memo of the pickle, in which a number stands for each value: how many tuples are
    inside each other there.
    """
    stack: list[int] = []
    memo: dict[object, int] = {}
    for code, argument, _ in pickletools.genops(pickle):
        if code.name == "GLOBAL" and (asked := str(argument).replace(" ", ".")) not in _ASKED_FOR:
            raise CheckpointError(
                f"{path}: refused, and nothing in it was run: it asks for {asked}, which weights do not need. A whole "
                "model or an exported Learner is not loaded; save the weights alone, with `Learner.save`"
            )
        if code.name == "PROTO" and argument != 2:
            raise CheckpointError(f"{path}: a pickle of protocol {argument}, and torch.save writes 2; damaged?")
        if code.name.endswith("PUT"):
            memo[argument] = stack[-1]
            continue
        taken = []
        if pickletools.markobject in code.stack_before:
            while (top := stack.pop()) != _MARK:
                taken.append(top)
        taken += [stack.pop() for kind in code.stack_before if kind not in _FROM_MARK]
        depth = max(taken, default=0) + 1 if "TUPLE" in code.name else 0
        if depth > _NESTED:
            raise CheckpointError(f"{path}: refused: more than {_NESTED} tuples inside each other")
        if code.name.endswith("GET"):
            depth = memo[argument]
        stack += [_MARK if kind is pickletools.markobject else depth for kind in code.stack_after]
