"""`python -m deploy.host`: the runner host of one machine of the stack. It alone speaks to the Docker Engine."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import plans
import settings
from calls.redis.connection import BadAddress
from calls.redis.fitness import Unfit
from calls.redis.host import HostBounds, RedisHost
from calls.redis.reading import CallBounds
from deploy.containers import docker_launcher
from deploy.limits import Roles, TenantPlans, pool_limits, tenant_limits
from deploy.own_names import OWN_NAMES
from deploy.process import StartFailed, fail, run
from deploy.resources import give_back_large_blocks
from deploy.stores import open_store
from gateway.journal import setup
from gateway.usage import UsageMeter
from plans import Plan
from runner.host import Host, NoEnvironment
from runner.launcher import ControlMissing, Launcher, LaunchFailed
from runner.process import ProcessLauncher
from runner.variables import AdminVariables, BadVariables
from runner.worker import kernel
from settings import Settings
from store.contract import Status, StoreUnavailable
from store.mongo.store import MongoStore
from store.mongo.watch import Change, What
from store.sealing import Sealer
from store.usage import Usage
from store.variables import Variables

log = logging.getLogger("plugbay")

ALIVE: Final = "alive"
"""File in RUNNERS_DIR that is touched every ALIVE_SECS while the event loop turns: what a health check looks at."""
ALIVE_SECS: Final = 2.0
ASK_SECS: Final = 1.0
"""Seconds until the store is asked again for an owner that has changed."""
_IMAGE_PACKAGES: Final = "/opt/plugbay/packages"
"""Where the admin runners' image has third-party packages; see images/runner.Dockerfile."""


class ImagePackages(NoEnvironment):
    """The packages of an image. See runner.pool.Environment."""

    def packages(self) -> list[str]:
        """See Environment."""
        return [_IMAGE_PACKAGES]


def main() -> int:
    """Runs until SIGINT or SIGTERM; the exit status is 0 when everything was stopped cleanly."""
    try:
        # The control plane is the gateways': the host is not told its key.
        chosen = settings.load(environ={**os.environ, "ADMIN_KEY": secrets.token_urlsafe(32)})
        known = plans.load(chosen.PLANS)
    except settings.BadSettings as error:
        return fail(str(error))
    give_back_large_blocks()
    return run(RunnerHost(chosen, known).run)


