"""Given a Redis that is away, hung, full or badly set up, when calls are sent, then they are refused until it serves."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator

import pytest

from calls.broker import Refused, ask
from calls.call import Outcome
from calls.redis.connection import BadAddress, parse_address
from calls.redis.fitness import Unfit
from calls.redis.gateway import RedisBroker
from calls.redis.host import RedisHost
from tests.calls.conftest import Ends
from tests.calls.ends import EchoHost, FixedPools, PatientHost, bounds, call, submit
from tests.calls.redis_server import RedisServer, running
from tests.waiting import until

pytestmark = pytest.mark.needs("redis")


@pytest.fixture
def configured(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    """A Redis with the lines of redis.conf that the test gives."""
    with running(*request.param) as server:
        yield server


async def test_when_redis_is_killed_calls_are_refused_until_it_is_back(ends: Ends, redis: RedisServer) -> None:
    host = PatientHost()
    await ends.host(host)
    gateway = await ends.gateway()
    await gateway.ready()
    answer = submit(gateway, call(limit=30))
    await host.has(1)
    redis.kill()
    assert (await answer).outcome is Outcome.DIED
    with pytest.raises(Refused, match="Redis does not answer") as refused:
        submit(gateway, call())
    assert not refused.value.limited
    assert refused.value.retry_after > 0
    assert gateway.unanswered == 0
    redis.start()
    await gateway.ready()
    again = submit(gateway, call())
    await host.has(2)
    host.answer(1, b"back")
    assert (await again).payload == b"back"


async def test_when_redis_hangs_calls_are_refused_and_those_in_flight_answered(ends: Ends, redis: RedisServer) -> None:
    await ends.host(PatientHost())
    gateway = await ends.gateway()
    await gateway.ready()
    answer = submit(gateway, call(limit=30))
    redis.signal(signal.SIGSTOP)
    await until(lambda: gateway.problem is not None)
    assert not answer.done()
    with pytest.raises(Refused, match="Redis does not answer"):
        submit(gateway, call())
    assert (await answer).outcome is Outcome.DIED
    redis.signal(signal.SIGCONT)
    await gateway.ready()
    assert gateway.problem is None


async def test_both_ends_may_start_before_redis(ends: Ends, redis: RedisServer) -> None:
    redis.kill()
    await ends.host(EchoHost("h"))
    gateway = await ends.gateway()
    with pytest.raises(Refused, match="Redis does not answer"):
        submit(gateway, call())
    redis.start()
    await gateway.ready()
    assert (await ask(gateway, call())).media_type == "h"


@pytest.mark.parametrize("configured", [["maxmemory-policy allkeys-lru"]], indirect=True)
async def test_a_redis_that_evicts_is_refused_at_the_start(configured: RedisServer) -> None:
    with pytest.raises(Unfit, match=r"allkeys-lru.*Set `maxmemory-policy noeviction`"):
        await RedisBroker(configured.url, 1, 1, 1).open()
    with pytest.raises(Unfit, match="noeviction"):
        await RedisHost(configured.url, "h", EchoHost(), FixedPools(), bounds()).open()
    with configured.client() as client:
        assert len(client.client_list()) == 1


@pytest.mark.parametrize("configured", [["requirepass right"]], indirect=True)
async def test_wrong_credentials_are_named_at_the_start(configured: RedisServer) -> None:
    for url in (configured.url, configured.url.replace("unix://", "unix://:wrong@")):
        with pytest.raises(Unfit, match="REDIS_URL: Redis refuses this user"):
            await RedisBroker(url, 1, 1, 1).open()


_ROLE = "on >secret resetchannels -@all +hello +info +rpush +pexpire +blmpop +publish +subscribe"
_ROLES = [
    "user default off",
    f"user gateway {_ROLE} %W~plugbay:calls:* ~plugbay:replies:* &plugbay:hosts &plugbay:gateways",
    f"user host {_ROLE} ~plugbay:calls:* %W~plugbay:replies:* &plugbay:hosts &plugbay:gateways",
]


@pytest.mark.parametrize("configured", [_ROLES], indirect=True)
async def test_each_role_needs_no_more_than_a_small_access_list(configured: RedisServer) -> None:
    ends = Ends(configured.url.replace("unix://", "unix://host:secret@"))
    async with ends.stack:
        await ends.host(EchoHost("h"))
        broker = RedisBroker(configured.url.replace("unix://", "unix://gateway:secret@"), 10, 10, 2**20)
        await broker.open()
        await broker.ready()
        assert (await ask(broker, call())).media_type == "h"
        await broker.close()


async def test_when_redis_is_full_calls_are_answered_as_not_run(ends: Ends, redis: RedisServer) -> None:
    await ends.host(EchoHost("h"))
    gateway = await ends.gateway()
    await gateway.ready()
    with redis.client() as client:
        client.config_set("maxmemory", 1)
        full = await ask(gateway, call())
        assert (full.outcome, full.payload) == (Outcome.UNAVAILABLE, b"Redis does not take the call")
        client.config_set("maxmemory", 0)
    assert (await ask(gateway, call())).media_type == "h"


async def test_a_redis_elsewhere_is_reached_over_tcp() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with running("bind 127.0.0.1", f"port {port}", "requirepass p@ss"):
        ends = Ends(f"redis://:p%40ss@127.0.0.1:{port}/3")
        async with ends.stack:
            await ends.host(EchoHost("h"))
            gateway = await ends.gateway()
            await gateway.ready()
            assert (await ask(gateway, call())).media_type == "h"


async def test_what_one_gateway_has_in_redis_is_bounded(ends: Ends) -> None:
    host = PatientHost()
    await ends.host(host)
    gateway = await ends.gateway()
    await gateway.ready()
    large = bytes(16 * 1024 * 1024)
    for _ in range(8):
        submit(gateway, call(payload=large))
    with pytest.raises(Refused, match="bytes of calls are unanswered") as refused:
        submit(gateway, call(payload=large))
    assert not refused.value.limited


def test_addresses() -> None:
    address = parse_address("redis://user:p%40ss@redis.internal:6380/2")
    assert address.target == ("redis.internal", 6380)
    assert (address.username, address.password, address.database) == ("user", "p@ss", 2)
    assert str(address) == "redis.internal:6380"
    assert parse_address("redis://redis").target == ("redis", 6379)
    assert parse_address("unix:///run/redis.sock").target == "/run/redis.sock"


@pytest.mark.parametrize("url", ["", "redis://", "http://redis", "rediss://redis", "redis://redis:x", "redis://r/name"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(BadAddress, match="REDIS_URL: redis://"):
        parse_address(url)
