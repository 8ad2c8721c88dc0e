"""Given a tenant on a platform whose calls take a credential, when it gives keys away, then each does its own alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from plugbay_client import CallFailed, Client
from tests.embedded.server import ADMIN_KEY, ROOT, Embedded, running

pytestmark = pytest.mark.needs("bubblewrap")

SOURCE = """\
import expose


@expose.endpoint(method="GET|POST")
def told(name="nobody", **more):
    return [name, more["__request__"]["headers"].get("authorization")]
"""
HEADERS = {"Content-Type": "text/x-python"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    folder = tmp_path_factory.mktemp("keys")
    (folder / "plugins").mkdir()
    (folder / "plugins" / "admins.py").write_text(SOURCE)
    with running(folder / "plugins", folder / "data", REQUIRE_TOKENS="tenants", LOG_LEVEL="DEBUG") as server:
        yield server


class Tenant:
    """A tenant at its own machine."""

    def __init__(self, server: Embedded, name: str) -> None:
        made = server.api("POST", "/tenants", json={"name": name}).json()
        self.uuid: str = made["uuid"]
        self.key: str = made["key"]
        self.url = server.url
        self.told = f"{server.url}/rest/services/{self.uuid}/shop/told/"

    def plugbay(self, *arguments: str, key: str = "") -> Any:
        """What a command prints as JSON."""
        ended = subprocess.run(
            [sys.executable, "-P", "-m", "cli", *arguments, "--tenant", self.uuid, "--json"],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], "PLUGBAY_URL": self.url, "PLUGBAY_KEY": key or self.key},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return json.loads(ended.stdout)

    def api(self, method: str, path: str, key: str, **sent: Any) -> httpx.Response:
        """A request to the control plane, below what is the tenant's."""
        url = f"{self.url}/api/tenants/{self.uuid}/{path}"
        return httpx.request(method, url, headers=bearer(key) | HEADERS, timeout=60, **sent)


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def called(url: str, key: str = "") -> httpx.Response:
    return httpx.get(url, headers=bearer(key) if key else {}, timeout=60)


def test_one_deploys_one_calls_and_neither_is_seen(server: Embedded, tmp_path: Path) -> None:
    ada, bob = Tenant(server, "Ada"), Tenant(server, "Bob")
    made = {
        scope: ada.plugbay("api-keys", "new", f"the {scope} one", "--scope", scope, "--expires", "86400")
        for scope in ("deploy", "call")
    }
    deploys, calls = made["deploy"]["key"], made["call"]["key"]
    (tmp_path / "shop.py").write_text(SOURCE)
    ada.plugbay("deploy", str(tmp_path / "shop.py"), key=deploys)
    assert [one["name"] for one in ada.api("GET", "modules", deploys).json()["modules"]] == ["shop"]
    assert [ada.api("GET", path, deploys).status_code for path in ("environ", "api-keys", "usage")] == [403] * 3
    assert [ada.api("GET", path, calls).status_code for path in ("modules", "environ")] == [403] * 2

    client = Client(server.url, ada.uuid, calls)
    assert client.call("shop/told", {"name": "Ada"}) == ["Ada", None]
    assert client.call("shop/told") == ["nobody", None]
    with pytest.raises(CallFailed, match="403"):
        Client(server.url, ada.uuid, deploys).call("shop/told")
    assert called(ada.told).status_code == 401
    assert ada.api("POST", "token-keys", calls).status_code == 403

    # Sent where it opens nothing, it is not seen either: by the admin's function, and by another tenant's.
    assert bob.api("PUT", "modules/shop", bob.key, content=SOURCE).status_code == 201
    assert called(bob.told, calls).status_code == 401
    admins = f"{server.url}/rest/services/admins/told/"
    assert called(admins, calls).json()["response"]["told"] == ["nobody", None]
    assert called(admins, "else").json()["response"]["told"] == ["nobody", "Bearer else"]
    assert server.api("PATCH", "/settings", json={"REQUIRE_TOKENS": "none"}).status_code == 200
    assert called(bob.told, calls).json()["response"]["told"] == ["nobody", None]
    assert server.api("PATCH", "/settings", json={"REQUIRE_TOKENS": "tenants"}).status_code == 200

    listed = ada.api("GET", "api-keys", ada.key).json()["keys"]
    assert [one["scopes"] for one in listed] == [["deploy"], ["call"]]
    ada.plugbay("api-keys", "revoke", made["call"]["id"])
    assert called(ada.told, calls).status_code == 401
    assert ada.api("GET", "modules", calls).status_code == 401
    assert ada.api("GET", "modules", deploys).status_code == 200

    for file in (file for file in server.data.parent.rglob("*") if file.is_file()):
        content = file.read_bytes()
        assert not [key for key in (deploys, calls) if key[-43:].encode() in content], file
    assert ADMIN_KEY not in server.log