class RunnerHost:
    """One run of a runner host."""

    def __init__(self, settings: Settings, known: Mapping[str, Plan]) -> None:
        self._settings = settings
        self._plans = known
        self._followers: set[asyncio.Task[None]] = set()

    async def run(self, stop: asyncio.Event) -> None:
        """Takes calls until `stop`, then finishes those it has. Raises StartFailed."""
        kernel.adopt_orphans()
        journal = setup(self._settings.LOG_LEVEL)
        try:
            async with contextlib.AsyncExitStack() as stack:
                await self._serve(stack, stop)
        except (StoreUnavailable, LaunchFailed, ControlMissing, BadAddress, BadVariables, Unfit, OSError) as error:
            raise StartFailed(str(error)) from error
        finally:
            journal.close()

    async def _serve(self, stack: contextlib.AsyncExitStack, stop: asyncio.Event) -> None:
        settings = self._settings
        store = await open_store(settings)
        stack.push_async_callback(store.close)
        usage = UsageMeter(store, settings.USAGE_DAYS)
        usage.start()
        stack.push_async_callback(usage.close)
        folder = _empty(settings.RUNNERS_DIR / "sockets")
        launcher = await self._launcher(stack, folder)
        packages = NoEnvironment() if settings.LAUNCHER == "process" else ImagePackages()
        variables = AdminVariables(settings.ADMIN_ENV_FILE, OWN_NAMES, packages)
        admin = str(settings.ADMIN_UUID)
        host = Host(
            admin,
            launcher,
            store,
            variables,
            folder,
            pool_limits(settings),
            tenant_limits(settings, self._plans),
            TenantPlans(settings, self._plans, store),
            Variables(store.variables, Sealer(settings.SECRETS_KEY, settings.SECRETS_KEY_OLD)).of,
            lambda tenant, seconds: usage.count(tenant, Usage(cpu_seconds=seconds)),
            Roles(store),
        )
        stack.push_async_callback(host.close, settings.DRAIN_SECS)
        beating = asyncio.create_task(_beat(settings.RUNNERS_DIR / ALIVE), name="sign of life")
        stack.callback(beating.cancel)
        await host.start()
        variables.on_change.append(host.renew_admins)
        variables.start()
        stack.push_async_callback(variables.close)
        attached = RedisHost(settings.REDIS_URL, settings.HOST_NAME, host, host, _bounds(settings))
        store.on_change.append(lambda change: self._stored(change, store, host))
        await attached.open()
        stack.push_async_callback(attached.close)
        log.info("host %s takes calls", settings.HOST_NAME)
        await stop.wait()
        log.info("stopping: calls in flight have %g s to finish", settings.DRAIN_SECS)
        await attached.drain(settings.DRAIN_SECS)

    async def _launcher(self, stack: contextlib.AsyncExitStack, folder: Path) -> Launcher:
        if self._settings.LAUNCHER == "process":
            return ProcessLauncher(sys.executable, {"PATH": os.defpath})
        launcher = docker_launcher(self._settings, folder)
        await launcher.open()
        stack.push_async_callback(launcher.close)
        return launcher

    def _stored(self, change: Change, store: MongoStore, host: Host) -> None:
        """Workers are replaced when modules changed, ahead of the calls that need the new ones, and end when
        their owner's code is to run no more."""
        if change.what is What.MODULES:
            follower = _renew(change.key, store, host)
        elif change.what is What.TENANT:
            follower = self._end(change.key, store, host)
        elif change.what is What.VARIABLES:
            host.variables_changed(change.key)
            return
        else:
            return
        task = asyncio.create_task(follower, name=f"change of {change.what} {change.key}")
        self._followers.add(task)
        task.add_done_callback(self._followers.discard)

    async def _end(self, owner: str, store: MongoStore, host: Host) -> None:
        while True:
            try:
                found = await store.tenant(owner)
            except StoreUnavailable as error:
                log.warning("%s has changed, and whether its code is to run is asked for again: %s", owner, error)
                await asyncio.sleep(ASK_SECS)
            else:
                break
        if found is None or found.status is not Status.ENABLED:
            host.end(owner, self._settings.DRAIN_SECS)


def _empty(folder: Path) -> Path:
    """Without what a host that was killed left there; RUNNERS_DIR is this host's alone. Raises OSError."""
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(mode=0o700)
    return folder


async def _renew(owner: str, store: MongoStore, host: Host) -> None:
    try:
        host.changed(owner, (await store.modules(owner)).revision)
    except StoreUnavailable as error:
        log.warning("modules of %s have changed, which the next call finds out: %s", owner, error)


async def _beat(file: Path) -> None:
    while True:
        await asyncio.to_thread(file.touch)
        await asyncio.sleep(ALIVE_SECS)


def _bounds(settings: Settings) -> HostBounds:
    return HostBounds(
        capacity=settings.ADMIN_RUNNERS * settings.RUNNER_WORKERS,
        # Owners share no workers, so none has to wait in front of the pools for another.
        slots=settings.MAX_QUEUE_TOTAL,
        max_owner=settings.MAX_QUEUE,
        max_total=settings.MAX_QUEUE_TOTAL,
        call=CallBounds(
            max_secs=max(settings.MAX_FUNCTION_SECS, settings.MAX_IMPORT_SECS), max_wait_secs=settings.MAX_QUEUE_SECS
        ),
    )


if __name__ == "__main__":
    sys.exit(main())
