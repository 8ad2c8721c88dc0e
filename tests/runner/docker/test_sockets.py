"""Given the host's socket of one runner, when it is opened to that runner's user, then to as few others as may be."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from runner.connection import peer_uid
from runner.sockets import open_to

NOBODY = 65534
as_root = pytest.mark.skipif(os.getuid() != 0, reason="becomes other users, as root")


def as_user(uid: int, action: Callable[[], None]) -> bool:
    """Whether an action goes well for this user, in a process of its own."""
    child = os.fork()
    if not child:
        status = 1
        try:
            os.setresgid(uid, uid, uid)
            os.setgroups([])
            os.setresuid(uid, uid, uid)
            action()
            status = 0
        finally:
            os._exit(status)
    return os.waitpid(child, 0)[1] == 0


def connect(address: Path) -> Callable[[], None]:
    """Connects to it."""
    return lambda: socket.socket(socket.AF_UNIX).connect(str(address))


@as_root
def test_its_user_can_connect_and_nobody_else(folder: Path) -> None:
    address, listener = listening(folder, 0)
    open_to(address, 200_001)
    folder.chmod(0o755)  # as a container sees it, which has only the folder below mounted
    assert as_user(200_001, connect(address))
    assert peer_uid(listener.accept()[0]) == 200_001
    assert not as_user(200_002, connect(address))
    assert not as_user(200_001, address.unlink)


@as_root
def test_a_host_that_may_not_give_files_away_leaves_it_to_the_folder_above(folder: Path) -> None:
    address, listener = listening(folder, NOBODY)
    assert as_user(NOBODY, lambda: open_to(address, 200_001))
    assert not as_user(200_001, connect(address))
    folder.chmod(0o755)
    assert as_user(200_001, connect(address))
    assert peer_uid(listener.accept()[0]) == 200_001


def listening(folder: Path, owner: int) -> tuple[Path, socket.socket]:
    """A socket in a folder of its own, as a host of this user makes it."""
    folder.chmod(0o700)
    address = folder / "runner" / "host.sock"
    address.parent.mkdir(mode=0o700)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(address))
    listener.listen()
    for path in (folder, address.parent, address):
        os.chown(path, owner, owner)
    return address, listener
