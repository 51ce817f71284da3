"""Jets are checked where they enter a container, and bounds hold against the digits that their source has."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from codec_helpers import assert_same_bits, assert_same_events, make_jets

from utils.cli import main
from utils.codec import Bounds, ErrorBound, compress, decompress, inspect, read_compressed
from utils.jets import FEATURES, JetError, JetWarning, make_table, read_jets, write_jets
from utils.metrics import absolute_error

FINEST = Bounds(*[ErrorBound(1e-6)] * 2, *[ErrorBound(absolute=1e-6)] * 2)


def with_column(name: str, values: Any) -> Callable[[pd.DataFrame], pd.DataFrame]:
    return lambda table: table.assign(**{name: values})


def with_empty(table: pd.DataFrame) -> pd.DataFrame:
    table.attrs["empty_events"] = [int(table["event"].iloc[0])]
    return table


@pytest.mark.parametrize("codec", ["bounded", "lossless"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (with_column("pt", np.array([30, -1, 20], np.float32)), r"pt <= 0 in 1 jets, rows 1 \(-1\)"),
        (with_column("m", np.array([-1, 1, 1], np.float32)), "m <= -1 GeV in 1 jets, rows 0"),
        (with_column("m", np.array([-0.99999999999, 1, 1])), "m <= -1 GeV in 1 jets, rows 0"),
        (with_column("pt", np.array([1e-60, 1, 1])), "pt <= 0 in 1 jets, rows 0"),
        (with_column("m", np.array([1e300, 1, 1])), "NaN or infinite m in 1 of 3 jets, first at row 0"),
        (with_column("phi", np.array([0, 0, 3.9], np.float32)), r"\|phi\| > pi .* rows 2"),
        (with_column("event", [1, 2, 1]), "jets of one event must stand together"),
        (with_column("event", [1.5, 2, 3]), r"column event must hold whole event numbers \(int64\), found float64"),
        (with_column("event", np.array([2**63 + 1, 1, 2], np.uint64)), "int64 ends at"),
        (with_column("event", ["a", "b", "c"]), "column event is not numeric"),
        (with_column("pt", ["1", "2", "3"]), "column pt holds .*, expected numbers"),
        (lambda table: table.drop(columns="eta"), "missing columns eta; those there are: event, m, pt, phi"),
        (with_empty, "its event be its own"),
    ],
)
def test_jets_that_could_not_be_given_back_are_refused(
    codec: str, change: Callable[[pd.DataFrame], pd.DataFrame], message: str, tmp_path: Path
) -> None:
    table = change(make_table([1, 2, 3], [30, 20, 10], [0, 1, 2], [0, 1, 2], [4, 4, 9]))
    for source in (table, iter([table])):
        with pytest.raises(JetError, match=f"jet table: .*{message}"):
            compress(source, tmp_path / "jets.zarr.zip", codec=codec)
    assert list(tmp_path.iterdir()) == []


def test_an_event_that_turns_up_in_two_tables_is_refused(tmp_path: Path) -> None:
    with pytest.raises(JetError, match="turn up again later, such as 1"):
        compress(iter([make_jets(20), make_jets(20)]), tmp_path / "jets.zarr.zip")
    with pytest.raises(JetError, match="expected jet tables, found int"):
        compress([1, 2], tmp_path / "jets.zarr.zip")  # type: ignore[list-item]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", [np.int32, np.uint16, np.float64, "Int64"])
def test_whole_event_numbers_and_other_numbers_of_any_type_are_taken(kind: Any, tmp_path: Path) -> None:
    table = make_table([1, 2, 3], [30, 20, 10], [0, 1, 2], [0, 1, 2], [4, 4, 9])
    compress(table.assign(event=table["event"].astype(kind), m=[1, 2, 3]), tmp_path / "jets.zarr.zip", codec="lossless")
    assert_same_bits(read_compressed(tmp_path / "jets.zarr.zip"), table)


def precise_jets(jets: int) -> pd.DataFrame:
    """Jets whose numbers have more digits than float32."""
    random = np.random.default_rng(0)
    table = make_jets(jets)
    return table.assign(
        pt=20 + random.exponential(60, jets),
        m=random.exponential(9, jets),
        phi=random.uniform(-np.pi, np.pi, jets),
        eta=random.uniform(-3, 3, jets),
    )


@pytest.mark.parametrize("suffix", [None, ".parquet", ".csv"])
def test_bounds_hold_against_the_digits_of_the_source(suffix: str | None, tmp_path: Path) -> None:
    table = precise_jets(4000)
    source: Any = table
    if suffix is not None:
        source = tmp_path / f"in{suffix}"
        plain = table.rename(columns={"pt": "pt [GeV]"})
        plain.to_parquet(source) if suffix == ".parquet" else plain.to_csv(source, index=False)
    report = compress(source, tmp_path / "jets.zarr.zip", bounds=FINEST)
    found = read_compressed(tmp_path / "jets.zarr.zip")
    for name in FEATURES:
        true = table[name].to_numpy()
        share = absolute_error(name, true, found[name].to_numpy()) / getattr(FINEST, name).at(true)
        assert share.max() <= 1, name
        assert report["errors_of_bound"][name] == pytest.approx(share.max(), abs=1e-5)
        assert 0 < report["rounding"][name] < 1e-4


def test_what_float32_cannot_hold_within_a_bound_is_an_error(tmp_path: Path) -> None:
    table = precise_jets(100).assign(eta=np.linspace(-60, 60, 100))
    with pytest.raises(
        JetError, match=r"eta of its source has digits that float32, .* 1\.\d+ of the bound; give a larger"
    ):
        compress(table, tmp_path / "jets.zarr.zip", bounds=FINEST)
    compress(table.assign(eta=table["eta"].astype(np.float32)), tmp_path / "jets.zarr.zip", bounds=FINEST)
    assert [path.name for path in tmp_path.iterdir()] == ["jets.zarr.zip"]


def test_lossless_says_where_its_source_has_more_digits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = precise_jets(300)
    message = (
        r"float32, of which every bit is kept, differs from the source: m by .* GeV, pt by .* GeV, phi by .* rad, eta"
    )
    with pytest.warns(JetWarning, match=message):
        report = compress(table, tmp_path / "jets.zarr.zip", codec="lossless")
    assert report["errors"]["eta"]["max"] == pytest.approx(report["rounding"]["eta"], rel=1e-3)
    table.to_csv(tmp_path / "in.csv", index=False)
    arguments = [
        "compress",
        str(tmp_path / "in.csv"),
        str(tmp_path / "a.zarr.zip"),
        "--codec",
        "lossless",
        "--unit",
        "GeV",
    ]
    assert main(arguments) == 0
    assert "note: in.csv: float32, of which every bit is kept" in capsys.readouterr().err


@pytest.mark.parametrize("suffix", [".root", ".parquet", ".h5"])
def test_files_of_this_project_are_not_rounded(suffix: str, tmp_path: Path) -> None:
    table = make_jets(200)
    write_jets(table, tmp_path / f"in{suffix}")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", JetWarning)
        compress(tmp_path / f"in{suffix}", tmp_path / "jets.zarr.zip", codec="lossless")
    assert not any("float32" in str(warning.message) for warning in caught)
    assert inspect(tmp_path / "jets.zarr.zip")["rounding"] == {}
    decompress(tmp_path / "jets.zarr.zip", tmp_path / f"out{suffix}")
    assert_same_bits(read_jets(tmp_path / f"out{suffix}"), table)


def test_a_signalling_nan_in_a_table_keeps_its_bits(tmp_path: Path) -> None:
    table = make_jets(30)
    odd = np.array([0x7F800001, 0xFFC01234, 0xFF800000], np.uint32).view(np.float32)
    values = table["m"].to_numpy().copy()
    values[[3, 9, 20]] = odd
    table["m"] = values
    for codec in ("bounded", "lossless"):
        compress(table, tmp_path / "jets.zarr.zip", codec=codec, keep_nonfinite=True)
        found = read_compressed(tmp_path / "jets.zarr.zip")["m"].to_numpy()
        assert found[[3, 9, 20]].tobytes() == odd.tobytes()


def test_more_events_than_a_chunk_holds_are_several_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("utils.codec.incoming.MOST_JETS", 50)
    table = make_table(
        [1] * 3, [30] * 3, [0] * 3, [0] * 3, [7, 100, 100], empty_events=[*range(7), *range(8, 100), 120]
    )
    report = compress(table, tmp_path / "jets.zarr.zip", chunk_jets=50)
    assert (report["jets"], report["events"], report["chunks"]) == (3, 102, 3)
    assert_same_events(read_compressed(tmp_path / "jets.zarr.zip"), table)
    crowd = make_table([1] * 60, [30] * 60, [0] * 60, [0] * 60, [5] * 60)
    with pytest.raises(JetError, match="60 jets in event 5; at most 50"):
        compress(crowd, tmp_path / "jets.zarr.zip", chunk_jets=50)
    with pytest.raises(ValueError, match=r"chunk_jets must lie in 1\.\.50, found 0"):
        compress(crowd, tmp_path / "jets.zarr.zip", chunk_jets=0)
