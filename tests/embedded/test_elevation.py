"""A tenant is elevated, and in its own installation elevates one of its tenants: all by the tool, as an operator does."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import psutil
import pytest
from nacl.signing import SigningKey

from benchmarks.processes import free_port
from plugbay_client.token import TokenKey, mint
from tests.embedded.server import ROOT, STOP_SECS, UNLIMITED
from tests.waiting import eventually

pytestmark = pytest.mark.needs("bubblewrap")

PYTHON = {"Content-Type": "text/x-python"}
SHOP = """
import os, socket

import expose


@expose.endpoint(method="GET")
def price():
    return [{number}, os.environ["RATE"], os.environ["SECRET"]]


@expose.endpoint(method="GET")
def network():
    socket.create_server(("127.0.0.1", 0)).close()
    return os.getuid()
"""
STOCK = """
from pathlib import Path

import expose

__ID__ = "{uuid}"


@expose.endpoint(method="GET")
def stock():
    return (Path(__file__).parent / "tea.txt").read_text()
"""


class Home:
    """One installation: its folder, and its scripts."""

    def __init__(self, folder: Path, program: Path) -> None:
        """`program` has the scripts."""
        self.folder = folder
        self._program = program
        keep = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        marks = {name: value for name, value in os.environ.items() if name.startswith("PLUGBAY_TEST")}
        self.environ = keep | marks | {"PLUGBAY_HOME": str(folder), "TMPDIR": "/tmp"}

    def setting(self, name: str) -> str:
        """A setting, as its files have it."""
        text = "".join((self.folder / file).read_text() for file in (".env", ".env.local"))
        return str(re.findall(rf"^{name}=(.*)$", text, re.MULTILINE)[-1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.setting('GATEWAY_PORT')}"

    def tool(self, *arguments: str, stdin: str = "") -> tuple[int, Any]:
        """Exit status of a command of the tool, and what it prints as JSON."""
        ended = subprocess.run(
            [self._program / "plugbay", *arguments, "--json"],
            env=self.environ,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert ended.stdout, ended.stderr
        return ended.returncode, json.loads(ended.stdout)

    def elevated(self, uuid: str, folder: Path) -> Home:
        """The new installation of one of its tenants."""
        status, said = self.tool("elevate", uuid, "--yes", "--folder", str(folder))
        assert status == 0, said
        home = Home(folder, folder)
        assert said == {"elevated": uuid, "folder": str(folder), "address": home.url}
        return home

    @property
    def holder(self) -> int:
        """Id of the process that serves it."""
        return int((self.folder / "data" / "plugbay.lock").read_text())

    def end(self) -> None:
        """Stops it, if it runs; the process has done with its store then."""
        try:
            process = psutil.Process(self.holder)
            process.send_signal(signal.SIGTERM)
            process.wait(STOP_SECS)
        except (FileNotFoundError, psutil.NoSuchProcess):
            return


class Owner:
    """A tenant, or who was one: its key is the same everywhere."""

    def __init__(self, uuid: str, key: str) -> None:
        self.uuid = uuid
        self._headers = {"Authorization": f"Bearer {key}"}
        self.token_key = ""
        self.api_key = ""

    def api(self, home: Home, method: str, path: str, **how: Any) -> httpx.Response:
        """A request to the control plane."""
        headers = self._headers | how.pop("headers", {})
        return httpx.request(method, f"{home.url}/api{path}", headers=headers, timeout=60, trust_env=False, **how)

    def own(self, home: Home, method: str, path: str, **how: Any) -> httpx.Response:
        """The same below what is its own."""
        return self.api(home, method, f"/tenants/{self.uuid}{path}", **how)

    def register(self, home: Home, name: str) -> Owner:
        """Registers a tenant, as the admin."""
        made = self.api(home, "POST", "/tenants", json={"name": name}).json()
        return Owner(made["uuid"], made["key"])

    def call(self, home: Home, path: str) -> httpx.Response:
        """A call, with a token when the owner has a key for them."""
        target = f"/rest/services/{self.uuid}/{path}"
        headers = {}
        if self.token_key:
            token = mint(TokenKey.parse(self.token_key), UUID(self.uuid), "GET", target)
            headers = {"Authorization": f"Token {token}"}
        return httpx.get(home.url + target, headers=headers, timeout=60, trust_env=False)

    def called_with_a_key(self, home: Home) -> int:
        """The status of a call with an API key."""
        url = f"{home.url}/rest/services/{self.uuid}/shop/price/"
        return httpx.get(
            url, headers={"Authorization": f"Bearer {self.api_key}"}, timeout=60, trust_env=False
        ).status_code

    def furnish(self, home: Home) -> None:
        """Two versions of a module, variables, and keys of each kind."""
        for number in (1, 2):
            text = SHOP.replace("{number}", str(number))
            assert self.own(home, "PUT", "/modules/shop", content=text, headers=PYTHON).is_success
        assert self.own(home, "PUT", "/environ/RATE", json={"value": "3", "secret": False}).is_success
        assert self.own(home, "PUT", "/environ/SECRET?module=shop", json={"value": "x", "secret": True}).is_success
        self.token_key = self.own(home, "POST", "/token-keys").json()["key"]
        wanted = {"name": "caller", "scopes": ["call"]}
        self.api_key = self.own(home, "POST", "/api-keys", json=wanted).json()["key"]
        public = base64.b64encode(bytes(SigningKey.generate().verify_key)).decode()
        assert self.own(home, "POST", "/signing-keys", json={"name": "laptop", "public_key": public}).is_success


@contextlib.contextmanager
def installed(tmp_path: Path, settings: str) -> Iterator[tuple[Home, Owner]]:
    """An installation, the first of three, and its admin."""
    folder = tmp_path / "first"
    (folder / "plugins").mkdir(parents=True)
    usual = f"GATEWAY_PORT={free_port()}\nPLANS={UNLIMITED}\nPREWARMED_RUNNERS=0\nWARM_WORKERS=1\n"
    (folder / ".env").write_text(usual + settings)
    home = Home(folder, ROOT)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [ROOT / "runserver.sh"], env=home.environ, stdout=subprocess.PIPE, stderr=log, start_new_session=True
        )
    assert process.stdout is not None
    assert b"ready" in process.stdout.readline(), (folder / "log").read_text()
    try:
        yield home, Owner(home.setting("ADMIN_UUID"), home.setting("ADMIN_KEY"))
    finally:
        process.terminate()
        process.communicate(timeout=STOP_SECS)
        for name in ("second", "third"):
            Home(tmp_path / name, ROOT).end()


@pytest.fixture
def first(tmp_path: Path) -> Iterator[tuple[Home, Owner]]:
    """One that takes no tokens."""
    with installed(tmp_path, "") as running:
        yield running


@pytest.fixture
def strict(tmp_path: Path) -> Iterator[tuple[Home, Owner]]:
    """One whose tenants' calls take tokens."""
    with installed(tmp_path, "REQUIRE_TOKENS=tenants\nURL_PARM1=city\n") as running:
        yield running


