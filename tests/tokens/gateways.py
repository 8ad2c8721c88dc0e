"""Gateways as the stack has them, with a real data plane, store and Redis; what runs calls only counts them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import uvicorn

from calls.broker import Answer
from calls.call import Call, Outcome, Reply
from calls.inprocess import InProcessBroker
from calls.redis.gateway import RedisBroker
from calls.redis.kept import RedisKept
from catalogue.view import View
from deploy.planes import data_planes, kept_bounds
from gateway.app import Application
from gateway.credentials import Credentials
from gateway.http.protocol import strict_protocol
from gateway.journal import Journal
from gateway.limits import PlanLimits
from gateway.logs import CallLogs
from gateway.metrics import Metrics
from gateway.observers import Observers
from gateway.runtime_settings import RuntimeSettings
from gateway.token_keys import TokenKeys
from gateway.usage import UsageMeter
from plans import Plan
from plugbay_client.token import TokenKey, mint
from store.contract import Tenant
from store.sealing import Sealer
from store.sqlite import SqliteStore
from tests.calls.redis_server import RedisServer
from tests.gateway.control_server import ADMIN, SECRETS_KEY, Server, hello, settings
from tests.gateway.strict_server import bounds
from tests.tokens.test_ledger_contract import begun
from tokens.redis import RedisLedger

ADA = "0e3c5f3a-4a3b-4f53-9be0-30c3d0d9f2a1"
BOB = "7b1de1cc-93cb-4bd1-9d5b-0f5c2f6c8a10"


PLANS = {
    "free": Plan(memory_mb=64, cpus=1, runners=1, workers=1),
    "few": Plan(memory_mb=64, cpus=1, runners=1, workers=1, results=2),
    "none": Plan(memory_mb=64, cpus=1, runners=1, workers=1, results=0),
}


@dataclass
class Answered:
    """What a gateway answered."""

    status: int
    headers: dict[str, str]
    body: bytes


class Runs:
    """Who was run."""

    def __init__(self) -> None:
        self.owners: list[str] = []
        self.outcomes: list[Outcome] = []
        """How the next calls end; after that each gives a value."""
        self.waits = False
        """Calls are not answered yet."""
        self.hung: str | None = None
        """Whose calls are not answered at all."""
        self.calls: list[tuple[Call, Answer]] = []

    def accept(self, call: Call, answer: Answer) -> None:
        """See calls.broker.CallHandler."""
        self.owners.append(call.owner)
        self.calls.append((call, answer))
        if not self.waits:
            self.answer()

    def answer(self) -> None:
        """Answers the calls that are not answered."""
        ready = [one for one in self.calls if one[0].owner != self.hung]
        self.calls = [one for one in self.calls if one[0].owner == self.hung]
        for call, answer in ready:
            outcome = self.outcomes.pop(0) if self.outcomes else Outcome.VALUE
            answer(Reply(call=call.id, outcome=outcome, payload=b'"ran"'))


class Everybody:
    """A catalogue in which everybody has the module `hello`."""

    ready = True

    def view(self, owner: str) -> View:
        """See gateway.dataplane.Catalogue."""
        return View(owner, 1, [hello()])


@dataclass
class Gateway:
    """One gateway."""

    port: int
    runtime: RuntimeSettings
    keys: TokenKeys
    kept: RedisKept

    async def send(
        self, method: str, target: str, token: str | None = None, *, lines: tuple[bytes, ...] = (), body: bytes = b""
    ) -> Answered:
        """One request on a connection of its own, exactly as given."""
        top = [f"{method} {target} HTTP/1.1".encode(), b"Host: a", b"Connection: close", *lines]
        if token is not None:
            top.append(b"Authorization: Token " + token.encode("latin-1"))
        if body:
            top.append(b"Content-Length: %d" % len(body))
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(b"\r\n".join((*top, b"", body)))
            head, _, content = (await reader.read()).partition(b"\r\n\r\n")
        finally:
            writer.close()
        first, *rest = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in rest)}
        return Answered(int(first.split()[1]), headers, content)


@dataclass
class Gateways:
    """Two gateways on one Redis and one store, with two tenants that have a key each."""

    redis: RedisServer
    store: SqliteStore
    both: list[Gateway]
    runs: Runs
    tokens: dict[str, TokenKey] = field(default_factory=dict)

    @property
    def one(self) -> Gateway:
        return self.both[0]

    def mint(self, target: str, method: str = "GET", owner: str = ADA, age: float = 0) -> str:
        """A token made with the key of this owner, so many seconds ago."""
        return mint(self.tokens[owner], UUID(owner), method, target, time.time() - age)

    async def require(self, what: str | None) -> None:
        """Changes REQUIRE_TOKENS, as the control plane does, and waits until both gateways have it."""
        await self.one.runtime.change({"REQUIRE_TOKENS": what})
        for gateway in self.both:
            await gateway.runtime.load()
            await gateway.keys.load()


@contextlib.asynccontextmanager
async def gateways(folder: Path, redis: RedisServer) -> AsyncIterator[Gateways]:
    """Two gateways that require tokens of all calls."""
    async with contextlib.AsyncExitStack() as stack:
        store = SqliteStore(folder)
        await store.open()
        stack.push_async_callback(store.close)
        for uuid, name in ((ADA, "Ada"), (BOB, "Bob")):
            await store.add_tenant(Tenant(uuid=uuid, name=name))
        made = Gateways(redis, store, [], Runs())
        for _ in range(2):
            made.both.append(await stack.enter_async_context(_serving(made)))
        for owner in (ADA, BOB, ADMIN):
            made.tokens[owner], _ = await made.one.keys.make(owner)
        await begun(redis)
        long_ago(redis)
        await made.require("all")
        yield made


def long_ago(redis: RedisServer) -> None:
    """Has this run of Redis have begun long ago."""
    with redis.client() as client:
        run, _, _ = client.get("plugbay:tokens:begin").partition(b" ")
        client.set("plugbay:tokens:begin", run + b" 0")


@contextlib.asynccontextmanager
async def _serving(made: Gateways) -> AsyncIterator[Gateway]:
    chosen = settings()
    link = RedisBroker(made.redis.url, 10, 10, 2**20)
    ledger = RedisLedger(link, chosen.TOKEN_SECS)
    link.on_join.append(ledger.joined)
    await link.open()
    broker = InProcessBroker(1000, 2000, 2**27)
    broker.attach("counting", made.runs)
    runtime = RuntimeSettings(chosen, made.store)
    keys = TokenKeys(ADMIN, Sealer(SECRETS_KEY), made.store)
    kept = RedisKept(made.redis.url, kept_bounds(chosen))
    await kept.open()
    quiet = os.open(os.devnull, os.O_WRONLY)
    journal = Journal(100, quiet, terminal=False)
    observers = Observers(CallLogs(64 * 1024), Metrics(lambda: 0, lambda: 0), journal)
    planes = data_planes(
        chosen,
        Everybody(),
        made.store,
        broker,
        kept,
        runtime,
        Credentials(keys, ledger, made.store),
        observers,
        lambda: None,
        PlanLimits(PLANS, 1, 10),
        UsageMeter(made.store, 90),
    )
    planes.consumer.start()
    app: Any = Application(planes.calls, planes.results, None)
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        app, http=strict_protocol(bounds()), lifespan="off", ws="none", log_config=None, access_log=False
    )
    server = Server(config)
    running = asyncio.create_task(server.serve([listener]))
    try:
        yield Gateway(listener.getsockname()[1], runtime, keys, kept)
    finally:
        server.should_exit = True
        await running
        await planes.consumer.drain()
        await broker.close()
        await kept.close()
        await link.close()
        journal.close()
        os.close(quiet)
