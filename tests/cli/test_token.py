"""`plugbay token`, and calls that are told that they take one."""

from __future__ import annotations

import json
from uuid import UUID

import pytest

from plugbay_client.token import TokenKey
from tests.cli.conftest import FakePlugbay, Tool
from tokens.opening import open_token

ADMIN = "4a1bf01e-0693-48c5-a52b-fc275205c1d8"
ADA = "0e3c5f3a-4a3b-4f53-9be0-30c3d0d9f2a1"
KEY = TokenKey(b"\1\2\3\4", bytes(range(32)))
HELLO = "/rest/services/hello-world/"


@pytest.fixture
def closed(plugbay: FakePlugbay) -> FakePlugbay:
    """Plugbay that takes tokens alone, and none of them."""
    for path in (HELLO, f"/rest/services/{ADA}/hello-world/", f"/rest/services/{ADA}/__dir__/"):
        for method in ("GET", "POST"):
            plugbay.answers_json(method, path, {"status": "this takes a token"}, 401, WWW_Authenticate="Token")
    for owner in (ADMIN, ADA):
        plugbay.answers_json("POST", f"/api/tenants/{owner}/tokens", {"token": "made-by-plugbay"})
    return plugbay


def is_for(token: str, owner: str, method: str, target: str) -> bool:
    return bool(open_token(token.encode(), {KEY.id: KEY.secret}, UUID(owner).bytes, method.encode(), target.encode()))


def test_a_call_sends_a_token_once_it_is_told_to(closed: FakePlugbay, tool: Tool) -> None:
    tool("call", "hello-world/", "-q", "a=x y", "-d", "{}", ADMIN_UUID=ADMIN)
    first, asked, second = closed.requests
    assert "authorization" not in first.headers
    assert json.loads(asked.body) == {"method": "POST", "target": f"{HELLO}?a=x+y"}
    assert asked.target == f"/api/tenants/{ADMIN}/tokens"
    assert second.headers["authorization"] == "Token made-by-plugbay"
    assert (second.method, second.target, second.body) == ("POST", f"{HELLO}?a=x+y", b"{}")
    assert second.headers["content-type"] == "application/json"


def test_a_call_of_a_tenant_and_its_directory(closed: FakePlugbay, tool: Tool) -> None:
    for command in (["call", "hello-world/", "--tenant", ADA], ["dir", "--tenant", ADA]):
        closed.requests.clear()
        tool(*command)
        assert [request.target.startswith(f"/api/tenants/{ADA}/") for request in closed.requests] == [
            False,
            True,
            False,
        ]
        assert closed.last.headers["authorization"] == "Token made-by-plugbay"


def test_with_a_key_for_tokens_nobody_is_asked(closed: FakePlugbay, tool: Tool) -> None:
    tool("call", "hello-world/", "--tenant", ADA, PLUGBAY_TOKEN_KEY=KEY.text(), PLUGBAY_KEY="")
    assert len(closed.requests) == 2
    scheme, _, token = closed.last.headers["authorization"].partition(" ")
    assert scheme == "Token"
    assert is_for(token, ADA, "GET", f"/rest/services/{ADA}/hello-world/")


def test_a_form_is_sent_again_with_its_parts(closed: FakePlugbay, tool: Tool) -> None:
    tool("call", "hello-world/", "-F", "a=1", ADMIN_UUID=ADMIN)
    assert b'name="a"' in closed.last.body
    assert closed.last.headers["authorization"].startswith("Token ")


def test_another_401_is_an_answer(plugbay: FakePlugbay, tool: Tool) -> None:
    plugbay.answers_json("GET", HELLO, {"status": "who are you?"}, 401, WWW_Authenticate="Basic")
    assert tool("call", "hello-world/").exit_code == 1
    assert len(plugbay.requests) == 1


def test_mint(closed: FakePlugbay, tool: Tool) -> None:
    assert tool("token", "mint", "hello-world/", ADMIN_UUID=ADMIN).stdout == "made-by-plugbay\n"
    target = f"/rest/services/{ADA}/hello-world/?a=1"
    made = tool(
        "token", "mint", "hello-world/", "-X", "head", "-q", "a=1", "--tenant", ADA, PLUGBAY_TOKEN_KEY=KEY.text()
    )
    assert is_for(made.stdout.strip(), ADA, "HEAD", target)
    shown = tool("token", "mint", target, "--json", PLUGBAY_TOKEN_KEY=KEY.text())
    assert is_for(json.loads(shown.stdout)["token"], ADA, "GET", target)


@pytest.mark.parametrize("key", ["pbk_short", KEY.text()[:-1]])
def test_a_key_that_is_none_is_told_and_not_shown(closed: FakePlugbay, tool: Tool, key: str) -> None:
    done = tool("token", "mint", "hello-world/", "--tenant", ADA, PLUGBAY_TOKEN_KEY=key)
    assert done.exit_code == 2
    assert "no key for tokens" in done.stderr and key not in done.stderr


def test_keys(plugbay: FakePlugbay, tool: Tool) -> None:
    path = f"/api/tenants/{ADA}/token-keys"
    plugbay.answers_json("GET", path, {"keys": [{"id": "01020304", "created": 1_700_000_000.0}]})
    plugbay.answers_json("POST", path, {"id": "01020304", "created": 1.0, "key": KEY.text()}, 201)
    plugbay.answers_bytes("DELETE", f"{path}/01020304", b"", "text/plain", 204)
    assert "01020304  2023-11-1" in tool("token", "keys", "--tenant", ADA).stdout
    assert tool("token", "new-key", "--tenant", ADA).stdout == KEY.text() + "\n"
    assert tool("token", "retire", "01020304", "--tenant", ADA).stdout == "Retired 01020304.\n"
    assert plugbay.last.method == "DELETE"
    plugbay.answers_bytes("DELETE", path, b"", "text/plain", 204)
    assert tool("token", "retire", "--all", "--tenant", ADA).stdout == "Retired all.\n"
    for wrong in (["retire"], ["retire", "01020304", "--all"]):
        assert tool("token", *wrong, "--tenant", ADA).exit_code == 2


def test_whose_keys_has_to_be_known(plugbay: FakePlugbay, tool: Tool) -> None:
    assert tool("token", "keys", "--tenant", "ada").exit_code == 2
    assert plugbay.requests == []
