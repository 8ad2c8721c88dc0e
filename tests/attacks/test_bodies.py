"""Rows I12 to I19 of the security requirements: JSON, forms, files and the names in them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.attacks.alive import Attacker
from tests.attacks.wire import CALL, JSON, request, statuses
from tests.embedded.server import Embedded


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
    attacker.refused(request(CALL, JSON, b"Content-Type: text/plain", method=b"POST", body=b"{}"), 400)
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
