"""The gateway's half of a process: catalogue, both planes and the HTTP server over any broker and store."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from typing import Final

import uvicorn

import plans
from catalogue.catalogue import Catalogue
from catalogue.sealed import InstallationKeys
from catalogue.unpacking import Limits, PlanBounds
from deploy.parts import Parts
from deploy.planes import DataPlanes, data_planes
from deploy.process import Broken
from gateway.app import Application
from gateway.audit_trail import AuditTrail
from gateway.credentials import Credentials
from gateway.http.deadlines import Bounds
from gateway.http.forwarded import Proxy
from gateway.http.protocol import strict_protocol
from gateway.kept.consumer import Consumer
from gateway.limits import PlanLimits
from gateway.logs import CallLogs
from gateway.metrics import Metrics
from gateway.observers import Observers
from gateway.runtime_settings import RuntimeSettings
from gateway.token_keys import TokenKeys
from plans import Plan
from settings import Settings
from store.contract import Role
from store.sealing import Sealer, Unsealable
from store.variables import Variables

log = logging.getLogger("plugbay")


class _Server(uvicorn.Server):
    """uvicorn, with signals left to the process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves every signal handler as it is."""
        yield


class Front:
    """Begins with `start`; answers HTTP within `listening`."""

    def __init__(self, settings: Settings, parts: Parts) -> None:
        self.catalogue = Catalogue(
            admin=str(settings.ADMIN_UUID),
            folders=settings.PLUGINS,
            max_modules=settings.MAX_MODULES,
            limits=upload_limits(settings, parts.plans),
            store=parts.store,
            inspect=parts.inspect,
            environment=parts.environment,
        )
        self.runtime = RuntimeSettings(settings, parts.store, parts.told_secs)
        sealer = Sealer(settings.SECRETS_KEY, settings.SECRETS_KEY_OLD)
        self.token_keys = TokenKeys(str(settings.ADMIN_UUID), sealer, parts.store)
        self.variables = Variables(parts.store.variables, sealer)
        self.on_variables: list[Callable[[str], None]] = []
        """Called with the UUID of each tenant whose variables were changed here."""
        self._audit = AuditTrail(parts.store.audit, settings.AUDIT_DAYS, settings.AUDIT_ENTRIES)
        self._settings = settings
        self._parts = parts
        self._logs = CallLogs(settings.LOGS_KEPT_BYTES)
        self._consumer: Consumer | None = None
        self._metrics = Metrics(lambda: parts.broker.unanswered, lambda: parts.journal.dropped)

    async def start(self) -> None:
        """Shows what was served before, and begins to follow the plugin folders. Raises StoreUnavailable."""
        await self._reseal()
        await self.catalogue.start()
        await self.load()
        self._parts.usage.start()
        self._audit.start()

    async def _reseal(self) -> None:
        """Has SECRETS_KEY_OLD be needed no more. Raises StoreUnavailable."""
        if self._settings.SECRETS_KEY_OLD:
            try:
                count = await self.token_keys.reseal() + await self.variables.reseal()
            except Unsealable as error:
                log.error("SECRETS_KEY_OLD is still needed, something cannot be read: %s", error)
            else:
                log.info("%d secrets were encrypted with SECRETS_KEY: SECRETS_KEY_OLD is needed no more", count)

    async def load(self) -> None:
        """Takes up what of the settings in the store is another now. Raises StoreUnavailable."""
        await self.runtime.load()
        await self.token_keys.load()

    async def close(self) -> None:
        """Stops following the folders, and tells the store what tenants used and who changed what."""
        await self.catalogue.close()
        await self._parts.usage.close()
        await self._audit.close()

    async def until(self, stop: asyncio.Event) -> None:
        """Returns at `stop`. Raises Broken when the plugin folders are not followed any more, or kept calls not run."""
        stopped = asyncio.create_task(stop.wait(), name="wait for the end")
        ends = {asyncio.create_task(self.catalogue.ended()): "the plugin folders are not followed any more"}
        if self._consumer is not None:
            ends[asyncio.create_task(self._consumer.ended())] = "calls that nobody waits for are not run any more"
        try:
            await asyncio.wait({stopped, *ends}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (stopped, *ends):
                task.cancel()
        for ended, what in ends.items():
            if ended.done() and (error := ended.exception()) is not None:
                log.critical("%s, so this process ends", what, exc_info=error)
                raise Broken(f"{type(error).__name__}: {error}") from error

    @contextlib.asynccontextmanager
    async def listening(
        self, listener: socket.socket, finish: Callable[[asyncio.Task[None]], Awaitable[None]]
    ) -> AsyncIterator[None]:
        """Serves HTTP for the length of a block. At its end no connection is taken any more, and those there
        are get the answers of their calls; `finish` sees to it that all calls are answered in time. It is
        given the server's task, which ends when they are, those that nobody waits for among them."""
        planes = self._planes()
        server = self._server(planes)

        async def serve() -> None:
            await server.serve(sockets=[listener])
            await planes.consumer.drain()

        serving = asyncio.create_task(serve(), name="http server")
        self._consumer = planes.consumer
        planes.consumer.start()
        try:
            yield
        finally:
            server.should_exit = True
            planes.consumer.stop()
            self._logs.end()
            await finish(serving)
            await serving

    def _tell_variables(self, owner: str) -> None:
        for tell in self.on_variables:
            tell(owner)

    def _planes(self) -> DataPlanes:
        parts = self._parts
        return data_planes(
            self._settings,
            self.catalogue,
            parts.store,
            parts.broker,
            parts.kept,
            self.runtime,
            Credentials(self.token_keys, parts.ledger, parts.store),
            Observers(self._logs, self._metrics, parts.journal),
            parts.package_problem,
            PlanLimits(parts.plans, self._settings.GATEWAYS, self._settings.MAX_QUEUE_SECS),
            parts.usage,
        )

    def _server(self, planes: DataPlanes) -> _Server:
        # Imported here: with pydantic's models it takes as long as starting a runner, which can go on beside it.
        from gateway.control.app import create_control
        from gateway.control.services import Services

        settings, parts, logs = self._settings, self._parts, self._logs
        services = Services(
            settings=settings,
            catalogue=self.catalogue,
            store=parts.store,
            plans=parts.plans,
            pools=parts.pools,
            logs=logs,
            metrics=self._metrics,
            runtime=self.runtime,
            token_keys=self.token_keys,
            installation_keys=InstallationKeys(settings.INSTALLATION_KEY, settings.INSTALLATION_KEY_OLD),
            usage=parts.usage,
            kept=parts.kept,
            audit=self._audit,
            variables=self.variables,
            variables_changed=self._tell_variables,
            told_secs=parts.told_secs,
            ready=lambda: self.catalogue.problem or parts.ready(),
        )
        return _Server(
            uvicorn.Config(
                Application(planes.calls, planes.results, create_control(services)),
                http=strict_protocol(
                    _bounds(settings), Proxy(settings.PROXY_SECRET) if settings.PROXY_SECRET else None
                ),
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=int(settings.DRAIN_SECS + settings.WRITE_SECS) + 1,
            )
        )


_SIGNED: Final[Mapping[str, frozenset[Role]]] = {
    "none": frozenset(),
    "tenants": frozenset({Role.TENANT}),
    "all": frozenset(Role),
}
"""Whose uploads have to be signed, by REQUIRE_SIGNED_MODULES."""


def upload_limits(settings: Settings, known: Mapping[str, Plan]) -> Limits:
    """How much a tenant or further admin may upload, by settings and plans."""

    def of_plan(name: str) -> PlanBounds:
        if not name:  # an admin's
            return PlanBounds(plan=name, modules=None, bundle_bytes=None)
        name, plan = plans.of(known, name)
        return PlanBounds(plan=name, modules=plan.modules, bundle_bytes=plan.bundle_bytes)

    return Limits(
        max_source=settings.MAX_SOURCE_BYTES,
        max_bundle=settings.MAX_BUNDLE_BYTES,
        max_modules=settings.MAX_TENANT_MODULES,
        of_plan=of_plan,
        max_versions=settings.MAX_MODULE_VERSIONS,
        signed=_SIGNED[settings.REQUIRE_SIGNED_MODULES],
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
        max_held_bytes=settings.MAX_HELD_BYTES,
    )
