"""`plugbay deploy --seal` and `plugbay installation-key`: what it is sealed to, and what is kept of that."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from catalogue import hpke
from catalogue.sealed import MEDIA_TYPE, InstallationKeys, fingerprint
from tests.cli.conftest import FakePlugbay, Tool

UUID = "0e3c5f3a-4a3b-4f53-9be0-30c3d0d9f2a1"
MODULE = f"/api/tenants/{UUID}/modules/shop"
UPLOADED: dict[str, Any] = {"name": "shop", "exposes": []}
SOURCE = b"x = 1\n"


class Their:
    """The key pair of an installation."""

    def __init__(self, letter: bytes) -> None:
        self.secret = base64.urlsafe_b64encode(letter * 32).decode().rstrip("=")
        self.opens = InstallationKeys(self.secret)
        public = hpke.public_of(letter * 32)
        self.public = base64.b64encode(public).decode()
        self.fingerprint = fingerprint(public)


OWN, OTHER = Their(b"a"), Their(b"b")


@pytest.fixture(autouse=True)
def config(tool: Tool, tmp_path: Path) -> Path:
    tool.environ["XDG_CONFIG_HOME"] = str(tmp_path / "config")
    return tmp_path / "config"


@pytest.fixture
def deploy(plugbay: FakePlugbay, tool: Tool, tmp_path: Path) -> Any:
    (tmp_path / "shop.py").write_bytes(SOURCE)
    plugbay.answers_json("PUT", MODULE, UPLOADED)
    plugbay.answers_json("GET", "/api/installation-key", {"public_key": OWN.public, "fingerprint": OWN.fingerprint})
    return lambda *more: tool("deploy", str(tmp_path / "shop.py"), "--tenant", UUID, *more)


async def test_the_first_key_that_is_shown_is_kept(deploy: Any, plugbay: FakePlugbay, config: Path) -> None:
    shown = deploy("--seal")
    assert shown.exit_code == 0, shown.stderr
    assert "serves, sealed" in shown.stdout and "installation alone" in shown.stderr
    assert OWN.fingerprint in shown.stderr and "plugbay installation-key" in shown.stderr
    assert plugbay.last.headers["content-type"] == MEDIA_TYPE
    assert await OWN.opens.open(UUID, "shop", plugbay.last.body) == SOURCE
    [file] = (config / "plugbay" / "installations").iterdir()
    assert (file.read_text().strip(), file.stat().st_mode & 0o777) == (OWN.public, 0o600)

    plugbay.answers_json("GET", "/api/installation-key", {"public_key": OTHER.public})
    again = deploy("--seal")
    assert OWN.fingerprint in again.stderr and str(file) in again.stderr
    assert await OWN.opens.open(UUID, "shop", plugbay.last.body) == SOURCE
    assert sum(request.target == "/api/installation-key" for request in plugbay.requests) == 1


async def test_a_key_that_is_given_is_the_one(deploy: Any, plugbay: FakePlugbay, config: Path) -> None:
    shown = deploy("--installation-key", OTHER.public)
    assert shown.exit_code == 0, shown.stderr
    assert OTHER.fingerprint in shown.stderr
    assert await OTHER.opens.open(UUID, "shop", plugbay.last.body) == SOURCE
    assert [request.method for request in plugbay.requests] == ["PUT"]
    assert not config.exists()


async def test_it_is_sealed_for_the_name_and_owner_that_it_is_sent_to(deploy: Any, plugbay: FakePlugbay) -> None:
    plugbay.answers_json("PUT", f"/api/tenants/{UUID}/modules/other", UPLOADED)
    assert deploy("--seal", "--name", "other", "--tenant", UUID.upper()).exit_code == 0
    assert await OWN.opens.open(UUID, "other", plugbay.last.body) == SOURCE


def test_what_is_no_key_seals_nothing(deploy: Any, plugbay: FakePlugbay, config: Path) -> None:
    for wrong in ("", "nonsense", OWN.public[:-4], base64.b64encode(bytes(32)).decode()):
        shown = deploy("--installation-key", wrong)
        assert (shown.exit_code, "key" in shown.stderr) == (2, True)
    plugbay.answers_json("GET", "/api/installation-key", {"public_key": "nonsense"})
    assert deploy("--seal").exit_code == 2
    assert not config.exists()
    assert all(request.method == "GET" for request in plugbay.requests)


def test_without_seal_nothing_is_sealed(deploy: Any, plugbay: FakePlugbay) -> None:
    deploy()
    assert (plugbay.last.body, len(plugbay.requests)) == (SOURCE, 1)


def test_the_admin_sees_the_key_where_it_lies(tool: Tool) -> None:
    missing = tool("installation-key", INSTALLATION_KEY="")
    assert (missing.exit_code, ".env.local" in missing.stderr) == (1, True)
    shown = tool("installation-key", INSTALLATION_KEY=OWN.secret).stdout
    assert OWN.public in shown and OWN.fingerprint in shown and OWN.secret not in shown
    printed = json.loads(tool("installation-key", "--json", INSTALLATION_KEY=OWN.secret).stdout)
    assert printed == {"public_key": OWN.public, "fingerprint": OWN.fingerprint}
    assert "INSTALLATION_KEY" in tool("installation-key", INSTALLATION_KEY="AAAA").stderr
