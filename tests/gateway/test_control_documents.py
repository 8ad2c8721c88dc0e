"""Given the control plane, when people and monitors ask what it is and how it is, then it tells them by itself."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio

from gateway.control.app import routes_alone
from gateway.control.openapi import document
from settings import ROOT
from tests.gateway.control_server import ADMIN, KEY, TENANT, Plane, problems, serving

pytestmark = pytest.mark.asyncio(loop_scope="module")

OPERATIONS = {
    "/api/modules": {"get"},
    "/api/modules/{name}": {"get"},
    "/api/endpoints": {"get"},
    "/api/tenants": {"get", "post"},
    "/api/tenants/{uuid}": {"get", "patch", "delete"},
    "/api/tenants/{uuid}/key": {"post"},
    "/api/tenants/{uuid}/elevation": {"put", "post", "delete"},
    "/api/tenants/{uuid}/export": {"get"},
    "/api/tenants/{uuid}/usage": {"get"},
    "/api/tenants/{uuid}/environ": {"get"},
    "/api/tenants/{uuid}/environ/{name}": {"put", "delete"},
    "/api/tenants/{uuid}/modules": {"get"},
    "/api/tenants/{uuid}/modules/{name}": {"put", "delete"},
    "/api/tenants/{uuid}/modules/{name}/versions": {"get"},
    "/api/tenants/{uuid}/modules/{name}/versions/{number}": {"get"},
    "/api/tenants/{uuid}/modules/{name}/rollback": {"post"},
    "/api/tenants/{uuid}/signing-keys": {"get", "post"},
    "/api/tenants/{uuid}/signing-keys/{id}": {"delete"},
    "/api/tenants/{uuid}/api-keys": {"get", "post"},
    "/api/tenants/{uuid}/api-keys/{id}": {"delete"},
    "/api/tenants/{uuid}/token-keys": {"get", "post", "delete"},
    "/api/tenants/{uuid}/token-keys/{id}": {"delete"},
    "/api/tenants/{uuid}/tokens": {"post"},
    "/api/pools": {"get"},
    "/api/pools/{name}": {"put"},
    "/api/pools/{name}/drain": {"post"},
    "/api/runners/{id}/drain": {"post"},
    "/api/hosts/{name}/drain": {"post", "delete"},
    "/api/settings": {"get", "patch"},
    "/api/logs": {"get"},
    "/api/audit": {"get"},
    "/api/installation-key": {"get"},
    "/healthz": {"get"},
    "/readyz": {"get"},
    "/metrics": {"get"},
    "/rest/services/__dir__/": {"get"},
    "/rest/services/{path}/": {"get", "post", "put", "delete", "patch"},
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Plane]:
    async with serving(tmp_path_factory.mktemp("store")) as plane:
        yield plane


@pytest_asyncio.fixture(loop_scope="module")
async def plane(running: Plane) -> Plane:
    await running.reset()
    return running


def nodes(value: Any) -> Iterator[dict[str, Any]]:
    """Every object inside a document."""
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from nodes(inner)


async def test_the_kept_document_is_what_the_code_says() -> None:
    kept = json.loads((ROOT / "docs" / "openapi.json").read_text())
    assert kept == document(routes_alone()), "run scripts/openapi.sh"


async def test_the_document(plane: Plane) -> None:
    served = await plane.json("GET", "/openapi.json")
    assert served == document(routes_alone())
    assert {path: set(operations) for path, operations in served["paths"].items()} == OPERATIONS
    for path, operations in served["paths"].items():
        for operation in operations.values():
            assert operation["summary"]
            assert operation["description"]
            assert operation["tags"]
            assert ("security" in operation) == path.startswith("/api/")
            if path.startswith("/api/"):
                assert {"401", "403", "404", "422", "503"} <= set(operation["responses"])
                assert {"200", "201", "204"} & set(operation["responses"])


async def test_the_document_is_openapi_3_0(plane: Plane) -> None:
    """Swagger UI shows what it knows: no null types, constants or lists of examples, and every reference leads somewhere."""
    served = await plane.json("GET", "/openapi.json")
    assert served["openapi"].startswith("3.0.")
    for node in nodes(served):
        assert node.get("type") != "null"
        assert "const" not in node
        assert "examples" not in node
        if "$ref" in node:
            assert set(node) == {"$ref"}
            assert node["$ref"].removeprefix("#/components/schemas/") in served["components"]["schemas"]


@pytest.mark.parametrize("page", ["/", "/docs"])
async def test_pages_load_nothing_from_elsewhere(plane: Plane, page: str) -> None:
    html = (await plane.client.get(page)).text
    loaded = re.findall(r'<(?:link|script|img)[^>]*(?:href|src)="([^"]*)"', html)
    assert loaded
    for path in loaded:
        assert path.startswith("/assets/")
        response = await plane.client.get(path)
        assert response.status_code == 200
        assert len(response.content) > 100
        assert response.headers["content-type"].split(";")[0] in ("text/css", "text/javascript", "image/svg+xml")
    assert not re.search(r"<style|style=|<script(?![^>]*src=)|\son\w+=", html)


async def test_readme(plane: Plane) -> None:
    response = await plane.client.get("/readme")
    if (ROOT / "README.md").is_file():
        assert response.headers["content-type"] == "text/plain; charset=utf-8"
        assert response.text == (ROOT / "README.md").read_text()
    else:
        assert response.status_code == 404


async def test_alive_and_ready(plane: Plane) -> None:
    assert await plane.json("GET", "/healthz") == {"status": "OK"}
    assert await plane.json("GET", "/readyz") == {"status": "OK"}
    plane.missing = "the admin runner is starting"
    response = await plane.client.get("/readyz")
    assert (response.status_code, response.headers["retry-after"]) == (503, "1")
    assert problems(response.json()) == {"ready": "the admin runner is starting"}
    assert await plane.json("GET", "/healthz") == {"status": "OK"}


async def test_metrics(plane: Plane) -> None:
    plane.services.metrics.call("VALUE", 200, 0.0002, 0.0, 0.003)
    plane.services.metrics.call("RAISED", 500, 0.0002, 0.2, 40.0)
    plane.services.metrics.refused("REFUSED", 404)
    response = await plane.client.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain")
    said = set(response.text.splitlines())
    assert {
        'plugbay_calls_total{outcome="VALUE",status="2xx"} 1.0',
        'plugbay_calls_total{outcome="RAISED",status="5xx"} 1.0',
        'plugbay_calls_total{outcome="REFUSED",status="4xx"} 1.0',
        'plugbay_call_run_seconds_bucket{le="0.0025"} 0.0',
        'plugbay_call_run_seconds_bucket{le="0.005"} 1.0',
        'plugbay_call_run_seconds_bucket{le="30.0"} 1.0',
        'plugbay_call_run_seconds_bucket{le="+Inf"} 2.0',
        "plugbay_call_run_seconds_sum 40.003",
        "plugbay_call_run_seconds_count 2.0",
        "plugbay_call_queue_seconds_count 2.0",
        "plugbay_call_bind_seconds_count 1.0",
        "plugbay_calls_in_flight 5.0",
        "plugbay_log_lines_dropped_total 6.0",
        'plugbay_runners{host="vm-1",pool="admin",state="bound"} 1.0',
        'plugbay_runners{host="vm-1",pool="admin",state="starting"} 0.0',
        'plugbay_runners{host="vm-1",pool="prewarmed",state="prewarmed"} 0.0',
        'plugbay_runners{host="vm-1",pool="tenants",state="bound"} 1.0',
        'plugbay_runners_wanted{pool="admin"} 1.0',
        'plugbay_workers{host="vm-1",pool="admin",state="busy"} 1.0',
        'plugbay_workers{host="vm-1",pool="admin",state="idle"} 2.0',
        'plugbay_queue_length{pool="admin"} 4.0',
        'plugbay_cold_starts_total{host="vm-1",pool="admin"} 2.0',
        'plugbay_worker_kills_total{host="vm-1",pool="admin",reason="time limit"} 3.0',
        'plugbay_runner_start_seconds_count{host="vm-1",pool="prewarmed"} 0.0',
        'plugbay_runner_bind_seconds_bucket{host="vm-1",le="0.01",pool="tenants"} 0.0',
        'plugbay_runner_bind_seconds_bucket{host="vm-1",le="0.025",pool="tenants"} 1.0',
        'plugbay_host_load{host="vm-1"} 5.0',
        'plugbay_host_capacity{host="vm-1"} 8.0',
        'plugbay_host_draining{host="vm-1"} 0.0',
        "plugbay_modules 1.0",
        "plugbay_modules_failing 1.0",
        "plugbay_endpoints 2.0",
        "plugbay_log_bytes 0.0",
    } <= said
    assert re.search(r"^process_resident_memory_bytes [1-9]", response.text, re.MULTILINE)
    assert re.search(r"^process_start_time_seconds [1-9]", response.text, re.MULTILINE)
    for secret in (TENANT, ADMIN, KEY):
        assert secret not in response.text
    names = {line.split()[2] for line in said if line.startswith("# TYPE ")}
    assert names == {line.split()[2] for line in said if line.startswith("# HELP ") and len(line.split()) > 3}
