"""Given a front whose plugin folders cannot be followed any more, when asked, then it says so and ends its process."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from watchfiles import awatch

from calls.call import Reply
from calls.inprocess import InProcessBroker
from calls.sqlite.kept import SqliteKept
from deploy.front import Front
from deploy.parts import Parts
from deploy.planes import kept_bounds
from deploy.process import Broken
from gateway.journal import Journal
from gateway.usage import UsageMeter
from plans import Plan
from store.sqlite import SqliteStore
from tests.gateway.control_server import AUTHORIZED, TwoPools, settings
from tokens.memory import MemoryLedger

SECRET = "a-secret-of-the-tests"


@pytest.fixture
def defect(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Once it is set, what watches folders fails as nobody has foreseen."""
    happens = asyncio.Event()

    async def watch(*folders: Path, **how: Any) -> AsyncIterator[Any]:
        async for batch in awatch(*folders, **how):
            if happens.is_set():
                raise ValueError("a defect")
            yield batch

    monkeypatch.setattr("catalogue.watch.awatch", watch)
    return happens


async def _inspect(owner: str, module: str, candidates: Mapping[str, str]) -> Reply:
    raise AssertionError("there are no modules")


@pytest.fixture
async def front(tmp_path: Path) -> AsyncIterator[Front]:
    (tmp_path / "plugins").mkdir()
    store = SqliteStore(tmp_path / "data")
    await store.open()
    kept = SqliteKept(tmp_path / "data", kept_bounds(settings()))
    await kept.open()
    journal = Journal(logging.INFO, os.open(os.devnull, os.O_WRONLY), terminal=False)
    front = Front(
        settings(PLUGINS=str(tmp_path / "plugins"), PROXY_SECRET=SECRET),
        Parts(
            store=store,
            broker=InProcessBroker(10, 10, 1000),
            kept=kept,
            ledger=MemoryLedger(30),
            pools=TwoPools(),
            journal=journal,
            inspect=_inspect,
            usage=UsageMeter(store, 90),
            plans={"free": Plan(memory_mb=64, cpus=1, runners=1, workers=1)},
            environment=lambda: "",
            package_problem=lambda: None,
            ready=lambda: None,
        ),
    )
    await front.start()
    yield front
    await front.close()
    await kept.close()
    await store.close()
    journal.close()


async def test_readiness_and_the_end_of_the_process(defect: asyncio.Event, front: Front) -> None:
    listener = socket.create_server(("127.0.0.1", 0))

    async def finish(_: asyncio.Task[None]) -> None:
        pass

    await front.catalogue.wait_ready()
    async with front.listening(listener, finish), httpx.AsyncClient(trust_env=False) as client:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/readyz"
        assert (await client.get(url)).status_code == 200
        defect.set()
        with pytest.raises(Broken, match="ValueError: a defect"):
            await front.until(asyncio.Event())
        answer = await client.get(url)
        assert (answer.status_code, answer.json()["status"]) == (503, "the plugin folders are not followed any more")


async def test_metrics_are_not_for_those_who_come_through_the_proxy(front: Front) -> None:
    listener = socket.create_server(("127.0.0.1", 0))

    async def finish(_: asyncio.Task[None]) -> None:
        pass

    async with front.listening(listener, finish), httpx.AsyncClient(trust_env=False) as client:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        for path in ("/metrics", "/metrics/"):
            assert (await client.get(url + path)).status_code == 200
            answer = await client.get(url + path, headers={"X-Plugbay-Proxy": SECRET})
            assert answer.status_code == 404
            assert "plugbay_" not in answer.text
        assert (await client.get(f"{url}/readyz", headers={"X-Plugbay-Proxy": SECRET})).status_code == 200


async def test_the_audit_trail_has_the_address_that_the_proxy_names(front: Front) -> None:
    listener = socket.create_server(("127.0.0.1", 0))

    async def finish(_: asyncio.Task[None]) -> None:
        pass

    async with front.listening(listener, finish), httpx.AsyncClient(trust_env=False, headers=AUTHORIZED) as client:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/api"
        claimed = {"X-Forwarded-For": "203.0.113.7"}
        for headers in (claimed, claimed | {"X-Plugbay-Proxy": SECRET}):
            await client.patch(f"{url}/settings", json={"NUM_URL_PARMS": 2}, headers=headers)
        shown = (await client.get(f"{url}/audit")).json()["entries"]
        assert [one["address"] for one in shown] == ["203.0.113.7", "127.0.0.1"]


async def test_an_end_that_was_asked_for_is_none(front: Front) -> None:
    stop = asyncio.Event()
    stop.set()
    await front.until(stop)
    assert front.catalogue.problem is None


def test_a_defect_has_an_exit_status_of_its_own() -> None:
    program = (
        "import sys\n"
        "from deploy import process\n"
        "async def serve(_):\n"
        "    raise process.Broken('ValueError: a defect')\n"
        "sys.exit(process.run(serve))\n"
    )
    # A process of its own: it takes the signals of the one that it runs in.
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 70
    assert done.stderr == "plugbay: ended by a defect: ValueError: a defect; its log says more\n"


async def test_kept_calls_that_are_not_run_any_more_end_the_process(
    front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def take(_: SqliteKept, but: object) -> None:
        raise ValueError("a defect")

    async def finish(_: asyncio.Task[None]) -> None:
        pass

    monkeypatch.setattr(SqliteKept, "take", take)
    async with front.listening(socket.create_server(("127.0.0.1", 0)), finish):
        with pytest.raises(Broken, match="ValueError: a defect"):
            await front.until(asyncio.Event())
