"""Given a function behind an address, when `plugbay call` is used, then the request is what was meant."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import FakePlugbay, Tool

HELLO = "/rest/services/hello-world/"
VALUE = {"status": "OK", "response": {"hello-world": {"name": "Zoë"}}}


@pytest.fixture
def hello(plugbay: FakePlugbay) -> FakePlugbay:
    for method in ("GET", "POST", "PUT"):
        timing = "queue;dur=0.1, run;dur=2.5"
        plugbay.answers_json(method, HELLO, VALUE, X_Call_Id="c" * 32, Server_Timing=timing)
    return plugbay


def test_value(hello: FakePlugbay, tool: Tool) -> None:
    done = tool("call", "hello-world/")
    assert done.exit_code == 0
    assert json.loads(done.stdout) == VALUE
    assert "Zoë" in done.stdout
    assert done.stderr.strip() == f"200 OK · call {'c' * 32} · ran 2.5 ms"
    assert hello.last.method == "GET"


def test_the_key_is_not_shown_to_functions(hello: FakePlugbay, tool: Tool) -> None:
    tool("call", "hello-world/")
    assert "authorization" not in hello.last.headers


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        (["hello/1/2"], "/rest/services/hello/1/2"),
        (["/hello/"], "/rest/services/hello/"),
        (["/rest/calls/abc"], "/rest/calls/abc"),
        (["hello/", "--tenant", "t-1"], "/rest/services/t-1/hello/"),
        (["hello", "-q", "a=1", "-q", "a=x y"], "/rest/services/hello?a=1&a=x+y"),
        (["hello?b=2", "-q", "a=1=1"], "/rest/services/hello?b=2&a=1%3D1"),
        (["a%2fb/../c"], "/rest/services/a%2fb/../c"),
        (["é b"], "/rest/services/%C3%A9%20b"),
    ],
)
def test_paths_are_sent_as_given(plugbay: FakePlugbay, tool: Tool, given: list[str], sent: str) -> None:
    tool("call", *given)
    assert plugbay.last.target == sent


def test_data_is_posted_as_json(hello: FakePlugbay, tool: Tool) -> None:
    assert tool("call", "hello-world/", "-d", '{"a": 1}').exit_code == 0
    assert (hello.last.method, hello.last.body) == ("POST", b'{"a": 1}')
    assert hello.last.headers["content-type"] == "application/json"


def test_method_is_what_was_asked_for(hello: FakePlugbay, tool: Tool) -> None:
    assert tool("call", "hello-world/", "-X", "put", "-d", "{}").exit_code == 0
    assert hello.last.method == "PUT"


def test_data_from_standard_input(hello: FakePlugbay, tool: Tool) -> None:
    tool("call", "hello-world/", "-d", "-", stdin=b"[1]")
    assert hello.last.body == b"[1]"


@pytest.mark.parametrize(("name", "media_type"), [("a.json", "application/json"), ("a.png", "image/png")])
def test_data_from_a_file(hello: FakePlugbay, tool: Tool, tmp_path: Path, name: str, media_type: str) -> None:
    (tmp_path / name).write_bytes(b"\x00\xff")
    tool("call", "hello-world/", "-d", f"@{tmp_path / name}")
    assert hello.last.body == b"\x00\xff"
    assert hello.last.headers["content-type"] == media_type


def test_form_with_a_file(hello: FakePlugbay, tool: Tool, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("content")
    tool("call", "hello-world/", "-F", f"file=@{tmp_path / 'a.txt'}", "-F", "n=1")
    assert hello.last.method == "POST"
    assert hello.last.headers["content-type"].startswith("multipart/form-data; boundary=")
    assert b'name="file"; filename="a.txt"\r\nContent-Type: text/plain\r\n\r\ncontent' in hello.last.body
    assert b'name="n"\r\n\r\n1' in hello.last.body


@pytest.mark.parametrize(
    "wrong",
    [
        ["-d", "{}", "-F", "a=1"],
        ["-d", "@/nowhere/at/all"],
        ["-q", "novalue"],
        ["-F", "=value"],
        ["--url", "ftp://127.0.0.1"],
        ["--url", "http://[::"],
    ],
)
def test_what_cannot_be_meant_is_not_sent(plugbay: FakePlugbay, tool: Tool, wrong: list[str]) -> None:
    assert tool("call", "hello-world/", *wrong).exit_code == 2
    assert plugbay.requests == []


def test_a_tenant_does_not_go_with_a_whole_path(tool: Tool) -> None:
    assert tool("call", "/rest/services/hello/", "--tenant", "t").exit_code == 2


def test_error_answer(plugbay: FakePlugbay, tool: Tool) -> None:
    body = {"status": "ERROR", "exception": "ValueError: no", "call": "d" * 32}
    plugbay.answers_json("GET", HELLO, body, 500, X_Call_Id="d" * 32)
    done = tool("call", "hello-world/")
    assert done.exit_code == 1
    assert json.loads(done.stdout) == body
    assert f"plugbay logs --call {'d' * 32}" in done.stderr


def test_json(hello: FakePlugbay, tool: Tool) -> None:
    done = tool("call", "hello-world/", "--json")
    answer = json.loads(done.stdout)
    assert (answer["status"], answer["call"], answer["body"]) == (200, "c" * 32, VALUE)
    assert answer["headers"]["content-type"] == "application/json"
    assert done.stdout.isascii()
    assert done.stderr == ""


def test_bytes_go_through_as_they_are(plugbay: FakePlugbay, tool: Tool) -> None:
    plugbay.answers_bytes("GET", HELLO, b"\x89PNG\x00\xff\x1b[2J", "image/png")
    assert tool("call", "hello-world/").stdout_bytes == b"\x89PNG\x00\xff\x1b[2J"
    assert json.loads(tool("call", "hello-world/", "--json").stdout)["body"] == {"base64": "iVBORwD/G1sySg=="}


def test_text_cannot_command_the_terminal(plugbay: FakePlugbay, tool: Tool) -> None:
    plugbay.answers_bytes("GET", HELLO, "a\x1b]0;owned\x07\r\nb\u202ec".encode(), "text/plain; charset=utf-8")
    assert tool("call", "hello-world/").stdout == "a\\x1b]0;owned\\x07\nb\\u202ec\n"


def test_json_text_cannot_command_the_terminal(plugbay: FakePlugbay, tool: Tool) -> None:
    plugbay.answers_json("GET", HELLO, {"a": "\x9b2J [red]b[/red]"})
    assert tool("call", "hello-world/").stdout == '{\n  "a": "\\x9b2J [red]b[/red]"\n}\n'


def test_a_call_that_nobody_waits_for(plugbay: FakePlugbay, tool: Tool) -> None:
    where = "/rest/calls/" + "0" * 48
    plugbay.answers_json("POST", HELLO, {"status": "ACCEPTED"}, 202, Location=where)
    done = tool("call", "hello-world/", "--async", "-d", "{}")
    assert (done.exit_code, done.stdout) == (0, f"{where}\n")
    assert plugbay.last.headers["prefer"] == "respond-async"
    assert plugbay.last.headers["content-type"] == "application/json"


def test_its_result(plugbay: FakePlugbay, tool: Tool) -> None:
    where = "/rest/calls/" + "0" * 48
    plugbay.answers_json("GET", HELLO, {"status": "ACCEPTED"}, 202, Location=where)
    plugbay.answers_json("GET", where, VALUE)
    done = tool("call", "hello-world/", "--wait")
    assert (done.exit_code, json.loads(done.stdout)) == (0, VALUE)
    assert [(one.method, one.target) for one in plugbay.requests] == [("GET", HELLO), ("GET", where)]
    assert "prefer" not in plugbay.last.headers
