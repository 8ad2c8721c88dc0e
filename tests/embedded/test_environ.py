"""Variables of tenants on the embedded platform: who finds them, how soon, and where their values are not."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.embedded.server import ADMIN_KEY, SECRETS_KEY, Embedded, running
from tests.waiting import eventually

pytestmark = pytest.mark.needs("bubblewrap")

NEWER_KEY = "ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA"
CANARY = "canary-5f0e2b"
SOURCE = """
import os

import expose

AT_IMPORT = os.environ.get("KEY")


@expose.endpoint(method="GET")
def found(name: str):
    return [AT_IMPORT, os.environ.get(name)]


@expose.endpoint(method="GET")
async def awaited(name: str):
    return [AT_IMPORT, os.environ.get(name)]


@expose.endpoint(method="POST")
def changed(name: str):
    os.environ[name] = "changed"
"""


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    folder = tmp_path_factory.mktemp("environ")
    with running(folder / "plugins", folder / "data") as started:
        yield started


def register(platform: Embedded, name: str, *modules: str) -> str:
    """UUID of a new tenant."""
    uuid = str(platform.api("POST", "/tenants", json={"name": name}).json()["uuid"])
    for module in modules:
        put = httpx.put(
            f"{platform.url}/api/tenants/{uuid}/modules/{module}",
            content=SOURCE,
            headers={"Authorization": f"Bearer {ADMIN_KEY}", "Content-Type": "text/x-python"},
            timeout=60,
        )
        assert put.is_success, put.text
    return uuid


def put(platform: Embedded, tenant: str, name: str, value: str, module: str = "", secret: bool = True) -> None:
    query = {"module": module} if module else {}
    body = {"value": value, "secret": secret}
    answer = platform.api("PUT", f"/tenants/{tenant}/environ/{name}", params=query, json=body)
    assert answer.is_success, answer.text


def found(platform: Embedded, tenant: str, module: str = "t", name: str = "KEY", api: str = "found") -> Any:
    answer = platform.get(f"/{tenant}/{module}/{api}/", params={"name": name})
    assert answer.status_code == 200, answer.text
    return answer.json()["response"][api]


def until(platform: Embedded, tenant: str, wanted: Any, **what: str) -> None:
    """Calls until that is found."""
    end = time.monotonic() + 10
    while (last := found(platform, tenant, **what)) != wanted:
        assert time.monotonic() < end, last


def test_e17_a_change_reaches_running_workers_of_that_tenant_alone(platform: Embedded) -> None:
    one, other = register(platform, "one", "t"), register(platform, "other", "t")
    assert found(platform, one) == [None, None]
    assert found(platform, other) == [None, None]
    put(platform, one, "KEY", "first")
    until(platform, one, ["first", "first"])
    put(platform, other, "KEY", "other's")
    until(platform, other, ["other's", "other's"])
    put(platform, one, "KEY", "second")
    until(platform, one, ["second", "second"])
    until(platform, one, ["second", "second"], api="awaited")
    assert platform.post(f"/{one}/t/changed/", json={"name": "KEY"}).is_success
    assert found(platform, one) == ["second", "second"]
    assert platform.api("DELETE", f"/tenants/{one}/environ/KEY").is_success
    until(platform, one, [None, None])
    assert found(platform, other) == ["other's", "other's"]


def test_one_module_finds_its_own(platform: Embedded) -> None:
    tenant = register(platform, "modules", "first", "second", "third")
    put(platform, tenant, "KEY", "everybody's")
    put(platform, tenant, "KEY", "first's", "first")
    put(platform, tenant, "ONLY", "second's", "second")
    for _ in range(2):  # in whichever workers
        until(platform, tenant, ["first's", "first's"], module="first")
        until(platform, tenant, ["everybody's", "everybody's"], module="third")
        until(platform, tenant, ["everybody's", "second's"], module="second", name="ONLY")
        until(platform, tenant, ["everybody's", None], module="third", name="ONLY")
        until(platform, tenant, ["first's", "first's"], module="first", api="awaited")
        until(platform, tenant, ["first's", None], module="first", name="ONLY", api="awaited")


def test_g17_a_secret_is_nowhere_but_in_its_owners_functions(platform: Embedded) -> None:
    tenant = register(platform, "secret", "t")
    put(platform, tenant, "KEY", CANARY)
    until(platform, tenant, [CANARY, CANARY])
    base = f"{platform.url}/api"
    key = {"Authorization": f"Bearer {ADMIN_KEY}"}
    pages = [f"{base}/tenants/{tenant}/environ", f"{base}/logs", f"{base}/pools", f"{base}/tenants/{tenant}"]
    pages += [f"{platform.url}{path}" for path in ("/metrics", "/docs", "/openapi.json", "/nothing")]
    for page in pages:
        assert CANARY not in httpx.get(page, headers=key).text, page
    assert CANARY not in platform.log
    kept = [file for file in platform.data.rglob("*") if file.is_file()]
    assert any(file.name == "plugbay.sqlite" for file in kept)
    assert [file for file in kept if CANARY.encode() in file.read_bytes()] == []
    mains = platform.processes()[:1]
    assert CANARY not in str([process.environ() for process in mains])


def test_another_key_takes_over(tmp_path: Path) -> None:
    folders = (tmp_path / "plugins", tmp_path / "data")
    with running(*folders) as platform:
        tenant = register(platform, "keys", "t")
        put(platform, tenant, "KEY", CANARY)
        token_key = platform.api("POST", f"/tenants/{tenant}/token-keys").json()["id"]
    with running(*folders, SECRETS_KEY=NEWER_KEY, SECRETS_KEY_OLD=SECRETS_KEY) as platform:
        assert found(platform, tenant) == [CANARY, CANARY]
        eventually(lambda: "2 secrets were encrypted with SECRETS_KEY" in platform.log)
    with running(*folders, SECRETS_KEY=NEWER_KEY) as platform:
        assert found(platform, tenant) == [CANARY, CANARY]
        keys = platform.api("GET", f"/tenants/{tenant}/token-keys").json()["keys"]
        assert [key["id"] for key in keys] == [token_key]
    with running(*folders) as platform:
        refused = platform.get(f"/{tenant}/t/found/", params={"name": "KEY"})
        assert refused.status_code == 503
        assert "SECRETS_KEY" in refused.json()["status"]
