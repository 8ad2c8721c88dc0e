"""Functions that change what they share with the next call, and one that shows how it found things."""

import builtins
import contextlib
import gc
import json
import locale
import logging
import os
import resource
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

import expose

os.environ["SET_AT_IMPORT"] = "yes"

LIMITS = [resource.RLIMIT_CPU, resource.RLIMIT_NOFILE, resource.RLIMIT_FSIZE, resource.RLIMIT_AS, resource.RLIMIT_NPROC]
LIMITS += [resource.RLIMIT_STACK, resource.RLIMIT_DATA, resource.RLIMIT_CORE]


def state() -> dict[str, Any]:
    return {
        "cwd": os.getcwd(),  # noqa: PTH109
        "umask": Path("/proc/self/status").read_text().split("Umask:")[1].split()[0],
        "handlers": [repr(signal.getsignal(number)) for number in sorted(signal.valid_signals()) if number < 32],
        "mask": sorted(int(number) for number in signal.pthread_sigmask(signal.SIG_BLOCK, ())),
        "timers": [
            signal.getitimer(which)[1] for which in (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)
        ],
        "environ": dict(os.environ),
        "locale": locale.setlocale(locale.LC_ALL),
        "recursion": sys.getrecursionlimit(),
        "streams": [type(sys.stdout).__name__, type(sys.stderr).__name__],
        "gc": [gc.isenabled(), gc.get_threshold(), gc.get_debug(), len(gc.callbacks)],
        "trace": [sys.gettrace() is None, sys.getprofile() is None],
        "limits": [resource.getrlimit(limit) for limit in LIMITS],
        "nice": os.getpriority(os.PRIO_PROCESS, 0),
        "affinity": sorted(os.sched_getaffinity(0)),
        "switch": sys.getswitchinterval(),
        "digits": sys.get_int_max_str_digits(),
        "timeout": socket.getdefaulttimeout(),
    }


def change_limits() -> None:
    for limit in LIMITS:
        _, hard = resource.getrlimit(limit)
        with contextlib.suppress(ValueError, OSError):
            lower = 10**6 if hard == resource.RLIM_INFINITY else hard - 1
            resource.setrlimit(limit, (lower, hard))


def change_stack_limit() -> None:
    resource.setrlimit(resource.RLIMIT_STACK, (2**20, resource.getrlimit(resource.RLIMIT_STACK)[1]))


def change_streams() -> None:
    sys.stdout = sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115


CHANGES: dict[str, Callable[[], Any]] = {
    "cwd": lambda: os.chdir("/"),
    "umask": lambda: os.umask(0o777),
    "handlers": lambda: [
        signal.signal(number, lambda *_: None)
        for number in signal.valid_signals()
        if number < 32 and number not in (signal.SIGKILL, signal.SIGSTOP)
    ],
    "mask": lambda: signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals()),
    "timers": lambda: [
        signal.setitimer(signal.ITIMER_REAL, 3600, 3600),
        signal.setitimer(signal.ITIMER_VIRTUAL, 3600, 3600),
        signal.setitimer(signal.ITIMER_PROF, 3600, 3600),
    ],
    "environ": lambda: os.environ.update(PATH="/nowhere", HTTP_PROXY="http://evil", NEW="x"),
    "no-environ": os.environ.clear,
    "locale": lambda: locale.setlocale(locale.LC_ALL, "C.UTF-8" if locale.setlocale(locale.LC_ALL) == "C" else "C"),
    "recursion": lambda: sys.setrecursionlimit(60),
    "streams": change_streams,
    "gc": gc.disable,
    "gc-threshold": lambda: gc.set_threshold(1),
    "gc-debug": lambda: gc.set_debug(gc.DEBUG_SAVEALL),
    "trace": lambda: sys.settrace(lambda *_: None),
    "profile": lambda: sys.setprofile(lambda *_: None),
    "limits": change_limits,
    "stack": change_stack_limit,
    "nice": lambda: os.nice(5),
    "affinity": lambda: os.sched_setaffinity(0, {0}),
    "switch": lambda: sys.setswitchinterval(1000),
    "digits": lambda: sys.set_int_max_str_digits(640),
    "timeout": lambda: socket.setdefaulttimeout(0.001),
}


@expose.endpoint(API="state")
def see_state() -> list[Any]:
    return [os.getpid(), state()]


@expose.endpoint(API="change")
def change(what: str) -> list[Any]:
    """Process id and state before the change."""
    before = state()
    CHANGES[what]()
    return [os.getpid(), before]


def broken(*_: Any, **__: Any) -> Any:
    raise RuntimeError("sabotaged")


def sabotage_frames() -> None:
    from calls import frames

    frames.encode = lambda *_: b"\x00\x00\x00\x05nonse"


def sabotage_msgspec() -> None:
    msgspec.json.encode = msgspec.convert = broken


def sabotage_os() -> None:
    for name in ("getcwd", "waitpid", "umask", "read", "getpriority"):
        setattr(os, name, broken)


SABOTAGES: dict[str, Callable[[], Any]] = {
    "len": lambda: setattr(builtins, "len", broken),
    "isinstance": lambda: setattr(builtins, "isinstance", lambda *_: False),
    "open": lambda: setattr(builtins, "open", broken),
    "print": lambda: setattr(builtins, "print", broken),
    "import": lambda: setattr(builtins, "__import__", broken),
    "json": lambda: setattr(json, "dumps", broken),
    "msgspec": sabotage_msgspec,
    "socket": lambda: setattr(socket, "socket", broken),
    "frames": sabotage_frames,
    "os": sabotage_os,
    "threads": lambda: setattr(threading, "active_count", broken),
    "modules": sys.modules.clear,
    "exit": lambda: setattr(sys, "exit", broken),
}


@expose.endpoint(API="sabotage", timeout=5)
def sabotage(what: str) -> str:
    SABOTAGES[what]()
    return "done"


@expose.endpoint(API="leave-file")
def leave_file() -> str:
    with tempfile.NamedTemporaryFile(delete=False) as file:
        file.write(b"left")
    return file.name


@expose.endpoint(API="read-file")
def read_file(name: str) -> str:
    return Path(name).read_text()


NEXT_CALL = threading.Event()
PRINTED = threading.Event()


@expose.endpoint(API="print-later")
def print_later() -> int:
    """Leaves a thread that prints while the next call of its worker runs."""
    NEXT_CALL.clear()
    PRINTED.clear()

    def late() -> None:
        NEXT_CALL.wait()
        print("late by print")
        logging.getLogger("late").warning("late by logging")
        sys.stderr.write("late by stderr\n")
        PRINTED.set()

    threading.Thread(target=late, daemon=True).start()
    return os.getpid()


@expose.endpoint(API="print-now")
def print_now() -> int:
    NEXT_CALL.set()
    PRINTED.wait(1)
    print("now")
    return os.getpid()
