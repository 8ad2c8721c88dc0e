"""Given a sealed upload, when it is sent to the control plane, then it serves, or 422 says why it cannot be opened."""

from __future__ import annotations

import base64
import io
import subprocess
import time
import zipfile
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from nacl.signing import SigningKey

from catalogue.sealed import MEDIA_TYPE, OVERHEAD, InstallationKeys, fingerprint, seal
from catalogue.signatures import HEADER, sign
from gateway.control.app import create_control
from tests.catalogue.conftest import importer, source
from tests.gateway.control_server import AUTHORIZED, INSTALLATION_KEY, problems
from tests.gateway.tenant_plane import TenantPlane, serving

__all__ = ["importer"]

SEALED = {"Content-Type": MEDIA_TYPE}
PUBLIC = InstallationKeys(INSTALLATION_KEY).public or b""
SEED = bytes(range(32))


@pytest.fixture
async def plane(tmp_path: Path, importer: subprocess.Popen[bytes]) -> AsyncIterator[TenantPlane]:
    async with serving(tmp_path, importer) as running:
        yield running


@pytest.fixture
async def tenant(plane: TenantPlane) -> Any:
    return await plane.register("Ada")


async def put(plane: TenantPlane, tenant: Any, body: bytes, name: str = "shop", **headers: str) -> httpx.Response:
    async with plane.speaking(tenant["key"]) as client:
        path = f"/api/tenants/{tenant['uuid']}/modules/{name}"
        return await client.put(path, content=body, headers=SEALED | headers)


async def test_the_key_is_shown_to_who_has_one(plane: TenantPlane, tenant: Any) -> None:
    shown = {"public_key": base64.b64encode(PUBLIC).decode(), "fingerprint": fingerprint(PUBLIC)}
    assert (await plane.client.get("/api/installation-key")).json() == shown
    async with plane.speaking(tenant["key"]) as client:
        assert (await client.get("/api/installation-key")).json() == shown
    async with plane.speaking("x" * 43) as client:
        assert (await client.get("/api/installation-key")).status_code == 401


async def test_where_there_is_none_that_is_said(plane: TenantPlane) -> None:
    app = create_control(replace(plane.services, installation_keys=InstallationKeys("")))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", headers=AUTHORIZED) as client:
        answer = await client.get("/api/installation-key")
    assert (answer.status_code, "INSTALLATION_KEY" in answer.json()["status"]) == (404, True)


async def test_a_sealed_source_and_a_sealed_package_serve(plane: TenantPlane, tenant: Any) -> None:
    uuid = tenant["uuid"]
    answer = await put(plane, tenant, seal(PUBLIC, uuid, "shop", source("one").encode()))
    assert (answer.status_code, answer.json()["exposes"][0]["api"]) == (201, "one"), answer.text
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as writing:
        writing.writestr("shop/__init__.py", source("two"))
    answer = await put(plane, tenant, seal(PUBLIC, uuid, "shop", made.getvalue()))
    assert (answer.status_code, answer.json()["exposes"][0]["api"]) == (200, "two"), answer.text


async def test_the_signature_is_that_of_what_was_sealed(plane: TenantPlane, tenant: Any) -> None:
    uuid, data = tenant["uuid"], source("one").encode()
    key = {"name": "laptop", "public_key": base64.b64encode(bytes(SigningKey(SEED).verify_key)).decode()}
    assert (await plane.client.post(f"/api/tenants/{uuid}/signing-keys", json=key)).status_code == 201
    sealed = seal(PUBLIC, uuid, "shop", data)
    wrong = sign(SEED, uuid, "shop", sealed, time.time_ns() // 1_000_000)
    assert (await put(plane, tenant, sealed, **{HEADER: wrong.text()})).status_code == 403
    good = sign(SEED, uuid, "shop", data, time.time_ns() // 1_000_000)
    assert (await put(plane, tenant, sealed, **{HEADER: good.text()})).status_code == 201


async def test_what_cannot_be_opened_is_422_and_serves_nothing(plane: TenantPlane, tenant: Any) -> None:
    uuid, data = tenant["uuid"], source("one").encode()
    other = InstallationKeys(INSTALLATION_KEY[::-1]).public or b""
    answer = await put(plane, tenant, seal(other, uuid, "shop", data))
    assert answer.status_code == 422
    said = problems(answer.json())["body"]
    assert fingerprint(other) in said and fingerprint(PUBLIC) in said
    good = seal(PUBLIC, uuid, "shop", data)
    stranger = await plane.register("Zoe")
    for who, name, body in (
        (tenant, "shop", good[:-1] + bytes([good[-1] ^ 1])),
        (tenant, "other", good),
        (stranger, "shop", good),
        (tenant, "shop", data),
    ):
        answer = await put(plane, who, body, name)
        assert (answer.status_code, set(problems(answer.json()))) == (422, {"body"}), answer.text
    assert (await plane.client.get(f"/api/tenants/{uuid}/modules")).json()["modules"] == []
    answer = await plane.client.put(
        f"/api/tenants/{uuid}/modules/shop", content=good, headers={"Content-Type": "application/octet-stream"}
    )
    assert answer.status_code == 422


async def test_its_size_is_bounded_sealed_and_opened(plane: TenantPlane, tenant: Any) -> None:
    bounds = plane.services.settings
    answer = await put(plane, tenant, bytes(bounds.MAX_BUNDLE_BYTES + 1))
    assert (answer.status_code, "body" in problems(answer.json())) == (413, True)
    most = b"#" * (bounds.MAX_BUNDLE_BYTES - OVERHEAD)
    answer = await put(plane, tenant, seal(PUBLIC, tenant["uuid"], "shop", most))
    assert (answer.status_code, "MAX_SOURCE_BYTES" in answer.json()["status"]) == (413, True)
