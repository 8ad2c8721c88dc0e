"""Given a gateway that has many calls to run that nobody waits for, then one that takes long is not run twice."""

from __future__ import annotations

import asyncio
import secrets
import time

import pytest

from calls.kept import KeptCall
from gateway.kept import consumer
from tests.calls.redis_server import running
from tests.gateway.control_server import ADMIN
from tests.tokens.gateways import ADA, gateways
from tests.waiting import until

pytestmark = pytest.mark.needs("redis")


def call(owner: str, path: str) -> KeptCall:
    return KeptCall(
        id=secrets.token_hex(24),
        owner=owner,
        call=secrets.token_hex(16),
        method="GET",
        path=path,
        client="",
        payload=b"",
        size=0,
        accepted=time.time(),
    )


async def test_a_call_that_runs_is_not_run_again_however_many_wait(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deploy.planes.LEASE_SECS", 2.0)
    monkeypatch.setattr(consumer, "RENEW_SECS", 0.1)
    with running() as redis:
        async with gateways(tmp_path_factory.mktemp("store"), redis) as made:
            await made.require("none")
            made.runs.hung = ADA
            await made.one.kept.put(call(ADA, f"/rest/services/{ADA}/hello-world/"), 10)
            await until(lambda: ADA in made.runs.owners)
            try:
                for batch in range(1, 9):
                    many = [call(ADMIN, "/rest/services/hello-world/") for _ in range(300)]
                    await asyncio.gather(*(made.one.kept.put(one, 1000) for one in many))
                    await until(lambda batch=batch: made.runs.owners.count(ADMIN) == 300 * batch)  # type: ignore[misc]
                assert made.runs.owners.count(ADA) == 1
            finally:
                made.runs.hung = None
                made.runs.answer()
