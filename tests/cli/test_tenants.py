"""`plugbay tenants` and `plugbay deploy`: what they ask, and what people and programs read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import FakePlugbay, Tool

UUID = "0e3c5f3a-4a3b-4f53-9be0-30c3d0d9f2a1"
ADA: dict[str, Any] = {
    "uuid": UUID,
    "name": "Ada",
    "role": "tenant",
    "admin": "",
    "plan": "free",
    "status": "enabled",
    "created": 1_700_000_000.0,
}
OTHER = "7c1f6f0e-6b0a-4a53-8d1c-2f4e9a7b3c55"
WITH_KEY = ADA | {"key": "pbt_secret"}
UPLOADED = {
    "name": "hello",
    "exposes": [{"api": "hi", "methods": ["GET", "PUT"], "path": f"/rest/services/{UUID}/hello/hi/"}],
}


def test_add_shows_the_key(plugbay: FakePlugbay, tool: Tool) -> None:
    plugbay.answers_json("POST", "/api/tenants", WITH_KEY, 201)
    shown = tool("tenants", "add", "Ada", "--plan", "standard")
    assert shown.exit_code == 0
    assert json.loads(plugbay.last.body) == {"name": "Ada", "role": "tenant", "plan": "standard"}
    assert UUID in shown.stdout and "key  pbt_secret" in shown.stdout
    assert json.loads(tool("tenants", "add", "Ada", "--json").stdout) == WITH_KEY
    assert json.loads(plugbay.last.body) == {"name": "Ada", "role": "tenant"}
    assert tool("tenants", "add", "Ada", "--role", "admin").exit_code == 0
    assert json.loads(plugbay.last.body) == {"name": "Ada", "role": "admin"}
    assert tool("tenants", "add", "Ada", "--role", "root").exit_code == 2


def test_list_reads_every_page(plugbay: FakePlugbay, tool: Tool) -> None:
    plugbay.answers_json("GET", "/api/tenants", {"tenants": [ADA], "next": None})
    shown = tool("tenants", "list", "ad a")
    assert shown.exit_code == 0
    assert shown.stdout.split("\n")[1].split()[:5] == [UUID, "Ada", "tenant", "free", "enabled"]
    assert "search=ad+a" in plugbay.last.target or "search=ad%20a" in plugbay.last.target
    assert json.loads(tool("tenants", "list", "--json").stdout) == {"tenants": [ADA]}
    plugbay.answers_json("GET", "/api/tenants", {"tenants": [ADA | {"admin": OTHER}], "next": None})
    shown = tool("tenants", "list", "--role", "tenant", "--admin", OTHER)
    assert shown.stdout.split("\n")[1].split()[-1] == OTHER
    assert plugbay.last.target.endswith(f"&role=tenant&admin={OTHER}")


def test_show_has_the_modules(plugbay: FakePlugbay, tool: Tool) -> None:
    problem = {"text": "NameError: jsn", "line": 3, "since": 1.0}
    module = {"name": "hello", "source": "upload", "endpoints": 2, "problem": problem}
    plugbay.answers_json("GET", f"/api/tenants/{UUID}", ADA)
    plugbay.answers_json("GET", f"/api/tenants/{UUID}/modules", {"modules": [module], "next": None})
    shown = tool("tenants", "show", UUID)
    assert shown.exit_code == 0
    assert "Ada" in shown.stdout and "hello" in shown.stdout and "NameError: jsn" in shown.stdout
    assert json.loads(tool("tenants", "show", UUID, "--json").stdout) == ADA | {"modules": [module]}


@pytest.mark.parametrize(
    ("command", "change"),
    [
        (["enable", UUID], {"status": "enabled"}),
        (["disable", UUID], {"status": "disabled"}),
        (["plan", UUID, "standard"], {"plan": "standard"}),
        (["hand-over", UUID, OTHER], {"admin": OTHER}),
    ],
)
def test_changes(plugbay: FakePlugbay, tool: Tool, command: list[str], change: dict[str, str]) -> None:
    plugbay.answers_json("PATCH", f"/api/tenants/{UUID}", ADA | change)
    shown = tool("tenants", *command)
    assert (shown.exit_code, json.loads(plugbay.last.body)) == (0, change)
    assert next(iter(change.values())) in shown.stdout
    assert json.loads(tool("tenants", *command, "--json").stdout) == ADA | change


def test_rotate_key_shows_the_new_one(plugbay: FakePlugbay, tool: Tool) -> None:
    plugbay.answers_json("POST", f"/api/tenants/{UUID}/key", WITH_KEY)
    assert "key  pbt_secret" in tool("tenants", "rotate-key", UUID).stdout


@pytest.mark.parametrize(
    ("arguments", "typed", "removed"),
    [(["--yes"], "", True), ([], "y\n", True), ([], "n\n", False), ([], "", False), (["--yes", "--json"], "", True)],
)
def test_rm_asks_first(plugbay: FakePlugbay, tool: Tool, arguments: list[str], typed: str, removed: bool) -> None:
    plugbay.answers_json("GET", f"/api/tenants/{UUID}", ADA)
    plugbay.answers_bytes("DELETE", f"/api/tenants/{UUID}", b"", "text/plain", 204)
    shown = tool("tenants", "rm", UUID, *arguments, stdin=typed)
    assert (shown.exit_code == 0) is removed
    assert (plugbay.last.method == "DELETE") is removed
    if "--json" in arguments:
        assert json.loads(shown.stdout) == {"removed": UUID}


def test_a_refusal_is_told(plugbay: FakePlugbay, tool: Tool) -> None:
    problem = "Another tenant is called Ada."
    plugbay.answers_json(
        "POST", "/api/tenants", {"status": problem, "errors": [{"field": "name", "problem": problem}]}, 409
    )
    shown = tool("tenants", "add", "Ada")
    assert (shown.exit_code, shown.stderr) == (1, f"name: {problem}\n")


def test_deploy_sends_the_file_and_says_where_to_call(plugbay: FakePlugbay, tool: Tool, tmp_path: Path) -> None:
    (tmp_path / "hello.py").write_bytes(b"# \xc3\xa4\n")
    plugbay.answers_json("PUT", f"/api/tenants/{UUID}/modules/hello", UPLOADED, 201)
    shown = tool("deploy", str(tmp_path / "hello.py"), "--tenant", UUID)
    assert shown.exit_code == 0
    assert (plugbay.last.body, plugbay.last.headers["content-type"]) == (b"# \xc3\xa4\n", "text/x-python")
    assert f"/rest/services/{UUID}/hello/hi/" in shown.stdout and "GET|PUT" in shown.stdout
    plugbay.answers_json("PUT", f"/api/tenants/{UUID}/modules/other", UPLOADED)
    shown = tool("deploy", str(tmp_path / "hello.py"), "--tenant", UUID, "--name", "other", "--json")
    assert json.loads(shown.stdout) == UPLOADED


def test_deploy_tells_what_is_wrong(plugbay: FakePlugbay, tool: Tool, tmp_path: Path) -> None:
    (tmp_path / "hello.py").write_text("x = (\n")
    problem = "SyntaxError: '(' was never closed, line 1"
    answer = {"status": problem, "errors": [{"field": "source", "problem": problem}]}
    plugbay.answers_json("PUT", f"/api/tenants/{UUID}/modules/hello", answer, 422)
    shown = tool("deploy", str(tmp_path / "hello.py"), "--tenant", UUID)
    assert (shown.exit_code, shown.stderr) == (1, f"source: {problem}\n")
    assert tool("deploy", str(tmp_path / "none.py"), "--tenant", UUID).exit_code == 2
