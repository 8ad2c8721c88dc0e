"""Given several requests on one connection, when they are answered, refused or interrupted, then every
client gets the answers to its own requests, in order, and nothing is executed that was not."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from tests.gateway.strict_server import CANARY, HOST, TIMEOUT, StrictServer, answers, bounds, read_all

WAIT = b"GET /wait HTTP/1.1\r\n" + HOST + b"\r\n"
BAD = b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n"
POST = b"POST / HTTP/1.1\r\n" + HOST


@pytest.fixture
def server() -> Iterator[StrictServer]:
    with StrictServer(bounds()) as running:
        yield running


def test_pipelined_requests_are_answered_in_order(server: StrictServer) -> None:
    small = POST + b"Content-Length: 5\r\n\r\nhello"
    large = POST + b"Content-Length: 300000\r\n\r\n" + b"x" * 300_000
    last = b"GET /last HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"
    found = server.talk(CANARY + small + large + small + CANARY + large + last)
    assert [(answer.json["path"], len(answer.json["body"])) for answer in found] == [
        ("/canary", 0),
        ("/", 5),
        ("/", 300_000),
        ("/", 5),
        ("/canary", 0),
        ("/", 300_000),
        ("/last", 0),
    ]


def test_a_refusal_waits_for_the_answers_before_it(server: StrictServer) -> None:
    with server.connect() as client:
        client.sendall(WAIT + CANARY + BAD + CANARY)
        assert server.running.acquire(timeout=TIMEOUT)
        server.release()
        found = answers(read_all(client))
    assert [answer.status for answer in found] == [200, 200, 400]
    assert server.served == ["GET /wait", "GET /canary"]


def test_a_large_body_that_breaks_while_it_waits_is_never_completed(server: StrictServer) -> None:
    with server.connect() as client:
        broken = POST + b"Transfer-Encoding: chunked\r\n\r\n" + b"186a0\r\n" + b"x" * 100_000 + b"zz\r\n"
        client.sendall(WAIT + broken + CANARY)
        assert server.running.acquire(timeout=TIMEOUT)
        server.release()
        found = answers(read_all(client))
    assert [answer.status for answer in found] == [200, 400]
    assert "POST /" not in server.served or server.gone.wait(TIMEOUT)


def test_an_answer_given_before_the_body_is_the_only_one(server: StrictServer) -> None:
    head = b"POST /early HTTP/1.1\r\n" + HOST
    early, canary, _ = server.talk(head + b"Content-Length: 300000\r\n\r\n" + b"x" * 300_000 + CANARY + BAD)
    assert (early.status, canary.status) == (401, 200)
    with server.connect() as client:
        client.sendall(head + b"Transfer-Encoding: chunked\r\n\r\n186a0\r\n" + b"x" * 100_000)
        begun = client.recv(1)
        client.sendall(b"zz\r\n" + CANARY)
        [early] = answers(begun + read_all(client))
    assert early.status == 401
    assert server.served.count("GET /canary") == 1


def test_a_client_may_wait_to_be_told_to_send_its_body(server: StrictServer) -> None:
    with server.connect() as client:
        client.sendall(POST + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\n")
        told = client.recv(1000)
        assert told == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b"hello" + CANARY + BAD)
        first, canary, _ = answers(read_all(client))
    assert (first.json["body"], canary.status) == ("hello", 200)


def test_a_body_that_was_not_asked_for_is_never_taken_for_a_request(server: StrictServer) -> None:
    [answer] = server.talk(b"POST /early HTTP/1.1\r\n" + HOST + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\n")
    assert (answer.status, answer.headers["connection"]) == (401, "close")
    [answer] = server.talk(POST + b"Expect: 100-continue\r\nContent-Length: 2000000\r\n\r\n")
    assert answer.status == 413


def test_nothing_is_executed_after_the_last_request_a_client_announced(server: StrictServer) -> None:
    for head in (b"GET / HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n", b"GET / HTTP/1.0\r\n" + HOST + b"\r\n"):
        [answer] = server.talk(head + CANARY)
        assert answer.headers["connection"] == "close"
    assert server.served == ["GET /", "GET /"]


def test_head_requests_are_answered_without_a_body(server: StrictServer) -> None:
    with server.connect() as client:
        client.sendall(b"HEAD / HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n")
        data = read_all(client)
    assert data.startswith(b"HTTP/1.1 200 OK\r\n")
    assert data.endswith(b"\r\n\r\n")


def test_a_stopping_server_answers_what_runs_and_executes_nothing_more(server: StrictServer) -> None:
    with server.connect() as busy, server.connect() as idle, server.connect() as half, server.connect() as refused:
        busy.sendall(WAIT + CANARY)
        idle.sendall(CANARY)
        assert idle.recv(1)
        half.sendall(b"GET / HTTP/1.1\r\n")
        refused.sendall(BAD)
        assert b" 400 " in read_all(refused)
        assert server.running.acquire(timeout=TIMEOUT)
        server.stop()
        assert answers(b"H" + read_all(idle))[0].status == 200
        assert read_all(half) == b""
        server.release()
        [answer] = answers(read_all(busy))
    assert (answer.status, answer.headers["connection"]) == (200, "close")
    assert sorted(server.served) == ["GET /canary", "GET /wait"]


def test_a_client_that_leaves_frees_its_connection(server: StrictServer) -> None:
    with server.connect() as client:
        client.sendall(WAIT)
        assert server.running.acquire(timeout=TIMEOUT)
        client.shutdown(socket.SHUT_RDWR)
        server.wait_for_connections(0)
    server.release()
    [answer, _] = server.talk(CANARY + BAD)
    assert answer.status == 200
    assert server.served == ["GET /wait", "GET /canary"]


def test_a_stopping_server_closes_the_connection_of_a_request_it_still_receives(server: StrictServer) -> None:
    with server.connect() as client, server.connect() as idle:
        client.sendall(POST + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\n")
        assert client.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        server.stop()
        assert read_all(idle) == b""
        client.sendall(b"hello")
        [answer] = answers(read_all(client))
    assert (answer.json["body"], answer.headers["connection"]) == ("hello", "close")
