"""The arrays of a column in one form: lists by int64 offsets from zero, and nothing that no value needs."""

from collections.abc import Callable, Iterator

import awkward as ak
import numpy as np
from awkward.contents import Content, IndexedOptionArray, ListOffsetArray, NumpyArray, RecordArray, RegularArray
from awkward.forms import Form, IndexedOptionForm, ListOffsetForm, NumpyForm, RecordForm, RegularForm
from awkward.index import Index64

TEXT = ("string", "bytestring", "char", "byte")


def canonical(layout: Content, form: Form | None = None) -> Content:
    """A layout in the form that all chunks of a column share; where it holds no type, that of `form`.

    TypeError for unions, which no tree of this project carries.
    """
    if layout.is_unknown:
        if form is None:
            raise TypeError("an array without a type")
        return form.length_zero_array(highlevel=False)
    text = {name: value for name, value in layout.parameters.items() if name == "__array__" and value in TEXT}
    if layout.is_option:
        layout = layout.to_IndexedOptionArray64()
        missing = np.asarray(layout.index) < 0
        index = np.where(missing, -1, np.cumsum(~missing) - 1)
        return IndexedOptionArray(Index64(index), canonical(layout.project(), _inner(form)))
    if layout.is_indexed:
        return canonical(layout.project(), form)
    if layout.is_regular:
        content = canonical(layout.content[: len(layout) * layout.size], _inner(form))
        return RegularArray(content, layout.size, len(layout))
    if layout.is_list:
        layout = layout.to_ListOffsetArray64(True)
        content = canonical(layout.content[: layout.offsets[-1]], _inner(form))
        return ListOffsetArray(Index64(np.asarray(layout.offsets)), content, parameters=text or None)
    if layout.is_record:
        contents = [
            canonical(layout.content(name)[: len(layout)], form.content(name) if form is not None else None)
            for name in layout.fields
        ]
        return RecordArray(contents, layout.fields, len(layout))
    if layout.is_numpy:
        data = np.ascontiguousarray(layout.data)
        native = data.astype(data.dtype.newbyteorder("="), copy=False)
        return NumpyArray(native, parameters=text or None).to_RegularArray()
    raise TypeError(f"an array of {ak.type(layout)}")


def _inner(form: Form | None) -> Form | None:
    return None if form is None else form.content


def canonical_form(form: Form) -> Form:
    """The form of `canonical` arrays of this form."""
    return canonical(form.length_zero_array(highlevel=False)).form


def labelled(layout: Content) -> Iterator[tuple[str, np.ndarray]]:
    """What a canonical layout holds, in the order of its form: "offsets" and "index", under them "values" or "text"."""
    if layout.is_numpy:
        yield _label(layout.form), layout.data
        return
    if layout.is_option:
        yield "index", np.asarray(layout.index)
    elif layout.is_list and not layout.is_regular:
        yield "offsets", np.asarray(layout.offsets)
    for content in layout.contents if layout.is_record else [layout.content]:
        yield from labelled(content)


def assemble(form: Form, length: int, take: Callable[[str, int, np.dtype], np.ndarray]) -> Content:
    """The inverse of `labelled`: a canonical layout of a form, made of arrays as `take` gives them.

    `take` is told the label, the number of values and the NumPy type; for "offsets" it gives counts, for "index" which
    values are there.
    """
    if isinstance(form, NumpyForm):
        return NumpyArray(take(_label(form), length, np.dtype(form.primitive)), parameters=form.parameters or None)
    if isinstance(form, IndexedOptionForm):
        there = take("index", length, np.dtype(bool))
        index = np.where(there, np.cumsum(there) - 1, -1)
        return IndexedOptionArray(Index64(index), assemble(form.content, int(there.sum()), take))
    if isinstance(form, RegularForm):
        return RegularArray(assemble(form.content, length * form.size, take), form.size, length)
    if isinstance(form, ListOffsetForm):
        offsets = np.concatenate([[0], np.cumsum(take("offsets", length, np.dtype(np.int64)))])
        content = assemble(form.content, int(offsets[-1]), take)
        return ListOffsetArray(Index64(offsets), content, parameters=form.parameters or None)
    assert isinstance(form, RecordForm)
    contents = [assemble(content, length, take) for content in form.contents]
    return RecordArray(contents, form.fields, length)


def _label(form: NumpyForm) -> str:
    return "text" if form.parameter("__array__") in TEXT else "values"


def pieces(layout: Content) -> Iterator[np.ndarray]:
    """The arrays of `labelled`."""
    return (piece for _, piece in labelled(layout))


def with_floats(layout: Content, change: Callable[[np.ndarray], np.ndarray]) -> Content:
    """A canonical layout with each array of floats in it changed by a function."""
    if layout.is_numpy:
        floats = layout.data.dtype.kind == "f"
        return NumpyArray(change(layout.data), parameters=layout.parameters) if floats else layout
    if layout.is_record:
        contents = [with_floats(content, change) for content in layout.contents]
        return RecordArray(contents, layout.fields, len(layout))
    return layout.copy(content=with_floats(layout.content, change))


def floats_of(layout: Content) -> list[np.ndarray]:
    """The arrays of floats of a canonical layout."""
    return [piece for label, piece in labelled(layout) if label == "values" and piece.dtype.kind == "f"]


def is_text(form: Form) -> bool:
    """Whether the values of a canonical form are strings."""
    return form.parameter("__array__") in ("string", "bytestring")


def depth_of(form: Form) -> int:
    """How many levels of lists of any length a canonical form has; a string is none."""
    if isinstance(form, ListOffsetForm) and not is_text(form):
        return 1 + depth_of(form.content)
    if isinstance(form, RegularForm | IndexedOptionForm):
        return depth_of(form.content)
    if isinstance(form, RecordForm):
        return max((depth_of(content) for content in form.contents), default=0)
    return 0


def flat_type(form: Form) -> np.dtype | None:
    """The NumPy type, with its shape, of numbers or of arrays of a fixed shape; None for any other form."""
    shape: tuple[int, ...] = ()
    while isinstance(form, RegularForm):
        shape, form = (*shape, form.size), form.content
    if not isinstance(form, NumpyForm) or form.parameter("__array__") is not None:
        return None
    dtype = np.dtype(form.primitive)
    return np.dtype((dtype, shape)) if shape else dtype


def holds_floats(form: Form) -> bool:
    """Whether a bound can change anything of a canonical form."""
    if isinstance(form, NumpyForm):
        return np.dtype(form.primitive).kind == "f"
    contents = form.contents if isinstance(form, RecordForm) else [form.content]
    return any(map(holds_floats, contents))
