"""Files of few jets by both codecs of trees: every byte counted."""

from pathlib import Path

import pytest

from utils.study import compare_codecs


def test_few_jets_make_no_file_larger(tmp_path: Path) -> None:
    (row,) = compare_codecs([200], tmp_path).to_dict(orient="records")
    assert 150 < row["jets"] <= 200
    assert row["neural"] == (tmp_path / "200" / "neural.zarr.zip").stat().st_size
    assert row["ratio"] == pytest.approx(row["neural"] / row["plain"])
    assert (row["coded"], row["network_bytes"]) == (0, 0), "too few for networks"
    assert row["ratio"] < 1.01
