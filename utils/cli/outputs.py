"""What the name of an output means: one file or a folder, and the suffixes of the files in a folder."""

import os
from pathlib import Path

FORMATS = {"parquet": ".parquet", "root": ".root", "hdf5": ".h5", "csv": ".csv"}
"""Suffixes of the jet files that a command on many files can write; the first is the default."""


def is_folder(output: str | Path) -> bool:
    """Whether an output means a folder: there is one, or the name ends in a slash, or has no suffix and no file has it.

    ValueError for an empty name, for an address, and for "-": nothing is written to the standard output.
    """
    if not str(output):
        raise ValueError("the name of the output is empty")
    if str(output) == "-":
        raise ValueError("-: jets are not written to the standard output; name a file or a folder")
    if "://" in str(output):
        raise ValueError(f"{output}: an address; files are written to folders of this machine")
    path = Path(output)
    return str(output).endswith(("/", os.sep)) or path.is_dir() or not (path.suffix or path.exists())


def jet_suffix(file_format: str | None) -> str:
    """The suffix of a key of `FORMATS`, or of the default."""
    return FORMATS[file_format or next(iter(FORMATS))]
