"""Functions that say too much, or what nobody can read."""

import os
import socket
import stat
import sys
from collections.abc import Iterator
from typing import Any

import expose

ODD = '\r\n{"level":"INFO","tenant":"B"}\x1b[2J\u2028\x00\x7f\ud800'


@expose.endpoint(API="one-text")
def one_text() -> None:
    print("x" * 2**26)


@expose.endpoint(API="short-lines")
def short_lines() -> None:
    for _ in range(200_000):
        print("line")


@expose.endpoint(API="descriptors")
def descriptors() -> None:
    for _ in range(1000):
        os.write(1, b"x" * 65536)
        os.write(2, b"x" * 65536)


@expose.endpoint(API="odd")
def odd() -> None:
    print(ODD)
    os.write(1, b"\xff\xfe\x1b]0;title\x07")


class Unending:
    def __iter__(self) -> Iterator[int]:
        while True:
            yield 1


class Raising:
    @property
    def __dict__(self) -> dict[str, Any]:  # type: ignore[override]
        raise SystemExit(3)

    def __iter__(self) -> Iterator[int]:
        raise KeyboardInterrupt

    def __getattr__(self, name: str) -> Any:
        raise GeneratorExit(name)


class Dumping:
    def model_dump(self, **_: str) -> Any:
        return self


class Listing:
    def tolist(self) -> Any:
        return [Listing()]


class Posing(str):
    def encode(self, *_: Any) -> bytes:
        raise SystemExit

    def __len__(self) -> int:
        return -1


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


def recursive() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


VALUES: dict[str, Any] = {
    "nested": lambda: nested(100_000),
    "recursive": recursive,
    "text": lambda: "x" * 2**27,
    "bytes": lambda: b"x" * 2**27,
    "list": lambda: [10**15] * 5_000_000,
    "response": lambda: expose.Response("ü" * 2**26),
    "response-json": lambda: expose.Response([nested(100_000)]),
    "unending": Unending,
    "raising": Raising,
    "dumping": Dumping,
    "listing": Listing,
    "posing": lambda: Posing("x"),
    "surrogate": lambda: "\ud800",
    "keys": lambda: {Raising(): 1},
    "integer": lambda: 10**5000,
    "class": lambda: Unending,
    "function": lambda: nested,
    "module": lambda: os,
    "coroutine": lambda: never(),
    "generator": lambda: (number for number in (1, 2)),
    "status": lambda: changed("status", 99),
    "headers": lambda: changed("headers", {1: 2}),
    "many-headers": lambda: expose.Response(headers=[(f"X-{number}", "y") for number in range(1000)]),
    "media-type": lambda: expose.Response(media_type="text/html\r\nX: y"),
}


def changed(name: str, value: object) -> expose.Response:
    response = expose.Response()
    setattr(response, name, value)
    return response


async def never() -> None:
    raise BaseException("never")  # noqa: TRY002


@expose.endpoint(API="value", timeout=10)
def value(name: str) -> Any:
    return VALUES[name]()


def connection() -> int:
    """Descriptor of the connection to the host."""
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208
        try:
            if stat.S_ISSOCK(os.fstat(int(name)).st_mode):
                return int(name)
        except OSError:
            continue
    raise LookupError


@expose.endpoint(API="close-all", timeout=3)
def close_all() -> str:
    os.closerange(0, 1000)
    return "closed"


@expose.endpoint(API="no-connection", timeout=3)
def no_connection() -> str:
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, connection())
    return "nowhere to send"


@expose.endpoint(API="other-connection", timeout=3)
def other_connection() -> str:
    ours, theirs = socket.socketpair()
    os.dup2(ours.fileno(), connection())
    return str(theirs.detach())


@expose.endpoint(API="half-connection", timeout=3)
def half_connection() -> str:
    with socket.socket(fileno=os.dup(connection())) as host:
        host.shutdown(socket.SHUT_WR)
    return "said nothing"


@expose.endpoint(API="no-streams")
def no_streams() -> str:
    sys.stdout = sys.stderr = sys.__stdout__ = None  # type: ignore[misc]
    return "silent"


@expose.endpoint(API="closed-streams")
def closed_streams() -> str:
    sys.stdout.close()
    sys.stderr.close()
    os.close(1)
    os.close(2)
    return "silent"


@expose.endpoint(API="other-streams")
def other_streams() -> str:
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 1)
    os.dup2(null, 2)
    os.write(1, b"unseen")
    return "silent"


@expose.endpoint(API="print")
def prints(text: str) -> int:
    print(text, flush=True)
    os.write(1, text.encode())
    return os.getpid()
