"""What a process and its children listen to."""

from contextlib import suppress

import psutil

LOOPBACK = {"127.0.0.1", "::1"}


def listening(process: psutil.Process) -> set[tuple[str, int]]:
    """Addresses and ports at which a process, or one that it started, waits for somebody to connect."""
    found = set()
    with suppress(psutil.NoSuchProcess):
        for one in [process, *process.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):
                found |= {
                    (connection.laddr.ip, connection.laddr.port)
                    for connection in one.net_connections(kind="inet")
                    if connection.status == psutil.CONN_LISTEN
                }
    return found
