"""What a worker looks like before a call, so that the next call finds it the same."""

from __future__ import annotations

import contextlib
import gc
import os
import resource
import signal
import socket
import sys
import threading

# `signal.getsignal` wraps each answer in an enum, which costs more than all the rest here.
from _locale import LC_ALL, setlocale
from _signal import getsignal, pthread_sigmask  # type: ignore[import-not-found]
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

MAX_THREADS_LEFT: Final = 64
"""Threads that calls may leave behind in one worker."""
MAX_MEMORY_LEFT: Final = 0.75
"""Part of a worker's memory limit that calls may leave taken."""

_SIGNALS: Final = tuple(sorted(set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}))[:29]
"""All that can be handled, without the real-time ones."""
_LIMITS: Final = (
    resource.RLIMIT_CPU,
    resource.RLIMIT_NOFILE,
    resource.RLIMIT_FSIZE,
    resource.RLIMIT_AS,
    resource.RLIMIT_NPROC,
    resource.RLIMIT_STACK,
    resource.RLIMIT_DATA,
    resource.RLIMIT_CORE,
)


class Baseline:
    """Process-wide state that functions change at times: put back after each call, cheaply."""

    def __init__(self, restore_streams: Callable[[], None]) -> None:
        self._restore_streams = restore_streams
        self._stream = sys.stdout
        self._threads = threading.active_count()
        self._memory = resource.getrlimit(resource.RLIMIT_AS)[0]
        self.take()

    def take(self) -> None:
        """What is so now is what later calls find: what importing a module changes is meant for its calls."""
        self._folder = os.getcwd()  # noqa: PTH109  # on the path of every call
        self._mask = os.umask(0o022)
        os.umask(self._mask)
        self.take_environ()
        self._recursion = sys.getrecursionlimit()
        self._handlers = [getsignal(number) for number in _SIGNALS]
        self._fixed = _fixed()

    def take_environ(self) -> None:
        """The same of the environment alone."""
        self._environ = dict(os.environb)

    def restore(self) -> bool:
        """Puts everything back. False when something cannot be: the worker is then to be replaced."""
        if sys.stdout is not self._stream or sys.stderr is not self._stream:
            self._restore_streams()
        if sys.gettrace() is not None:
            sys.settrace(None)
        if sys.getprofile() is not None:
            sys.setprofile(None)
        if sys.getrecursionlimit() != self._recursion:
            sys.setrecursionlimit(self._recursion)
        if os.environb._data != self._environ:  # type: ignore[attr-defined]  # 20 times faster than comparing mappings
            os.environb.clear()
            os.environb.update(self._environ)
        os.umask(self._mask)
        try:
            if os.getcwd() != self._folder:  # noqa: PTH109
                os.chdir(self._folder)
        except OSError:  # the folder it stood in was removed
            with contextlib.suppress(OSError):
                os.chdir(self._folder)
        for number, handler in zip(_SIGNALS, self._handlers, strict=True):
            if getsignal(number) is not handler:
                signal.signal(number, handler if handler is not None else signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, 0)
        return _fixed() == self._fixed and not self._crowded()

    def _crowded(self) -> bool:
        """What calls left behind takes so much that later ones would lack it."""
        if threading.active_count() > self._threads + MAX_THREADS_LEFT:
            return True
        if self._memory == resource.RLIM_INFINITY:
            return False
        pages = int(Path("/proc/self/statm").read_bytes().split(None, 1)[0])
        return pages * resource.getpagesize() > self._memory * MAX_MEMORY_LEFT


def _fixed() -> tuple[Any, ...]:
    """What is not put back: some of it cannot be, and the rest changes too rarely."""
    return (
        [resource.getrlimit(limit) for limit in _LIMITS],
        os.getpriority(os.PRIO_PROCESS, 0),
        os.sched_getaffinity(0),
        pthread_sigmask(signal.SIG_BLOCK, ()),
        signal.getitimer(signal.ITIMER_VIRTUAL) == signal.getitimer(signal.ITIMER_PROF) == (0.0, 0.0),
        setlocale(LC_ALL),
        (gc.isenabled(), gc.get_threshold(), gc.get_debug()),
        (sys.getswitchinterval(), sys.get_int_max_str_digits(), socket.getdefaulttimeout()),
        _files(1, 2),
    )


def _files(*descriptors: int) -> list[tuple[int, int]]:
    """Which files these descriptors stand for; fewer than asked when one is closed."""
    found: list[tuple[int, int]] = []
    with contextlib.suppress(OSError):
        for descriptor in descriptors:
            status = os.fstat(descriptor)
            found.append((status.st_dev, status.st_ino))
    return found
