"""A worker that speaks to the host by itself: frames as bytes on the socket, right and wrong ones."""

from __future__ import annotations

import array
import asyncio
import contextlib
import errno
import os
import socket
import stat
import struct
import sys
import threading
import time
from pathlib import Path
from typing import Any

import msgspec

from .looking import HOST

MAX_FRAME = 32 * 1024 * 1024
CONTROL = struct.Struct("!B16sII")


def own() -> socket.socket:
    """This worker's connection to the host: the socket that it opened first."""
    for descriptor in sorted(map(int, os.listdir("/proc/self/fd"))):  # noqa: PTH208
        with contextlib.suppress(OSError):
            if stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                return socket.socket(fileno=os.dup(descriptor))
    raise LookupError("no connection to the host")


def new() -> socket.socket:
    """One more connection."""
    one = socket.socket(socket.AF_UNIX)
    one.connect(HOST)
    return one


def sized(body: bytes) -> bytes:
    """A frame with this body."""
    return struct.pack("!I", len(body)) + body


def frame(*fields: Any) -> bytes:
    """A frame of these fields."""
    return sized(msgspec.msgpack.encode(fields))


def result(call: Any, payload: bytes = b'"forged"', outcome: int = 0, log: bytes = b"", *more: Any) -> bytes:
    """An answer to a call."""
    return frame(17, call, outcome, payload, 0, [], "", log, False, False, *more)


def hello(nonce: bytes) -> bytes:
    """The greeting of a worker."""
    return frame(16, nonce)


def control(order: int, nonce: bytes, status: int = 0, tail: int = 0) -> bytes:
    """A record as the zygote sends it."""
    return CONTROL.pack(order, nonce, status, tail)


def say(*parts: bytes, on: socket.socket | None = None) -> None:
    """Sends it as it is and waits for what comes of it."""
    connection = on or own()
    for part in parts:
        connection.sendall(part)
    time.sleep(1000)


def say_and_end(data: bytes) -> None:
    """Sends it and ends the worker, without another word."""
    own().sendall(data)
    os._exit(0)


def slowly(data: bytes) -> None:
    """Sends a byte a second."""
    connection = own()
    for byte in data:
        connection.sendall(bytes([byte]))
        time.sleep(1)


def half(data: bytes) -> None:
    """Sends it, and that there will be nothing more."""
    connection = own()
    connection.sendall(data)
    connection.shutdown(socket.SHUT_WR)
    time.sleep(1000)


def closed(connection: socket.socket) -> bool:
    """Waits until the host has closed it; False when it said something."""
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def nonces() -> list[bytes]:
    """The nonces in this process: its own, which is used, and the runner's, which the zygote read at its start."""
    found, look = [], sys._getframe()
    while look := look.f_back:  # type: ignore[assignment]
        if isinstance(nonce := look.f_locals.get("nonce"), bytes) and nonce not in found:
            found.append(nonce)
    return found


def floods(seconds: float) -> int:
    """Connects and closes, as often as it can for so long."""
    count, until = 0, time.monotonic() + seconds
    while time.monotonic() < until:
        with contextlib.suppress(OSError), new() as one:
            one.sendall(b"\0")
        count += 1
    return count


def held_connections(children: int, each: int) -> list[int]:
    """Connections held open by children of this process until the host closes them: opened, and closed by the host."""
    reading, writing = os.pipe()
    for _ in range(children):
        if os.fork():
            continue
        mine = []
        with contextlib.suppress(OSError):
            for _ in range(each):
                mine.append(new())
        os.write(writing, struct.pack("!II", len(mine), sum(map(closed, mine))))
        os._exit(0)
    got = [struct.unpack("!II", os.read(reading, 8)) for _ in range(children)]
    return [sum(numbers) for numbers in zip(*got, strict=True)]


def descriptors_along(messages: int) -> str:
    """Sends the host open files, as many as go with a message, with each byte of a frame that never ends."""
    files = array.array("i", [0] * 200)
    with new() as one:
        for number in range(messages):
            byte = struct.pack("!I", MAX_FRAME)[number : number + 1] or b"x"
            try:
                one.sendmsg([byte], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, files)])
            except OSError as error:
                return f"refused: {errno.errorcode[error.errno or 0]}"
    return "sent"


def later(seconds: float, data: bytes) -> None:
    """Has a thread send it when this call is over."""
    connection = own()
    threading.Timer(seconds, connection.sendall, [data]).start()


def daemon_with_socket(seconds: float, data: bytes) -> str:
    """Has a process that outlives the call send it."""
    connection = own()
    if not os.fork():
        os.setsid()
        if os.fork():
            os._exit(0)
        time.sleep(seconds)
        connection.sendall(data)
        os._exit(0)
    os.wait()
    return "left"


async def answers_twice(call: str) -> None:
    """Ends in time, but after its limit, and then answers once more."""
    try:
        await asyncio.sleep(1000)
    except asyncio.CancelledError:
        own().sendall(result(call) + result(call))


def leaves_id(call: str, seconds: float, path: str = "/tmp/id") -> str:
    """Lets others know this call's id, while it runs."""
    Path(path).write_text(call)
    time.sleep(seconds)
    return "own"


def waits_for_id(path: str = "/tmp/id") -> str:
    """The id that another call of the same runner leaves."""
    while not Path(path).exists() or not Path(path).read_text():
        time.sleep(0.01)
    return Path(path).read_text()
