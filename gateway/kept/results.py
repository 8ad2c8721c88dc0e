"""Answers as they are kept, and kept ones as they are given."""

from __future__ import annotations

import logging
import secrets
from typing import Final

from calls.call import Outcome, Reply
from calls.kept import Full, KeptUnavailable, Result
from gateway import answers
from gateway.answers import Answer
from gateway.headers import NO_STORE

log = logging.getLogger("plugbay.kept")

PREFIX: Final = b"/rest/calls/"
GIVEN_UP: Final = b"x-given-up"
"""Header of a result that is the last of so many attempts, each of which says nothing of the function."""

_ID_BYTES: Final = 24
_RETRY_SECS: Final = 1
"""Seconds after which there may be room again."""


def new_id() -> str:
    """An id of 192 random bits: who has it may see the result."""
    return secrets.token_hex(_ID_BYTES)


def keep(answer: Answer, call: str, given_up: int = 0) -> Result:
    """An answer as it is kept. `given_up` is how often it was tried, if it was given up."""
    reply = answer.reply
    queue, bind, run = (reply.queue, reply.bind, reply.run) if reply is not None else (0.0, 0.0, 0.0)
    return Result(
        call=call,
        status=answer.status,
        headers=answer.headers,
        body=answer.body,
        outcome=answer.outcome,
        queue=queue,
        bind=bind,
        run=run,
        given_up=given_up,
    )


def give(result: Result) -> Answer:
    """The answer that it was."""
    marked = ((GIVEN_UP, b"%d" % result.given_up),) if result.given_up else ()
    given = Reply(call=result.call, outcome=Outcome.VALUE, queue=result.queue, bind=result.bind, run=result.run)
    return Answer(result.status, result.body, (*result.headers, *marked), "RESULT", given=given)


def full(error: Full) -> Answer:
    """Nothing more is kept now."""
    retry = (b"retry-after", b"%d" % _RETRY_SECS)
    return answers.refused(429 if error.limited else 503, error.problem, (retry, NO_STORE))


def unavailable(error: KeptUnavailable) -> Answer:
    """Nothing can be kept or looked up."""
    log.warning("kept calls: %s", error)
    retry = (b"retry-after", b"%d" % _RETRY_SECS)
    return answers.refused(503, "calls cannot be kept now; the platform's log says why", (retry, NO_STORE))
