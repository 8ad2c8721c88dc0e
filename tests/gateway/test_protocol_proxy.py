"""Given a server behind nginx, when a request says whom it is from, then only nginx is believed."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest

from gateway.http.forwarded import Proxy
from tests.gateway.strict_server import StrictServer, bounds

SECRET = "a-secret-of-the-tests"
PROOF = f"X-Plugbay-Proxy: {SECRET}"


@pytest.fixture(scope="module")
def server() -> Iterator[StrictServer]:
    with StrictServer(bounds(), Proxy(SECRET)) as server:
        yield server


def ask(server: StrictServer, *headers: str) -> Any:
    """What the application was given."""
    lines = "\r\n".join(("GET /x HTTP/1.1", "Host: a", *headers, "Connection: close", "", ""))
    [answer] = server.talk(lines.encode("latin-1"))
    assert answer.status == 200
    return answer.json


@pytest.mark.parametrize(
    ("told", "client"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:DB8::0:7", "2001:db8::7"),
        ("127.0.0.1, 203.0.113.7", "127.0.0.1"),
        ("unknown", "127.0.0.1"),
        ("", "127.0.0.1"),
        ("203.0.113.7\t", "203.0.113.7"),
        ("203.0.113.7:80", "127.0.0.1"),
        ("203.0.113.\u00b2", "127.0.0.1"),
    ],
)
def test_the_proxy_names_the_client(server: StrictServer, told: str, client: str) -> None:
    seen = ask(server, PROOF, f"X-Forwarded-For: {told}")
    assert (seen["client"], seen["proxied"]) == (client, True)
    assert SECRET not in str(seen)


@pytest.mark.parametrize(
    "headers",
    [
        ["X-Forwarded-For: 203.0.113.7"],
        ["X-Forwarded-For: 203.0.113.7", "X-Plugbay-Proxy:"],
        ["X-Forwarded-For: 203.0.113.7", f"X-Plugbay-Proxy: {SECRET[:-1]}"],
        ["X-Forwarded-For: 203.0.113.7", f"X-Plugbay-Proxy: {SECRET}x"],
        ["X-Forwarded-For: 203.0.113.7", "X-Plugbay-Proxy: \u00e4"],
        ["X-Forwarded-For: 203.0.113.7", PROOF, "X-Plugbay-Proxy: guess"],
        ["X-Forwarded-For: 203.0.113.7", PROOF, PROOF],
        ["Forwarded: for=203.0.113.7", "X-Real-IP: 203.0.113.7", PROOF],
        ["X-Forwarded-For: 203.0.113.7", "X-Forwarded-For: 203.0.113.8", PROOF],
    ],
)
def test_nobody_else_does(server: StrictServer, headers: list[str]) -> None:
    seen = ask(server, *headers)
    assert seen["client"] == "127.0.0.1"
    assert seen["proxied"] is (headers[-1] == PROOF and headers.count(PROOF) == 1)
    assert "x-plugbay-proxy" not in dict(seen["headers"])


def test_a_thousand_claims_are_refused(server: StrictServer) -> None:
    lines = "GET /x HTTP/1.1\r\nHost: a\r\n" + "X-Forwarded-For: 203.0.113.7\r\n" * 1000 + "\r\n"
    [answer] = server.talk(lines.encode())
    assert answer.status == 431


def test_without_a_secret_no_proxy_is_believed() -> None:
    with StrictServer(bounds()) as server:
        seen = ask(server, PROOF, "X-Forwarded-For: 203.0.113.7")
        assert (seen["client"], seen["proxied"]) == ("127.0.0.1", False)


def test_each_request_of_a_connection_has_a_client_of_its_own(
    server: StrictServer, caplog: pytest.LogCaptureFixture
) -> None:
    first = f"GET /x HTTP/1.1\r\nHost: a\r\n{PROOF}\r\nX-Forwarded-For: 203.0.113.7\r\n\r\n"
    second = f"GET /x HTTP/1.1\r\nHost: a\r\n{PROOF}\r\nX-Forwarded-For: 203.0.113.8\r\n\r\n"
    broken = f"POST /x HTTP/1.1\r\nHost: a\r\n{PROOF}\r\nX-Forwarded-For: 203.0.113.9\r\nExpect: x\r\n\r\n"
    with caplog.at_level(logging.INFO, "plugbay.gateway.http.protocol"):
        answers = server.talk([(first + second + broken).encode()])
        server.talk(b"GET /x HTTP/1.1\r\nno header\r\n\r\n")
    assert [answer.json["client"] for answer in answers[:2]] == ["203.0.113.7", "203.0.113.8"]
    assert [record.args[1][0] for record in caplog.records] == ["203.0.113.9", "127.0.0.1"]  # type: ignore[index]
