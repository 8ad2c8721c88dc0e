"""Starts every part in order, and stops them in the reverse one. The only place that knows them all."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import importlib
import logging
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator, Mapping

import uvicorn

from calls.inprocess import InProcessBroker
from catalogue.catalogue import Catalogue
from catalogue.inspection import Inspection
from embedded.banner import banner
from embedded.runners_folder import runners_folder
from gateway.app import Application
from gateway.dataplane import DataPlane, Observers
from gateway.http.deadlines import Bounds
from gateway.http.protocol import strict_protocol
from gateway.journal import Journal, setup
from gateway.logs import CallLogs
from gateway.metrics import Metrics
from gateway.runtime_settings import RuntimeSettings
from runner.host import Host
from runner.launcher import ControlMissing, LaunchFailed
from runner.packages import Packages
from runner.pool import PoolLimits
from runner.process import ProcessLauncher
from runner.runner import Limits
from runner.tenants import TenantLimits
from runner.worker import kernel
from settings import MIB, Settings
from store.contract import StoreUnavailable
from store.sqlite import SqliteStore

log = logging.getLogger("plugbay")

_HOST = "embedded"
_PACKAGES_SECS = 45
"""Seconds the first start waits for the packages of `requirements.txt` before it serves without them."""


class StartFailed(Exception):
    """The platform cannot start; the message names what is wrong and the fix."""


class _Server(uvicorn.Server):
    """uvicorn, with signals left to the platform."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves every signal handler as it is."""
        yield


class Platform:
    """One run of the embedded platform."""

    def __init__(self, settings: Settings, listener: socket.socket, environ: Mapping[str, str]) -> None:
        self._settings = settings
        self._listener = listener
        self._environ = environ
        self._ready: str | None = "starting"

    async def run(self) -> None:
        """Serves until SIGINT or SIGTERM, then finishes what was accepted. Raises StartFailed."""
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        kernel.adopt_orphans()
        journal = setup(self._settings.LOG_LEVEL)
        try:
            async with contextlib.AsyncExitStack() as stack:
                await self._serve(stack, journal, stop)
        except (StoreUnavailable, LaunchFailed, ControlMissing) as error:
            raise StartFailed(str(error)) from error
        finally:
            journal.close()

    async def _serve(self, stack: contextlib.AsyncExitStack, journal: Journal, stop: asyncio.Event) -> None:
        settings = self._settings
        store = SqliteStore(settings.DATA_DIR)
        await store.open()
        stack.push_async_callback(store.close)

        packages = Packages(settings.PLUGINS, settings.DATA_DIR)
        broker = InProcessBroker(settings.MAX_QUEUE, settings.MAX_QUEUE_TOTAL)
        launcher = ProcessLauncher(sys.executable, _admin_environ(self._environ))
        folder = runners_folder(settings.DATA_DIR)
        host = Host(
            str(settings.ADMIN_UUID),
            launcher,
            store,
            packages,
            folder,
            _pool_limits(settings),
            _tenant_limits(settings),
        )
        await packages.start()
        stack.push_async_callback(packages.close)
        stack.push_async_callback(host.close, settings.DRAIN_SECS)
        # The control plane's imports take about as long as a runner's start: at once they take half.
        await asyncio.gather(host.start(), asyncio.to_thread(importlib.import_module, "gateway.control.app"))
        broker.attach(_HOST, host)

        catalogue = Catalogue(
            admin=str(settings.ADMIN_UUID),
            folders=settings.PLUGINS,
            max_source_bytes=settings.MAX_SOURCE_BYTES,
            max_bundle_bytes=settings.MAX_BUNDLE_BYTES,
            max_modules=settings.MAX_MODULES,
            store=store,
            inspect=Inspection(broker, settings.MAX_IMPORT_SECS),
            environment=lambda: packages.digest,
        )

        def modules_changed(owner: str) -> None:
            if view := catalogue.view(owner):
                host.changed(owner, view.revision)

        def packages_changed() -> None:
            host.renew_admin()
            catalogue.refresh_environment()

        catalogue.on_change.append(modules_changed)
        packages.on_change.append(packages_changed)
        await packages.wait(_PACKAGES_SECS)
        await catalogue.start()
        stack.push_async_callback(catalogue.close)

        from gateway.control.app import create_control
        from gateway.control.services import Services

        runtime = RuntimeSettings(settings, store)
        await runtime.load()
        logs = CallLogs(settings.LOGS_KEPT_BYTES)
        metrics = Metrics(lambda: broker.unanswered, lambda: journal.dropped)
        observers = Observers(logs, metrics, journal)
        data = DataPlane(settings, catalogue, store, broker, runtime, observers, lambda: packages.problem)
        services = Services(settings, catalogue, host, logs, metrics, runtime, lambda: self._ready)
        server = _Server(
            uvicorn.Config(
                Application(data, create_control(services)),
                http=strict_protocol(_bounds(settings)),
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=int(settings.DRAIN_SECS + settings.WRITE_SECS) + 1,
            )
        )
        async with self._listening(server, host, logs):
            await catalogue.wait_ready()
            self._ready = None
            print(banner(settings, self._listener.getsockname(), catalogue.view(str(settings.ADMIN_UUID))), flush=True)
            await stop.wait()
            self._ready = "stopping"
            log.info("stopping: calls in flight have %g s to finish", settings.DRAIN_SECS)

    @contextlib.asynccontextmanager
    async def _listening(self, server: uvicorn.Server, host: Host, logs: CallLogs) -> AsyncIterator[None]:
        """Serves HTTP for the length of a block. At its end no connection is taken any more, and those
        there are get the answers of their calls, also of the calls that are cut short."""
        serving = asyncio.create_task(server.serve(sockets=[self._listener]), name="http server")
        try:
            yield
        finally:
            server.should_exit = True
            logs.end()
            await host.close(self._settings.DRAIN_SECS)
            await serving


