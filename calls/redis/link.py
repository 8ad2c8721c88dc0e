"""A process's place among the others: its list, its signs of life, and one incarnation per connection."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import secrets
from collections.abc import Callable
from functools import partial
from typing import Any, Final, Protocol

from calls.redis import fitness
from calls.redis.connection import Connection, RedisError, parse_address
from calls.redis.keys import BLOCK_SECS, LIST_SECS, READ_COUNT, SUSPECT_TICKS, TICK_SECS, TTL_TICKS, Side

log = logging.getLogger("plugbay.broker")

_CONNECT_SECS: Final = 2.0
_BACKOFF_SECS: Final = (0.05, 0.1, 0.25, 0.5, 1.0)
"""Seconds between attempts to connect: each time longer, and a random part shorter."""
_READER_TICKS: Final = int(BLOCK_SECS / TICK_SECS) + TTL_TICKS
_COMPLAINTS: Final = 5
"""Lines about dropped messages per tick; the others are counted."""

Refuse = Callable[[str], None]


class Member(Protocol):
    """Who uses a link. Everything is called on the event loop and must not raise."""

    def joined(self) -> None:
        """A new incarnation begins."""

    def left(self, why: str) -> None:
        """The incarnation is over."""

    def received(self, message: bytes) -> None:
        """A message from its own list."""

    def heard(self, message: bytes) -> None:
        """A sign of life from the other side."""

    def sign(self) -> bytes:
        """Its own sign of life."""

    def tick(self) -> None:
        """TICK_SECS have passed."""


class Link:
    """Keeps its member connected until it is closed."""

    def __init__(self, url: str, side: Side, member: Member) -> None:
        self._address = parse_address(url)
        self._side = side
        self._member = member
        self.incarnation = ""
        """Empty while Redis is away."""
        self.run_id = ""
        """Which run of Redis the connection leads to; empty while it is away."""
        self.ticks = 0
        self._away = "not connected yet"
        self._unfit: fitness.Unfit | None = None
        self._writer: Connection | None = None
        self._reader: Connection | None = None
        self._broken: asyncio.Future[str]
        self._outbox: dict[str, tuple[list[bytes], list[Refuse]]] = {}
        self._owed_since: int | None = None
        self._read_at = 0
        self._complaints = 0
        self._attempted = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._loop = asyncio.get_running_loop()

    @property
    def problem(self) -> str | None:
        """Why nothing can be sent now, in words for anybody; None while Redis answers."""
        if self._writer is None and self._unfit is not None:
            return "Redis is not set up to carry calls; the platform's log says how"
        late = self._owed_since is not None and self.ticks - self._owed_since >= SUSPECT_TICKS
        return "Redis does not answer" if late or self._writer is None else None

    async def open(self) -> None:
        """Returns after the first attempt to connect; the link goes on trying. Raises Unfit, and is closed."""
        self._task = self._loop.create_task(self._run(), name=f"redis link {self._side.inbox}")
        await self._attempted.wait()
        if self._unfit is not None:
            await self.close()
            raise self._unfit

    async def close(self) -> None:
        """Sends what is in the outbox, then ends the incarnation."""
        if self._task is not None:
            self._flush()
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def _run(self) -> None:
        failures = 0
        while True:
            try:
                await self._join()
            except (OSError, RedisError, fitness.Unfit) as error:
                self._failed(error)
            else:
                joined_at = self.ticks
                try:
                    self._away = await self._live()
                finally:
                    await self._leave()
                log.warning("redis %s: connection lost: %s", self._address, self._away)
                if self.ticks - joined_at > TTL_TICKS:
                    failures = 0
            delay = _BACKOFF_SECS[min(failures, len(_BACKOFF_SECS) - 1)]
            failures += 1
            await asyncio.sleep(delay * (1 - random.random() / 4))

    def _failed(self, error: Exception) -> None:
        if isinstance(error, RedisError):
            error = fitness.refused(error) or error
        why = str(error) or f"no answer for {_CONNECT_SECS:g} s"
        if why != self._away:
            log.warning("redis %s: cannot connect: %s", self._address, why)
        self._away = why
        self._unfit = error if isinstance(error, fitness.Unfit) else None
        self._attempted.set()

    async def _join(self) -> None:
        self._broken = self._loop.create_future()
        async with contextlib.AsyncExitStack() as opened, asyncio.timeout(_CONNECT_SECS):
            writer = await Connection.open(self._address, self._heard, self._break)
            opened.push_async_callback(writer.close)
            run_id = await fitness.check(writer)
            await writer.ask("SUBSCRIBE", self._side.listens)
            reader = await Connection.open(self._address, self._heard, self._break)
            opened.pop_all()
        self._writer, self._reader = writer, reader
        self.run_id = run_id
        self.incarnation = secrets.token_hex(16)
        self._unfit = self._owed_since = None
        log.info("redis %s: connected as %s", self._address, self.incarnation)
        self._read()
        self._member.joined()
        self.beat()
        self._attempted.set()

    async def _live(self) -> str:
        """Returns why the connection is of no use any more."""
        while True:
            await asyncio.wait({self._broken}, timeout=TICK_SECS)
            if self._broken.done():
                return self._broken.result()
            self.ticks += 1
            if self._owed_since is not None and self.ticks - self._owed_since >= TTL_TICKS:
                return f"no answer for {TTL_TICKS * TICK_SECS:g} s"
            if self.ticks - self._read_at >= _READER_TICKS:
                return f"nothing was read for {_READER_TICKS * TICK_SECS:g} s"
            self._member.tick()
            self.beat()
            if self._complaints > _COMPLAINTS:
                log.warning("redis %s: dropped %d more messages", self._address, self._complaints - _COMPLAINTS)
            self._complaints = 0

    async def _leave(self) -> None:
        closing = [connection.close() for connection in (self._writer, self._reader) if connection is not None]
        self._writer = self._reader = None
        self._outbox.clear()
        self._member.left("the connection to Redis was lost")
        self.incarnation = self.run_id = ""
        await asyncio.gather(*closing)

    def _break(self, why: str) -> None:
        if not self._broken.done():
            self._broken.set_result(why)

    # Sending.

    def beat(self) -> None:
        """Says that this process lives, and how it is."""
        if self._writer is None:
            return
        if self._owed_since is None:
            self._owed_since = self.ticks
        self._writer.send("PUBLISH", self._side.speaks, self._member.sign(), then=self._beat_answered)

    def _beat_answered(self, answer: Any) -> None:
        self._owed_since = None
        if isinstance(answer, RedisError):
            self._break(f"a sign of life is refused: {answer}")

    def push(self, key: str, message: bytes, refused: Refuse | None = None) -> None:
        """Appends to a list, together with all that this turn of the event loop pushes; dropped while Redis is
        away. `refused` is told why Redis did not take it."""
        if self._writer is None:
            return
        if not self._outbox:
            self._loop.call_soon(self._flush)
        messages, refusals = self._outbox.setdefault(key, ([], []))
        messages.append(message)
        if refused is not None:
            refusals.append(refused)

    def _flush(self) -> None:
        if self._writer is None:
            return
        for key, (messages, refusals) in self._outbox.items():
            self._writer.send("RPUSH", key, *messages, then=partial(self._pushed, refusals))
            self._writer.send("PEXPIRE", key, LIST_SECS * 1000)
        self._outbox.clear()

    def _pushed(self, refusals: list[Refuse], answer: Any) -> None:
        if isinstance(answer, RedisError):
            log.error("redis %s: messages are refused: %s", self._address, answer)
            for refused in refusals:
                refused(str(answer))

    async def together(self, *commands: tuple[str | int | bytes, ...]) -> list[Any]:
        """The answers to commands that are executed in this order, among those of others; what Redis refuses is
        answered with a RedisError. Raises ConnectionError when Redis is away, or goes before it has answered."""
        problem = self.problem
        if self._writer is None or problem is not None:
            raise ConnectionResetError(problem or self._away)
        answers: list[Any] = []
        complete: asyncio.Future[None] = self._loop.create_future()

        def deliver(answer: Any) -> None:
            answers.append(answer)
            if len(answers) == len(commands) and not complete.done():
                complete.set_result(None)

        self._writer.send_all(commands, deliver)
        await complete
        for answer in answers:
            if isinstance(answer, ConnectionError):
                raise answer
        return answers

    # Receiving.

    def _read(self) -> None:
        self._read_at = self.ticks
        if self._reader is not None:
            key = self._side.inbox + self.incarnation
            self._reader.send("BLMPOP", BLOCK_SECS, 1, key, "LEFT", "COUNT", READ_COUNT, then=self._got)

    def _got(self, answer: Any) -> None:
        if isinstance(answer, RedisError):
            self._break(f"the list cannot be read: {answer}")
        elif not isinstance(answer, Exception):
            self._read()
            for message in answer[1] if answer else ():
                self._member.received(message)

    def _heard(self, message: bytes) -> None:
        if self._writer is not None:  # not before this incarnation has begun
            self._member.heard(message)

    def complain(self, what: str) -> None:
        """One line about a message that was dropped, unless there are many."""
        self._complaints += 1
        if self._complaints <= _COMPLAINTS:
            log.warning("redis %s: dropped a message: %s", self._address, what)
