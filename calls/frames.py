"""Frames on a runner's Unix socket: 4-byte big-endian length, then one strict MessagePack struct.

Payloads inside stay opaque bytes, so decoding a frame costs no more than its size. Both sides bound
the length before they buffer anything. The zygote's own connection does not use these structs but
the fixed-size records at the end of this file: it parses nothing of variable shape.
"""

from __future__ import annotations

import enum
import struct
from typing import Final, TypeVar

import msgspec

from calls.call import Outcome

MAX_FRAME: Final = 32 * 1024 * 1024
"""Bytes of one frame at most, either way; requests, results and bundles have smaller bounds of their own."""

_T = TypeVar("_T")
_LENGTH: Final = struct.Struct("!I")


class FrameError(Exception):
    """The peer broke the protocol: too large, malformed, or not a known frame."""


class _Frame(msgspec.Struct, array_like=True, frozen=True, tag_field="t", forbid_unknown_fields=True):
    pass


# From the host to a worker.


class Bundle(_Frame, frozen=True, tag=1):
    """One module of the owner; sent before `Begin`, never after."""

    name: str
    data: bytes
    """A bundle in the format of `calls.bundle`."""


class Imports(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """An owner's allow-list of imports."""

    plan: str
    """Whose list it is, for who is refused."""
    names: tuple[str, ...]
    """Of top-level modules."""


class Begin(_Frame, frozen=True, tag=2):
    """All modules are sent; calls may follow."""

    environ: dict[str, str]
    """The owner's environment variables: the only ones plugin code sees besides a fixed basic set."""
    max_result: int
    """Bytes of a result at most."""
    packages: list[str]
    """Folders with third-party packages the owner's code may import."""
    module_environ: dict[str, dict[str, str]] = {}
    """What single modules find besides `environ`, or in place of it."""
    imports: Imports | None = None
    """What the owner's code may import besides its own modules; None: whatever is there."""


class Invoke(_Frame, frozen=True, tag=3):
    """Run one function."""

    call: str
    module: str
    function: str
    payload: bytes


class Inspect(_Frame, frozen=True, tag=4):
    """Import one module and report its endpoints as JSON."""

    call: str
    module: str


class Cancel(_Frame, frozen=True, tag=5):
    """Cancel one coroutine call, which must still be answered; its caller was answered already."""

    call: str


# From a worker to the host.


class Hello(_Frame, frozen=True, tag=16):
    """First frame of a connection: the single-use nonce given to the zygote for this fork."""

    nonce: bytes


class Result(_Frame, frozen=True, tag=17):
    """The one answer to an Invoke or Inspect."""

    call: str
    outcome: Outcome
    payload: bytes
    status: int
    headers: tuple[tuple[str, str], ...]
    media_type: str
    log: bytes
    log_truncated: bool
    retire: bool
    """The function left something behind that could not be cleaned up: replace this worker."""


FromWorker = Hello | Result
FromHost = Bundle | Begin | Invoke | Inspect | Cancel

_encoder = msgspec.msgpack.Encoder()
_from_worker: msgspec.msgpack.Decoder[FromWorker] = msgspec.msgpack.Decoder(FromWorker)
_from_host: msgspec.msgpack.Decoder[FromHost] = msgspec.msgpack.Decoder(FromHost)


def encode(frame: FromWorker | FromHost) -> bytes:
    """One frame with its length prefix."""
    body = _encoder.encode(frame)
    if len(body) > MAX_FRAME:
        raise FrameError(f"frame of {len(body)} bytes is larger than {MAX_FRAME}")
    return _LENGTH.pack(len(body)) + body


def decode_from_worker(body: bytes) -> FromWorker:
    """A frame a worker sent. Raises FrameError for anything that is not exactly one."""
    return _decode(_from_worker, body)


def decode_from_host(body: bytes) -> FromHost:
    """A frame the host sent. Raises FrameError for anything that is not exactly one."""
    return _decode(_from_host, body)


def _decode(decoder: msgspec.msgpack.Decoder[_T], body: bytes) -> _T:
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, OverflowError, MemoryError) as error:
        raise FrameError(f"malformed frame: {type(error).__name__}") from error


class FrameReader:
    """Cuts a byte stream into frame bodies. Never holds more than one frame plus one read."""

    def __init__(self, max_frame: int = MAX_FRAME) -> None:
        self._buffer = bytearray()
        self._max = max_frame

    @property
    def partial(self) -> bool:
        """True while a frame has begun and not ended: its sender owes the rest in time."""
        return bool(self._buffer)

    def feed(self, data: bytes) -> list[bytes]:
        """The frames that `data` completes. Raises FrameError for a length of 0 or above the bound."""
        buffer = self._buffer
        if (
            not buffer
            and len(data) >= 4
            and _LENGTH.unpack_from(data)[0] == len(data) - 4
            and 4 < len(data) <= self._max
        ):
            return [data[4:]]
        buffer += data
        frames: list[bytes] = []
        start = 0
        while len(buffer) - start >= 4:
            (length,) = _LENGTH.unpack_from(buffer, start)
            if not 0 < length <= self._max:
                raise FrameError(f"frame length {length} is not between 1 and {self._max}")
            end = start + 4 + length
            if len(buffer) < end:
                break
            frames.append(bytes(buffer[start + 4 : end]))
            start = end
        del buffer[:start]
        return frames


# The zygote's control connection: records of fixed size, both ways.


class Order(enum.IntEnum):
    """First byte of a control record. A worker is known by the nonce of its fork."""

    HELLO = 1
    """zygote → host: first record of the control connection, with the runner's nonce."""
    FORK = 2
    """host → zygote: fork a worker that will say `nonce`."""
    KILL = 3
    """host → zygote: SIGKILL the worker of `nonce` and all its descendants."""
    EXITED = 4
    """zygote → host: that worker is gone with wait status `status`; `size` bytes of its last output follow."""
    STARVED = 5
    """zygote → host: as EXITED, of a worker that the kernel killed because the runner's memory was used up."""


CONTROL: Final = struct.Struct("!B16sII")
"""`(order, nonce, status, size)`"""
