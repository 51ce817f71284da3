"""Files appear whole or not at all."""

from pathlib import Path

import pytest

from utils.files import atomic_path, describe_content, sha256_of, write_json
from utils.study import notebook_folders


def test_a_failure_keeps_the_old_file_and_leaves_no_half_one(tmp_path: Path) -> None:
    target = tmp_path / "numbers.json"
    target.write_text("old")
    with pytest.raises(UnicodeEncodeError), atomic_path(target) as partial, partial.open("w", encoding="ascii") as file:
        file.write("half, and then \u03c6")
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_success_replaces_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "sub" / "jets.zarr.zip"
    with atomic_path(target) as partial:
        assert partial.name.endswith(".zarr.zip")
        partial.write_text("new")
    assert target.read_text() == "new"
    assert list(target.parent.iterdir()) == [target]


def test_json_refuses_what_json_cannot_say(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "x.json", {"value": float("nan")})
    assert not list(tmp_path.iterdir())


def test_sha256_is_the_standard_one(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    assert sha256_of(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_notebook_gets_its_folders_below_the_output(tmp_path: Path) -> None:
    plots, models = notebook_folders("1d. custom", tmp_path)
    assert (plots, models) == (tmp_path / "plots" / "1d. custom", tmp_path / "models")
    assert plots.is_dir()
    assert models.is_dir()


def test_an_interruption_leaves_nothing(tmp_path: Path) -> None:
    def interrupted() -> None:
        with atomic_path(tmp_path / "new.bin") as partial:
            partial.write_bytes(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not list(tmp_path.iterdir())


def test_nothing_shows_under_the_name_before_the_file_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "new.bin"
    with atomic_path(target) as partial:
        partial.write_bytes(b"half")
        assert partial.parent.parent == target.parent
        assert not target.exists()
    assert target.read_bytes() == b"half"


def test_a_file_has_the_permissions_of_any_other(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    with atomic_path(tmp_path / "ours") as partial:
        partial.write_text("x")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "an empty file"),
        (b"  <!DOCTYPE html>", "an HTML or XML page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "a Git LFS pointer"),
        (b"\x80\x04data", None),
    ],
)
def test_what_a_failed_download_left_is_recognized(tmp_path: Path, content: bytes, found: str | None) -> None:
    (tmp_path / "file").write_bytes(content)
    answer = describe_content(tmp_path / "file")
    assert answer is None if found is None else str(answer).startswith(found)
