"""One request and its answer on a connection, and the answers that the protocol gives by itself."""

from __future__ import annotations

from typing import Any, Final

from uvicorn._types import ASGIReceiveEvent
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from calls.call import new_call_id
from gateway.bad_request import BadRequest
from gateway.headers import NO_TIMING

WHOLE: Final = "plugbay.response"
"""ASGI message, an extension of this server: `status`, `headers` and `body` of a whole answer. The headers
are the sender's to check, Content-Length among them."""

_FAILED = b'{"status":"ERROR","exception":"the gateway failed: its log says why"}'


class Exchange(RequestResponseCycle):
    """One request while it is received and answered."""

    begun = False
    """Handed to the application, or waiting behind earlier requests of its connection."""
    held = 0
    """Bytes of its body that count as held."""
    persistent = False
    """The client wants to send further requests on this connection."""

    async def send(self, message: Any) -> None:
        """See ASGI; understands WHOLE besides, which leaves in one piece."""
        if message["type"] != WHOLE:
            await super().send(message)
            return
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if not self.disconnected:
            self._send_whole(message["status"], message["headers"], message["body"])

    def _send_whole(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        pieces = [STATUS_LINE[status]]
        for name, value in self.default_headers:
            pieces += (name, b": ", value, b"\r\n")
        for name, value in headers:
            pieces += (name, b": ", value, b"\r\n")
        pieces.append(b"\r\n" if self.keep_alive else b"connection: close\r\n\r\n")
        if self.scope["method"] != "HEAD":
            pieces.append(body)
        self.response_started = self.response_complete = True
        self.waiting_for_100_continue = False
        self.transport.write(b"".join(pieces))
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()

    async def receive(self) -> ASGIReceiveEvent:
        """The next piece of the body, or that the client is gone."""
        if self.more_body or not self.message_event.is_set() or self.disconnected or self.response_complete:
            return await super().receive()
        # The request is complete. uvicorn would read on here, and hold no client back that sends more
        # requests than are answered.
        self.message_event.clear()
        body, self.body = bytes(self.body), bytearray()
        return {"type": "http.request", "body": body, "more_body": False}

    async def send_500_response(self) -> None:
        """The application raised or gave no answer; uvicorn has logged it."""
        await self.send(
            {
                "type": "http.response.start",
                "status": 500,
                "headers": [
                    (b"content-type", b"application/json"),
                    (b"content-length", b"%d" % len(_FAILED)),
                    (b"x-call-id", new_call_id().encode()),
                    NO_TIMING,
                    (b"connection", b"close"),
                ],
            }
        )
        await self.send({"type": "http.response.body", "body": _FAILED, "more_body": False})


def refusal(problem: BadRequest, call: str, default_headers: list[tuple[bytes, bytes]]) -> bytes:
    """The whole last answer on a connection."""
    body = problem.body()
    lines = [
        *default_headers,
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"x-call-id", call.encode()),
        NO_TIMING,
        *problem.headers,
        (b"connection", b"close"),
    ]
    head = b"".join(b"%b: %b\r\n" % line for line in lines)
    return STATUS_LINE[problem.status] + head + b"\r\n" + body
