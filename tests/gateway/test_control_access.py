"""Given the control plane, when somebody comes near it, then only the admin's key opens it, in every spelling."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio

from tests.gateway.control_server import ADMIN, KEY, TENANT, Plane, problems, serving

KEYED = f"Authorization: Bearer {KEY}".encode()
ROUTES = [
    ("GET", "/api/modules"),
    ("GET", "/api/modules/hello"),
    ("GET", "/api/endpoints"),
    ("GET", "/api/pools"),
    ("PUT", "/api/pools/admin"),
    ("POST", "/api/pools/admin/drain"),
    ("POST", "/api/runners/r/drain"),
    ("POST", "/api/hosts/h/drain"),
    ("DELETE", "/api/hosts/h/drain"),
    ("GET", "/api/settings"),
    ("PATCH", "/api/settings"),
    ("GET", "/api/logs"),
    ("GET", "/api/audit"),
    ("GET", "/api/installation-key"),
]
PUBLIC = ["/", "/docs", "/openapi.json", "/healthz", "/readyz", "/metrics", "/assets/page.css"]


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Plane]:
    async with serving(tmp_path_factory.mktemp("store")) as plane:
        yield plane


@pytest_asyncio.fixture(loop_scope="module")
async def plane(running: Plane) -> Plane:
    await running.reset()
    return running


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [b"Authorization:"],
        [b"Authorization: Bearer"],
        [b"Authorization: Bearer "],
        [b"Authorization: " + KEY.encode()],
        [b"Authorization: Basic " + KEY.encode()],
        [b"Authorization: Bearer  " + KEY.encode()],
        [KEYED + b"x"],
        [KEYED[:-1]],
        [KEYED.replace(b"-", b"+")],
        [b"Authorization: Bearer " + TENANT.encode()],
        [b"Authorization: Bearer " + b"x" * 60_000],
        [b"Authorization: Bearer \xc3\xa4\xff\xfe"],
        [KEYED, KEYED],
        [KEYED, b"Authorization: Bearer x"],
        [b"X-Authorization: Bearer " + KEY.encode()],
    ],
)
async def test_without_the_key_401(plane: Plane, headers: list[bytes]) -> None:
    for method, path in ROUTES:
        status, answered, body = await plane.raw(f"{method} {path} HTTP/1.1".encode(), *headers)
        assert (status, answered["www-authenticate"]) == (401, "Bearer")
        assert list(problems(json.loads(body))) == ["Authorization"]
        assert KEY.encode() not in body


async def test_nothing_was_changed_by_strangers(plane: Plane) -> None:
    async with httpx.AsyncClient(base_url=plane.client.base_url, trust_env=False) as stranger:
        await stranger.put("/api/pools/admin", json={"size": 2})
        await stranger.patch("/api/settings", json={"NUM_URL_PARMS": 1})
    assert plane.pools.all["admin"].size == 1
    assert len(plane.services.runtime.url_parameters) == 3


async def test_the_scheme_has_no_case(plane: Plane) -> None:
    assert (await plane.client.get("/api/pools", headers={"Authorization": f"bEARER {KEY}"})).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "//api/pools",
        "/API/pools",
        "/api/../api/pools",
        "/x/../api/pools",
        "/%61pi/pools",
        "/api%2fpools",
        "/./api/pools",
        "/api//pools",
        "/api/nothing",
        "/api",
    ],
)
async def test_no_spelling_leads_past_the_key(plane: Plane, path: str) -> None:
    assert (await plane.raw(f"GET {path} HTTP/1.1".encode()))[0] == 401
    status, _, body = await plane.raw(f"GET {path} HTTP/1.1".encode(), KEYED)
    assert status == 404
    assert b"runners" not in body


async def test_the_plain_form_in_other_clothes(plane: Plane) -> None:
    plain = await plane.client.get("/api/pools")
    slash = await plane.client.get("/api/pools/")
    overridden = await plane.client.get("/api/pools", headers={"X-HTTP-Method-Override": "PUT"})
    assert plain.content == slash.content == overridden.content
    assert plain.status_code == slash.status_code == overridden.status_code == 200
    head = await plane.client.head("/api/pools")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == plain.headers["content-length"]


@pytest.mark.parametrize("path", PUBLIC)
async def test_what_everybody_may_see(plane: Plane, path: str) -> None:
    async with httpx.AsyncClient(base_url=plane.client.base_url, trust_env=False) as stranger:
        response = await stranger.get(path)
    assert response.status_code == 200
    for secret in (KEY, TENANT, ADMIN):
        assert secret not in response.text
    policy = response.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert response.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("POST", "/api/modules", "GET, HEAD"),
        ("DELETE", "/api/pools/admin", "PUT"),
        ("PUT", "/api/settings", "GET, HEAD, PATCH"),
        ("OPTIONS", "/api/settings", "GET, HEAD, PATCH"),
        ("POST", "/", "GET, HEAD"),
        ("DELETE", "/healthz", "GET, HEAD"),
        ("POST", "/docs", "GET, HEAD"),
    ],
)
async def test_405_names_the_methods_there_are(plane: Plane, method: str, path: str, allow: str) -> None:
    response = await plane.client.request(method, path)
    assert (response.status_code, response.headers["allow"]) == (405, allow)
    assert list(problems(response.json())) == ["method"]


async def test_unknown_paths(plane: Plane) -> None:
    for path in ("/api/nothing", "/nothing", "/rest", "/favicon.ico", "/assets/page.html", "/logs"):
        assert list(problems(await plane.json("GET", path, 404))) == ["path"]


@pytest.mark.parametrize(
    "target",
    [
        "/logs?file=..%2f..%2fetc/passwd",
        "/assets/..%2f..%2fsettings.py",
        "/assets/%2e%2e/settings.py",
        "/assets/../settings.py",
        "/api/modules/..%2f..%2fetc",
        "/api/logs/..%2f..%2fetc/passwd",
        "/readme/../../etc/passwd",
    ],
)
async def test_no_file_by_its_path(plane: Plane, target: str) -> None:
    status, _, body = await plane.raw(f"GET {target} HTTP/1.1".encode(), KEYED)
    assert status == 404
    assert b"root:" not in body
    assert b"import" not in body


@pytest.mark.parametrize("origin", ["null", "https://evil.example"])
async def test_no_other_site_may_read(plane: Plane, origin: str) -> None:
    asked = {"Origin": origin, "Access-Control-Request-Method": "PUT", "Cookie": "a=b"}
    for method in ("OPTIONS", "GET"):
        response = await plane.client.request(method, "/api/pools", headers=asked)
        assert not [name for name in response.headers if name.startswith("access-control-")]


async def test_large_bodies_are_refused(plane: Plane) -> None:
    async def undeclared() -> AsyncIterator[bytes]:
        for _ in range(70):
            yield b" " * 1000

    for body in (lambda: b" " * 70_000, undeclared):
        for method, path in (("PUT", "/api/pools/admin"), ("PATCH", "/api/settings")):
            headers = {"Content-Type": "application/json"}
            answer = await plane.json(method, path, 413, content=body(), headers=headers)
            assert list(problems(answer)) == ["body"]


async def test_a_defect_says_nothing_of_its_inside(plane: Plane) -> None:
    def broken(owner: str) -> None:
        raise RuntimeError(f"at {KEY} in /secret/path")

    plane.catalogue.view = broken  # type: ignore[assignment,method-assign]
    async with httpx.AsyncClient(
        base_url=plane.client.base_url, headers=plane.client.headers, trust_env=False
    ) as other:
        response = await other.get("/api/modules")
    assert response.status_code == 500
    assert list(problems(response.json())) == ["request"]
    assert "secret" not in response.text
