"""The command line as a module of its own name: `python -m compressionhep COMMAND ...`.

It takes `utils` from beside itself, whatever else is called so in the working folder or on PYTHONPATH.
"""

import importlib
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
try:
    main = importlib.import_module("utils.cli").main
finally:
    sys.path.pop(0)

if __name__ == "__main__":
    sys.exit(main())
