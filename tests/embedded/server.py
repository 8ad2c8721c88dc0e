"""The embedded platform as its users start it: a process of its own, spoken to over HTTP."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil

ROOT = Path(__file__).resolve().parents[2]
ADMIN_UUID = "4a1bf01e-0693-48c5-a52b-fc275205c1d8"
ADMIN_KEY = "an-admin-key-for-tests"
UNLIMITED = ROOT / "tests" / "plans" / "unlimited.toml"
SECRETS_KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY"
INSTALLATION_KEY = "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY"
START_SECS = 90
STOP_SECS = 40


class Embedded:
    """One running platform. `plugins` and `data` are its folders; `log` is what it wrote to stderr."""

    def __init__(self, plugins: Path, data: Path, **settings: Any) -> None:
        self.plugins = plugins
        self.data = data
        self.temporary = Path(tempfile.mkdtemp(prefix="pb-"))
        """Its TMPDIR: short, because sockets lie in it."""
        self._log = data.parent / f"{data.name}.log"
        environ = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")}
        environ |= {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_", "PLUGBAY_"))}
        environ |= {
            "PLUGINS": str(plugins),
            "DATA_DIR": str(data),
            "GATEWAY_PORT": "0",
            "ADMIN_ENV_FILE": str(data.parent / "variables.env"),
            "TMPDIR": str(self.temporary),
            "ADMIN_UUID": ADMIN_UUID,
            "ADMIN_KEY": ADMIN_KEY,
            "SECRETS_KEY": SECRETS_KEY,
            "INSTALLATION_KEY": INSTALLATION_KEY,
            "PLANS": str(UNLIMITED),
        }
        self.environ = environ | {name: str(value) for name, value in settings.items()}
        self.process: subprocess.Popen[str]
        self.banner = ""
        self.url = ""

    def launch(self) -> None:
        """Starts the process without waiting for it to be ready."""
        self._stderr = self._log.open("ab")
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "embedded"],
            cwd=ROOT,
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            text=True,
            start_new_session=True,
        )

    def start(self) -> Embedded:
        """Starts, and returns once the platform says that it is ready."""
        self.launch()
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.banner += line
            if found := re.search(r"ready at (http://\S+)", line):
                self.url = found[1]
            if line.startswith("  try"):
                return self
        raise AssertionError(f"the platform did not start (exit {self.process.wait()}): {self.log}")

    @property
    def log(self) -> str:
        """What it wrote to stderr."""
        return self._log.read_text()

    def processes(self) -> list[psutil.Process]:
        """The process and all that descend from it."""
        main = psutil.Process(self.process.pid)
        return [main, *main.children(recursive=True)]

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Asks it to end, waits, and gives its exit status. Nothing of it may be left."""
        processes = self.processes() if self.process.poll() is None else []
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)
        status = self.process.wait(STOP_SECS)
        _, alive = psutil.wait_procs(processes, timeout=5)
        assert not alive, alive
        self._stderr.close()
        if number != signal.SIGKILL:
            assert not list(self.temporary.iterdir())
        shutil.rmtree(self.temporary, ignore_errors=True)
        return status

    def path(self, path: str) -> str:
        """The URL of a path below `/rest/services`."""
        return f"{self.url}/rest/services{path}"

    def get(self, path: str, **how: Any) -> httpx.Response:
        """GET of a path below `/rest/services`."""
        return httpx.get(self.path(path), timeout=30, **how)

    def post(self, path: str, **how: Any) -> httpx.Response:
        """POST to a path below `/rest/services`."""
        return httpx.post(self.path(path), timeout=30, **how)

    def api(self, method: str, path: str, **how: Any) -> httpx.Response:
        """A request to the control plane, with the admin's key."""
        return httpx.request(
            method, f"{self.url}/api{path}", headers={"Authorization": f"Bearer {ADMIN_KEY}"}, timeout=30, **how
        )


@contextlib.contextmanager
def running(plugins: Path, data: Path, **settings: Any) -> Iterator[Embedded]:
    """A platform for the length of a block."""
    plugins.mkdir(exist_ok=True)
    server = Embedded(plugins, data, **settings)
    try:
        yield server.start()
    finally:
        server.stop()
