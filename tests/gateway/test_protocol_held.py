"""Given little room for what clients leave with the server, when many leave much, then the last bodies are
refused and the slowest readers cut off; and whoever answers, leaves or reads gives the room back."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

import pytest

from tests.gateway.strict_server import HOST, TIMEOUT, StrictServer, answers, bounds, read_all

ROOM = 1_000_000
LARGE = 600_000


@pytest.fixture
def server() -> Iterator[StrictServer]:
    with StrictServer(bounds(max_held_bytes=ROOM)) as running:
        yield running


def post(path: bytes, size: int) -> bytes:
    """A request whose connection ends after it."""
    length = b"Content-Length: %d\r\nConnection: close\r\n\r\n" % size
    return b"POST " + path + b" HTTP/1.1\r\n" + HOST + length + b"x" * size


def holding(server: StrictServer) -> socket.socket:
    """A client that waits for the answer to a large body."""
    client = server.connect()
    client.sendall(post(b"/wait", LARGE))
    assert server.running.acquire(timeout=TIMEOUT)
    return client


def test_a_body_without_room_is_refused_until_another_is_answered(server: StrictServer) -> None:
    with holding(server) as first:
        [refusal] = server.talk(post(b"/", LARGE))
        assert (refusal.status, refusal.headers["retry-after"]) == (503, "1")
        assert (
            refusal.json["status"]
            == f"the bodies being received are larger than {ROOM} bytes together: try again later"
        )
        [small] = server.talk(post(b"/", 1000))
        assert small.status == 200
        server.release()
        assert answers(read_all(first))[0].status == 200
    [answer] = server.talk(post(b"/", LARGE))
    assert answer.status == 200


def test_a_client_that_leaves_gives_its_room_back(server: StrictServer) -> None:
    for _ in range(5):
        with server.connect() as unfinished:
            unfinished.sendall(post(b"/", LARGE)[:-1])
            server.wait_for_connections(1)
        server.wait_for_connections(0)
    assert server.talk(post(b"/", LARGE))[0].status == 200


def test_a_refused_body_gives_its_room_back(server: StrictServer) -> None:
    with holding(server):
        for _ in range(3):
            assert server.talk(post(b"/", LARGE))[0].status == 503
        assert server.talk(post(b"/", ROOM - LARGE))[0].status == 200


def test_requests_of_one_connection_give_their_room_back_one_by_one(server: StrictServer) -> None:
    several = post(b"/", 300_000).replace(b"Connection: close\r\n", b"") * 5
    found = server.talk(several + post(b"/", 300_000))
    assert [answer.status for answer in found] == [200] * 6


def reading_little(server: StrictServer, ask: bytes) -> socket.socket:
    """A client that reads the first byte of its answer."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.settimeout(TIMEOUT)
    client.connect(("127.0.0.1", server.port))
    client.sendall(ask)
    assert len(client.recv(1)) == 1
    return client


def test_of_those_that_do_not_read_the_slowest_is_cut_off() -> None:
    size = 15_000_000
    ask = b"GET /big?%d HTTP/1.1\r\n" % size + HOST + b"Connection: close\r\n\r\n"
    with StrictServer(bounds(max_held_bytes=20_000_000)) as server, contextlib.ExitStack() as stack:
        first = stack.enter_context(reading_little(server, ask))
        second = stack.enter_context(reading_little(server, ask))
        server.wait_for_connections(1)
        assert len(read_all(first)) < size
        assert len(read_all(second)) >= size
