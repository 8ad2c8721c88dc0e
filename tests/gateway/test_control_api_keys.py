"""`/api/tenants/{uuid}/api-keys`: who may, what is shown, what is kept, and what a key that is no good is told."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from gateway import api_keys
from gateway.api_keys import MAX_API_KEYS, Scope
from store.contract import Status, TenantChange
from tests.catalogue.conftest import importer
from tests.gateway.control_server import ADMIN, problems
from tests.gateway.tenant_plane import TenantPlane, serving

__all__ = ["importer"]

NEW: dict[str, Any] = {"name": "Build server", "scopes": ["deploy"]}


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("keys")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def plane(folder: Path, importer: subprocess.Popen[bytes]) -> AsyncIterator[TenantPlane]:
    async with serving(folder, importer) as plane:
        yield plane


@pytest_asyncio.fixture(loop_scope="module")
async def ada(plane: TenantPlane) -> AsyncIterator[Any]:
    """A tenant of the test's own."""
    made = await plane.register("Ada")
    yield made
    await plane.client.delete(f"/api/tenants/{made['uuid']}")


async def make(plane: TenantPlane, uuid: str, **more: Any) -> Any:
    """A key, with its text."""
    answer = await plane.client.post(f"/api/tenants/{uuid}/api-keys", json=NEW | more)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def test_a_key_is_shown_once(plane: TenantPlane, ada: Any) -> None:
    path = f"/api/tenants/{ada['uuid']}/api-keys"
    assert (await plane.client.get(path)).json() == {"keys": []}
    made = await make(plane, ada["uuid"], scopes=["deploy", "call"])
    text = made.pop("key")
    assert re.fullmatch(f"pba_{ada['uuid'].replace('-', '')}_{made['id']}_[A-Za-z0-9_-]{{43}}", text)
    assert made == NEW | {"scopes": ["call", "deploy"], "expires": None, "id": made["id"], "created": made["created"]}
    assert (await plane.client.get(path)).json() == {"keys": [made]}
    assert text[-43:] not in (await plane.client.get(f"/api/tenants/{ada['uuid']}")).text


async def test_an_end_is_a_date_or_seconds(plane: TenantPlane, ada: Any) -> None:
    later = datetime.now(UTC).replace(microsecond=0) + timedelta(days=400)
    for text, end in (
        (f"{later:%Y-%m-%d}", later.replace(hour=0, minute=0, second=0)),
        (f"{later:%Y-%m-%dT%H:%M:%S}Z", later),
        (f"{later:%Y-%m-%dT%H:%M}+02:00", later.replace(second=0) - timedelta(hours=2)),
    ):
        assert (await make(plane, ada["uuid"], expires=text))["expires"] == end.timestamp()
    before = time.time()
    assert before + 60 <= (await make(plane, ada["uuid"], expires_in=60))["expires"] <= time.time() + 60


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("scopes", {"scopes": []}),
        ("scopes", {"scopes": ["call", "call"]}),
        ("scopes", {"scopes": ["call", "deploy", "manage", "call"]}),
        ("scopes.0", {"scopes": ["admin"]}),
        ("scopes.0", {"scopes": [{"$ne": None}]}),
        ("scopes", {"scopes": "call"}),
        ("scopes", {"scopes": None}),
        ("name", {"name": ""}),
        ("name", {"name": "a\nb"}),
        ("name", {"name": "x" * 101}),
        ("expires", {"expires": "2020-01-01"}),
        ("expires", {"expires": "tomorrow"}),
        ("expires", {"expires": "2090-02-30"}),
        ("expires", {"expires": "2090-01-01T00:00:00"}),
        ("expires", {"expires": "2090-01-01T25:00:00Z"}),
        ("expires", {"expires": "20900101"}),
        ("expires", {"expires": "\uff12\uff10\uff19\uff10-01-01"}),
        ("expires", {"expires": 4_000_000_000}),
        ("expires_in", {"expires_in": 0}),
        ("expires_in", {"expires_in": -1}),
        ("expires_in", {"expires_in": 1.5}),
        ("expires_in", {"expires_in": True}),
        ("expires_in", {"expires_in": "60"}),
        ("expires_in", {"expires_in": 10**30}),
        ("expires_in", {"expires": "2090-01-01", "expires_in": 60}),
        ("id", {"id": "0" * 16}),
        ("key", {"key": "pba_mine"}),
    ],
)
async def test_what_cannot_be_asked_for(plane: TenantPlane, ada: Any, field: str, wrong: dict[str, Any]) -> None:
    path = f"/api/tenants/{ada['uuid']}/api-keys"
    answer = await plane.client.post(path, json=NEW | wrong)
    assert (answer.status_code, list(problems(answer.json()))) == (422, [field]), answer.text
    assert (await plane.client.get(path)).json() == {"keys": []}


