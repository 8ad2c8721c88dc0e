"""The few kernel calls Python has no name for, and what /proc and /sys show (prctl(2), proc(5), cgroups(7))."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import signal
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_DUMPABLE: Final = 4
_PR_SET_NAME: Final = 15
_PR_SET_SECCOMP: Final = 22
_PR_SET_CHILD_SUBREAPER: Final = 36

WORKER_NAME: Final = "plugbay-worker"
"""Name of a worker's process."""

_libc = ctypes.CDLL(None, use_errno=True)


def _prctl(option: int, value: int | bytes, more: ctypes.c_void_p | int = 0) -> None:
    if _libc.prctl(option, value, more, 0, 0) != 0:
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


def die_first() -> None:
    """When memory is used up, the kernel is to end this process before others. What it starts inherits that."""
    Path("/proc/self/oom_score_adj").write_text("1000")


def oom_kills(groups: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")) -> int:
    """Processes of this control group that the kernel has killed for want of memory; 0 where that is not counted."""
    for folder, file in _memory_groups(groups, root):
        try:
            counts = dict(line.split() for line in (folder / file).read_text().splitlines())
        except OSError:
            continue
        return int(counts.get("oom_kill", 0))
    return 0


def _memory_groups(groups: Path, root: Path) -> Iterator[tuple[Path, str]]:
    """Where the kernel may count: the group's own folder, or what a container has mounted in its place."""
    for line in groups.read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            mounted, file = root, "memory.events"
        elif "memory" in controllers.split(","):
            mounted, file = root / "memory", "memory.oom_control"
        else:
            continue
        yield mounted / path.lstrip("/"), file
        yield mounted, file


_MODE_FILTER: Final = 2
_ALLOW: Final = 0x7FFF0000
_REFUSE: Final = 0x00050000 | errno.EAFNOSUPPORT
_LOAD, _JUMP_EQUAL, _RETURN = 0x20, 0x15, 0x06
_NUMBER, _ARCHITECTURE, _FAMILY, _FAMILY_HIGH = 0, 4, 16, 20
"""Offsets in `struct seccomp_data` of seccomp(2), on machines whose numbers begin with the lowest byte."""
_SOCKETS: Final = {"x86_64": (0xC000003E, 41, 53), "aarch64": (0xC00000B7, 198, 199)}
"""Machine → its name in seccomp(2), and the numbers of socket and socketpair."""


def refuse_other_sockets() -> None:
    """Sockets of any family but AF_UNIX are refused with EAFNOSUPPORT from now on, to descendants as well.

    For a process to which they are refused already, but with a number that says less: gVisor has but one.
    """
    architecture, alone, pair = _SOCKETS[platform.machine()]
    program = b"".join(
        struct.pack("=HBBI", code, yes, no, value)
        for code, yes, no, value in (
            (_LOAD, 0, 0, _ARCHITECTURE),
            (_JUMP_EQUAL, 0, 7, architecture),
            (_LOAD, 0, 0, _NUMBER),
            (_JUMP_EQUAL, 1, 0, alone),
            (_JUMP_EQUAL, 0, 4, pair),
            (_LOAD, 0, 0, _FAMILY),
            (_JUMP_EQUAL, 0, 3, 1),
            (_LOAD, 0, 0, _FAMILY_HIGH),
            (_JUMP_EQUAL, 0, 1, 0),
            (_RETURN, 0, 0, _ALLOW),
            (_RETURN, 0, 0, _REFUSE),
        )
    )
    instructions = ctypes.create_string_buffer(program, len(program))
    filter_program = ctypes.create_string_buffer(struct.pack("@HP", len(program) // 8, ctypes.addressof(instructions)))
    _prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.cast(filter_program, ctypes.c_void_p))


def _read_all(file: str) -> Iterator[tuple[int, bytes]]:
    """One file of each process under /proc that can be read; processes may end meanwhile."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                yield int(entry.name), (entry / file).read_bytes()
            except OSError:
                continue


def cpu_seconds(process: int) -> float:
    """Processor time of a process, and of the children it has waited for with theirs; 0 when it is gone."""
    try:
        stat = Path(f"/proc/{process}/stat").read_bytes()
    except OSError:
        return 0.0
    return sum(map(int, stat[stat.rindex(b")") + 2 :].split()[11:15])) / os.sysconf("SC_CLK_TCK")


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
