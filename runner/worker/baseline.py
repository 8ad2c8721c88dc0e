"""What a worker looks like before a call, so that the next call finds it the same."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sys

# `signal.getsignal` wraps each answer in an enum, which costs more than all the rest here.
from _signal import getsignal  # type: ignore[import-not-found]
from collections.abc import Callable

_SIGNALS = (
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGALRM,
    signal.SIGCHLD,
    signal.SIGUSR1,
    signal.SIGUSR2,
)
_LIMITS = (
    resource.RLIMIT_CPU,
    resource.RLIMIT_NOFILE,
    resource.RLIMIT_FSIZE,
    resource.RLIMIT_AS,
    resource.RLIMIT_NPROC,
)


class Baseline:
    """Process-wide state that functions change at times: put back after each call, cheaply."""

    def __init__(self, restore_streams: Callable[[], None]) -> None:
        self._restore_streams = restore_streams
        self._stream = sys.stdout
        self._folder = os.getcwd()  # noqa: PTH109  # on the path of every call
        self._mask = os.umask(0o022)
        os.umask(self._mask)
        self._environ = dict(os.environb)
        self._recursion = sys.getrecursionlimit()
        self._handlers = [getsignal(number) for number in _SIGNALS]
        self._limits = [resource.getrlimit(limit) for limit in _LIMITS]
        self._niceness = os.getpriority(os.PRIO_PROCESS, 0)

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
        return self._unchangeable_unchanged()

    def _unchangeable_unchanged(self) -> bool:
        limits = [resource.getrlimit(limit) for limit in _LIMITS]
        return limits == self._limits and os.getpriority(os.PRIO_PROCESS, 0) == self._niceness
