"""The few kernel calls Python has no name for, and the process tree as /proc shows it (prctl(2), proc(5))."""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_DUMPABLE: Final = 4
_PR_SET_NAME: Final = 15
_PR_SET_CHILD_SUBREAPER: Final = 36

WORKER_NAME: Final = "plugbay-worker"
"""Name of a worker's process."""

_libc = ctypes.CDLL(None, use_errno=True)


def _prctl(option: int, value: int | bytes) -> None:
    if _libc.prctl(option, value, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"prctl({option}): {os.strerror(number)}")


def die_with_parent() -> None:
    """SIGKILL for this process when the thread that made it ends."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def adopt_orphans() -> None:
    """Descendants whose parent ends become children of this process, so none of them gets away."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def set_dumpable(dumpable: bool) -> None:
    """Whether others of the same user may trace this process or read its memory through /proc."""
    _prctl(_PR_SET_DUMPABLE, int(dumpable))


def set_name(name: str) -> None:
    """Name of this process in `ps` and `top`, 15 bytes at most."""
    _prctl(_PR_SET_NAME, name.encode()[:15])


def _read_all(file: str) -> Iterator[tuple[int, bytes]]:
    """One file of each process under /proc that can be read; processes may end meanwhile."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                yield int(entry.name), (entry / file).read_bytes()
            except OSError:
                continue


def parents() -> dict[int, int]:
    """Process id → parent's process id, of all processes that can be seen."""
    # The command name may hold spaces and brackets: the state follows the last bracket.
    return {pid: int(stat[stat.rindex(b")") + 2 :].split(None, 2)[1]) for pid, stat in _read_all("stat")}


def descendants(root: int, spare: frozenset[int] = frozenset()) -> list[int]:
    """All processes below `root`, without those in `spare` and what is below them."""
    children: dict[int, list[int]] = {}
    for child, parent in parents().items():
        children.setdefault(parent, []).append(child)
    found: list[int] = []
    todo = [root]
    while todo:
        for child in children.get(todo.pop(), ()):
            if child not in spare:
                found.append(child)
                todo.append(child)
    return found


def orphans(zygote: int) -> set[int]:
    """Workers of a zygote that is gone, adopted by this process, dead or alive. A worker takes its
    name before it leaves the zygote's session, so it is known by one of the two."""
    named = f"({WORKER_NAME})".encode()
    parent, session = str(os.getpid()).encode(), str(zygote).encode()
    found: set[int] = set()
    for pid, stat in _read_all("stat"):
        fields = stat[stat.rindex(b")") + 2 :].split(None, 5)
        if pid != zygote and fields[1] == parent and (named in stat or fields[3] == session):
            found.add(pid)
    return found


def marked(mark: bytes) -> set[int]:
    """Processes that were started with `mark` ("NAME=value") in their environment."""
    return {pid for pid, environ in _read_all("environ") if mark in environ.split(b"\0")}


def kill_descendants(root: int, spare: frozenset[int] = frozenset(), rounds: int = 20) -> list[int]:
    """SIGKILLs everything below `root` except `spare` and what is below it, reaping what is ours.

    Scanning loses against processes that fork and exit without end, so it gives up after `rounds`
    and returns what was still there: the caller then ends the whole sandbox.
    """
    left: list[int] = []
    for _ in range(rounds):
        left = descendants(root, spare)
        if not left:
            return []
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        for pid in left:
            # Only our own children can be waited for; the others are waited for by whoever adopts them.
            try:
                os.waitpid(pid, 0)
            except ChildProcessError:
                continue
    return left
