"""The note that files of this project carry: what a changed bit in it, or in its name, leads to."""

import json
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from tests.fuzz.inputs import example_table, outcome_of
from utils.jets import JetError, concat_tables, iter_jets, read_jets, write_jets

KEY = b"compression_hep"


@pytest.mark.parametrize("suffix", [".parquet", ".h5", ".root"])
@pytest.mark.filterwarnings("ignore")
def test_no_changed_byte_in_a_note_or_its_name_loses_an_event(suffix: str, tmp_path: Path) -> None:
    path, damaged = tmp_path / f"whole{suffix}", tmp_path / f"damaged{suffix}"
    write_jets(example_table(40), path)
    content, expected = path.read_bytes(), read_jets(path)
    assert expected.attrs["empty_events"]
    outcomes = set()
    for start in [i for i in range(len(content)) if content.startswith(KEY, i)]:
        for place in range(start - 8, start + len(KEY) + 40, 3):
            changed = bytearray(content)
            changed[place] ^= 0x20
            damaged.write_bytes(changed)
            outcomes.add(outcome_of(damaged, expected)[0])
    assert "error" in outcomes
    assert outcomes <= {"error", "same", "changed, said"}


def test_a_parquet_file_of_this_project_without_its_note_is_damaged(tmp_path: Path) -> None:
    """The list that holds the note, in the footer, which has no checksum."""
    write_jets(example_table(40), tmp_path / "jets.parquet")
    content = bytearray((tmp_path / "jets.parquet").read_bytes())
    content[content.rindex(KEY) - 5] ^= 1
    (tmp_path / "jets.parquet").write_bytes(content)
    with pytest.raises(JetError, match="damaged"):
        read_jets(tmp_path / "jets.parquet")
    pd.DataFrame(example_table(40)).to_parquet(tmp_path / "other.parquet")
    assert len(read_jets(tmp_path / "other.parquet")) == 40


@pytest.mark.parametrize(
    "change",
    [
        {"jets": "3"},
        {"unit": "parsec"},
        {"crc32": ["a"] * 5},
        {"empty_events": 7},
        {"events": None},
        {"ascending": "yes"},
    ],
)
def test_a_note_with_a_right_checksum_and_wrong_content_is_an_error(change: dict, tmp_path: Path) -> None:
    path = tmp_path / "jets.parquet"
    write_jets(example_table(40), path)
    table = pq.read_table(path)
    note = json.loads(pq.ParquetFile(path).metadata.metadata[KEY].partition(b" ")[2])
    for body in (json.dumps(note | change), "[" * 100_000, "[]"):
        text = f"{zlib.crc32(body.encode()):08x} {body}"
        pq.write_table(table.replace_schema_metadata({KEY.decode(): text}), path)
        with pytest.raises(JetError, match=r"jets\.parquet: the file's note about its jets is none of this project"):
            read_jets(path)


@pytest.mark.parametrize("suffix", [".parquet", ".h5", ".root"])
def test_signalling_nans_keep_their_bits(suffix: str, tmp_path: Path) -> None:
    bits = np.array([0x7F800001, 0xFFC12345, 0x7FBFFFFF], np.uint32)
    table = example_table(40)
    for name in ("m", "pt", "phi", "eta"):
        values = table[name].to_numpy(copy=True)
        values.view(np.uint32)[5:8] = bits
        table[name] = values
    path = tmp_path / f"jets{suffix}"
    write_jets(table, path, keep_nonfinite=True)
    found = concat_tables(iter_jets(path, keep_nonfinite=True))
    for name in ("m", "pt", "phi", "eta"):
        assert found[name].to_numpy().view(np.uint32)[5:8].tolist() == bits.tolist()


@pytest.mark.parametrize("suffix", [".parquet", ".h5", ".root", ".csv"])
def test_the_same_jets_make_the_same_bytes_at_any_time(suffix: str, tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_jets(example_table(40), tmp_path / f"{name}{suffix}")
    content = (tmp_path / f"a{suffix}").read_bytes()
    assert content == (tmp_path / f"b{suffix}").read_bytes()
    if suffix == ".root":  # the time in the first key, after 10 of its bytes: 1995-01-01
        assert int.from_bytes(content[110:114], "big") == (1 << 22) | (1 << 17)
