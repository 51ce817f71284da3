"""The command line as a module of its own name: `python -m compressionhep COMMAND ...`.

It takes `utils` from beside itself, whatever else is called so in the working folder or on PYTHONPATH; so do processes
that it starts, which get its `sys.path`.
"""

import atexit
import gc
import importlib
import sys
from pathlib import Path


def main() -> int:
    """Run the command that the arguments name; returns its exit code."""
    atexit.register(gc.freeze)  # else Python looks through all that was imported once more as it ends, for seconds
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    importlib.import_module("utils.cli.interrupts").end_on_signals()
    return importlib.import_module("utils.cli").main()


if __name__ == "__main__":
    sys.exit(main())
