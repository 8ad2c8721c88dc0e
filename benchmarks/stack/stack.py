"""One stack: a gateway and a runner host with tenants' modules, and what it takes to measure them."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import secrets
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import settings
from benchmarks.client import Client, Question
from benchmarks.load import Invalid
from benchmarks.plan import Plan
from benchmarks.processes import START_SECS, started
from benchmarks.stack import images, services
from benchmarks.stack.images import Images
from benchmarks.systems import ECHOED, MEASURED, QUERY, Running, Served, System, called, running
from deploy.stores import open_store
from store.contract import Tenant

ADMIN: Final = "5f0f3dd4-9c1c-4d39-9c52-0b7dbd9a4a31"
_PLANS: Final = Path(__file__).with_name("plans.toml")
"""Without limits of calls: they are what is measured."""
_KEY: Final = "key-of-a-benchmark"
_LABEL: Final = "plugbay.installation"
_POLL_SECS: Final = 0.02
_TENANT_SECS: Final = 2.0
"""Seconds that the gateway's start may take longer for each tenant: for its module a runner is started first."""


@dataclass(frozen=True)
class Site:
    """What the stacks of one row share."""

    plan: Plan
    images: Images
    mongo: str
    network: str
    runtimes: list[str]


@contextlib.contextmanager
def site(plan: Plan) -> Iterator[Site]:
    """Images, a MongoDB and the network of the admin's runners; nothing of them is left but the images.
    Raises Unable, or Invalid when something does not start."""
    made = images.prepare()
    engine = images.engine()
    network = f"plugbay-benchmark-{secrets.token_hex(4)}"
    with services.mongo(made.mongo, plan.folder) as mongo:
        engine.create_network(network, driver="bridge")
        try:
            yield Site(plan, made, mongo, network, images.runtimes())
        finally:
            engine.remove_network(network)


def without(at: Site) -> str:
    """What a table says of runtimes that the Engine lacks; nothing when it has all."""
    missing = ", ".join(name for name in images.RUNTIMES if name not in at.runtimes)
    if not missing:
        return ""
    print(f"NOT MEASURED: the Docker Engine has no runtime {missing}", file=sys.stderr)
    return f" **Not measured**: the Docker Engine has no runtime {missing}."


class Stack:
    """A stack that answers, with one module for each of its tenants."""

    def __init__(self, name: str, gateway: Running, nginx: Served, tenants: Mapping[str, Question]) -> None:
        self.name = name
        self.gateway = gateway
        self.nginx = nginx
        self.tenants = tenants
        """The echo of each, by UUID."""
        self._engine = images.engine()

    def containers(self) -> dict[str, str | None]:
        """Its runners' containers by id, with the owner of each; None: nobody yet. A quarter of a second old."""
        owners = {runner["id"]: runner["owner"] for pool in self._pools() for runner in pool["runners"]}
        return {container: owners.get(runner) for container, runner in self._runners().items()}

    def await_rest(self, prewarmed: int, spent: frozenset[str] = frozenset()) -> frozenset[str]:
        """Returns when there are so many prewarmed runners, none of them in `spent`, and nothing else but the
        admin's; gives their ids. Raises Invalid when that takes too long."""
        ready: frozenset[str] = frozenset()

        def rests() -> bool:
            nonlocal ready
            pools = {pool["name"]: pool["runners"] for pool in self._pools()}
            ready = frozenset(one["id"] for one in pools["prewarmed"] if one["state"] == "prewarmed")
            there = sorted(self._runners().values())
            return (
                len(ready) == prewarmed
                and not ready & spent
                and there == sorted([*ready, *(one["id"] for one in pools["admin"])])
            )

        _until(rests, f"{prewarmed} prewarmed runners and no others")
        return ready

    def _runners(self) -> dict[str, str]:
        """Runner of each container there is, running or not."""
        found = self._engine.containers(all=True, filters={"label": [f"{_LABEL}={self.name}"]})
        return {one["Id"]: one["Labels"]["plugbay.runner"] for one in found}

    def _pools(self) -> list[dict[str, Any]]:
        connection = http.client.HTTPConnection("127.0.0.1", self.gateway.port, timeout=10)
        with contextlib.closing(connection):
            try:
                connection.request("GET", "/api/pools", headers={"Authorization": f"Bearer {_KEY}"})
                answer = connection.getresponse()
                pools: list[dict[str, Any]] = json.loads(answer.read())["pools"]
            except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
                raise Invalid(f"/api/pools: no answer: {error!r}") from error
        return pools


