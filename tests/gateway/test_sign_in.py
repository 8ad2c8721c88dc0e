"""Given calls that take somebody who is signed in, when nginx says who is or anybody else does, then nginx is believed."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
import uvicorn

from calls import payload
from calls.broker import Answer
from calls.call import Call, Outcome, Reply
from calls.inprocess import InProcessBroker
from calls.sqlite.kept import SqliteKept
from catalogue.view import View
from deploy.planes import data_planes, kept_bounds
from gateway.app import Application
from gateway.credentials import Credentials
from gateway.http.forwarded import Proxy
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
from store.contract import Tenant
from store.sealing import Sealer
from store.sqlite import SqliteStore
from tests.gateway.control_server import ADMIN, SECRETS_KEY, Server, hello, settings
from tests.gateway.strict_server import bounds
from tokens.memory import MemoryLedger

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECRET = "a-secret-of-the-tests"
TENANT = "0e3c5f3a-4a3b-4f53-9be0-30c3d0d9f2a1"
OF_ADMIN = "/rest/services/hello-world/"
OF_TENANT = f"/rest/services/{TENANT}/hello-world/"
ANN = {
    "X-Auth-Request-User": "ann-1",
    "X-Auth-Request-Email": "ann@example.com",
    "X-Auth-Request-Groups": "staff,admins",
}
SEEN = {"user": "ann-1", "email": "ann@example.com", "groups": ["staff", "admins"]}


def told(state: str, claims: dict[str, str] | None = None) -> dict[str, str]:
    """What nginx sends of a request when the service gave this answer."""
    return {"X-Plugbay-Proxy": f"{SECRET} {state}".strip()} | (claims or {})


class Runs:
    """What functions were given as `__request__`."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []

    def accept(self, call: Call, answer: Answer) -> None:
        """See calls.broker.CallHandler."""
        request = payload.decode(call.payload).request
        assert request is not None
        self.requests.append(json.loads(request))
        answer(Reply(call=call.id, outcome=Outcome.VALUE, payload=b'"ran"'))


class Everybody:
    """A catalogue in which everybody has the module `hello`."""

    ready = True

    def view(self, owner: str) -> View:
        """See gateway.dataplane.Catalogue."""
        return View(owner, 1, [hello()])


class Plane:
    """A gateway of this installation."""

    def __init__(self, client: httpx.AsyncClient, runs: Runs) -> None:
        self._client = client
        self.runs = runs

    async def ask(self, path: str, headers: Any = None, method: str = "GET") -> httpx.Response:
        """One request."""
        return await self._client.request(method, path, headers=headers)

    async def seen(self, headers: Any) -> dict[str, Any]:
        """What the admin's function is told of a request with these headers."""
        self.runs.requests.clear()
        assert (await self.ask(OF_ADMIN, headers)).status_code == 200
        [request] = self.runs.requests
        return request


@contextlib.asynccontextmanager
async def serving(folder: Path, required: str, proxy: Proxy | None) -> AsyncIterator[Plane]:
    """One whose calls take somebody signed in as `required` says."""
    chosen = settings(REQUIRE_SIGN_IN=required, PROXY_SECRET=SECRET)
    store = SqliteStore(folder)
    await store.open()
    await store.add_tenant(Tenant(uuid=TENANT, name="Ada"))
    runs = Runs()
    broker = InProcessBroker(1000, 2000, 2**27)
    broker.attach("telling", runs)
    kept = SqliteKept(folder, kept_bounds(chosen))
    await kept.open()
    quiet = os.open(os.devnull, os.O_WRONLY)
    journal = Journal(100, quiet, terminal=False)
    planes = data_planes(
        chosen,
        Everybody(),
        store,
        broker,
        kept,
        RuntimeSettings(chosen, store),
        Credentials(TokenKeys(ADMIN, Sealer(SECRETS_KEY), store), MemoryLedger(30), store),
        Observers(CallLogs(64 * 1024), Metrics(lambda: 0, lambda: 0), journal),
        lambda: None,
        PlanLimits({"free": Plan(memory_mb=64, cpus=1, runners=1, workers=1)}, 1, 10),
        UsageMeter(store, 90),
    )
    planes.consumer.start()
    app: Any = Application(planes.calls, planes.results, None)
    listener = socket.create_server(("127.0.0.1", 0))
    protocol = strict_protocol(bounds(), proxy)
    server = Server(uvicorn.Config(app, http=protocol, lifespan="off", ws="none", log_config=None, access_log=False))
    running = asyncio.create_task(server.serve([listener]))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
        client.headers.clear()
        try:
            yield Plane(client, runs)
        finally:
            await client.aclose()
            server.should_exit = True
            await running
            await planes.consumer.drain()
            await broker.close()
            await kept.close()
            await store.close()
            journal.close()
            os.close(quiet)


