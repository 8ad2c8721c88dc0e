"""Given a control plane, when pools, settings, logs and modules are asked for, then people and programs can read them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.cli.conftest import KEY, FakePlugbay, Tool

RUNNER = {
    "id": "r1",
    "state": "bound",
    "owner": None,
    "workers": 2,
    "busy": 1,
    "calls": 7,
    "age_secs": 3700.0,
    "host": "vm",
}
POOL = {
    "name": "admin",
    "kind": "admin",
    "size": 1,
    "runners": [RUNNER],
    "queue": 3,
    "cold_starts": 1,
    "kills": {"time limit": 2},
}
HOST = {"name": "vm", "draining": False, "capacity": 8, "load": 3}
SETTINGS = [
    {"name": "NUM_URL_PARMS", "value": 12, "default": 10, "source": "control plane"},
    {"name": "URL_PARM1", "value": "city", "default": "parm_1", "source": ".env"},
]
RECORD = {
    "number": 1,
    "time": 1_700_000_000.0,
    "call": "c" * 32,
    "owner": "o",
    "module": "hello",
    "api": "hello-world",
    "outcome": "RAISED",
    "status": 500,
    "text": "first line\n\x1b[31msecond",
    "truncated": True,
    "run_ms": 1.25,
}
DIRECTORY: dict[str, Any] = {
    "status": "OK",
    "has_plugins": True,
    "modules": {
        "hello": {"alias": "v1", "source": "hello.py", "serves": True},
        "broken": {"alias": None, "source": "broken.py", "serves": False},
    },
    "endpoints": {
        "hello": {
            method: {
                "hello-world": {
                    "doc": "Greets.\nAt length.",
                    "parameters": [
                        {"name": "name", "type": "str", "required": True, "default": ""},
                        {"name": "loud", "type": "bool", "required": False, "default": "False"},
                    ],
                }
            }
            for method in ("GET", "POST")
        },
        "broken": {},
    },
    "problems": [{"module": "broken", "text": "NameError: x", "line": 3, "since": 1.0}],
    "skipped": [{"path": "big.py", "reason": "larger than MAX_SOURCE_BYTES"}],
}


def refusal(status: str, *errors: tuple[str, str]) -> dict[str, Any]:
    """An error in the control plane's form."""
    return {"status": status, "errors": [{"field": field, "problem": problem} for field, problem in errors]}


@pytest.fixture
def control(plugbay: FakePlugbay) -> FakePlugbay:
    plugbay.answers_json("GET", "/api/pools", {"pools": [POOL], "hosts": [HOST]})
    plugbay.answers_json("PUT", "/api/pools/admin", POOL | {"size": 3})
    plugbay.answers_json("GET", "/api/settings", {"settings": SETTINGS})
    plugbay.answers_json("PATCH", "/api/settings", {"settings": SETTINGS})
    plugbay.answers_json("GET", "/api/logs", {"records": [RECORD | {"text": "newer", "status": 200}, RECORD]})
    plugbay.answers_json("GET", "/rest/services/__dir__/", DIRECTORY)
    plugbay.answers_json("GET", "/rest/services/t-1/hello/__dir__/", DIRECTORY)
    return plugbay


def row(text: str, word: str) -> list[str]:
    """The cells of the first line that begins with `word`."""
    return next(line for line in text.splitlines() if line.startswith(word)).split()


@pytest.mark.parametrize("command", ["pools", "settings", "logs", "dir"])
def test_json_is_the_answer_and_nothing_else(control: FakePlugbay, tool: Tool, command: str) -> None:
    done = tool(command, "--json")
    assert done.exit_code == 0
    assert json.loads(done.stdout) == json.loads(control.answers["GET", control.last.target.partition("?")[0]][2])
    assert done.stderr == ""


@pytest.mark.parametrize("command", ["pools", "settings", "logs"])
def test_the_control_plane_gets_the_key(control: FakePlugbay, tool: Tool, command: str) -> None:
    tool(command)
    assert control.last.headers["authorization"] == f"Bearer {KEY}"


