"""Runs inside a tenant's sandbox instead of the zygote, and reports what it could do there.

Given to the sandbox as text and run alone, so it imports nothing of the platform:

    probe.py SOCKET         one JSON object is sent there

Every call is made so that a kernel without the filter would answer differently, or at worst do nothing.
"""

from __future__ import annotations

import ctypes
import errno
import itertools
import json
import os
import platform
import resource
import socket
import stat
import sys
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

CLONE_NEWUSER = 0x10000000
SIGCHLD = 17
NOTHING = -1
HIGH = 1 << 32
"""Beyond what the kernel reads of a 32-bit argument; a filter compares all 64 bits."""
MINUS_ONE = 0xFFFFFFFF

# Call → its number on x86_64 and aarch64 (None: there is none), and its arguments.
CALLS: dict[str, tuple[int | None, int | None, tuple[int, ...]]] = {
    "add_key": (248, 217, (0, 0, 0, 0, 0)),
    "bpf": (321, 280, (NOTHING, 0, 0)),
    "clone(CLONE_NEWUSER)": (56, 220, (CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0)),
    "clone3": (435, 435, (0, 0)),
    "fanotify_mark": (301, 263, (NOTHING, 0, 0, 0, 0)),
    "fsopen": (430, 430, (0, 0)),
    "io_setup": (206, 0, (0, 0)),
    "io_uring_enter": (426, 426, (NOTHING, 0, 0, 0, 0, 0)),
    "io_uring_register": (427, 427, (NOTHING, 0, 0, 0)),
    "io_uring_setup": (425, 425, (0, 0)),
    "ioctl(TIOCLINUX)": (16, 29, (NOTHING, 0x541C, 0)),
    "ioctl(TIOCSTI)": (16, 29, (NOTHING, 0x5412, 0)),
    "ioctl(TIOCSTI, high bits)": (16, 29, (NOTHING, HIGH | 0x5412, 0)),
    "ioprio_set": (251, 30, (NOTHING, 0, 0)),
    "keyctl": (250, 219, (NOTHING, 0, 0, 0, 0)),
    "landlock_create_ruleset": (444, 444, (0, 0, 1)),
    "memfd_create": (319, 279, (0, 0)),
    "memfd_secret": (447, 447, (NOTHING,)),
    "mknodat": (259, 33, (NOTHING, 0, 0, 0)),
    "modify_ldt": (154, None, (0, 0, 0)),
    "mount": (165, 40, (0, 0, 0, 0, 0)),
    "mount_setattr": (442, 442, (NOTHING, 0, 0, 0, 0)),
    "move_mount": (429, 429, (NOTHING, 0, NOTHING, 0, 0)),
    "mq_open": (240, 180, (0, 0, 0, 0)),
    "msgget": (68, 186, (NOTHING, 0)),
    "name_to_handle_at": (303, 264, (NOTHING, 0, 0, 0, 0)),
    "open_by_handle_at": (304, 265, (NOTHING, 0, 0)),
    "open_tree": (428, 428, (NOTHING, 0, 0)),
    "perf_event_open": (298, 241, (0, 0, NOTHING, NOTHING, 0)),
    "personality": (135, 92, (MINUS_ONE,)),
    "pidfd_getfd": (438, 438, (NOTHING, 0, 0)),
    "pivot_root": (155, 41, (0, 0)),
    "prlimit64(1)": (302, 261, (1, resource.RLIMIT_NOFILE, 0, 0)),
    "process_vm_readv": (310, 270, (1, 0, 0, 0, 0, 0)),
    "process_vm_writev": (311, 271, (1, 0, 0, 0, 0, 0)),
    "ptrace": (101, 117, (NOTHING, 0, 0, 0)),
    "request_key": (249, 218, (0, 0, 0, 0)),
    "sched_setattr": (314, 274, (0, 0, 0)),
    "sched_setscheduler": (144, 119, (0, 0, 0)),
    "seccomp": (317, 277, (NOTHING, 0, 0)),
    "semget": (64, 190, (NOTHING, NOTHING, 0)),
    "setns": (308, 268, (NOTHING, 0)),
    "shmget": (29, 194, (NOTHING, 0, 0)),
    "splice": (275, 76, (NOTHING, 0, NOTHING, 0, 1, 0)),
    "tee": (276, 77, (NOTHING, NOTHING, 1, 0)),
    "unshare": (272, 97, (0,)),
    "userfaultfd": (323, 282, (NOTHING,)),
    "vmsplice": (278, 75, (NOTHING, 0, 0, 0)),
}
SOCKET = (41, 198)
SOCKETPAIR = (53, 199)
FAMILIES = 46
PR_GET_NO_NEW_PRIVS = 39
LIMITS = {
    "nofile": resource.RLIMIT_NOFILE,
    "core": resource.RLIMIT_CORE,
    "fsize": resource.RLIMIT_FSIZE,
    "memlock": resource.RLIMIT_MEMLOCK,
}

libc = ctypes.CDLL(None, use_errno=True)