def test_twice_in_a_row_and_back(strict: tuple[Home, Owner], tmp_path: Path) -> None:
    home, admin = strict
    ada = admin.register(home, "Ada")
    ada.furnish(home)
    package = home.folder / "plugins" / "storage"
    package.mkdir()
    (package / "tea.txt").write_text("3 boxes")
    (package / "__init__.py").write_text(STOCK.replace("{uuid}", ada.uuid))
    # No token counts in the first seconds of a platform (docs/tokens.md), and the module is to be found.
    eventually(lambda: ada.call(home, "storage/stock/").status_code == 200)
    assert ada.call(home, "shop/price/").json()["response"] == {"price": [2, "3", "x"]}

    second = home.elevated(ada.uuid, tmp_path / "second")

    told = {"status": f"tenant {ada.uuid} is elevated: its installation is {second.url}", "address": second.url}
    refused = ada.call(home, "shop/price/")
    assert (refused.status_code, refused.json()) == (403, told)
    refused = ada.own(home, "GET", "/modules")
    assert (refused.status_code, refused.json()["status"]) == (403, told["status"])
    assert admin.own(home, "PATCH", "", json={}).status_code == 404  # the admin is no tenant here
    assert admin.api(home, "PATCH", f"/tenants/{ada.uuid}", json={"status": "enabled"}).status_code == 409

    assert ada.call(second, "shop/price/").json()["response"] == {"price": [2, "3", "x"]}
    eventually(lambda: f"/rest/services/{ada.uuid}/shop/price/" in (second.folder / "plugbay.log").read_text())
    assert ada.called_with_a_key(second) == 200
    assert ada.called_with_a_key(home) == 403
    stranger = httpx.get(
        f"{second.url}/api/tenants", headers={"Authorization": f"Bearer {ada.api_key}"}, trust_env=False
    )
    assert stranger.status_code == 403, "an API key opens no more than it did"
    assert ada.call(second, "storage/stock/").json()["response"] == {"stock": "3 boxes"}
    assert ada.call(second, "shop/network/").json()["response"] == {"network": os.getuid()}
    naked = httpx.get(f"{second.url}/rest/services/shop/price/", trust_env=False)
    assert naked.status_code == 401, "what took a token takes one"
    assert second.setting("URL_PARM1") == "city"
    assert second.setting("SECRETS_KEY") != home.setting("SECRETS_KEY")
    assert second.setting("ADMIN_KEY") != home.setting("ADMIN_KEY")
    assert admin.api(second, "GET", "/tenants").status_code == 401
    versions = ada.own(second, "GET", "/modules/shop/versions").json()["versions"]
    assert [(one["number"], one["serves"]) for one in versions] == [(1, False), (2, True)]
    assert ada.own(second, "POST", "/modules/shop/rollback", json={"version": 1}).is_success
    assert ada.call(second, "shop/price/").json()["response"] == {"price": [1, "3", "x"]}
    assert ada.own(second, "PUT", "/environ/RATE", json={"value": "4", "secret": False}).is_success
    for method, path in (("DELETE", ""), ("PATCH", ""), ("PUT", "/elevation")):
        body = {"address": "http://other"} if method == "PUT" else {"name": "Eve"} if method == "PATCH" else None
        assert ada.own(second, method, path, json=body).status_code == 409

    bob = ada.register(second, "Bob")
    bob.furnish(second)
    assert bob.call(second, "shop/price/").json()["response"] == {"price": [2, "3", "x"]}

    third = second.elevated(bob.uuid, tmp_path / "third")

    assert bob.call(second, "shop/price/").json()["address"] == third.url
    assert bob.call(third, "shop/price/").json()["response"] == {"price": [2, "3", "x"]}
    assert bob.api(third, "GET", "/tenants").status_code == 200
    assert bob.api(second, "GET", "/modules").status_code == 403
    assert ada.call(second, "shop/price/").status_code == 200

    status, said = second.tool("elevate", bob.uuid, "--undo", "--yes")
    assert (status, said) == (0, {"undone": bob.uuid, "folder": str(third.folder), "kept": True})
    with pytest.raises(httpx.ConnectError):
        bob.call(third, "shop/price/")
    assert bob.call(second, "shop/price/").json()["response"] == {"price": [2, "3", "x"]}
    assert (third.folder / "data" / "plugbay.sqlite").exists()


