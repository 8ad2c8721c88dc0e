"""The host's socket of one runner, as the runner's user may reach it."""

from __future__ import annotations

import os
import socket
import struct
from pathlib import Path
from typing import Final

_CREDENTIALS: Final = struct.Struct("3i")
"""`struct ucred` of unix(7): process id, user id, group id."""


def open_to(address: Path, uid: int) -> None:
    """Lets this user connect, and nobody else as far as this process may arrange it.

    Called before the runner exists: later, nothing under the folder is touched by its path. A host
    that may not give files away leaves the socket open to whoever reaches the folder, which is the
    container it is mounted into: the folder above is the host's alone. Raises OSError.
    """
    address.parent.chmod(0o755)
    address.chmod(0o600)
    try:
        os.chown(address, uid, uid)
    except PermissionError:
        address.chmod(0o666)


def peer_uid(connection: socket.socket) -> int:
    """User id of the process at the other end of a Unix socket, as it was when it connected."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _, uid, _ = _CREDENTIALS.unpack(credentials)
    return int(uid)
