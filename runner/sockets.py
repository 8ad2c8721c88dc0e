"""The host's socket of one runner, as the runner's user may reach it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from runner.launcher import RunnerSpec

HOST_FOLDER: Final = "/run/host"
"""Where a sandboxed runner finds its socket."""


def inside(spec: RunnerSpec) -> str:
    """The path under which a sandboxed runner finds the host's socket."""
    return f"{HOST_FOLDER}/{spec.socket.name}"


def open_to(address: Path, uid: int) -> None:
    """Lets this user connect, and nobody else as far as this process may arrange it.

    Called before the runner exists: later, nothing under the folder is touched by its path. A host
    that may not give files away leaves the socket open to whoever reaches the folder, which is the
    sandbox it is mounted into: the folder above is the host's alone. Raises OSError.
    """
    address.parent.chmod(0o755)
    address.chmod(0o600)
    try:
        os.chown(address, uid, uid)
    except PermissionError:
        address.chmod(0o666)
