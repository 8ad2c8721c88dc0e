"""The host's end of a runner's socket: what connects there, and proof of who it is.

Nothing a runner sends is trusted: whatever breaks the protocol is reported as a violation, and the
runner ends. The host reads no more than a frame's bound, and waits for the rest of a frame only so long.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Final, Protocol, cast

from calls import frames
from calls.frames import CONTROL, Order

HELLO_SECS: Final = 1.0
"""Seconds a new connection may take to present its nonce."""
FRAME_SECS: Final = 5.0
"""Seconds a frame that has begun may take to arrive."""
_CREDENTIALS: Final = struct.Struct("3i")
"""`struct ucred` of unix(7): process id, user id, group id."""


class Peer(Protocol):
    """A worker's or zygote's connection, once it has proved itself."""

    def received(self, body: bytes) -> None:
        """One whole frame, or control record with its tail. Raises FrameError on a violation."""

    def lost(self) -> None:
        """The connection is closed, by whichever side."""


class Greeter(Protocol):
    """The runner that the socket belongs to."""

    def zygote_connected(self, connection: Connection, nonce: bytes) -> Peer:
        """Admits the control connection. Raises FrameError for a wrong nonce or a second one."""

    def worker_connected(self, connection: Connection, nonce: bytes) -> Peer:
        """Admits a worker. Raises FrameError for a nonce that is unknown or used."""

    def admits(self, uid: int) -> bool:
        """Whether this user may connect at all, and one more connection is within the bound."""

    def closed(self) -> None:
        """A connection that `admits` had counted is closed."""

    def violated(self, what: str) -> None:
        """A peer broke the protocol: the runner must end."""


class Connection(asyncio.Protocol):
    """Cuts frames, holds peers to their deadlines, and writes once per turn of the event loop."""

    def __init__(self, greeter: Greeter, max_tail: int) -> None:
        self._greeter = greeter
        self._max_tail = max_tail
        self._peer: Peer | None = None
        self._reader = frames.FrameReader()
        self._control: bytearray | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport | None = None
        self._counted = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Accepts a connection within the bound, for as long as a greeting may take."""
        self._transport = cast("asyncio.Transport", transport)
        if not self._greeter.admits(peer_uid(transport.get_extra_info("socket"))):
            self.abort()
            return
        self._counted = True
        self._deadline = asyncio.get_running_loop().call_later(HELLO_SECS, self.abort)

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002
        """Tells whoever it belonged to."""
        self._cancel_deadline()
        self._transport = None
        if self._counted:
            self._greeter.closed()
        if self._peer is not None:
            self._peer.lost()

    def data_received(self, data: bytes) -> None:
        """Delivers whole frames; a violation ends the runner, never the host."""
        try:
            if self._control is not None or (self._peer is None and data[0] == Order.HELLO):
                self._control_received(data)
                return
            for body in self._reader.feed(data):
                if self._peer is None:
                    self._greet(body)
                else:
                    self._peer.received(body)
            self._watch_partial(self._reader.partial)
        except frames.FrameError as error:
            self._violated(str(error))

    def _greet(self, body: bytes) -> None:
        frame = frames.decode_from_worker(body)
        if not isinstance(frame, frames.Hello):
            raise frames.FrameError("first frame is not Hello")
        self._peer = self._greeter.worker_connected(self, frame.nonce)
        self._cancel_deadline()

    def _control_received(self, data: bytes) -> None:
        if self._control is None:
            self._control = bytearray()
        buffer = self._control
        buffer += data
        while len(buffer) >= CONTROL.size:
            _, nonce, _, tail = CONTROL.unpack_from(buffer)
            if tail > self._max_tail:
                raise frames.FrameError(f"control record with a tail of {tail} bytes")
            if len(buffer) < CONTROL.size + tail:
                break
            record = bytes(buffer[: CONTROL.size + tail])
            del buffer[: CONTROL.size + tail]
            if self._peer is None:
                self._peer = self._greeter.zygote_connected(self, nonce)
                self._cancel_deadline()
            else:
                self._peer.received(record)
        self._watch_partial(bool(buffer))

    def _watch_partial(self, partial: bool) -> None:
        if not partial:
            if self._peer is not None and self._deadline is not None:
                self._cancel_deadline()
        elif self._deadline is None:
            self._deadline = asyncio.get_running_loop().call_later(
                FRAME_SECS, self._violated, "frame not completed in time"
            )

    def _cancel_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _violated(self, what: str) -> None:
        self.abort()
        if self._counted:
            self._greeter.violated(what)

    def send(self, data: bytes) -> None:
        """Sends frames or control records; dropped when the connection is closed already."""
        if self._transport is not None:
            self._transport.write(data)

    def close(self) -> None:
        """Closes after what was sent."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Closes at once."""
        if self._transport is not None:
            self._transport.abort()


def peer_uid(connection: socket.socket) -> int:
    """User id of the process at the other end of a Unix socket, as it was when it connected."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _, uid, _ = _CREDENTIALS.unpack(credentials)
    return int(uid)
