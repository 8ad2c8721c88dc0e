"""The measured function behind FastAPI and the queue arq, in an environment of its own: arq wants an older
Redis client than Plugbay has."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from benchmarks.load import Unable
from benchmarks.plan import Plan
from benchmarks.processes import started
from benchmarks.systems import Running, running, uvicorn

NAME: Final = "fastapi-arq"
_LOCK: Final = Path(__file__).with_name("arq.lock")
_INSTALL_SECS: Final = 300


@contextlib.contextmanager
def fastapi_arq(redis: int, plan: Plan) -> Iterator[Running]:
    """One uvicorn process that waits for each result, and one arq worker, with a Redis on port `redis`.
    Raises Unable when arq cannot be installed, or Invalid when it does not start."""
    python = str(_environment() / "bin" / "python")
    environ = {"ARQ_REDIS_PORT": str(redis)}
    worker = [python, "-m", "arq", "benchmarks.queue_app.Worker"]
    web = replace(uvicorn(NAME, "benchmarks.queue_app:app", python), environ=lambda _: environ)
    with started(worker, plan.folder / "arq-worker.log", environ), running(web, plan.folder) as one:
        yield one


def _environment() -> Path:
    """The environment of arq.lock, below XDG_CACHE_HOME; made once."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "plugbay-benchmarks"
    environment = cache / f"arq-{hashlib.sha256(_LOCK.read_bytes()).hexdigest()[:16]}"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # of two runs, one installs
        if not environment.exists():
            _install(environment)
    return environment


def _install(environment: Path) -> None:
    new = environment.with_suffix(".new")
    shutil.rmtree(new, ignore_errors=True)
    pip = [str(new / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
    for command in (
        [sys.executable, "-m", "venv", str(new)],
        [*pip, "--require-hashes", "--only-binary", ":all:", "-r", str(_LOCK)],
    ):
        done = subprocess.run(command, capture_output=True, text=True, timeout=_INSTALL_SECS, check=False)
        if done.returncode:
            raise Unable(f"arq could not be installed: {done.stderr.strip().rpartition(chr(10))[2]}")
    new.rename(environment)
