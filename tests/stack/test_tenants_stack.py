"""A tenant on the stack: registered, its module uploaded and called in a container of its own, disabled, removed."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import docker.errors
import httpx
import pytest

from runner.docker.template import LABEL_RUNNER
from tests.runner.docker.test_inspect import NOTHING, TABLE
from tests.stack.stack import ROOT, Stack
from tests.waiting import eventually

pytestmark = pytest.mark.needs("docker")

PYTHON = {"Content-Type": "text/x-python"}
SOURCE = """\
import os
import expose

@expose.endpoint(method="GET|POST")
def whoami(said: str = ""):
    print("said", said)
    return {"uid": os.getuid(), "environ": sorted(os.environ), "said": said}
"""


@pytest.fixture
def admin(stack: Stack) -> Iterator[httpx.Client]:
    """A client with the admin's key."""
    with speaking(stack, stack.admin_key) as client:
        yield client


def speaking(stack: Stack, key: str) -> httpx.Client:
    """A client with a key."""
    return httpx.Client(base_url=stack.url, headers={"Authorization": f"Bearer {key}"}, timeout=60)


def runners(admin: httpx.Client, uuid: str) -> list[str]:
    """Ids of the tenant's runners."""
    pools = admin.get("/api/pools").json()["pools"]
    return [runner["id"] for pool in pools if pool["name"] == uuid for runner in pool["runners"]]


def containers(stack: Stack, runner: str) -> list[dict[str, Any]]:
    """The containers of a runner that the Engine has."""
    found: list[dict[str, Any]] = []
    for one in stack.engine.containers(all=True, filters={"label": f"{LABEL_RUNNER}={runner}"}):
        with contextlib.suppress(docker.errors.NotFound):  # it has just gone
            found.append(stack.engine.inspect_container(one["Id"]))
    return found


def test_a_tenant_from_registration_to_removal(stack: Stack, admin: httpx.Client) -> None:
    made = admin.post("/api/tenants", json={"name": "Ada's shop"}).json()
    uuid, own, path = made["uuid"], f"/api/tenants/{made['uuid']}", f"/rest/services/{made['uuid']}/who/whoami/"
    assert admin.get(path).json() == {"status": "who is undefined for GET."}

    with speaking(stack, made["key"]) as tenant:
        broken = tenant.put(f"{own}/modules/who", content="x = 1\ny = (\n", headers=PYTHON)
        assert (broken.status_code, "line 2" in broken.json()["status"]) == (422, True), broken.text
        broken = tenant.put(f"{own}/modules/who", content="import socket\nsocket.socket()\n", headers=PYTHON)
        assert (broken.status_code, "line 2" in broken.json()["status"]) == (422, True), broken.text
        uploaded = tenant.put(f"{own}/modules/who", content=SOURCE, headers=PYTHON)
        assert uploaded.status_code == 201, uploaded.text
        [endpoint] = uploaded.json()["exposes"]
        assert endpoint["path"] == path
        answer = httpx.post(f"{stack.url}{path}", json={"said": "hi"}, timeout=60)
        assert answer.status_code == 200, answer.text
        said = answer.json()["response"]["whoami"]
        assert said["said"] == "hi"
        [record] = tenant.get("/api/logs").json()["records"]
        assert record["text"] == "said hi\n"
        assert tenant.get("/api/pools").status_code == 403

    eventually(lambda: len(runners(admin, uuid)) == 1)  # hosts tell of their pools four times a second
    [runner] = runners(admin, uuid)
    [container] = containers(stack, runner)
    config, host = container["Config"], container["HostConfig"]
    assert config["User"] == f"{said['uid']}:{said['uid']}"
    assert {name: host[name] for name in TABLE} == TABLE
    assert {name: host[name] or None for name in NOTHING} == dict.fromkeys(NOTHING)
    assert "no-new-privileges:true" in host["SecurityOpt"]
    assert any(option.startswith("seccomp={") for option in host["SecurityOpt"])
    assert [(mount["Destination"], mount["RW"]) for mount in container["Mounts"]] == [("/run/host", False)]
    assert list(container["NetworkSettings"]["Networks"]) == ["none"]
    for secret in (stack.admin_key, made["key"], *stack.passwords.values()):
        assert secret not in str(container)
    assert not {"ADMIN_KEY", "MONGO_URI", "REDIS_URL"} & set(said["environ"])

    assert admin.patch(own, json={"status": "disabled"}).status_code == 200
    answer = httpx.get(f"{stack.url}{path}", timeout=60)
    assert (answer.status_code, answer.json()) == (403, {"status": f"tenant {uuid} is disabled"})
    eventually(lambda: not containers(stack, runner))

    assert admin.patch(own, json={"status": "enabled"}).status_code == 200
    assert httpx.get(f"{stack.url}{path}", timeout=60).status_code == 200
    eventually(lambda: len(runners(admin, uuid)) == 1)
    [again] = runners(admin, uuid)
    assert again != runner

    assert admin.delete(own).status_code == 204
    answer = httpx.get(f"{stack.url}{path}", timeout=60)
    assert (answer.status_code, answer.json()) == (404, {"status": f"tenant {uuid} is unknown"})
    eventually(lambda: not containers(stack, again))
    eventually(lambda: not runners(admin, uuid))
    with speaking(stack, made["key"]) as tenant:
        assert tenant.get(own).status_code == 401


def test_a_file_of_a_tenant_serves_until_the_tenant_is_removed(stack: Stack, admin: httpx.Client) -> None:
    uuid = admin.post("/api/tenants", json={"name": "Bob"}).json()["uuid"]
    file = stack.plugins / "filed.py"
    file.write_text(f'__ID__ = "{uuid}"\n{SOURCE}')
    try:
        path = f"{stack.url}/rest/services/{uuid}/filed/whoami/"
        eventually(lambda: httpx.get(path, timeout=60).status_code == 200)
        assert httpx.get(f"{stack.url}/rest/services/filed/whoami/", timeout=60).status_code == 404
        assert admin.delete(f"/api/tenants/{uuid}").status_code == 204
        assert httpx.get(path, timeout=60).status_code == 404
    finally:
        file.unlink()


def test_the_tool_registers_deploys_and_removes(stack: Stack) -> None:
    source = stack.plugins.parent / "shop.py"
    source.write_text(SOURCE)

    def plugbay(*arguments: str) -> str:
        environ = stack.environ | {"PLUGBAY_URL": stack.url, "PLUGBAY_KEY": stack.admin_key}
        done = subprocess.run(
            [sys.executable, "-P", "-m", "cli", *arguments],
            cwd=ROOT,
            env=environ,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    added = plugbay("tenants", "add", "Eve").splitlines()
    uuid = added[1].split()[0]
    assert added[-1].startswith("key  pbt_")
    assert f"/rest/services/{uuid}/shop/whoami/" in plugbay("deploy", str(source), "--tenant", uuid)
    assert '"said": "hey"' in plugbay("call", "shop/whoami", "--tenant", uuid, "-q", "said=hey")
    assert "shop" in plugbay("tenants", "show", uuid)
    plugbay("tenants", "rm", uuid, "--yes")
    assert uuid not in plugbay("tenants", "list")
