"""What a tenant of test_cycles runs: looks for canaries wherever code of another could have left one, then leaves its own."""

from __future__ import annotations

import builtins
import contextlib
import ctypes
import os
import re
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import expose

CANARY = re.compile(rb"canary-of-[0-9a-f-]{36}-\d{4}")
FOLDERS = ("/tmp", "/dev/shm", "/run/host", "/var/tmp", "/opt/plugbay")
LARGEST = 2 << 20
"""Bytes of the largest block of memory looked at: larger ones are stacks of threads, and empty."""

kept: list[str] = []


def _files() -> Iterator[bytes]:
    for folder in FOLDERS:
        for path in Path(folder).glob("*"):
            yield os.fsencode(path)
            with contextlib.suppress(OSError):
                if path.is_file():
                    yield path.read_bytes()


def _processes() -> Iterator[bytes]:
    for process in Path("/proc").iterdir():
        if process.name.isdecimal():
            for name in ("cmdline", "environ", "comm"):
                with contextlib.suppress(OSError):
                    yield (process / name).read_bytes()


def _memory() -> Iterator[bytes]:
    for line in Path("/proc/self/maps").read_text().splitlines():
        span, mode, _, _, inode, *_ = line.split()
        start, end = (int(place, 16) for place in span.split("-"))
        if mode.startswith("rw") and inode == "0" and end - start <= LARGEST:
            yield ctypes.string_at(start, end - start)


def _kernel() -> Iterator[bytes]:
    for name in ("net/unix", "sysvipc/shm", "sysvipc/msg", "sysvipc/sem"):
        with contextlib.suppress(OSError):
            yield Path("/proc", name).read_bytes()


def _interpreter() -> Iterator[bytes]:
    yield repr([kept, vars(builtins).get("left"), list(sys.modules), dict(os.environ)]).encode()
    yield repr([thread.name for thread in threading.enumerate()]).encode()


PLACES = {
    "files": _files,
    "processes": _processes,
    "memory": _memory,
    "kernel": _kernel,
    "interpreter": _interpreter,
}


def _look(*places: str) -> dict[str, list[str]]:
    """The canaries in each of these places."""
    return {
        place: sorted({one.decode() for part in PLACES[place]() for one in CANARY.findall(part)}) for place in places
    }


def _lives_on(canary: str) -> None:
    """A process of another session, and a name of the kernel's that it holds."""
    one = socket.socket(socket.AF_UNIX)
    one.bind(f"\0{canary}")
    one.set_inheritable(True)
    child = os.posix_spawn("/usr/bin/sleep", [canary, "1000"], {}, setsid=True)
    while canary not in Path(f"/proc/{child}/cmdline").read_text():  # the kernel is about to make it
        time.sleep(0.001)


def _plant(canary: str) -> None:
    kept.append(canary)
    vars(builtins)["left"] = canary
    sys.modules[canary] = sys
    os.environ["CANARY"] = canary
    threading.Thread(target=time.sleep, args=[1000], name=canary, daemon=True).start()
    for folder in FOLDERS:
        with contextlib.suppress(OSError):
            Path(folder, canary).write_text(canary)
    _lives_on(canary)


@expose.endpoint(method="POST", API="cycle", timeout=20)
def cycle(canary: str) -> dict[str, Any]:
    """What was found before, what of one's own after, and where this is."""
    found = _look(*PLACES)
    names = {process.read_text().strip() for process in Path("/proc").glob("[0-9]*/comm")}
    _plant(canary)
    [runner] = re.findall(r"/([0-9a-f]{16}) /run/host ", Path("/proc/self/mountinfo").read_text())
    own = _look(*(place for place in PLACES if place != "memory"))
    return {
        "found": found,
        "strangers": sorted(names - {"plugbay-zygote", "plugbay-worker"}),
        "own": own,
        "runner": runner,
    }
