"""What the data plane does with a call whose answer is to be kept."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from calls.call import Outcome
from calls.kept import Found, Full, KeptCall, KeptCalls, KeptUnavailable, Result
from gateway import answers
from gateway.answers import Answer
from gateway.headers import NO_STORE
from gateway.identity import SignIn
from gateway.kept import idempotency, results
from gateway.kept.prefer import APPLIED, wants_async
from plans import Plan
from settings import Settings

log = logging.getLogger("plugbay.kept")

ACCEPTED: Final = "ACCEPTED"
"""Outcome of what is run later."""
_RETRY: Final = (b"retry-after", b"1")
_GRACE_SECS: Final = 5.0
"""Seconds longer than any call for which a key is held that has no answer."""
_NOT_RUN: Final = (Outcome.OVER_LIMIT, Outcome.UNAVAILABLE)
"""Outcomes of calls that can be sent again with the same key."""


HEADERS: Final = frozenset({b"prefer", b"idempotency-key"})
"""Those that ask for an answer to be kept."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A call that was let through, resolved and encoded."""

    scope: Any
    call: str
    """Its id."""
    known: SignIn
    token: bool
    """Whether it came with a token because it had to."""
    longest: float
    """Seconds until it is answered at the latest."""
    owner: str
    plan: tuple[str, Plan] | None
    """Its owner's, with its name; None of admins."""
    payload: bytes
    body: bytes


class Keeping:
    """Has calls be kept."""

    def __init__(self, settings: Settings, kept: KeptCalls) -> None:
        self._kept = kept
        self.on_call: list[Callable[[], None]] = []
        """Called when there is another one to be run."""
        self._most = settings.MAX_RESULTS

    def most(self, plan: Plan | None) -> int:
        """Results that an owner with this plan may have; None: an admin."""
        return self._most if plan is None or plan.results is None else min(plan.results, self._most)

    async def answer(
        self, sent: Sent, asked: Sequence[tuple[bytes, bytes]], now: Callable[[], Awaitable[Answer]]
    ) -> Answer:
        """The answer to a call with such headers; `now` runs it. Raises BadRequest."""
        keys = [value for name, value in asked if name == b"idempotency-key"]
        later = wants_async(value for name, value in asked if name == b"prefer")
        once = bool(keys) and sent.scope["method"] in idempotency.METHODS
        if not later and not once:
            return await now()
        if sent.plan is not None and not self.most(sent.plan[1]):
            what = "asynchronously" if later else "with an Idempotency-Key"
            return answers.refused(403, f"plan {sent.plan[0]}: no results are kept, so no call runs {what}")
        run = partial(self._later, sent) if later else now
        try:
            return await (self._once(sent, idempotency.key_of(keys), run) if once else run())
        except Full as error:
            return results.full(error)
        except KeptUnavailable as error:
            return results.unavailable(error)

    async def _later(self, sent: Sent) -> Answer:
        """Accepts a call that is run when nobody waits for it any more. Raises Full, KeptUnavailable."""
        id, client = results.new_id(), sent.scope["client"]
        call = KeptCall(
            id=id,
            owner=sent.owner,
            call=sent.call,
            method=sent.scope["method"],
            path=sent.scope["raw_path"].decode("latin-1"),
            client=client[0] if client else "",
            payload=sent.payload,
            size=len(sent.body),
            accepted=time.time(),
        )
        await self._kept.put(call, self._most_of(sent))
        for tell in self.on_call:
            tell()
        where = results.PREFIX + id.encode()
        answer = answers.json(202, {"status": "ACCEPTED", "call": sent.call, "result": where.decode()})
        answer.headers += ((b"location", where), APPLIED, _RETRY, NO_STORE)
        answer.outcome = ACCEPTED
        return answer

    async def _once(self, sent: Sent, key: bytes, run: Callable[[], Awaitable[Answer]]) -> Answer:
        """Runs a call unless one with this key was, and keeps what it answers. What ends in between, be it this
        gateway, may have run: the key is free again when the call would be over. Raises Full, KeptUnavailable."""
        credential = idempotency.credential_of(sent.scope["headers"], sent.known, token=sent.token)
        id = idempotency.id_of(sent.owner, credential, key)
        mark = idempotency.mark_of(sent.scope, sent.body)
        found = await self._kept.hold(id, sent.owner, mark, sent.longest + _GRACE_SECS)
        if found is not None:
            return _repeated(found, mark)
        try:
            answer = await run()
        except (Full, KeptUnavailable):
            await self._kept.forget(id)
            raise
        if answer.outcome == ACCEPTED or (answer.reply is not None and answer.reply.outcome not in _NOT_RUN):
            await self._store(id, results.keep(answer, sent.call), self._most_of(sent))
        else:
            await self._kept.forget(id)
        return answer

    async def _store(self, id: str, result: Result, most: int) -> None:
        """Keeps an answer, or says in the log that it could not: it is given in any case."""
        try:
            await self._kept.finish(id, result, most)
        except KeptUnavailable as error:
            log.warning("the answer under an Idempotency-Key is not kept: %s", error, extra={"call": result.call})

    def _most_of(self, sent: Sent) -> int:
        return self.most(None if sent.plan is None else sent.plan[1])


def _repeated(found: Found, mark: bytes) -> Answer:
    """What a request is answered whose key is taken."""
    if found.mark != mark:
        return answers.refused(422, "this Idempotency-Key was sent with another request: take a new one for each")
    if found.result is None:
        return answers.refused(409, "the request with this Idempotency-Key is being carried out", (_RETRY,))
    answer = results.give(found.result)
    answer.headers += (idempotency.REPLAYED,)
    return answer
