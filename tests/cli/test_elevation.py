"""The folder of a new installation, of each kind, and what stands in the way of one."""

from __future__ import annotations

import fcntl
import json
import os
import re
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
from dotenv import dotenv_values

import settings
from cli.elevation import folder as folders
from cli.elevation.state import Elevation, Elevations
from cli.installation import ROOT, Installation
from cli.problem import Problem
from tests.cli.conftest import FakePlugbay, Tool

UUID = "0e3c5f3a-4a3b-4f53-9be0-30c3d0d9f2a1"
SECRETS = re.findall(r"\$\{(\w+_(?:PASSWORD|SECRET|KEY)):\?", (ROOT / "docker-compose.yml").read_text())
"""What ./docker-up.sh makes."""
OLD = {
    "ADMIN_UUID": "4a1bf01e-0693-48c5-a52b-fc275205c1d8",
    "ADMIN_KEY": "the-old-admin-key",
    "SECRETS_KEY": "old",
    "INSTALLATION_KEY": "old",
    "INSTALLATION_KEY_OLD": "old",
    "REDIS_URL": "redis://old",
    "MONGO_PASSWORD": "old",
    "COMPOSE_PROJECT_NAME": "old",
    "HTTP_HOST": "0.0.0.0",
    "HTTP_PORT": "8443",
    "RUNNERS_DIR": "/old",
    "PLUGINS": "/old",
    "TLS_CERT": "tls/cert.pem",
    "TLS_KEY": "/etc/tls/key.pem",
    "TENANT_RUNTIME": "runsc",
    "REQUIRE_SIGNED_MODULES": "tenants",
    "REQUIRE_TOKENS": "none",
    "REQUIRE_SIGN_IN": "tenants",
    "OIDC_CLIENT_SECRET": "known to the provider",
    "PUBLIC_URL": "https://old.example",
    "CORS_ORIGINS": "https://a.example, https://b.example",
    "URL_PARM1": "city",
    "PATH": "/bin",
}


def elevation(folder: Path, kind: Any = "stack") -> Elevation:
    return Elevation(uuid=UUID, name="Ada", folder=str(folder), kind=kind, port=8444, address="https://ada.example")


@pytest.fixture
def old(tmp_path: Path) -> Installation:
    root = tmp_path / "old"
    root.mkdir()
    (root / "plans.toml").write_bytes((ROOT / "plans.toml").read_bytes())
    return Installation(root, OLD)


def test_of_a_stack_it_has_what_is_its_own_and_what_was_set_here(old: Installation, tmp_path: Path) -> None:
    made = elevation(tmp_path / "new")
    run_time = {"REQUIRE_TOKENS": "tenants", "NUM_URL_PARMS": "12"}
    for _ in range(2):
        folders.make(made, old, run_time)
        secrets = (made.path / ".env.local").read_text()
    assert secrets == (made.path / ".env.local").read_text(), "made once"
    assert dotenv_values(made.path / ".env") == {
        "COMPOSE_PROJECT_NAME": made.project,
        "HTTP_HOST": "0.0.0.0",
        "HTTP_PORT": "8444",
        "TLS_CERT": str(old.root / "tls/cert.pem"),
        "TLS_KEY": "/etc/tls/key.pem",
        "TENANT_RUNTIME": "runsc",
        "REQUIRE_SIGNED_MODULES": "all",
        "REQUIRE_TOKENS": "all",
        "REQUIRE_SIGN_IN": "all",
        "PUBLIC_URL": "https://ada.example",
        "CORS_ORIGINS": "https://a.example, https://b.example",
        "URL_PARM1": "city",
        "NUM_URL_PARMS": "12",
    }
    loaded = settings.load(made.path, {})
    assert str(loaded.ADMIN_UUID) == UUID
    assert len(loaded.ADMIN_KEY) == 43
    assert loaded.OIDC_CLIENT_SECRET == "known to the provider"
    modes = {name: stat.S_IMODE((made.path / name).stat().st_mode) for name in ("", ".env.local", "plugins", "secrets")}
    assert modes == {"": 0o700, ".env.local": 0o600, "plugins": 0o755, "secrets": 0o755}
    assert elevation(tmp_path / "other").project != made.project


def test_an_embedded_one_has_its_port(old: Installation, tmp_path: Path) -> None:
    made = elevation(tmp_path / "new", "embedded")
    folders.make(made, old, {})
    values = dotenv_values(made.path / ".env")
    assert values["GATEWAY_PORT"] == "8444"
    assert not {"HTTP_PORT", "COMPOSE_PROJECT_NAME"} & values.keys()
    said = subprocess.run([made.path / "plugbay", "store", "export", tmp_path / "x"], capture_output=True, text=True)
    assert said.returncode == 0, said.stderr
    assert (made.path / "data" / "plugbay.sqlite").exists(), "the scripts work on the folder that they are in"


def test_modules_can_be_read_by_other_users(tmp_path: Path) -> None:
    made = elevation(tmp_path / "new")
    before = os.umask(0o077)
    try:
        folders.make(made, Installation(ROOT, {}), {})
        folders.put_module(made, {"shop/data/tea.txt": b"3", "shop/__init__.py": b""})
    finally:
        os.umask(before)
    for path in ("plugins", "plugins/shop", "plugins/shop/data"):
        assert stat.S_IMODE((made.path / path).stat().st_mode) == 0o755
    for path in ("plugins/shop/data/tea.txt", "plugins/shop/__init__.py", "plans.toml"):
        assert stat.S_IMODE((made.path / path).stat().st_mode) == 0o644


