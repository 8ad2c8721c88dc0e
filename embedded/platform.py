"""Starts every part in order, and stops them in the reverse one. The only place that knows them all."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import importlib
import logging
import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

from calls.inprocess import InProcessBroker, InProcessPools
from calls.kept import KeptUnavailable
from calls.sqlite.kept import SqliteKept
from catalogue.inspection import Inspection
from deploy.front import Front
from deploy.limits import Roles, TenantPlans, pool_limits, tenant_limits
from deploy.own_names import OWN_NAMES
from deploy.parts import Parts
from deploy.planes import kept_bounds
from deploy.process import StartFailed
from embedded.banner import banner
from embedded.launcher import EmbeddedLauncher
from embedded.runners_folder import runners_folder
from gateway.journal import Journal, setup
from gateway.log_file import LogFile
from gateway.usage import UsageMeter
from plans import Plan
from runner.bubblewrap.launcher import BubblewrapLauncher
from runner.host import Host
from runner.launcher import ControlMissing, LaunchFailed
from runner.packages import Packages
from runner.process import ProcessLauncher
from runner.tenants import TenantLimits
from runner.variables import AdminVariables, BadVariables
from runner.worker import kernel
from settings import HOME, Settings
from store.contract import Role, StoreUnavailable
from store.sealing import Sealer
from store.sqlite import SqliteStore
from store.usage import Usage
from store.variables import Variables
from tokens.memory import MemoryLedger

log = logging.getLogger("plugbay")

_HOST = "embedded"
_PACKAGES_SECS = 45
"""Seconds the first start waits for the packages of `requirements.txt` before it serves without them."""


class Platform:
    """One run of the embedded platform."""

    def __init__(
        self, settings: Settings, known: Mapping[str, Plan], listener: socket.socket, environ: Mapping[str, str]
    ) -> None:
        """`known`: the plans of tenants, by name."""
        self._settings = settings
        self._plans = known
        self._listener = listener
        self._environ = environ
        self._ready: str | None = "starting"

    async def run(self, stop: asyncio.Event) -> None:
        """Serves until `stop`, then finishes what was accepted. Raises StartFailed."""
        kernel.adopt_orphans()
        journal = _journal(self._settings)
        try:
            async with contextlib.AsyncExitStack() as stack:
                await self._serve(stack, journal, stop)
        except (StoreUnavailable, KeptUnavailable, LaunchFailed, ControlMissing, BadVariables) as error:
            raise StartFailed(str(error)) from error
        finally:
            journal.close()

    async def _serve(self, stack: contextlib.AsyncExitStack, journal: Journal, stop: asyncio.Event) -> None:
        settings = self._settings
        store = SqliteStore(settings.DATA_DIR)
        await store.open()
        stack.push_async_callback(store.close)
        usage = UsageMeter(store, settings.USAGE_DAYS)
        kept = SqliteKept(settings.DATA_DIR, kept_bounds(settings))
        stack.push_async_callback(kept.close)
        await kept.open()

        packages = Packages(settings.PLUGINS, settings.DATA_DIR)
        variables = AdminVariables(settings.ADMIN_ENV_FILE, OWN_NAMES, packages)
        broker = InProcessBroker(settings.MAX_QUEUE, settings.MAX_QUEUE_TOTAL, settings.MAX_HELD_BYTES)
        host = Host(
            str(settings.ADMIN_UUID),
            EmbeddedLauncher(ProcessLauncher(sys.executable, _admin_environ(self._environ)), BubblewrapLauncher()),
            store,
            variables,
            runners_folder(settings.DATA_DIR),
            pool_limits(settings),
            await self._tenant_limits(store),
            TenantPlans(settings, self._plans, store),
            Variables(store.variables, Sealer(settings.SECRETS_KEY, settings.SECRETS_KEY_OLD)).of,
            lambda tenant, seconds: usage.count(tenant, Usage(cpu_seconds=seconds)),
            Roles(store),
            # What the server's environment holds is for the functions of whoever runs the server.
            ProcessLauncher(sys.executable, {"PATH": self._environ.get("PATH", os.defpath)}),
        )
        variables.start()
        stack.push_async_callback(variables.close)
        await packages.start()
        stack.push_async_callback(packages.close)
        stack.push_async_callback(host.close, settings.DRAIN_SECS)
        # The control plane's imports take about as long as a runner's start: at once they take half.
        await asyncio.gather(host.start(), asyncio.to_thread(importlib.import_module, "gateway.control.app"))
        broker.attach(_HOST, host)

        front = Front(
            settings,
            Parts(
                store=store,
                broker=broker,
                kept=kept,
                ledger=MemoryLedger(settings.TOKEN_SECS),
                pools=InProcessPools(broker, _HOST, host, settings.ADMIN_RUNNERS * settings.RUNNER_WORKERS),
                journal=journal,
                inspect=Inspection(broker, settings.MAX_IMPORT_SECS),
                plans=self._plans,
                usage=usage,
                # Variables change what importing a module gives, too. They have no digest: they are secrets.
                environment=lambda: f"{packages.digest}+{variables.changes}" if variables.changes else packages.digest,
                package_problem=lambda: packages.problem,
                ready=lambda: self._ready or broker.problem,
            ),
        )
        catalogue = front.catalogue

        def modules_changed(owner: str) -> None:
            if view := catalogue.view(owner):
                host.changed(owner, view.revision)

        def environment_changed() -> None:
            host.renew_admins()
            catalogue.refresh_environment()

        async def finish(_: asyncio.Task[None]) -> None:
            await host.close(settings.DRAIN_SECS)

        catalogue.on_change.append(modules_changed)
        front.on_variables.append(host.variables_changed)
        catalogue.on_stop.append(lambda tenant: host.end(tenant, settings.DRAIN_SECS))
        packages.on_change.append(environment_changed)
        variables.on_change.append(environment_changed)
        await packages.wait(_PACKAGES_SECS)
        await front.start()
        stack.push_async_callback(front.close)

        async with front.listening(self._listener, finish):
            await catalogue.wait_ready()
            self._ready = None
            print(banner(settings, self._listener.getsockname(), catalogue.view(str(settings.ADMIN_UUID))), flush=True)
            await front.until(stop)
            self._ready = "stopping"
            log.info("stopping: calls in flight have %g s to finish", settings.DRAIN_SECS)

    async def _tenant_limits(self, store: SqliteStore) -> TenantLimits:
        """Nothing is kept ready for tenants where there are none: most platforms of this kind serve their admin."""
        limits = tenant_limits(self._settings, self._plans)
        found = await store.find_tenants("", "", 2, Role.TENANT)
        registered = {tenant.uuid for tenant in found} - {str(self._settings.ADMIN_UUID)}
        return limits if registered else dataclasses.replace(limits, prewarmed=0)


def _admin_environ(environ: Mapping[str, str]) -> dict[str, str]:
    """What admin functions see of the environment: all but the platform's own settings."""
    return {name: value for name, value in environ.items() if not OWN_NAMES.fullmatch(name)}


def _journal(settings: Settings) -> Journal:
    """Where the log goes. Raises StartFailed."""
    try:
        file = LogFile(HOME / Path(settings.LOG_FILE).expanduser()) if settings.LOG_FILE else None
    except OSError as error:
        raise StartFailed(
            f"LOG_FILE: {error.filename} cannot be written: {error.strerror}: name another file"
        ) from error
    return setup(settings.LOG_LEVEL, file=file)
