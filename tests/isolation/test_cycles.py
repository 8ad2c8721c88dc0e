"""Row E7 of the security requirements: a thousand runners are bound and destroyed, and nothing of one is in a later one.

Fifty tenants call in turn, a few at once. In each call code looks for what any earlier one has left, wherever
that could be, leaves a canary of its own in all these places, and has its runner destroyed. That nothing is found
proves something only because its own canary is, each time.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import local
from typing import Any
from uuid import UUID

import httpx
import msgspec
import pytest

from calls import bundle
from catalogue.report import Endpoint, Report
from store.contract import Module, Tenant
from store.sqlite import SqliteStore
from tests.embedded.server import ADMIN_KEY, Embedded, running
from tests.waiting import eventually

pytestmark = pytest.mark.needs("bubblewrap")

CYCLES = 1000
TENANTS = 50
ROUND = 100
"""Cycles of one test: a test that takes two minutes counts as hanging."""
AT_ONCE = 4
"""Cycles under way at the same time: more than there are CPUs, so that none waits for anything."""
MODULE = Path(__file__).with_name("cycle_module.py")
REPORT = Report(endpoints=(Endpoint(api="cycle", methods=("POST",), function="cycle", timeout=20),))
BOUND = re.compile(r"runner ([0-9a-f]{16}): prewarmed → bound \(owner (e7[0-9a-f-]{34})\)")


def tenant(number: int) -> str:
    """The UUID of one of them."""
    return str(UUID(int=UUID("e7000000-0000-4000-8000-000000000000").int + number))


async def register(data: Path, plugins: Path) -> None:
    """All tenants, each with its module, in the store, as if each had been inspected: none is started for that."""
    store = SqliteStore(data)
    await store.open()
    for number in range(TENANTS):
        owner, file = tenant(number), plugins / f"cycle{number}.py"
        file.write_text(f'{MODULE.read_text("utf-8")}\n__ID__ = "{owner}"\n')
        await store.add_tenant(Tenant(uuid=owner))
        digest = await store.put_bundle(bundle.pack({file.name: file.read_bytes()}))
        module = Module(
            owner=owner,
            name=file.stem,
            alias=None,
            digest=digest,
            source=str(file),
            environment="",
            report=msgspec.json.encode(REPORT),
        )
        await store.change_modules(owner, [module], [])
    await store.close()


class Cycling:
    """Clients of one platform, one for each thread."""

    def __init__(self, platform: Embedded) -> None:
        self.platform = platform
        self.runners: list[str] = []
        """The runner of each cycle."""
        self._own = local()

    def cycle(self, number: int) -> None:
        """One call of one tenant, and the end of its runner."""
        if not hasattr(self._own, "client"):
            self._own.client = httpx.Client(base_url=self.platform.url, timeout=60)
        owner = tenant(number % TENANTS)
        canary = f"canary-of-{owner}-{number:04}"
        answer = self._own.client.post(f"/rest/services/{owner}/cycle/", json={"canary": canary})
        assert answer.status_code == 200, answer.text
        drained = self._own.client.post(f"/api/pools/{owner}/drain", headers={"Authorization": f"Bearer {ADMIN_KEY}"})
        assert drained.is_success, drained.text
        seen: dict[str, Any] = answer.json()["response"]["cycle"]
        own = [canary]
        assert seen["strangers"] == []
        assert seen["found"].pop("memory") == own, "what it was called with, and nothing else"
        assert not any(seen["found"].values()), seen["found"]
        assert seen["own"] == dict.fromkeys(seen["own"], own)
        self.runners.append(seen["runner"])


@pytest.fixture(scope="module")
def cycling(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cycling]:
    folder = tmp_path_factory.mktemp("cycles")
    plugins, data = folder / "plugins", folder / "data"
    plugins.mkdir()
    asyncio.run(register(data, plugins))
    with running(plugins, data, TENANT_STARTS_PER_MINUTE=1000) as server:
        yield Cycling(server)


def tenants_runners(platform: Embedded) -> int:
    """Runners that tenants have now."""
    pools = platform.api("GET", "/pools").json()["pools"]
    return sum(len(pool["runners"]) for pool in pools if pool["name"] not in ("admin", "prewarmed"))


@pytest.mark.parametrize("first", range(0, CYCLES, ROUND))
def test_e7_many_runners_find_nothing_of_each_other(cycling: Cycling, first: int) -> None:
    before = cycling.platform.processes()[0].num_fds()
    with ThreadPoolExecutor(AT_ONCE) as threads:
        for _ in threads.map(cycling.cycle, range(first, first + ROUND)):
            pass
    eventually(lambda: not tenants_runners(cycling.platform))
    eventually(lambda: cycling.platform.processes()[0].num_fds() <= before + 8)


def test_e7_no_runner_had_two_tenants(cycling: Cycling) -> None:
    assert len(set(cycling.runners)) == len(cycling.runners)
    said = [json.loads(line)["message"] for line in cycling.platform.log.splitlines() if "(owner e7" in line]
    bound = [found.groups() for line in said if (found := BOUND.fullmatch(line))]
    assert sorted(runner for runner, _ in bound) == sorted(cycling.runners)
    per_tenant = Counter(owner for _, owner in bound)
    assert per_tenant == {tenant(number): len(cycling.runners) // TENANTS for number in range(TENANTS)}
