"""Where the outputs of a campaign go, and which earlier ones they make outdated."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from utils.campaign import run_campaign
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