def test_a_value_that_cannot_be_written_is_named(old: Installation, tmp_path: Path) -> None:
    here = Installation(old.root, {"CORS_ORIGINS": "it's"})
    with pytest.raises(Problem, match="CORS_ORIGINS"):
        folders.make(elevation(tmp_path / "new"), here, {})


@pytest.mark.needs("docker")
def test_compose_is_told_of_the_folder_and_of_the_program(old: Installation, tmp_path: Path) -> None:
    made = elevation(tmp_path / "new")
    plain = Installation(old.root, {"HTTP_HOST": "127.0.0.1"})
    folders.make(made, plain, {})
    ended = subprocess.run(
        ["bash", "-ec", f"source {ROOT}/scripts/stack.sh; open_stack; compose config --format json"],
        env={name: os.environ[name] for name in ("PATH", "HOME", "DOCKER_HOST") if name in os.environ}
        | dict.fromkeys(SECRETS, "a-password-of-the-tests")
        | {"PLUGBAY_HOME": made.folder},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 0, ended.stderr
    config = json.loads(ended.stdout)
    assert config["name"] == made.project
    gateway, nginx = config["services"]["gateway"], config["services"]["nginx"]
    assert gateway["build"]["context"] == str(ROOT)
    assert {one["target"]: one["source"] for one in gateway["volumes"]} == {
        "/plugins": str(made.path / "plugins"),
        "/etc/plugbay/plans.toml": str(made.path / "plans.toml"),
    }
    assert gateway["environment"]["ADMIN_UUID"] == UUID
    assert nginx["ports"][0]["published"] == "8444"
    assert {one["source"] for one in nginx["volumes"]} >= {str(ROOT / "nginx")}
    sources = {one["target"]: one["source"] for one in config["services"]["host"]["volumes"]}
    assert sources["/run/admin"] == str(made.path / "secrets")
    assert f"/var/lib/plugbay/{made.project}" in sources


def test_one_at_a_time(old: Installation) -> None:
    lock = os.open(old.root, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    with pytest.raises(Problem, match="under way"), Elevations(old).turn():
        raise AssertionError
    os.close(lock)
    with Elevations(old).turn():
        pass


def test_what_is_remembered_can_be_read_or_is_named(old: Installation, tmp_path: Path) -> None:
    kept = Elevations(old)
    assert kept.find(UUID) is None
    kept.keep(elevation(tmp_path / "new"))
    assert kept.find(UUID) == elevation(tmp_path / "new")
    (old.root / "data" / "elevations" / f"{UUID}.json").write_text("{")
    with pytest.raises(Problem, match="damaged"):
        kept.find(UUID)
    kept.forget(UUID)
    kept.forget(UUID)
    assert not (old.root / "data" / "elevations").exists()


@pytest.fixture
def local(plugbay: FakePlugbay, tmp_path: Path) -> dict[str, str]:
    """What has the tool take the server for this installation's own."""
    return {"GATEWAY_PORT": plugbay.url.rpartition(":")[2], "DATA_DIR": str(tmp_path / "data"), "GATEWAY_HOST": ""}


def tenant(**more: Any) -> dict[str, Any]:
    return {
        "uuid": UUID,
        "name": "Ada",
        "role": "tenant",
        "plan": "free",
        "status": "enabled",
        "created": 0,
        "address": "",
    } | more


def test_the_question_tells_of_trust(plugbay: FakePlugbay, tool: Tool, local: dict[str, str], tmp_path: Path) -> None:
    plugbay.answers_json("GET", f"/api/tenants/{UUID}", tenant())
    said = tool("elevate", UUID, "--folder", str(tmp_path / "new"), stdin="n\n", **local)
    assert said.exit_code == 1
    assert "runs there as trusted code: as your user" in said.stderr
    assert "Nothing was changed" in said.stderr
    assert [request.method for request in plugbay.requests] == ["GET"]
    assert not (tmp_path / "new").exists()


def test_a_folder_that_is_there_is_left_alone(
    plugbay: FakePlugbay, tool: Tool, local: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "mine").touch()
    plugbay.answers_json("GET", f"/api/tenants/{UUID}", tenant())
    said = tool("elevate", UUID, "--yes", "--folder", str(tmp_path / "new"), **local)
    assert (said.exit_code, "is there already" in said.stderr) == (1, True)
    assert [request.method for request in plugbay.requests] == ["GET"]


def test_an_admin_is_given_none(plugbay: FakePlugbay, tool: Tool, local: dict[str, str], tmp_path: Path) -> None:
    plugbay.answers_json("GET", f"/api/tenants/{UUID}", tenant(role="admin"))
    said = tool("elevate", UUID, "--yes", "--folder", str(tmp_path / "new"), **local)
    assert (said.exit_code, "is an admin" in said.stderr) == (1, True)
    assert [request.method for request in plugbay.requests] == ["GET"]


def test_what_was_never_begun_or_is_complete(plugbay: FakePlugbay, tool: Tool, local: dict[str, str]) -> None:
    plugbay.answers_json("GET", f"/api/tenants/{UUID}", tenant())
    said = tool("elevate", UUID, "--undo", "--yes", **local)
    assert (said.exit_code, "nothing to undo" in said.stderr) == (1, True)
    plugbay.answers_json("GET", f"/api/tenants/{UUID}", tenant(status="elevated", address="http://there"))
    said = tool("elevate", UUID, "--yes", **local)
    assert (said.exit_code, "http://there" in said.stderr) == (1, True)
    plugbay.answers_json("DELETE", f"/api/tenants/{UUID}/elevation", tenant())
    said = tool("elevate", UUID, "--undo", "--yes", **local)
    assert (said.exit_code, "as it was when it moved" in said.stdout) == (0, True), said.output
    assert plugbay.last.method == "DELETE"
