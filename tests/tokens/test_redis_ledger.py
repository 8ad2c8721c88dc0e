"""The ledger on Redis when Redis is away, hangs, refuses, is emptied or restarted: nothing passes unseen."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Iterator

import pytest

from calls.redis.gateway import RedisBroker
from tests.calls.redis_server import RedisServer, running
from tests.docs.markdown import ROOT
from tests.tokens.test_ledger_contract import LIFE_SECS, TENANT, begun, is_taken, passed
from tokens.ledger import CLOCK_BACK_SECS, LedgerUnavailable
from tokens.opening import SKEW_SECS, Opened
from tokens.redis import RedisLedger

pytestmark = pytest.mark.needs("redis")
BEGIN = "plugbay:tokens:begin"


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with running() as server:
        yield server


@pytest.fixture
async def broker(server: RedisServer) -> AsyncIterator[RedisBroker]:
    broker = RedisBroker(server.url, 10, 10, 2**20)
    yield broker
    await broker.close()


@pytest.fixture
async def ledger(server: RedisServer, broker: RedisBroker) -> RedisLedger:
    """One whose Redis began long ago."""
    ledger = RedisLedger(broker, LIFE_SECS)
    broker.on_join.append(ledger.joined)
    await broker.open()
    await begun(server)
    with server.client() as client:
        run, _, _ = client.get(BEGIN).partition(b" ")
        client.set(BEGIN, run + b" 0")
    return ledger


def token(age: float = 0) -> Opened:
    return Opened(int((time.time() - age) * 1000), os.urandom(16))


async def first_of(server: RedisServer) -> Opened:
    """A token that is just not too old for the ledger as it began."""
    with server.client() as client:
        begin = int(client.get(BEGIN).partition(b" ")[2])
    await passed(begin)
    return Opened(begin + 1, os.urandom(16))


async def test_a_used_token_is_kept_longer_than_any_clock_needs(server: RedisServer, ledger: RedisLedger) -> None:
    used = token()
    assert await is_taken(ledger, used)
    with server.client() as client:
        ttl = client.ttl(b"plugbay:tokens:" + TENANT.bytes + used.jti)
    assert LIFE_SECS + SKEW_SECS + CLOCK_BACK_SECS - 5 < ttl <= LIFE_SECS + SKEW_SECS + CLOCK_BACK_SECS


async def test_after_flushing_what_was_made_before_is_refused(server: RedisServer, ledger: RedisLedger) -> None:
    used, unused = token(), token(-SKEW_SECS + 1)
    assert await is_taken(ledger, used)
    with server.client() as client:
        client.flushall()
    assert not await is_taken(ledger, used)
    assert not await is_taken(ledger, used)
    assert not await is_taken(ledger, unused), "it may have been used as well"
    assert await is_taken(ledger, await first_of(server))


async def test_after_a_restart_what_was_made_before_is_refused(server: RedisServer, ledger: RedisLedger) -> None:
    used = token()
    assert await is_taken(ledger, used)
    server.kill()
    server.start()
    while True:
        try:
            assert not await is_taken(ledger, used)
            break
        except LedgerUnavailable:
            await asyncio.sleep(0.01)
    await begun(server)
    assert not await is_taken(ledger, used)
    assert await is_taken(ledger, await first_of(server))


async def test_a_restart_from_an_old_snapshot_counts_as_a_restart(server: RedisServer, ledger: RedisLedger) -> None:
    """The begin comes back from the file, and used tokens do not."""
    with server.client() as client:
        client.save()
    used = token()
    assert await is_taken(ledger, used)
    server.kill()
    server.start()
    with server.client() as client:
        assert client.get(BEGIN), "the file was not read"
    while True:
        try:
            assert not await is_taken(ledger, used)
            break
        except LedgerUnavailable:
            await asyncio.sleep(0.01)
    assert not await is_taken(ledger, used)


async def test_nothing_passes_while_redis_is_away(server: RedisServer, ledger: RedisLedger) -> None:
    server.kill()
    for _ in range(20):
        with pytest.raises(LedgerUnavailable):
            await ledger.spend(TENANT, token())


async def test_nothing_passes_while_redis_hangs(server: RedisServer, ledger: RedisLedger) -> None:
    server.signal(signal.SIGSTOP)
    try:
        tries = await asyncio.gather(*(ledger.spend(TENANT, token()) for _ in range(20)), return_exceptions=True)
    finally:
        server.signal(signal.SIGCONT)
    assert {type(found) for found in tries} == {LedgerUnavailable}


async def test_nothing_passes_a_redis_that_is_read_only(server: RedisServer, ledger: RedisLedger) -> None:
    with server.client() as client:
        client.replicaof("127.0.0.1", 1)
    told = ""
    while "READONLY" not in told and "replica" not in told:  # it may close a connection or two before it says why
        with pytest.raises(LedgerUnavailable) as refused:
            await ledger.spend(TENANT, token())
        told = str(refused.value)


async def test_nothing_passes_a_redis_that_is_full(server: RedisServer, ledger: RedisLedger) -> None:
    used = token()
    assert await is_taken(ledger, used)
    with server.client() as client:
        client.config_set("maxmemory", 1)
    for one in (used, token()):
        with pytest.raises(LedgerUnavailable, match="OOM"):
            await ledger.spend(TENANT, one)


async def test_the_clock_that_counts_is_that_of_redis(ledger: RedisLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    """However wrong the gateway's own is."""
    now = time.time()
    fresh, old = token(), token(LIFE_SECS + 1)
    for wrong in (-120, 120):
        monkeypatch.setattr(time, "time", lambda wrong=wrong: now + wrong)
        assert not await is_taken(ledger, old)
    assert await is_taken(ledger, fresh)


