"""Section I of the security requirements: what clients send. No answer is a 5xx, no request a hang, and no
request is answered with what belongs to another."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.attacks.alive import Attacker
from tests.attacks.conftest import PLUGINS
from tests.attacks.wire import Wire, canary, request, statuses
from tests.embedded.server import ADMIN_KEY, Embedded, running

CALL = b"/rest/services/given/all/"
JSON = b"Content-Type: application/json"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    with running(PLUGINS, tmp_path_factory.mktemp("input") / "data") as server:
        yield server


def refused(attacker: Attacker, data: bytes, *wanted: int) -> None:
    """Answered with one of these statuses, once, and closed: the canary behind it gets no answer."""
    found = attacker.exchange(data, canary())
    assert statuses(found) in [[status] for status in wanted], (data[:200], found)
    assert found[0].headers["connection"] == "close"


# I1: paths

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
        refused(attacker, request(GONE + part), 400)


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


# I2, I4: request line and Host


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
        refused(attacker, request(CALL, host=b"Host: " + host), 400)
    refused(attacker, request(CALL, host=None), 400)
    refused(attacker, request(CALL, b"Host: other"), 400)
    refused(attacker, request(CALL, b"Host: plugbay"), 400)


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
        refused(attacker, line + b"\r\nHost: plugbay\r\n\r\n", *status)
    refused(attacker, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400)


def test_i4_an_absolute_target_is_its_path(attacker: Attacker) -> None:
    for target, status in (
        (b"http://plugbay/rest/services/given/name/?name=x", 200),
        (b"HTTP://other:1/rest/services/given/name/", 200),
        (b"http://plugbay/rest/services/../services/given/name/", 400),
        (b"http://u@plugbay/rest/services/given/name/", 400),
    ):
        assert attacker.exchange(request(target, b"Connection: close"))[0].status == status


def test_i28_http_2_is_not_spoken(attacker: Attacker) -> None:
    refused(attacker, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(1000), 400, 505)
    refused(attacker, request(CALL, b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: x"), 400)


# I3: framing

CHUNKED = b"Transfer-Encoding: chunked"


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
        refused(attacker, data + b"5\r\nhello\r\n0\r\n\r\n" + inner, 400, 413)


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
        refused(attacker, request(CALL, JSON, CHUNKED, method=b"POST") + chunks, 400, 413)


def test_i3_the_framing_of_chunks_is_bounded(attacker: Attacker) -> None:
    start = request(CALL, JSON, CHUNKED, method=b"POST")
    refused(attacker, start + b"2;" + b"x" * 3_000_000 + b"\r\n{}\r\n0\r\n\r\n", 400)
    refused(attacker, start + b"2\r\n{}\r\n" + b"1;xxxxxxxxx\r\n \r\n" * 500_000 + b"0\r\n\r\n", 400)
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
        refused(attacker, request(CALL, line), 400)
    refused(attacker, request(CALL).replace(b"\r\n", b"\n"), 400)


def test_i3_requests_behind_good_ones_are_answered_in_order(attacker: Attacker) -> None:
    bodies = [b'{"a":1}', b"{}" + b" " * 100_000, b""]
    data = b"".join(request(CALL, JSON, method=b"PUT", body=body) for body in bodies[:2])
    chunked = request(CALL, JSON, CHUNKED, method=b"POST") + b"2;x=y\r\n{}\r\n0\r\n\r\n"
    found = attacker.exchange(data + chunked + canary(b"last"))
    assert statuses(found) == [200] * 4, found
    assert json.loads(found[-1].body)["response"] == {"name": "last"}


# I6, I8, I11: more than there should be


def test_i6_headers_are_bounded(attacker: Attacker) -> None:
    refused(attacker, request(CALL, *(b"X-%d: y" % number for number in range(10_000))), 431)
    refused(attacker, request(CALL, b"X: " + b"y" * 1_000_000), 431)
    refused(attacker, request(CALL, b"y" * 1_000_000 + b": x"), 431)
    refused(attacker, request(CALL, b"Cookie: " + b"a=b; " * 100_000), 431)
    refused(attacker, request(CALL + b"?" + b"a" * 1_000_000), 414, 431)


def test_i8_a_body_has_the_length_it_says(attacker: Attacker) -> None:
    refused(attacker, request(CALL, JSON, b"Content-Length: 1000000000", method=b"POST"), 413)
    refused(attacker, request(CALL, JSON, CHUNKED, method=b"POST") + b"fffffff\r\n" + bytes(11_000_000), 413)
    found = attacker.exchange(request(CALL, JSON, b"Content-Length: 2", method=b"POST") + b"{}GARBAGE\r\n\r\n")
    assert statuses(found)[0] == 200
    assert set(statuses(found)[1:]) <= {400, 405}
    with Wire(attacker.url) as wire:
        wire.send(request(CALL, JSON, b"Content-Length: 100", method=b"POST") + b"{}")
        wire.socket.shutdown(1)
        assert statuses(wire.rest()) == [400]


def test_i11_bodies_are_not_inflated(attacker: Attacker) -> None:
    for coding in (b"gzip", b"br", b"deflate", b"zstd", b"gzip, gzip", b"x-gzip"):
        refused(attacker, request(CALL, JSON, b"Content-Encoding: " + coding, method=b"POST", body=bytes(1000)), 415)


# I12 to I14: JSON


def test_i12_json_bombs_cost_no_more_than_their_size(attacker: Attacker) -> None:
    for body, wanted in (
        (b"[" * 100_000 + b"]" * 100_000, {400}),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, {400}),
        (b"{" + b",".join(b'"k%d":1' % number for number in range(600_000)) + b"}", {413}),
        (b"[" + b",".join([b"{}"] * 2_000_000) + b"]", {200}),
        (b'{"a":[' + b",".join([b"{}"] * 2_000_000) + b"]}", {200, 500}),
        (b'{"a":' + b"9" * 1_000_000 + b"}", {200, 400}),
        (b'"' + b"\\u0041" * 1_000_000 + b'"', {200}),
    ):
        path = "/given/name/" if wanted == {200} else "/given/all/"
        status, said = attacker.post(body, path=path)
        assert status in wanted, (body[:50], status, str(said)[:200])


def test_i13_numbers_are_exact_or_refused(attacker: Attacker) -> None:
    for text in ("NaN", "Infinity", "-Infinity", "1e999", "-1e999", "01", "+1", ".5", "1.", "0x1", "1_0", "--1", "1e"):
        status, said = attacker.post(b'{"n":%s}' % text.encode())
        assert status == 400, (text, said)
    for value in (2**64, -(2**64), 2**63, 10**30, 0.1, 1e-300, 0, -1):
        status, said = attacker.post(b'{"n":%s}' % repr(value).encode())
        assert status == 400 or said["response"]["all"]["kwargs"]["n"] == value, (value, said)
    status, said = attacker.post(b'{"n":-0.0}')
    assert str(said["response"]["all"]["kwargs"]["n"]) == "-0.0"


def test_i14_text_that_is_not_json_is_refused_saying_where(attacker: Attacker) -> None:
    for body in (
        b'{"a":"\xff"}',
        b'{"a":"\xc0\x80"}',
        b'{"a":"\xed\xa0\x80"}',
        '{"a":1}'.encode("utf-16"),
        '{"a":1}'.encode("utf-32-le"),
        b"\xef\xbb\xbf{}",
        b'{"a":"\\ud800"}',
        b'{"\\ud800":1}',
        b'{"a\\u0000b":1}',
        b'{"a\x00b":1}',
        b'{"a":"\n"}',
        b"",
        b" ",
        b"{",
        b"{}{}",
        b"{} x",
        b"{'a':1}",
        b'{"a":1,}',
        b'{"a":1,"a":2}',
        b'{"a":1,"\\u0061":2}',
        b"nul",
        b"[1,]",
    ):
        status, said = attacker.post(body)
        assert status == 400, (body, said)
        assert said["status"]
    for body, value in ((b"[]", []), (b'"x"', "x"), (b"null", None), (b"1", 1)):
        assert attacker.post(body)[1]["response"]["all"]["kwargs"]["__body__"] == value


# I16, I17: media types and multipart


def test_i16_a_media_type_has_one_reading(attacker: Attacker) -> None:
    for kind in (
        b"application/json; charset=utf-7",
        b"application/json; charset=utf-16",
        b"application/json; charset=utf-8; charset=utf-7",
        b"application/json, text/plain",
        b"json",
        b"",
        b"application/json; " + b"a=b;" * 1000,
        b"multipart/form-data; boundary=" + b"x" * 10_000,
        b"multipart/form-data",
        b"multipart/form-data; boundary=",
        b'multipart/form-data; boundary="a\\"b"',
        b"application/x-www-form-urlencoded; charset=utf-16",
    ):
        found = attacker.exchange(
            request(CALL, b"Content-Type: " + kind, b"Connection: close", method=b"POST", body=b"{}")
        )
        assert statuses(found) in ([400], [415]), (kind[:80], found)
    refused(attacker, request(CALL, JSON, b"Content-Type: text/plain", method=b"POST", body=b"{}"), 400)
    assert statuses(attacker.exchange(request(CALL, b"Connection: close", method=b"POST", body=b"{}"))) == [415]


def multipart(*parts: bytes, end: bytes = b"--B--\r\n") -> bytes:
    """A body with the boundary B."""
    return b"".join(b"--B\r\n" + part + b"\r\n" for part in parts) + end


def part(name: str, content: bytes = b"x", more: str = "") -> bytes:
    """One field, or with `more` a file."""
    return f'Content-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode() + content


def test_i17_multipart_is_bounded(attacker: Attacker) -> None:
    kind = "multipart/form-data; boundary=B"
    for body, wanted in (
        (multipart(*(part(f"p{number}") for number in range(10_000))), {413}),
        (b"--B\r\n" * 1_000_000, {400, 413}),
        (b"--B\r\n\r\n" * 1_000_000, {400, 413}),
        (b"--B" * 1_000_000, {200}),  # its first line ends it, and what follows the end counts for nothing
        (b"\r\n--" * 2_000_000, {400}),
        (multipart(part("a"), end=b""), {400}),
        (multipart(part("a", more="; x=" + "y" * 1_000_000)), {400}),
        (multipart(b"X: y\r\n" * 10_000 + part("a")), {400}),
        (multipart(b"no header at all"), {400}),
        (multipart(part("a", b"\xff")), {400}),
        (multipart(part("__request__")), {400}),
        (multipart(part("a\x00b")), {400}),
        (b"", {200, 400}),
        (b"preamble\r\n" + multipart(part("a")), {400}),
    ):
        status, said = attacker.post(body, kind)
        assert status in wanted, (body[:60], status, said)


def test_i17_a_file_name_is_never_a_path(attacker: Attacker) -> None:
    kind = "multipart/form-data; boundary=B"
    before = files(attacker.server)
    for name, wanted in (
        ("../../x.txt", "x.txt"),
        ("/etc/passwd", "passwd"),
        ("C:\\\\windows\\\\x.txt", "x.txt"),
        ("..", ""),
        (".", ""),
        ("a/", ""),
        ("x" * 1000, "x" * 1000),
        ("\u202ex", "\u202ex"),
        ("a\x00b", None),
        ("a\tb", None),
    ):
        status, said = attacker.post(multipart(part("file", more=f'; filename="{name}"')), kind, "/given/file/")
        assert (status, said.get("response", {}).get("file", {}).get("name")) == (
            (200, wanted) if wanted is not None else (400, None)
        ), said
    assert not {path for path in files(attacker.server) - before if Path(path).suffix == ".txt"}


def files(server: Embedded) -> set[Path]:
    """Everything in the folders of a platform, and beside them."""
    return {path for folder in (server.data.parent, server.plugins.parent) for path in folder.rglob("*")}


# I18, I19: names


def test_i18_the_platforms_names_win_and_others_are_data(attacker: Attacker) -> None:
    body = dict.fromkeys(
        ("self", "cls", "kwargs", "func", "module", "uuid", "*", "", "a b", "ｆｕｎｃ", "__x", "function", "api"),
        "mine",
    )
    for path in ("/given/all/", "/all/"):
        status, said = attacker.post(json.dumps(body | {"args": ["extra"]}).encode(), path=path)
        assert status == 200, said
        got = said["response"]["all"]
        assert got["args"] == ["extra"]
        assert got["kwargs"]["func"] == "all"
        assert got["kwargs"]["module"] == ("given" if path != "/all/" else "mine")
        assert {name: got["kwargs"][name] for name in body if name not in ("func", "module")} == {
            name: "mine" for name in body if name not in ("func", "module")
        }
    for name in ("__request__", "__class__", "__dict__", "__body__", "__init__", "__", "____"):
        for status, said in (
            attacker.post(json.dumps({name: {"method": "FORGED"}}).encode()),
            attacker.post(f"{name}=x".encode(), "application/x-www-form-urlencoded"),
        ):
            assert status in (200, 400), (name, said)
            assert "FORGED" not in json.dumps(
                said.get("response", {}).get("all", {}).get("kwargs", {}).get("__request__", "")
            )
        assert attacker.get(f"/given/all/?{name}=x").status_code in (200, 400)


def test_i18_no_name_gives_a_function_one_argument_twice(attacker: Attacker) -> None:
    for body in (
        {"args": ["x"], "name": "y"},
        {"args": "x"},
        {"args": {"a": 1}},
        {"args": None},
        {"args": [["x"]] * 1000},
    ):
        for path in ("/given/name/", "/given/all/", "/given/name/url/", "/given/request/"):
            status, said = attacker.post(json.dumps(body).encode(), path=path)
            assert status in (200, 422), (path, body, said)


def test_i19_parameters_are_renamed_to_free_names_only(attacker: Attacker) -> None:
    wrong: list[Any] = [
        {"parm_1": "func"},
        {"parm_1": "module"},
        {"parm_1": "uuid"},
        {"parm_1": "__request__"},
        {"parm_1": "__class__"},
        {"parm_1": "self"},
        {"parm_1": "parm_2", "parm_2": "parm_1"},
        {"parm_1": "x", "parm_2": "x"},
        {"parm_1": "parm_1"},
        {"parm_1": ""},
        {"parm_1": "a b"},
        {"parm_1": 1},
        {"parm_1": None},
        {"parm_1": ["x"]},
        {"parm_99": "x"},
        {"nothing": "x"},
        {f"parm_{number}": f"p{number}" for number in range(100_000)},
        {"parm_1": "x" * 60_000},
        [],
        "x",
        None,
        1,
    ]
    for given in wrong:
        status, said = attacker.post(json.dumps({"__map__": given}).encode(), path="/given/all/u/v/")
        assert status == 400, (str(given)[:80], said)


# I21 to I23: what functions ask for


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


# I24: logs


def test_i24_what_clients_send_is_one_escaped_line_of_the_log(attacker: Attacker) -> None:
    forged = '\r\n{"level":"ERROR","message":"forged"}\x1b[2J\u2028\x07'
    before = len(attacker.server.log.splitlines())
    attacker.post(json.dumps({"text": forged}).encode(), path="/given/raise/")
    attacker.get("/given/all/", params={"q": forged})
    attacker.get("/given/all/%0d%0aforged")
    attacker.exchange(request(GONE + b"\x1b[2J"), canary())
    attacker.exchange(request(GONE + b"\xe2\x80\xa8", b"Connection: close"))
    attacker.exchange(
        request(CALL, b"User-Agent: \xe2\x80\xa8\xff", b"Referer: ${jndi:ldap://x}", b"Connection: close")
    )
    lines = attacker.server.log.splitlines()[before:]
    assert all(json.loads(line)["level"] != "ERROR" for line in lines)
    assert all(line.isascii() and line.isprintable() for line in lines)
    assert not any(json.loads(line)["message"] == "forged" for line in lines)


# I26, I27, I29


def test_i26_asynchronous_calls_are_not_taken_and_nothing_is_kept_for_them(attacker: Attacker) -> None:
    for headers in (
        {"Prefer": "respond-async"},
        {"Prefer": "wait=999999"},
        {"Prefer": "respond-async, wait=-1"},
        {"Idempotency-Key": "x" * 10_000},
    ):
        assert attacker.request("POST", "/rest/services/given/all/", json={}, headers=headers).status_code == 200
    refused(attacker, request(CALL, b"Idempotency-Key: " + b"x" * 1_000_000), 431)
    refused(attacker, request(CALL, b"Idempotency-Key: a\rb"), 400)


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
