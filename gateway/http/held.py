"""What all connections of a server together keep in memory for their clients, and who gives way at the bound."""

from __future__ import annotations

import asyncio
from typing import Final

from gateway.bad_request import BadRequest

RETRY_SECS: Final = 1
"""Seconds after which a body that found no room may be sent again."""


class Held:
    """Bytes of bodies whose requests are not answered, and of answers that clients do not read: at most
    `max_bytes` of either. One body costs a process some three times its bytes while it is decoded."""

    def __init__(self, max_bytes: int) -> None:
        self._max = max_bytes
        self._bodies = 0
        self._unread = 0
        self._slow: dict[asyncio.Transport, int] = {}
        """Bytes by connection, those first that have gone longest without reading enough."""

    def take(self, size: int) -> None:
        """A piece of a body arrived. Raises BadRequest when there is no room for it."""
        if self._bodies + size > self._max:
            problem = f"the bodies being received are larger than {self._max} bytes together: try again later"
            raise BadRequest(503, problem, headers=((b"retry-after", b"%d" % RETRY_SECS),))
        self._bodies += size

    def give_back(self, size: int) -> None:
        """Bodies of this many bytes are not kept any more."""
        self._bodies -= size

    def wait_for(self, client: asyncio.Transport) -> None:
        """This client has to read before it is sent more. Where that makes too much, the connections that
        have waited longest are closed: an answer that was made cannot be refused."""
        self._slow[client] = size = client.get_write_buffer_size()
        self._unread += size
        while self._unread > self._max:
            slowest = next(iter(self._slow))
            self.has_read(slowest)
            slowest.abort()

    def has_read(self, client: asyncio.Transport) -> None:
        """This client has read nearly all, or is gone."""
        self._unread -= self._slow.pop(client, 0)
