"""HTTP as bytes, for requests that no client library would send."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from tests.gateway.strict_server import Answer, answers

TIMEOUT = 20.0
"""Seconds after which an answer that does not come is a hang."""

CALL = b"/rest/services/given/all/"
"""A function that takes and gives back anything."""
JSON = b"Content-Type: application/json"
CHUNKED = b"Transfer-Encoding: chunked"

_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)\r\n", re.IGNORECASE)


def request(
    target: bytes,
    *headers: bytes,
    method: bytes = b"GET",
    body: bytes | None = None,
    host: bytes | None = b"Host: plugbay",
) -> bytes:
    """One request. `headers` are whole lines; with a `body` its length is announced."""
    lines = [method + b" " + target + b" HTTP/1.1", *([host] if host is not None else []), *headers]
    if body is not None:
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join(lines) + b"\r\n\r\n" + (body or b"")


def canary(name: bytes = b"canary") -> bytes:
    """A good request that closes the connection; its answer is known by the name."""
    return request(b"/rest/services/given/name/?name=" + name, b"Connection: close")


class Wire:
    """One connection to a platform."""

    def __init__(self, url: str) -> None:
        where = urlsplit(url)
        self.socket = socket.create_connection((where.hostname, where.port), TIMEOUT)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._unread = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        """Sends as much as the other side takes: it may have refused and closed already."""
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            return

    def answer(self, *, head: bool = False) -> Answer | None:
        """The next answer, to a HEAD request when `head`; None when the connection was closed instead."""
        while b"\r\n\r\n" not in self._unread:
            if not self._receive():
                assert not self._unread, f"half an answer: {self._unread[:200]!r}"
                return None
        end = self._unread.index(b"\r\n\r\n") + 4
        length = _LENGTH.search(self._unread, 0, end)
        size = end + (int(length[1]) if length and not head else 0)
        while len(self._unread) < size:
            assert self._receive(), "the connection was closed in the middle of an answer"
        data, self._unread = self._unread[:size], self._unread[size:]
        return answers(_LENGTH.sub(b"\r\n", data) if head else data)[0]

    def _receive(self) -> bool:
        try:
            data = self.socket.recv(256 * 1024)
        except ConnectionResetError:
            return False
        self._unread += data
        return bool(data)

    def rest(self) -> list[Answer]:
        """All answers until the connection is closed."""
        return list(iter(self.answer, None))


def exchange(url: str, *parts: bytes) -> list[Answer]:
    """All answers to these bytes on one connection, up to its close. A connection left open is a hang."""
    with Wire(url) as wire:
        for part in parts:
            wire.send(part)
        return wire.rest()


def statuses(found: Iterable[Answer]) -> list[int]:
    """Of each answer."""
    return [answer.status for answer in found]
