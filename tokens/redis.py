"""Ledger kind `redis`: for any number of gateways on one Redis, by whose clock all judge.

A used token is a key that goes when nobody could take the token any more. When this Redis began is a key too, with
the run it is of: one that was restarted or emptied begins anew, whatever it had saved. An access list needs the keys
`plugbay:tokens:*` and the commands `set get time`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, Final, NamedTuple, Protocol
from uuid import UUID

from tokens.ledger import CLOCK_BACK_SECS, LedgerUnavailable, begin_ms
from tokens.opening import SKEW_SECS, BadToken, Opened, check_fresh

log = logging.getLogger("plugbay.tokens")

ANSWER_SECS: Final = 1.0
"""Seconds that Redis has to say whether a token was used."""
_PREFIX: Final = b"plugbay:tokens:"
_BEGIN: Final = b"plugbay:tokens:begin"

Command = tuple[str | int | bytes, ...]


class Redis(Protocol):
    """What is asked of the connection to Redis."""

    @property
    def run_id(self) -> str:
        """Which run of Redis it leads to, from its start to its end; empty while there is none."""

    async def together(self, *commands: Command) -> list[Any]:
        """The answers to commands that are executed in this order, over the connection there is. What Redis
        refuses is answered with an exception in its place. Raises ConnectionError."""


class _Noted(NamedTuple):
    """What Redis says of a token."""

    first: bool
    """It had not been noted before."""
    begin_ms: int | None
    """What was made up to then may have been used; None: Redis began just now."""
    now_ms: int


class RedisLedger:
    """See tokens.ledger.Ledger. What comes in one turn of the event loop is noted in one round trip."""

    def __init__(self, redis: Redis, life_secs: int) -> None:
        """`life_secs`: how long a token is good for."""
        self._redis = redis
        self._life_secs = life_secs
        self._keep_secs = life_secs + SKEW_SECS + CLOCK_BACK_SECS
        self._waiting: list[tuple[bytes, asyncio.Future[_Noted]]] = []
        """Keys of the tokens that came in this turn."""
        self._tasks: set[asyncio.Task[None]] = set()

    def joined(self) -> None:
        """There is a new connection: if it leads to a Redis that began anew, that is noted before a token comes."""
        self._start(self._look())

    async def spend(self, tenant: UUID, opened: Opened) -> None:
        """See Ledger."""
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._note)
        noted: asyncio.Future[_Noted] = loop.create_future()
        self._waiting.append((_PREFIX + tenant.bytes + opened.jti, noted))
        found = await noted
        check_fresh(opened, found.now_ms, self._life_secs)
        if not found.first:
            raise BadToken("it was used")
        if found.begin_ms is None:
            raise BadToken("Redis began anew, and may not know of it")
        if opened.issued_ms <= found.begin_ms:
            raise BadToken("it was made before this Redis knows of all tokens")

    def _note(self) -> None:
        waiting, self._waiting = self._waiting, []
        self._start(self._note_all(waiting))

    async def _note_all(self, waiting: list[tuple[bytes, asyncio.Future[_Noted]]]) -> None:
        try:
            run = self._run()
            sets = (("SET", key, b"", "NX", "EX", self._keep_secs) for key, _ in waiting)
            # In this order: who finds the begin unchanged after a key was set, set it where all tokens are.
            *taken, begin, now = await self._ask(*sets, ("GET", _BEGIN), ("TIME",))
            now_ms = _milliseconds(now)
            since = _since(begin, run)
            if since is None:
                await self._begin(run, now_ms)
        except LedgerUnavailable as error:
            for _, noted in waiting:
                if not noted.done():  # its client is gone
                    noted.set_exception(LedgerUnavailable(str(error)))
            return
        for (_, noted), answer in zip(waiting, taken, strict=True):
            if not noted.done():
                noted.set_result(_Noted(answer is not None, since, now_ms))

    async def _look(self) -> None:
        """Notes when Redis began, unless that is noted."""
        try:
            run = self._run()
            begin, now = await self._ask(("GET", _BEGIN), ("TIME",))
            if _since(begin, run) is None:
                await self._begin(run, _milliseconds(now))
        except LedgerUnavailable as error:
            log.warning("tokens: %s", error)

    async def _begin(self, run: bytes, now_ms: int) -> None:
        # Two gateways may do so one after the other: the later begin holds, and refuses more.
        await self._ask(("SET", _BEGIN, b"%s %d" % (run, begin_ms(now_ms))))

    def _run(self) -> bytes:
        run = self._redis.run_id
        if not run:
            raise LedgerUnavailable("Redis is away")
        return run.encode()

    async def _ask(self, *commands: Command) -> list[Any]:
        """Raises LedgerUnavailable when any of them was not carried out."""
        try:
            async with asyncio.timeout(ANSWER_SECS):
                answers = await self._redis.together(*commands)
        except TimeoutError as error:
            raise LedgerUnavailable(f"Redis did not answer within {ANSWER_SECS:g} s") from error
        except ConnectionError as error:
            raise LedgerUnavailable(str(error)) from error
        for answer in answers:
            if isinstance(answer, Exception):
                raise LedgerUnavailable(f"Redis refuses: {answer}") from answer
        return answers

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work, name="token ledger")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _since(begin: bytes | None, run: bytes) -> int | None:
    """When this run of Redis began, as noted; None when that is not."""
    of_run, _, since = (begin or b"").partition(b" ")
    return int(since) if of_run == run else None


def _milliseconds(time: list[bytes]) -> int:
    """What TIME answers: seconds and microseconds."""
    seconds, micros = time
    return int(seconds) * 1000 + int(micros) // 1000
