"""The deadlines of one connection, all watched by one timer."""

from __future__ import annotations

import asyncio
import enum
import logging
from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import Final

LINGER_SECS: Final = 2.0
"""How long what a refused client still sends is read and dropped, so that its answer can reach it."""

_log = logging.getLogger("plugbay.gateway.http.deadlines")


@dataclass(frozen=True)
class Bounds:
    """What one client may take."""

    header_secs: float
    """From the connection, or the first byte of a later request, to the end of its headers."""
    body_secs: float
    """From the end of the headers to the end of the body, not counting while we do not read."""
    write_secs: float
    """Without reading any of an answer that waits."""
    keepalive_secs: float
    """Between an answer and the first byte of the next request."""
    max_headers: int
    max_header_bytes: int
    """Request line and headers together."""
    max_body_bytes: int
    max_connections: int
    max_held_bytes: int
    """Of bodies that are not answered yet, and of answers that are not read, of all clients together."""


class Waits(enum.Enum):
    """What a connection waits for."""

    HEAD = 0
    """The rest of a request line and headers; also the first request."""
    BODY = 1
    ANSWER = 2
    """Ours to give: no deadline here but that of the call."""
    REQUEST = 3
    """The next request."""
    END = 4
    """The last answer is given and the client has to close."""


def durations(bounds: Bounds) -> dict[Waits, float]:
    """Seconds that each wait may take."""
    return {
        Waits.HEAD: bounds.header_secs,
        Waits.BODY: bounds.body_secs,
        Waits.ANSWER: inf,
        Waits.REQUEST: bounds.keepalive_secs,
        Waits.END: LINGER_SECS,
    }


class Deadlines:
    """Calls `expired` when what is waited for does not come in time, and aborts a connection whose
    client does not read.

    A change of what is waited for only stores a number: the timer fires at least once in the shortest
    of the durations, so that it is never late for a deadline set meanwhile.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        transport: asyncio.Transport,
        secs: dict[Waits, float],
        write_secs: float,
        expired: Callable[[], None],
    ) -> None:
        self.waits = Waits.HEAD
        self._loop = loop
        self._transport = transport
        self._secs = secs
        self._write_secs = write_secs
        self._expired: Callable[[], None] | None = expired
        self._tick = min(write_secs, *secs.values())
        self._deadline = loop.time() + secs[Waits.HEAD]
        self._unsent = 0
        self._unsent_deadline = inf
        self._timer = loop.call_later(self._tick, self._check)

    def wait(self, what: Waits) -> None:
        """From now on `what` is waited for, and its time begins anew."""
        self.waits = what
        self._deadline = self._loop.time() + self._secs[what]

    def client_reads(self) -> None:
        """The client has read some of what waits for it."""
        self._unsent_deadline = inf

    def stop(self) -> None:
        """The connection is lost."""
        self._timer.cancel()
        self._expired = None

    def _check(self) -> None:
        if self._expired is None:
            return
        now = self._loop.time()
        unsent = self._transport.get_write_buffer_size()
        if unsent == 0:
            self._unsent_deadline = inf
        elif self._unsent_deadline == inf or unsent < self._unsent:
            self._unsent_deadline = now + self._write_secs
        elif now >= self._unsent_deadline:
            _log.info("a client did not read its answer for %g seconds: connection closed", self._write_secs)
            self._transport.abort()
            return
        self._unsent = unsent
        if now >= self._deadline:
            self._deadline = inf
            self._expired()
        until = min(self._deadline, self._unsent_deadline) - now
        self._timer = self._loop.call_later(min(self._tick, max(until, 0.001)), self._check)