def test_half_done_it_is_resumed_or_undone(first: tuple[Home, Owner], tmp_path: Path) -> None:
    home, admin = first
    ada = admin.register(home, "Ada")
    ada.furnish(home)
    folder = tmp_path / "second"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        status, said = home.tool("elevate", ada.uuid, "--yes", "--folder", str(folder), "--port", port)
        assert status == 1
        assert "did not start" in said["status"]

    assert ada.call(home, "shop/price/").status_code == 200, "its calls are run here until it is complete"
    for method, path, body in (
        ("PUT", "/environ/RATE", {"value": "4", "secret": False}),
        ("POST", "/token-keys", None),
        ("DELETE", "/modules/shop", None),
    ):
        refused = ada.own(home, method, path, json=body)
        assert refused.status_code == 409, refused.text
        assert f"http://127.0.0.1:{port}" in refused.json()["status"]
    status, said = home.tool("elevate", ada.uuid, "--yes", "--folder", str(tmp_path / "third"))
    assert (status, "has begun" in said["status"]) == (2, True)

    status, said = home.tool("elevate", ada.uuid, "--undo", "--yes")
    assert (status, said["kept"]) == (0, False)
    assert not folder.exists()
    assert not (home.folder / "data" / "elevations").exists()
    assert ada.own(home, "PUT", "/environ/RATE", json={"value": "4", "secret": False}).is_success

    status, said = home.tool("elevate", ada.uuid, "--folder", str(folder), stdin="n\n")
    assert (status, said["status"]) == (1, "Nothing was changed")
    assert not folder.exists()

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert home.tool("elevate", ada.uuid, "--yes", "--folder", str(folder), "--port", port)[0] == 1
    status, said = home.tool("elevate", ada.uuid, "--yes")
    assert (status, said.get("address")) == (0, f"http://127.0.0.1:{port}"), said
    second = Home(folder, folder)
    assert ada.call(second, "shop/price/").json()["response"] == {"price": [2, "4", "x"]}
    status, said = home.tool("elevate", ada.uuid, "--yes")
    assert (status, "elevated already" in said["status"]) == (1, True)
