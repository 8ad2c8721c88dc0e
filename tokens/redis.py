"""Ledger kind `redis`: for any number of gateways on one Redis, by whose clock all judge.

A used token is a key that goes when nobody could take the token any more. When this Redis began is a key too, with
the run it is of: one that was restarted or emptied begins anew, whatever it had saved. An access list needs the keys
`plugbay:tokens:*` and the commands `set get time`.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final, Protocol
from uuid import UUID

from tokens.ledger import CLOCK_BACK_SECS, LedgerUnavailable, begin_ms
from tokens.opening import SKEW_SECS, BadToken, Opened, check_fresh

log = logging.getLogger("plugbay.tokens")

ANSWER_SECS: Final = 1.0
"""Seconds that Redis has to say whether a token was used."""
_PREFIX: Final = b"plugbay:tokens:"
_BEGIN: Final = b"plugbay:tokens:begin"


class Redis(Protocol):
    """What is asked of the connection to Redis."""

    @property
    def run_id(self) -> str:
        """Which run of Redis it leads to, from its start to its end; empty while there is none."""

    async def together(self, *commands: tuple[str | int | bytes, ...]) -> list[Any]:
        """The answers to commands that are executed in this order, over the connection there is. What Redis
        refuses is answered with an exception in its place. Raises ConnectionError."""


class RedisLedger:
    """See tokens.ledger.Ledger."""

    def __init__(self, redis: Redis, life_secs: int) -> None:
        """`life_secs`: how long a token is good for."""
        self._redis = redis
        self._life_secs = life_secs
        self._keep_secs = life_secs + SKEW_SECS + CLOCK_BACK_SECS
        self._beginning: asyncio.Task[None] | None = None

    def joined(self) -> None:
        """There is a new connection: if it leads to a Redis that began anew, that is noted before a token comes."""
        self._beginning = asyncio.get_running_loop().create_task(self._look(), name="begin of the token ledger")

    async def spend(self, tenant: UUID, opened: Opened) -> None:
        """See Ledger."""
        run = self._run()
        key = _PREFIX + tenant.bytes + opened.jti
        # In this order: who finds the begin unchanged after the key was set, set it where all tokens are.
        taken, begin, now = await self._ask(("SET", key, b"", "NX", "EX", self._keep_secs), ("GET", _BEGIN), ("TIME",))
        now_ms = _milliseconds(now)
        check_fresh(opened, now_ms, self._life_secs)
        if taken is None:
            raise BadToken("it was used")
        of_run, _, since = (begin or b"").partition(b" ")
        if of_run != run:
            await self._begin(run, now_ms)
            raise BadToken("Redis began anew, and may not know of it")
        if opened.issued_ms <= int(since):
            raise BadToken("it was made before this Redis knows of all tokens")

    async def _look(self) -> None:
        """Notes when Redis began, unless that is noted."""
        try:
            run = self._run()
            begin, now = await self._ask(("GET", _BEGIN), ("TIME",))
            if (begin or b"").partition(b" ")[0] != run:
                await self._begin(run, _milliseconds(now))
        except LedgerUnavailable as error:
            log.warning("tokens: %s", error)

    def _run(self) -> bytes:
        run = self._redis.run_id
        if not run:
            raise LedgerUnavailable("Redis is away")
        return run.encode()

    async def _begin(self, run: bytes, now_ms: int) -> None:
        # Two gateways may do so one after the other: the later begin holds, and refuses more.
        await self._ask(("SET", _BEGIN, b"%s %d" % (run, begin_ms(now_ms))))

    async def _ask(self, *commands: tuple[str | int | bytes, ...]) -> list[Any]:
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


def _milliseconds(time: list[bytes]) -> int:
    """What TIME answers: seconds and microseconds."""
    seconds, micros = time
    return int(seconds) * 1000 + int(micros) // 1000
