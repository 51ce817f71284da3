"""Where the outputs of a campaign go, and which earlier ones they make outdated."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tree_files import write_trees

from utils import codec
from utils.campaign import run_campaign
from utils.cli import main
from utils.files import OutputError
from utils.jets import make_table, read_jets, write_jets


def make_jets(n: int):
    values = np.arange(n, dtype=np.float32)
    return make_table(values % 7 + 5, values % 50 + 50, values % 3, values % 2, np.arange(n))


@pytest.fixture
def convert(tmp_path: Path, scheduler: str):
    def run(inputs, suffix: str = ".parquet"):
        options: dict[str, Any] = {"suffix": suffix, "scheduler": scheduler, "progress": False}
        campaign = run_campaign("convert", inputs, tmp_path / "out", {}, **options)
        assert campaign.failures == {}
        return [(Path(row["output"]).name, row["state"]) for row in campaign.rows]

    return run


def test_an_output_of_another_source_is_not_outdated_whatever_its_name(convert, tmp_path: Path) -> None:
    for name, jets in (("run.part-0-of-2", 3), ("run.part-1-of-2", 4), ("run", 5)):
        write_jets(make_jets(jets), tmp_path / f"{name}.csv")
    assert convert(tmp_path / "run.part-0-of-2.csv") == [("run.part-0-of-2.parquet", "done")]
    assert convert(tmp_path / "run.csv") == [("run.parquet", "done")]
    assert convert(tmp_path / "run.part-1-of-2.csv") == [("run.part-1-of-2.parquet", "done")]
    found = {path.name: len(read_jets(path)) for path in (tmp_path / "out").glob("*.parquet")}
    assert found == {"run.part-0-of-2.parquet": 3, "run.parquet": 5, "run.part-1-of-2.parquet": 4}


def test_outputs_that_links_make_one_are_refused(convert, tmp_path: Path) -> None:
    for name in ("one", "other"):
        write_jets(make_jets(3), tmp_path / "data" / name / "a.csv")
    (tmp_path / "out" / "one").mkdir(parents=True)
    (tmp_path / "out" / "other").symlink_to("one")
    with pytest.raises(OutputError, match=r"one/a\.csv and .*other/a\.csv would both become"):
        convert(f"{tmp_path}/data/**/*.csv")


def test_a_second_run_takes_no_output_for_an_input_by_whatever_way_it_gets_there(convert, tmp_path: Path) -> None:
    write_jets(make_jets(3), tmp_path / "a.csv")
    assert convert(f"{tmp_path}/**/*.csv", ".csv") == [("a.csv", "done")]
    (tmp_path / "0").symlink_to("out")
    (tmp_path / "link").symlink_to(tmp_path)
    for _ in range(2):
        assert convert(f"{tmp_path}/link/**/*.csv", ".csv") == [("a.csv", "kept")]
    assert len(list((tmp_path / "out").rglob("*.csv"))) == 1


def test_containers_of_trees_become_root_files_and_those_of_jets_parquet(
    tmp_path: Path, scheduler: str, capsys: pytest.CaptureFixture[str]
) -> None:
    small, back = tmp_path / "small", tmp_path / "back"
    small.mkdir()
    write_trees(tmp_path / "in.root")
    codec.slim(tmp_path / "in.root", small / "trees.zarr.zip")

    def decompress(pattern: str, *options: str) -> tuple[int, list[str]]:
        code = main(["decompress", f"{small}/{pattern}", f"{back}/", "--scheduler", scheduler, *options])
        return code, capsys.readouterr().out.splitlines()

    code, said = decompress("trees.*")
    assert (code, [line for line in said if line.startswith("jets")]) == (0, [])
    codec.compress(make_jets(3), small / "jets.zarr.zip")
    (small / "bad.zarr.zip").write_bytes(b"PK and nothing more")
    code, said = decompress("*")
    assert code == 1
    assert "files       3 (1 failed, 1 from an earlier run)" in said
    assert "jets        3 of 3 events" in said
    assert said[-1].startswith(f"failed: {small / 'bad.zarr.zip'}: ")
    assert sorted(path.name for path in back.iterdir() if path.is_file()) == ["jets.parquet", "trees.root"]
    code, said = decompress("trees.*", "--format", "csv")
    assert code == 1
    assert said[-1].endswith("in a folder --format root)")
