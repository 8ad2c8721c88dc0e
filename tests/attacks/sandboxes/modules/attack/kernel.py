"""System calls by their numbers on x86_64, files and processes: each gives what came of it by the names of errnos."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import mmap
import os
import resource
import shutil
import signal
import socket
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

libc = ctypes.CDLL(None, use_errno=True)

NEW_USER = 0x10000000
_X86_64 = (
    "mount=165 umount2=166 pivot_root=155 chroot=161 fsopen=430 fsmount=432 open_tree=428 move_mount=429 "
    "mount_setattr=442 unshare=272 setns=308 clone=56 clone3=435 io_uring_setup=425 userfaultfd=323 keyctl=250 "
    "add_key=248 request_key=249 bpf=321 perf_event_open=298 splice=275 vmsplice=278 tee=276 "
    "open_by_handle_at=304 name_to_handle_at=303"
)
NUMBERS = {name: int(number) for name, _, number in (pair.partition("=") for pair in _X86_64.split())}


def tried(action: Callable[..., Any], *arguments: Any) -> str:
    """`done`, or the errno of its failure."""
    try:
        action(*arguments)
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    return "done"


def called(name: str, *arguments: int) -> str:
    """The same of a system call."""
    ctypes.set_errno(0)
    result = libc.syscall(*(ctypes.c_long(value) for value in (NUMBERS[name], *arguments)))
    return errno.errorcode[ctypes.get_errno()] if result == -1 else f"done: {result}"


def read(path: str) -> bytes:
    """Up to a page of a file."""
    with Path(path).open("rb") as file:
        return file.read(4096)


def reads(paths: Iterable[str]) -> list[str]:
    """What came of reading each: an errno, `empty`, or `read`."""
    found = []
    for path in paths:
        try:
            found.append("read" if read(path) else "empty")
        except OSError as error:
            found.append(errno.errorcode[error.errno or 0])
    return found


def write(path: str, text: str = "1") -> None:
    """Writes to a file that exists."""
    with Path(path).open("r+b", buffering=0) as file:
        file.write(text.encode())


def writes(paths: Iterable[str]) -> list[str]:
    """What came of writing to each."""
    return [tried(write, path) for path in paths]


def zygote() -> list[str]:
    """Reads and writes what is process 1's."""
    return [
        tried(read, "/proc/1/environ"),
        tried(read, "/proc/1/maps"),
        tried(os.listdir, "/proc/1/fd"),
        tried(Path("/proc/1/mem").open, "r+b"),
    ]


def zygote_tells() -> list[str]:
    """What of process 1's tells something that is not this process's own: its variables, its files that can be opened."""
    told = []
    with contextlib.suppress(OSError):
        names = {part.partition(b"=")[0] for part in read("/proc/1/environ").split(b"\0") if part}
        told += ["environ"] * bool(names - set(os.environb))
    with contextlib.suppress(OSError):
        opened = [
            entry
            for entry in Path("/proc/1/fd").iterdir()
            if tried(os.open, entry, os.O_WRONLY | os.O_NONBLOCK) == "done" and os.readlink(entry) != os.devnull  # noqa: PTH115
        ]
        told += ["fd"] * bool(opened)
    return told


def programs() -> list[str]:
    """Runs what was written here: to the only place that can be written, and to memory."""
    copy = Path("/tmp/program")
    shutil.copyfile("/bin/true", copy)
    copy.chmod(0o755)
    found = [tried(os.posix_spawn, str(copy), [str(copy)], {}), tried(os.memfd_create, "program")]
    copy.unlink()
    return found


def machine_code(code: str) -> str:
    """Runs machine code, given in hexadecimal, in this very process; the errno it answers as a negative number."""
    memory = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    memory.write(bytes.fromhex(code))
    function = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(memory)))
    return errno.errorcode.get(-function(), "done")


def machine_code_in_child(code: str) -> str:
    """The same in a process with one thread; what it died of, or was answered."""
    child = os.fork()
    if not child:
        os._exit({"done": 100}.get(machine_code(code), 1))
    status = os.waitpid(child, 0)[1]
    return signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else str(os.WEXITSTATUS(status))


def families(kind: int = socket.SOCK_RAW) -> list[str]:
    """What came of sockets of every family but AF_UNIX."""
    return sorted({tried(socket.socket, family, kind) for family in range(46) if family != socket.AF_UNIX})


def others_limits() -> list[str]:
    """Takes process 1's means away."""
    return [
        tried(resource.prlimit, 1, resource.RLIMIT_CPU, (1, 1)),
        tried(resource.prlimit, 1, resource.RLIMIT_NOFILE, (3, 3)),
        tried(os.sched_setscheduler, 1, os.SCHED_IDLE, os.sched_param(0)),
        tried(write, "/proc/1/oom_score_adj", "1000"),
    ]


def segfault() -> None:
    """Dies so that as much as possible would be written down of it."""
    with contextlib.suppress(FileNotFoundError):  # gVisor has none
        write("/proc/self/coredump_filter", "0xff")
    libc.prctl(4, 1, 0, 0, 0)  # PR_SET_DUMPABLE
    ctypes.string_at(0)


def signals(*numbers: int) -> None:
    """Sends process 1 each of these."""
    for number in numbers:
        os.kill(1, number)


def deaf() -> None:
    """Never ends, whatever signal it is sent that can be ignored."""
    for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_IGN)
    while True:
        pass
