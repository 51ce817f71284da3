"""The jet table, and what is written of it: the same bit for bit when read, and whole or not at all."""

from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import uproot
from hypothesis import HealthCheck, given, settings, strategies as st

from utils.jets import (
    FEATURES,
    JetError,
    JetWarning,
    concat_tables,
    convert_jets,
    cut_table,
    event_counts,
    find_problems,
    format_summary,
    iter_jets,
    make_table,
    number_of_events,
    open_source,
    read_jets,
    select_jets,
    summarize_jets,
    validate_jets,
    wrap_angle,
    wrap_phi,
    write_jets,
)

SUFFIXES = (".root", ".parquet", ".h5", ".csv")
PI = float(np.float32(np.pi))


def same_jets(found: pd.DataFrame, expected: pd.DataFrame) -> bool:
    """Whether two tables hold the same bits, and the same events."""
    columns = all(found[name].to_numpy().tobytes() == expected[name].to_numpy().tobytes() for name in expected)
    events = zip(event_counts(found), event_counts(expected), strict=True)
    return columns and all(np.array_equal(ours, theirs) for ours, theirs in events)


def small_table() -> pd.DataFrame:
    return make_table([5, 0, 9, -0.01], [50, 30, 20, 90], [PI, -PI, 0.5, 1], [0, 1, -2, 4], [3, 3, 7, 20], [1, 5, 21])


def float32(smallest: float, largest: float) -> st.SearchStrategy[float]:
    return st.floats(smallest, largest, width=32)


jets = st.tuples(
    st.one_of(st.just(0.0), st.just(-0.0), float32(-0.5, 2000)),
    float32(2.0**-10, 10000),
    st.one_of(st.sampled_from([PI, -PI, 0.0]), float32(-PI, PI)),
    float32(-6, 6),
)
events = st.lists(st.lists(jets, max_size=4), min_size=1, max_size=8).filter(any)


@st.composite
def jet_tables(draw: st.DrawFn) -> pd.DataFrame:
    """Tables with empty events, in ascending order or not."""
    content = draw(events)
    numbers = draw(
        st.lists(st.integers(-(2**63), 2**63 - 1), min_size=len(content), max_size=len(content), unique=True)
    )
    if draw(st.booleans()):
        numbers.sort()
    rows = np.array([jet for event in content for jet in event], dtype=np.float32).reshape(-1, 4)
    event = np.repeat(np.array(numbers, np.int64), [len(event) for event in content])
    empty = [number for number, event in zip(numbers, content, strict=True) if not event]
    return make_table(*rows.T, event=event, empty_events=empty)  # type: ignore[misc]


@pytest.mark.parametrize("suffix", SUFFIXES)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(table=jet_tables())
def test_written_jets_read_back_bit_for_bit(suffix: str, table: pd.DataFrame, tmp_path: Path) -> None:
    path = tmp_path / f"jets{suffix}"
    write_jets(table, path)
    assert same_jets(read_jets(path), table)


