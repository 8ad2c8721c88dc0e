"""Given a server with bounds, when one client wants more than they allow, then it gets the exact status,
its connection is closed, and the server's memory does not follow."""

from __future__ import annotations

from collections.abc import Iterator

import psutil
import pytest

from tests.gateway.strict_server import CANARY, HOST, StrictServer, answers, bounds, read_all

MIB = 1024 * 1024
GET = b"GET / HTTP/1.1\r\n" + HOST
POST = b"POST / HTTP/1.1\r\n" + HOST
LAST = b"GET /last HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"


@pytest.fixture(scope="module")
def server() -> Iterator[StrictServer]:
    with StrictServer(bounds(max_body_bytes=200_000)) as running:
        yield running


def refused(server: StrictServer, attack: bytes, status: int) -> str:
    server.served.clear()
    [answer] = server.talk(attack + CANARY)
    assert (answer.status, server.served) == (status, [])
    assert answer.headers["connection"] == "close"
    return str(answer.json["status"])


def test_a_head_may_have_so_many_headers(server: StrictServer) -> None:
    [answer] = server.talk(GET + b"A: b\r\n" * 98 + b"Connection: close\r\n\r\n")
    assert answer.status == 200
    assert "100 headers" in refused(server, GET + b"A: b\r\n" * 99 + b"Connection: close\r\n\r\n", 431)


def test_a_head_may_have_so_many_bytes(server: StrictServer) -> None:
    [answer] = server.talk(GET + b"A: " + b"x" * 32_000 + b"\r\nConnection: close\r\n\r\n")
    assert answer.status == 200
    assert "32768 bytes" in refused(server, GET + b"A: " + b"x" * 33_000 + b"\r\n\r\n", 431)
    assert "32768 bytes" in refused(server, GET + (b"A: " + b"x" * 1000 + b"\r\n") * 33 + b"\r\n", 431)


def test_a_target_may_have_so_many_bytes(server: StrictServer) -> None:
    for target in (b"/" + b"x" * 8191, b"/?" + b"x" * 8190):
        [answer] = server.talk(b"GET " + target + b" HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n")
        assert answer.status == 200
        assert "8192 bytes" in refused(server, b"GET " + target + b"x HTTP/1.1\r\n" + HOST + b"\r\n", 414)
    refused(server, b"GET /" + b"x" * 65536 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 414)


@pytest.mark.parametrize(
    ("begin", "more", "status"),
    [
        (GET + b"A: ", b"x" * 4096, 431),
        (GET, b"x" * 4096, 431),
        (GET, b"A: b\r\n" * 30, 431),
        (b"GET /", b"x" * 1024, 414),
        (GET + b"Cookie: a=b", b"; a=b" * 1000, 431),
    ],
)
def test_a_head_without_end_is_refused_while_it_comes(
    server: StrictServer, begin: bytes, more: bytes, status: int
) -> None:
    [answer] = server.talk([begin, more * 40])
    assert answer.status == status


def test_hostile_heads_cost_no_memory(server: StrictServer) -> None:
    attacks = [
        GET + b"".join(b"X-%d: %d\r\n" % (i, i) for i in range(10_000)) + b"\r\n",
        GET + b"A: " + b"x" * MIB + b"\r\n\r\n",
        GET + b"Cookie: " + b"a=b; " * 100_000 + b"\r\n\r\n",
    ]
    process = psutil.Process()
    for attack in attacks:
        refused(server, attack, 431)
    before = process.memory_info().rss
    for _ in range(20):
        for attack in attacks:
            refused(server, attack, 431)
    assert process.memory_info().rss - before < 8 * MIB


def test_a_body_may_have_so_many_bytes(server: StrictServer) -> None:
    body = b"x" * 200_000
    [answer] = server.talk(POST + b"Connection: close\r\nContent-Length: 200000\r\n\r\n" + body)
    assert len(answer.json["body"]) == 200_000
    chunks = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    [answer] = server.talk(POST + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks)
    assert len(answer.json["body"]) == 200_000


@pytest.mark.parametrize("length", [b"200001", b"18446744073709551615"])
def test_a_body_announced_too_large_is_refused_at_once(server: StrictServer, length: bytes) -> None:
    assert "200000 bytes" in refused(server, POST + b"Content-Length: " + length + b"\r\n\r\n", 413)


def test_a_chunked_body_is_refused_as_soon_as_it_is_too_large(server: StrictServer) -> None:
    endless = POST + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n" + b"x" * 200_001
    [answer] = server.talk(endless)
    assert answer.status == 413
    assert "200000 bytes" in answer.json["status"]


def test_pipelined_requests_are_bounded_and_answered_in_order(server: StrictServer) -> None:
    requests = b"".join(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % i for i in range(1000))
    *served, last = server.talk(requests)
    assert last.status == 429
    assert "100 requests" in last.json["status"]
    assert len(served) >= 101
    assert [answer.json["path"] for answer in served] == [f"/{i}" for i in range(len(served))]


def test_connections_above_the_bound_are_told_so() -> None:
    with StrictServer(bounds(max_connections=2)) as server:
        held = [server.connect() for _ in range(2)]
        for client in held:
            client.sendall(GET + b"\r\n")
            assert client.recv(4)
        server.served.clear()
        [answer] = server.talk(CANARY)
        assert answer.status == 503
        assert answer.headers["retry-after"] == "1"
        assert "2 connections" in answer.json["status"]
        assert server.served == []
        for client in held:
            client.sendall(LAST)
            assert answers(b"HTTP" + read_all(client))[-1].json["path"] == "/last"
            client.close()
        server.wait_for_connections(0)
        [answer] = server.talk(LAST)
        assert answer.status == 200


def test_connections_far_above_the_bound_are_closed_without_a_word() -> None:
    with StrictServer(bounds(max_connections=1)) as server:
        clients = [server.connect() for _ in range(150)]
        words = [read_all(client) for client in clients[1:]]
        assert sum(b" 503 " in word for word in words) == 100
        assert words.count(b"") == 49
        for client in clients:
            client.close()
