"""What a command checks before any work: that the files it will write destroy none."""

import os
from collections.abc import Iterable

from utils.files import clear_partial, refuse_output
from utils.jets import sample_files


def refuse_outputs(
    inputs: Iterable[str | None],
    output: str | None = None,
    suffixes: str | Iterable[str] = (),
    *,
    json_path: str | None = None,
    force: bool = False,
) -> None:
    """Raise OutputError where `output` or `json_path` may not be written (`files.refuse_output`).

    `inputs` are names and patterns of what the command reads; `force` allows to replace files, but never an input.
    What killed processes left beside the outputs is removed.
    """
    read = [file for name in inputs if name is not None for file in sample_files(name)]
    if output is not None:
        refuse_output(output, read, suffixes, force)
    if json_path is not None:
        refuse_output(json_path, read, ".json", force)
    clear_partial(os.path.dirname(os.path.realpath(path)) for path in (output, json_path) if path is not None)
