"""Given the control plane, when somebody changes something, then the audit trail has it once, and shows it to whom it
concerns."""

from __future__ import annotations

import base64
import logging
import subprocess
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import httpx
import pytest
from fastapi.routing import iter_route_contexts
from nacl.signing import SigningKey

from gateway.control.app import routes_alone
from tests.catalogue.conftest import importer, source
from tests.gateway.control_server import ADMIN, KEY, TENANT, problems
from tests.gateway.tenant_plane import TenantPlane, serving

__all__ = ["importer"]

PYTHON = {"Content-Type": "text/x-python"}
SECRET = "canary-of-a-variable"


class Step(NamedTuple):
    """One request that changes something."""

    method: str
    path: str
    """As its route has it."""
    what: str
    """What the trail calls it."""
    about: Mapping[str, str] = MappingProxyType({})
    """What the trail says of it; of names of the path and of this, `{…}` stands for what was made before."""
    at: Mapping[str, str] = MappingProxyType({})
    """What stands in the path, besides `uuid`, and `id` of what was made last."""
    sent: Mapping[str, Any] = MappingProxyType({})


_MODULE = "/api/tenants/{uuid}/modules/{name}"
_ELEVATION = "/api/tenants/{uuid}/elevation"
_ADDRESS = {"address": "http://127.0.0.1:8081"}
_SIGNING = {"name": "laptop", "public_key": base64.b64encode(bytes(SigningKey.generate().verify_key)).decode()}
CHANGES = [
    Step(
        "POST",
        "/api/tenants",
        "tenant registered",
        {"name": "Ada's shop", "plan": "free"},
        sent={"json": {"name": "Ada's shop"}},
    ),
    Step("PATCH", "/api/tenants/{uuid}", "tenant changed", {"plan": "standard"}, sent={"json": {"plan": "standard"}}),
    Step("POST", "/api/tenants/{uuid}/key", "tenant key replaced"),
    Step(
        "PUT",
        "/api/tenants/{uuid}/environ/{name}",
        "variable set",
        {"name": "URL", "module": "m"},
        {"name": "URL"},
        {"json": {"value": SECRET, "secret": False}, "params": {"module": "m"}},
    ),
    Step(
        "DELETE",
        "/api/tenants/{uuid}/environ/{name}",
        "variable unset",
        {"name": "URL", "module": "m"},
        {"name": "URL"},
        {"params": {"module": "m"}},
    ),
    Step(
        "PUT", _MODULE, "module uploaded", {"module": "m"}, {"name": "m"}, {"content": source("m"), "headers": PYTHON}
    ),
    Step(
        "POST",
        f"{_MODULE}/rollback",
        "module rolled back",
        {"module": "m", "version": "1"},
        {"name": "m"},
        {"json": {"version": 1}},
    ),
    Step("DELETE", _MODULE, "module removed", {"module": "m"}, {"name": "m"}),
    Step("POST", "/api/tenants/{uuid}/signing-keys", "signing key registered", {"id": "{id}"}, sent={"json": _SIGNING}),
    Step("DELETE", "/api/tenants/{uuid}/signing-keys/{id}", "signing key removed", {"id": "{id}"}),
    Step("POST", "/api/tenants/{uuid}/token-keys", "token key made", {"id": "{id}"}),
    Step("DELETE", "/api/tenants/{uuid}/token-keys/{id}", "token key retired", {"id": "{id}"}),
    Step("DELETE", "/api/tenants/{uuid}/token-keys", "token keys retired"),
    Step(
        "POST",
        "/api/tenants/{uuid}/api-keys",
        "API key made",
        {"id": "{id}", "name": "ci", "scopes": "call,deploy"},
        sent={"json": {"name": "ci", "scopes": ["deploy", "call"]}},
    ),
    Step("DELETE", "/api/tenants/{uuid}/api-keys/{id}", "API key revoked", {"id": "{id}"}),
    Step("PUT", _ELEVATION, "elevation begun", _ADDRESS, sent={"json": _ADDRESS}),
    Step("POST", _ELEVATION, "tenant elevated", _ADDRESS),
    Step("DELETE", _ELEVATION, "elevation undone", _ADDRESS),
    Step("DELETE", "/api/tenants/{uuid}", "tenant removed", {"name": "Ada's shop"}),
    Step(
        "PUT",
        "/api/pools/{name}",
        "pool scaled",
        {"pool": "admin", "size": "2"},
        {"name": "admin"},
        {"json": {"size": 2}},
    ),
    Step("POST", "/api/pools/{name}/drain", "pool drained", {"pool": TENANT}, {"name": TENANT}),
    Step("POST", "/api/runners/{id}/drain", "runner drained", {"pool": TENANT, "runner": "1" * 16}, {"id": "1" * 16}),
    Step("POST", "/api/hosts/{name}/drain", "host drained", {"host": "vm-1"}, {"name": "vm-1"}),
    Step("DELETE", "/api/hosts/{name}/drain", "host resumed", {"host": "vm-1"}, {"name": "vm-1"}),
    Step(
        "PATCH",
        "/api/settings",
        "settings changed",
        {"NUM_URL_PARMS": "2", "URL_PARM1": "as .env says"},
        sent={"json": {"NUM_URL_PARMS": 2, "URL_PARM1": None}},
    ),
]
"""Every route that changes something, in an order in which each succeeds. A new one belongs here."""
NO_CHANGES = {
    ("POST", "/api/tenants/{uuid}/tokens"): "makes a token for one call and keeps nothing of it; the call is logged",
}
"""Every other route that does not only read, and why it leaves no entry."""


