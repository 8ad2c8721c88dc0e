"""Variables, usage and a sealed upload of a tenant on the stack: from the control plane through MongoDB and the host
into its containers, and back."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator

import httpx
import pytest

from catalogue.sealed import MEDIA_TYPE, seal
from tests.stack.stack import SERVICES, Stack
from tests.stack.test_tenants_stack import PYTHON, speaking
from tests.waiting import eventually

pytestmark = pytest.mark.needs("docker")

CANARY = "canary-90ab11"
SOURCE = """\
import os
import expose

@expose.endpoint(method="GET")
def found():
    return os.environ.get("KEY")
"""


@pytest.fixture
def admin(stack: Stack) -> Iterator[httpx.Client]:
    with speaking(stack, stack.admin_key) as client:
        yield client


def test_e17_g17_variables_reach_running_workers_and_are_nowhere_else(stack: Stack, admin: httpx.Client) -> None:
    made = admin.post("/api/tenants", json={"name": "With variables"}).json()
    own, path = f"/api/tenants/{made['uuid']}", f"/rest/services/{made['uuid']}/env/found/"
    assert admin.put(f"{own}/modules/env", content=SOURCE, headers=PYTHON).status_code == 201

    def found() -> str | None:
        answer = admin.get(path)
        assert answer.status_code == 200, answer.text
        value: str | None = answer.json()["response"]["found"]
        return value

    assert found() is None
    for value in (CANARY, f"{CANARY}-2"):
        assert admin.put(f"{own}/environ/KEY", json={"value": value}).is_success
        eventually(lambda value=value: found() == value)  # type: ignore[misc]
    for service in SERVICES:
        for container in stack.containers(service):
            shown = json.dumps(stack.engine.inspect_container(container))
            told = stack.engine.logs(container, stdout=True, stderr=True).decode("utf-8", "replace")
            assert CANARY not in shown + told, service
    for container in stack.engine.containers(
        filters={"label": ["plugbay.runner", f"plugbay.installation={stack.project}"]}
    ):
        assert CANARY not in json.dumps(stack.engine.inspect_container(container["Id"]))
    status, _ = stack.inside("mongo", "sh", "-c", f"grep -rlaF {CANARY} /data/db")
    assert status == 1
    [day] = admin.get(f"{own}/usage").json()["days"][-1:]
    assert day["calls"] >= 3
    assert admin.delete(f"{own}/environ/KEY").status_code == 204
    eventually(lambda: found() is None)
    eventually(lambda: admin.get(f"{own}/usage").json()["days"][-1]["cpu_seconds"] > 0)  # the host tells it by itself
    assert admin.delete(own).status_code == 204


def test_a_sealed_upload_is_opened(stack: Stack, admin: httpx.Client) -> None:
    made = admin.post("/api/tenants", json={"name": "Sealed"}).json()
    own = f"/api/tenants/{made['uuid']}"
    public = base64.b64decode(admin.get("/api/installation-key").json()["public_key"])
    sealed = seal(public, made["uuid"], "env", SOURCE.encode())
    answer = admin.put(f"{own}/modules/env", content=sealed, headers={"Content-Type": MEDIA_TYPE})
    assert answer.status_code == 201, answer.text
    assert stack.environ["INSTALLATION_KEY"] not in json.dumps(
        [stack.engine.inspect_container(one) for one in stack.containers("host")]
    )
    assert admin.delete(own).status_code == 204