Planes = dict[tuple[str, str], Plane]
"""By what is required, and whether the gateway knows the proxy's secret."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def planes(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Planes]:
    made: Planes = {}
    async with contextlib.AsyncExitStack() as stack:
        for required in ("none", "tenants", "all"):
            for kind, proxy in (("stack", Proxy(SECRET)), ("embedded", None)):
                folder = tmp_path_factory.mktemp("store")
                made[required, kind] = await stack.enter_async_context(serving(folder, required, proxy))
        yield made


@pytest.fixture(autouse=True)
def nothing_ran(planes: Planes) -> None:
    for plane in planes.values():
        plane.runs.requests.clear()


@pytest.mark.parametrize("required", ["none", "tenants", "all"])
async def test_whose_calls_take_somebody_who_is_signed_in(planes: Planes, required: str) -> None:
    takes = {OF_ADMIN: required == "all", OF_TENANT: required != "none"}
    plane = planes[required, "stack"]
    for path, taken in takes.items():
        for state, refused in (("nobody", 401), ("refused", 403), ("away", 503), ("", 503), ("yes", 503)):
            answer = await plane.ask(path, told(state))
            assert answer.status_code == (refused if taken else 200), (path, state)
        assert (await plane.ask(path, told("known", ANN))).status_code == 200
        assert (await plane.ask(path, told("nobody"), "OPTIONS")).status_code == 204
        directory = path.replace("hello-world", "__dir__")
        assert (await plane.ask(directory, told("nobody"))).status_code == (401 if taken else 200)


async def test_a_program_is_told_where_to_sign_in_and_a_browser_is_sent_there(planes: Planes) -> None:
    plane = planes["all", "stack"]
    start = f"/oauth2/start?rd={OF_ADMIN}%3Fa%3D1%26b%3D/x"
    path = f"{OF_ADMIN}?a=1&b=/x"
    for method, accept in (("GET", "application/json"), ("PUT", "text/html")):
        answer = await plane.ask(path, told("nobody") | {"Accept": accept}, method)
        assert answer.status_code == 401
        assert answer.json() == {"status": f"this takes somebody who is signed in: {start}"}
        assert answer.headers["www-authenticate"] == "Bearer"
    answer = await plane.ask(path, told("nobody") | {"Accept": "text/html,*/*"})
    assert (answer.status_code, answer.headers["location"]) == (302, start)
    assert not plane.runs.requests


async def test_the_function_sees_who_it_is_and_nobody_stores_the_answer(planes: Planes) -> None:
    plane = planes["none", "stack"]
    answer = await plane.ask(OF_ADMIN, told("known", ANN))
    assert answer.headers["cache-control"] == "no-store"
    assert plane.runs.requests[0]["identity"] == SEEN
    umlaut = (b"X-Auth-Request-User", "ümlaut".encode())
    seen = await plane.seen([umlaut, *((name.encode(), value.encode()) for name, value in told("known").items())])
    assert seen["identity"] == {"user": "ümlaut", "email": "", "groups": []}
    assert "cache-control" not in (await plane.ask(OF_ADMIN, told("nobody"))).headers


FORGED = ANN | {
    "X-Forwarded-User": "root",
    "X-Forwarded-Email": "root@example.com",
    "X-Forwarded-Groups": "admins",
    "X-Forwarded-Preferred-Username": "root",
    "X-Auth-Request-Access-Token": "t",
    "Remote-User": "root",
    "X-Remote-User": "root",
    "X-WebAuth-User": "root",
    "X-Authenticated-User": "root",
    "X-Plugbay-Identity": "root",
}


@pytest.mark.parametrize(
    "claimed",
    [
        {},
        {"X-Plugbay-Proxy": "known"},
        {"X-Plugbay-Proxy": f"{SECRET}known"},
        {"X-Plugbay-Proxy": f"known {SECRET}"},
        {"X-Plugbay-Proxy": f"{SECRET[:-1]} known"},
        told(""),
        told("nobody"),
        told("refused"),
        told("away"),
        told("known known"),
    ],
)
@pytest.mark.parametrize("kind", ["stack", "embedded"])
async def test_what_anybody_says_of_himself_is_no_identity(planes: Planes, claimed: dict[str, str], kind: str) -> None:
    request = await planes["none", kind].seen(FORGED | claimed | {"X-Mine": "kept"})
    assert request["identity"] is None
    assert request["headers"].keys() - {"host"} == {"x-mine"}
    plane = planes["all", kind]
    assert (await plane.ask(OF_ADMIN, FORGED | claimed)).status_code in (401, 403, 503)
    assert not plane.runs.requests


@pytest.mark.parametrize(
    "claims",
    [
        [],
        [("X-Auth-Request-Email", "ann@example.com")],
        [("X-Auth-Request-User", "")],
        [("X-Auth-Request-User", "ann"), ("X-Auth-Request-User", "bob")],
        [("X-Auth-Request-User", "ann"), ("X-Auth-Request-Groups", "staff"), ("X-Auth-Request-Groups", "admins")],
        [("X-Auth-Request-User", b"\xff\xfe")],
    ],
)
async def test_somebody_of_whom_it_is_not_clear_who_it_is_is_nobody(
    planes: Planes, claims: list[tuple[str, str | bytes]]
) -> None:
    plane = planes["all", "stack"]
    headers = [(b"X-Plugbay-Proxy", f"{SECRET} known".encode())]
    headers += [(name.encode(), value if isinstance(value, bytes) else value.encode()) for name, value in claims]
    assert (await plane.ask(OF_ADMIN, headers)).status_code == 503
    assert not plane.runs.requests


async def test_a_function_cannot_sign_in_as_its_caller(planes: Planes) -> None:
    plane = planes["none", "stack"]
    cookies = "a=1; _plugbay_session=s; __Host-plugbay_session_0=s;_plugbay_session_csrf=s; b=2"
    for state in ("known", "nobody", "refused", "away", ""):
        request = await plane.seen(told(state, ANN) | {"Cookie": cookies, "Authorization": "bearer t"})
        assert request["headers"]["cookie"] == "a=1; b=2"
        # What the service did not take is meant for the function.
        assert ("authorization" in request["headers"]) is (state in ("nobody", ""))
    request = await plane.seen(told("known", ANN) | {"Cookie": "_plugbay_session=s", "Authorization": "Basic eDp5"})
    assert "cookie" not in request["headers"]
    assert request["headers"]["authorization"] == "Basic eDp5"