@contextlib.contextmanager
def serving(at: Site, runtime: str, tenants: int, **chosen: str) -> Iterator[Stack]:
    """A stack whose tenants' runners are run by `runtime`; `chosen` are further settings. Every tenant has
    been called once. Raises Invalid."""
    name = f"bench-{runtime}-{secrets.token_hex(4)}"
    folder = at.plan.subfolder(name)
    modules = _write_modules(folder / "plugins", tenants)
    environ = {
        "ADMIN_UUID": ADMIN,
        "ADMIN_KEY": _KEY,
        "PLANS": str(_PLANS),
        "PROXY_SECRET": secrets.token_urlsafe(32),
        "ADMIN_IMAGE": at.images.admin,
        "MONGO_URI": at.mongo,
        "MONGO_DATABASE": name,
        "LOG_LEVEL": "INFO",
        **chosen,
    }
    with contextlib.ExitStack() as held:
        redis = held.enter_context(services.redis(at.images.redis, name, folder))
        asyncio.run(_register(environ, list(modules)))
        held.callback(_remove_left, name)
        host = environ | {
            "REDIS_URL": redis.url("host"),
            "HOST_NAME": name,
            "LAUNCHER": "docker",
            "RUNNERS_DIR": str(at.plan.subfolder(f"{name}/run")),
            "ADMIN_NETWORK": at.network,
            "TENANT_IMAGE": at.images.tenant,
            "TENANT_RUNTIME": runtime,
        }
        held.enter_context(started([sys.executable, "-m", "deploy.host"], folder / "host.log", host))
        system = _gateway(environ, redis, folder / "plugins", runtime, modules)
        start_secs = START_SECS + tenants * _TENANT_SECS
        gateway = held.enter_context(running(system, folder, start_secs=start_secs))
        port = held.enter_context(services.nginx(at.images.nginx, name, gateway.port, environ["PROXY_SECRET"], folder))
        stack = Stack(name, gateway, Served(f"{gateway.name}, nginx", port, gateway.echo), modules)
        with Client(gateway.port) as client:
            for question in modules.values():
                _until(partial(_answers, client, question), question.path)
        stack.nginx.check()
        yield stack


def _gateway(
    environ: Mapping[str, str], redis: services.Redis, plugins: Path, runtime: str, modules: Mapping[str, Question]
) -> System:
    own = {**environ, "REDIS_URL": redis.url("gateway"), "PLUGINS": str(plugins), "GATEWAY_HOST": "127.0.0.1"}
    return System(
        name=f"plugbay stack, {runtime}",
        command=lambda _: [sys.executable, "-m", "deploy.gateway"],
        environ=lambda port: {**own, "GATEWAY_PORT": str(port)},
        echo=next(iter(modules.values())),
    )


def _write_modules(plugins: Path, tenants: int) -> dict[str, Question]:
    """The measured functions once per tenant; gives the echo of each."""
    plugins.mkdir(parents=True)
    source = MEASURED.read_text()
    modules: dict[str, Question] = {}
    for number in range(tenants):
        tenant = str(uuid.uuid4())
        (plugins / f"measured_{number}.py").write_text(f'{source}\n\n__ID__ = "{tenant}"\n')
        path = f"/rest/services/{tenant}/measured_{number}/echo/{QUERY}"
        modules[tenant] = Question(path, called("echo", ECHOED))
    return modules


async def _register(environ: Mapping[str, str], tenants: list[str]) -> None:
    store = await open_store(settings.load(environ=environ))
    try:
        for tenant in tenants:
            await store.add_tenant(Tenant(uuid=tenant))
    finally:
        await store.close()


def _answers(client: Client, question: Question) -> bool:
    """Whether it serves already; a wrong answer of something that does is told at once."""
    status, _ = client.get(question.path)
    if status == 200:
        client.check(question)
    return status == 200


def _until(holds: Callable[[], bool], what: str) -> None:
    until = time.perf_counter() + START_SECS
    while not holds():
        if time.perf_counter() > until:
            raise Invalid(f"not there within {START_SECS:g} s: {what}")
        time.sleep(_POLL_SECS)


def _remove_left(name: str) -> None:
    """Removes what a host that did not end by itself has left."""
    engine = images.engine()
    for one in engine.containers(all=True, filters={"label": [f"{_LABEL}={name}"]}):
        print(f"container {one['Names'][0]} was left behind: removed", file=sys.stderr)
        subprocess.run(["docker", "rm", "--force", one["Id"]], capture_output=True, timeout=START_SECS, check=False)
