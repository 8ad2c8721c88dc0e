"""A real runner host with real zygotes and workers, driven as a broker would, and the modules a test gives it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, Self

import msgspec

from calls import bundle, frames, payload
from calls.call import Call, Kind, Outcome, Reply, new_call_id
from runner.host import Host
from runner.launcher import Launcher, Resources
from runner.limits import PoolLimits
from runner.runner import Limits
from runner.sorting import RoleOf, tenants_alone
from runner.tenants import PlanOf, TenantLimits
from runner.worker import kernel
from store.contract import Module, ModuleSet
from tests.waiting import until

MIB = 1024 * 1024
CLIENTS = 16
OWNER = "4a1bf01e-0693-48c5-a52b-fc275205c1d8"


class Modules:
    """The module set of one owner, as the store would give it."""

    def __init__(self) -> None:
        self.revision = 1
        self.bundles: dict[str, bytes] = {}
        self._names: dict[str, str] = {}

    def put(self, name: str, files: str | dict[str, str]) -> str:
        """Adds or replaces a module, and gives its digest."""
        digest = self.keep(name, files)
        self._names[name] = digest
        self.revision += 1
        return digest

    def keep(self, name: str, files: str | dict[str, str]) -> str:
        """Keeps a bundle without making it a module of the set."""
        sources = {f"{name}.py": files} if isinstance(files, str) else files
        data = bundle.pack({path: source.encode() for path, source in sources.items()})
        digest = bundle.digest(data)
        self.bundles[digest] = data
        return digest

    async def modules(self, owner: str) -> ModuleSet:
        """See runner.modules.ModuleSource."""
        found = [
            Module(owner=owner, name=name, alias=None, digest=digest, source=name, environment="", report=b"{}")
            for name, digest in sorted(self._names.items())
        ]
        return ModuleSet(owner=owner, revision=self.revision, modules=tuple(found))

    async def bundle(self, digest: str) -> bytes | None:
        """See runner.modules.ModuleSource."""
        return self.bundles.get(digest)


class NoPackages:
    """An environment with nothing in it."""

    def variables(self) -> dict[str, str]:
        """See runner.pool.Environment."""
        return {"FROM_OWNER": "yes"}

    def packages(self) -> list[str]:
        """See runner.pool.Environment."""
        return []


class Bench:
    """A host under test."""

    def __init__(self, host: Host, modules: Modules, before: set[int], folder: Path) -> None:
        self.host = host
        self.consumed: dict[str, float] = {}
        """Processor time of each tenant, as the host has told it."""
        self.folder = folder
        """The host's own, with a folder for each runner."""
        self.modules = modules
        self._before = before
        self.last: Call
        """The call that was sent last."""

    def left(self) -> set[int]:
        """Processes that the host has made, or what descends from them, and that are still there."""
        return set(kernel.descendants(os.getpid())) - self._before

    def start(self, module: str, function: str, **how: Any) -> asyncio.Future[Reply]:
        """Sends one call."""
        return self.submit(self.invocation(module, function, **how))

    def invocation(
        self,
        module: str,
        function: str,
        *,
        concurrent: bool = False,
        limit: float = 20,
        concurrency: int = 0,
        owner: str = OWNER,
        **fields: Any,
    ) -> Call:
        """A call that is not sent yet."""
        arguments = payload.Arguments(
            api=function,
            module=module,
            uuid=None,
            fields=msgspec.json.encode(fields),
            parameters=[],
            files=[],
            body=None,
            request=b"{}",
        )
        return Call(
            id=new_call_id(),
            kind=Kind.INVOKE,
            owner=owner,
            revision=self.modules.revision,
            module=module,
            function=function,
            concurrent=concurrent,
            limit=limit,
            concurrency=concurrency,
            deadline=time.time() + limit + 30,
            payload=payload.encode(arguments),
        )

    def submit(self, call: Call) -> asyncio.Future[Reply]:
        """Hands a call to the host."""
        self.last = call
        answer: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self.host.accept(call, answer.set_result)
        return answer

    async def call(self, module: str, function: str, **how: Any) -> Reply:
        """Sends one call and waits for its answer."""
        return await self.start(module, function, **how)

    async def value(self, module: str, function: str, **how: Any) -> Any:
        """The value of a call that must succeed."""
        reply = await self.call(module, function, **how)
        assert reply.outcome is Outcome.VALUE, reply
        return msgspec.json.decode(reply.payload)

    async def inspect(self, module: str, candidates: dict[str, str], limit: float = 10, owner: str = OWNER) -> Reply:
        """Asks for a module's endpoints."""
        return await self.submit(
            Call(
                id=new_call_id(),
                kind=Kind.INSPECT,
                owner=owner,
                revision=0,
                module=module,
                function="",
                concurrent=False,
                limit=limit,
                concurrency=0,
                deadline=time.time() + limit + 10,
                payload=msgspec.msgpack.encode(candidates),
            )
        )