def call(number: int, *arguments: int) -> int:
    """The errno of a system call; 0 when it was carried out."""
    ctypes.set_errno(0)
    result = libc.syscall(*(ctypes.c_long(value) for value in (number, *arguments)))
    if number in (56, 220) and result == 0:
        os._exit(0)  # the child of a clone that should have been refused
    return ctypes.get_errno() if result == -1 else 0


def calls(machine: int) -> dict[str, int]:
    """Forbidden calls → errno."""
    tried = {}
    for name, (on_x86_64, on_aarch64, arguments) in CALLS.items():
        number = (on_x86_64, on_aarch64)[machine]
        if number is not None:
            tried[name] = call(number, *arguments)
    return tried


def sockets(machine: int) -> dict[str, int]:
    """Families of sockets, and of pairs of sockets → errno."""
    tried = {str(family): call(SOCKET[machine], family, socket.SOCK_DGRAM, 0) for family in range(FAMILIES)}
    tried["1, high bits"] = call(SOCKET[machine], HIGH | socket.AF_UNIX, socket.SOCK_DGRAM, 0)
    tried["pair of 2"] = call(SOCKETPAIR[machine], socket.AF_INET, socket.SOCK_DGRAM, 0, 0)
    return {family: number for family, number in tried.items() if family != str(int(socket.AF_UNIX))}


def read(*paths: str) -> str | None:
    """The first of these files that there is; None when there is none or it must not be read."""
    for path in paths:
        try:
            with Path(path).open(encoding="latin-1") as file:
                return file.read(65536)
        except OSError:
            continue
    return None


def failure(action: Callable[[], None]) -> int:
    """The errno an action fails with; 0 when it does not."""
    try:
        action()
    except OSError as error:
        return error.errno or errno.EIO
    return 0


def written(folder: str) -> int:
    """The errno of making a file there; 0 when it was made."""
    return failure(Path(folder, "probe").touch) or failure(Path(folder, "probe").unlink)


def replaced(address: str) -> int:
    """The errno of taking the host's socket away; 0 when that went."""
    return failure(Path(address).unlink)


def mounts() -> dict[str, str]:
    """Mount points → their options."""
    rows = [line.split(" ") for line in (read("/proc/self/mountinfo") or "").splitlines()]
    return {row[4]: row[5] for row in rows}


def setuid_files() -> list[str]:
    """Programs that would run as another user. None does that on a file system mounted nosuid."""
    points = mounts()
    found = []
    for point, options in points.items():
        if "nosuid" not in options.split(","):
            found += list(itertools.islice(_setuid_below(point, points.keys()), 20))
    return found


def _setuid_below(point: str, points: Collection[str]) -> Iterator[str]:
    for folder, below, names in os.walk(point):
        below[:] = [name for name in below if str(Path(folder, name)) not in points]
        for name in names:
            path = Path(folder, name)
            try:
                if path.lstat().st_mode & (stat.S_ISUID | stat.S_ISGID):
                    yield str(path)
            except OSError:
                continue


def main(address: str) -> None:
    """Tries everything and reports."""
    host = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    host.connect(address)
    machine = {"x86_64": 0, "aarch64": 1}[platform.machine()]
    tmp = os.statvfs("/tmp")
    report = {
        "calls": calls(machine),
        "sockets": sockets(machine),
        "status": dict(
            line.split(":\t", 1) for line in (read("/proc/self/status") or "").splitlines() if ":\t" in line
        ),
        "no_new_privileges": libc.prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0),
        "uids": [*os.getresuid(), *os.getresgid(), *os.getgroups()],
        "written": {point: written(point) for point in [*mounts(), "/dev/shm"] if Path(point).is_dir()},
        "replaced": replaced(address),
        "tmp": {"bytes": tmp.f_blocks * tmp.f_frsize, "inodes": tmp.f_files, "options": mounts().get("/tmp", "")},
        "limits": {name: resource.getrlimit(number)[1] for name, number in LIMITS.items()},
        "memory": read("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"),
        "swap": read("/sys/fs/cgroup/memory.swap.max", "/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes"),
        "swaps": read("/proc/swaps"),
        "pids": read("/sys/fs/cgroup/pids.max", "/sys/fs/cgroup/pids/pids.max"),
        "cpu": read("/sys/fs/cgroup/cpu.max", "/sys/fs/cgroup/cpu/cpu.cfs_quota_us"),
        "oom_score_adj": read("/proc/self/oom_score_adj"),
        "core_pattern": read("/proc/sys/kernel/core_pattern"),
        "interfaces": [
            line.split(":")[0].strip() for line in (read("/proc/net/dev") or "").splitlines() if ":" in line
        ],
        "masked": {path: len(read(path) or "") for path in ("/proc/kcore", "/proc/keys", "/proc/timer_list")},
        "setuid": setuid_files(),
        "kernel": platform.release(),
    }
    host.sendall(json.dumps(report).encode())
    host.close()


if __name__ == "__main__":
    main(sys.argv[1])
