"""Rows I21 to I24 of the security requirements: what functions put into answers, and clients into logs."""

from __future__ import annotations

import json
from typing import Any

from tests.attacks.alive import Attacker
from tests.attacks.wire import CALL, JSON, canary, request, statuses


def respond(attacker: Attacker, *headers: tuple[str, str]) -> Any:
    """Both the answer and what follows it on the connection."""
    body = json.dumps({"headers": headers}).encode()
    found = attacker.exchange(request(b"/rest/services/given/respond/", JSON, method=b"POST", body=body), canary())
    assert statuses(found)[1:] == [200], found
    return found[0]


def test_i21_headers_that_cannot_be_sent_are_answered(attacker: Attacker) -> None:
    for name, value in (
        ("X-A", "a\r\nSet-Cookie: b=c"),
        ("X-A", "a\nb"),
        ("X-A", "a\rb"),
        ("X-A", "a\x00b"),
        ("X-A", "\u0100"),
        ("X-A", "\ud800"),
        ("X-A\r\nX-B", "a"),
        ("X A", "a"),
        ("X-A:", "a"),
        ("", "a"),
        ("X-Ä", "a"),
        ("X-A", "a" * 20_000),
        ("Content-Type", "text/html\r\n\r\n<script>"),
        ("Location", "/x\r\nX: y"),
    ):
        if "\ud800" in value:
            continue  # no JSON carries it; the unit tests of the worker do
        answer = respond(attacker, (name, value))
        assert answer.status == 500, (name, value, answer)
        assert "invalid header" in answer.json["exception"]


def test_i22_i23_headers_that_proxies_act_on_or_frame_the_message_are_dropped(attacker: Attacker) -> None:
    asked = {
        "X-Accel-Redirect": "/internal/etc/passwd",
        "X-Accel-Buffering": "no",
        "X-Accel-Expires": "1",
        "X-Sendfile": "/etc/passwd",
        "X-Lighttpd-Send-File": "/etc/passwd",
        "X-Forwarded-For": "6.6.6.6",
        "Content-Length": "0",
        "Transfer-Encoding": "chunked",
        "Connection": "upgrade",
        "Keep-Alive": "timeout=1",
        "Upgrade": "websocket",
        "Trailer": "X",
        "TE": "trailers",
        "Server-Timing": "forged",
        "X-Call-Id": "forged",
        "Date": "forged",
        "Server": "forged",
        "Content-Encoding": "gzip",
        "Access-Control-Allow-Credentials": "true",
        "Access-Control-Allow-Origin": "http://evil",
        "Strict-Transport-Security": "max-age=0",
        "Clear-Site-Data": "*",
        "Service-Worker-Allowed": "/",
        "Alt-Svc": "h2=evil",
        "Refresh": "0; url=http://evil",
        "X-Content-Type-Options": "off",
    }
    answer = respond(attacker, *asked.items())
    assert (answer.status, answer.body) == (200, b"the whole body")
    for name, value in asked.items():
        assert answer.headers.get(name.lower()) != value, name
    assert answer.headers["content-length"] == "14"
    for name, value in asked.items():
        one = respond(attacker, (name.lower(), value), (name.upper(), value))
        assert (one.status, one.body) == (200, b"the whole body"), (name, one)


def test_i24_what_clients_send_is_one_escaped_line_of_the_log(attacker: Attacker) -> None:
    forged = '\r\n{"level":"ERROR","message":"forged"}\x1b[2J\u2028\x07'
    before = len(attacker.server.log.splitlines())
    attacker.post(json.dumps({"text": forged}).encode(), path="/given/raise/")
    attacker.get("/given/all/", params={"q": forged})
    attacker.get("/given/all/%0d%0aforged")
    attacker.exchange(request(CALL + b"\x1b[2J"), canary())
    attacker.exchange(request(CALL + b"\xe2\x80\xa8", b"Connection: close"))
    attacker.exchange(
        request(CALL, b"User-Agent: \xe2\x80\xa8\xff", b"Referer: ${jndi:ldap://x}", b"Connection: close")
    )
    lines = attacker.server.log.splitlines()[before:]
    assert all(json.loads(line)["level"] != "ERROR" for line in lines)
    assert all(line.isascii() and line.isprintable() for line in lines)
    assert not any(json.loads(line)["message"] == "forged" for line in lines)
