"""What a file that is not ours may cost and hold: JSON of bounded size and depth, and of the types that are expected.

Whatever is wrong is a ValueError in one line, to which the reader of the file adds its name.
"""

import json
import math
from pathlib import Path
from typing import Any, NoReturn

JSON_BYTES = 2**22
"""Most bytes of JSON that are parsed; in memory they may take thirty times as many."""

JSON_DEPTH = 32
"""Most levels of lists and objects inside each other."""

_TOO_DEEP = f"JSON of more than {JSON_DEPTH} levels"

Form = Any
"""What JSON is expected to be: a type; a tuple of forms, one of which fits; a list of one form, for a list of any
length; a dict of forms by key, where `key?` may be missing and further keys are allowed. float takes whole numbers."""


def parse_json(content: str | bytes, most: int = JSON_BYTES) -> Any:
    """The value that JSON of at most `most` bytes describes.

    ValueError for more bytes, for more than `JSON_DEPTH` levels, for text that is no JSON or no text, and for NaN and
    infinities, which JSON does not have.

    >>> parse_json('{"jets": [1, 2.5]}')
    {'jets': [1, 2.5]}
    """
    if len(content) > most:
        raise ValueError(f"JSON of {len(content)} bytes; at most {most} are read")
    text = content.decode() if isinstance(content, bytes) else content
    try:
        value = json.loads(text, parse_constant=_refuse_constant, parse_float=_finite)
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    if text.count("[") + text.count("{") > JSON_DEPTH or "\\u" in text:
        _check_values(value)
    return value


def read_json(path: str | Path, form: Form = object, most: int = JSON_BYTES) -> Any:
    """The JSON of a file, of a form; ValueError names the file, OSError is what opening it raises."""
    with Path(path).open("rb") as file:
        content = file.read(most + 1)
    try:
        value = parse_json(content, most)
        require_form(value, form)
    except ValueError as error:
        raise ValueError(f"{path}: cannot be read: {error}") from error
    return value


def require_form(value: object, form: Form, where: str = "its JSON") -> None:
    """Raise ValueError, naming the place, unless a JSON value is as `form` says.

    >>> require_form({"jets": 3, "bounds": [0.5, 1]}, {"jets": int, "bounds": [float], "unit?": (str, None)})
    >>> require_form({"jets": "3"}, {"jets": int})
    Traceback (most recent call last):
    ValueError: its JSON: jets is '3', expected an integer
    """
    if isinstance(form, dict):
        _require_type(value, dict, where)
        assert isinstance(value, dict)
        for key, inner in form.items():
            name = key.removesuffix("?")
            if name in value:
                require_form(value[name], inner, f"{where}: {name}")
            elif key == name:
                raise ValueError(f"{where}: has no {name}")
    elif isinstance(form, list):
        _require_type(value, list, where)
        assert isinstance(value, list)
        for inner in value:
            require_form(inner, form[0], where)
    elif isinstance(form, tuple):
        if not any(_fits(value, inner) for inner in form):
            expected = " or ".join(dict.fromkeys(_name(inner) for inner in form))
            raise ValueError(f"{where} is {_shown(value)}, expected {expected}")
    else:
        _require_type(value, form, where)


def _fits(value: object, form: Form) -> bool:
    try:
        require_form(value, form)
    except ValueError:
        return False
    return True


def _require_type(value: object, form: Form, where: str) -> None:
    if form is None:
        right = value is None
    elif form is float:
        right = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < math.inf
    elif form is int:
        right = isinstance(value, int) and not isinstance(value, bool)
    else:
        right = isinstance(value, form)
    if not right:
        raise ValueError(f"{where} is {_shown(value)}, expected {_name(form)}")


_NAMES = {int: "an integer", float: "a number", str: "text", bool: "true or false", dict: "an object", list: "a list"}


def _name(form: Form) -> str:
    if isinstance(form, dict | list):
        return _NAMES[type(form)]
    return "null" if form is None else _NAMES[form]


def _shown(value: object) -> str:
    if isinstance(value, dict | list):
        return f"{_NAMES[type(value)]} of {len(value)}"
    text = repr(value) if not isinstance(value, int) or abs(value) < 10**20 else "a huge integer"
    return text if len(text) <= 60 else f"{text[:57]}..."


def _check_values(value: object) -> None:
    """Raise ValueError for what is nested too deeply, and for halves of a character, which no file takes."""
    level = [value]
    for depth in range(JSON_DEPTH + 1):
        below: list[object] = []
        for item in level:
            if isinstance(item, dict | list) and depth == JSON_DEPTH:
                raise ValueError(_TOO_DEEP)
            if isinstance(item, dict):
                below += item.keys()
                below += item.values()
            elif isinstance(item, list):
                below += item
            elif isinstance(item, str) and not item.isascii():
                item.encode()
        level = below


def _finite(text: str) -> float:
    if math.isinf(value := float(text)):
        raise ValueError(f"{text[:20]}, a number beyond the range of float64")
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name}, which JSON does not have")
