"""Given uploads, when a tenant asks for earlier versions, rolls back or signs, then the control plane answers this."""

from __future__ import annotations

import base64
import io
import subprocess
import time
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from nacl.signing import SigningKey

from catalogue.signatures import HEADER, sign
from tests.catalogue.conftest import importer, source
from tests.gateway.control_server import problems
from tests.gateway.tenant_plane import TenantPlane, serving

__all__ = ["importer"]

PYTHON = {"Content-Type": "text/x-python"}
SEED = bytes(range(32))


def public(seed: bytes = SEED) -> str:
    return base64.b64encode(bytes(SigningKey(seed).verify_key)).decode()


@pytest.fixture
async def plane(tmp_path: Path, importer: subprocess.Popen[bytes]) -> AsyncIterator[TenantPlane]:
    async with serving(tmp_path, importer) as running:
        yield running


async def uploaded(plane: TenantPlane, *apis: str) -> tuple[Any, str]:
    """A tenant with these versions of module `shop`, and the module's path."""
    made = await plane.register("Ada")
    path = f"/api/tenants/{made['uuid']}/modules/shop"
    for api in apis:
        answer = await plane.client.put(path, content=source(api), headers=PYTHON)
        assert answer.is_success, answer.text
    return made, path


async def test_versions_are_listed_fetched_and_rolled_back_to(plane: TenantPlane) -> None:
    made, path = await uploaded(plane, "one", "two")
    async with plane.speaking(made["key"]) as tenant:
        listed = (await tenant.get(f"{path}/versions")).json()["versions"]
        assert [(one["number"], one["serves"], one["signed_by"]) for one in listed] == [(1, False, ""), (2, True, "")]
        assert all(abs(one["created"] - time.time()) < 60 for one in listed)
        first = await tenant.get(f"{path}/versions/1")
        assert (first.status_code, first.text) == (200, source("one"))
        assert first.headers["content-type"].startswith("text/x-python")
        assert first.headers["x-content-type-options"] == "nosniff"
        back = await tenant.post(f"{path}/rollback", json={"version": 1})
        assert (back.status_code, back.json()["exposes"][0]["api"]) == (200, "one")
        listed = (await tenant.get(f"{path}/versions")).json()["versions"]
        assert [one["serves"] for one in listed] == [True, False]


async def test_a_bundle_is_given_back_so_that_it_can_be_uploaded_again(plane: TenantPlane) -> None:
    _, path = await uploaded(plane)
    files = {"shop/__init__.py": source("one").encode(), "shop/data.bin": b"\0\1"}
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as writing:
        for name, content in files.items():
            writing.writestr(name, content)
    headers = {"Content-Type": "application/zip"}
    assert (await plane.client.put(path, content=made.getvalue(), headers=headers)).status_code == 201
    given = await plane.client.get(f"{path}/versions/1")
    assert given.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(given.content)) as reading:
        assert {name: reading.read(name) for name in reading.namelist()} == files
    assert (await plane.client.put(path, content=given.content, headers=headers)).status_code == 200
    assert len((await plane.client.get(f"{path}/versions")).json()["versions"]) == 1


async def test_what_is_not_there_is_not_found(plane: TenantPlane) -> None:
    _, path = await uploaded(plane, "one")
    other = path.replace("shop", "other")
    for answer, field in (
        (await plane.client.get(f"{other}/versions"), "version"),
        (await plane.client.get(f"{path}/versions/2"), "version"),
        (await plane.client.post(f"{path}/rollback", json={"version": 2}), "version"),
        (await plane.client.post(f"{other}/rollback", json={"version": 1}), "version"),
    ):
        assert (answer.status_code, list(problems(answer.json()))) == (404, [field]), answer.text
    for wrong in ({"version": 0}, {"version": "1"}, {"version": 1.5}, {"version": 2**60}, {"version": {"$gt": 0}}, {}):
        assert (await plane.client.post(f"{path}/rollback", json=wrong)).status_code == 422, wrong
    for number in ("0", "x", "-1", "1.5", str(2**60)):
        assert (await plane.client.get(f"{path}/versions/{number}")).status_code == 422, number


async def test_another_tenants_versions_and_keys_are_not_told(plane: TenantPlane) -> None:
    made, path = await uploaded(plane, "one", "two")
    eve = await plane.register("Eve")
    keys = f"/api/tenants/{made['uuid']}/signing-keys"
    async with plane.speaking(eve["key"]) as other:
        for method, place in (
            *(("GET", f"{path}/versions"), ("GET", f"{path}/versions/1"), ("POST", f"{path}/rollback")),
            *(("GET", keys), ("POST", keys), ("DELETE", f"{keys}/{'0' * 16}")),
        ):
            assert (await other.request(method, place, json={"version": 1})).status_code == 403, place
    assert (await plane.client.get(f"{path}/versions")).json()["versions"][1]["serves"]


async def test_a_tenant_registers_its_first_key_and_the_admin_every_other(plane: TenantPlane) -> None:
    made, _ = await uploaded(plane)
    keys = f"/api/tenants/{made['uuid']}/signing-keys"
    async with plane.speaking(made["key"]) as tenant:
        first = await tenant.post(keys, json={"name": "laptop", "public_key": public()})
        assert first.status_code == 201, first.text
        assert (first.json()["name"], first.json()["public_key"]) == ("laptop", public())
        second = {"name": "thief", "public_key": public(b"x" * 32)}
        assert (await tenant.post(keys, json=second)).status_code == 403
        assert (await tenant.delete(f"{keys}/{first.json()['id']}")).status_code == 403
        assert (await tenant.get(keys)).json() == {"keys": [first.json()]}
    assert (await plane.client.post(keys, json=second)).status_code == 201
    assert (await plane.client.delete(f"{keys}/{first.json()['id']}")).status_code == 204
    assert (await plane.client.delete(f"{keys}/{first.json()['id']}")).status_code == 404
    assert [key["name"] for key in (await plane.client.get(keys)).json()["keys"]] == ["thief"]
    for wrong in ("", "x" * 44, public()[:-4], base64.b64encode(b"x" * 31).decode(), None, {"$ne": ""}):
        answer = await plane.client.post(keys, json={"name": "laptop", "public_key": wrong})
        assert (answer.status_code, list(problems(answer.json()))) == (422, ["public_key"]), wrong


async def test_a_signature_is_checked_and_counts_once(plane: TenantPlane) -> None:
    made, path = await uploaded(plane)
    keys = f"/api/tenants/{made['uuid']}/signing-keys"
    await plane.client.post(keys, json={"name": "laptop", "public_key": public()})
    data = source("one").encode()
    signature = sign(SEED, made["uuid"], "shop", data, int(time.time() * 1000))
    headers = PYTHON | {HEADER: signature.text()}
    for wrong in ("", "x", signature.text()[:-1], f"{signature.text()}, {signature.text()}"):
        answer = await plane.client.put(path, content=data, headers=headers | {HEADER: wrong})
        assert (answer.status_code, list(problems(answer.json()))) == (403, [HEADER]), answer.text
    assert (await plane.client.put(path, content=data + b"\n", headers=headers)).status_code == 403
    assert (await plane.client.put(path.replace("shop", "other"), content=data, headers=headers)).status_code == 403
    assert (await plane.client.put(path, content=data, headers=headers)).status_code == 201
    [version] = (await plane.client.get(f"{path}/versions")).json()["versions"]
    assert version["signed_by"] == signature.key
    assert (await plane.client.delete(path)).status_code == 204
    assert (await plane.client.put(path, content=data, headers=headers)).status_code == 403
