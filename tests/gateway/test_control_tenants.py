"""Given tenants, when the admin or they themselves come to the control plane, then this is answered."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import re
import subprocess
import uuid as uuids
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from store.contract import Status, Tenant, TenantChange
from tests.catalogue.conftest import importer, source
from tests.gateway.control_server import ADMIN, KEY, lines, problems
from tests.gateway.tenant_plane import TenantPlane, serving
from tests.waiting import until

__all__ = ["importer"]

NOBODY = "22222222-2222-4222-8222-222222222222"
NO_TEXTS: list[Any] = [
    {"$ne": None},
    {"$gt": ""},
    {"$regex": ".*"},
    {"$where": "sleep(5000)"},
    ["a"],
    1,
    1.5,
    True,
    None,
]
NO_NAMES = [
    "",
    " ",
    " a",
    "a ",
    "a\nb",
    "a\0",
    "\u202ea",
    "a\u200b",
    "x" * 101,
    "\x1b[31m",
    "\ud800",
    "x'); DROP TABLE tenants;--",
    "a:b",
    "a*b",
    "a?",
    "$where",
    "{}",
    "<b>",
]
PYTHON = {"Content-Type": "text/x-python"}


@pytest.fixture
async def plane(tmp_path: Path, importer: subprocess.Popen[bytes]) -> AsyncIterator[TenantPlane]:
    async with serving(tmp_path, importer) as running:
        yield running


async def test_a_tenant_is_registered_with_a_uuid_and_a_key_of_its_own(plane: TenantPlane) -> None:
    made = await plane.register("Ada & Söhne", plan="standard")
    assert uuids.UUID(made["uuid"]).version == 4
    assert str(uuids.UUID(made["uuid"])) == made["uuid"]
    key = made.pop("key")
    assert len(key) >= 43
    shown: dict[str, Any] = {"uuid": made["uuid"], "name": "Ada & Söhne", "plan": "standard", "status": "enabled"}
    assert made == {**shown, "created": made["created"], "address": "", "role": "tenant", "admin": ""}
    seen = await plane.client.get(f"/api/tenants/{made['uuid']}")
    assert (seen.status_code, seen.json()) == (200, made)
    assert key not in (await plane.client.get("/api/tenants")).text
    stored = await plane.installation.store.tenant(made["uuid"])
    assert stored is not None
    assert re.fullmatch("[0-9a-f]{64}", stored.key) and stored.key not in key


async def test_tenants_by_page_and_by_what_they_begin_with(plane: TenantPlane) -> None:
    made = [await plane.register(f"Shop {number}") for number in range(5)] + [await plane.register("shelf")]
    by_uuid = sorted(made, key=lambda tenant: str(tenant["uuid"]))
    found: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = (await plane.client.get("/api/tenants", params={"limit": "4"} | cursor)).json()
        found += [tenant["uuid"] for tenant in page["tenants"]]
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}
    assert found == [tenant["uuid"] for tenant in by_uuid]

    async def names(search: str) -> list[str]:
        answer = await plane.client.get("/api/tenants", params={"search": search})
        return sorted(tenant["name"] for tenant in answer.json()["tenants"])

    assert await names("sHOP") == [f"Shop {number}" for number in range(5)]
    assert await names("sh") == [*(f"Shop {number}" for number in range(5)), "shelf"]
    assert await names(made[0]["uuid"][:13]) == [made[0]["name"]]
    assert await names("hop") == await names("_") == []


@pytest.mark.parametrize(
    "query",
    ["limit=-1", "limit=1e9", "limit=NaN", "cursor=x", "cursor=$where", "sort=$where", "status[$ne]=x", "search[$gt]=", "search=.*", "search={}", "search=%00", "search=" + "x" * 101],
)  # fmt: skip
async def test_odd_queries(plane: TenantPlane, query: str) -> None:
    answer = await plane.client.get(f"/api/tenants?{query}")
    assert answer.status_code == 422
    assert problems(answer.json())


async def test_fields_that_are_not_what_they_should_be(plane: TenantPlane) -> None:
    made = await plane.register("Ada")
    path = f"/api/tenants/{made['uuid']}"
    for field in ("name", "plan"):
        for value in NO_TEXTS:
            for method, where, body in (
                ("POST", "/api/tenants", {"name": "Bob"} | {field: value}),
                ("PATCH", path, {field: value}),
            ):
                answer = await plane.client.request(method, where, json=body)
                assert (answer.status_code, list(problems(answer.json()))) == (422, [field]), (method, field, value)
    for name in NO_NAMES:
        for method, where in (("POST", "/api/tenants"), ("PATCH", path)):
            answer = await plane.client.request(method, where, content=json.dumps({"name": name}))
            assert answer.status_code == 422, name
    for value in [*NO_TEXTS, "elevated", "ENABLED", ""]:
        answer = await plane.client.patch(path, json={"status": value})
        assert (answer.status_code, list(problems(answer.json()))) == (422, ["status"]), value
    for plan in ("none", "$set", "../free", "x" * 300):
        answer = await plane.client.patch(path, json={"plan": plan})
        assert (answer.status_code, list(problems(answer.json()))) == (422, ["plan"])
    for field in ("role", "status", "_id", "uuid", "key", "created", "owner", "$set", "a.b", "__proto__", "HostConfig"):
        body = {"name": "Bob", field: "enabled"}
        assert problems((await plane.client.post("/api/tenants", json=body)).json()).keys() == {field}
        if field != "status":
            assert problems((await plane.client.patch(path, json={field: "x"})).json()).keys() == {field}
    key = made.pop("key")
    assert (await plane.client.get(path)).json() == made
    assert (await plane.speaking(key).get(path)).status_code == 200
    assert len((await plane.client.get("/api/tenants")).json()["tenants"]) == 1


async def test_a_name_is_taken_once_whatever_its_case(plane: TenantPlane) -> None:
    bodies = [{"name": "ada" if number % 2 else "Ada"} for number in range(50)]
    answers = await asyncio.gather(*(plane.client.post("/api/tenants", json=body) for body in bodies))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 49
    other = await plane.register("Bob")
    answer = await plane.client.patch(f"/api/tenants/{other['uuid']}", json={"name": "ADA", "plan": "standard"})
    assert (answer.status_code, list(problems(answer.json()))) == (409, ["name"])
    assert (await plane.client.get(f"/api/tenants/{other['uuid']}")).json()["plan"] == "free"


async def test_what_is_given_changes_and_nothing_else(plane: TenantPlane) -> None:
    made = await plane.register("Ada")
    path, key = f"/api/tenants/{made['uuid']}", made.pop("key")
    for change in ({"name": "Bob"}, {"plan": "standard"}, {"status": "disabled"}, {"status": "enabled"}, {}):
        made |= change
        answer = await plane.client.patch(path, json=change)
        assert (answer.status_code, answer.json()) == (200, made)
        assert (await plane.client.get(path)).json() == made
    assert (await plane.speaking(key).get(path)).status_code == 200


@pytest.mark.parametrize(
    "form", [str.upper, lambda one: one.replace("-", ""), lambda one: f"{{{one}}}", lambda _: NOBODY]
)
async def test_who_is_not_there_is_404(plane: TenantPlane, form: Any) -> None:
    uuid = form((await plane.register("Ada"))["uuid"])
    for method, path, sent in (
        ("GET", "", {}),
        ("PATCH", "", {"json": {"name": "Bob"}}),
        ("POST", "/key", {}),
        ("DELETE", "", {}),
        ("GET", "/modules", {}),
        ("PUT", "/modules/hello", {"content": b"", "headers": PYTHON}),
        ("DELETE", "/modules/hello", {}),
    ):
        answer = await plane.client.request(method, f"/api/tenants/{uuid}{path}", **sent)
        assert answer.status_code == 404, (method, path)


async def test_a_replaced_key_is_refused(plane: TenantPlane) -> None:
    made = await plane.register("Ada")
    path = f"/api/tenants/{made['uuid']}"
    again = (await plane.client.post(f"{path}/key")).json()
    assert again["uuid"] == made["uuid"] and again["key"] != made["key"]
    assert (await plane.speaking(made["key"]).get(path)).status_code == 401
    assert (await plane.speaking(again["key"]).get(path)).status_code == 200


async def test_a_removed_tenant_is_gone_with_all_it_had(plane: TenantPlane) -> None:
    made = await plane.register("Ada")
    path = f"/api/tenants/{made['uuid']}"
    await plane.client.put(f"{path}/modules/hello", content=source("hello"), headers=PYTHON)
    assert await plane.services.kept.hold("a result", made["uuid"], b"", 60) is None
    assert (await plane.client.delete(path)).status_code == 204
    assert await plane.services.kept.find("a result") is None
    for method in ("GET", "DELETE"):
        assert (await plane.client.request(method, path)).status_code == 404
    assert (await plane.speaking(made["key"]).get(path)).status_code == 401
    assert await plane.installation.store.owners() == []
    await until(lambda: plane.installation.serving(made["uuid"]) == {})
    await plane.register("Ada")


async def test_a_module_is_uploaded_listed_and_removed(plane: TenantPlane) -> None:
    made = await plane.register("Ada")
    path = f"/api/tenants/{made['uuid']}/modules"
    answer = await plane.client.put(f"{path}/hello", content=source("hello"), headers=PYTHON)
    assert answer.status_code == 201, answer.text
    assert (answer.json()["name"], answer.json()["source"], answer.json()["problem"]) == ("hello", "upload", None)
    [endpoint] = answer.json()["exposes"]
    assert endpoint["path"] == f"/rest/services/{made['uuid']}/hello/hello/"
    octets = {"Content-Type": "application/octet-stream"}
    again = await plane.client.put(f"{path}/hello", content=source("hello", "more"), headers=octets)
    assert (again.status_code, again.json()["endpoints"]) == (200, 2)
    assert [module["name"] for module in (await plane.client.get(path)).json()["modules"]] == ["hello"]
    assert (await plane.client.get("/api/modules")).json()["modules"] == []
    assert (await plane.client.delete(f"{path}/hello")).status_code == 204
    assert (await plane.client.delete(f"{path}/hello")).status_code == 404
    assert (await plane.client.get(path)).json()["modules"] == []


async def test_what_cannot_serve_is_422_with_its_line(plane: TenantPlane) -> None:
    made = await plane.register("Ada")
    path = f"/api/tenants/{made['uuid']}/modules"
    for text, told in (
        ("x = 1\ny = (\n", "line 2"),
        ("import nobody_has_this\n", "nobody_has_this"),
        ("# coding: utf-7\n", "utf-7"),
        (source("hello", header=f'__ID__ = "{ADMIN}"'), "__ID__"),
        (source("hello", header=f'__ID__ = "{NOBODY}"'), "__ID__"),
    ):
        answer = await plane.client.put(f"{path}/hello", content=text, headers=PYTHON)
        assert (answer.status_code, list(problems(answer.json()))) == (422, ["source"]), answer.text
        assert told in problems(answer.json())["source"]
    for name in ("os", "expose", "a.b", "x" * 300, "class", "Hello"):
        answer = await plane.client.put(f"{path}/{name}", content=source("hello"), headers=PYTHON)
        assert (answer.status_code, list(problems(answer.json()))) == (422, ["name"]), name
    assert (await plane.client.get(path)).json()["modules"] == []


async def test_a_source_has_a_bound_and_a_media_type(plane: TenantPlane) -> None:
    path = f"/api/tenants/{(await plane.register('Ada'))['uuid']}/modules/hello"
    large = b"#" * 99_999 + b"\n"
    assert (await plane.client.put(path, content=large, headers=PYTHON)).status_code == 201

    async def undeclared() -> AsyncIterator[bytes]:
        for _ in range(101):
            yield b"#" * 1000

    for body in (large + b"#", undeclared()):
        answer = await plane.client.put(path, content=body, headers=PYTHON)
        assert (answer.status_code, list(problems(answer.json()))) == (413, ["body"])
    for media_type in ("application/json", "text/plain", "text/x-python; charset=utf-7", "text/x-python;;", ""):
        answer = await plane.client.put(path, content=b"", headers={"Content-Type": media_type})
        assert (answer.status_code, list(problems(answer.json()))) == (415, ["Content-Type"]), media_type
    assert (await plane.client.put(path, content=b"")).status_code == 415


async def test_a_bundle_comes_as_a_zip_archive(plane: TenantPlane) -> None:
    path = f"/api/tenants/{(await plane.register('Ada'))['uuid']}/modules/hello"
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as writing:
        writing.writestr("__init__.py", source("hello"))
        writing.writestr("data.txt", "x" * 200_000)
    for media_type, status in (("application/zip", 201), ("application/octet-stream", 200)):
        answer = await plane.client.put(path, content=made.getvalue(), headers={"Content-Type": media_type})
        assert (answer.status_code, answer.json()["exposes"][0]["api"]) == (status, "hello"), answer.text
    zipped = {"Content-Type": "application/zip"}
    for body in (b"", b"print()", b"PK\3\4", made.getvalue() + b"x"):
        answer = await plane.client.put(path, content=body, headers=zipped)
        assert (answer.status_code, list(problems(answer.json()))) == (422, ["bundle"]), answer.text
    large = b"PK" * (8 * 1024 * 1024)
    assert (await plane.client.put(path, content=large, headers=zipped)).status_code == 413
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as writing:
        writing.writestr("__init__.py", "#" * 100_000)
        writing.writestr("data.txt", "x" * 11 * 1024 * 1024)
    answer = await plane.client.put(path, content=made.getvalue(), headers=zipped)
    assert (answer.status_code, list(problems(answer.json()))) == (413, ["bundle"])


async def test_a_tenant_sees_what_is_its_own(plane: TenantPlane) -> None:
    ada, bob = await plane.register("Ada"), await plane.register("Bob")
    plane.installation.save("admins.py", source("admins"))
    plane.installation.save("filed.py", source("filed", header=f'__ID__ = "{ada["uuid"]}"'))
    await until(lambda: plane.installation.serving(ada["uuid"]) and plane.installation.serving())
    for owner, api in ((ada["uuid"], "of-ada"), (bob["uuid"], "of-bob"), (ADMIN, "admins")):
        plane.services.logs.add(
            time=1.0, call="a" * 32, owner=owner, module="m", api=api, outcome="VALUE", status=200,
            output=api.encode(), truncated=False, run_ms=1.0,
        )  # fmt: skip
    hers, his = plane.speaking(ada["key"]), plane.speaking(bob["key"])
    own = f"/api/tenants/{ada['uuid']}"
    assert (await hers.get(own)).json()["name"] == "Ada"
    answer = await hers.put(f"{own}/modules/mine", content=source("mine"), headers=PYTHON)
    assert answer.status_code == 201, answer.text
    for path in ("/api/modules", f"{own}/modules"):
        assert [one["name"] for one in (await hers.get(path)).json()["modules"]] == ["filed", "mine"]
    endpoints = (await hers.get("/api/endpoints")).json()["endpoints"]
    assert [one["path"] for one in endpoints] == [
        f"/rest/services/{ada['uuid']}/{name}/{name}/" for name in ("filed", "mine")
    ]
    assert [one["text"] for one in (await hers.get("/api/logs")).json()["records"]] == ["of-ada"]
    assert [one["text"] for one in (await his.get("/api/logs")).json()["records"]] == ["of-bob"]
    assert (await hers.get("/api/modules/admins")).status_code == 404
    assert (await his.get("/api/modules")).json()["modules"] == []
    assert [one["name"] for one in (await plane.client.get("/api/modules")).json()["modules"]] == ["admins"]
    assert (await hers.delete(f"{own}/modules/mine")).status_code == 204
    async with hers.stream("GET", "/api/logs?follow=true&limit=5") as following:
        plane.services.logs.end()
        assert [one["text"] for one in lines(await following.aread())] == ["of-ada"]


async def test_everything_else_is_403_for_a_tenant(plane: TenantPlane) -> None:
    ada, bob = await plane.register("Ada"), await plane.register("Bob")
    own, other = f"/api/tenants/{ada['uuid']}", f"/api/tenants/{bob['uuid']}"
    hers = plane.speaking(ada["key"])
    for method, path in (
        ("GET", "/api/tenants"), ("POST", "/api/tenants"), ("PATCH", own), ("DELETE", own), ("POST", f"{own}/key"),
        ("GET", other), ("GET", f"{other}/modules"), ("PUT", f"{other}/modules/m"), ("DELETE", f"{other}/modules/m"),
        ("GET", own.upper()), ("GET", f"{own}/modules/m"), ("GET", f"{own}x"), ("GET", f"/{own}"),
        ("GET", f"/api/tenants/{ada['uuid'].upper()}"), ("GET", f"{own}/../{bob['uuid']}"),
        ("GET", "/api/pools"), ("PUT", "/api/pools/admin"), ("GET", "/api/settings"), ("PATCH", "/api/settings"),
        ("GET", "/api"), ("GET", "/api/nothing"), ("POST", "/api/modules"), ("OPTIONS", own), ("GET", "/%61pi/pools"),
    ):  # fmt: skip
        answer = await hers.request(method, path, extensions={"target": path.encode()})
        assert (answer.status_code, list(problems(answer.json()))) == (403, ["Authorization"]), (method, path)
    assert len((await plane.client.get("/api/tenants")).json()["tenants"]) == 2


@pytest.mark.parametrize(
    "spoil",
    [
        lambda key: key[:-1],
        lambda key: key + "x",
        lambda key: key.upper(),
        lambda key: key[:-1] + ("a" if key[-1] != "a" else "b"),
        lambda key: key.replace(key[4:36], "2" * 32),
        lambda key: key[37:],
        lambda key: f"{key} ",
        lambda key: f"{key}\0",
    ],
)
async def test_a_key_that_is_not_whole_is_none(plane: TenantPlane, spoil: Any) -> None:
    made = await plane.register("Ada")
    line = f"GET /api/tenants/{made['uuid']} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
    for key, expected in ((made["key"], {b"200"}), (spoil(made["key"]), {b"401", b"400"})):
        reader, writer = await asyncio.open_connection("127.0.0.1", plane.port)
        writer.write(f"{line}Authorization: Bearer {key}\r\n\r\n".encode("latin-1"))
        answer = await reader.read()
        writer.close()
        assert answer.split(b" ", 2)[1] in expected
        assert key.encode() not in answer


async def test_a_tenant_without_a_key_has_none(plane: TenantPlane) -> None:
    await plane.installation.store.add_tenant(Tenant(uuid=NOBODY))
    for secret in ("0" * 43, "A" * 43):
        key = f"pbt_{NOBODY.replace('-', '')}_{secret}"
        assert (await plane.speaking(key).get(f"/api/tenants/{NOBODY}")).status_code == 401


async def test_a_disabled_tenant_may_nothing(plane: TenantPlane) -> None:
    made = await plane.register("Ada")
    path = f"/api/tenants/{made['uuid']}"
    await plane.client.patch(path, json={"status": "disabled"})
    hers = plane.speaking(made["key"])
    for answer in (
        await hers.get(path),
        await hers.get("/api/logs"),
        await hers.put(f"{path}/modules/m", content=source("m"), headers=PYTHON),
    ):
        assert (answer.status_code, "disabled" in answer.json()["status"]) == (403, True)
    answer = await plane.client.put(f"{path}/modules/m", content=source("m"), headers=PYTHON)
    assert (answer.status_code, "disabled" in answer.json()["status"]) == (409, True)
    await plane.installation.store.change_tenant(made["uuid"], TenantChange(status=Status.ENABLED))
    assert (await hers.get(path)).status_code == 200


async def test_every_change_is_told_to_the_log_without_secrets(
    plane: TenantPlane, caplog: pytest.LogCaptureFixture
) -> None:
    made = await plane.register("Ada")
    path, key = f"/api/tenants/{made['uuid']}", made["key"]
    hers = plane.speaking(key)
    await plane.client.patch(path, json={"plan": "standard"})
    await hers.put(f"{path}/modules/m", content=source("m"), headers=PYTHON)
    await hers.put(f"{path}/modules/os", content=source("m"), headers=PYTHON)
    await hers.delete(f"{path}/modules/m")
    again = (await plane.client.post(f"{path}/key")).json()["key"]
    await plane.client.delete(path)
    told = [record.__dict__["audit"] for record in caplog.records if record.name == "plugbay.audit"]
    assert {one["from"] for one in told} == {"127.0.0.1"}
    assert [(one["who"], one["what"]) for one in told] == [
        ("admin", "tenant registered"),
        ("admin", "tenant changed"),
        (made["uuid"], "module uploaded"),
        (made["uuid"], "refused"),
        (made["uuid"], "module removed"),
        ("admin", "tenant key replaced"),
        ("admin", "tenant removed"),
    ]
    assert all(one["tenant"] == made["uuid"] for one in told if one["what"] != "refused")
    for secret in (key, again, KEY):
        assert secret not in caplog.text
    assert logging.getLogger("plugbay.audit").isEnabledFor(logging.INFO)


async def test_while_the_store_is_away_nothing_changes_and_who_is_known_is_known(plane: TenantPlane) -> None:
    made = await plane.register("Ada")
    path = f"/api/tenants/{made['uuid']}"
    hers = plane.speaking(made["key"])
    assert (await hers.get(path)).status_code == 200
    (plane.installation.data / "plugbay.sqlite").rename(plane.installation.data / "elsewhere")
    for method, where, body in (("POST", "/api/tenants", {"name": "Bob"}), ("PATCH", path, {"name": "Bob"})):
        answer = await plane.client.request(method, where, json=body)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    answer = await hers.put(f"{path}/modules/m", content=source("m"), headers=PYTHON)
    assert answer.status_code == 503
    assert (await hers.get(path)).status_code == 200
