"""The control plane behind a real uvicorn on a free loopback port, with a real store and a small pool and catalogue."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import msgspec
import uvicorn

from calls.pools import (
    HostStatus,
    PoolStatus,
    PoolsUnavailable,
    RunnerStatus,
    Tally,
    UnknownHost,
    UnknownPool,
    UnknownRunner,
)
from calls.sqlite.kept import SqliteKept
from catalogue.report import Endpoint, Parameter, Report
from catalogue.sealed import InstallationKeys
from catalogue.uploads import Uploads
from catalogue.view import ModuleView, Problem, Skipped, View
from deploy.planes import kept_bounds
from gateway.audit_trail import AuditTrail
from gateway.control.app import create_control
from gateway.control.services import Services
from gateway.logs import CallLogs
from gateway.metrics import Metrics
from gateway.runtime_settings import RuntimeSettings
from gateway.token_keys import TokenKeys
from gateway.usage import UsageMeter
from settings import Settings
from store.sealing import Sealer
from store.sqlite import SqliteStore
from store.variables import Variables

ADMIN = "4a1bf01e-0693-48c5-a52b-fc275205c1d8"
TENANT = "11111111-2222-4333-8444-555555555555"
KEY = "kanarienvogel-0123456789"
INSTALLATION_KEY = "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY"
SECRETS_KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY"
AUTHORIZED = {"Authorization": f"Bearer {KEY}"}


class Server(uvicorn.Server):
    """uvicorn in the test's own event loop: signals stay pytest's."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Views:
    """The catalogue: one owner's view, replaced by tests."""

    def __init__(self, view: View) -> None:
        self.current = view

    def view(self, owner: str) -> View:
        return self.current if owner == self.current.owner else View(owner, 0)

    def follow(self, owner: str) -> None:
        """No folder says anything about tenants here."""

    @property
    def uploads(self) -> Uploads:
        raise AssertionError("nothing is uploaded to this catalogue")


class TwoPools:
    """The admin's pool and a tenant's, on one host. Orders take effect at once; a third admin runner does not fit."""

    def __init__(self) -> None:
        self.all: dict[str, PoolStatus] = {}
        self.drained: list[str] = []
        self.reset()

    def reset(self) -> None:
        runner = RunnerStatus(
            id="0" * 16, state="bound", owner=ADMIN, workers=3, busy=1, calls=7, age_secs=1.5, host="vm-1"
        )
        stranger = msgspec.structs.replace(runner, id="1" * 16, owner=TENANT, workers=1, busy=0)
        self.drained = []
        self.all = {
            "admin": PoolStatus(
                name="admin", kind="admin", size=1, runners=(runner,), queue=4, cold_starts=2, kills={"time limit": 3}
            ),
            TENANT: PoolStatus(
                name=TENANT, kind="tenants", size=1, runners=(stranger,), queue=0, cold_starts=1, kills={}
            ),
        }

    def pools(self) -> list[PoolStatus]:
        return list(self.all.values())

    def hosts(self) -> list[HostStatus]:
        tenants = Tally(cold_starts=1)
        tenants.binds.observe(0.02)
        tallies = {"admin": Tally(cold_starts=2, kills={"time limit": 3}), "prewarmed": Tally(), "tenants": tenants}
        return [HostStatus(name="vm-1", draining="vm-1" in self.drained, capacity=8, load=5, tallies=tallies)]

    async def scale(self, pool: str, size: int) -> PoolStatus:
        if pool not in self.all:
            raise UnknownPool(pool)
        if pool == "admin" and not 1 <= size <= 2:
            raise ValueError("the machine has room for 2 runners")
        if pool == TENANT and size == 3:
            raise PoolsUnavailable("no runner host is there")
        self.all[pool] = msgspec.structs.replace(self.all[pool], size=size)
        return self.all[pool]

    async def drain_pool(self, pool: str) -> PoolStatus:
        if pool not in self.all:
            raise UnknownPool(pool)
        self.drained.append(pool)
        return self.all[pool]

    async def drain_runner(self, runner: str) -> PoolStatus:
        for pool in self.all.values():
            if runner == pool.runners[0].id:
                self.drained.append(runner)
                return pool
        raise UnknownRunner(runner)

    async def drain_host(self, host: str, *, draining: bool) -> HostStatus:
        if host != "vm-1":
            raise UnknownHost(host)
        self.drained = [host] if draining else []
        return self.hosts()[0]


def hello() -> ModuleView:
    """A module with two endpoints that serves though a newer version of it does not."""
    parameters = (
        Parameter(name="name", type="str"),
        Parameter(name="loud", type="bool", required=False, default="False"),
    )
    return ModuleView(
        name="hello",
        alias="v1",
        digest="ab" * 32,
        source="hello.py",
        report=Report(
            doc="Greetings.",
            endpoints=(
                Endpoint(
                    api="hello-world", methods=("GET", "PUT"), function="foo", doc="Says hello.", parameters=parameters
                ),
                Endpoint(api="add", methods=("POST",), function="add", parameters=parameters[:1], timeout=2.5),
            ),
            functions=("inner",),
            imports=("json",),
        ),
        problem=Problem(module="hello", text="NameError: jsn", line=3, since=1.0),
    )


