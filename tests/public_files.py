"""Public files that some tests read, from the folder that COMPRESSIONHEP_INPUTS names."""

import os
from pathlib import Path

import pytest

PUBLIC_FILES = (
    "nanoAOD_2015_CMS_Open_Data_ttbar.root",
    "uproot-HZZ.root",
    "nano_tt_v15.root",
    "PHYSLITE_example.root",
    "monojet_Zp2000.0_DM_50.0_chan3.csv",
)
"""CONTRIBUTING.md says where they are from."""


def public_file(name: str) -> Path:
    """The path of one of `PUBLIC_FILES`; without it the test is skipped."""
    assert name in PUBLIC_FILES
    path = Path(os.environ.get("COMPRESSIONHEP_INPUTS", ""), name)
    if not path.is_file():
        pytest.skip(f"COMPRESSIONHEP_INPUTS names no folder that holds {name}")
    return path
