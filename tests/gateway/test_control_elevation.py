"""Given a tenant that moves to an installation of its own, then the control plane answers this, and both planes this."""

from __future__ import annotations

import io
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway import tenant_keys as keys
from store.contract import Tenant
from store.records import BundleRecord, End, ModuleRecord, TenantRecord, VariablesRecord, records
from tests.catalogue.conftest import importer, source
from tests.gateway.control_server import ADMIN, problems
from tests.gateway.tenant_plane import TenantPlane, serving

__all__ = ["importer"]

ADDRESS = "http://127.0.0.1:8081"
PYTHON = {"Content-Type": "text/x-python"}


@pytest.fixture
async def plane(tmp_path: Path, importer: subprocess.Popen[bytes]) -> AsyncIterator[TenantPlane]:
    async with serving(tmp_path, importer) as running:
        yield running


async def moving(plane: TenantPlane) -> tuple[Any, str]:
    """A tenant with a module and a variable that has begun to move, and its path."""
    made = await plane.register("Ada")
    path = f"/api/tenants/{made['uuid']}"
    assert (await plane.client.put(f"{path}/modules/shop", content=source("one"), headers=PYTHON)).is_success
    assert (await plane.client.put(f"{path}/environ/A", json={"value": "1"})).is_success
    begun = await plane.client.put(f"{path}/elevation", json={"address": ADDRESS})
    assert (begun.status_code, begun.json()["address"], begun.json()["status"]) == (200, ADDRESS, "enabled")
    return made, path


CHANGES: list[tuple[str, str, Any]] = [
    ("PUT", "/modules/shop", None),
    ("DELETE", "/modules/shop", None),
    ("POST", "/modules/shop/rollback", {"version": 1}),
    ("PUT", "/environ/A", {"value": "2"}),
    ("DELETE", "/environ/A", None),
    ("POST", "/token-keys", None),
    ("DELETE", "/token-keys", None),
    ("DELETE", "/token-keys/00000000", None),
    ("POST", "/signing-keys", {"name": "a", "public_key": "A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg="}),
    ("DELETE", "/signing-keys/0000000000000000", None),
    ("POST", "/api-keys", {"name": "a", "scopes": ["call"]}),
    ("DELETE", "/api-keys/0000000000000000", None),
    ("POST", "/key", None),
    ("PATCH", "", {"plan": "standard"}),
]


async def test_nothing_of_it_is_changed_from_the_beginning_on(plane: TenantPlane) -> None:
    _, path = await moving(plane)
    for method, below, body in CHANGES:
        answer = await plane.client.request(method, path + below, json=body)
        assert (answer.status_code, list(problems(answer.json()))) == (409, ["uuid"]), (method, below, answer.text)
        assert ADDRESS in answer.text
    assert (await plane.client.get(f"{path}/modules")).json()["modules"][0]["name"] == "shop"
    assert (await plane.client.delete(f"{path}/elevation")).json()["address"] == ""
    answer = await plane.client.put(f"{path}/environ/A", json={"value": "2"})
    assert answer.status_code == 200


async def test_all_that_it_has_is_exported(plane: TenantPlane) -> None:
    made, path = await moving(plane)
    exported = await plane.client.get(f"{path}/export")
    assert exported.status_code == 200
    found = list(records(io.BytesIO(exported.content)))
    assert [type(one) for one in found[1:]] == [TenantRecord, VariablesRecord, BundleRecord, ModuleRecord, End]
    assert isinstance(found[1], TenantRecord)
    assert found[1].tenant.uuid == made["uuid"]
    async with plane.speaking(made["key"]) as tenant:
        assert (await tenant.get(f"{path}/export")).status_code == 403
        assert (await tenant.put(f"{path}/elevation", json={"address": ADDRESS})).status_code == 403
        assert (await tenant.delete(f"{path}/elevation")).status_code == 403
    await plane.client.delete(f"{path}/elevation")
    assert (await plane.client.get(f"{path}/export")).status_code == 409, "it may be changed while it is read"


