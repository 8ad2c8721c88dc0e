"""Given a machine with something missing, when `plugbay doctor` looks, then it names it and the fix."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from cli import containers
from cli.check import Check
from cli.checks import all_checks
from cli.installation import ROOT, Installation
from tests.cli.conftest import FakePlugbay, Tool


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    (tmp_path / "plugins").mkdir()
    return tmp_path


def look(folder: Path, url: str | None = None, **values: str) -> dict[str, Check]:
    """The checks of an installation in this folder, by name."""
    checks = all_checks(Installation(folder, {"GATEWAY_PORT": "0"} | values, folder), url)
    return {check.name: check for check in checks}


def test_all_is_well(folder: Path) -> None:
    checks = look(folder)
    for name in ("python", "settings", "plugins", "data", "secrets", "address"):
        assert checks[name].ok, checks[name]
        assert checks[name].fix == ""


def test_what_only_some_need_is_not_required(folder: Path) -> None:
    checks = look(folder)
    found = {name: (check.ok, check.fix) for name, check in checks.items() if not check.required}
    assert found == {
        "node": (False, "apt-get install nodejs"),
        "java": (False, "apt-get install default-jre-headless"),
        "bubblewrap": (False, "apt-get install bubblewrap"),
        "docker": (False, "curl -fsSL https://get.docker.com | sudo sh"),
        "compose": (False, "apt-get install docker-compose-plugin"),
    }


def test_a_sandbox_that_is_installed_and_does_not_work(folder: Path) -> None:
    (folder / "nothing").mkdir()
    program = folder / "nothing" / "bwrap"
    program.write_text("#!/bin/sh\necho 'No permissions to create new namespace' >&2\nexit 1\n")
    program.chmod(0o755)
    found = look(folder)["bubblewrap"]
    assert not found.ok
    assert "No permissions to create new namespace" in found.finding


def program(folder: Path, name: str, script: str, mode: int = 0o755) -> None:
    """A program that is found on the path."""
    (folder / "nothing").mkdir(exist_ok=True)
    (folder / "nothing" / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / "nothing" / name).chmod(mode)


@pytest.mark.parametrize(
    ("name", "script", "check", "finding", "fix"),
    [
        ("docker", "echo 26.1.5+dfsg1", "docker", "Engine 26.1.5+dfsg1 works", ""),
        ("docker", "echo 25", "docker", "Engine 25 works", ""),
        ("docker", "echo 20.10.24", "docker", "Engine 20.10.24 is older than 25", "get.docker.com"),
        ("docker", "echo 'permission denied' >&2; exit 1", "docker", "does not work: permission denied", "usermod"),
        ("docker", "echo 'Cannot connect' >&2; exit 1", "docker", "does not work: Cannot connect", "systemctl"),
        ("docker", "echo 2.26.1-4", "compose", "Compose 2.26.1-4 works", ""),
        ("docker", "echo v2.24.0", "compose", "Compose v2.24.0 works", ""),
        ("docker-compose", "echo 2.30.0", "compose", "Compose 2.30.0 works", ""),
        ("docker-compose", "echo 1.29.2", "compose", "Compose 1.29.2 is older than 2.24", "get.docker.com"),
        ("docker", "exit 1", "compose", "not installed; only the stack", "docker-compose-plugin"),
        ("bwrap", "exit 0", "bubblewrap", "works", ""),
        ("bwrap", "echo 'bwrap: Unknown option --disable-userns' >&2; exit 1", "bubblewrap", "Unknown", "0.8"),
        ("bwrap", "echo 'No permissions to create' >&2; exit 1", "bubblewrap", "No permissions", "sysctl"),
    ],
)
def test_what_runs_tenants_and_the_stack(
    folder: Path, name: str, script: str, check: str, finding: str, fix: str
) -> None:
    program(folder, name, script)
    found = look(folder)[check]
    assert found.ok == (not fix)
    assert finding in found.finding
    assert fix in found.fix


def test_a_setuid_bubblewrap_is_none(folder: Path) -> None:
    program(folder, "bwrap", "exit 0", 0o4755)
    found = look(folder)["bubblewrap"]
    assert (found.ok, found.fix) == (False, f"sudo chmod u-s {folder / 'nothing/bwrap'}")


def test_the_oldest_versions_are_those_of_the_scripts() -> None:
    script = (ROOT / "scripts/stack.sh").read_text()
    assert f"OLDEST_ENGINE={containers.OLDEST_ENGINE}\n" in script
    assert f"OLDEST_COMPOSE={containers.OLDEST_COMPOSE}\n" in script


def test_the_environment_is_of_another_lock(folder: Path) -> None:
    (folder / ".venv").mkdir()
    (folder / ".venv/plugbay.lock").write_text("0 requirements.lock\n")
    (folder / "requirements.lock").touch()
    found = look(folder)["environment"]
    assert (found.ok, found.fix) == (False, "./plugbay --version makes it")


def test_a_wrong_setting(folder: Path) -> None:
    found = look(folder, NUM_URL_PARMS="many")["settings"]
    assert not found.ok
    assert "NUM_URL_PARMS" in found.finding


def test_no_plugin_folder(folder: Path) -> None:
    found = look(folder, PLUGINS="elsewhere")["plugins"]
    assert (found.ok, found.finding) == (False, f"{folder / 'elsewhere'} is no folder")
    assert found.fix.startswith(f"mkdir -p '{folder / 'elsewhere'}'")


def test_data_cannot_be_written(folder: Path) -> None:
    (folder / "file").touch()
    found = look(folder, DATA_DIR="file/data")["data"]
    assert (found.ok, found.fix) == (False, "change DATA_DIR in .env")


def test_secrets_that_others_can_read(folder: Path) -> None:
    (folder / ".env.local").touch(0o644)
    (folder / ".env.local").chmod(0o644)
    found = look(folder)["secrets"]
    assert (found.ok, found.fix) == (False, f"chmod 600 '{folder / '.env.local'}'")


def test_the_port_is_free_then_taken(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
    assert look(folder, GATEWAY_PORT=port)["address"].ok
    # Bound and not listening: nobody answers, and nobody else can listen.
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        found = look(folder, GATEWAY_PORT=str(holder.getsockname()[1]))["address"]
    assert not found.ok
    assert "change GATEWAY_PORT in .env" in found.fix


def test_plugbay_answers(folder: Path, plugbay: FakePlugbay) -> None:
    plugbay.answers_json("GET", "/api/pools", {"pools": []})
    assert look(folder, plugbay.url)["address"].finding == f"Plugbay answers at {plugbay.url}"


def test_somebody_else_answers(folder: Path, plugbay: FakePlugbay) -> None:
    plugbay.answers_bytes("GET", "/api/pools", b"hello", "text/plain")
    found = look(folder, plugbay.url)["address"]
    assert not found.ok
    assert "is not Plugbay" in found.finding


def test_the_exit_code_and_the_list_say_so(tool: Tool, plugbay: FakePlugbay) -> None:
    assert (ROOT / "requirements.lock").is_file()
    done = tool("doctor", "--json", PLUGINS="/nowhere/at/all")
    report = json.loads(done.stdout)
    assert (done.exit_code, report["ok"]) == (1, False)
    assert [check["name"] for check in report["checks"] if check["name"] == "plugins" and not check["ok"]]
    people = tool("doctor", PLUGINS="/nowhere/at/all")
    assert "✗ plugins: /nowhere/at/all is no folder\n    mkdir -p '/nowhere/at/all'" in people.stdout
