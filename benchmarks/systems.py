"""The systems that are compared, each started as its user would start it, on a free port of this machine."""

from __future__ import annotations

import contextlib
import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psutil

from benchmarks.client import Client, Question
from benchmarks.load import Invalid

ROOT: Final = Path(__file__).resolve().parents[1]
MEASURED: Final = ROOT / "benchmarks" / "plugins" / "measured.py"
START_SECS: Final = 60.0
"""Seconds a system may take to its first right answer."""
_STOP_SECS: Final = 40.0
"""Seconds it may take to stop: more than Plugbay gives to calls in flight."""
_BETWEEN_SECS: Final = 0.005
"""Seconds between two attempts to get a first answer."""

_PORTS: Final = (20_000, 32_000)
"""Below the ports that Linux gives to outgoing connections."""

_QUERY: Final = "?a=one&b=two&c=3&d=4"
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


class Running:
    """A system that has answered."""

    def __init__(self, system: System, port: int, process: psutil.Process, start_secs: float) -> None:
        self.system = system
        self.port = port
        self.process = process
        self.start_secs = start_secs
        """Seconds from its start to its first right answer."""

    def url(self, question: Question) -> str:
        """Where to ask it."""
        return f"http://127.0.0.1:{self.port}{question.path}"

    def check(self, *questions: Question) -> None:
        """Asks each once. Raises Invalid for a wrong answer."""
        with Client(self.port) as client:
            for question in questions:
                client.check(question)


@contextlib.contextmanager
def running(
    system: System, folder: Path, first: Question | None = None, start_secs: float = START_SECS
) -> Iterator[Running]:
    """Starts a system, and stops it with all its processes. It is running once it answers `first`,
    by default its echo. What it prints goes to `<name>.log` in `folder`. Raises Invalid when it does not start."""
    port = _free_port()
    log = folder / f"{system.name}.log"
    began = time.perf_counter()
    with log.open("ab") as output:
        started = subprocess.Popen(
            system.command(port),
            cwd=ROOT,
            env={**os.environ, **system.environ(port)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C in the terminal is for the benchmark alone
        )
    try:
        _first_answer(started, port, first or system.echo, began + start_secs, log)
        yield Running(system, port, psutil.Process(started.pid), time.perf_counter() - began)
    finally:
        _stop(started)


def _first_answer(started: subprocess.Popen[bytes], port: int, question: Question, until: float, log: Path) -> None:
    while True:
        try:
            with Client(port, timeout_secs=5) as client:
                client.check(question)
            return
        except Invalid as error:
            if started.poll() is not None:
                said = log.read_text(errors="replace").strip().rpartition("\n")[2]
                raise Invalid(f"ended with {started.returncode} at its start: {said[-200:]}") from error
            if time.perf_counter() > until:
                raise
        time.sleep(_BETWEEN_SECS)


def _stop(started: subprocess.Popen[bytes]) -> None:
    """Asks it to stop; what is left of its processes then is killed."""
    try:
        tree = psutil.Process(started.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        tree = []
    started.terminate()
    try:
        started.wait(_STOP_SECS)
    except subprocess.TimeoutExpired:
        print(f"pid {started.pid} did not stop within {_STOP_SECS:g} s: killed", file=sys.stderr)
        started.kill()
        started.wait()
    _, left = psutil.wait_procs(tree, timeout=1)
    for process in left:
        print(f"pid {process.pid} was left running: killed", file=sys.stderr)
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def _free_port() -> int:
    """A port that nobody listens on. Not one that the kernel would choose: it may give that to a connection
    before the system listens."""
    while True:
        port = random.randrange(*_PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port


def product(plugins: Path, data: Path, name: str = "plugbay", echo: Question | None = None) -> System:
    """Plugbay, embedded, with a plugin folder and a data folder of its own."""
    environ = {
        "PLUGINS": str(plugins),
        "DATA_DIR": str(data),
        "GATEWAY_HOST": "127.0.0.1",
        "ADMIN_UUID": "5f0f3dd4-9c1c-4d39-9c52-0b7dbd9a4a31",
        "ADMIN_KEY": "key-of-a-benchmark",
        "LOG_LEVEL": "INFO",
    }
    return System(
        name=name,
        command=lambda _: [str(ROOT / "runserver.sh")],
        environ=lambda port: {**environ, "GATEWAY_PORT": str(port)},
        echo=echo or Question(f"/rest/services/measured/echo/{_QUERY}", called("echo", ECHOED)),
    )


def called(api: str, value: Any) -> dict[str, Any]:
    """How Plugbay wraps what a function returned."""
    return {"status": "OK", "response": {api: value}}


def _uvicorn(name: str, factory: str) -> System:
    """One uvicorn process with its fastest parts."""
    options = ["--factory", "--host=127.0.0.1", "--loop=uvloop", "--http=httptools", "--no-access-log"]
    return System(
        name=name,
        command=lambda port: [
            *(sys.executable, "-m", "uvicorn", f"benchmarks.references:{factory}"),
            *options,
            f"--port={port}",
        ],
        echo=Question(f"/echo{_QUERY}", ECHOED),
    )


REFERENCE: Final = _uvicorn("fastapi-def", "fastapi_def")
"""What every ratio is against."""
FASTAPI_ASYNC: Final = _uvicorn("fastapi-async", "fastapi_async")
BARE: Final = _uvicorn("starlette-msgspec", "bare_starlette")
FUNCTIONS_FRAMEWORK: Final = System(
    name="functions-framework",
    command=lambda port: [
        str(Path(sys.executable).with_name("functions-framework")),
        *("--target=echo", f"--source={ROOT / 'benchmarks' / 'cloud_function.py'}"),
        *("--host=127.0.0.1", f"--port={port}"),
    ],
    echo=Question(f"/{_QUERY}", ECHOED),
)
