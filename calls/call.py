"""Call and Reply: one invocation on its way to a worker, and its one answer on the way back."""

from __future__ import annotations

import enum
import os
from collections.abc import Iterator
from typing import Final

import msgspec


class Kind(enum.IntEnum):
    """What a worker is asked to do."""

    INVOKE = 0
    """Run one function with arguments."""
    INSPECT = 1
    """Import one module in a worker of its own and report its endpoints."""


class Outcome(enum.IntEnum):
    """How a call ended: a closed set. `gateway.outcomes` holds the one table from here to HTTP."""

    VALUE = 0
    """The function returned a JSON value; the payload is that value's final JSON."""
    RESPONSE = 1
    """The function returned `bytes` or `expose.Response`; the payload is the body."""
    HTTP_ERROR = 2
    """The function raised `expose.HTTPError`; the payload is the JSON of its detail."""
    FORBIDDEN = 3
    """An `assert` of the module failed; the payload is its message as text."""
    INVALID = 4
    """Arguments do not fit the signature; the payload is a JSON list of `{field, problem}`."""
    RAISED = 5
    """The function raised; the payload is the exception as text, without a traceback."""
    IMPORT_FAILED = 6
    """The module could not be imported; the payload is the error and its line as text."""
    MALFORMED = 7
    """The request's arguments cannot be decoded; the payload says why, as text."""

    DIED = 8
    """The worker or its runner died under the call; the payload says of what."""
    TIMED_OUT = 9
    """The time limit was reached and the worker killed; the payload names the limit."""
    OVER_LIMIT = 10
    """A concurrency limit of the tenant or endpoint is reached; the payload names it."""
    UNAVAILABLE = 11
    """Not run: queue full, no runner, or a sandbox control missing; the payload says which."""


SAID_BY_WORKER = frozenset(outcome for outcome in Outcome if outcome <= Outcome.MALFORMED)
"""Outcomes a worker may report. The others are the platform's own; from a worker they are a violation."""


class Call(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """One invocation. It cannot be built without a deadline."""

    id: str
    """Unguessable, 128 random bits in hexadecimal."""
    kind: Kind
    owner: str
    """UUID of the admin or tenant whose module this is."""
    revision: int
    """Revision of the owner's module set that the gateway resolved against; a worker with an older one must not run it."""
    module: str
    function: str
    """Name of the function in the module; empty for INSPECT."""
    concurrent: bool
    """True when the function is a coroutine function, which shares its worker with others of its kind."""
    limit: float
    """Seconds the function may run."""
    concurrency: int
    """Calls of this endpoint that may be accepted and unanswered at once; 0: no limit of its own."""
    deadline: float
    """Unix time after which nobody waits for the answer."""
    payload: bytes
    """INVOKE: encoded `calls.payload.Arguments`. INSPECT: MessagePack of the candidate modules, name → digest,
    that can be imported besides the owner's own. Opaque in between."""


class Reply(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """The one answer to a call."""

    call: str
    outcome: Outcome
    payload: bytes = b""
    status: int = 0
    """HTTP status, for RESPONSE and HTTP_ERROR."""
    headers: tuple[tuple[str, str], ...] = ()
    """Response headers the function asked for; the gateway filters them."""
    media_type: str = ""
    """Content type of a RESPONSE."""
    retry_after: float = 1.0
    """Seconds a caller should wait, for OVER_LIMIT and UNAVAILABLE."""
    log: bytes = b""
    """What the function printed, bounded, with the traceback when it raised."""
    log_truncated: bool = False
    queue: float = 0.0
    """Seconds from acceptance by the host to dispatch."""
    bind: float = 0.0
    """Seconds spent on starting or binding a runner; 0 for a warm call."""
    run: float = 0.0
    """Seconds from dispatch to reply."""


_ID_BYTES: Final = 16
_drawn: Iterator[str] = iter(())


def new_call_id() -> str:
    """An unguessable call id of 128 random bits (it is the capability to fetch a result).

    The kernel is asked for many at once, because one system call per id would be felt.
    """
    global _drawn
    for identity in _drawn:
        return identity
    drawn = os.urandom(_ID_BYTES * 256).hex()
    width = _ID_BYTES * 2
    _drawn = iter([drawn[start : start + width] for start in range(0, len(drawn), width)])
    return next(_drawn)
