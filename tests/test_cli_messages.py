"""What commands print: nothing that a file brings commands the terminal, or makes a line of its own."""

import os
import re
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import torch

from utils.cli import main
from utils.files import REPOSITORY
from utils.networks import VARIANTS, Autoencoder, Checkpoint, CustomNormalization, save_checkpoint
from utils.text import format_container, in_line, listing, printable

HOSTILE = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202e\u2028\r"


def written(capfd: pytest.CaptureFixture[str]) -> str:
    """What a command printed; it must be printable."""
    out, err = capfd.readouterr()
    unprintable = {c for c in (out + err) if not c.isprintable() and c not in "\n\t"}
    assert unprintable == set(), unprintable
    return out + err


def test_control_characters_of_names_in_files_are_escaped(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    text, hdf5, odd = tmp_path / "jets.csv", tmp_path / "jets.h5", tmp_path / f"jets{HOSTILE[:9]}.csv"
    odd.write_text("event,m,pt,phi\n")
    text.write_text(f"m,pt,phi,{HOSTILE.strip()}\n1,2,3,4\n")
    with h5py.File(hdf5, "w") as file:
        for name in ("pt", "eta", "phi", "m"):
            file[f"{HOSTILE}jets/{name}"] = np.ones(3)
    pd.DataFrame({f"jet\nerror: {HOSTILE}": [1.0]}).to_parquet(tmp_path / "jets.parquet")
    for path, code in ((text, 2), (hdf5, 0), (odd, 2), (tmp_path / "jets.parquet", 2)):
        assert main(["info", str(path), "--unit", "GeV"]) == code
        said = written(capfd)
        assert "\\x1b" in said
        assert len(said.splitlines()) == 1 or code == 0
        assert main(["convert", str(path), f"{tmp_path}/out.csv", "--unit", "GeV", "--force"]) == code
        written(capfd)


def test_a_name_that_is_no_text_is_printed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = os.path.join(os.fsencode(tmp_path), b"jets\xe9.csv")
    with open(path, "w") as file:
        file.write("event,m\n1,2\n")
    assert main(["info", os.fsdecode(path)]) == 2
    assert "jets\\udce9.csv: missing columns" in written(capfd)


def test_control_characters_of_a_checkpoint_are_escaped(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    torch.manual_seed(0)
    model = Checkpoint(Autoencoder(VARIANTS["tanh"]), CustomNormalization(), {"note": f"\n{HOSTILE}", HOSTILE: 1})
    save_checkpoint(tmp_path / "model.safetensors", model)
    assert main(["info", str(tmp_path / "model.safetensors")]) == 0
    assert "note: \\n\\x1b]0;owned" in written(capfd)


def test_text_of_one_line_stays_one_line() -> None:
    assert in_line("a\nb\tc") == "a\\nb\tc"
    assert printable("a\nb\tä μ ±") == "a\nb\tä μ ±"
    assert listing(["a\nb", "\x1b[2J"]) == "a\\nb, \\x1b[2J"
    assert format_container("x", {"a\nb": {"c": "d\ne"}}).splitlines() == ["x:", "  a\\nb:", "    c: d\\ne"]


def test_commands_print_in_one_way_alone() -> None:
    """By `say` and `note`, which escape."""
    others = [
        path.name
        for path in (REPOSITORY / "utils" / "cli").glob("*.py")
        if path.name != "messages.py"
        and re.search(r"\bclick\.s?echo\(|\bprint\(|std(out|err)\.write", path.read_text())
    ]
    assert others == []
