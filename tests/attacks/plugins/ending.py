"""Functions that end in odd ways, with errors that say too much."""

import builtins
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

import expose


def exit_by(what: str) -> None:
    kinds: dict[str, Callable[[], Any]] = {
        "exit": sys.exit,
        "exit-text": lambda: sys.exit("text"),
        "_exit": lambda: os._exit(0),
        "abort": os.abort,
        "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
        "term": lambda: os.kill(os.getpid(), signal.SIGTERM),
        "interrupt": lambda: os.kill(os.getpid(), signal.SIGINT),
    }
    if what in kinds:
        kinds[what]()
        time.sleep(10)
    raise getattr(builtins, what)("by name")


@expose.endpoint(API="end", timeout=5)
def end(how: str) -> None:
    exit_by(how)


@expose.endpoint(API="end-async", timeout=5)
async def end_async(how: str) -> None:
    exit_by(how)


@expose.endpoint(API="stop-loop", timeout=5)
async def stop_loop() -> str:
    import asyncio

    asyncio.get_running_loop().stop()
    await asyncio.sleep(0.01)
    return "on"


@expose.endpoint(API="cancel-all", timeout=5)
async def cancel_all() -> str:
    import asyncio

    for task in asyncio.all_tasks():
        task.cancel()
    await asyncio.sleep(1)
    return "never"


class Unprintable(Exception):
    def __str__(self) -> str:
        raise KeyboardInterrupt


class Endless(Exception):
    def __str__(self) -> str:
        while True:
            pass


def chained() -> BaseException:
    error: BaseException = ValueError("innermost")
    for _ in range(10_000):
        outer = ValueError("outer")
        outer.__cause__ = error
        error = outer
    return error


def grouped() -> BaseException:
    error: Exception = ValueError("innermost")
    for _ in range(100_000):
        error = ExceptionGroup("group", [error])
    return error


class Named(type):
    @property
    def __name__(cls) -> str:  # type: ignore[override]
        raise SystemExit(5)


class OddlyNamed(Exception, metaclass=Named):
    pass


def traced() -> BaseException:
    import traceback

    try:
        raise RuntimeError("caught")
    except RuntimeError:
        return ValueError(traceback.format_exc())
    raise AssertionError


def of_import() -> BaseException:
    try:
        import expose.nothing  # type: ignore[import-not-found]  # noqa: F401
    except ImportError as error:
        return error
    raise AssertionError


def of_file(place: str) -> BaseException:
    try:
        Path(place).read_bytes()
    except OSError as error:
        return error
    raise AssertionError


ERRORS: dict[str, Callable[[], BaseException]] = {
    "long": lambda: ValueError("x" * 10**8),
    "wide": lambda: ValueError("ü" * 1000),
    "odd": lambda: ValueError("\r\n\x00\x1b[2J\u2028\ud800"),
    "unprintable": Unprintable,
    "chained": chained,
    "grouped": grouped,
    "named": OddlyNamed,
    "assert": lambda: AssertionError("x" * 10**8),
    "detail": lambda: expose.HTTPError(400, "x" * 10**7),
    "traceback": traced,
    "import": of_import,
    "platform-file": lambda: of_file(f"{Path(expose.__file__).parents[1]}/nothing"),
    "own-file": lambda: of_file(f"{tempfile.gettempdir()}/modules-{os.getpid()}/pkg/nothing"),
    "temporary-file": lambda: of_file(f"{tempfile.gettempdir()}/nothing"),
    "places": lambda: ValueError(
        f"{expose.__file__} {msgspec.__file__} {sys.path} {sys.argv} {Path.cwd()} {sys.executable}"
    ),
    "temporary": lambda: ValueError(tempfile.gettempdir()),
    "environ": lambda: ValueError(dict(os.environ)),
}


@expose.endpoint(API="raise")
def raises(what: str) -> None:
    raise ERRORS[what]()


@expose.endpoint(API="raise-endless", timeout=0.5)
def raises_endless() -> None:
    raise Endless
