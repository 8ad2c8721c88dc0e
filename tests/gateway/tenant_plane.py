"""Both planes over a real store and catalogue whose modules are imported in processes of their own."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from calls.sqlite.kept import SqliteKept
from catalogue.sealed import InstallationKeys
from deploy.planes import kept_bounds
from gateway.audit_trail import AuditTrail
from gateway.control.app import create_control
from gateway.control.services import Services
from gateway.logs import CallLogs
from gateway.metrics import Metrics
from gateway.runtime_settings import RuntimeSettings
from gateway.token_keys import TokenKeys
from gateway.usage import UsageMeter
from store.sealing import Sealer
from store.variables import Variables
from tests.catalogue.conftest import Installation
from tests.gateway.control_server import ADMIN, AUTHORIZED, INSTALLATION_KEY, SECRETS_KEY, Server, TwoPools, settings


@dataclass
class TenantPlane:
    """A running control plane with tenants."""

    client: httpx.AsyncClient
    """Sends the admin's key."""
    installation: Installation
    pools: TwoPools
    services: Services
    port: int

    async def register(self, name: str, **more: Any) -> Any:
        """A tenant, with its key."""
        answer = await self.client.post("/api/tenants", json={"name": name} | more)
        assert answer.status_code == 201, answer.text
        return answer.json()

    def speaking(self, key: str) -> httpx.AsyncClient:
        """A client with another key."""
        return httpx.AsyncClient(
            base_url=self.client.base_url, headers={"Authorization": f"Bearer {key}"}, trust_env=False
        )


@contextlib.asynccontextmanager
async def serving(folder: Path, importer: subprocess.Popen[bytes]) -> AsyncIterator[TenantPlane]:
    """A control plane with its store and plugin folder in `folder`."""
    installation = Installation(folder, importer)
    await installation.start()
    kept = SqliteKept(folder, kept_bounds(settings()))
    await kept.open()
    runtime = RuntimeSettings(settings(), installation.store)
    await runtime.load()
    pools = TwoPools()
    services = Services(
        settings=settings(MAX_SOURCE_BYTES=100_000),
        catalogue=installation.catalogue,
        store=installation.store,
        plans=("free", "standard"),
        pools=pools,
        logs=CallLogs(max_bytes=64 * 1024),
        metrics=Metrics(lambda: 0, lambda: 0),
        runtime=runtime,
        installation_keys=InstallationKeys(INSTALLATION_KEY),
        token_keys=TokenKeys(ADMIN, Sealer(SECRETS_KEY), installation.store),
        usage=UsageMeter(installation.store, 90),
        kept=kept,
        audit=AuditTrail(installation.store.audit, keep_days=90, keep_entries=100),
        variables=Variables(installation.store.variables, Sealer(SECRETS_KEY)),
        variables_changed=lambda _: None,
        ready=lambda: None,
    )
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    app = create_control(services)
    server = Server(uvicorn.Config(app, http="httptools", lifespan="off", log_config=None, access_log=False))
    running = asyncio.create_task(server.serve([listener]))
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=AUTHORIZED, trust_env=False) as client:
        try:
            yield TenantPlane(client, installation, pools, services, port)
        finally:
            services.logs.end()
            server.should_exit = True
            await running
            await kept.close()
            await installation.stop()
