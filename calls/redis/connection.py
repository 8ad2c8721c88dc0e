"""One connection to Redis: commands leave in order, their answers come to callbacks, nothing waits in between.

A general client costs a task or a future per command; here a call costs a write and a callback.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast
from urllib.parse import unquote, urlsplit

import hiredis

_CLOSE_SECS: Final = 1.0
"""Seconds that what was written last gets to leave."""
_NOTHING: Final = object()


class BadAddress(ValueError):
    """A setting is not the address of a Redis; the message says which, and what it takes."""


class RedisError(Exception):
    """Redis answered a command with this error."""


@dataclass(frozen=True)
class Address:
    """Where a Redis listens, and as whom to speak to it."""

    target: str | tuple[str, int]
    """Path of its Unix socket, or host and port."""
    username: str
    password: str
    database: int

    def __str__(self) -> str:
        """For people: without the credentials."""
        return self.target if isinstance(self.target, str) else f"{self.target[0]}:{self.target[1]}"


def parse_address(url: str, setting: str = "REDIS_URL") -> Address:
    """`redis://[[user]:password@]host[:port][/database]` or `unix://[[user]:password@]/path`. Raises BadAddress."""
    parts = urlsplit(url)
    username, password = unquote(parts.username or "default"), unquote(parts.password or "")
    try:
        if parts.scheme == "unix" and parts.path:
            return Address(unquote(parts.path), username, password, 0)
        if parts.scheme == "redis" and parts.hostname:
            database = int(parts.path.strip("/") or 0)
            return Address((parts.hostname, parts.port or 6379), username, password, database)
    except ValueError:
        pass  # a port or a database that is not a number
    raise BadAddress(f"{setting}: redis://[[user]:password@]host[:port][/database] or unix://[[user]:password@]/path")


class Connection(asyncio.Protocol):
    """Speaks RESP3, so that messages of a channel arrive between the answers. `on_lost` is told why, once,
    when the connection ends without `close`."""

    def __init__(self, on_message: Callable[[bytes], None], on_lost: Callable[[str], None]) -> None:
        self._on_message = on_message
        self._on_lost = on_lost
        self._reader = hiredis.Reader(replyError=RedisError, notEnoughData=_NOTHING)
        self._expected: deque[Callable[[Any], None] | None] = deque()
        self._transport: asyncio.Transport | None = None
        self._ended = asyncio.Event()

    @classmethod
    async def open(
        cls, address: Address, on_message: Callable[[bytes], None], on_lost: Callable[[str], None]
    ) -> Connection:
        """Connects and logs in. Raises OSError, or RedisError when Redis refuses."""
        loop = asyncio.get_running_loop()
        connection = cls(on_message, on_lost)
        if isinstance(address.target, str):
            await loop.create_unix_connection(lambda: connection, address.target)
        else:
            await loop.create_connection(lambda: connection, *address.target)
        try:
            login = ("AUTH", address.username, address.password) if address.password else ()
            await connection.ask("HELLO", "3", *login)
            if address.database:
                await connection.ask("SELECT", address.database)
        except BaseException:
            await connection.close()
            raise
        return connection

    def send(self, *command: str | int | bytes, then: Callable[[Any], None] | None = None) -> None:
        """Sends a command; `then` is given its answer, a RedisError where it failed. Without effect when closed."""
        if self._transport is not None and not self._transport.is_closing():
            self._expected.append(then)
            self._transport.write(hiredis.pack_command(cast(Any, command)))

    def send_all(self, commands: Sequence[tuple[str | int | bytes, ...]], then: Callable[[Any], None]) -> None:
        """Sends commands in one piece; `then` is given the answer to each, in order. Without effect when closed."""
        if self._transport is not None and not self._transport.is_closing():
            self._expected.extend([then] * len(commands))
            self._transport.write(b"".join([hiredis.pack_command(cast(Any, command)) for command in commands]))

    async def ask(self, *command: str | int | bytes) -> Any:
        """The answer to a command. Raises RedisError, or ConnectionError when the connection ends before it."""
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def deliver(value: Any) -> None:
            if not answer.done():
                answer.set_result(value)

        if self._transport is None or self._transport.is_closing():
            raise ConnectionResetError("Redis closed the connection")
        self.send(*command, then=deliver)
        value = await answer
        if isinstance(value, Exception):
            raise value
        return value

    async def close(self) -> None:
        """Sends what is written and closes; returns when the connection is gone."""
        self._on_lost = _not_told
        if self._transport is None:
            return
        self._transport.close()
        try:
            async with asyncio.timeout(_CLOSE_SECS):
                await self._ended.wait()
        except TimeoutError:
            self._transport.abort()
            await self._ended.wait()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is open."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Hands out answers and messages."""
        try:
            self._reader.feed(data)
            while (item := self._reader.gets()) is not _NOTHING:
                self._handle(item)
        except hiredis.ProtocolError as error:
            self._lose(f"what Redis sends cannot be understood: {error}")

    def _handle(self, item: Any) -> None:
        if isinstance(item, hiredis.PushNotification) and item[0] == b"message":
            self._on_message(item[2])
        elif self._expected:
            then = self._expected.popleft()
            if then is not None:
                then(item)
        else:
            self._lose("Redis sent an answer to nothing")

    def _lose(self, why: str) -> None:
        if self._transport is not None:
            self._transport.abort()
        told, self._on_lost = self._on_lost, _not_told
        told(why)

    def connection_lost(self, error: Exception | None) -> None:
        """Tells those who wait for answers, and the owner."""
        self._transport = None
        self._ended.set()
        lost = ConnectionResetError("Redis closed the connection")
        while self._expected:
            then = self._expected.popleft()
            if then is not None:
                then(lost)
        self._lose(f"Redis closed the connection: {error}" if error else "Redis closed the connection")


def _not_told(_: str) -> None:
    pass