@pytest.fixture
async def plane(tmp_path: Path, importer: subprocess.Popen[bytes]) -> AsyncIterator[TenantPlane]:
    async with serving(tmp_path, importer) as running:
        yield running


async def read(client: httpx.AsyncClient, **params: Any) -> Any:
    """What the trail shows."""
    answer = await client.get("/api/audit", params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def entries(client: httpx.AsyncClient, **params: Any) -> list[Any]:
    return list((await read(client, **params))["entries"])


def test_every_route_that_changes_something_is_tried_here() -> None:
    changing = {
        (method, route.path)
        for route in iter_route_contexts(routes_alone().routes)
        for method in route.methods or ()
        if method not in ("GET", "HEAD")
    }
    assert changing == {(step.method, step.path) for step in CHANGES} | NO_CHANGES.keys(), (
        "give a new route its step in CHANGES, so that it is seen to record, or say in NO_CHANGES why it does not"
    )


async def test_each_change_is_recorded_once_with_who_when_and_where_from(
    plane: TenantPlane, caplog: pytest.LogCaptureFixture
) -> None:
    made: dict[str, str] = {}
    secrets = [KEY, SECRET]
    before: list[Any] = []
    for step in CHANGES:
        path = step.path.format(**{**made, **step.at})
        began = time.time()
        answer = await plane.client.request(step.method, path, **step.sent)
        ended = time.time()
        assert answer.is_success, (path, answer.text)
        given = answer.json() if answer.content else {}
        made |= {name: given[name] for name in ("uuid", "id") if name in given}
        secrets += [given["key"]] if "key" in given else []
        newest, *others = await entries(plane.client)
        assert others == before, path
        assert (newest["who"], newest["what"], newest["address"]) == ("admin", step.what, "127.0.0.1")
        assert newest["about"] == {name: value.format(**made) for name, value in step.about.items()}
        about_pool = step.about.get("pool")
        tenant = made["uuid"] if "/tenants" in path else None if about_pool in ("admin", None) else about_pool
        assert newest["tenant"] == tenant, path
        assert began - 1e-5 <= newest["time"] <= ended
        before = [newest, *others]
    told = [record.__dict__["audit"] for record in caplog.records if record.name == "plugbay.audit"]
    assert [one["entry"] for one in told] == [one["id"] for one in reversed(before)]
    assert len(secrets) == 6
    for secret in secrets:
        assert secret not in caplog.text + str(before)
    # It is gone, and what was done to it is not.
    assert len(await entries(plane.client, tenant=made["uuid"])) == 19
    stored = await plane.installation.store.audit.find("", "", "", 999)
    assert [one.id for one in stored] == [one["id"] for one in before]


async def test_what_is_refused_or_changes_nothing_leaves_no_entry(
    plane: TenantPlane, caplog: pytest.LogCaptureFixture
) -> None:
    ada = await plane.register("Ada")
    path = f"/api/tenants/{ada['uuid']}"
    await plane.client.post(f"{path}/token-keys")
    before = await entries(plane.client)
    caplog.clear()
    stranger = plane.speaking("none")
    for step in CHANGES:
        at = {"uuid": ada["uuid"], "name": "x", "id": "x", **step.at}
        assert (await stranger.request(step.method, step.path.format(**at), **step.sent)).status_code == 401
    refused = [record.__dict__["audit"] for record in caplog.records]
    assert [one["method"] for one in refused] == [step.method for step in CHANGES]
    assert {(one["who"], one["what"], one["from"], one["status"]) for one in refused} == {
        ("", "refused", "127.0.0.1", "401")
    }
    hers = plane.speaking(ada["key"])
    caplog.clear()
    assert (await hers.patch(path, json={"plan": "standard"})).status_code == 403
    assert (await hers.put(f"{path}/modules/os?x=canary", content="", headers=PYTHON)).status_code == 422
    assert (await plane.client.patch("/api/settings", json={"NUM_URL_PARMS": -1})).status_code == 422
    assert (await plane.client.get("/api/nothing")).status_code == 404
    assert (await hers.get(f"{path}/environ")).status_code == 200
    for nothing in (plane.client.patch(path, json={}), plane.client.patch("/api/settings", json={})):
        assert (await nothing).status_code == 200
    made = await hers.post(f"{path}/tokens", json={"method": "GET", "target": f"/rest/services/{ada['uuid']}/m/m/"})
    assert made.status_code == 200
    told = [record.__dict__["audit"] for record in caplog.records if record.name == "plugbay.audit"]
    assert [(one["who"], one["method"], one["path"], one["status"]) for one in told] == [
        (ada["uuid"], "PATCH", path, "403"),
        (ada["uuid"], "PUT", f"{path}/modules/os", "422"),
        ("admin", "PATCH", "/api/settings", "422"),
    ]
    assert await entries(plane.client) == before


async def test_a_tenant_sees_what_concerns_it_and_not_where_others_come_from(plane: TenantPlane) -> None:
    ada, bob = await plane.register("Ada"), await plane.register("Bob")
    hers = plane.speaking(ada["key"])
    await hers.put(f"/api/tenants/{ada['uuid']}/modules/m", content=source("m"), headers=PYTHON)
    await plane.client.patch(f"/api/tenants/{bob['uuid']}", json={"plan": "standard"})
    await plane.client.put("/api/pools/admin", json={"size": 2})
    shown = await entries(hers)
    assert [(one["who"], one["what"], one["address"]) for one in shown] == [
        (ada["uuid"], "module uploaded", "127.0.0.1"),
        ("admin", "tenant registered", None),
    ]
    assert shown == await entries(hers, tenant=ada["uuid"])
    assert await entries(hers, what="module") == shown[:1]
    for other in (bob["uuid"], ADMIN):
        answer = await hers.get("/api/audit", params={"tenant": other})
        assert (answer.status_code, list(problems(answer.json()))) == (403, ["tenant"])
    by_admin = await entries(plane.client, tenant=ada["uuid"])
    assert [one["id"] for one in by_admin] == [one["id"] for one in shown]
    assert {one["address"] for one in by_admin} == {"127.0.0.1"}
    await plane.client.patch(f"/api/tenants/{ada['uuid']}", json={"status": "disabled"})
    assert (await hers.get("/api/audit")).status_code == 403


async def test_pages_and_filters(plane: TenantPlane) -> None:
    uuids = [(await plane.register(f"Ada {number}"))["uuid"] for number in range(5)]
    await plane.client.patch(f"/api/tenants/{uuids[0]}", json={"name": "Bob"})
    first = await read(plane.client, what="tenant reg", limit=2)
    second = await read(plane.client, what="tenant reg", limit=2, cursor=first["next"])
    last = await read(plane.client, what="tenant reg", limit=2, cursor=second["next"])
    assert [one["tenant"] for page in (first, second, last) for one in page["entries"]] == uuids[::-1]
    assert (len(last["entries"]), last["next"]) == (1, None)
    assert [one["what"] for one in await entries(plane.client, tenant=uuids[0])] == [
        "tenant changed",
        "tenant registered",
    ]
    assert await entries(plane.client, what="module") == []
    for wrong in (
        {"cursor": "x"},
        {"cursor": "0" * 31},
        {"tenant": "ada"},
        {"tenant": uuids[0].upper()},
        {"what": "$where"},
        {"what": "a" * 61},
        {"limit": "0"},
        {"limit": "501"},
        {"who": "admin"},
    ):
        answer = await plane.client.get("/api/audit", params=wrong)
        assert (answer.status_code, list(problems(answer.json()))) == (422, list(wrong))


async def test_a_change_that_the_store_cannot_note_is_made_and_told_loudly(
    plane: TenantPlane, caplog: pytest.LogCaptureFixture
) -> None:
    file = plane.installation.data / "plugbay.sqlite"
    file.rename(file.with_name("elsewhere"))
    assert (await plane.client.put("/api/pools/admin", json={"size": 2})).status_code == 200
    assert plane.pools.all["admin"].size == 2
    assert [record.levelno for record in caplog.records if record.name == "plugbay.audit"] == [
        logging.INFO,
        logging.ERROR,
    ]
    assert (await plane.client.get("/api/audit")).status_code == 503
    file.with_name("elsewhere").rename(file)
    [kept] = await entries(plane.client)
    assert (kept["what"], kept["about"]) == ("pool scaled", {"pool": "admin", "size": "2"})