@pytest.mark.parametrize("suffix", SUFFIXES)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(table=jet_tables(), chunk_jets=st.integers(1, 6))
def test_a_stream_is_the_table_in_chunks_of_whole_events(
    suffix: str, table: pd.DataFrame, chunk_jets: int, tmp_path: Path
) -> None:
    path = tmp_path / f"jets{suffix}"
    write_jets(table, path)
    chunks = list(iter_jets(path, chunk_jets=chunk_jets))
    assert same_jets(concat_tables(chunks), table)
    assert all(len(chunk) >= chunk_jets for chunk in chunks[:-1])
    owners = [set(chunk["event"]) for chunk in chunks]
    assert sum(map(len, owners)) == len(set.union(*owners))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_stream_of_tables_is_written_as_one(suffix: str, tmp_path: Path) -> None:
    table = small_table()
    write_jets(table, tmp_path / "whole.parquet")
    write_jets(iter_jets(tmp_path / "whole.parquet", chunk_jets=1), tmp_path / f"again{suffix}")
    assert same_jets(read_jets(tmp_path / f"again{suffix}"), table)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_that_fails_to_be_written_leaves_the_old_one_and_nothing_beside_it(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"jets{suffix}"
    write_jets(small_table(), path)
    before = path.read_bytes()
    bad = small_table().assign(pt=np.float32(-1))
    with pytest.raises(JetError, match=r"of 8 jets: pt <= 0 in 4 jets, rows 4 \(-1\)"):
        write_jets(iter([small_table(), bad]), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_an_unknown_suffix_is_refused_and_the_known_ones_are_listed(tmp_path: Path) -> None:
    with pytest.raises(JetError, match=r"jets.npz.*\.root, \.parquet, \.h5, \.hdf5, \.csv"):
        write_jets(small_table(), tmp_path / "jets.npz")
    assert not list(tmp_path.iterdir())


def test_a_root_file_is_like_nanoaod_with_one_counter_and_an_entry_per_event(tmp_path: Path) -> None:
    write_jets(small_table(), tmp_path / "jets.root")
    tree = uproot.open(tmp_path / "jets.root")["Events"]
    assert set(tree.keys()) == {"event", "nJet", "Jet_pt", "Jet_eta", "Jet_phi", "Jet_mass"}
    assert tree["nJet"].array().tolist() == [0, 2, 0, 1, 1, 0]
    assert tree["event"].array().tolist() == [1, 3, 5, 7, 20, 21]
    assert tree["Jet_pt"].typename == "float[]"


def test_a_csv_file_has_shortest_digits_and_a_row_for_an_event_without_jets(tmp_path: Path) -> None:
    write_jets(make_table([0.1], [33.3], [-2.5], [1e-7], [4], [9]), tmp_path / "jets.csv")
    assert (tmp_path / "jets.csv").read_text() == "event,m_GeV,pt_GeV,phi,eta\n4,0.1,33.3,-2.5,1e-7\n9,,,,\n"


def test_a_csv_file_names_its_unit(tmp_path: Path) -> None:
    table = make_table([0.02, 100], [40, 2500], [0, 0], [0, 0])
    write_jets(table, tmp_path / "jets.csv")
    assert (tmp_path / "jets.csv").read_text().startswith("event,m_GeV,pt_GeV,phi,eta\n")
    assert same_jets(read_jets(tmp_path / "jets.csv"), table)


def test_hdf5_and_parquet_files_are_plain_columns_with_checksums(tmp_path: Path) -> None:
    for suffix in (".h5", ".parquet"):
        write_jets(small_table(), tmp_path / f"jets{suffix}")
    with h5py.File(tmp_path / "jets.h5") as file:
        assert file["pt"][:].tolist() == [50, 30, 20, 90]
        assert file["empty_events"][:].tolist() == [1, 5, 21]
        assert all(file[name].fletcher32 for name in FEATURES)
    assert pq.read_table(tmp_path / "jets.parquet").to_pandas()["m"].tolist() == small_table()["m"].tolist()


@pytest.mark.parametrize("suffix", SUFFIXES[:3])
def test_a_note_finds_a_jet_that_another_program_changed(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"jets{suffix}"
    write_jets(small_table(), path)
    changed = small_table()
    changed.loc[2, "pt"] = 21
    other = tmp_path / f"other{suffix}"
    write_jets(changed, other)
    if suffix == ".h5":
        with h5py.File(path, "r+") as file:
            file["pt"][2] = 21
    elif suffix == ".parquet":
        note = pq.ParquetFile(path).metadata.metadata
        pq.write_table(pq.read_table(other).replace_schema_metadata(note), path)
    else:
        note = str(uproot.open(path)["compression_hep"])
        with uproot.update(other) as file:
            file["compression_hep"] = note
        other.replace(path)
    with pytest.raises(JetError, match=r"jets\.\w+: damaged: its 4 jets are not those that were written"):
        read_jets(path)


def test_a_note_about_fewer_jets_than_there_are_is_said_and_left_aside(tmp_path: Path) -> None:
    path = tmp_path / "jets.parquet"
    write_jets(small_table(), path)
    arrow = pq.read_table(path)
    pq.write_table(arrow.slice(0, 2).replace_schema_metadata(pq.ParquetFile(path).metadata.metadata), path)
    with pytest.warns(JetWarning, match="2 jets in 4 events, noted when written were 4 in 6"):
        assert len(read_jets(path)) == 2


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("pt", 0, r"pt <= 0 in 1 jets, rows 1 \(0\)"),
        ("m", -1, r"m <= -1 GeV in 1 jets, rows 1 \(-1\)"),
        ("eta", np.nan, r"NaN or infinite eta in 1 jets, rows 1 \(nan\)"),
        ("m", np.inf, r"NaN or infinite m in 1 jets, rows 1 \(inf\)"),
        ("phi", 3.1418, r"\|phi\| > pi by more than 0.0001 rad in 1 jets, rows 1 \(3.1418\)"),
    ],
)
def test_a_jet_that_cannot_be_used_is_named_by_row_and_value(column: str, value: float, message: str) -> None:
    table = small_table()
    table.loc[1, column] = np.float32(value)
    with pytest.raises(JetError, match=f"^somewhere: of 4 jets: {message}$"):
        validate_jets(table, "somewhere")


def test_everything_wrong_with_a_table_is_said_at_once() -> None:
    table = small_table().assign(pt=np.float32(-1))
    table.loc[0, "m"] = np.nan
    assert {name: rows.tolist() for name, rows in find_problems(table).items()} == {
        "NaN or infinite m": [0],
        "pt <= 0": [0, 1, 2, 3],
    }


def test_a_table_without_jets_other_columns_or_types_is_refused() -> None:
    with pytest.raises(JetError, match="no jets, in 2 events"):
        validate_jets(make_table([], [], [], [], [], [4, 5]))
    with pytest.raises(JetError, match="missing columns phi, eta; those there are: event, m, pt"):
        validate_jets(small_table()[["event", "m", "pt"]])
    with pytest.raises(JetError, match="pt is float64; expected int64 for event and float32"):
        validate_jets(small_table().astype({"pt": np.float64}))
    with pytest.raises(JetError, match=r"columns of different lengths: \{'m': 1, 'pt': 2"):
        make_table([1], [1, 2], [1], [1])


def test_jets_of_one_event_that_stand_apart_are_refused() -> None:
    with pytest.raises(JetError, match="1 event numbers turn up again later, such as 3"):
        validate_jets(make_table([1, 1, 1], [20, 20, 20], [0, 0, 0], [0, 0, 0], [3, 4, 3]))
    with pytest.raises(JetError, match="such as 3"):
        validate_jets(make_table([1], [20], [0], [0], [3], [3]))


def test_phi_beyond_pi_by_rounding_is_wrapped_and_everything_else_kept() -> None:
    phi = np.array([PI, -PI, 3.14165, -3.14165, 3.2, 1], np.float32)
    wrapped = wrap_phi(phi)
    assert wrapped[[0, 1, 4, 5]].tolist() == phi[[0, 1, 4, 5]].tolist()
    assert wrapped[[2, 3]] == pytest.approx([3.14165 - 2 * np.pi, 2 * np.pi - 3.14165], abs=1e-6)


def test_empty_events_stand_by_number_where_numbers_ascend_and_last_where_not() -> None:
    numbers, counts = event_counts(small_table())
    assert numbers.tolist() == [1, 3, 5, 7, 20, 21]
    assert counts.tolist() == [0, 2, 0, 1, 1, 0]
    numbers, counts = event_counts(make_table([1, 1], [20, 20], [0, 0], [0, 0], [9, 2], [5]))
    assert (numbers.tolist(), counts.tolist()) == ([9, 2, 5], [1, 1, 0])


def test_a_cut_keeps_events_that_lose_their_jets(tmp_path: Path) -> None:
    chosen = select_jets(small_table(), pt_min=30, eta_max=2.5)
    assert chosen["pt"].tolist() == [50, 30]
    assert number_of_events(chosen) == number_of_events(small_table()) == 6
    write_jets(small_table(), tmp_path / "in.root")
    assert convert_jets(tmp_path / "in.root", tmp_path / "out.csv", pt_min=30, eta_max=2.5) == (4, 2, 6)
    assert same_jets(read_jets(tmp_path / "out.csv"), chosen)
    assert convert_jets(tmp_path / "in.root", tmp_path / "none.csv", pt_min=1000) == (4, 0, 6)
    assert number_of_events(read_jets(tmp_path / "none.csv")) == 6


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("empty_events", [[], [7, 8, 9]], ids=["no events", "events without jets"])
def test_a_file_without_jets_reads_back_as_it_was_written(suffix: str, empty_events: list[int], tmp_path: Path) -> None:
    table = make_table([], [], [], [], [], empty_events)
    write_jets(table, tmp_path / f"jets{suffix}")
    found = read_jets(tmp_path / f"jets{suffix}")
    assert (len(found), found.attrs) == (0, table.attrs)
    assert found.dtypes.equals(table.dtypes)
    summary = summarize_jets(tmp_path / f"jets{suffix}")
    assert (summary["jets"], summary["events"], summary["refused"]) == (0, len(empty_events), {})
    assert "no jets: a valid file" in format_summary(summary)


def test_a_stream_of_no_tables_is_a_file_without_jets(tmp_path: Path) -> None:
    write_jets(iter(()), tmp_path / "jets.csv")
    assert len(read_jets(tmp_path / "jets.csv")) == 0


def events_of(table: pd.DataFrame) -> list[int]:
    return event_counts(table)[0].tolist()


def even_table() -> pd.DataFrame:
    """Events 0 to 5 of two jets each, and one without jets behind every one of them."""
    event = np.repeat(np.arange(0, 12, 2), 2)
    column = np.arange(12) + 20.0
    return make_table(column, column, column * 0, column * 0, event, np.arange(1, 12, 2))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_chunk_ends_behind_the_event_that_fills_it_and_the_events_without_jets_that_follow(
    suffix: str, tmp_path: Path
) -> None:
    write_jets(even_table(), tmp_path / f"jets{suffix}")
    for chunks in (list(cut_table(even_table(), 4)), list(iter_jets(tmp_path / f"jets{suffix}", chunk_jets=4))):
        assert [events_of(chunk) for chunk in chunks] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
        assert same_jets(concat_tables(chunks), even_table())
    assert [len(chunk) for chunk in cut_table(even_table(), 3)] == [4, 4, 4]
    assert [len(chunk) for chunk in iter_jets(tmp_path / f"jets{suffix}", chunk_jets=5)] == [6, 6]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_events_without_jets_are_read_where_their_numbers_belong(suffix: str, tmp_path: Path) -> None:
    write_jets(small_table(), tmp_path / f"jets{suffix}")
    chunks = [events_of(chunk) for chunk in iter_jets(tmp_path / f"jets{suffix}", chunk_jets=1)]
    assert chunks == [[1, 3, 5], [7], [20, 21]]


def test_jets_at_the_cuts_are_kept() -> None:
    table = small_table()
    assert select_jets(table, eta_max=2)["eta"].tolist() == [0, 1, -2]
    assert select_jets(table, pt_min=30)["pt"].tolist() == [50, 30, 90]
    assert select_jets(table, pt_min=20, eta_max=4) is table


def test_an_event_that_goes_on_in_the_next_table_of_a_stream_is_refused(tmp_path: Path) -> None:
    one, other = make_table([1], [20], [0], [0], [3]), make_table([1], [30], [0], [0], [3])
    with pytest.raises(JetError, match="1 event numbers turn up again later, such as 3"):
        write_jets(iter([one, other]), tmp_path / "jets.parquet")
    write_jets(iter([one, other.assign(event=np.int64(2))]), tmp_path / "jets.parquet")
    assert read_jets(tmp_path / "jets.parquet")["event"].tolist() == [3, 2]


def test_a_note_finds_an_event_without_jets_whose_number_was_changed(tmp_path: Path) -> None:
    write_jets(small_table(), tmp_path / "jets.h5")
    with h5py.File(tmp_path / "jets.h5", "r+") as file:
        file["empty_events"][0] = 2
    with pytest.raises(JetError, match="damaged: its 4 jets are not those that were written"):
        read_jets(tmp_path / "jets.h5")


def test_a_root_file_holds_more_events_than_one_basket(tmp_path: Path) -> None:
    events = 2**15 + 20
    filled = np.arange(0, events, 7000)
    empty = np.setdiff1d(np.arange(events), filled)
    table = make_table(filled / 1e3, filled + 20, filled * 0, filled * 0, filled, empty)
    write_jets(table, tmp_path / "jets.root")
    assert same_jets(read_jets(tmp_path / "jets.root"), table)


def test_entries_of_a_root_file_are_read_up_to_its_end(tmp_path: Path) -> None:
    write_jets(small_table(), tmp_path / "jets.root")
    source = open_source(str(tmp_path / "jets.root"))
    for first, last, counts in ((1, 4, [2, 0, 1]), (3, 6, [1, 1, 0]), (3, 5000, [1, 1, 0]), (0, 1, [0])):
        part = source.part(first, last)
        blocks = list(part.read(part.columns.needed))
        assert np.concatenate([block.counts for block in blocks]).tolist() == counts
        assert sum(block.done for block in blocks) == len(counts)


def test_the_angle_is_wrapped_by_whole_turns_and_within_pi_left_bit_for_bit() -> None:
    inside = np.random.default_rng(0).uniform(-3.14159, 3.14159, 100)
    for turns in (-2, -1, 0, 1, 3):
        np.testing.assert_allclose(wrap_angle(inside + turns * 2 * np.pi), inside, atol=1e-12)
    np.testing.assert_array_equal(wrap_angle(inside), inside)
