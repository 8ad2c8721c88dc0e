"""`python -m deploy.gateway`: a gateway of the stack. There may be any number of them; hosts are reached over Redis."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import sys
from collections.abc import Mapping

import plans
import settings
from calls.call import Reply
from calls.redis.connection import BadAddress
from calls.redis.fitness import Unfit
from calls.redis.gateway import RedisBroker
from calls.redis.kept import RedisKept
from catalogue.inspection import Inspection
from deploy.front import Front
from deploy.parts import Parts
from deploy.planes import kept_bounds
from deploy.process import StartFailed, fail, listen, run
from deploy.resources import OWN_FILES, fit_connections, give_back_large_blocks
from deploy.stores import open_store
from gateway.journal import Journal, setup
from gateway.usage import UsageMeter
from plans import Plan
from settings import Settings
from store.contract import StoreUnavailable
from store.mongo.watch import Change, What
from tokens.redis import RedisLedger

log = logging.getLogger("plugbay")

TOLD_SECS = 2.0
"""A change of the store is known to all gateways in a second; what must be sure of it waits twice as long."""
RETRY_SECS = 0.25
"""Seconds until settings that could not be read are asked for again."""


def main() -> int:
    """Runs until SIGINT or SIGTERM; the exit status is 0 when everything was stopped cleanly."""
    try:
        chosen = fit_connections(settings.load(), OWN_FILES)
        known = plans.load(chosen.PLANS)
        listener = listen(chosen.GATEWAY_HOST, chosen.GATEWAY_PORT)
    except settings.BadSettings as error:
        return fail(str(error))
    give_back_large_blocks()
    return run(Gateway(chosen, known, listener).run)


class Gateway:
    """One run of a gateway."""

    def __init__(self, settings: Settings, known: Mapping[str, Plan], listener: socket.socket) -> None:
        """`known`: the plans of tenants, by name."""
        self._settings = settings
        self._plans = known
        self._listener = listener
        self._ready: str | None = "modules are being loaded"

    async def run(self, stop: asyncio.Event) -> None:
        """Serves until `stop`, then finishes what was accepted. Raises StartFailed."""
        journal = setup(self._settings.LOG_LEVEL)
        try:
            async with contextlib.AsyncExitStack() as stack:
                await self._serve(stack, journal, stop)
        except (StoreUnavailable, BadAddress, Unfit) as error:
            raise StartFailed(str(error)) from error
        finally:
            journal.close()

    async def _serve(self, stack: contextlib.AsyncExitStack, journal: Journal, stop: asyncio.Event) -> None:
        settings = self._settings
        store = await open_store(settings)
        stack.push_async_callback(store.close)
        broker = RedisBroker(settings.REDIS_URL, settings.MAX_QUEUE, settings.MAX_QUEUE_TOTAL, settings.MAX_HELD_BYTES)
        ledger = RedisLedger(broker, settings.TOKEN_SECS)
        broker.on_join.append(ledger.joined)
        await broker.open()
        stack.push_async_callback(broker.close)
        address = "KEPT_URL" if settings.KEPT_URL else "REDIS_URL"
        kept = RedisKept(getattr(settings, address), kept_bounds(settings), address)
        stack.push_async_callback(kept.close)
        await kept.open()
        inspection = Inspection(broker, settings.MAX_IMPORT_SECS)

        async def inspect(owner: str, module: str, candidates: Mapping[str, str]) -> Reply:
            await broker.ready()  # without a host it would only be tried again
            return await inspection(owner, module, candidates)

        front = Front(
            settings,
            Parts(
                store=store,
                broker=broker,
                kept=kept,
                ledger=ledger,
                pools=broker.pools,
                journal=journal,
                inspect=inspect,
                plans=self._plans,
                usage=UsageMeter(store, settings.USAGE_DAYS),
                # What an image holds does not change, and a new one has another address.
                environment=lambda: settings.ADMIN_IMAGE,
                package_problem=lambda: None,
                ready=lambda: self._ready or broker.problem,
                told_secs=TOLD_SECS,
            ),
        )

        async def finish(serving: asyncio.Task[None]) -> None:
            await asyncio.wait({serving}, timeout=settings.DRAIN_SECS)
            await broker.close()

        changed = asyncio.Event()

        def stored(change: Change) -> None:
            if change.what is What.SETTING:
                changed.set()
            elif change.what in (What.TENANT, What.MODULES):
                front.catalogue.follow(change.key)

        store.on_change.append(stored)
        await front.start()
        stack.push_async_callback(front.close)
        tasks = [
            asyncio.create_task(_follow(front, changed), name="follow run-time settings"),
            asyncio.create_task(self._load(front), name="load modules"),
        ]
        async with front.listening(self._listener, finish):
            log.info("gateway listens on port %d", self._listener.getsockname()[1])
            await front.until(stop)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._ready = "stopping"
            log.info("stopping: calls in flight have %g s to finish", settings.DRAIN_SECS)

    async def _load(self, front: Front) -> None:
        await front.catalogue.wait_ready()
        self._ready = None


async def _follow(front: Front, changed: asyncio.Event) -> None:
    """Takes up run-time settings that were changed through another gateway."""
    while True:
        await changed.wait()
        changed.clear()
        try:
            await front.load()
        except StoreUnavailable as error:
            log.warning("run-time settings stay as they were: %s", error)
            await asyncio.sleep(RETRY_SECS)
            changed.set()


if __name__ == "__main__":
    sys.exit(main())
