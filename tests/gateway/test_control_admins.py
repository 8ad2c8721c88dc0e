"""Given further admins, when one of them, the installation's or a tenant comes to the control plane, then this is answered."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.control.tenants import MAX_ADMINS
from tests.catalogue.conftest import importer, source
from tests.gateway.control_server import ADMIN, problems
from tests.gateway.tenant_plane import TenantPlane, serving

__all__ = ["importer"]

NOBODY = "22222222-2222-4222-8222-222222222222"
PYTHON = {"Content-Type": "text/x-python"}


@pytest.fixture
async def plane(tmp_path: Path, importer: subprocess.Popen[bytes]) -> AsyncIterator[TenantPlane]:
    async with serving(tmp_path, importer) as running:
        yield running


async def made_by(client: httpx.AsyncClient, name: str, **more: Any) -> Any:
    """A tenant, with its key."""
    answer = await client.post("/api/tenants", json={"name": name} | more)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def listed(client: httpx.AsyncClient, **params: Any) -> set[str]:
    answer = await client.get("/api/tenants", params=params)
    assert answer.status_code == 200, answer.text
    return {one["name"] for one in answer.json()["tenants"]}


def refused(answer: httpx.Response, status: int, *fields: str) -> str:
    assert (answer.status_code, list(problems(answer.json()))) == (status, list(fields)), answer.text
    return answer.text


async def test_the_installations_admin_registers_another(plane: TenantPlane) -> None:
    made = await plane.register("Ada", role="admin")
    assert (made["role"], made["admin"], made["plan"], made["status"]) == ("admin", "", "", "enabled")
    refused(await plane.client.post("/api/tenants", json={"name": "B", "role": "admin", "plan": "free"}), 422, "plan")
    refused(await plane.client.post("/api/tenants", json={"name": "B", "role": "root"}), 422, "role")
    refused(await plane.client.post("/api/tenants", json={"name": "ADA", "role": "admin"}), 409, "name")
    assert (await plane.register("Ada"))["role"] == "tenant", "a tenant of the same name is another's business"
    for body in ({"plan": "free"}, {"admin": ""}):
        refused(await plane.client.patch(f"/api/tenants/{made['uuid']}", json=body), 409, *body)
    hers, eve = plane.speaking(made["key"]), plane.speaking((await plane.register("Eve"))["key"])
    refused(await hers.post("/api/tenants", json={"name": "B", "role": "admin"}), 403, "role")
    refused(await eve.post("/api/tenants", json={"name": "B"}), 403, "Authorization")


async def test_there_are_no_more_than_so_many(plane: TenantPlane) -> None:
    for number in range(MAX_ADMINS):
        await plane.register(f"Ada {number}", role="admin")
    assert "16" in refused(await plane.client.post("/api/tenants", json={"name": "B", "role": "admin"}), 409, "role")
    assert await listed(plane.client, role="admin") == {f"Ada {number}" for number in range(MAX_ADMINS)}


async def test_each_registers_lists_and_changes_tenants_of_its_own(plane: TenantPlane) -> None:
    ada, bob = await plane.register("Ada", role="admin"), await plane.register("Bob", role="admin")
    await plane.register("Zoe")
    hers, his = plane.speaking(ada["key"]), plane.speaking(bob["key"])
    carl, _ = await made_by(hers, "Carl", plan="standard"), await made_by(his, "Carl")
    assert (carl["role"], carl["admin"]) == ("tenant", ada["uuid"])
    refused(await hers.post("/api/tenants", json={"name": "CARL"}), 409, "name")
    refused(await hers.post("/api/tenants", json={"name": "D", "admin": bob["uuid"]}), 422, "admin")
    assert await listed(hers) == await listed(hers, admin=ada["uuid"]) == {"Ada", "Carl"}
    assert await listed(hers, role="tenant") == {"Carl"}
    assert await listed(plane.client, admin=ada["uuid"], role="tenant") == {"Carl"}
    assert await listed(plane.client, admin="") == {"Zoe"} | {"Ada", "Bob"}
    assert await listed(plane.client) == {"Ada", "Bob", "Carl", "Zoe"}
    for admin in (bob["uuid"], NOBODY, ADMIN, ""):
        refused(await hers.get("/api/tenants", params={"admin": admin}), 403, "admin")
    path = f"/api/tenants/{carl['uuid']}"
    changed = await hers.patch(path, json={"plan": "free", "status": "disabled", "name": "Charly"})
    assert (changed.status_code, changed.json()["status"], changed.json()["plan"]) == (200, "disabled", "free")
    assert (await plane.speaking(carl["key"]).get(path)).status_code == 403
    assert (await hers.patch(path, json={"status": "enabled"})).status_code == 200
    key = (await hers.post(f"{path}/key")).json()["key"]
    assert (await plane.speaking(carl["key"]).get(path)).status_code == 401
    assert (await plane.speaking(key).get(path)).json()["admin"] == ada["uuid"]
    assert (await hers.delete(path)).status_code == 204
    assert await listed(hers) == {"Ada"}


async def test_it_deploys_what_is_its_own_and_its_tenants(plane: TenantPlane) -> None:
    ada = await plane.register("Ada", role="admin")
    hers = plane.speaking(ada["key"])
    carl = await made_by(hers, "Carl")
    for owner in (ada, carl):
        put = await hers.put(f"/api/tenants/{owner['uuid']}/modules/m", content=source("m"), headers=PYTHON)
        assert put.status_code == 201, put.text
        assert put.json()["exposes"][0]["path"] == f"/rest/services/{owner['uuid']}/m/m/"
        environ = f"/api/tenants/{owner['uuid']}/environ"
        assert (await hers.put(f"{environ}/URL", json={"value": "x"})).status_code == 201
        assert [one["name"] for one in (await hers.get(environ)).json()["variables"]] == ["URL"]
    assert [one["name"] for one in (await hers.get("/api/modules")).json()["modules"]] == ["m"]
    assert (await plane.client.get("/api/modules")).json()["modules"] == []


async def test_whose_tenant_one_is_only_the_installations_admin_changes(plane: TenantPlane) -> None:
    ada, bob = await plane.register("Ada", role="admin"), await plane.register("Bob", role="admin")
    hers, his = plane.speaking(ada["key"]), plane.speaking(bob["key"])
    carl = await made_by(hers, "Carl")
    path = f"/api/tenants/{carl['uuid']}"
    refused(await hers.patch(path, json={"admin": bob["uuid"]}), 403, "admin")
    for nobody in (NOBODY, carl["uuid"]):
        refused(await plane.client.patch(path, json={"admin": nobody}), 422, "admin")
    refused(await plane.client.patch(path, json={"admin": "x"}), 422, "admin")
    await made_by(his, "CARL")
    refused(await plane.client.patch(path, json={"admin": bob["uuid"]}), 409, "name")
    moved = await plane.client.patch(path, json={"admin": bob["uuid"], "name": "Charly"})
    assert (moved.status_code, moved.json()["admin"]) == (200, bob["uuid"])
    assert (await his.get(path)).status_code == 200
    refused(await hers.get(path), 403, "Authorization")
    for its in ("", ADMIN):
        assert (await plane.client.patch(path, json={"admin": its})).json()["admin"] == ""
    refused(await his.get(path), 403, "Authorization")
    assert (await plane.speaking(carl["key"]).get(path)).status_code == 200


async def test_one_that_has_tenants_is_not_removed(plane: TenantPlane) -> None:
    ada = await plane.register("Ada", role="admin")
    carl = await made_by(plane.speaking(ada["key"]), "Carl")
    path = f"/api/tenants/{ada['uuid']}"
    assert "hand them over" in refused(await plane.client.delete(path), 409, "uuid")
    await plane.client.patch(f"/api/tenants/{carl['uuid']}", json={"admin": ""})
    assert (await plane.client.delete(path)).status_code == 204
    assert (await plane.speaking(ada["key"]).get(path)).status_code == 401
    assert await listed(plane.client) == {"Carl"}


async def test_one_that_is_disabled_may_nothing_and_its_tenants_all(plane: TenantPlane) -> None:
    ada = await plane.register("Ada", role="admin")
    hers = plane.speaking(ada["key"])
    carl = await made_by(hers, "Carl")
    disabled = await plane.client.patch(f"/api/tenants/{ada['uuid']}", json={"status": "disabled"})
    assert disabled.json()["status"] == "disabled"
    for path in ("/api/tenants", "/api/modules", f"/api/tenants/{carl['uuid']}"):
        assert "disabled" in refused(await hers.get(path), 403, "Authorization")
    assert (await plane.speaking(carl["key"]).get(f"/api/tenants/{carl['uuid']}")).status_code == 200


async def test_it_is_not_moved_to_an_installation_and_moves_none(plane: TenantPlane) -> None:
    ada = await plane.register("Ada", role="admin")
    hers = plane.speaking(ada["key"])
    carl = await made_by(hers, "Carl")
    body = {"address": "http://127.0.0.1:8081"}
    elevation = "/api/tenants/{}/elevation"
    assert "an admin" in refused(await plane.client.put(elevation.format(ada["uuid"]), json=body), 409, "uuid")
    for uuid in (ada["uuid"], carl["uuid"]):
        refused(await hers.put(elevation.format(uuid), json=body), 403, "Authorization")


async def test_another_key_for_its_own_signatures_takes_the_installations(plane: TenantPlane) -> None:
    ada = await plane.register("Ada", role="admin")
    hers = plane.speaking(ada["key"])
    carl = await made_by(hers, "Carl")
    keys = [{"name": f"k{number}", "public_key": f"{number}" * 43 + "="} for number in range(2, 4)]
    statuses = {
        uuid: [(await hers.post(f"/api/tenants/{uuid}/signing-keys", json=key)).status_code for key in keys]
        for uuid in (ada["uuid"], carl["uuid"])
    }
    assert statuses == {ada["uuid"]: [201, 403], carl["uuid"]: [201, 201]}


async def test_its_trail_is_what_was_done_by_it_and_to_it_and_its_tenants(plane: TenantPlane) -> None:
    ada, bob = await plane.register("Ada", role="admin"), await plane.register("Bob", role="admin")
    hers, his = plane.speaking(ada["key"]), plane.speaking(bob["key"])
    carl, dora = await made_by(hers, "Carl"), await made_by(his, "Dora")
    theirs = plane.speaking(carl["key"])
    await theirs.put(f"/api/tenants/{carl['uuid']}/environ/URL", json={"value": "x"})
    await plane.client.patch(f"/api/tenants/{carl['uuid']}", json={"plan": "standard"})
    await plane.client.put("/api/pools/admin", json={"size": 2})
    await hers.delete(f"/api/tenants/{carl['uuid']}")
    by_admin, by_ada, by_bob = [
        (await client.get("/api/audit")).json()["entries"] for client in (plane.client, hers, his)
    ]
    assert [(one["who"], one["what"], one["tenant"], one["address"] is None) for one in by_ada] == [
        (ada["uuid"], "tenant removed", carl["uuid"], False),
        ("admin", "tenant changed", carl["uuid"], True),
        (carl["uuid"], "variable set", carl["uuid"], False),
        (ada["uuid"], "tenant registered", carl["uuid"], False),
        ("admin", "admin registered", ada["uuid"], True),
    ]
    assert {one["tenant"] for one in by_bob} == {bob["uuid"], dora["uuid"]}
    assert len(by_admin) == len(by_ada) + len(by_bob) + 1
    narrowed = (await hers.get("/api/audit", params={"tenant": dora["uuid"]})).json()["entries"]
    assert narrowed == []
    await plane.client.delete(f"/api/tenants/{ada['uuid']}")
    removed = (await plane.client.get("/api/audit", params={"what": "admin removed"})).json()["entries"]
    assert [one["tenant"] for one in removed] == [ada["uuid"]]


async def test_what_functions_printed_is_read_by_those_whose_they_are(plane: TenantPlane) -> None:
    ada, bob = await plane.register("Ada", role="admin"), await plane.register("Bob", role="admin")
    hers, his = plane.speaking(ada["key"]), plane.speaking(bob["key"])
    carl = await made_by(hers, "Carl")
    for number, owner in enumerate((ADMIN, ada["uuid"], carl["uuid"])):
        plane.services.logs.add(
            time=1.0,
            call=f"{number:032x}",
            owner=owner,
            module="m",
            api="m",
            outcome="value",
            status=200,
            output=owner.encode(),
            truncated=False,
            run_ms=1.0,
        )

    async def texts(client: httpx.AsyncClient, **params: str) -> list[str]:
        answer = await client.get("/api/logs", params=params)
        assert answer.status_code == 200, answer.text
        return [one["text"] for one in answer.json()["records"]]

    assert await texts(hers) == [ada["uuid"]]
    for client in (hers, plane.client, plane.speaking(carl["key"])):
        assert await texts(client, tenant=carl["uuid"]) == [carl["uuid"]]
    assert await texts(plane.client) == [ADMIN]
    for owner in (ada["uuid"], carl["uuid"], ADMIN, NOBODY):
        for follow in ("true", "false"):
            answer = await his.get("/api/logs", params={"tenant": owner, "follow": follow})
            assert refused(answer, 403, "tenant") == refused(await his.get("/api/logs?tenant=" + NOBODY), 403, "tenant")
    refused(await plane.client.get("/api/logs", params={"tenant": NOBODY}), 404, "uuid")
