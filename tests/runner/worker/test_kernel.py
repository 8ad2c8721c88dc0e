"""Where the kernel counts what it killed for want of memory, on machines of either version of control groups."""

from __future__ import annotations

import errno
import os
import platform
import socket
from pathlib import Path

import pytest

from runner.worker import kernel

V1 = "5:devices:/a\n4:cpu,memory:{path}\n0::/elsewhere\n"
V2 = "0::{path}\n"
V1_COUNTS = "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n"
V2_COUNTS = "low 0\nhigh 0\nmax 17\noom 5\noom_kill 3\noom_group_kill 0\n"


@pytest.mark.parametrize(
    ("groups", "file", "text", "kills"),
    [
        (V1.format(path="/"), "memory/memory.oom_control", V1_COUNTS, 3),
        (V1.format(path="/docker/1f"), "memory/docker/1f/memory.oom_control", V1_COUNTS, 3),
        # A container that shares the machine's names of groups, but has only its own mounted.
        (V1.format(path="/docker/1f"), "memory/memory.oom_control", V1_COUNTS, 3),
        (V2.format(path="/"), "memory.events", V2_COUNTS, 3),
        (V2.format(path="/system.slice/plugbay"), "system.slice/plugbay/memory.events", V2_COUNTS, 3),
        (V2.format(path="/../other"), "memory.events", V2_COUNTS, 3),
        (V1.format(path="/"), "memory/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\n", 0),  # before Linux 4.13
        (V2.format(path="/"), "cgroup.procs", "1\n", 0),
        ("", "memory.events", V2_COUNTS, 0),
    ],
)
def test_kills_are_found_where_the_kernel_counts_them(
    tmp_path: Path, groups: str, file: str, text: str, kills: int
) -> None:
    (tmp_path / "groups").write_text(groups)
    counts = tmp_path / "cgroup" / file
    counts.parent.mkdir(parents=True)
    counts.write_text(text)
    assert kernel.oom_kills(tmp_path / "groups", tmp_path / "cgroup") == kills


def test_this_machine_can_be_asked() -> None:
    assert kernel.oom_kills() >= 0


@pytest.mark.skipif(platform.machine() not in ("x86_64", "aarch64"), reason="call numbers of these machines")
def test_sockets_of_other_families_are_refused_from_then_on() -> None:
    child = os.fork()
    if not child:
        status = 1
        try:
            kernel._prctl(38, 1)  # PR_SET_NO_NEW_PRIVS, as in every container
            kernel.refuse_other_sockets()
            tried = {family: _errno(family) for family in range(46)}
            socket.socketpair()
            status = int(tried.pop(int(socket.AF_UNIX)) != 0 or set(tried.values()) != {errno.EAFNOSUPPORT})
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0


def _errno(family: int) -> int:
    """What comes of asking for a socket of this family."""
    try:
        socket.socket(family, socket.SOCK_DGRAM).close()
    except OSError as error:
        return error.errno or 0
    return 0
