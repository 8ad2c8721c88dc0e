"""The systems that are compared, each started as its user would start it, on a free port of this machine."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psutil

from benchmarks.client import Client, Question
from benchmarks.processes import ROOT, START_SECS, first_answer, free_port, started

MEASURED: Final = ROOT / "benchmarks" / "plugins" / "measured.py"
QUERY: Final = "?a=one&b=two&c=3&d=4"
ADMIN_UUID: Final = "5f0f3dd4-9c1c-4d39-9c52-0b7dbd9a4a31"
ADMIN_KEY: Final = "key-of-a-benchmark"
ECHOED: Final[dict[str, Any]] = {"a": "one", "b": "two", "c": 3, "d": 4}


@dataclass(frozen=True)
class System:
    """One way to serve the measured functions."""

    name: str
    command: Callable[[int], Sequence[str]]
    """The command line that serves on a port."""
    echo: Question
    environ: Callable[[int], dict[str, str]] = field(default=lambda _: {})
    """Environment variables that the command needs for a port."""


@dataclass(frozen=True)
class Served:
    """What answers the echo on a port of this machine."""

    name: str
    port: int
    echo: Question

    def url(self, question: Question) -> str:
        """Where to ask it."""
        return f"http://127.0.0.1:{self.port}{question.path}"

    def check(self, *questions: Question) -> None:
        """Asks each once, or the echo when there is none. Raises Invalid for a wrong answer."""
        with Client(self.port) as client:
            for question in questions or (self.echo,):
                client.check(question)


@dataclass(frozen=True)
class Running(Served):
    """A system that has answered."""

    process: psutil.Process
    start_secs: float
    """Seconds from its start to its first right answer."""


@contextlib.contextmanager
def running(
    system: System, folder: Path, first: Question | None = None, start_secs: float = START_SECS
) -> Iterator[Running]:
    """Starts a system, and stops it with all its processes. It is running once it answers `first`,
    by default its echo. What it prints goes to `<name>.log` in `folder`. Raises Invalid when it does not start."""
    port = free_port()
    log = folder / f"{system.name}.log"
    began = time.perf_counter()
    with started(system.command(port), log, system.environ(port)) as process:
        await_answer(process, port, first or system.echo, began + start_secs, log)
        yield Running(system.name, port, system.echo, psutil.Process(process.pid), time.perf_counter() - began)


def await_answer(process: subprocess.Popen[bytes], port: int, question: Question, until: float, log: Path) -> None:
    """Returns when the port gives the right answer. See first_answer."""

    def ask() -> None:
        with Client(port, timeout_secs=5) as client:
            client.check(question)

    first_answer(process, ask, until, log)


def product(plugins: Path, data: Path, name: str = "plugbay", echo: Question | None = None) -> System:
    """Plugbay, embedded, with a plugin folder and a data folder of its own."""
    environ = {
        "PLUGINS": str(plugins),
        "DATA_DIR": str(data),
        "GATEWAY_HOST": "127.0.0.1",
        "ADMIN_UUID": ADMIN_UUID,
        "ADMIN_KEY": ADMIN_KEY,
        "LOG_LEVEL": "INFO",
    }
    return System(
        name=name,
        command=lambda _: [str(ROOT / "runserver.sh")],
        environ=lambda port: {**environ, "GATEWAY_PORT": str(port)},
        echo=echo or Question(f"/rest/services/measured/echo/{QUERY}", called("echo", ECHOED)),
    )


def called(api: str, value: Any) -> dict[str, Any]:
    """How Plugbay wraps what a function returned."""
    return {"status": "OK", "response": {api: value}}


def uvicorn(name: str, factory: str, python: str = sys.executable) -> System:
    """One uvicorn process with its fastest parts."""
    options = ["--factory", "--host=127.0.0.1", "--loop=uvloop", "--http=httptools", "--no-access-log"]
    return System(
        name=name,
        command=lambda port: [python, "-m", "uvicorn", factory, *options, f"--port={port}"],
        echo=Question(f"/echo{QUERY}", ECHOED),
    )


REFERENCE: Final = uvicorn("fastapi-def", "benchmarks.references:fastapi_def")
"""What every ratio is against."""
FASTAPI_ASYNC: Final = uvicorn("fastapi-async", "benchmarks.references:fastapi_async")
BARE: Final = uvicorn("starlette-msgspec", "benchmarks.references:bare_starlette")
FUNCTIONS_FRAMEWORK: Final = System(
    name="functions-framework",
    command=lambda port: [
        str(Path(sys.executable).with_name("functions-framework")),
        *("--target=echo", f"--source={ROOT / 'benchmarks' / 'cloud_function.py'}"),
        *("--host=127.0.0.1", f"--port={port}"),
    ],
    echo=Question(f"/{QUERY}", ECHOED),
)
