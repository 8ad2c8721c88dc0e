"""The one table from how a call ended to what the HTTP client sees."""

from __future__ import annotations

import math
from typing import Final

import msgspec

from calls.call import Outcome, Reply

STATUS: Final[dict[Outcome, int]] = {
    Outcome.VALUE: 200,
    Outcome.RESPONSE: 200,  # or as the function set
    Outcome.HTTP_ERROR: 500,  # or as the function set
    Outcome.FORBIDDEN: 403,
    Outcome.INVALID: 422,
    Outcome.MALFORMED: 400,
    Outcome.RAISED: 500,
    Outcome.IMPORT_FAILED: 500,
    Outcome.DIED: 502,
    Outcome.TIMED_OUT: 504,
    Outcome.OVER_LIMIT: 429,
    Outcome.UNAVAILABLE: 503,
}

_encode = msgspec.json.Encoder().encode


def status_of(reply: Reply) -> int:
    """The HTTP status of a reply; what a function set is not checked here."""
    if reply.status and reply.outcome in (Outcome.RESPONSE, Outcome.HTTP_ERROR):
        return reply.status
    return STATUS[reply.outcome]


def body_of(reply: Reply, prefix: bytes, module: str) -> bytes:
    """The HTTP body of a reply. `prefix` is the success envelope up to the value, which is spliced in
    as the worker wrote it."""
    outcome = reply.outcome
    if outcome is Outcome.VALUE:
        return b"".join((prefix, reply.payload, b"}}"))
    if outcome is Outcome.RESPONSE:
        return reply.payload
    if outcome is Outcome.HTTP_ERROR:
        return b"".join((b'{"status":', reply.payload, b"}"))
    if outcome is Outcome.INVALID:
        return b"".join((b'{"status":"the arguments do not fit","errors":', reply.payload, b"}"))
    text = reply.payload.decode("utf-8", "replace")
    if outcome is Outcome.RAISED:
        return _encode({"status": "ERROR", "exception": text, "call": reply.call})
    if outcome is Outcome.IMPORT_FAILED:
        return _encode({"status": "ERROR", "exception": f"module {module}: {text}", "call": reply.call})
    if outcome is Outcome.DIED:
        text = f"the worker died: {text}"
    if outcome in (Outcome.DIED, Outcome.TIMED_OUT):
        return _encode({"status": text, "call": reply.call})
    return _encode({"status": text})


def retry_after(reply: Reply) -> bytes | None:
    """The value of `Retry-After` in whole seconds, where the outcome invites another try (RFC 9110, 10.2.3)."""
    if reply.outcome in (Outcome.OVER_LIMIT, Outcome.UNAVAILABLE):
        return b"%d" % math.ceil(reply.retry_after)
    return None
