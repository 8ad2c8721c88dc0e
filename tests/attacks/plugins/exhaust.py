"""Functions that take all there is: time, memory, processes, threads, and their neighbours' lives."""

import ctypes
import os
import re
import resource
import signal
import threading
import time
from pathlib import Path

import expose

SHORT = 0.4
"""Time limit of what never ends, in seconds."""


@expose.endpoint(API="spin", timeout=SHORT)
def spin() -> None:
    while True:
        pass


@expose.endpoint(API="spin-async", timeout=SHORT)
async def spin_async() -> None:
    while True:
        pass


@expose.endpoint(API="backtrack", timeout=SHORT)
def backtrack() -> bool:
    return bool(re.match("(a+)+$", "a" * 40 + "b"))


@expose.endpoint(API="power", timeout=SHORT)
def power() -> int:
    return len(str(10**10**9))


@expose.endpoint(API="deaf", timeout=SHORT)
def deaf() -> None:
    for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_IGN)
    while True:
        pass


@expose.endpoint(API="unstoppable", timeout=SHORT)
async def unstoppable() -> None:
    while True:
        try:
            import asyncio

            await asyncio.sleep(1000)
        except BaseException:  # noqa: BLE001
            continue


@expose.endpoint(API="bytes")
def allocate_bytes() -> int:
    return len(bytearray(10 << 30))


@expose.endpoint(API="list")
def allocate_list() -> int:
    return len([0] * 10**9)


@expose.endpoint(API="grow")
def grow() -> int:
    kept = []
    while True:
        kept.append(bytearray(1 << 24))


KEPT: list[bytearray] = []


@expose.endpoint(API="leak")
def leak() -> int:
    """Leaves the worker, which lives on, without memory."""
    while True:
        try:
            KEPT.append(bytearray(1 << 16))
        except MemoryError:
            del KEPT[-100:]
            return os.getpid()


@expose.endpoint(API="fork")
def fork() -> None:
    for _ in range(100):
        if os.fork() == 0:
            while True:
                signal.pause()


@expose.endpoint(API="fork-and-wait", timeout=1)
def fork_and_wait() -> None:
    fork()
    signal.pause()


@expose.endpoint(API="threads")
def threads() -> None:
    for _ in range(10_000):
        threading.Thread(target=threading.Event().wait, daemon=True).start()


@expose.endpoint(API="some-threads")
def some_threads() -> int:
    """Leaves the worker, which would live on, with more threads than it is to have, small as they are."""
    threading.stack_size(128 * 1024)
    for _ in range(70):
        threading.Thread(target=threading.Event().wait, daemon=True).start()
    return os.getpid()


@expose.endpoint(API="daemon")
def daemon() -> int:
    """Leaves a process that has cut every tie; gives its id."""
    read_end, write_end = os.pipe()
    if os.fork() == 0:
        os.setsid()
        pid = os.fork()
        if pid:
            os.write(write_end, str(pid).encode())
            os._exit(0)
        os.closerange(0, 1000)
        os.environ.clear()
        time.sleep(3600)
    return int(os.read(read_end, 100))


@expose.endpoint(API="stop-self", timeout=SHORT)
def stop_self() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


@expose.endpoint(API="signal-zygote", timeout=SHORT)
def signal_zygote(number: int) -> None:
    os.kill(os.getppid(), number)
    signal.pause()


@expose.endpoint(API="kill-all")
def kill_all(number: int) -> None:
    """What `kill(-1)` does inside a sandbox of its own: here it may only be the runner's own processes."""
    zygote, me = os.getppid(), os.getpid()
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal() and int(folder.name) != me:
            try:
                stat = (folder / "stat").read_bytes()
            except OSError:
                continue
            if int(stat[stat.rindex(b")") + 2 :].split()[1]) == zygote:
                os.kill(int(folder.name), number)
    os.kill(me, number)


@expose.endpoint(API="segfault")
def segfault() -> None:
    Path("/proc/self/coredump_filter").write_text("0xff")
    ctypes.string_at(0)


@expose.endpoint(API="sleep", timeout=SHORT)
def sleep() -> None:
    time.sleep(10**9)


@expose.endpoint(API="pause", timeout=SHORT)
def pause() -> None:
    signal.pause()


@expose.endpoint(API="deadlock", timeout=SHORT)
def deadlock() -> None:
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()


@expose.endpoint(API="input", timeout=SHORT)
def read_input() -> str:
    return input()


@expose.endpoint(API="files", timeout=5)
def files() -> int:
    """Opens all the files it may."""
    opened = []
    try:
        while True:
            opened.append(os.open("/dev/null", os.O_RDONLY))
    finally:
        resource.getrusage(resource.RUSAGE_SELF)
        for each in opened:
            os.close(each)


@expose.endpoint(API="wait", timeout=60)
def wait(started: str, until: str) -> str:
    """Returns when the file `until` is there."""
    with Path(started).open("ab") as file:
        file.write(b"x")
    while not Path(until).exists():
        time.sleep(0.01)
    return "done"
