"""What the reader of jets logs, for a command to show and a worker to report."""

import contextlib
import logging
from collections.abc import Callable, Iterator


class _Teller(logging.Handler):
    def __init__(self, tell: Callable[[str], object]) -> None:
        super().__init__()
        self.tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        self.tell(record.getMessage())


@contextlib.contextmanager
def listening(tell: Callable[[str], object]) -> Iterator[None]:
    """Tell every message on what is read (the logger "utils.jets", level INFO) while the block runs."""
    logger, handler = logging.getLogger("utils.jets"), _Teller(tell)
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
