"""`plugbay env`: where values come from, what is asked, and what is shown."""

from __future__ import annotations

import json

from tests.cli.conftest import FakePlugbay, Tool

UUID = "0e3c5f3a-4a3b-4f53-9be0-30c3d0d9f2a1"
PATH = f"/api/tenants/{UUID}/environ"
SECRET = {"name": "KEY", "module": None, "secret": True, "value": None}
PLAIN = {"name": "PLAIN", "module": "shop", "secret": False, "value": "seen"}


def test_a_value_comes_from_standard_input_and_is_not_shown(plugbay: FakePlugbay, tool: Tool) -> None:
    plugbay.answers_json("PUT", f"{PATH}/KEY", SECRET, 201)
    shown = tool("env", "set", "KEY", "--tenant", UUID, stdin="canary\nsecond line\n")
    assert (shown.exit_code, shown.stdout) == (0, "Set KEY.\n")
    assert json.loads(plugbay.last.body) == {"value": "canary\nsecond line", "secret": True}
    assert plugbay.last.target == f"{PATH}/KEY"
    shown = tool("env", "set", "KEY", "--tenant", UUID, "--module", "shop", "--plain", "--json", stdin="")
    assert json.loads(shown.stdout) == SECRET
    assert json.loads(plugbay.last.body) == {"value": "", "secret": False}
    assert plugbay.last.target == f"{PATH}/KEY?module=shop"


def test_what_is_not_text_is_not_sent(plugbay: FakePlugbay, tool: Tool) -> None:
    shown = tool("env", "set", "KEY", "--tenant", UUID, stdin=b"\xff")
    assert shown.exit_code == 2
    assert "not UTF-8" in shown.stderr
    assert plugbay.requests == []


def test_list_shows_no_secret(plugbay: FakePlugbay, tool: Tool) -> None:
    plugbay.answers_json("GET", PATH, {"variables": [SECRET, PLAIN]})
    shown = tool("env", "list", "--tenant", UUID)
    assert [line.split() for line in shown.stdout.splitlines()[1:]] == [
        ["KEY", "all", "(secret)"],
        ["PLAIN", "shop", "seen"],
    ]
    assert json.loads(tool("env", "list", "--tenant", UUID, "--json").stdout) == {"variables": [SECRET, PLAIN]}


def test_unset(plugbay: FakePlugbay, tool: Tool) -> None:
    plugbay.answers_bytes("DELETE", f"{PATH}/KEY", b"", "application/json", 204)
    assert tool("env", "unset", "KEY", "--tenant", UUID).stdout == "Unset KEY.\n"
    assert json.loads(tool("env", "unset", "KEY", "--tenant", UUID, "--json").stdout) == {"unset": "KEY"}
    assert tool("env", "unset", "OTHER", "--tenant", UUID).exit_code == 1