async def test_once_complete_its_key_is_told_the_address(plane: TenantPlane) -> None:
    made, path = await moving(plane)
    elevated = await plane.client.post(f"{path}/elevation")
    assert (elevated.status_code, elevated.json()["status"]) == (200, "elevated")
    async with plane.speaking(made["key"]) as tenant:
        refused = await tenant.get(path)
        assert refused.status_code == 403
        assert refused.json()["status"] == f"tenant {made['uuid']} is elevated: its installation is {ADDRESS}"
    for method, below, body in (*CHANGES, ("PATCH", "", {"status": "enabled"})):
        assert (await plane.client.request(method, path + below, json=body)).status_code == 409
    again = await plane.client.put(f"{path}/elevation", json={"address": "http://other"})
    assert again.status_code == 409
    assert (await plane.client.get(path)).json()["address"] == ADDRESS
    back = await plane.client.delete(f"{path}/elevation")
    assert (back.json()["status"], back.json()["address"]) == ("enabled", "")
    async with plane.speaking(made["key"]) as tenant:
        assert (await tenant.get(path)).status_code == 200


@pytest.mark.parametrize("address", ["", "ftp://x", "http://a b", "http://x/?q", "http://x/\n", "http://x" * 50])
async def test_an_address_is_one(plane: TenantPlane, address: str) -> None:
    made = await plane.register("Ada")
    answer = await plane.client.put(f"/api/tenants/{made['uuid']}/elevation", json={"address": address})
    assert (answer.status_code, list(problems(answer.json()))) == (422, ["address"])


async def test_who_does_not_move_is_not_elevated(plane: TenantPlane) -> None:
    made = await plane.register("Ada")
    path = f"/api/tenants/{made['uuid']}"
    assert (await plane.client.post(f"{path}/elevation")).status_code == 409
    assert (await plane.client.delete(f"{path}/elevation")).json()["status"] == "enabled"
    await plane.client.patch(path, json={"status": "disabled"})
    assert (await plane.client.put(f"{path}/elevation", json={"address": ADDRESS})).status_code == 409
    assert (await plane.client.delete(f"{path}/elevation")).json()["status"] == "disabled"


async def test_an_admin_that_was_a_tenant_has_its_key_and_its_uploads(plane: TenantPlane) -> None:
    key = keys.new_key(ADMIN)
    await plane.installation.store.add_tenant(Tenant(uuid=ADMIN, name="Ada", plan="", key=keys.digest(key)))
    path = f"/api/tenants/{ADMIN}"
    async with plane.speaking(key) as admin:
        assert (await admin.get("/api/pools")).status_code == 200
        assert (await admin.put(f"{path}/modules/shop", content=source("one"), headers=PYTHON)).status_code == 201
        assert (await admin.put(f"{path}/modules/shop", content=source("two"), headers=PYTHON)).status_code == 200
        assert (await admin.post(f"{path}/modules/shop/rollback", json={"version": 1})).status_code == 200
        assert [one["name"] for one in (await admin.get("/api/modules")).json()["modules"]] == ["shop"]
        for method, below, body in (
            ("DELETE", "", None),
            ("PATCH", "", {"status": "disabled"}),
            ("PUT", "/elevation", {"address": ADDRESS}),
        ):
            assert (await admin.request(method, path + below, json=body)).status_code == 409
        limited = (await admin.post(f"{path}/api-keys", json={"name": "ci", "scopes": ["deploy"]})).json()["key"]
        async with plane.speaking(limited) as ci:  # an API key is no more than it was
            assert (await ci.get(f"{path}/modules")).status_code == 200
            for closed in ("/api/pools", "/api/tenants", f"{path}/environ", f"{path}/export", f"{path}/api-keys"):
                assert (await ci.get(closed)).status_code == 403, closed
        renewed = (await admin.post(f"{path}/key")).json()["key"]
        assert (await admin.get("/api/pools")).status_code == 401
    async with plane.speaking(renewed) as admin:
        assert (await admin.get("/api/pools")).status_code == 200
        assert (await admin.delete(f"{path}/modules/shop")).status_code == 204
