"""`python -m utils.cli`."""

import sys

from utils.cli.main import main

sys.exit(main())
