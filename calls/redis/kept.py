"""Kept calls kind `redis`: any number of gateways on one Redis, by whose clock leases and results end.

An access list needs the keys `plugbay:kept:*`, the commands that `calls.redis.kept_script` calls, and `hello info eval`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection
from typing import Any, Final

from calls.kept import (
    SWEEP,
    Found,
    KeptBounds,
    KeptCall,
    KeptUnavailable,
    Result,
    Taken,
    decode,
    encode,
    full_of_all,
    full_of_owner,
    size_of,
)
from calls.redis import fitness
from calls.redis.connection import Connection, RedisError, parse_address
from calls.redis.kept_script import SCRIPT

log = logging.getLogger("plugbay.kept")

ANSWER_SECS: Final = 5.0
"""Seconds that Redis has for one operation, connecting included."""


class RedisKept:
    """See calls.kept.KeptCalls. Redis may come and go: each operation connects when there is no connection."""

    def __init__(self, url: str, bounds: KeptBounds, setting: str = "KEPT_URL") -> None:
        """`setting` names the address. Raises BadAddress."""
        self._address = parse_address(url, setting)
        self._setting = setting
        self._bounds = bounds
        self._connection: Connection | None = None
        self._connecting = asyncio.Lock()
        self._closed = False
        self.waiting = 0
        """See KeptCalls."""

    async def open(self) -> None:
        """See KeptCalls. A Redis that is away is no reason not to start. Raises Unfit."""
        try:
            await self._connected()
        except (OSError, RedisError, TimeoutError) as error:
            if isinstance(error, RedisError) and (unfit := fitness.refused(error, self._setting)) is not None:
                raise unfit from error
            log.warning("redis %s: calls cannot be kept yet: %s", self._address, error)

    async def close(self) -> None:
        """See KeptCalls."""
        self._closed = True
        await self._disconnect()

    async def put(self, call: KeptCall, most: int) -> None:
        """See KeptCalls."""
        content, bounds = encode(call), self._bounds
        owner_most = min(most, bounds.max_owner)
        size = size_of(content)
        told = await self._do("put", call.id, call.owner, content, size, owner_most, bounds.max_total, *self._most)
        if isinstance(told, bytes):
            self._refuse(told, owner_most)
        self.waiting = told

    async def hold(self, id: str, owner: str, mark: bytes, secs: float) -> Found | None:
        """See KeptCalls."""
        while (told := await self._do("hold", id, owner, mark, size_of(mark), _ms(secs), *self._most)) is not None:
            if isinstance(told, bytes):
                self._refuse(told, 0)
            if (found := _found(told)) is not None:
                return found
            await self.forget(id)  # it cannot be read
        return None

    async def find(self, id: str) -> Found | None:
        """See KeptCalls."""
        return _found(await self._do("find", id))

    async def forget(self, id: str) -> bool:
        """See KeptCalls."""
        return bool(await self._do("forget", id))

    async def forget_owner(self, owner: str) -> None:
        """See KeptCalls."""
        await self._do("forget_owner", owner)

    async def take(self, but: Collection[str] = ()) -> Taken | None:
        """See KeptCalls."""
        while True:
            self.waiting, *taken = await self._do("take", _ms(self._bounds.lease_secs), SWEEP, *but)
            if not taken:
                return None
            id, content, attempt = taken
            if (call := decode(content, KeptCall)) is not None:
                return Taken(call, attempt)
            await self.forget(id.decode())

    async def renew(self, ids: Collection[str]) -> None:
        """See KeptCalls."""
        await self._do("renew", _ms(self._bounds.lease_secs), *ids)

    async def again(self, taken: Taken, secs: float, *, counts: bool) -> None:
        """See KeptCalls."""
        await self._do("again", taken.call.id, taken.attempt, _ms(secs), 0 if counts else -1)

    async def finish(self, id: str, result: Result, most: int) -> None:
        """See KeptCalls."""
        content, bounds = encode(result), self._bounds
        own, all = bounds.owner_bytes, bounds.max_bytes
        await self._do("finish", id, content, size_of(content), _ms(bounds.secs), most, own, all)

    @property
    def _most(self) -> tuple[int, int, int]:
        """Bytes of one owner, bytes in all, and what is swept."""
        return self._bounds.owner_bytes, self._bounds.max_bytes, SWEEP

    def _refuse(self, bound: bytes, calls: int) -> None:
        """Raises Full."""
        bounds = self._bounds
        if bound == b"own calls":
            raise full_of_owner(f"{calls} calls", "MAX_KEPT, or `results` of its plan")
        if bound == b"all calls":
            raise full_of_all(f"{bounds.max_total} calls", "MAX_KEPT_TOTAL")
        if bound == b"own bytes":
            raise full_of_owner(f"{bounds.owner_bytes} bytes", "MAX_KEPT_BYTES")
        raise full_of_all(f"{bounds.max_bytes} bytes", "MAX_KEPT_BYTES")

    async def _do(self, *operation: str | int | bytes) -> Any:
        """What one operation gives. Raises KeptUnavailable."""
        if self._closed:
            raise KeptUnavailable("calls are not kept any more")
        try:
            async with asyncio.timeout(ANSWER_SECS):
                connection = await self._connected()
                return await connection.ask("EVAL", SCRIPT, 0, *operation)
        except TimeoutError as error:
            await self._disconnect()
            raise KeptUnavailable(f"Redis {self._address} did not answer within {ANSWER_SECS:g} s") from error
        except (OSError, RedisError, fitness.Unfit) as error:
            raise KeptUnavailable(f"Redis {self._address}: {error}") from error

    async def _connected(self) -> Connection:
        """Raises OSError, RedisError, Unfit or TimeoutError."""
        async with self._connecting:
            if self._connection is None:
                async with asyncio.timeout(ANSWER_SECS):
                    connection = await Connection.open(self._address, _ignore, self._lost)
                    try:
                        await fitness.check(connection, self._setting)
                    except BaseException:
                        await connection.close()
                        raise
                self._connection = connection
            return self._connection

    def _lost(self, why: str) -> None:
        self._connection = None
        log.warning("redis %s: connection of kept calls lost: %s", self._address, why)

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()


def _ms(secs: float) -> int:
    return int(secs * 1000)


def _found(told: Any) -> Found | None:
    if told is None:
        return None
    owner, result, mark = told
    if result is None:
        return Found(owner.decode(), None, mark or b"")
    read = decode(result, Result)
    return None if read is None else Found(owner.decode(), read, mark or b"")


def _ignore(_: bytes) -> None:
    pass
