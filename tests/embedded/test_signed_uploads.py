"""Given an installation that takes signed uploads alone, when a tenant uses the tool, then its package serves."""

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

from tests.embedded.server import ROOT, Embedded, running

pytestmark = pytest.mark.needs("bubblewrap")

SOURCE = """\
from pathlib import Path

import expose
from slug import slug


@expose.endpoint(method="GET")
def price(name: str):
    return [slug(name), (Path(__file__).parent / "prices.csv").read_text()]
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    folder = tmp_path_factory.mktemp("signed")
    with running(folder / "plugins", folder / "data", REQUIRE_SIGNED_MODULES="tenants") as server:
        yield server


class Author:
    """A tenant at its own machine: what it needs is its key and where Plugbay listens."""

    def __init__(self, server: Embedded, name: str, folder: Path) -> None:
        made = server.api("POST", "/tenants", json={"name": name}).json()
        self.uuid: str = made["uuid"]
        self.key: str = made["key"]
        self.module = f"{server.url}/api/tenants/{self.uuid}/modules/shop"
        self._environ = {
            "PATH": os.environ["PATH"],
            "PLUGBAY_URL": server.url,
            "PLUGBAY_KEY": self.key,
            "XDG_CONFIG_HOME": str(folder),
        }

    def plugbay(self, *arguments: str, fails: bool = False) -> Any:
        """What a command prints as JSON."""
        command = [sys.executable, "-P", "-m", "cli", *arguments, "--tenant", self.uuid, "--json"]
        ended = subprocess.run(command, cwd=ROOT, env=self._environ, capture_output=True, text=True)
        assert (ended.returncode == 1) is fails, ended.stdout + ended.stderr
        return json.loads(ended.stdout)


def test_what_the_tool_signs_serves_and_nothing_else(server: Embedded, tmp_path: Path) -> None:
    author = Author(server, "Ada", tmp_path / "config")
    shop = tmp_path / "shop"
    (shop / "vendored").mkdir(parents=True)
    (shop / "__init__.py").write_text(SOURCE)
    (shop / "prices.csv").write_text("tea,3")
    (shop / "vendored" / "slug.py").write_text("def slug(text): return text.lower()\n")
    assert "REQUIRE_SIGNED_MODULES" in author.plugbay("deploy", str(shop), fails=True)["status"]
    author.plugbay("keys", "new")
    assert "no key" in author.plugbay("deploy", str(shop), fails=True)["status"]
    key = author.plugbay("keys", "register")["id"]
    [endpoint] = author.plugbay("deploy", str(shop))["exposes"]
    answer = httpx.get(f"{server.url}{endpoint['path']}?name=TEA", timeout=60)
    assert answer.json()["response"]["price"] == ["tea", "tea,3"]

    (shop / "prices.csv").write_text("tea,4")
    author.plugbay("deploy", str(shop))
    versions = author.plugbay("versions", "shop")["versions"]
    assert [(one["number"], one["signed_by"], one["serves"]) for one in versions] == [(1, key, False), (2, key, True)]
    assert author.plugbay("versions", "shop", "1")["difference"][-2:] == ["-tea,3", "+tea,4"]
    author.plugbay("rollback", "shop")
    answer = httpx.get(f"{server.url}{endpoint['path']}?name=TEA", timeout=60)
    assert answer.json()["response"]["price"] == ["tea", "tea,3"]
    author.plugbay("pull", "shop", "--to", str(tmp_path / "pulled"))
    assert (tmp_path / "pulled" / "shop" / "prices.csv").read_text() == "tea,3"

    unsigned = httpx.put(
        author.module,
        content=b"x = 1\n",
        headers={"Authorization": f"Bearer {author.key}", "Content-Type": "text/x-python"},
    )
    assert unsigned.status_code == 403
    assert [one["name"] for one in author.plugbay("modules")["modules"]] == ["shop"]