async def test_names_that_are_none(plane: TenantPlane, ada: Any) -> None:
    for uuid in ("22222222-2222-4222-8222-222222222222", ADMIN, ada["uuid"].upper(), "x"):
        assert (await plane.client.post(f"/api/tenants/{uuid}/api-keys", json=NEW)).status_code == 404
        assert (await plane.client.get(f"/api/tenants/{uuid}/api-keys")).status_code == 404
        assert (await plane.client.delete(f"/api/tenants/{uuid}/api-keys/{'0' * 16}")).status_code == 404
    path = f"/api/tenants/{ada['uuid']}/api-keys"
    assert (await plane.client.delete(f"{path}/{'0' * 16}")).status_code == 404
    for id in ("x", "0" * 15, "0" * 17, "A" * 16, "$ne"):
        assert (await plane.client.delete(f"{path}/{id}")).status_code == 422


async def test_too_many_is_told(plane: TenantPlane, ada: Any) -> None:
    made = [await make(plane, ada["uuid"]) for _ in range(MAX_API_KEYS)]
    path = f"/api/tenants/{ada['uuid']}/api-keys"
    answer = await plane.client.post(path, json=NEW)
    assert answer.status_code == 409
    assert f"at most {MAX_API_KEYS}" in problems(answer.json())["uuid"]
    assert (await plane.client.delete(f"{path}/{made[3]['id']}")).status_code == 204
    await make(plane, ada["uuid"])


async def test_a_key_that_manages_makes_and_revokes_and_others_do_not(plane: TenantPlane, ada: Any) -> None:
    bob = await plane.register("Bob")
    own, others = (f"/api/tenants/{one['uuid']}/api-keys" for one in (ada, bob))
    manages = await make(plane, ada["uuid"], scopes=["manage"])
    for key in (ada["key"], manages["key"]):
        async with plane.speaking(key) as client:
            made = await client.post(own, json=NEW)
            assert made.status_code == 201
            assert (await client.delete(f"{own}/{made.json()['id']}")).status_code == 204
            for method, path in (("GET", others), ("POST", others), ("DELETE", f"{others}/{'0' * 16}")):
                assert (await client.request(method, path, json=NEW)).status_code == 403
    deploys = await make(plane, ada["uuid"], scopes=["call", "deploy"])
    async with plane.speaking(deploys["key"]) as client:
        for method, path in (("GET", own), ("POST", own), ("DELETE", f"{own}/{deploys['id']}")):
            answer = await client.request(method, path, json=NEW)
            assert answer.status_code == 403
            assert problems(answer.json())["Authorization"] == "This takes a key with the scope manage."
    async with plane.speaking(manages["key"]) as client:
        assert (await client.delete(f"{own}/{manages['id']}")).status_code == 204
        assert (await client.get(own)).status_code == 401


async def test_whatever_is_wrong_with_a_key_the_answer_is_the_same(plane: TenantPlane, ada: Any) -> None:
    store, uuid = plane.installation.store, ada["uuid"]
    revoked = await make(plane, uuid, scopes=["manage"])
    assert (await plane.client.delete(f"/api/tenants/{uuid}/api-keys/{revoked['id']}")).status_code == 204
    good = (await make(plane, uuid, scopes=["manage"]))["key"]
    ended = await api_keys.make(store, uuid, "over", (Scope.MANAGE,), time.time() - 1)
    assert ended is not None
    nobody = "22222222222242228222222222222222"
    wrong = [revoked["key"], ended[0], good[:-1] + ("A" if good[-1] != "A" else "B"), good[:-1], good + "A"]
    wrong += [good.replace(uuid.replace("-", ""), nobody), good.replace("pba_", "pbt_"), f"pba_{'0' * 91}", "x"]
    answers = []
    for key in wrong:
        async with plane.speaking(key) as client:
            answers.append(await client.get(f"/api/tenants/{uuid}"))
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.content for answer in answers}) == 1
    assert {answer.headers["www-authenticate"] for answer in answers} == {"Bearer"}
    async with plane.speaking(good) as client:
        assert (await client.get(f"/api/tenants/{uuid}")).status_code == 200


