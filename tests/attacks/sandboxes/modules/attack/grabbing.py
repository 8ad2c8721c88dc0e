"""Taking more than one's share: memory, disk, processes, threads and files."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import mmap
import os
import signal
import threading
import time
from pathlib import Path

from .kernel import libc

F_GETPIPE_SZ = 1032


def fills(path: str = "/tmp/large") -> str:
    """Writes until there is no room; why there is none. What was written stays."""
    try:
        with Path(path).open("ab") as file:
            while True:
                file.write(bytes(1 << 20))
    except OSError as error:
        return errno.errorcode[error.errno or 0]


def files(folder: str = "/tmp/many") -> str:
    """Makes empty files until there can be no more, and removes them."""
    Path(folder).mkdir()
    made = 0
    try:
        while True:
            Path(folder, str(made)).touch()
            made += 1
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    finally:
        for number in range(made):
            Path(folder, str(number)).unlink()
        Path(folder).rmdir()


def reserves(path: str = "/tmp/reserved") -> list[str]:
    """Reserves a terabyte, and writes where no file may reach."""
    with Path(path).open("wb") as file:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        found = []
        for attempt in (
            lambda: os.posix_fallocate(file.fileno(), 0, 10**12),
            lambda: os.pwrite(file.fileno(), b"x", 1 << 30),
        ):
            try:
                attempt()
                found.append("done")
            except OSError as error:
                found.append(errno.errorcode[error.errno or 0])
    Path(path).unlink()
    return found


def deep_folders(depth: int) -> int:
    """Folders inside one another, with names that no program likes; how many there could be."""
    os.chdir("/tmp")
    for made in range(depth):
        name = ("-rf", "\n", "x" * 255)[made % 3]
        try:
            os.mkdir(name)  # noqa: PTH102
            os.chdir(name)
        except OSError:
            return made
    return depth


def forks() -> str:
    """Makes processes until there can be no more; why."""
    while True:
        try:
            child = os.fork()
        except OSError as error:
            return errno.errorcode[error.errno or 0]
        if not child:
            time.sleep(1000)


def bomb() -> None:
    """Every process makes more of them."""
    while True:
        with contextlib.suppress(OSError):
            os.fork()


def runaways(count: int) -> int:
    """Leaves processes that fork and exit for ever."""
    for _ in range(count):
        if not os.fork():
            os.setsid()
            while True:
                with contextlib.suppress(OSError):
                    if os.fork():
                        os._exit(0)
    return count


def daemon() -> int:
    """Leaves a process that has cut every tie."""
    if not os.fork():
        os.setsid()
        if os.fork():
            os._exit(0)
        os.closerange(0, 256)
        time.sleep(3600)
    return os.wait()[0]


def threads() -> None:
    """Starts threads until there can be no more."""
    while True:
        threading.Thread(target=threading.Event().wait, daemon=True).start()


def holds_kernel_objects() -> list[int]:
    """Children that hold pipes and inotify instances until there can be no more; how many they got, in all."""
    pipes = watches = 0
    for _ in range(8):
        reading, writing = os.pipe()
        if os.fork():
            os.close(writing)
            got = os.read(reading, 100).split()
            os.close(reading)
            pipes, watches = pipes + int(got[0]), watches + int(got[1])
            continue
        mine = [0, 0]
        with contextlib.suppress(OSError):
            while True:
                os.pipe()
                mine[0] += 1
                if mine[0] % 8 == 0:
                    mine[1] += libc.inotify_init1(0) >= 0
        os.write(writing, b"%d %d" % tuple(mine))
        time.sleep(1000)
    return [pipes, watches]


def kernel_objects() -> list[int]:
    """Bytes that a new pipe holds, and whether there is an inotify instance to be had."""
    reading, writing = os.pipe()
    size = fcntl.fcntl(writing, F_GETPIPE_SZ)
    watch = libc.inotify_init1(0)
    for one in (reading, writing, watch):
        with contextlib.suppress(OSError):
            os.close(one)
    return [size, int(watch >= 0)]


def touches(size: int) -> int:
    """Uses so much memory, page by page."""
    block = ctypes.create_string_buffer(size)
    for page in range(0, size, 4096):
        block[page] = b"x"
    return len(block)


def shares(size: int) -> int:
    """Uses so much memory that others could share, and lets go of all but a page of it, with which the rest stays."""
    block = mmap.mmap(-1, size)
    for page in range(0, size, mmap.PAGESIZE):
        block[page] = 1
    block.madvise(mmap.MADV_DONTNEED)
    start = ctypes.addressof(ctypes.c_char.from_buffer(block))
    libc.munmap(ctypes.c_void_p(start + mmap.PAGESIZE), ctypes.c_size_t(size - mmap.PAGESIZE))
    time.sleep(4)
    return size


def kills_all() -> None:
    """Every process that it may."""
    os.kill(-1, signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)
