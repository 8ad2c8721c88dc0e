"""Given a request for some host and target, when they have one reading, then they reach the application as
they were sent; else the request is refused."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.gateway.strict_server import HOST, StrictServer, bounds, refused


@pytest.fixture(scope="module")
def server() -> Iterator[StrictServer]:
    with StrictServer(bounds()) as running:
        yield running


@pytest.mark.parametrize(
    "target",
    [
        b"*",
        b"foo",
        b"?q",
        b"/a#b",
        b"/a b",
        b"/a\tb",
        b"/a\0b",
        b"/a\x01",
        b"/a\x7f",
        b"/a\xff",
        "/é".encode(),
        b"http://u@b/",
        b"http://a b/",
        b"http:///x",
        b"ftp://a/",
        b"http://a/#b",
        b"http://a?b#c",
    ],
)
def test_targets_that_are_no_path_are_refused(server: StrictServer, target: bytes) -> None:
    refused(server, b"GET " + target + b" HTTP/1.1\r\n" + HOST + b"\r\n", 400)


@pytest.mark.parametrize(
    "host",
    [
        b"a?b",
        b"a#b",
        b"a/b",
        b"u@b",
        b"a b",
        b"",
        b"a:",
        b"a:b",
        b"a:1:2",
        b"[::1",
        b"[::1]x",
        b"[g]",
        b"a\xff",
        b"a,b",
        b"x" * 10_000,
        b"a:123456",
        b"%61",
        b"a_b",
    ],
)
def test_hosts_of_another_form_are_refused(server: StrictServer, host: bytes) -> None:
    refused(server, b"GET / HTTP/1.1\r\nHost: " + host + b"\r\n\r\n", 400)


@pytest.mark.parametrize("hosts", [b"", HOST + HOST, HOST + b"Host: b\r\n"])
@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
def test_exactly_one_host_is_asked_for(server: StrictServer, version: bytes, hosts: bytes) -> None:
    refused(server, b"GET / HTTP/" + version + b"\r\n" + hosts + b"\r\n", 400)


@pytest.mark.parametrize("host", [b"a", b"localhost:8080", b"127.0.0.1:80", b"[::1]", b"[::1]:8080", b"a-b.example."])
def test_ordinary_hosts_are_served(server: StrictServer, host: bytes) -> None:
    [answer] = server.talk(b"GET / HTTP/1.1\r\nHost: " + host + b"\r\nConnection: close\r\n\r\n")
    assert answer.status == 200


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        (b"/", "/", ""),
        (b"/a/%2e%2E%2f?x=%20&y", "/a/%2e%2E%2f", "x=%20&y"),
        (b"/?a?b", "/", "a?b"),
        (b"http://b/x/y?z", "/x/y", "z"),
        (b"HTTP://b:80?z", "/", "z"),
        (b"http://b", "/", ""),
        (b"//b/x", "//b/x", ""),
    ],
)
def test_a_path_reaches_the_application_as_it_was_sent(
    server: StrictServer, target: bytes, path: str, query: str
) -> None:
    [answer] = server.talk(b"GET " + target + b" HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n")
    assert (answer.json["path"], answer.json["raw_path"], answer.json["query"]) == (path, path, query)


def test_options_may_ask_about_the_server(server: StrictServer) -> None:
    [answer] = server.talk(b"OPTIONS * HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n")
    assert answer.json["path"] == "*"
