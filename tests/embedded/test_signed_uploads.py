"""Given an installation that takes signed uploads alone, when a tenant uses the tool, then its package serves; sealed,
nobody in between has read it."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import socketserver
import subprocess
import sys
import threading
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


@contextlib.contextmanager
def in_between(server: Embedded) -> Iterator[tuple[str, bytearray]]:
    """Where somebody passes on what is sent to Plugbay, and everything that they have seen of it."""
    seen = bytearray()
    host, port = server.url.removeprefix("http://").split(":")

    def passed_on(source: socket.socket, target: socket.socket) -> None:
        while data := source.recv(65536):
            seen.extend(data)
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)

    class Passing(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.create_connection((host, int(port))) as onward:
                back = threading.Thread(target=passed_on, args=(onward, self.request))
                back.start()
                passed_on(self.request, onward)
                back.join()

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Passing) as listening:
        serving = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.02})
        serving.start()
        try:
            yield f"http://127.0.0.1:{listening.server_address[1]}", seen
        finally:
            listening.shutdown()
            serving.join()


def test_nobody_in_between_reads_what_is_sealed(server: Embedded, tmp_path: Path) -> None:
    author = Author(server, "Zoe", tmp_path / "config")
    author.plugbay("keys", "new")
    author.plugbay("keys", "register")
    (tmp_path / "shop.py").write_text(
        "import expose\n\n@expose.endpoint(method='GET')\ndef price():\n    return 'cost of goods'\n"
    )
    with in_between(server) as (url, seen):
        [endpoint] = author.plugbay("deploy", str(tmp_path / "shop.py"), "--seal", "--url", url)["exposes"]
        assert b"X-Plugbay-Signature" in seen and b"cost of goods" not in seen
        answer = httpx.get(f"{server.url}{endpoint['path']}", timeout=60)
        assert answer.json()["response"]["price"] == "cost of goods"
        author.plugbay("deploy", str(tmp_path / "shop.py"), "--url", url)
        assert b"cost of goods" in seen
