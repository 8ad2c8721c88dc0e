"""Two further admins, each with a tenant: over the control plane neither reaches anything of the other's, nor its tenant."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import httpx
import pytest

from tests.embedded.server import ADMIN_UUID, Embedded
from tests.isolation.conftest import SOURCE, Tenant
from tests.isolation.test_control_plane import BODIES, NOBODY, OF_TENANTS, filled

pytestmark = pytest.mark.needs("bubblewrap")

NAMES = ("box", "OWNER", "unheard")


class Side(NamedTuple):
    """An admin and its tenant."""

    admin: Tenant
    tenant: Tenant


@contextmanager
def registered(platform: Embedded, by: httpx.Client, name: str, role: str) -> Iterator[Tenant]:
    made = by.post("/api/tenants", json={"name": name, "role": role}).json()
    with httpx.Client(base_url=platform.url, timeout=60) as client:
        one = Tenant(platform, name, made["uuid"], made["key"], client)
        answer = one.api("PUT", f"/tenants/{one.uuid}/environ/OWNER", json={"value": f"of {name}", "secret": True})
        assert answer.is_success, answer.text
        assert one.upload("box", SOURCE).status_code == 201
        yield one


@pytest.fixture(scope="module")
def sides(platform: Embedded, admin: Tenant) -> Iterator[list[Side]]:
    """Both, each with everything under the names that the other's has."""
    with ExitStack() as stack:
        made = []
        for name in ("Isa", "Jon"):
            first = httpx.Client(base_url=platform.url, headers={"Authorization": f"Bearer {admin.key}"}, timeout=60)
            one = stack.enter_context(registered(platform, stack.enter_context(first), name, "admin"))
            its = httpx.Client(base_url=platform.url, headers={"Authorization": f"Bearer {one.key}"}, timeout=60)
            tenant = stack.enter_context(registered(platform, stack.enter_context(its), "Kim", "tenant"))
            made.append(Side(one, tenant))
        yield made


def shown(one: Tenant) -> str:
    """All that it is shown of what it can ask for."""
    lists = ("/tenants", "/audit?limit=500", "/logs?limit=500", "/modules", "/endpoints")
    return "".join(one.api("GET", path).text for path in lists)


def test_what_is_others_is_as_what_is_not_there(sides: list[Side]) -> None:
    theirs, others = sides
    before = [one.text() for one in others]
    for one, (method, path) in itertools.product(theirs, OF_TENANTS):
        seen = set()
        for uuid in (others.admin.uuid, others.tenant.uuid, ADMIN_UUID, NOBODY):
            for name, body in itertools.product(NAMES, BODIES):
                answer = one.api(method, filled(path, uuid, name), **body)
                seen.add((answer.status_code, answer.text.replace(uuid, "").replace(name, "")))
        [(status, text)] = seen
        assert status == 403, (one.name, method, path, text)
    assert [one.text() for one in others] == before


def test_a_tenant_reaches_its_admin_no_more_than_others(sides: list[Side]) -> None:
    for admin, tenant in sides:
        for method, path in OF_TENANTS:
            assert tenant.api(method, filled(path, admin.uuid, "box")).status_code == 403, (method, path)


def test_nothing_that_one_is_shown_names_another(sides: list[Side]) -> None:
    for (admin, tenant), other in zip(sides, reversed(sides), strict=True):
        for one in (admin, tenant):
            text = shown(one)
            assert one.uuid in text
            assert not [hidden.uuid for hidden in other if hidden.uuid in text]
        assert tenant.uuid in shown(admin)


def test_what_runs_sees_what_is_its_owners(sides: list[Side]) -> None:
    for one in itertools.chain(*sides):
        assert one.call().json()["response"] == {"who": [f"of {one.name}", ""]}


@pytest.mark.parametrize("params", [{"admin": "{}"}, {"search": "{}"}, {"cursor": "{}"}, {"role": "admin"}])
def test_no_query_widens_the_list(sides: list[Side], params: dict[str, Any]) -> None:
    [(admin, tenant), (other, _)] = sides
    answer = admin.api("GET", "/tenants", params={name: value.format(other.uuid) for name, value in params.items()})
    if answer.status_code == 200:
        assert {one["uuid"] for one in answer.json()["tenants"]} <= {admin.uuid, tenant.uuid}
    else:
        assert (answer.status_code, other.uuid in answer.text) == (403, False)


def test_no_field_gives_a_tenant_away(sides: list[Side]) -> None:
    [(admin, tenant), (other, _)] = sides
    for field in ("admin", "role", "uuid", "key"):
        for method, path in (("PATCH", f"/tenants/{tenant.uuid}"), ("POST", "/tenants")):
            body = {"name": "Lee", field: "admin" if field == "role" else other.uuid}
            answer = admin.api(method, path, json=body)
            assert answer.status_code in (403, 422), (field, method, answer.text)
    assert admin.api("GET", f"/tenants/{tenant.uuid}").json()["admin"] == admin.uuid
