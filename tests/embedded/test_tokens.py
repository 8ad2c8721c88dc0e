"""The embedded platform with tokens required of all calls: tool, client and browser get in, and nobody else."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from plugbay_client import CallFailed, Client, TokenKey, mint
from tests.embedded.server import ADMIN_KEY, ADMIN_UUID, ROOT, SECRETS_KEY, Embedded
from tests.tokens.chromium import chromium
from tests.tokens.small_plugbay import SmallPlugbay, small_plugbay
from tests.tokens.test_browser import click

HELLO = "/rest/services/hello/"
MODULE = """
import expose

@expose.endpoint(method="GET|POST")
def hello(name="you"):
    return f"hello {name}"
"""


class Closed:
    """The platform, and a key for tokens of the admin."""

    def __init__(self, folder: Path) -> None:
        (folder / "plugins").mkdir()
        (folder / "plugins" / "greet.py").write_text(MODULE)
        self.server = Embedded(folder / "plugins", folder / "data", REQUIRE_TOKENS="all", LOG_LEVEL="DEBUG")
        self.server.start()
        made = self.server.api("POST", f"/tenants/{ADMIN_UUID}/token-keys").json()
        self.key = TokenKey.parse(made["key"])
        self.first_used()

    def first_used(self) -> None:
        """Returns once tokens are taken, after the first seconds of the process."""
        while self.send(self.mint()).status_code != 200:
            pass

    def mint(self, target: str = HELLO, method: str = "GET") -> str:
        return mint(self.key, UUID(ADMIN_UUID), method, target)

    def send(self, token: str | None, target: str = HELLO) -> httpx.Response:
        headers = {} if token is None else {"Authorization": f"Token {token}"}
        return httpx.get(self.server.url + target, headers=headers, timeout=30)

    def tool(self, *command: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """What `plugbay` says."""
        own = {"PLUGBAY_URL": self.server.url, "ADMIN_UUID": ADMIN_UUID, "ADMIN_KEY": ADMIN_KEY, "PLUGBAY_KEY": ""}
        return subprocess.run(
            [sys.executable, "-P", "-m", "cli", *command],
            cwd=ROOT,
            env=os.environ | own | environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Closed]:
    closed = Closed(tmp_path_factory.mktemp("closed"))
    yield closed
    closed.server.stop()


@pytest.fixture
def elsewhere() -> Iterator[SmallPlugbay]:
    with small_plugbay() as server:
        yield server


def test_without_a_token_nothing_is_served(closed: Closed) -> None:
    for target in (HELLO, "/rest/services/__dir__/", "/rest/services/nothing/"):
        answer = closed.send(None, target)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Token")


def test_each_token_once(closed: Closed) -> None:
    token = closed.mint()
    assert [closed.send(token).status_code for _ in range(3)] == [200, 401, 401]


def test_the_client_calls(closed: Closed) -> None:
    client = Client(closed.server.url, ADMIN_UUID, closed.key.text())
    assert client.call("hello", {"name": "Ada"}) == "hello Ada"
    assert client.call("greet/hello", query={"name": "Bo & Co"}) == "hello Bo & Co"
    with pytest.raises(CallFailed, match="404"):
        client.call("nothing")


def test_the_tool_makes_tokens_by_itself(closed: Closed) -> None:
    for environ in ({}, {"PLUGBAY_TOKEN_KEY": closed.key.text(), "ADMIN_KEY": "not-the-key-of-this-one"}):
        done = closed.tool("call", "hello/", "-q", "name=Ada", "--json", **environ)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["body"] == {"status": "OK", "response": {"hello": "hello Ada"}}
        assert "hello" in closed.tool("dir", **environ).stdout
    token = closed.tool("token", "mint", "hello/").stdout.strip()
    assert [closed.send(token).status_code for _ in range(2)] == [200, 401]


def test_keys_are_made_and_retired_with_the_tool(closed: Closed) -> None:
    made = TokenKey.parse(closed.tool("token", "new-key").stdout.strip())
    shown = closed.tool("token", "keys").stdout
    assert made.id.hex() in shown and closed.key.id.hex() in shown
    token = mint(made, UUID(ADMIN_UUID), "GET", HELLO)
    assert closed.send(token).status_code == 200
    assert closed.tool("token", "retire", made.id.hex()).returncode == 0
    assert closed.send(mint(made, UUID(ADMIN_UUID), "GET", HELLO)).status_code == 401
    assert closed.send(closed.mint()).status_code == 200


@pytest.mark.needs("chromium")
def test_a_page_of_another_origin_calls(closed: Closed, elsewhere: SmallPlugbay) -> None:
    with chromium() as page:
        page.open(f"{elsewhere.url}/example/index.html")
        fields = {"url": closed.server.url, "tenant": ADMIN_UUID, "key": closed.key.text()}
        answer = click(page, **fields, method="POST", api="hello/", body='{"name": "Ada"}')
        assert answer == '200\n{"status":"OK","response":{"hello":"hello Ada"}}'
        assert page.complaints == []


def test_the_switch_at_run_time(closed: Closed) -> None:
    def required(value: str) -> Any:
        return closed.server.api("PATCH", "/settings", json={"REQUIRE_TOKENS": value})

    assert required("tenants").status_code == 200
    assert closed.send(None).status_code == 200
    assert required("sometimes").status_code == 422
    assert required("all").json()["settings"][0] == {
        "name": "REQUIRE_TOKENS",
        "value": "all",
        "default": "all",
        "source": "control plane",
    }
    assert closed.send(None).status_code == 401


def test_nothing_of_a_key_is_written_anywhere(closed: Closed) -> None:
    token = closed.mint()
    closed.send(token)
    closed.send(token)
    secrets = [closed.key.text()[4:].encode(), closed.key.secret, closed.key.secret.hex().encode(), token.encode()]
    secrets.append(SECRETS_KEY.encode())
    files = [file for file in closed.server.data.parent.rglob("*") if file.is_file() and file.suffix != ".py"]
    assert any(file.suffix == ".sqlite" for file in files)
    for file in files:
        content = file.read_bytes()
        assert not [secret for secret in secrets if secret in content], file
    assert "it was used" in closed.server.log


def test_after_a_restart_what_was_used_before_is_refused(closed: Closed) -> None:
    """The last test: it leaves another process. However that ended, it does not know of the tokens before it."""
    used = closed.mint()
    assert closed.send(used).status_code == 200
    closed.server.stop(signal.SIGKILL)
    closed.server.temporary.mkdir(exist_ok=True)
    closed.server.start()
    unused = closed.mint()
    for token in (used, used, unused):
        assert closed.send(token).status_code == 401
    closed.first_used()
    assert closed.send(used).status_code == 401
