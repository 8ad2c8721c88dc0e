"""Prepares what bubblewrap cannot, then becomes bubblewrap.

Run as a script with nothing but the standard library:

    enter.py FOLDER PROGRAM [ARGUMENT …]

In a mount namespace of its own it puts a small file system without programs at FOLDER, which exists and
is empty, limits itself and what it becomes, and runs PROGRAM. An ordinary user gets a user namespace for
that as well, in which processes are counted anew.
"""

from __future__ import annotations

import ctypes
import os
import resource
import sys
from pathlib import Path

TMP_BYTES = 32 * 1024 * 1024
"""Bytes of `/tmp`."""
TMP_INODES = 4096
"""Files and folders it can hold."""
PROCESSES = 64
"""Processes and threads of a runner."""
NICE = 5
"""How far the runner's processes step back behind the platform's own."""
FILE_BYTES = 64 * 1024 * 1024
"""Bytes of the largest file, whatever room `/tmp` has."""

_CLONE_NEWNS = 0x00020000
_CLONE_NEWUSER = 0x10000000
_MS_NOSUID, _MS_NODEV, _MS_NOEXEC = 2, 4, 8
_MS_REC, _MS_PRIVATE = 0x4000, 1 << 18
_LIMITS = {
    resource.RLIMIT_NPROC: PROCESSES,
    resource.RLIMIT_NOFILE: 256,
    resource.RLIMIT_CORE: 0,
    resource.RLIMIT_FSIZE: FILE_BYTES,
    resource.RLIMIT_MEMLOCK: 0,
    resource.RLIMIT_MSGQUEUE: 0,
}

_libc = ctypes.CDLL(None, use_errno=True)


def _checked(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def _own_namespaces() -> None:
    uid, gid = os.getuid(), os.getgid()
    if uid == 0:
        _checked(_libc.unshare(_CLONE_NEWNS), "mount namespace")
        return
    _checked(_libc.unshare(_CLONE_NEWNS | _CLONE_NEWUSER), "user namespace")
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
    Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")


def main() -> None:
    """Does not return."""
    folder, program, *arguments = sys.argv[1:]
    try:
        _own_namespaces()
        _checked(_libc.mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None), "private mounts")
        options = f"size={TMP_BYTES},nr_inodes={TMP_INODES},mode=1777".encode()
        flags = _MS_NOSUID | _MS_NODEV | _MS_NOEXEC
        _checked(_libc.mount(b"tmpfs", os.fsencode(folder), b"tmpfs", flags, options), "file system for /tmp")
        Path("/proc/self/oom_score_adj").write_text("500")
        os.nice(NICE)
        for limit, most in _LIMITS.items():
            resource.setrlimit(limit, (most, most))
        os.execv(program, [program, *arguments])
    except OSError as error:
        sys.exit(str(error.strerror))


if __name__ == "__main__":
    main()