def numbered(count: int, apis: int = 1) -> list[ModuleView]:
    """Modules `m0000` and so on, each with the APIs `api-00` and so on."""
    endpoints = tuple(Endpoint(api=f"api-{number:02}", methods=("GET",), function="f") for number in range(apis))
    return [
        ModuleView(
            name=f"m{number:04}", alias=None, digest="cd" * 32, source="m.py", report=Report(endpoints=endpoints)
        )
        for number in range(count)
    ]


def view(*modules: ModuleView, revision: int = 1) -> View:
    """The admin's view, with one problem of no module and one skipped file."""
    return View(
        ADMIN,
        revision,
        modules,
        problems=[Problem(module="orphan", text="its __ID__ is nobody's", since=2.0)],
        skipped=[Skipped(path="big.py", reason="larger than MAX_SOURCE_BYTES")],
    )


@dataclass
class Plane:
    """A running control plane."""

    client: httpx.AsyncClient
    """Sends the admin's key."""
    services: Services
    catalogue: Views
    pools: TwoPools
    store: SqliteStore
    port: int
    missing: str | None = None
    """What is not ready."""

    async def json(self, method: str, path: str, status: int = 200, **sent: Any) -> Any:
        """The JSON answered, after checking the status."""
        response = await self.client.request(method, path, **sent)
        assert response.status_code == status, response.text
        return response.json()

    async def raw(self, line: bytes, *headers: bytes) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body for a request with these lines; it has a connection of its own."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(b"\r\n".join((line, *headers, b"Host: a", b"Connection: close", b"", b"")))
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        top, _, body = answer.partition(b"\r\n\r\n")
        first, *lines = top.decode("latin-1").split("\r\n")
        answered = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        return int(first.split()[1]), answered, body

    async def reset(self) -> None:
        """Back to how it was when it started."""
        self.catalogue.current = view(hello())
        self.pools.reset()
        self.missing = None
        changed = [one.name for one in self.services.runtime.view() if one.source == "control plane"]
        await self.services.runtime.change(dict.fromkeys(changed))

    def printed(self, output: bytes, **changed: Any) -> None:
        """One call printed this."""
        call: dict[str, Any] = {
            "time": 1_700_000_000.0,
            "call": "a" * 32,
            "owner": ADMIN,
            "module": "hello",
            "api": "hello-world",
            "outcome": "VALUE",
            "status": 200,
            "truncated": False,
            "run_ms": 1.5,
        }
        self.services.logs.add(output=output, **(call | changed))


def settings(**changed: Any) -> Settings:
    """Settings of an installation with two named URL parameters out of three."""
    given = {"ADMIN_UUID": ADMIN, "ADMIN_KEY": KEY, "MAX_RUNNERS": 5, "NUM_URL_PARMS": 3}
    return Settings.model_validate(given | {"URL_PARMS": ("city", "street", "parm_3")} | changed)


@contextlib.asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[Plane]:
    """A control plane with its store in `folder`."""
    store = SqliteStore(folder)
    await store.open()
    kept = SqliteKept(folder, kept_bounds(settings()))
    await kept.open()
    runtime = RuntimeSettings(settings(), store)
    await runtime.load()
    catalogue, pools = Views(view(hello())), TwoPools()
    plane: Plane
    services = Services(
        settings=settings(),
        catalogue=catalogue,
        store=store,
        plans=("free", "standard"),
        pools=pools,
        logs=CallLogs(max_bytes=64 * 1024),
        metrics=Metrics(lambda: 5, lambda: 6),
        runtime=runtime,
        installation_keys=InstallationKeys(INSTALLATION_KEY),
        token_keys=TokenKeys(ADMIN, Sealer(SECRETS_KEY), store),
        usage=UsageMeter(store, 90),
        kept=kept,
        audit=AuditTrail(store.audit, keep_days=90, keep_entries=100),
        variables=Variables(store.variables, Sealer(SECRETS_KEY)),
        variables_changed=lambda _: None,
        ready=lambda: plane.missing,
    )
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    config = uvicorn.Config(
        create_control(services), http="httptools", lifespan="off", log_config=None, access_log=False
    )
    server = Server(config)
    running = asyncio.create_task(server.serve([listener]))
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=AUTHORIZED, trust_env=False) as client:
        plane = Plane(client, services, catalogue, pools, store, port)
        try:
            yield plane
        finally:
            services.logs.end()
            server.should_exit = True
            await running
            await kept.close()
            await store.close()


def problems(answer: Any) -> dict[str, str]:
    """The problems of an error in the control plane's form, by field."""
    assert set(answer) == {"status", "errors"}
    assert isinstance(answer["status"], str)
    return {error["field"]: error["problem"] for error in answer["errors"]}


def lines(content: bytes) -> list[Any]:
    """The values of a stream of lines of JSON."""
    return [json.loads(line) for line in content.split(b"\n") if line]
