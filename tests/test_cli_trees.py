"""The commands slim and audit: what they print, write and refuse."""

import json
from pathlib import Path

import pytest
from tree_files import write_trees

from utils.cli import main
from utils.trees import open_trees


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_trees(tmp_path / "in.root")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_slim_says_what_is_within_bounds_and_what_is_not_carried(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = "slim in.root out.root --policy nanoaod --bound Jet_pt=2%,10MeV --drop HLT_* --json report.json"
    assert main(command.split()) == 0
    out, err = capsys.readouterr()
    assert "Events: 30 branches of 6 entries" in out
    assert "within their bounds for all 10 of Jet; largest error" in out
    assert "Runs: 2 branches of 1 entries" in out
    assert "HLT_any" in out
    assert "histogram (TH1D)" in err
    report = json.loads((folder / "report.json").read_text())
    assert report["trees"]["Events"]["bounded"]["Jet_pt"][0] == "2%,10MeV"
    with open_trees("out.root") as file:
        assert [tree.name for tree in file.trees] == ["Events", "Runs", "extra/more", "empty"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("slim in.root in.root --force", "is an input"),
        ("slim in.root there.root", "--force"),
        ("slim in.root out.parquet", ".root"),
        ("slim none.root out.root", "no such file"),
        ("slim in.root out.root --policy none", "stored, nanoaod, physlite"),
        ("slim in.root out.root --bound Jat_pt=1%", "nearest is Jet_pt"),
        ("slim in.root out.root --bound Jet_pt", "PATTERN=BOUND"),
        ("slim in.root out.root --tree No", "those there are: Events"),
        ("slim in.root out.root --policy mine.toml --json mine.json", "mine.toml"),
        ("audit in.root --keep nothing", "no branch is called so"),
        ("audit there.root", "there.root"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_exit_code_2(
    folder: Path, capsys: pytest.CaptureFixture[str], words: str, message: str
) -> None:
    (folder / "there.root").write_text("mine")
    (folder / "mine.toml").write_text("no toml")
    before = sorted(path.name for path in folder.iterdir())
    assert main(words.split()) == 2
    err = capsys.readouterr().err.strip()
    assert message in err
    assert err.startswith("compressionhep: error:")
    assert "\n" not in err
    assert sorted(path.name for path in folder.iterdir()) == before
    assert (folder / "there.root").read_text() == "mine"


def test_audit_shows_branches_and_observables(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        main(["audit", "in.root", "--policy", "nanoaod", "--rows", "5", "--json", "audit.json", "--page", "audit.html"])
        == 0
    )
    out = capsys.readouterr().out
    assert "Events: 6 entries, 31 branches" in out
    assert "The 5 costliest branches" in out
    assert "leading dijet mass" in out
    assert "Jet_btagDeepFlavB above 0.2783" in out
    page = (folder / "audit.html").read_text()
    assert page.count("data:image/png") == 4  # bytes of all trees but the empty one, errors of one
    assert "Jet_btagDeepFlavB above 0.2783" in page
    report = json.loads((folder / "audit.json").read_text())
    assert len(report["trees"][0]["branches"]) == 31
