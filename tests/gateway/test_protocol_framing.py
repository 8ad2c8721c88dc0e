"""Given a request that two parsers could read differently, when it is sent to a real server with a second
request behind it, then it is refused, the connection closed, and the second request never executed."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.gateway.strict_server import CANARY, HOST, StrictServer, bounds, refused

GET = b"GET / HTTP/1.1\r\n" + HOST
POST = b"POST / HTTP/1.1\r\n" + HOST
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
EMPTY_CHUNKED = b"\r\n\r\n0\r\n\r\n"


@pytest.fixture(scope="module")
def server() -> Iterator[StrictServer]:
    with StrictServer(bounds()) as running:
        yield running


TWO_READINGS = {
    "length and coding": POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked" + EMPTY_CHUNKED,
    "coding and length": POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5" + EMPTY_CHUNKED,
    "unknown coding": POST + b"Transfer-Encoding: xchunked" + EMPTY_CHUNKED,
    "chunked is not last": POST + b"Transfer-Encoding: chunked, identity" + EMPTY_CHUNKED,
    "identity before chunked": POST + b"Transfer-Encoding: identity, chunked" + EMPTY_CHUNKED,
    "gzip before chunked": POST + b"Transfer-Encoding: gzip, chunked" + EMPTY_CHUNKED,
    "tab before chunked": POST + b"Transfer-Encoding: \tchunked" + EMPTY_CHUNKED,
    "vertical tab before chunked": POST + b"Transfer-Encoding: \x0bchunked" + EMPTY_CHUNKED,
    "tab after chunked": POST + b"Transfer-Encoding: chunked\t" + EMPTY_CHUNKED,
    "identity": POST + b"Transfer-Encoding: identity\r\n\r\n",
    "empty coding": POST + b"Transfer-Encoding:\r\n\r\n",
    "coding twice": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked" + EMPTY_CHUNKED,
    "coding with GET": GET + b"Transfer-Encoding: xchunked" + EMPTY_CHUNKED,
    "coding disguised by the body": POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n1e\r\n\r\n"
    b"transfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked in HTTP/1.0": b"POST / HTTP/1.0\r\n" + HOST + b"Transfer-Encoding: chunked" + EMPTY_CHUNKED,
    "length twice": POST + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\nx",
    "two lengths": POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nx",
    "length list": POST + b"Content-Length: 5,5\r\n\r\nhello",
    "length with a sign": POST + b"Content-Length: +5\r\n\r\nhello",
    "negative length": POST + b"Content-Length: -1\r\n\r\n",
    "hexadecimal length": POST + b"Content-Length: 0x5\r\n\r\nhello",
    "length with a space": POST + b"Content-Length: 5 5\r\n\r\nhello",
    "empty length": POST + b"Content-Length:\r\n\r\n",
    "length above 2^64": POST + b"Content-Length: 18446744073709551616\r\n\r\n",
    "bare LF after the request line": b"GET / HTTP/1.1\nHost: a\r\n\r\n",
    "bare LF after a header": GET + b"A: b\nC: d\r\n\r\n",
    "bare LF at the end": GET + b"A: b\r\n\n",
    "bare CR after the request line": b"GET / HTTP/1.1\rHost: a\r\n\r\n",
    "bare CR in a header": GET + b"A: b\rC: d\r\n\r\n",
    "bare CR at the end": GET + b"\rX: y\r\n\r\n",
    "NUL in a header": GET + b"A: b\0c\r\n\r\n",
    "NUL in a name": GET + b"A\0: b\r\n\r\n",
    "control character in a header": GET + b"A: b\x1bc\r\n\r\n",
    "folded header": GET + b"A: b\r\n c\r\n\r\n",
    "folded with a tab": GET + b"A: b\r\n\tc\r\n\r\n",
    "folded empty header": GET + b"A:\r\n c\r\n\r\n",
    "space before the first header": b"GET / HTTP/1.1\r\n Host: a\r\n\r\n",
    "space before the colon": GET + b"Content-Length : 5\r\n\r\n",
    "tab before the colon": GET + b"A\t: b\r\n\r\n",
    "no colon": GET + b"A\r\n\r\n",
    "no name": GET + b": b\r\n\r\n",
    "no token": GET + b"A(: b\r\n\r\n",
    "name is not ASCII": GET + "é: b\r\n\r\n".encode(),
    "chunk above 2^64": CHUNKED + b"10000000000000000\r\nx",
    "negative chunk": CHUNKED + b"-1\r\nx",
    "hexadecimal prefix": CHUNKED + b"0x5\r\nhello\r\n0\r\n\r\n",
    "space after the chunk size": CHUNKED + b"5 \r\nhello\r\n0\r\n\r\n",
    "no chunk size": CHUNKED + b"\r\n\r\n",
    "LF in a chunk extension": CHUNKED + b"5;a\nhello\r\n0\r\n\r\n",
    "LF in a quoted extension": CHUNKED + b'5;a="\n"\r\nhello\r\n0\r\n\r\n',
    "CR in a chunk extension": CHUNKED + b"5;a\rb\r\nhello\r\n0\r\n\r\n",
    "LF after the chunk size": CHUNKED + b"5\nhello\r\n0\r\n\r\n",
    "LF after a chunk": CHUNKED + b"5\r\nhello\n0\r\n\r\n",
    "chunk longer than its size": CHUNKED + b"5\r\nhelloXX\r\n0\r\n\r\n",
    "LF at the end of the chunks": CHUNKED + b"0\r\n\n",
    "trailer": CHUNKED + b"5\r\nhello\r\n0\r\nX: 1\r\n\r\n",
    "length as a trailer": CHUNKED + b"0\r\nContent-Length: 5\r\n\r\n",
    "coding as a trailer": CHUNKED + b"0\r\nTransfer-Encoding: chunked\r\n\r\n",
    "content type twice": POST + b"Content-Type: text/plain\r\nContent-Type: application/json\r\n\r\n",
    "upgrade to HTTP/2": GET + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n\r\n",
    "upgrade to WebSocket": GET + b"Connection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00",
}


@pytest.mark.parametrize("attack", TWO_READINGS.values(), ids=TWO_READINGS.keys())
def test_what_can_be_read_in_two_ways_is_refused(server: StrictServer, attack: bytes) -> None:
    refused(server, attack, 400)


@pytest.mark.parametrize(
    ("attack", "status"),
    [
        (b"GET /\r\n\r\n", 505),
        (b"GET / HTTP/0.9\r\n\r\n", 505),
        (b"GET / HTTP/2.0\r\n" + HOST + b"\r\n", 505),
        (b"GET / HTTP/9.9\r\n" + HOST + b"\r\n", 505),
        (b"GET / HTTP/1.2\r\n" + HOST + b"\r\n", 505),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (b"GET / http/1.1\r\n" + HOST + b"\r\n", 400),
        (b"GET / HTTP/1.1 \r\n" + HOST + b"\r\n", 400),
        (b"get / HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"__CLASS__ / HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b" GET / HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"GET\t/ HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"FOO / HTTP/1.1\r\n" + HOST + b"\r\n", 405),
        (b"GETX / HTTP/1.1\r\n" + HOST + b"\r\n", 405),
        (b"TRACE / HTTP/1.1\r\n" + HOST + b"\r\n", 405),
        (b"PROPFIND / HTTP/1.1\r\n" + HOST + b"\r\n", 405),
        (b"CONNECT a:80 HTTP/1.1\r\n" + HOST + b"\r\n", 405),
    ],
)
def test_other_versions_and_methods_are_refused(server: StrictServer, attack: bytes, status: int) -> None:
    refused(server, attack, status)


def test_an_unknown_method_is_told_the_known_ones(server: StrictServer) -> None:
    [answer] = server.talk(b"FOO / HTTP/1.1\r\n" + HOST + b"\r\n")
    assert answer.headers["allow"] == "GET, HEAD, POST, PUT, DELETE, PATCH, OPTIONS"


@pytest.mark.parametrize("coding", [b"gzip", b"br", b"deflate", b"identity, gzip", b"x"])
def test_compressed_bodies_are_refused(server: StrictServer, coding: bytes) -> None:
    refused(server, POST + b"Content-Encoding: " + coding + b"\r\nContent-Length: 2\r\n\r\nxx", 415)


def test_an_unknown_expectation_is_refused(server: StrictServer) -> None:
    refused(server, POST + b"Expect: 200-ok\r\nContent-Length: 2\r\n\r\nxx", 417)


def test_a_broken_request_is_not_executed_even_when_it_needs_no_body(server: StrictServer) -> None:
    refused(server, b"GET / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400)


def test_a_body_longer_than_its_length_is_no_request(server: StrictServer) -> None:
    server.served.clear()
    first, second = server.talk(POST + b"Content-Length: 2\r\n\r\nhello" + CANARY)
    assert (first.status, first.json["body"]) == (200, "he")
    assert second.status == 400
    assert server.served == ["POST /"]


def test_headers_reach_the_application_in_lower_case_without_outer_spaces(server: StrictServer) -> None:
    head = GET + b"X-A: \t b  c \t\r\nX-B:\r\nx-a: \xff\r\nConnection: close\r\n\r\n"
    [answer] = server.talk(head)
    assert answer.json["headers"] == [
        ["host", "a"],
        ["x-a", "b  c"],
        ["x-b", ""],
        ["x-a", "\xff"],
        ["connection", "close"],
    ]
    assert "server" not in answer.headers


def test_a_request_means_the_same_however_it_is_cut(server: StrictServer) -> None:
    request = (
        b"POST /x?y=z HTTP/1.1\r\nHost: a\r\nX-A:\r\nX-B: b\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n"
        b"\r\n3\r\nabc\r\n2;e=f\r\nde\r\n0\r\n\r\n"
    )
    [whole] = server.talk(request)
    assert whole.json["body"] == "abcde"
    [bytewise] = server.talk(request[i : i + 1] for i in range(len(request)))
    assert bytewise.json == whole.json
    for cut in range(1, len(request), 7):
        [halves] = server.talk([request[:cut], request[cut:]])
        assert halves.json == whole.json


def test_an_application_that_fails_is_answered_for(server: StrictServer) -> None:
    [answer] = server.talk(b"GET /fail HTTP/1.1\r\n" + HOST + b"\r\n" + CANARY)
    assert answer.status == 500
    assert answer.json["status"] == "ERROR"
    assert "broken" not in answer.body.decode()
    assert re.fullmatch(r"[0-9a-f]{32}", answer.headers["x-call-id"])
