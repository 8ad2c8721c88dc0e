"""Given a server behind nginx that stops, when nginx uses a connection it keeps, then that request is answered, too."""

from __future__ import annotations

from gateway.http.forwarded import Proxy
from tests.gateway.strict_server import HOST, StrictServer, answers, bounds, read_all

ONE = b"GET /one HTTP/1.1\r\n" + HOST + b"\r\n"
TWO = b"GET /two HTTP/1.1\r\n" + HOST + b"\r\n"


def test_an_idle_connection_gets_one_more_answer_and_is_told_that_it_was_the_last() -> None:
    with StrictServer(bounds(), Proxy("a-secret")) as server, server.connect() as client:
        client.sendall(ONE)
        [first] = answers(client.recv(65536))
        server.stop()
        server.wait_until_refusing()
        client.sendall(TWO + ONE)
        [second] = answers(read_all(client))
        assert (first.status, second.status) == (200, 200)
        assert "connection" not in first.headers
        assert second.headers["connection"] == "close"
        assert server.served == ["GET /one", "GET /two"]


def test_a_request_that_was_half_sent_is_answered() -> None:
    with StrictServer(bounds(), Proxy("a-secret")) as server, server.connect() as client:
        client.sendall(b"POST /one HTTP/1.1\r\n" + HOST + b"Content-Length: 4\r\n\r\nab")
        server.wait_for_connections(1)
        server.stop()
        server.wait_until_refusing()
        client.sendall(b"cd")
        [answer] = answers(read_all(client))
        assert answer.status == 200
        assert answer.headers["connection"] == "close"


def test_a_connection_that_stays_idle_is_closed() -> None:
    with StrictServer(bounds(), Proxy("a-secret")) as server, server.connect() as client:
        client.sendall(ONE)
        answers(client.recv(65536))
        server.stop()
        assert read_all(client) == b""


def test_without_a_proxy_an_idle_connection_is_closed_at_once() -> None:
    with StrictServer(bounds()) as server, server.connect() as client:
        client.sendall(ONE)
        answers(client.recv(65536))
        server.stop()
        server.wait_until_refusing()
        assert read_all(client) == b""
