"""Row I3 of the security requirements: where a message ends has one reading, and no request is answered with what
belongs to another."""

from __future__ import annotations

import json

from tests.attacks.alive import Attacker
from tests.attacks.wire import CALL, CHUNKED, JSON, canary, request, statuses


def test_i3_a_message_has_one_length(attacker: Attacker) -> None:
    inner = canary(b"smuggled")
    for headers in (
        (b"Content-Length: 5", CHUNKED),
        (CHUNKED, b"Content-Length: 5"),
        (b"Content-Length: 5", b"Content-Length: 5"),
        (b"Content-Length: 5", b"Content-Length: 50"),
        *(
            (b"Content-Length: " + value,)
            for value in (b"+5", b"0x5", b"5,5", b"5, 5", b"-1", b"5 5", b"", b"5;", b"\xb2")
        ),
        (b"Content-Length: 99999999999999999999",),
        (b"Content-Length : 5",),
        (b"Content-Length\t: 5",),
        *((b"Transfer-Encoding: " + value,) for value in (b"xchunked", b"chunked, identity", b"identity, chunked")),
        *((b"Transfer-Encoding: " + value,) for value in (b"\tchunked", b"chunked\x0b", b"chunked;x", b"gzip", b"")),
        (b"Transfer-Encoding:\x0bchunked",),
        (b"Transfer-Encoding : chunked",),
        (CHUNKED, CHUNKED),
        (CHUNKED, b"Transfer-Encoding: identity"),
        (b"Transfer_Encoding: chunked", b"Content-Length: +5"),
    ):
        data = request(CALL, JSON, *headers, method=b"POST")
        attacker.refused(data + b"5\r\nhello\r\n0\r\n\r\n" + inner, 400, 413)


def test_i3_chunks_have_one_reading(attacker: Attacker) -> None:
    for chunks in (
        b"10000000000000000\r\n{}\r\n0\r\n\r\n",
        b"2;a\nb\r\n{}\r\n0\r\n\r\n",
        b"2\n{}\n0\n\n",
        b"2\r\n{}0\r\n\r\n",
        b"0x2\r\n{}\r\n0\r\n\r\n",
        b"+2\r\n{}\r\n0\r\n\r\n",
        b"-2\r\n{}\r\n0\r\n\r\n",
        b" 2\r\n{}\r\n0\r\n\r\n",
        b"\r\n{}\r\n0\r\n\r\n",
        b"2\r\n{}\r\n0\r\nContent-Length: 9\r\n\r\n",
        b"2\r\n{}\r\n0\r\nHost: other\r\n\r\n",
        b"2\r\n{}\r\n0\r\nX: y\r\n\r\n",
    ):
        attacker.refused(request(CALL, JSON, CHUNKED, method=b"POST") + chunks, 400, 413)


def test_i3_the_framing_of_chunks_is_bounded(attacker: Attacker) -> None:
    start = request(CALL, JSON, CHUNKED, method=b"POST")
    attacker.refused(start + b"2;" + b"x" * 3_000_000 + b"\r\n{}\r\n0\r\n\r\n", 400)
    attacker.refused(start + b"2\r\n{}\r\n" + b"1;xxxxxxxxx\r\n \r\n" * 500_000 + b"0\r\n\r\n", 400)
    small = b"".join(b"1\r\n%c\r\n" % byte for byte in b'{"a":"' + b"x" * 500_000 + b'"}')
    assert statuses(attacker.exchange(start + small + b"0\r\n\r\n", canary())) == [200, 200]


def test_i3_lines_end_in_one_way(attacker: Attacker) -> None:
    for line in (
        b"X: a\nY: b",
        b"X: a\rY: b",
        b"X: a\x00b",
        b"X: a\r\n b",
        b"X: a\r\n\tb",
        b"X : a",
        b" X: a",
        b"X",
        b": a",
        b"X(: a",
        b"X\xff: a",
        b"X: \x07",
    ):
        attacker.refused(request(CALL, line), 400)
    attacker.refused(request(CALL).replace(b"\r\n", b"\n"), 400)


def test_i3_requests_behind_good_ones_are_answered_in_order(attacker: Attacker) -> None:
    bodies = [b'{"a":1}', b"{}" + b" " * 100_000, b""]
    data = b"".join(request(CALL, JSON, method=b"PUT", body=body) for body in bodies[:2])
    chunked = request(CALL, JSON, CHUNKED, method=b"POST") + b"2;x=y\r\n{}\r\n0\r\n\r\n"
    found = attacker.exchange(data + chunked + canary(b"last"))
    assert statuses(found) == [200] * 4, found
    assert json.loads(found[-1].body)["response"] == {"name": "last"}
