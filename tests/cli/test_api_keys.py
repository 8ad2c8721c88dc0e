"""`plugbay api-keys`: what it asks, and what people and programs read."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.cli.conftest import FakePlugbay, Tool

ADA = "0e3c5f3a-4a3b-4f53-9be0-30c3d0d9f2a1"
PATH = f"/api/tenants/{ADA}/api-keys"
ID = "0a1b2c3d4e5f6071"
MADE: dict[str, Any] = {"id": ID, "name": "ci", "scopes": ["deploy"], "created": 1_700_000_000.0, "expires": None}


@pytest.mark.parametrize(
    ("options", "asked"),
    [
        (["--scope", "deploy"], {"scopes": ["deploy"]}),
        (["--scope", "call", "--scope", "manage"], {"scopes": ["call", "manage"]}),
        (["--scope", "deploy", "--expires", "3600"], {"scopes": ["deploy"], "expires_in": 3600}),
        (["--scope", "deploy", "--expires", "2090-01-31"], {"scopes": ["deploy"], "expires": "2090-01-31"}),
    ],
)
def test_a_key_is_shown_once(plugbay: FakePlugbay, tool: Tool, options: list[str], asked: dict[str, Any]) -> None:
    plugbay.answers_json("POST", PATH, MADE | {"key": "pba_secret"}, 201)
    shown = tool("api-keys", "new", "ci", "--tenant", ADA, *options)
    assert (shown.exit_code, shown.stdout) == (0, "pba_secret\n")
    assert json.loads(plugbay.last.body) == {"name": "ci"} | asked
    as_json = tool("api-keys", "new", "ci", "--tenant", ADA, *options, "--json")
    assert json.loads(as_json.stdout) == MADE | {"key": "pba_secret"}


def test_what_is_no_scope_is_not_asked_for(plugbay: FakePlugbay, tool: Tool) -> None:
    for options in ([], ["--scope", "admin"]):
        assert tool("api-keys", "new", "ci", "--tenant", ADA, *options).exit_code == 2
    assert plugbay.requests == []


def test_they_are_listed_without_their_texts(plugbay: FakePlugbay, tool: Tool) -> None:
    ends = MADE | {"id": "f" * 16, "name": "a server", "scopes": ["call", "deploy"], "expires": 1_800_000_000.0}
    plugbay.answers_json("GET", PATH, {"keys": [MADE, ends]})
    _, first, second, *_ = tool("api-keys", "list", "--tenant", ADA).stdout.split("\n")
    assert first.split()[:4] == [ID, "ci", "deploy", "2023-11-14"] or first.split()[3] == "2023-11-15"
    assert first.split()[-1] == "never"
    assert "call, deploy" in second and "2027-01-1" in second
    assert json.loads(tool("api-keys", "list", "--tenant", ADA, "--json").stdout) == {"keys": [MADE, ends]}


def test_one_is_revoked(plugbay: FakePlugbay, tool: Tool) -> None:
    plugbay.answers_bytes("DELETE", f"{PATH}/{ID}", b"", "text/plain", 204)
    assert tool("api-keys", "revoke", ID, "--tenant", ADA).stdout == f"Revoked {ID}.\n"
    assert plugbay.last.method == "DELETE"
    assert json.loads(tool("api-keys", "revoke", ID, "--tenant", ADA, "--json").stdout) == {"revoked": ID}
    assert tool("api-keys", "revoke", "other", "--tenant", ADA).exit_code == 1