def _admin_environ(environ: Mapping[str, str]) -> dict[str, str]:
    """What admin functions see of the environment: all but the platform's own settings."""
    own = re.compile("|".join([*Settings.model_fields, r"URL_PARM\d+"]))
    return {name: value for name, value in environ.items() if not own.fullmatch(name)}


def _pool_limits(settings: Settings) -> PoolLimits:
    return PoolLimits(
        runners=settings.ADMIN_RUNNERS,
        max_runners=settings.MAX_RUNNERS,
        warm_workers=settings.WARM_WORKERS,
        worker_idle_secs=settings.WORKER_IDLE_SECS,
        worker_async_calls=settings.WORKER_ASYNC_CALLS,
        max_queue_secs=settings.MAX_QUEUE_SECS,
        max_result=settings.MAX_RESULT_BYTES,
        runner=Limits(
            workers=settings.RUNNER_WORKERS,
            max_log=settings.MAX_LOG_BYTES,
            memory_bytes=settings.WORKER_MEMORY_MB * MIB,
        ),
    )


def _tenant_limits(settings: Settings) -> TenantLimits:
    return TenantLimits(
        prewarmed=settings.PREWARMED_RUNNERS,
        max_runners=settings.MAX_TENANT_RUNNERS,
        idle_secs=settings.TENANT_IDLE_SECS,
        starts_per_minute=settings.TENANT_STARTS_PER_MINUTE,
        pool=dataclasses.replace(_pool_limits(settings), runners=1, max_runners=1, warm_workers=1),
    )


def _bounds(settings: Settings) -> Bounds:
    return Bounds(
        header_secs=settings.HEADER_SECS,
        body_secs=settings.BODY_SECS,
        write_secs=settings.WRITE_SECS,
        keepalive_secs=settings.KEEPALIVE_SECS,
        max_headers=settings.MAX_HEADERS,
        max_header_bytes=settings.MAX_HEADER_BYTES,
        max_body_bytes=settings.MAX_BODY_BYTES,
        max_connections=settings.MAX_CONNECTIONS,
    )
