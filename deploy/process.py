"""How a process of the platform begins and ends: signals, its one line when it cannot start, its listener."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from typing import Final

import uvloop

from settings import BadSettings

EX_CONFIG: Final = 78
"""Exit status for wrong settings, and for what they name and cannot be used (sysexits.h)."""
EX_SOFTWARE: Final = 70
"""Exit status for a defect of the platform's own."""


class StartFailed(Exception):
    """The process cannot start; the message names what is wrong and the fix."""


class Broken(Exception):
    """The process has a defect that it cannot go on with; whoever watches over it has to start another."""


def fail(text: str, status: int = EX_CONFIG) -> int:
    """One line that names what is wrong; gives the exit status."""
    print(f"plugbay: {text}", file=sys.stderr)
    return status


def run(serve: Callable[[asyncio.Event], Awaitable[None]]) -> int:
    """Runs `serve` until it returns, which it is asked to by its event at SIGINT and SIGTERM; gives the exit status."""
    try:
        uvloop.run(_with_signals(serve))
    except StartFailed as error:
        return fail(str(error))
    except Broken as error:
        return fail(f"ended by a defect: {error}; its log says more", EX_SOFTWARE)
    return 0


async def _with_signals(serve: Callable[[asyncio.Event], Awaitable[None]]) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await serve(stop)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises BadSettings naming the setting and the fix."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise BadSettings(f"GATEWAY_HOST: {host!r} is no address of this machine: {error.strerror}") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(2048)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise BadSettings(
                f"GATEWAY_PORT: {port} is taken on {host}: stop what listens there, or set another (GATEWAY_PORT=8081)"
            ) from error
        if error.errno == errno.EACCES:
            raise BadSettings(f"GATEWAY_PORT: {port} needs root: set one above 1023") from error
        if error.errno == errno.EADDRNOTAVAIL:
            raise BadSettings(
                f"GATEWAY_HOST: {host} is no address of this machine: set one of its own (127.0.0.1; 0.0.0.0 is all)"
            ) from error
        raise BadSettings(f"GATEWAY_HOST, GATEWAY_PORT: {host}:{port}: {os.strerror(error.errno or 0)}") from error
    return listener
