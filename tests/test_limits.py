"""JSON of a file that is not ours is read within limits, or refused in one line that names the file."""

from pathlib import Path

import pytest

from utils.limits import JSON_DEPTH, parse_json, read_json, require_form


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[" * 10**6, "more than 32 levels"),
        ("[" * (JSON_DEPTH + 1) + "]" * (JSON_DEPTH + 1), "more than 32 levels"),
        ('{"a": NaN}', "NaN, which JSON does not have"),
        ("[-Infinity]", "-Infinity, which JSON does not have"),
        ("1e999", "beyond the range of float64"),
        ("1" * 5000, "4300 digits"),
        (b"\xff", "can't decode"),
        ('{"\\ud800": 1}', "surrogates not allowed"),
        (b"", "Expecting value"),
        (b" " * 101, "JSON of 101 bytes; at most 100 are read"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_what_is_no_json_within_the_limits_is_a_value_error(content: str | bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_json(content, 100 if len(content) == 101 else 2**20)


def test_json_within_the_limits_comes_back() -> None:
    text = "[" * JSON_DEPTH + "]" * JSON_DEPTH
    assert parse_json(text) == parse_json(text.encode())
    assert parse_json('{"\\u00e9": [1, 2.5, null, true]}') == {"é": [1, 2.5, None, True]}


@pytest.mark.parametrize(
    ("value", "form", "message"),
    [
        (True, int, "is True, expected an integer"),
        (1.5, int, "is 1.5, expected an integer"),
        ("1", float, "is '1', expected a number"),
        (10**400, str, "a huge integer, expected text"),
        ([1, "x"], [int], "is 'x', expected an integer"),
        ({}, {"jets": int}, "has no jets"),
        ({"jets": None}, {"jets?": int}, "jets is None, expected an integer"),
        ({"unit": 3}, {"unit": (str, None)}, "unit is 3, expected text or null"),
        ([[]], {"jets": int}, "is a list of 1, expected an object"),
        ("x" * 500, int, r"is 'x{50,60}\.\.\., expected"),
    ],
)
def test_another_form_is_named(value: object, form: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        require_form(value, form, "the record")


def test_a_file_of_json_is_named_when_it_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    path.write_text('{"jets": 3}')
    assert read_json(path, {"jets": int}) == {"jets": 3}
    for content, message in (
        ("{", "Expecting"),
        ("[]", "expected an object"),
        ('{"jets": "3"}', "expected an integer"),
    ):
        path.write_text(content)
        with pytest.raises(ValueError, match=rf"record\.json: cannot be read: .*{message}"):
            read_json(path, {"jets": int})
    path.write_text("[" + "1," * 100 + "1]")
    with pytest.raises(ValueError, match="JSON of 21 bytes; at most 20"):
        read_json(path, list, 20)