def test_pools(control: FakePlugbay, tool: Tool) -> None:
    done = tool("pools")
    assert row(done.stdout, "vm") == ["vm", "serving", "3", "of", "8"]
    assert row(done.stdout, "admin") == [
        "admin",
        "admin",
        "1",
        "1",
        "bound",
        "1",
        "of",
        "2",
        "3",
        "1",
        "2",
        "time",
        "limit",
    ]
    assert row(done.stdout.partition("RUNNER ")[2], "admin") == [
        "admin",
        "r1",
        "vm",
        "bound",
        "1",
        "2",
        "7",
        "1",
        "h",
        "1",
        "min",
    ]


def test_scale(control: FakePlugbay, tool: Tool) -> None:
    done = tool("scale", "admin", "3")
    assert (control.last.method, json.loads(control.last.body)) == ("PUT", {"size": 3})
    assert row(done.stdout, "admin")[:3] == ["admin", "admin", "3"]
    assert json.loads(tool("scale", "admin", "3", "--json").stdout)["size"] == 3


@pytest.mark.parametrize(
    ("arguments", "request_line", "answer", "shown"),
    [
        (["runner", "r1"], ("POST", "/api/runners/r1/drain"), POOL, ["admin", "admin", "1"]),
        (["tenant", "admin"], ("POST", "/api/pools/admin/drain"), POOL, ["admin", "admin", "1"]),
        (["host", "vm"], ("POST", "/api/hosts/vm/drain"), HOST | {"draining": True}, ["vm", "draining"]),
        (["host", "vm", "--undo"], ("DELETE", "/api/hosts/vm/drain"), HOST, ["vm", "serving"]),
    ],
)
def test_drain(
    control: FakePlugbay,
    tool: Tool,
    arguments: list[str],
    request_line: tuple[str, str],
    answer: dict[str, Any],
    shown: list[str],
) -> None:
    control.answers_json(*request_line, answer)
    done = tool("drain", *arguments)
    assert (control.last.method, control.last.target) == request_line
    assert row(done.stdout, shown[0])[: len(shown)] == shown
    assert json.loads(tool("drain", *arguments, "--json").stdout) == answer


def test_only_hosts_take_calls_again(control: FakePlugbay, tool: Tool) -> None:
    assert tool("drain", "runner", "r1", "--undo").exit_code == 2
    assert control.requests == []


def test_a_pool_name_is_one_segment(control: FakePlugbay, tool: Tool) -> None:
    assert tool("scale", "../settings", "3").exit_code == 1
    assert control.last.target == "/api/pools/..%2Fsettings"


def test_the_servers_no(control: FakePlugbay, tool: Tool) -> None:
    problem = refusal("The request is not valid.", ("size", "at most 16"))
    control.answers_json("PUT", "/api/pools/admin", problem, 422)
    done = tool("scale", "admin", "99")
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == "The request is not valid.\n  size: at most 16\n"
    assert json.loads(tool("scale", "admin", "99", "--json").stdout) == problem


def test_a_no_that_is_said_twice_is_shown_once(control: FakePlugbay, tool: Tool) -> None:
    said = "is no run-time setting"
    control.answers_json("PATCH", "/api/settings", refusal(said, ("FOO", said)), 422)
    assert tool("settings", "FOO=1").stderr == "FOO: is no run-time setting\n"


def test_settings(control: FakePlugbay, tool: Tool) -> None:
    done = tool("settings")
    assert row(done.stdout, "NUM_URL_PARMS") == ["NUM_URL_PARMS", "12", "10", "control", "plane"]


def test_settings_are_changed(control: FakePlugbay, tool: Tool) -> None:
    done = tool("settings", "NUM_URL_PARMS=12", "URL_PARM1=12", "URL_PARM2=")
    assert done.exit_code == 0
    (change,) = [request for request in control.requests if request.method == "PATCH"]
    assert json.loads(change.body) == {"NUM_URL_PARMS": 12, "URL_PARM1": "12", "URL_PARM2": None}


def test_a_change_needs_a_value(control: FakePlugbay, tool: Tool) -> None:
    assert tool("settings", "NUM_URL_PARMS").exit_code == 2
    assert control.requests == []


