"""Events are named by run, luminosity block and number, in every format, in samples and in containers."""

from pathlib import Path

import awkward as ak
import h5py
import numpy as np
import pandas as pd
import pytest
import uproot

from utils.cli import main
from utils.codec import compress, decompress, read_compressed
from utils.jets import (
    JetError,
    JetWarning,
    concat_tables,
    convert_jets,
    cut_table,
    event_counts,
    iter_jets,
    make_table,
    number_of_events,
    read_jets,
    select_jets,
    split_jets,
    summarize_jets,
    write_jets,
)

WRITTEN = (".root", ".parquet", ".h5", ".csv")

IDS = [(1, 1, 6), (1, 1, 7), (1, 2, 7), (1, 2, 8), (2, 1, 8)]
"""Two pairs of neighbours share a number, one in another block and one in another run."""

LUMI_BLOCKS = "run,luminosityBlock,event,pt,eta,phi,m\n" + "".join(
    f"{run},{block},{event},{50 + i},0.{i},1.{i},7\n" for i, (run, block, event) in enumerate(np.repeat(IDS, 2, axis=0))
)


def jets() -> pd.DataFrame:
    """10 jets of 5 events, and 2 events without any."""
    ids = np.repeat(IDS, 2, axis=0).T
    columns = dict(zip(("run", "luminosityBlock", "event"), ids, strict=True))
    jet = np.arange(10.0)
    return make_table(jet + 1, 50 + jet, jet / 10, -jet / 10, columns, [(1, 1, 8), (1, 2, 6)])


