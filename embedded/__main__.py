"""`python -m embedded`: starts the platform, says where it listens, and stops it cleanly."""

from __future__ import annotations

import errno
import os
import socket
import sys
from typing import Final

import uvloop

import settings
from embedded.first_start import generate_secrets
from embedded.resources import give_back_large_blocks, other_files, room_for_connections

EX_CONFIG: Final = 78
"""Exit status for wrong settings (sysexits.h)."""


def main() -> int:
    """Runs until SIGINT or SIGTERM; the exit status is 0 when everything was stopped cleanly."""
    try:
        generate_secrets(settings.ROOT, os.environ)
        chosen = settings.load()
        for folder in chosen.PLUGINS:
            if not folder.is_dir():
                raise settings.BadSettings(f"PLUGINS: folder {folder} is not there: create it, or name another in .env")
        connections = room_for_connections(chosen.MAX_CONNECTIONS, other_files(chosen))
        listener = listen(chosen.GATEWAY_HOST, chosen.GATEWAY_PORT)
    except settings.BadSettings as error:
        return fail(str(error))
    except OSError as error:
        return fail(f".env.local cannot be written: {error.strerror}: {error.filename}")

    if connections < chosen.MAX_CONNECTIONS:
        print(
            f"plugbay: MAX_CONNECTIONS: {connections} and not {chosen.MAX_CONNECTIONS}, "
            "because this process may not open more files: raise its limit (ulimit -Hn)",
            file=sys.stderr,
        )
        chosen = chosen.model_copy(update={"MAX_CONNECTIONS": connections})
    give_back_large_blocks()

    # Only now: the platform's imports take most of the start, and wrong settings should not wait for them.
    from embedded.platform import Platform, StartFailed

    try:
        uvloop.run(Platform(chosen, listener, os.environ).run())
    except StartFailed as error:
        return fail(str(error))
    return 0


def fail(text: str) -> int:
    """One line that names what is wrong."""
    print(f"plugbay: {text}", file=sys.stderr)
    return EX_CONFIG


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises BadSettings naming the setting and the fix."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise settings.BadSettings(f"GATEWAY_HOST: {host!r} is no address of this machine: {error.strerror}") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(2048)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise settings.BadSettings(
                f"GATEWAY_PORT: {port} is taken on {host}: stop what listens there, or set another (GATEWAY_PORT=8081)"
            ) from error
        if error.errno == errno.EACCES:
            raise settings.BadSettings(f"GATEWAY_PORT: {port} needs root: set one above 1023") from error
        raise settings.BadSettings(f"GATEWAY_HOST, GATEWAY_PORT: {host}:{port}: {error.strerror}") from error
    return listener


if __name__ == "__main__":
    sys.exit(main())