async def test_the_access_list_of_the_stack_is_enough_and_gives_nothing_else(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    lines = access_list()
    with running(*lines) as server:
        url = server.url.replace("unix://", "unix://gateway:g@")
        broker = RedisBroker(url, 10, 10, 2**20)
        ledger = RedisLedger(broker, LIFE_SECS)
        broker.on_join.append(ledger.joined)
        await broker.open()
        try:
            await begun(server)
            one = Opened(int((time.time() + SKEW_SECS) * 1000), os.urandom(16))
            while not await is_taken(ledger, one):
                one = Opened(int((time.time() + SKEW_SECS) * 1000), os.urandom(16))
            assert not await is_taken(ledger, one)
            for forbidden in (
                ("DEL", BEGIN),
                ("EXPIRE", BEGIN, 1),
                ("GET", "plugbay:calls:x"),
                ("SET", "plugbay:calls:x", "1"),
                ("SET", "plugbay:replies:x", "1"),
                ("GET", "plugbay:replies:x"),
                ("SET", "other", "1"),
                ("GETDEL", BEGIN),
                ("FLUSHALL",),
            ):
                (answer,) = await broker.together(forbidden)
                assert "NOPERM" in str(answer), forbidden
        finally:
            await broker.close()
        with server.client(username="host", password="h") as host:
            for command in (("GET", BEGIN), ("SET", BEGIN, "1"), ("SET", "plugbay:tokens:x", "1"), ("TIME",)):
                with pytest.raises(Exception, match="permission"):
                    host.execute_command(*command)


def access_list() -> list[str]:
    """The users that the stack's Redis has, as its start script writes them."""
    script = (ROOT / "images/redis/start.sh").read_text(encoding="utf-8").replace("exec redis-server -", "cat")
    environ = os.environ | {"REDIS_GATEWAY_PASSWORD": "g", "REDIS_HOST_PASSWORD": "h"}
    done = subprocess.run(["sh", "-c", script], env=environ, capture_output=True, text=True, check=True)
    found = [line for line in done.stdout.splitlines() if line.startswith("user ")]
    # A user of the tests, who sees what there is.
    return [line for line in found if not line.startswith("user default")] + ["user default on nopass ~* &* +@all"]
