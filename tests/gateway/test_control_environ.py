"""`/api/tenants/{uuid}/environ`: who may, what is taken, and what is shown and kept."""

from __future__ import annotations

import sqlite3
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.control.environ_models import MAX_VALUE
from tests.catalogue.conftest import importer
from tests.gateway.control_server import ADMIN, problems
from tests.gateway.tenant_plane import TenantPlane, serving

__all__ = ["importer"]

CANARY = "canary-7c1d"


@pytest.fixture
async def plane(tmp_path: Path, importer: subprocess.Popen[bytes]) -> AsyncIterator[TenantPlane]:
    async with serving(tmp_path, importer) as plane:
        yield plane


async def path(plane: TenantPlane) -> str:
    ada = await plane.register("Ada")
    return f"/api/tenants/{ada['uuid']}/environ"


async def test_g17_secrets_are_never_shown_again(plane: TenantPlane, tmp_path: Path) -> None:
    environ = await path(plane)
    assert (await plane.client.get(environ)).json() == {"variables": []}
    made = await plane.client.put(f"{environ}/KEY", json={"value": CANARY})
    assert (made.status_code, made.json()) == (201, {"name": "KEY", "module": None, "secret": True, "value": None})
    again = await plane.client.put(f"{environ}/KEY", json={"value": CANARY, "secret": True})
    assert again.status_code == 200
    await plane.client.put(f"{environ}/PLAIN?module=shop", json={"value": "seen", "secret": False})
    shown = await plane.client.get(environ)
    assert shown.json()["variables"] == [
        {"name": "KEY", "module": None, "secret": True, "value": None},
        {"name": "PLAIN", "module": "shop", "secret": False, "value": "seen"},
    ]
    assert CANARY not in made.text + again.text + shown.text
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert [file for file in files if CANARY.encode() in file.read_bytes()] == []
    assert (await plane.client.delete(f"{environ}/KEY")).status_code == 204
    assert problems((await plane.client.delete(f"{environ}/KEY")).json())["name"] == "There is no variable 'KEY'."
    assert (await plane.client.delete(f"{environ}/PLAIN")).status_code == 404
    assert (await plane.client.delete(f"{environ}/PLAIN?module=shop")).status_code == 204
    assert (await plane.client.get(environ)).json() == {"variables": []}


@pytest.mark.parametrize("name", ["LD_PRELOAD", "PYTHONPATH", "PYTHONSTARTUP", "PATH", "PYTHONHASHSEED", "$set", "a.b"])
async def test_e17_g7_names_that_load_code_or_are_none_are_refused(plane: TenantPlane, name: str) -> None:
    environ = await path(plane)
    refused = await plane.client.put(f"{environ}/{name}", json={"value": CANARY})
    assert (refused.status_code, list(problems(refused.json()))) == (422, ["name"])
    assert CANARY not in refused.text
    assert (await plane.client.get(environ)).json() == {"variables": []}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "value"),
        ({"value": 1}, "value"),
        ({"value": {"$ne": None}}, "value"),
        ({"value": None}, "value"),
        ({"value": f"{CANARY}\0"}, "value"),
        ({"value": CANARY + "x" * MAX_VALUE}, "value"),
        ({"value": "x", "secret": "yes"}, "secret"),
        ({"value": "x", "secret": None}, "secret"),
        ({"value": "x", "owner": ADMIN}, "owner"),
        ([], "body"),
    ],
)
async def test_g7_a_body_is_taken_as_told_or_not_at_all(plane: TenantPlane, body: Any, field: str) -> None:
    environ = await path(plane)
    refused = await plane.client.put(f"{environ}/KEY", json=body)
    assert (refused.status_code, list(problems(refused.json()))) == (422, [field])
    assert CANARY not in refused.text


@pytest.mark.parametrize("query", ["module=a.b", "module=%00", "module=A", "module[$ne]=x", "other=1"])
async def test_e12_a_module_is_named_plainly(plane: TenantPlane, query: str) -> None:
    environ = await path(plane)
    assert (await plane.client.put(f"{environ}/KEY?{query}", json={"value": "x"})).status_code == 422
    assert (await plane.client.delete(f"{environ}/KEY?{query}")).status_code == 422


async def test_it_is_bounded(plane: TenantPlane) -> None:
    environ = await path(plane)
    for name in ("A", "B"):
        await plane.client.put(f"{environ}/{name}", json={"value": "x" * (MAX_VALUE - 1)})
    refused = await plane.client.put(f"{environ}/C", json={"value": "x"})
    assert refused.status_code == 422
    assert "65536 bytes at most" in problems(refused.json())["value"]


async def test_a_tenant_manages_its_own_alone(plane: TenantPlane) -> None:
    ada, bob = await plane.register("Ada"), await plane.register("Bob")
    async with plane.speaking(ada["key"]) as client:
        own, others = (f"/api/tenants/{one['uuid']}/environ" for one in (ada, bob))
        assert (await client.put(f"{own}/KEY", json={"value": "x"})).status_code == 201
        assert len((await client.get(own)).json()["variables"]) == 1
        for other in (others, f"/api/tenants/{ADMIN}/environ"):
            assert (await client.get(other)).status_code == 403
            assert (await client.put(f"{other}/KEY", json={"value": "x"})).status_code == 403
            assert (await client.delete(f"{other}/KEY")).status_code == 403
        assert (await client.delete(f"{own}/KEY")).status_code == 204
    assert (await plane.client.get(f"/api/tenants/{ADMIN}/environ")).status_code == 404


async def test_what_was_sealed_with_another_key_is_said_and_not_overwritten(plane: TenantPlane, tmp_path: Path) -> None:
    environ = await path(plane)
    await plane.client.put(f"{environ}/KEY", json={"value": "x"})
    file = next(tmp_path.rglob("plugbay.sqlite"))
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE variables SET sealed = 'AAAA'")
        connection.commit()
    for answer in (await plane.client.get(environ), await plane.client.put(f"{environ}/B", json={"value": "x"})):
        assert (answer.status_code, list(problems(answer.json()))) == (503, ["SECRETS_KEY"])
    with sqlite3.connect(file) as connection:
        assert connection.execute("SELECT sealed FROM variables").fetchall() == [("AAAA",)]
