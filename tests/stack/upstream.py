"""Gateways as nginx sees them: real servers that count what they are sent, and end as a test says."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

_ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: keep-alive\r\n\r\nOK"


class Upstream:
    """Listens within a block. `dying`: closes each connection once it has read a request, as a killed process would."""

    def __init__(self, *, dying: bool = False) -> None:
        self.requests: list[bytes] = []
        self.dying = dying
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:  # closed
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as stream:
            while head := _head(stream.readline):
                headers = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if line)
                stream.read(int(headers.get(b"content-length", 0)))
                self.requests.append(head)
                if self.dying:
                    return
                connection.sendall(_ANSWER)


def _head(readline: Callable[[], bytes]) -> bytes:
    head = b""
    while line := readline():
        head += line
        if line == b"\r\n":
            return head
    return b""


def refused_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
