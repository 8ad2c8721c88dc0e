"""TENANT_RUNTIME=runsc through the whole stack: a tenant's function runs under gVisor, the admin's does not."""

from __future__ import annotations

import time

import pytest

from tests.stack.checkout import Checkout

pytestmark = pytest.mark.needs("docker", "gvisor")

PATIENCE_SECS = 15
MODULE = b"""
from pathlib import Path

import expose

@expose.endpoint()
def kernel() -> str:
    return Path("/proc/version").read_text()
"""


def test_a_tenants_function_runs_under_gvisor(checkout: Checkout) -> None:
    with checkout.client(admin=True) as client:
        registered = client.post("/api/tenants", json={"name": "of gVisor"})
        assert registered.status_code == 201, registered.text
        tenant = registered.json()["uuid"]
        uploaded = client.put(
            f"/api/tenants/{tenant}/modules/shows", content=MODULE, headers={"Content-Type": "text/x-python"}
        )
        assert uploaded.status_code in (200, 201), uploaded.text
        try:
            until = time.monotonic() + PATIENCE_SECS
            # Another gateway than the one that took the module may be asked, before it has heard of it.
            while (answer := client.get(f"/rest/services/{tenant}/shows/kernel/")).status_code == 404:
                assert time.monotonic() < until, answer.text
            assert answer.status_code == 200, answer.text
            runtimes = {runner["trust"]: runner["runtime"] for runner in runners(checkout)}
        finally:
            assert client.delete(f"/api/tenants/{tenant}").status_code == 204
    # gVisor's kernel is its own, whatever the machine's is.
    assert answer.json()["response"]["kernel"].startswith("Linux version 4.4.0 ")
    assert runtimes == {"tenant": "runsc", "admin": "runc"}


def runners(checkout: Checkout) -> list[dict[str, str]]:
    found = checkout.engine.containers(filters={"label": [f"plugbay.installation={checkout.project}"]})
    return [
        {
            "trust": runner["Labels"]["plugbay.trust"],
            "runtime": checkout.engine.inspect_container(runner["Id"])["HostConfig"]["Runtime"],
        }
        for runner in found
    ]