def limits(**changes: Any) -> PoolLimits:
    """Bounds for a test."""
    usual: dict[str, Any] = {
        "runners": 1,
        "max_runners": 4,
        "max_calls": 0,
        "warm_workers": 2,
        "worker_idle_secs": 60,
        "worker_async_calls": 16,
        "max_queue_secs": 20,
        "max_result": 1024 * 1024,
        "runner": runner_limits(),
    }
    return PoolLimits(**(usual | changes))


def runner_limits(
    workers: int = 4, memory_mb: int = 256, cpus: float = 1, imports: frames.Imports | None = None
) -> Limits:
    """Bounds of one runner for a test."""
    resources = Resources(memory_bytes=memory_mb * MIB, cpus=cpus)
    return Limits(workers=workers, max_log=4096, memory_bytes=0, resources=resources, imports=imports)


def tenants(**changes: Any) -> TenantLimits:
    """Bounds of tenants for a test."""
    usual: dict[str, Any] = {
        "prewarmed": 1,
        "max_runners": 4,
        "idle_secs": 60,
        "starts_per_minute": 10,
        "pool": limits(warm_workers=1, max_runners=1),
    }
    return TenantLimits(**(usual | changes))


def one_plan(bounds: PoolLimits) -> PlanOf:
    """Every tenant has this one."""

    async def plan_of(owner: str) -> PoolLimits:
        return bounds

    return plan_of


@contextlib.asynccontextmanager
async def hosting(
    launcher: Launcher,
    pool: PoolLimits,
    all_tenants: TenantLimits,
    plan_of: PlanOf | None = None,
    *,
    role_of: RoleOf = tenants_alone,
    admins: Launcher | None = None,
    alone: bool = True,
) -> AsyncIterator[Bench]:
    """A running host without modules; without `plan_of` tenants have the least. Afterwards no process of it is
    left, which can be checked where it is alone: no other host outlives it."""
    kernel.adopt_orphans()
    before = set(kernel.descendants(os.getpid()))
    modules = Modules()
    plan_of = plan_of or one_plan(all_tenants.pool)
    folder = Path(tempfile.mkdtemp())
    consumed: dict[str, float] = {}

    def consume(owner: str, seconds: float) -> None:
        consumed[owner] = consumed.get(owner, 0.0) + seconds

    host = Host(
        *(OWNER, launcher, modules, NoPackages(), folder, pool, all_tenants, plan_of),
        consumed=consume,
        role_of=role_of,
        admins=admins,
    )
    await host.start()
    bench = Bench(host, modules, before, folder)
    bench.consumed = consumed
    yield bench
    await host.close(5)
    assert not alone or not bench.left()


class Load:
    """16 clients who call without pause for the length of a block. All of their calls must succeed."""

    def __init__(self, call: Callable[[int], Awaitable[int]]) -> None:
        """`call` makes one call of the client with this number, and gives the zygote that ran it."""
        self.zygotes: set[int] = set()
        """That ran any of the calls."""
        self._call = call
        self._section = 0
        self._seen: Counter[int] = Counter()
        self._recent: set[int] = set()
        self._ended = False

    async def _client(self, number: int) -> None:
        while not self._ended:
            section = self._section
            zygote = await self._call(number)
            self.zygotes.add(zygote)
            self._seen[section] += 1
            if section == self._section:
                self._recent.add(zygote)

    async def later(self) -> set[int]:
        """The zygotes of calls that begin from now on."""
        self._section += 1
        self._recent = set()
        await until(lambda: self._seen[self._section] >= 4 * CLIENTS or any(task.done() for task in self._clients))
        return self._recent

    async def __aenter__(self) -> Self:
        self._clients = [asyncio.create_task(self._client(number)) for number in range(CLIENTS)]
        await self.later()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._ended = True
        await asyncio.gather(*self._clients)
