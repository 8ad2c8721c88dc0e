"""Row A27 of the security requirements: where a control cannot be applied, tenants' code does not run, and all else does.

Which controls are missed, one by one, is in tests/runner/docker/test_proof.py.
"""

from __future__ import annotations

import httpx
import pytest

from tests.attacks.sandboxes import processes
from tests.attacks.sandboxes.tenancy import ATTACKER
from tests.store.mongo_server import NotInstalled, interpreter

pytestmark = pytest.mark.needs("docker", "redis")


def test_a27_without_its_runtime_no_tenant_is_served() -> None:
    try:
        interpreter()
    except NotInstalled as error:
        pytest.skip(str(error))
    with processes.running("none-such", 0, 0) as stack:
        for _ in range(2):
            answer = httpx.get(f"{stack.url}/rest/services/{ATTACKER}/ping/", timeout=30)
            assert answer.status_code == 503
            assert "TENANT_RUNTIME" in answer.text  # the control
            assert "daemon.json" in answer.text  # and the fix
            assert "retry-after" in answer.headers
        assert httpx.get(f"{stack.url}/rest/services/ping/ping/", timeout=30).status_code == 200
        assert {container for container, runner in stack.containers().items()} != set()
        assert [pool for pool, runners in stack.pools().items() if runners] == ["admin"]
