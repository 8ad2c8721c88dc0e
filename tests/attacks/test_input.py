"""Section I of the security requirements: paths, request lines, headers and connections. No answer is a 5xx, no
request a hang."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterator

from tests.attacks.alive import Attacker
from tests.attacks.wire import CALL, CHUNKED, JSON, Wire, request, statuses
from tests.embedded.server import ADMIN_KEY
from tests.gateway.strict_server import Answer

GONE = b"/rest/services/given/name/"
EVIL_PATHS = [
    *(GONE + part for part in (b"..", b"../", b"../all/", b"%2e%2e/all/", b"..%2fall", b".", b"./x/", b"/x/", b";x=y")),
    *(GONE + part for part in (b"%00", b"%5c", b"\\", b"%ff", b"%c0%af", b"%EF%BC%8F", b"x%20", b"%", b"%zz", b"a.b")),
    *(GONE + part for part in (b"\xff", b"\xc0\xaf", b"\xef\xbc\x8f", b"*", b"@", b":", b"'", b'"', b"<", b"$", b"&=")),
    *(b"/rest/services" + part for part in (b"//given/name/", b"/../services/given/name/", b"/./given/name/", b"//")),
    *(b"/rest/services" + part for part in (b"%2fgiven/name/", b";/given/name/", b"/%67iven/name/", b"/given%2fname/")),
    *(
        b"/rest/" + part
        for part in (b"", b"x", b"../api/pools", b"..%2fapi/pools", b"services;x/given/name", b"calls/x")
    ),
    GONE + b"x/" * 10_00,
    GONE + b"x" * 5_000,
    GONE + b"x" * 64_000,
]


def test_i1_a_path_has_one_spelling(attacker: Attacker) -> None:
    for path in EVIL_PATHS:
        found = attacker.exchange(request(path, b"Connection: close"))
        assert statuses(found) in ([400], [401], [404], [414], [431]), (path[:100], found)


def test_i1_a_path_with_a_fragment_or_control_character_is_refused(attacker: Attacker) -> None:
    for part in (b"#", b"x#y", b"\t", b"\x0b", b"\x7f", b"\x00", b" x"):
        attacker.refused(request(GONE + part), 400)


def test_i1_no_spelling_of_a_call_reaches_the_control_plane(attacker: Attacker) -> None:
    key = b"Authorization: Bearer " + ADMIN_KEY.encode()
    for path in (
        b"/rest/services/../../api/pools",
        b"/rest/../api/pools",
        b"/rest/..%2fapi/pools",
        b"/rest/services/%2e%2e/%2e%2e/api/pools",
        b"//api/pools",
        b"/api//pools",
        b"/./api/pools",
        b"/x/../api/pools",
        b"/%61pi/pools",
        b"/api/%70ools",
        b"/api/pools%2f",
        b"/api;x/pools",
        b"/API/pools",
    ):
        for headers in ((), (key,)):
            found = attacker.exchange(request(path, *headers, b"Connection: close"))
            assert statuses(found)[0] in (400, 401, 404), (path, found)
            assert b"runners" not in found[0].body


def test_i1_more_parameters_than_allowed_are_404(attacker: Attacker) -> None:
    assert attacker.get("/given/name/" + "x/" * 11).status_code == 404


def test_i2_host_is_a_host(attacker: Attacker) -> None:
    for host in (
        b"a?b",
        b"a#b",
        b"a/b",
        b"u@b",
        b"a b",
        b"a,b",
        b"[::1",
        b"a:b",
        b"a:123456",
        b"",
        b"\xff",
        b"a" * 10_000,
    ):
        attacker.refused(request(CALL, host=b"Host: " + host), 400)
    attacker.refused(request(CALL, host=None), 400)
    attacker.refused(request(CALL, b"Host: other"), 400)
    attacker.refused(request(CALL, b"Host: plugbay"), 400)


def test_i4_only_http_1_is_spoken(attacker: Attacker) -> None:
    for line, status in (
        (b"GET /rest/services/given/all/", (505,)),
        (b"GET /rest/services/given/all/ HTTP/0.9", (400, 505)),
        (b"GET /rest/services/given/all/ HTTP/9.9", (505,)),
        (b"GET /rest/services/given/all/ HTTP/2.0", (505,)),
        (b"GET /rest/services/given/all/ HTTP/1.10", (400, 505)),
        (b"GET\t/rest/services/given/all/ HTTP/1.1", (400, 405)),
        (b"get /rest/services/given/all/ HTTP/1.1", (400, 405)),
        (b"PRI * HTTP/2.0", (400, 505)),
        (b"FOO /rest/services/given/all/ HTTP/1.1", (405,)),
        (b"__CLASS__ /rest/services/given/all/ HTTP/1.1", (400, 405)),
        (b"TRACE /rest/services/given/all/ HTTP/1.1", (405,)),
        (b"CONNECT plugbay:443 HTTP/1.1", (400, 405)),
        (b"GET * HTTP/1.1", (400,)),
        (b"GET rest/services/given/all/ HTTP/1.1", (400,)),
        (b"GET ftp://plugbay/rest/services/given/all/ HTTP/1.1", (400,)),
    ):
        attacker.refused(line + b"\r\nHost: plugbay\r\n\r\n", *status)
    attacker.refused(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400)


def test_i4_an_absolute_target_is_its_path(attacker: Attacker) -> None:
    for target, status in (
        (b"http://plugbay/rest/services/given/name/?name=x", 200),
        (b"HTTP://other:1/rest/services/given/name/", 200),
        (b"http://plugbay/rest/services/../services/given/name/", 400),
        (b"http://u@plugbay/rest/services/given/name/", 400),
    ):
        assert attacker.exchange(request(target, b"Connection: close"))[0].status == status


def test_i28_http_2_is_not_spoken(attacker: Attacker) -> None:
    attacker.refused(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(1000), 400, 505)
    attacker.refused(request(CALL, b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: x"), 400)


def test_i6_headers_are_bounded(attacker: Attacker) -> None:
    attacker.refused(request(CALL, *(b"X-%d: y" % number for number in range(10_000))), 431)
    attacker.refused(request(CALL, b"X: " + b"y" * 1_000_000), 431)
    attacker.refused(request(CALL, b"y" * 1_000_000 + b": x"), 431)
    attacker.refused(request(CALL, b"Cookie: " + b"a=b; " * 100_000), 431)
    attacker.refused(request(CALL + b"?" + b"a" * 1_000_000), 414, 431)


def test_i8_a_body_has_the_length_it_says(attacker: Attacker) -> None:
    attacker.refused(request(CALL, JSON, b"Content-Length: 1000000000", method=b"POST"), 413)
    attacker.refused(request(CALL, JSON, CHUNKED, method=b"POST") + b"fffffff\r\n" + bytes(11_000_000), 413)
    found = attacker.exchange(request(CALL, JSON, b"Content-Length: 2", method=b"POST") + b"{}GARBAGE\r\n\r\n")
    assert statuses(found)[0] == 200
    assert set(statuses(found)[1:]) <= {400, 405}
    with Wire(attacker.url) as wire:
        wire.send(request(CALL, JSON, b"Content-Length: 100", method=b"POST") + b"{}")
        wire.socket.shutdown(1)
        assert statuses(wire.rest()) == [400]


def test_i11_bodies_are_not_inflated(attacker: Attacker) -> None:
    for coding in (b"gzip", b"br", b"deflate", b"zstd", b"gzip, gzip", b"x-gzip"):
        attacker.refused(request(CALL, JSON, b"Content-Encoding: " + coding, method=b"POST", body=bytes(1000)), 415)


def test_i26_another_preference_changes_nothing(attacker: Attacker) -> None:
    for prefer in (
        "wait=999999",
        "respond-async=x, wait=-1",
        ";" * 10_000,
        "x=" + '"\\' * 10_000,
        " , \t" * 8_000,
        "=;" * 9_000,
    ):
        answer = attacker.request("POST", "/rest/services/given/all/", json={}, headers={"Prefer": prefer.strip()})
        assert answer.status_code == 200
    attacker.refused(request(CALL, b"Prefer: respond-async; " + b"x" * 1_000_000), 431)


def test_i26_asynchronous_calls_leave_nothing_behind(attacker: Attacker) -> None:
    """That they are refused at a bound is in tests/embedded/test_later.py, where it is a low one."""
    later = request(b"/rest/services/given/name/?name=x", b"Prefer: respond-async, wait=999999")

    with Wire(attacker.url) as wire:

        def answers(requests: list[bytes]) -> Iterator[Answer]:
            """In rounds of fifty, as more may not wait on one connection."""
            for start in range(0, len(requests), 50):
                sent = requests[start : start + 50]
                wire.send(b"".join(sent))
                for _ in sent:
                    answer = wire.answer()
                    assert answer is not None
                    yield answer

        accepted = list(answers([later] * 250))
        assert {answer.status for answer in accepted} <= {202, 429}
        places = [answer.headers["location"].encode() for answer in accepted if answer.status == 202]
        found = Counter(answer.status for answer in answers([request(place) for place in places]))
        assert set(found) <= {200, 202}
        forgotten = Counter(answer.status for answer in answers([request(place, method=b"DELETE") for place in places]))
        assert set(forgotten) <= {204, 404}
    large = {"content": bytes(10_000_000), "headers": {"Prefer": "respond-async", "Content-Type": "text/x"}}
    sent = [attacker.request("POST", "/rest/services/given/all/", **large) for _ in range(3)]
    assert {one.status_code for one in sent} <= {202, 429}
    for one in sent:
        if one.status_code == 202:
            attacker.request("DELETE", one.headers["location"])


def test_i26_a_key_against_repetition_is_one_short_string(attacker: Attacker) -> None:
    for key in ("x" * 256, "x" * 10_000, '"' + '\\"' * 9_000 + '"', '"x', "a b", '"x"; a=b'):
        headers = {"Idempotency-Key": key}
        answer = attacker.request("POST", "/rest/services/given/all/", json={}, headers=headers)
        assert (answer.status_code, "Idempotency-Key" in answer.json()["status"]) == (400, True)
    attacker.refused(request(CALL, b"Idempotency-Key: " + b"x" * 1_000_000), 431)
    attacker.refused(request(CALL, b"Idempotency-Key: a\rb"), 400)


def test_i27_pipelined_requests_are_answered_in_order_or_the_connection_is_closed(attacker: Attacker) -> None:
    count = 1000
    with Wire(attacker.url) as wire:
        wire.send(
            b"".join(
                request(
                    b"/rest/services/given/name/?name=%d" % number,
                    *([b"Connection: close"] if number == count - 1 else []),
                )
                for number in range(count)
            )
        )
        found = wire.rest()
    *served, last = found
    names = [json.loads(answer.body)["response"]["name"] for answer in served]
    assert names == [str(number) for number in range(len(names))]
    assert (last.status, len(found)) == (200, count) or last.status == 429


def test_i29_no_origin_is_given_credentials(attacker: Attacker) -> None:
    for origin in ("null", "http://evil", "http://127.0.0.1", "https://plugbay.evil"):
        for path in ("/rest/services/given/all/", "/api/pools", "/"):
            for method in ("OPTIONS", "GET"):
                answer = attacker.request(
                    method,
                    path,
                    headers={
                        "Origin": origin,
                        "Access-Control-Request-Method": "PUT",
                        "Access-Control-Request-Headers": "authorization",
                        "Cookie": "a=b",
                    },
                )
                assert answer.status_code < 500
                assert "access-control-allow-credentials" not in answer.headers
                assert answer.headers.get("access-control-allow-origin") in (None, "*")
                if "/api" in path:
                    assert "access-control-allow-origin" not in answer.headers


def test_random_bytes_are_refused_or_answered_and_never_keep_a_connection_busy(attacker: Attacker) -> None:
    chance = random.Random(20240601)
    good = request(CALL, JSON, method=b"POST", body=b'{"a":1}')
    for _ in range(3000):
        data = bytearray(good)
        for _ in range(chance.randint(1, 4)):
            place = chance.randrange(len(data))
            data[place : place + chance.randint(0, 2)] = chance.randbytes(chance.randint(0, 2))
        with Wire(attacker.url) as wire:
            wire.send(bytes(data))
            wire.socket.shutdown(1)
            found = wire.rest()
        assert all(200 <= answer.status < 500 or answer.status == 505 for answer in found), (bytes(data), found)
