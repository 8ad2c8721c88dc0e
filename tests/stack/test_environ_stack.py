"""Variables and usage of a tenant on the stack: from the control plane through MongoDB and the host into its containers."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest

from tests.stack.stack import SERVICES, Stack
from tests.stack.test_tenants_stack import PYTHON, speaking, until

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
        until(lambda value=value: found() == value)  # type: ignore[misc]
    for service in SERVICES:
        for container in stack.containers(service):
            shown = json.dumps(stack.engine.inspect_container(container))
            told = stack.engine.logs(container, stdout=True, stderr=True).decode("utf-8", "replace")
            assert CANARY not in shown + told, service
    for container in stack.engine.containers(filters={"label": "plugbay.runner"}):
        assert CANARY not in json.dumps(stack.engine.inspect_container(container["Id"]))
    status, _ = stack.inside("mongo", "sh", "-c", f"grep -rlaF {CANARY} /data/db")
    assert status == 1
    [day] = admin.get(f"{own}/usage").json()["days"][-1:]
    assert day["calls"] >= 3
    assert admin.delete(f"{own}/environ/KEY").status_code == 204
    until(lambda: found() is None)
    assert admin.delete(own).status_code == 204
