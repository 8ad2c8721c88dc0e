"""`plugbay audit`: what is asked, and what people and programs read."""

from __future__ import annotations

import json
from typing import Any

from tests.cli.conftest import FakePlugbay, Tool

UUID = "0e3c5f3a-4a3b-4f53-9be0-30c3d0d9f2a1"
ENTRY: dict[str, Any] = {
    "id": "0" * 32,
    "time": 1_700_000_000.5,
    "who": "admin",
    "what": "variable set",
    "address": "192.0.2.7",
    "tenant": UUID,
    "about": {"name": "URL", "module": "\x1b[31m"},
}
BARE = ENTRY | {"address": None, "tenant": None, "about": {}, "what": "token keys retired"}


def test_each_change_is_a_row(plugbay: FakePlugbay, tool: Tool) -> None:
    plugbay.answers_json("GET", "/api/audit", {"entries": [ENTRY, BARE], "next": "f" * 32})
    shown = tool("audit", "-n", "2")
    assert shown.exit_code == 0
    heading, first, second = shown.stdout.splitlines()
    assert heading.split() == ["TIME", "WHO", "WHAT", "TENANT", "FROM", "ABOUT"]
    assert first.split()[2:] == ["admin", "variable", "set", UUID, "192.0.2.7", "name=URL", "module=\\x1b[31m"]
    assert second.split()[2:] == ["admin", "token", "keys", "retired"]
    assert plugbay.last.target == "/api/audit?limit=2"
    assert json.loads(tool("audit", "-n", "2", "--json").stdout) == {"entries": [ENTRY, BARE]}


def test_what_is_asked(plugbay: FakePlugbay, tool: Tool) -> None:
    plugbay.answers_json("GET", "/api/audit", {"entries": [], "next": None})
    assert tool("audit", "--tenant", UUID, "--what", "token key").exit_code == 0
    assert plugbay.last.target == f"/api/audit?tenant={UUID}&what=token+key&limit=20"


def test_pages_are_read_until_there_are_enough(plugbay: FakePlugbay, tool: Tool) -> None:
    plugbay.answers_json("GET", "/api/audit", {"entries": [ENTRY] * 500, "next": "f" * 32})
    shown = tool("audit", "-n", "1200", "--json")
    assert shown.exit_code == 0
    assert [request.target for request in plugbay.requests] == [
        "/api/audit?limit=500",
        f"/api/audit?limit=500&cursor={'f' * 32}",
        f"/api/audit?limit=200&cursor={'f' * 32}",
    ]
