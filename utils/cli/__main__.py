"""`python -m utils.cli`."""

import sys

from utils import cli
from utils.cli.interrupts import end_on_signals

if __name__ == "__main__":
    end_on_signals()
    sys.exit(cli.main())
