"""A further admin on the stack: served in containers of its own, with the network and packages that admins have."""

from __future__ import annotations

import httpx
import pytest

from tests.stack.stack import Stack
from tests.stack.test_tenants_stack import PYTHON, SOURCE, admin, containers, runners, speaking
from tests.waiting import eventually

__all__ = ["admin"]

pytestmark = pytest.mark.needs("docker")


def test_a_further_admin_from_registration_to_removal(stack: Stack, admin: httpx.Client) -> None:
    made = admin.post("/api/tenants", json={"name": "Bea", "role": "admin"}).json()
    uuid, own = made["uuid"], f"/api/tenants/{made['uuid']}"
    path = f"{stack.url}/rest/services/{uuid}/who/whoami/"
    with speaking(stack, made["key"]) as bea:
        uploaded = bea.put(f"{own}/modules/who", content=SOURCE, headers=PYTHON)
        assert uploaded.status_code == 201, uploaded.text
        said = httpx.get(path, timeout=60).json()["response"]["whoami"]
        assert not {"ADMIN_KEY", "MONGO_URI", "REDIS_URL"} & {*said["environ"]}
        carl = bea.post("/api/tenants", json={"name": "Carl"}).json()
        its = f"/api/tenants/{carl['uuid']}"
        assert bea.put(f"{its}/modules/who", content=SOURCE, headers=PYTHON).status_code == 201
        assert [one["uuid"] for one in bea.get("/api/tenants?role=tenant").json()["tenants"]] == [carl["uuid"]]
        assert bea.get("/api/pools").status_code == 403

    eventually(lambda: runners(admin, uuid) and runners(admin, carl["uuid"]))
    networks = {}
    for owner in (uuid, carl["uuid"]):
        [container] = containers(stack, runners(admin, owner)[0])
        networks[owner] = list(container["NetworkSettings"]["Networks"])
    assert networks[carl["uuid"]] == ["none"]
    [shared] = networks[uuid]
    [first] = [one for one in admin.get("/api/pools").json()["pools"] if one["name"] == "admin"]
    [container] = containers(stack, first["runners"][0]["id"])
    assert list(container["NetworkSettings"]["Networks"]) == [shared] != ["none"]
    assert first["runners"][0]["id"] not in runners(admin, uuid)

    [runner] = runners(admin, uuid)
    assert admin.patch(own, json={"status": "disabled"}).status_code == 200
    assert httpx.get(path, timeout=60).json() == {"status": f"admin {uuid} is disabled"}
    eventually(lambda: not containers(stack, runner))
    assert httpx.get(path.replace(uuid, carl["uuid"]), timeout=60).status_code == 200
    assert admin.delete(own).status_code == 409
    assert admin.delete(its).status_code == admin.delete(own).status_code == 204
    assert httpx.get(path, timeout=60).status_code == 404
    eventually(lambda: not runners(admin, uuid))