@pytest.mark.parametrize(
    "lines",
    [
        (b"Authorization: Token %s",),
        (b"Authorization: Basic %s",),
        (b"Authorization: Bearer  %s",),
        (b"Authorization: Bearer %s, Bearer %s",),
        (b"Authorization: Bearer %s", b"Authorization: Bearer %s"),
        (b"X-Api-Key: %s",),
        (b"Cookie: Authorization=%s",),
    ],
)
async def test_h14_other_ways_to_send_it(plane: TenantPlane, ada: Any, lines: tuple[bytes, ...]) -> None:
    key = (await make(plane, ada["uuid"], scopes=["manage"]))["key"].encode()
    headers = [line.replace(b"%s", key).split(b": ", 1) for line in lines]
    async with plane.speaking("") as client:
        del client.headers["Authorization"]
        path = f"/api/tenants/{ada['uuid']}"
        assert (await client.get(path, headers=[(one[0], one[1]) for one in headers])).status_code == 401
        assert (await client.get(path, params={"Authorization": key.decode()})).status_code == 401


async def test_keys_of_a_tenant_that_is_disabled_or_gone(plane: TenantPlane, ada: Any) -> None:
    made = await make(plane, ada["uuid"], scopes=["manage"])
    async with plane.speaking(made["key"]) as client:
        for status, answered in ((Status.DISABLED, 403), (Status.ELEVATED, 403), (Status.ENABLED, 200)):
            await plane.installation.store.change_tenant(ada["uuid"], TenantChange(status=status))
            assert (await client.get(f"/api/tenants/{ada['uuid']}")).status_code == answered
        await plane.client.delete(f"/api/tenants/{ada['uuid']}")
        assert (await client.get(f"/api/tenants/{ada['uuid']}")).status_code == 401


async def test_who_follows_the_log_sees_no_more_of_it_once_the_key_is_revoked(plane: TenantPlane, ada: Any) -> None:
    made = await make(plane, ada["uuid"], scopes=["manage"])

    def printed(text: str) -> None:
        call: dict[str, Any] = {"time": 1.0, "call": "a" * 32, "owner": ada["uuid"], "module": "m", "api": "a"}
        call |= {"outcome": "VALUE", "status": 200, "truncated": False, "run_ms": 1.5}
        plane.services.logs.add(output=text.encode(), **call)

    async with (
        plane.speaking(made["key"]) as client,
        client.stream("GET", "/api/logs", params={"follow": "true"}) as stream,
    ):
        lines = stream.aiter_lines()
        printed("before")
        assert json.loads(await anext(lines))["text"] == "before"
        await plane.client.delete(f"/api/tenants/{ada['uuid']}/api-keys/{made['id']}")
        printed("after")
        assert [line async for line in lines] == []


async def test_each_change_is_in_the_audit_trail_and_says_by_which_key(plane: TenantPlane, ada: Any) -> None:
    made = await make(plane, ada["uuid"], scopes=["manage"])
    async with plane.speaking(made["key"]) as client:
        await client.delete(f"/api/tenants/{ada['uuid']}/api-keys/{made['id']}")
    entries = await plane.installation.store.audit.find(ada["uuid"], "API key", "", 9)
    revoked, begun = [(entry.who, entry.what, dict(entry.about)) for entry in entries]
    assert begun == ("admin", "API key made", {"id": made["id"], "name": NEW["name"], "scopes": "manage"})
    assert revoked == (ada["uuid"], "API key revoked", {"id": made["id"], "api_key": made["id"]})
    assert made["key"][-43:] not in repr(entries)


async def test_nothing_of_a_key_is_kept(plane: TenantPlane, ada: Any, folder: Path) -> None:
    text = (await make(plane, ada["uuid"]))["key"]
    (file,) = folder.rglob("plugbay.sqlite")
    with sqlite3.connect(file) as connection:
        kept = "\n".join(connection.iterdump())
    connection.close()
    assert json.dumps(NEW["name"]) in kept
    assert text[-43:] not in kept
