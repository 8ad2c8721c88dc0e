"""`/api/tenants/{uuid}/token-keys` and `/tokens`: who may, what is shown, and what is kept."""

from __future__ import annotations

import sqlite3
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import pytest

from plugbay_client.token import TokenKey
from store.contract import TenantChange
from tests.catalogue.conftest import importer
from tests.gateway.control_server import ADMIN, problems
from tests.gateway.tenant_plane import TenantPlane, serving
from tokens.opening import open_token

__all__ = ["importer"]


@pytest.fixture
async def plane(tmp_path: Path, importer: subprocess.Popen[bytes]) -> AsyncIterator[TenantPlane]:
    async with serving(tmp_path, importer) as plane:
        yield plane


async def test_a_key_is_shown_once(plane: TenantPlane) -> None:
    ada = await plane.register("Ada")
    for owner in (ada["uuid"], ADMIN):
        path = f"/api/tenants/{owner}/token-keys"
        assert (await plane.client.get(path)).json() == {"keys": []}
        made = await plane.client.post(path)
        assert made.status_code == 201
        key = made.json()
        assert TokenKey.parse(key["key"]).id.hex() == key["id"]
        assert (await plane.client.get(path)).json() == {"keys": [{"id": key["id"], "created": key["created"]}]}


async def test_two_are_good_at_once(plane: TenantPlane) -> None:
    path = f"/api/tenants/{ADMIN}/token-keys"
    made = [(await plane.client.post(path)).json()["id"] for _ in range(3)]
    assert [key["id"] for key in (await plane.client.get(path)).json()["keys"]] == made[1:]
    assert (await plane.client.delete(f"{path}/{made[2]}")).status_code == 204
    assert [key["id"] for key in (await plane.client.get(path)).json()["keys"]] == made[1:2]
    assert (await plane.client.delete(f"{path}/{made[2]}")).status_code == 404
    assert (await plane.client.delete(f"{path}/no-id")).status_code == 422


async def test_keys_that_cannot_be_read_can_be_left_behind(plane: TenantPlane) -> None:
    ada = await plane.register("Ada")
    path = f"/api/tenants/{ada['uuid']}/token-keys"
    await plane.installation.store.change_tenant(ada["uuid"], TenantChange(token_keys="of another SECRETS_KEY"))
    for answer in (await plane.client.get(path), await plane.client.post(path)):
        assert answer.status_code == 503
        assert set(problems(answer.json())) == {"SECRETS_KEY"}
    async with plane.speaking(ada["key"]) as client:
        assert (await client.delete(path)).status_code == 204
    assert (await plane.client.post(path)).status_code == 201


async def test_a_tenant_manages_its_own_alone(plane: TenantPlane) -> None:
    ada, bob = await plane.register("Ada"), await plane.register("Bob")
    async with plane.speaking(ada["key"]) as client:
        own = f"/api/tenants/{ada['uuid']}/token-keys"
        key = (await client.post(own)).json()
        assert [one["id"] for one in (await client.get(own)).json()["keys"]] == [key["id"]]
        for other in (bob["uuid"], ADMIN):
            assert (await client.get(f"/api/tenants/{other}/token-keys")).status_code == 403
            assert (await client.post(f"/api/tenants/{other}/token-keys")).status_code == 403
            assert (await client.delete(f"/api/tenants/{other}/token-keys/{key['id']}")).status_code == 403
            assert (await client.delete(f"/api/tenants/{other}/token-keys")).status_code == 403
            wanted = {"method": "GET", "target": "/rest/services/hello/"}
            assert (await client.post(f"/api/tenants/{other}/tokens", json=wanted)).status_code == 403
        assert (await client.delete(f"{own}/{key['id']}")).status_code == 204


async def test_a_token_is_made_with_the_newest_key(plane: TenantPlane) -> None:
    ada = await plane.register("Ada")
    path = f"/api/tenants/{ada['uuid']}"
    target = f"/rest/services/{ada['uuid']}/hello/?a=1"
    wanted = {"method": "GET", "target": target}
    refused = await plane.client.post(f"{path}/tokens", json=wanted)
    assert refused.status_code == 409
    for _ in range(2):
        key = TokenKey.parse((await plane.client.post(f"{path}/token-keys")).json()["key"])
    token = (await plane.client.post(f"{path}/tokens", json=wanted)).json()["token"]
    open_token(token.encode(), {key.id: key.secret}, UUID(ada["uuid"]).bytes, b"GET", target.encode())
    for wrong in ({"method": "get"}, {"target": "/api/x"}, {"target": target + "#"}, {"target": "/rest/" + 9000 * "x"}):
        answer = await plane.client.post(f"{path}/tokens", json=wanted | wrong)
        assert answer.status_code == 422
        assert set(problems(answer.json())) <= {"method", "target"}


async def test_nobody_has_none(plane: TenantPlane) -> None:
    for uuid in ("0e3c5f3a-4a3b-4f53-9be0-30c3d0d9f2a1", ADMIN.upper(), "x"):
        assert (await plane.client.post(f"/api/tenants/{uuid}/token-keys")).status_code == 404


async def test_what_is_kept_cannot_be_read(plane: TenantPlane, tmp_path: Path) -> None:
    ada = await plane.register("Ada")
    keys = [
        TokenKey.parse((await plane.client.post(f"/api/tenants/{owner}/token-keys")).json()["key"])
        for owner in (ada["uuid"], ADMIN)
    ]
    (file,) = tmp_path.rglob("plugbay.sqlite")
    with sqlite3.connect(file) as connection:
        kept = "\n".join(connection.iterdump())
    connection.close()
    for key in keys:
        for secret in (key.text()[4:], key.secret.hex(), repr(key.secret)):
            assert secret not in kept
