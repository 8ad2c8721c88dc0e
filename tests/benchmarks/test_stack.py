"""The stack under measurement: it answers through both doors, comes to rest, and leaves nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from benchmarks import plan
from benchmarks.client import Client
from benchmarks.load import Invalid
from benchmarks.resident import pss_mib
from benchmarks.rows.idle import container_processes
from benchmarks.stack import images, services
from benchmarks.stack.stack import ADMIN, Site, serving, site


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """What stacks share; afterwards its network is gone."""
    with site(plan.quick(tmp_path_factory.mktemp("bench"))) as made:
        yield made
    assert made.network not in {network["Name"] for network in images.engine().networks()}


@pytest.mark.needs("docker")
def test_a_stack_serves_its_tenants_and_leaves_nothing(at: Site) -> None:
    with serving(at, "runc", tenants=2, PREWARMED_RUNNERS="1", TENANT_IDLE_SECS="0.5") as stack:
        for question in stack.tenants.values():
            stack.gateway.check(question)
            stack.nginx.check(question)
        [container] = [one for one, owner in stack.containers().items() if owner == ADMIN]
        processes = container_processes(container)
        assert "plugbay-zygote" in [process.name() for process in processes]
        assert all(pss_mib(process) > 0 for process in processes)
        ready = stack.await_rest(prewarmed=1)
        with Client(stack.gateway.port) as client:
            client.check(next(iter(stack.tenants.values())))
        assert len(stack.await_rest(1, ready) - ready) == 1
        processes = [stack.gateway.process, *stack.gateway.process.children(recursive=True)]
        names = [one["Names"] for one in images.engine().containers() if stack.name in str(one["Names"])]
        assert len(names) == 2  # Redis and nginx
    assert not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in processes)
    left = images.engine().containers(all=True)
    assert not [one["Names"] for one in left if stack.name in (*one["Labels"].values(), str(one["Names"]))]


@pytest.mark.needs("docker")
def test_a_service_that_does_not_start_is_told_with_its_last_words(at: Site, tmp_path: Path) -> None:
    with (
        pytest.raises(Invalid, match="ended with 3 at its start: no such port"),
        services.service(at.images.redis, "broken", lambda _: ["sh", "-c", "echo no such port; exit 3"], tmp_path),
    ):
        pass


def test_nginx_is_configured_as_in_the_stack() -> None:
    text = services.nginx_configuration("127.0.0.1:1234", "127.0.0.1:4321", "known-to-both")
    assert not re.search("@[A-Z_]+@", text)
    assert 'X-Plugbay-Proxy "known-to-both$sign_in";' in text
    assert "listen 127.0.0.1:1234 default_server" in text
    assert "server 127.0.0.1:4321;" in text
