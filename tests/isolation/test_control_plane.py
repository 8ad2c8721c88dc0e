"""The control plane: with one tenant's key nothing of another is to be seen, changed, or known to be there.

Every route of the published description is tried. Who has no key, or one that is not whole, is refused in
tests/gateway/test_control_access.py and test_control_tenants.py; what fields are taken is in tests/attacks/test_control.py.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.embedded.server import ROOT
from tests.isolation.conftest import PYTHON, Tenant

pytestmark = pytest.mark.needs("bubblewrap")

NOBODY = "2b0c5d1e-5f0a-4d0e-9a55-7f2d0c3b9e11"
OWN = {
    ("GET", f"/api/{path}") for path in ("modules", "modules/{name}", "endpoints", "logs", "audit", "installation-key")
}
"""What a tenant may ask for without naming a tenant: it is told of its own, and what to seal uploads to."""
ROUTES = [
    (method.upper(), path)
    for path, methods in json.loads((ROOT / "docs/openapi.json").read_text("utf-8"))["paths"].items()
    if path.startswith("/api/")
    for method in methods
]
OF_TENANTS = [(method, path) for method, path in ROUTES if "{uuid}" in path]
OF_THE_ADMIN = [(method, path) for method, path in ROUTES if "{uuid}" not in path and (method, path) not in OWN]
BODIES: list[dict[str, Any]] = [
    {},
    {"json": {}},
    {"json": {"name": "Ada", "plan": "standard", "status": "enabled", "value": "x", "version": 1, "size": 1}},
    {"content": "x = 1\n", "headers": PYTHON},
]


def filled(path: str, uuid: str, name: str) -> str:
    """The path without its beginning, and with these in it."""
    return path.removeprefix("/api").format(uuid=uuid, name=name, number=1, id="0123456789abcdef")


@pytest.fixture(scope="module", autouse=True)
def unchanged(bob: Tenant) -> Iterator[None]:
    """Whatever is tried here, he has what he had, and his key is good."""
    before = bob.text()
    assert "OWNER" in before
    yield
    assert bob.text() == before
    assert bob.call().json()["response"] == {"who": ["of Bob", ""]}


@pytest.mark.parametrize(("method", "path"), OF_TENANTS)
def test_another_tenant_is_as_one_that_is_not_there(ada: Tenant, bob: Tenant, method: str, path: str) -> None:
    seen = set()
    for uuid in (bob.uuid, NOBODY):
        for name in ("secluded", "box", "OWNER", "unheard"):
            for body in BODIES:
                answer = ada.api(method, filled(path, uuid, name), **body)
                seen.add((answer.status_code, answer.text.replace(uuid, "").replace(name, "")))
    [(status, text)] = seen
    assert status == 403, text


@pytest.mark.parametrize(("method", "path"), OF_THE_ADMIN)
def test_what_is_the_admins_takes_the_admins_key(ada: Tenant, method: str, path: str) -> None:
    for name in ("admin", "prewarmed", "secluded"):
        for body in BODIES:
            assert ada.api(method, filled(path, ada.uuid, name), **body).status_code == 403


def test_the_description_has_routes_of_all_kinds() -> None:
    assert len(OF_TENANTS) > 15
    assert len(OF_THE_ADMIN) > 8
    assert set(ROUTES) >= OWN


@pytest.mark.parametrize(
    "path",
    [
        "/tenants/{ada}/../{bob}",
        "/tenants/{ada}/..%2f{bob}",
        "/tenants/{ada}%2f..%2f{bob}/modules",
        "/tenants/{ada}/%2e%2e/{bob}/modules",
        "/tenants/{ada};{bob}/modules",
        "/tenants/{ada}/modules/../../{bob}/modules",
        "/tenants/{ada}/modules/..%2f..%2f{bob}%2fmodules%2fbox/versions",
        "/tenants//{bob}/modules",
        "/tenants/{BOB}/modules",
    ],
)
def test_no_spelling_of_a_path_leads_to_another(ada: Tenant, bob: Tenant, path: str) -> None:
    target = "/api" + path.format(ada=ada.uuid, bob=bob.uuid, BOB=bob.uuid.upper())
    answer = ada.api("GET", "/modules", extensions={"target": target.encode()})
    assert answer.status_code in (400, 403, 404), answer.text
    assert "secluded" not in answer.text


@pytest.mark.parametrize("field", ["owner", "uuid", "tenant", "__ID__"])
def test_nobody_says_whose_it_is_to_see(ada: Tenant, bob: Tenant, field: str) -> None:
    for path in (
        "/modules",
        "/endpoints",
        "/logs",
        "/audit",
        f"/tenants/{ada.uuid}/modules",
        f"/tenants/{ada.uuid}/environ",
    ):
        answer = ada.api("GET", path, params={field: bob.uuid}, headers={f"X-{field}": bob.uuid, "X-Tenant": bob.uuid})
        assert answer.status_code in (200, 403, 422), answer.text
        assert "secluded" not in answer.text
    assert ada.api("GET", "/modules/secluded").status_code == 404
    assert ada.api("GET", "/endpoints", params={"module": "secluded"}).status_code == 404


def test_the_audit_trail_of_one_tells_nothing_of_another(ada: Tenant, bob: Tenant) -> None:
    for one, other in ((ada, bob), (bob, ada)):
        trail = one.api("GET", "/audit", params={"limit": 500})
        assert trail.status_code == 200, trail.text
        assert one.uuid in trail.text
        assert other.uuid not in trail.text


def test_another_method_in_a_header_is_no_other_method(ada: Tenant, bob: Tenant) -> None:
    for name in ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"):
        for method in ("DELETE", "PATCH"):
            answer = ada.api("GET", f"/tenants/{ada.uuid}", headers={name: method})
            assert (answer.status_code, answer.json()["name"]) == (200, "Ada")


def test_a_key_is_whole_or_none(ada: Tenant, bob: Tenant) -> None:
    """Neither half of one goes with half of another, and two are none."""
    mixed = [f"pbt_{uuid.replace('-', '')}_{key[37:]}" for uuid, key in ((ada.uuid, bob.key), (bob.uuid, ada.key))]
    for key in mixed:
        assert ada.api("GET", "/modules", headers={"Authorization": f"Bearer {key}"}).status_code == 401
    lines = [("Authorization", f"Bearer {one.key}") for one in (ada, bob)]
    assert ada.client.get("/api/modules", headers=lines).status_code == 401


def test_e12_names_that_mean_something_elsewhere_are_none(ada: Tenant, bob: Tenant) -> None:
    for name in (f"{bob.uuid}:box", "box:*", "*", "?", f"../{bob.uuid}/box", "--bind", "$(id)", "a;b", "$set"):
        refused = ada.upload(name.replace("/", "%2f").replace("?", "%3f"), "x = 1\n")
        assert refused.status_code in (400, 403, 404, 422), (name, refused.text)
