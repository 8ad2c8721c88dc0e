"""The stack's processes without its containers: Redis, MongoDB, a gateway, and a runner host with the Docker launcher."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil

from runner.docker.template import LABEL_RUNNER, label
from runner.launcher import Trust
from store.mongo.database import Names
from store.mongo.store import MongoStore
from tests.attacks.sandboxes import tenancy
from tests.calls.redis_server import RedisServer
from tests.embedded.server import ADMIN_KEY, ADMIN_UUID, ROOT
from tests.runner.docker import stack
from tests.store.mongo_server import MongoServer

START_SECS = 60
PLUGINS = ROOT / "tests" / "attacks" / "plugins"
DATABASE = "VYPERADMIN"


class Process:
    """`python -m MODULE` with its log in a file. It is ready when that says `ready`."""

    def __init__(self, module: str, ready: str, log: Path, environ: dict[str, str]) -> None:
        self._module = module
        self._ready = re.compile(ready)
        self._file = log
        self._environ = environ
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> re.Match[str]:
        """Starts, and returns once it is ready, with what it said."""
        before = len(self.log)
        with self._file.open("ab") as log:
            process = self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", self._module], cwd=ROOT, env=self._environ, stdout=log, stderr=log
            )
        until = time.monotonic() + START_SECS
        while not (found := self._ready.search(self.log, before)):
            assert process.poll() is None, f"{self._module} ended: {self.log[before:]}"
            assert time.monotonic() < until, f"{self._module} is not ready: {self.log[before:]}"
            time.sleep(0.01)
        return found

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process is not None
        return self._process.pid

    @property
    def log(self) -> str:
        """What it wrote."""
        return self._file.read_text() if self._file.exists() else ""

    def failures(self) -> list[str]:
        """Tracebacks in it."""
        return [line for line in self.log.splitlines() if '"exception":"' in line or line.startswith("Traceback")]

    def kill(self) -> None:
        """Ends it without warning."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """Has it end as an operator would, if it runs."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(60)


class Stack:
    """One installation. All its processes are this test's own."""

    def __init__(self, runtime: str, spares: int, storm: int, **settings: Any) -> None:
        self.runtime = runtime
        self.folder = Path(tempfile.mkdtemp(prefix="pb-"))
        self.plugins = self.folder / "plugins"
        self.redis = RedisServer(self.folder)
        self.mongo = MongoServer(self.folder / "mongo", "--standalone")
        self.name = f"test-{os.urandom(4).hex()}"
        self.runners = self.folder / "runners"
        self._sockets = self.runners / "sockets"
        self._tenants = spares, storm
        environ = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")}
        environ |= {name: value for name, value in os.environ.items() if name.startswith("PLUGBAY_")}
        environ |= {
            "ADMIN_UUID": ADMIN_UUID,
            "ADMIN_KEY": ADMIN_KEY,
            "PLUGINS": str(self.plugins),
            "PLANS": str(ROOT / "tests" / "plans" / "unlimited.toml"),
            "DATA_DIR": str(self.folder / "data"),
            "GATEWAY_PORT": "0",
            "HOST_NAME": self.name,
            "LAUNCHER": "docker",
            "DOCKER_SOCKET": stack.ADDRESS.removeprefix("unix://"),
            "RUNNERS_DIR": str(self.runners),
            "ADMIN_NETWORK": stack.network(),
            "ADMIN_IMAGE": stack.image(Trust.ADMIN),
            "TENANT_IMAGE": stack.image(Trust.TENANT),
            "TENANT_RUNTIME": self.runtime,
            **{name: str(value) for name, value in settings.items()},
        }
        self._environ = environ
        self.host = Process("deploy.host", "takes calls", self.folder / "host.log", environ)
        self.gateway = Process("deploy.gateway", r"gateway listens on port (\d+)", self.folder / "gateway.log", environ)
        self.url = ""

    def start(self) -> None:
        """Starts all of it; returns when calls are served."""
        self.plugins.mkdir()
        self.runners.mkdir()
        for name in ("ping.py", "given.py"):
            shutil.copyfile(PLUGINS / name, self.plugins / name)
        self.redis.start()
        self.mongo.start()
        asyncio.run(self._register())
        self._environ |= {"REDIS_URL": self.redis.url, "MONGO_URI": self.mongo.uri}
        self.host.start()
        self.url = f"http://127.0.0.1:{self.gateway.start()[1]}"
        # A gateway that is started again listens where it did.
        self._environ["GATEWAY_PORT"] = self.url.rpartition(":")[2]
        self.wait_ready()

    def wait_ready(self) -> None:
        """Returns when a call would be served."""
        until = time.monotonic() + START_SECS
        while not self._ready():
            assert time.monotonic() < until, self.gateway.log[-2000:]
            time.sleep(0.01)

    def _ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz").status_code == 200
        except httpx.TransportError:
            return False

    async def _register(self) -> None:
        store = MongoStore(self.mongo.uri, Names(database=DATABASE, admin=f"ADMIN-{ADMIN_UUID}"))
        await store.open()
        await tenancy.register(store, self.plugins, *self._tenants)
        await store.close()

    def stop(self) -> None:
        """Ends all of it; nothing of it is left."""
        for process in (self.gateway, self.host):
            process.stop()
        self.redis.kill()
        self.mongo.kill()
        assert stack.containers(self.name) == []
        shutil.rmtree(self.folder)

    def api(self, path: str) -> Any:
        """What the control plane tells the admin."""
        answer = httpx.get(f"{self.url}/api{path}", headers={"Authorization": f"Bearer {ADMIN_KEY}"}, timeout=30)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def pools(self) -> dict[str, list[dict[str, Any]]]:
        """The runners of each pool."""
        return {pool["name"]: pool["runners"] for pool in self.api("/pools")["pools"]}

    def containers(self) -> dict[str, str]:
        """Container → runner, for every container of this installation."""
        found = stack.client().containers(all=True, filters={"label": [label(self.name)]})
        return {one["Id"]: one["Labels"][LABEL_RUNNER] for one in found}

    @property
    def runner_fds(self) -> int:
        """See Installation: its socket and its zygote's connection."""
        return 2

    def processes(self) -> tuple[psutil.Process, psutil.Process]:
        """See Installation: the gateway and the runner host."""
        return psutil.Process(self.gateway.pid), psutil.Process(self.host.pid)

    def traces(self) -> list[set[str]]:
        """See Installation."""
        return [set(self.containers().values()), {path.name for path in self._sockets.iterdir()}]

    def socket_folder(self, runner: str) -> Path:
        """See Installation."""
        return self._sockets / runner

    def ports(self) -> list[int]:
        """See Installation."""
        return [int(address.rpartition(":")[2]) for address in (self.url, self.mongo.address)]

    def secrets(self) -> list[str]:
        """See Installation."""
        return [ADMIN_KEY, str(ROOT), str(self.folder), "Traceback (most", self.mongo.address]

    def host_log(self) -> str:
        """See Installation."""
        return self.host.log

    def gateway_log(self) -> str:
        """See Installation."""
        return self.gateway.log

    def failures(self) -> list[str]:
        """See Installation."""
        return self.gateway.failures() + self.host.failures()


@contextmanager
def running(runtime: str, spares: int, storm: int, **settings: Any) -> Iterator[Stack]:
    """An installation for the length of a block."""
    one = Stack(runtime, spares, storm, **settings)
    try:
        one.start()
        yield one
    finally:
        one.stop()