def test_neighbours_of_one_number_in_different_blocks_are_different_events(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.csv").write_text(LUMI_BLOCKS)
    table = read_jets(tmp_path / "a.csv")
    ids, counts = event_counts(table)
    assert (ids.tolist(), counts.tolist()) == (IDS, [2] * 5)
    assert list(table) == ["run", "luminosityBlock", "event", "m", "pt", "phi", "eta"]
    assert main(["convert", str(tmp_path / "a.csv"), str(tmp_path / "a.root")]) == 0
    shown = capsys.readouterr()
    assert "10 jets of 5 events" in shown.out
    assert "event numbers: run, luminosityBlock, event" in shown.err
    assert main(["info", str(tmp_path / "a.root")]) == 0
    assert "events    5, of which 0 have no jet" in capsys.readouterr().out


@pytest.mark.parametrize("other", WRITTEN)
@pytest.mark.parametrize("suffix", WRITTEN)
def test_ids_go_through_every_format_and_back(suffix: str, other: str, tmp_path: Path) -> None:
    table = jets()
    write_jets(table, tmp_path / f"a{suffix}")
    convert_jets(tmp_path / f"a{suffix}", tmp_path / f"b{other}")
    found = read_jets(tmp_path / f"b{other}")
    assert found.equals(table)
    assert found.attrs == table.attrs == {"empty_events": [(1, 1, 8), (1, 2, 6)]}


@pytest.mark.parametrize("suffix", WRITTEN)
def test_a_container_gives_the_ids_back(suffix: str, tmp_path: Path) -> None:
    table = jets()
    write_jets(table, tmp_path / f"a{suffix}")
    compress(tmp_path / f"a{suffix}", tmp_path / "a.zarr.zip", codec="lossless", chunk_jets=3)
    assert read_compressed(tmp_path / "a.zarr.zip").equals(table)
    decompress(tmp_path / "a.zarr.zip", tmp_path / f"b{suffix}")
    found = read_jets(tmp_path / f"b{suffix}")
    assert found.equals(table)
    assert found.attrs == table.attrs


@pytest.mark.parametrize("suffix", WRITTEN)
def test_a_stream_keeps_ids_whatever_its_chunks(suffix: str, tmp_path: Path) -> None:
    write_jets(cut_table(jets(), 3), tmp_path / f"a{suffix}")
    for chunk_jets in (1, 3, 100):
        found = concat_tables(iter_jets(tmp_path / f"a{suffix}", chunk_jets=chunk_jets))
        assert found.equals(jets())
        assert found.attrs == jets().attrs


def test_a_note_finds_a_run_that_was_changed(tmp_path: Path) -> None:
    write_jets(jets(), tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "a") as file:
        file["run"][:2] = 0
    with pytest.raises(JetError, match="damaged: its 10 jets are not those that were written"):
        read_jets(tmp_path / "a.h5")


SPELLINGS = {
    "NanoAOD": ("run", "luminosityBlock", "event"),
    "ggNtuplizer": ("run", "lumis", "event"),
    "small": ("run", "ls", "evt"),
    "TreeMaker": ("RunNum", "LumiBlockNum", "EvtNum"),
    "ATLAS": ("runNumber", "lumiBlock", "eventNumber"),
    "pandas": ("run_number", "lumi_section", "event_id"),
    "lumi": ("Run", "lumi", "Event"),
    "LB": ("runNo", "lbn", "eventNo"),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_the_spellings_of_experiments_are_known(spelling: str, tmp_path: Path) -> None:
    names = dict(zip(("run", "luminosityBlock", "event"), SPELLINGS[spelling], strict=True))
    table = jets().rename(columns=names)
    table.attrs = {}
    table.to_csv(tmp_path / "a.csv", index=False)
    np.savez(tmp_path / "a.npz", **{str(name): table[name].to_numpy() for name in table})  # type: ignore[arg-type]
    table.to_pickle(tmp_path / "a.pkl")
    for path in ("a.csv", "a.npz", "a.pkl"):
        assert read_jets(tmp_path / path).equals(jets())
    ids = np.array(IDS)
    lists = {f"Jet_{name}": ak.unflatten(table[name].to_numpy(), 2) for name in ("pt", "eta", "phi", "m")}
    with uproot.recreate(tmp_path / "a.root") as file:
        file.mktree("Events", {name: ids[:, i].astype(np.uint32) for i, name in enumerate(names.values())} | lists)
    assert read_jets(tmp_path / "a.root").equals(jets())


def test_the_ids_of_xaod_stand_in_event_info(tmp_path: Path) -> None:
    ids, table = np.array(IDS), jets()
    branches = {"runNumber": ids[:, 0], "lumiBlock": ids[:, 1], "eventNumber": ids[:, 2].astype(np.uint64)}
    lists = {
        f"AnalysisJetsAuxDyn.{name}": ak.unflatten(table[name].to_numpy() * (1000 if name in ("pt", "m") else 1), 2)
        for name in ("pt", "eta", "phi", "m")
    }
    with uproot.recreate(tmp_path / "a.root") as file:
        file.mktree("CollectionTree", {f"EventInfoAuxDyn.{name}": ids for name, ids in branches.items()} | lists)
    found = read_jets(tmp_path / "a.root")
    assert event_counts(found)[0].tolist() == IDS
    np.testing.assert_allclose(found["pt"], table["pt"], rtol=1e-6)


def test_a_luminosity_is_no_luminosity_block(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("event,lumi,pt,eta,phi,m\n1,36.1,50,0,0,5\n1,36.1,51,0,0,5\n")
    assert list(read_jets(tmp_path / "a.csv")) == ["event", "m", "pt", "phi", "eta"]
    (tmp_path / "b.csv").write_text("event,luminosityBlock,pt,eta,phi,m\n1,1,50,0,0,5\n1,2,51,0,0,5\n")
    assert number_of_events(read_jets(tmp_path / "b.csv")) == 2


def test_the_advice_to_sort_merges_no_events(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(
        "event,block,pt,eta,phi,m\n7,1,50,0,0,5\n8,1,51,0,0,5\n7,2,52,0,0,5\n7,2,53,0,0,5\n"
    )
    with pytest.raises(JetError, match=r"sort the rows by event if .* one event, or name the columns of run and lumi"):
        read_jets(tmp_path / "a.csv")
    assert number_of_events(read_jets(tmp_path / "a.csv", columns="event=event,luminosityBlock=block")) == 3
    text = LUMI_BLOCKS.replace("1,1,6,51", "2,1,8,51")
    (tmp_path / "b.csv").write_text(text)
    with pytest.raises(JetError, match=r"again later, such as \(2, 1, 8\); sort .* by run, luminosityBlock, event"):
        read_jets(tmp_path / "b.csv")
    rows = pd.read_csv(tmp_path / "b.csv").sort_values(["run", "luminosityBlock", "event"], kind="stable")
    rows.to_csv(tmp_path / "c.csv", index=False)
    assert event_counts(read_jets(tmp_path / "c.csv"))[1].tolist() == [1, 2, 2, 2, 3]


def test_files_of_several_runs_keep_their_numbers_and_those_without_runs_do_without(tmp_path: Path) -> None:
    table = jets()[["run", "event", "m", "pt", "phi", "eta"]]
    table.attrs = {}
    for run in (1, 2):
        write_jets(table.assign(run=np.int64(run)).head(4), tmp_path / f"run{run}.parquet")
    found = read_jets(tmp_path / "run*.parquet")
    assert event_counts(found)[0].tolist() == [(1, 6), (1, 7), (2, 6), (2, 7)]
    write_jets(table.drop(columns="run").assign(event=np.int64(9)).head(1), tmp_path / "none.parquet")
    with pytest.warns(JetWarning, match="event numbers repeat, so events are counted"):
        found = read_jets([tmp_path / "run1.parquet", tmp_path / "run2.parquet", tmp_path / "none.parquet"])
    assert found["event"].tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4]
    assert "run" not in found


def test_ids_stay_with_their_jets_in_cuts_and_splits(tmp_path: Path) -> None:
    chosen = select_jets(jets(), pt_min=52.5)
    assert event_counts(chosen)[1].tolist() == [0, 1, 0, 0, 2, 2, 2]
    assert chosen.attrs["empty_events"] == [(1, 1, 6), (1, 1, 8), (1, 2, 6)]
    parts = split_jets(jets(), (0.5, 0.5), seed=3)
    found = [{tuple(row) for row in event_counts(part)[0].tolist()} for part in parts]
    assert not found[0] & found[1]
    assert found[0] | found[1] == {*IDS, (1, 1, 8), (1, 2, 6)}


@pytest.mark.parametrize("value", ["1.5", "2022C", str(2**63)])
def test_ids_that_are_no_whole_numbers_of_64_bits_are_refused(value: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(LUMI_BLOCKS.replace("2,1,8", f"{value},1,8"))
    with pytest.raises(JetError, match=r"a\.csv"):
        read_jets(tmp_path / "a.csv")
    assert main(["convert", str(tmp_path / "a.csv"), str(tmp_path / "b.csv")]) == 2
    found = read_jets(tmp_path / "a.csv", columns="event=event,lumi=luminosityBlock")
    assert event_counts(found)[1].tolist() == [2] * 5


def test_a_summary_names_the_columns_of_events(tmp_path: Path) -> None:
    write_jets(jets(), tmp_path / "a.parquet")
    (file,) = summarize_jets(tmp_path / "a.parquet")["files"]
    assert file["event_columns"] == ["run", "luminosityBlock", "event"]
    assert file["columns_option"].endswith("run=run,luminosityBlock=luminosityBlock,event=event")


def test_tables_of_different_columns_make_no_stream(tmp_path: Path) -> None:
    plain = make_table([1], [50], [0], [0], [9])
    with pytest.raises(JetError, match="events are named by event, those before by others"):
        write_jets(iter([jets(), plain]), tmp_path / "a.h5")
    with pytest.raises(JetError, match="tables whose events are named by different columns"):
        concat_tables([jets(), plain])
    with pytest.raises(JetError, match="run is int32; expected int64 for run, luminosityBlock, event"):
        write_jets(jets().astype({"run": np.int32}), tmp_path / "a.h5")
