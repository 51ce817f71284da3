"""`python -m utils.cli`."""

import sys

from utils.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