def test_logs_oldest_first_and_harmless(control: FakePlugbay, tool: Tool) -> None:
    done = tool("logs", "--module", "hello", "--call", "c" * 32, "-n", "2", "--tenant", "t-1")
    assert control.last.target == f"/api/logs?limit=2&module=hello&tenant=t-1&call={'c' * 32}"
    lines = done.stdout.splitlines()
    assert f"hello/hello-world · 500 RAISED · 1.2 ms · {'c' * 32}" in lines[0]
    assert lines[1:3] == ["  first line", "  \\x1b[31msecond"]
    assert "MAX_LOG_BYTES" in lines[3]
    assert lines[5] == "  newer"


def test_no_logs(control: FakePlugbay, tool: Tool) -> None:
    control.answers_json("GET", "/api/logs", {"records": []})
    done = tool("logs")
    assert (done.exit_code, done.stdout) == (0, "")
    assert "Nothing was printed yet" in done.stderr


def test_logs_are_followed_to_the_end_of_the_stream(control: FakePlugbay, tool: Tool) -> None:
    records = (RECORD | {"text": "one", "missed": 0}, RECORD | {"text": "two", "missed": 7})
    lines = "".join(json.dumps(record) + "\n" for record in records).encode()
    control.answers_bytes("GET", "/api/logs", lines, "application/x-ndjson")
    done = tool("logs", "-f")
    assert control.last.target == "/api/logs?limit=20&follow=true"
    assert [line for line in done.stdout.splitlines() if line in ("  one", "  two")] == ["  one", "  two"]
    assert "… 7 records came faster than they were read, and are not shown" in done.stdout.splitlines()
    assert tool("logs", "-f", "--json").stdout.encode() == lines


def test_following_a_call_makes_no_sense(control: FakePlugbay, tool: Tool) -> None:
    assert tool("logs", "-f", "--call", "c").exit_code == 2


def test_dir(control: FakePlugbay, tool: Tool) -> None:
    lines = tool("dir").stdout.splitlines()
    assert lines[1].split() == [
        "hello",
        "(v1)",
        "hello-world",
        "GET|POST",
        "name:",
        "str,",
        "loud:",
        "bool",
        "=",
        "False",
        "Greets.",
    ]
    assert "✗ broken, line 3: NameError: x (it does not serve)" in lines
    assert "– big.py is not taken as a module: larger than MAX_SOURCE_BYTES" in lines


def test_dir_of_one_module_of_a_tenant(control: FakePlugbay, tool: Tool) -> None:
    assert tool("dir", "hello", "--tenant", "t-1").exit_code == 0


def test_dir_of_what_is_not_there(control: FakePlugbay, tool: Tool) -> None:
    control.answers_json("GET", "/rest/services/no/__dir__/", {"status": "no is undefined for GET."}, 404)
    done = tool("dir", "no")
    assert (done.exit_code, done.stderr) == (1, "no is undefined for GET.\n")


def test_not_answering(tool: Tool) -> None:
    done = tool("pools", "--json", PLUGBAY_URL="http://127.0.0.1:1")
    said = "Plugbay is not answering at http://127.0.0.1:1: start it with ./runserver.sh"
    assert (done.exit_code, done.stderr) == (3, said + "\n")
    assert json.loads(done.stdout) == {"status": said, "errors": []}


def test_somebody_else_answers(control: FakePlugbay, tool: Tool) -> None:
    control.answers_bytes("GET", "/api/pools", b"<html>", "text/html", 502)
    done = tool("pools")
    assert done.exit_code == 3
    assert "is not Plugbay" in done.stderr


def test_an_answer_of_another_version(control: FakePlugbay, tool: Tool) -> None:
    control.answers_json("GET", "/api/pools", {"pools": [{"title": "x"}]})
    assert tool("pools").exit_code == 3


def test_refused_key(control: FakePlugbay, tool: Tool) -> None:
    control.answers_json("GET", "/api/pools", refusal("a key is needed"), 401)
    done = tool("pools")
    assert done.exit_code == 1
    assert "does not take this key" in done.stderr
    assert KEY not in done.output
