"""Processes that a benchmark starts, each in a session of its own, and all of them ended with it."""

from __future__ import annotations

import contextlib
import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import psutil

from benchmarks.load import Invalid

ROOT: Final = Path(__file__).resolve().parents[1]
START_SECS: Final = 60.0
"""Seconds that anything may take to its first right answer."""
_STOP_SECS: Final = 40.0
"""Seconds it may take to stop: more than Plugbay gives to calls in flight."""
_BETWEEN_SECS: Final = 0.005
"""Seconds between two attempts to get a first answer."""
_PORTS: Final = (20_000, 32_000)
"""Below the ports that Linux gives to outgoing connections."""


@contextlib.contextmanager
def started(
    command: Sequence[str], log: Path, environ: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Starts a command in the folder of the checkout and stops it with all its processes. What it prints
    goes to `log`; `environ` comes on top of the benchmark's own."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **(environ or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C in the terminal is for the benchmark alone
        )
    try:
        yield process
    finally:
        _stop(process)


def first_answer(process: subprocess.Popen[bytes], ask: Callable[[], None], until: float, log: Path) -> None:
    """Returns when `ask` does not raise Invalid any more. Raises Invalid with the process's last words when it
    ends, and what `ask` raised when it is `until` (of time.perf_counter)."""
    while True:
        try:
            ask()
        except Invalid as error:
            if process.poll() is not None:
                said = log.read_text(errors="replace").strip().rpartition("\n")[2]
                raise Invalid(f"ended with {process.returncode} at its start: {said[-200:]}") from error
            if time.perf_counter() > until:
                raise
        else:
            return
        time.sleep(_BETWEEN_SECS)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Asks it to stop; what is left of its processes then is killed."""
    try:
        tree = psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        tree = []
    process.terminate()
    try:
        process.wait(_STOP_SECS)
    except subprocess.TimeoutExpired:
        print(f"pid {process.pid} did not stop within {_STOP_SECS:g} s: killed", file=sys.stderr)
        process.kill()
        process.wait()
    _, left = psutil.wait_procs(tree, timeout=1)
    for one in left:
        print(f"pid {one.pid} was left running: killed", file=sys.stderr)
        with contextlib.suppress(psutil.NoSuchProcess):
            one.kill()


def free_port() -> int:
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


def connect(port: int) -> None:
    """Raises Invalid when nobody listens on this port."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError as error:
        raise Invalid(f"nobody listens on port {port}: {error}") from error
