"""Given every route of the control plane, when each key of a tenant comes to it, then its scopes open it or nothing does."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from gateway import api_keys
from gateway.api_keys import Scope
from gateway.control.app import routes_alone
from gateway.control.scopes import ADMINS as OF_ADMINS
from gateway.control.scopes import TENANTS
from tests.catalogue.conftest import importer
from tests.gateway.control_server import problems
from tests.gateway.tenant_plane import TenantPlane, serving

__all__ = ["importer"]

ADMINS = {
    "GET /api/tenants",
    "POST /api/tenants",
    "PATCH /api/tenants/{uuid}",
    "DELETE /api/tenants/{uuid}",
    "POST /api/tenants/{uuid}/key",
    "DELETE /api/tenants/{uuid}/signing-keys/{id}",
    "PUT /api/tenants/{uuid}/elevation",
    "POST /api/tenants/{uuid}/elevation",
    "DELETE /api/tenants/{uuid}/elevation",
    "GET /api/tenants/{uuid}/export",
    "GET /api/pools",
    "PUT /api/pools/{name}",
    "POST /api/pools/{name}/drain",
    "POST /api/runners/{id}/drain",
    "POST /api/hosts/{name}/drain",
    "DELETE /api/hosts/{name}/drain",
    "GET /api/settings",
    "PATCH /api/settings",
}
"""What no key of a tenant opens. A new route stands here or in gateway/control/scopes.py."""

pytestmark = pytest.mark.asyncio(loop_scope="module")


def routes() -> Iterator[str]:
    """Method and path of each route below `/api`."""
    for path, operations in routes_alone().openapi()["paths"].items():
        if path.startswith("/api"):
            yield from (f"{method.upper()} {path}" for method in operations)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def plane(
    tmp_path_factory: pytest.TempPathFactory, importer: subprocess.Popen[bytes]
) -> AsyncIterator[TenantPlane]:
    async with serving(tmp_path_factory.mktemp("scopes"), importer) as plane:
        yield plane


async def test_each_route_is_a_scope_s_or_the_admin_s() -> None:
    open_to_tenants = [route for its in TENANTS.values() for route in its]
    assert sorted([*open_to_tenants, *ADMINS]) == sorted(routes())


async def test_each_key_opens_what_its_scopes_say(plane: TenantPlane) -> None:
    ada, bob = await plane.register("Ada"), await plane.register("Bob")
    keys: dict[str, frozenset[Scope]] = {ada["key"]: frozenset(Scope)}
    for scopes in (*((scope,) for scope in Scope), (Scope.CALL, Scope.DEPLOY)):
        made = await api_keys.make(plane.installation.store, ada["uuid"], "test", scopes, None)
        assert made is not None
        keys[made[0]] = made[1].granted
    opened = {route: scope for scope, its in TENANTS.items() for route in its}
    for key, granted in keys.items():
        async with plane.speaking(key) as client:
            for route in (*opened, *sorted(ADMINS), "GET /api", "GET /api/nothing", "PUT /api/modules"):
                method, _, path = route.partition(" ")
                # One that cannot be there, so that no key is revoked.
                path = path.replace("{id}", "0").replace("{name}", "nothing").replace("{number}", "7")
                for uuid, slash in ((ada["uuid"], ""), (ada["uuid"], "/"), (bob["uuid"], "")):
                    answer = await client.request(method, path.replace("{uuid}", uuid) + slash)
                    needed = opened.get(route) if uuid == ada["uuid"] or "{uuid}" not in path else None
                    if needed is not None and needed in granted:
                        assert answer.status_code not in (401, 403, 405, 500), (route, granted, answer.text)
                        continue
                    assert answer.status_code == 403, (route, granted, answer.text)
                    told = "the admin's key" if needed is None else f"a key with the scope {needed}"
                    assert problems(answer.json()) == {"Authorization": f"This takes {told}."}


async def test_a_further_admins_key_opens_what_is_its_own_and_its_tenants(plane: TenantPlane) -> None:
    """Itself, its tenant, and four that are nothing of its: they are answered alike."""
    ada = await plane.register("A", role="admin")
    async with plane.speaking(ada["key"]) as hers:
        carl = (await hers.post("/api/tenants", json={"name": "C"})).json()
        bob = await plane.register("B", role="admin")
        async with plane.speaking(bob["key"]) as his:
            dora = (await his.post("/api/tenants", json={"name": "D"})).json()
        eve = await plane.register("E")
        strangers = [bob["uuid"], dora["uuid"], eve["uuid"], "22222222-2222-4222-8222-222222222222"]
        its_tenants = {route for its in OF_ADMINS.values() for route in its}
        its_own = {route for its in TENANTS.values() for route in its}
        assert its_tenants < ADMINS
        for route in (*its_own, *sorted(ADMINS), "GET /api", "GET /api/nothing", "PUT /api/modules"):
            method, _, path = route.partition(" ")
            path = path.replace("{id}", "0").replace("{name}", "nothing").replace("{number}", "7")
            about = [ada["uuid"], carl["uuid"], *strangers] if "{uuid}" in path else [ada["uuid"]]
            for uuid in about:
                if method == "DELETE" and path == "/api/tenants/{uuid}" and uuid == carl["uuid"]:
                    continue  # it is asked for below
                answer = await hers.request(method, path.replace("{uuid}", uuid))
                mine = uuid == ada["uuid"] and "{uuid}" in path
                opened = uuid not in strangers and route in (its_own if mine else its_own | its_tenants)
                if opened:
                    assert answer.status_code not in (401, 403, 405, 500), (route, answer.text)
                else:
                    assert answer.status_code == 403, (route, uuid, answer.text)
                    assert problems(answer.json()) == {"Authorization": "This takes the admin's key."}
        key = (await hers.post(f"/api/tenants/{ada['uuid']}/api-keys", json={"name": "x", "scopes": ["deploy"]})).json()
        async with plane.speaking(key["key"]) as deploys:
            assert (await deploys.get(f"/api/tenants/{carl['uuid']}/modules")).status_code == 200
            for path in ("/api/tenants", f"/api/tenants/{carl['uuid']}"):
                told = problems((await deploys.get(path)).json())
                assert told == {"Authorization": "This takes a key with the scope manage."}
        assert (await hers.delete(f"/api/tenants/{carl['uuid']}")).status_code == 204
        assert (await hers.get(f"/api/tenants/{carl['uuid']}")).status_code == 403


async def test_no_other_spelling_of_its_path_is_its_own(plane: TenantPlane) -> None:
    eve = await plane.register("Eve")
    spellings = ["{}x", "x{}", "{}%20", "{}//", "%2f{}", "{}/..", "{}/.", "/{}", "{}/usage/../../x", "{}/usage%2f"]
    async with plane.speaking(eve["key"]) as client:
        for spelling in (*spellings, "{}"):
            target = f"/api/tenants/{spelling.format(eve['uuid'])}"
            answer = await client.get("/", extensions={"target": target.encode()})
            assert answer.status_code == (200 if spelling == "{}" else 403), spelling
