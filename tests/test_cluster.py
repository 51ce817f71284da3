"""Nobody else talks to the processes of a cluster of this machine."""

import os
import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress

import psutil
import pytest
from distributed import Client
from distributed.security import Security

from tests.network_helpers import LOOPBACK, listening
from utils.cluster import ClusterError, connect

ALERT = b"\x15\x03"
"""How TLS says that it was not understood."""


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    before = dict(os.environ)
    with connect(workers=1) as client:
        yield client
    changed = {name for name, _ in before.items() ^ os.environ.items()} - {"PYTEST_CURRENT_TEST"}
    assert changed == set(), "a cluster changed what later processes inherit, such as how many threads torch has"


@pytest.fixture(scope="module")
def ports(client: Client) -> list[int]:
    found = listening(psutil.Process())
    assert {address for address, _ in found} <= LOOPBACK
    assert len(found) >= 3  # a scheduler, a worker, and who looks after it
    return sorted(port for _, port in found)


def answer(connection: socket.socket, message: bytes) -> bytes:
    """What comes back before the other side hangs up."""
    received = b""
    with suppress(OSError):  # reset, or an alert of TLS
        connection.sendall(message)
        while part := connection.recv(1000):
            received += part
    return received


@pytest.mark.parametrize("message", [b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", b"\0" * 64], ids=["HTTP", "plain"])
def test_ports_answer_nothing_to_who_does_not_speak_tls(message: bytes, ports: list[int]) -> None:
    for port in ports:
        with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
            received = answer(connection, message)
            assert not received or received.startswith(ALERT)


def test_ports_hang_up_on_who_has_not_the_key(ports: list[int]) -> None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    for port in ports:
        with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
            assert answer(context.wrap_socket(connection), b"\0" * 64) == b""


@pytest.mark.parametrize("key", [None, Security.temporary()], ids=["no key", "another key"])
def test_no_code_runs_for_a_client_without_the_key(key: Security | None, client: Client) -> None:
    address = client.scheduler_info()["address"]
    assert address.startswith("tls://127.0.0.1:")
    with pytest.raises((OSError, TypeError, RuntimeError)):
        Client(address, security=key, timeout="5s")
    assert client.submit(int, "7").result() == 7


def test_there_are_no_pages_unless_they_are_asked_for(client: Client) -> None:
    info = client.scheduler_info()
    assert info["services"] == {}
    assert [worker["services"] for worker in info["workers"].values()] == [{}]


def test_a_dashboard_belongs_to_a_cluster_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    where = "tcp://127.0.0.1:1"
    with (
        pytest.raises(ClusterError, match="a dashboard and a scheduler do not go together"),
        connect(scheduler=where, dashboard=True),
    ):
        pass
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ClusterError, match="pip install bokeh"), connect(workers=1, dashboard=True):
        pass
