"""A tenant of the embedded platform: registered, served in a sandbox of its own, confined, and gone."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.embedded.server import ADMIN_KEY, Embedded, running

pytestmark = pytest.mark.needs("bubblewrap")

SOURCE = """
import os
import socket
import time
from pathlib import Path

from vyperlogix.decorators import expose


@expose.endpoint(method="GET")
def seen():
    return {
        "pid": os.getpid() > 1,
        "uids": len({*os.getresuid(), *os.getresgid(), *os.getgroups()}),
        "root": sorted(os.listdir("/")),
        "opt": sorted(os.listdir("/opt")),
        "processes": len([name for name in os.listdir("/proc") if name.isdecimal()]),
        "environ": sorted(os.environ),
        "status": Path("/proc/self/status").read_text(),
    }


@expose.endpoint(method="GET")
def tried(path: str):
    try:
        return Path(path).read_text()[:10] or "empty"
    except OSError as error:
        return error.errno


@expose.endpoint(method="GET")
def family(number: int):
    try:
        socket.socket(number).close()
    except OSError as error:
        return error.errno


@expose.endpoint(method="GET")
def filled():
    try:
        for number in range(10_000):
            Path(f"/tmp/{number}").touch()
    except OSError as error:
        return [number < 4096, error.errno]


@expose.endpoint(method="GET")
def second_factor(code: str):
    assert expose.totp("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", code, now=59), "that is not it"
    import pyotp

    return pyotp.__file__


@expose.endpoint(method="GET")
def run():
    program = Path("/tmp/program")
    program.write_bytes(Path("/usr/bin/true").read_bytes())
    program.chmod(0o755)
    try:
        os.execv(program, ["program"])
    except OSError as error:
        return error.errno


@expose.endpoint(method="GET", timeout=20)
def greedy():
    held = []
    while True:
        held.append(bytearray(b"x") * (8 << 20))


@expose.endpoint(method="GET", timeout=20)
def forking():
    made = 0
    try:
        while made < 500:
            if os.fork() == 0:
                time.sleep(60)
                os._exit(0)
            made += 1
    except OSError as error:
        return [made < 64, error.errno]
"""


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    folder = tmp_path_factory.mktemp("tenants")
    (folder / "plugins").mkdir()
    with running(folder / "plugins", folder / "data") as started:
        yield started


def manage(platform: Embedded, method: str, path: str, **more: Any) -> httpx.Response:
    headers = {"Authorization": f"Bearer {ADMIN_KEY}", **more.pop("headers", {})}
    return httpx.request(method, f"{platform.url}/api{path}", headers=headers, timeout=60, **more)


def register(platform: Embedded, name: str, source: str = SOURCE) -> str:
    """UUID of a new tenant with one module, `t`."""
    made = manage(platform, "POST", "/tenants", json={"name": name})
    assert made.status_code == 201, made.text
    uuid = str(made.json()["uuid"])
    put = manage(
        platform,
        "PUT",
        f"/tenants/{uuid}/modules/t",
        content=source.encode(),
        headers={"Content-Type": "text/x-python"},
    )
    assert put.is_success, put.text
    return uuid


@pytest.fixture(scope="module")
def tenant(platform: Embedded) -> str:
    return register(platform, "first")


def call(platform: Embedded, tenant: str, api: str, **query: Any) -> httpx.Response:
    return httpx.get(f"{platform.url}/rest/services/{tenant}/t/{api}/", params=query, timeout=60)


def value(platform: Embedded, tenant: str, api: str, **query: Any) -> Any:
    answer = call(platform, tenant, api, **query)
    assert answer.status_code == 200, answer.text
    return answer.json()["response"][api]


def test_it_sees_a_small_machine_of_its_own(platform: Embedded, tenant: str) -> None:
    seen = value(platform, tenant, "seen")
    assert (seen["pid"], seen["uids"]) == (True, 1)
    assert set(seen["root"]) <= {"bin", "dev", "etc", "lib", "lib64", "opt", "proc", "run", "tmp", "usr"}
    assert set(seen["opt"]) <= {"plugbay", "python"}
    assert seen["processes"] <= 4
    assert not {name for name in seen["environ"] if "KEY" in name or "PLUGINS" in name}
    for line in ("CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"):
        assert line in seen["status"]


def test_nothing_of_the_platform_can_be_read(platform: Embedded, tenant: str) -> None:
    for path in ("/proc/1/environ", "/proc/1/maps", "/etc/shadow", platform.data / "plugbay.sqlite", "/root/.bashrc"):
        assert value(platform, tenant, "tried", path=str(path)) in (2, 13), path


@pytest.mark.parametrize("number", [2, 10, 16, 17, 38, 40])
def test_only_unix_sockets_can_be_made(platform: Embedded, tenant: str, number: int) -> None:
    assert value(platform, tenant, "family", number=number) == 97


def test_a_one_time_code_is_asserted(platform: Embedded, tenant: str) -> None:
    answer = call(platform, tenant, "second_factor", code="123456")
    assert (answer.status_code, answer.json()) == (403, {"status": "that is not it"})
    assert value(platform, tenant, "second_factor", code="287082") == "/opt/plugbay/site/pyotp/__init__.py"


def test_its_folder_holds_so_many_files_and_runs_none(platform: Embedded, tenant: str) -> None:
    assert value(platform, tenant, "run") == 13
    assert value(platform, tenant, "filled") == [True, 28]


def test_processes_are_limited(platform: Embedded, tenant: str) -> None:
    assert value(platform, register(platform, "forking"), "forking") == [True, 11]


def test_memory_is_limited_and_others_are_undisturbed(platform: Embedded, tenant: str) -> None:
    greedy = register(platform, "greedy")
    answer = call(platform, greedy, "greedy")
    assert answer.status_code in (500, 502)
    assert "memory" in answer.text.lower()
    assert value(platform, tenant, "seen")
    assert value(platform, greedy, "seen")


def sandboxes(platform: Embedded) -> list[psutil.Process]:
    return [process for process in platform.processes() if _is_sandbox(process)]


def _is_sandbox(process: psutil.Process) -> bool:
    try:
        return bool(process.name() == "bwrap")
    except psutil.NoSuchProcess:  # it has just ended
        return False


def test_a_tenant_that_is_removed_leaves_no_process(platform: Embedded) -> None:
    before = set(sandboxes(platform))
    uuid = register(platform, "leaving")
    assert value(platform, uuid, "seen")
    own = set(sandboxes(platform)) - before
    assert own
    assert manage(platform, "DELETE", f"/tenants/{uuid}").is_success
    assert call(platform, uuid, "seen").status_code == 404
    _, alive = psutil.wait_procs(own, timeout=20)
    assert not alive


def test_without_bubblewrap_tenants_are_refused_and_the_admin_is_served(tmp_path: Path) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("node", "setpriv"):
        if found := shutil.which(name):
            (programs / name).symlink_to(found)
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "mine.py").write_text("import expose\n\n\n@expose.endpoint()\ndef ping():\n    return 1\n")
    with running(tmp_path / "plugins", tmp_path / "data", PATH=str(programs)) as platform:
        made = manage(platform, "POST", "/tenants", json={"name": "refused"}).json()
        put = manage(
            platform,
            "PUT",
            f"/tenants/{made['uuid']}/modules/t",
            content=SOURCE.encode(),
            headers={"Content-Type": "text/x-python"},
        )
        assert put.status_code == 503
        assert "bubblewrap: not installed; run: sudo apt-get install bubblewrap" in put.text
        assert httpx.get(f"{platform.url}/rest/services/mine/ping/").status_code == 200
