"""Several gateways on one MongoDB: what is changed through one counts at all, also while the database is away."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.calls import redis_server
from tests.embedded.server import ADMIN_KEY, ADMIN_UUID, ROOT
from tests.store.mongo_server import STANDALONE, MongoServer, started
from tests.waiting import eventually

pytestmark = pytest.mark.needs("redis")

NOBODY = "22222222-2222-4222-8222-222222222222"
"""A change is known within a second; a busy machine gets longer."""


class Gateway:
    """One process of a gateway of the stack; there is no runner host."""

    def __init__(self, folder: Path, **environ: str) -> None:
        own = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")}
        own |= {"ADMIN_UUID": ADMIN_UUID, "ADMIN_KEY": ADMIN_KEY, "PLUGINS": str(folder), "GATEWAY_PORT": "0"}
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "deploy.gateway"],
            cwd=ROOT,
            env=own | {"ADMIN_IMAGE": "none", "LOG_LEVEL": "INFO"} | environ,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._log = (folder.parent / f"{self._process.pid}.log").open("w")
        self.url = ""

    def wait(self) -> None:
        """Returns when it listens."""
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._log.write(line)
            if found := re.search(r"gateway listens on port (\d+)", line):
                self.url = f"http://127.0.0.1:{found[1]}"
                return
        raise AssertionError(f"the gateway ended with status {self._process.wait()}: see {self._log.name}")

    def stop(self) -> None:
        """Ends it."""
        self._process.send_signal(signal.SIGTERM)
        assert self._process.stderr is not None
        self._log.write(self._process.stderr.read())
        self._log.close()
        assert self._process.wait(40) == 0, self._log.name

    def api(self, method: str, path: str, key: str = ADMIN_KEY, **sent: Any) -> httpx.Response:
        """A request to the control plane."""
        headers = {"Authorization": f"Bearer {key}"}
        return httpx.request(method, f"{self.url}/api{path}", headers=headers, timeout=30, **sent)

    def call(self, uuid: str) -> tuple[int, str]:
        """What a call of something that the tenant does not have is answered."""
        answer = httpx.get(f"{self.url}/rest/services/{uuid}/none/none/", timeout=30)
        return answer.status_code, answer.json()["status"]


@pytest.fixture(scope="module")
def mongo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MongoServer]:
    server = started(MongoServer(tmp_path_factory.mktemp("mongo"), "--sync-on-commit", STANDALONE))
    yield server
    server.kill()


@pytest.fixture(scope="module")
def gateways(mongo: MongoServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Gateway]]:
    """Two of them."""
    folder = tmp_path_factory.mktemp("gateways") / "plugins"
    folder.mkdir()
    with redis_server.running("maxmemory-policy noeviction") as redis, contextlib.ExitStack() as stack:
        started = [Gateway(folder, MONGO_URI=mongo.uri, REDIS_URL=redis.url) for _ in range(2)]
        for gateway in started:
            stack.callback(gateway.stop)
            gateway.wait()
        yield started


def register(gateway: Gateway, name: str) -> tuple[str, str]:
    """UUID and key of a new tenant."""
    made = gateway.api("POST", "/tenants", json={"name": name})
    assert made.status_code == 201, made.text
    return made.json()["uuid"], made.json()["key"]


def test_a_tenant_counts_at_every_gateway(gateways: list[Gateway]) -> None:
    here, there = gateways
    assert there.call(NOBODY) == (404, f"tenant {NOBODY} is unknown")
    uuid, key = register(here, "Ada")
    path = f"/tenants/{uuid}"
    for gateway in gateways:
        assert "undefined" in gateway.call(uuid)[1]
        assert gateway.api("GET", path, key).status_code == 200
    assert there.api("POST", "/tenants", json={"name": "ada"}).status_code == 409
    here.api("PATCH", path, json={"status": "disabled"})
    assert here.call(uuid)[0] == 403
    eventually(lambda: there.call(uuid) == (403, f"tenant {uuid} is disabled"))
    assert there.api("GET", path, key).status_code == 403
    there.api("PATCH", path, json={"status": "enabled"})
    eventually(lambda: here.call(uuid)[0] == 404)
    again = here.api("POST", f"{path}/key").json()["key"]
    assert (here.api("GET", path, key).status_code, here.api("GET", path, again).status_code) == (401, 200)
    eventually(lambda: there.api("GET", path, key).status_code == 401)
    assert there.api("GET", path, again).status_code == 200
    assert there.api("DELETE", path).status_code == 204
    eventually(lambda: here.call(uuid) == (404, f"tenant {uuid} is unknown"))
    eventually(lambda: here.api("GET", path, again).status_code == 401)
    trails = [gateway.api("GET", "/audit", params={"tenant": uuid}).json()["entries"] for gateway in gateways]
    assert trails[0] == trails[1]
    assert [one["what"] for one in reversed(trails[0])] == [
        "tenant registered",
        "tenant changed",
        "tenant changed",
        "tenant key replaced",
        "tenant removed",
    ]


def test_an_api_key_counts_at_every_gateway(gateways: list[Gateway]) -> None:
    here, there = gateways
    uuid, key = register(here, "Cleo")
    path = f"/tenants/{uuid}/api-keys"
    assert there.api("GET", path, key).json() == {"keys": []}  # from now on it is known there
    made = here.api("POST", path, key, json={"name": "test", "scopes": ["manage"]}).json()

    def at(gateway: Gateway) -> tuple[int, int]:
        """What the key is answered by the control plane, and by a call of what is not there."""
        headers = {"Authorization": f"Bearer {made['key']}"}
        called = httpx.get(f"{gateway.url}/rest/services/{uuid}/none/none/", headers=headers, timeout=30)
        return gateway.api("GET", path, made["key"]).status_code, called.status_code

    here.api("PATCH", "/settings", json={"REQUIRE_TOKENS": "tenants"})
    assert at(here) == (200, 404)
    eventually(lambda: at(there) == (200, 404))
    assert there.api("DELETE", f"{path}/{made['id']}", made["key"]).status_code == 204
    assert at(there) == (401, 401)
    eventually(lambda: at(here) == (401, 401))
    here.api("PATCH", "/settings", json={"REQUIRE_TOKENS": None})


def test_while_the_database_is_away_known_tenants_are_served_and_nothing_changes(
    gateways: list[Gateway], mongo: MongoServer
) -> None:
    here = gateways[0]
    uuid, key = register(here, "Bob")
    disabled, _ = register(here, "Eve")
    here.api("PATCH", f"/tenants/{disabled}", json={"status": "disabled"})
    mongo.kill()
    assert "undefined" in here.call(uuid)[1]
    assert here.call(disabled)[0] == 403
    assert here.api("GET", f"/tenants/{uuid}", key).status_code == 200
    status, told = here.call(NOBODY)
    assert (status, "the store is not available" in told) == (503, True)
    for method, path, body in (
        ("POST", "/tenants", {"name": "Zoe"}),
        ("PATCH", f"/tenants/{uuid}", {"name": "Zoe"}),
        ("DELETE", f"/tenants/{uuid}", None),
        ("GET", "/tenants", None),
    ):
        answer = here.api(method, path, json=body)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1"), path
    forged = f"pbt_{NOBODY.replace('-', '')}_{'A' * 43}"
    assert here.api("GET", "/modules", forged).status_code == 503
    assert "undefined" in here.call(uuid)[1]
    mongo.start()
    eventually(lambda: here.api("PATCH", f"/tenants/{uuid}", json={"name": "Zoe"}).status_code == 200)
    assert here.api("DELETE", f"/tenants/{uuid}").status_code == 204
