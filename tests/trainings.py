"""Train models one after the other, for `launch` to start: each argument holds the options of one `train` command."""

import shlex
import sys

from utils.cli import main

if __name__ == "__main__":
    sys.exit(max(main(["train", *shlex.split(options)]) for options in sys.argv[1:]))
