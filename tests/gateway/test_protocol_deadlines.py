"""Given short deadlines, when a client is slower than they allow, then its connection ends with the exact
status, whatever it sends meanwhile; and a client that keeps to them is never cut off."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from tests.gateway.strict_server import CANARY, HOST, TIMEOUT, StrictServer, answers, bounds, read_all

GET = b"GET / HTTP/1.1\r\n" + HOST
POST = b"POST / HTTP/1.1\r\n" + HOST


@pytest.fixture(scope="module")
def server() -> Iterator[StrictServer]:
    with StrictServer(bounds(header_secs=0.3, body_secs=0.4, write_secs=0.3, keepalive_secs=0.5)) as running:
        yield running


def dripped(client: socket.socket, piece: bytes) -> bytes:
    """What the server answers to a client that sends `piece` again and again, ten times a second."""
    done = threading.Event()

    def drip() -> None:
        while not done.wait(0.1):
            try:
                client.send(piece)
            except OSError:
                return

    dripper = threading.Thread(target=drip)
    dripper.start()
    try:
        return read_all(client)
    finally:
        done.set()
        dripper.join()


@pytest.mark.parametrize("begin", [b"GET /", GET, GET + b"A: b", GET + b"A: b\r\n"])
def test_headers_that_come_byte_by_byte_meet_their_deadline(server: StrictServer, begin: bytes) -> None:
    server.served.clear()
    with server.connect() as client:
        client.sendall(begin)
        [answer] = answers(dripped(client, b"x"))
    assert answer.status == 408
    assert "0.3 seconds" in answer.json["status"]
    assert server.served == []


def test_empty_lines_before_a_request_do_not_keep_a_connection_open(server: StrictServer) -> None:
    with server.connect() as client:
        assert dripped(client, b"\r\n") == b""


def test_the_deadline_of_a_later_request_begins_with_its_first_byte(server: StrictServer) -> None:
    with server.connect() as client:
        client.sendall(GET + b"\r\nGET /next HTTP/1.1\r\n")
        first, second = answers(read_all(client))
    assert (first.status, second.status) == (200, 408)
    assert "0.3 seconds" in second.json["status"]


def test_a_client_that_asks_nothing_is_closed_without_a_word(server: StrictServer) -> None:
    with server.connect() as client:
        assert read_all(client) == b""
    with server.connect() as client:
        client.sendall(GET + b"\r\n")
        [answer] = answers(read_all(client))
        assert answer.status == 200


@pytest.mark.parametrize(
    "head", [b"Content-Length: 1000\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n", b"Content-Length: 1000\r\n\r\nx"]
)
def test_a_body_that_does_not_arrive_meets_its_deadline(server: StrictServer, head: bytes) -> None:
    server.served.clear()
    [answer] = server.talk(POST + head)
    assert answer.status == 408
    assert "0.4 seconds" in answer.json["status"]
    assert server.served == []


def test_a_body_that_comes_byte_by_byte_meets_its_deadline(server: StrictServer) -> None:
    with server.connect() as client:
        client.sendall(POST + b"Content-Length: 1000\r\n\r\n")
        [answer] = answers(dripped(client, b"x"))
    assert answer.status == 408


def test_the_application_is_told_when_a_large_body_breaks_off(server: StrictServer) -> None:
    server.gone.clear()
    with server.connect() as client:
        client.sendall(POST + b"Content-Length: 500000\r\n\r\n" + b"x" * 300_000)
        [answer] = answers(read_all(client))
        assert answer.status == 408
        assert server.gone.wait(TIMEOUT)
        assert server.uvicorn.server_state.connections, "it was told only when the connection was lost"


@pytest.mark.parametrize("begun", [GET, POST + b"Content-Length: 5\r\n\r\nabc"])
def test_half_a_request_is_refused_when_the_client_ends(server: StrictServer, begun: bytes) -> None:
    with server.connect() as client:
        client.sendall(begun)
        client.shutdown(socket.SHUT_WR)
        [answer] = answers(read_all(client))
    assert answer.status == 400
    assert "before the request was complete" in answer.json["status"]


def test_a_client_that_does_not_read_is_cut_off(server: StrictServer) -> None:
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.settimeout(TIMEOUT)
    client.connect(("127.0.0.1", server.port))
    with client:
        client.sendall(b"GET /big?8000000 HTTP/1.1\r\n" + HOST + b"\r\n")
        server.wait_for_connections(1)
        server.wait_for_connections(0)
        assert len(read_all(client)) < 8_000_000


def test_a_client_that_reads_slowly_gets_everything(server: StrictServer) -> None:
    with server.connect() as client:
        client.sendall(b"GET /big?20000000 HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n")
        never = threading.Event()
        received = 0
        while piece := client.recv(2_000_000):
            received += len(piece)
            never.wait(0.05)
    assert received > 20_000_000


def test_a_slow_function_is_no_slow_client(server: StrictServer) -> None:
    with server.connect() as client:
        client.sendall(b"GET /wait HTTP/1.1\r\n" + HOST + b"\r\n" + CANARY + b"GET /half HTTP/1.1\r\n")
        assert server.running.acquire(timeout=TIMEOUT)
        threading.Timer(0.7, server.release).start()
        begun = client.recv(1)
        client.sendall(HOST + b"Connection: close\r\n\r\n")
        found = answers(begun + read_all(client))
    assert [answer.json["path"] for answer in found] == ["/wait", "/canary", "/half"]
