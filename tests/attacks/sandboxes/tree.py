"""One process tree: the embedded platform, whose tenants' runners are sandboxes of bubblewrap."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from store.sqlite import SqliteStore
from tests.attacks.sandboxes import tenancy
from tests.attacks.sandboxes.installation import BUBBLEWRAP
from tests.attacks.sandboxes.processes import PLUGINS
from tests.embedded.server import ADMIN_KEY, ROOT, SECRETS_KEY, Embedded

_MARK = "PLUGBAY_RUNNER"
"""Variable of the admin's runners that names them."""


class Tree:
    """See installation.Installation."""

    runtime = BUBBLEWRAP
    runner_fds = 4
    """Its socket, its zygote's connection, what bubblewrap complains to, and its process 1."""

    def __init__(self, spares: int, storm: int, **settings: Any) -> None:
        self.name = f"test-{os.urandom(4).hex()}"
        self.folder = Path(tempfile.mkdtemp(prefix="pb-"))
        self.plugins = self.folder / "plugins"
        self._tenants = spares, storm
        self._server = Embedded(self.plugins, self.folder / "data", **settings)

    @property
    def url(self) -> str:
        """See Installation."""
        return self._server.url

    def start(self) -> None:
        """Returns when calls are served."""
        self.plugins.mkdir()
        for name in ("ping.py", "given.py"):
            shutil.copyfile(PLUGINS / name, self.plugins / name)
        asyncio.run(self._register())
        self._server.start()

    async def _register(self) -> None:
        store = SqliteStore(self._server.data)
        await store.open()
        await tenancy.register(store, self.plugins, *self._tenants)
        await store.close()

    def stop(self) -> None:
        """Ends it; nothing of it is left."""
        self._server.stop()
        shutil.rmtree(self.folder)

    def pools(self) -> dict[str, list[dict[str, Any]]]:
        """See Installation."""
        answer = self._server.api("GET", "/pools")
        assert answer.status_code == 200, answer.text
        return {pool["name"]: pool["runners"] for pool in answer.json()["pools"]}

    def processes(self) -> tuple[psutil.Process]:
        """See Installation."""
        return (psutil.Process(self._server.process.pid),)

    def traces(self) -> list[set[str]]:
        """See Installation. A runner has a folder for its socket, and one that becomes its `/tmp`."""
        folders = {path.name.removesuffix(".tmp") for path in self._sockets.iterdir()}
        return [set(self._sandboxes()), folders]

    def _sandboxes(self) -> Iterator[str]:
        _, *below = self._server.processes()
        for process in below:
            with contextlib.suppress(psutil.NoSuchProcess):  # it has ended meanwhile
                if process.name() == "bwrap":
                    words = process.cmdline()
                    if "--bind" in words:  # one that is just ending has no words any more
                        yield Path(words[words.index("--bind") + 1]).stem
                elif process.name() == "plugbay-zygote" and (runner := process.environ().get(_MARK)):
                    yield runner

    @property
    def _sockets(self) -> Path:
        [folder] = self._server.temporary.glob(f"plugbay-{os.getuid()}-*")
        return folder

    def socket_folder(self, runner: str) -> Path:
        """See Installation."""
        return self._sockets / runner

    def ports(self) -> list[int]:
        """See Installation."""
        return [int(self.url.rpartition(":")[2])]

    def secrets(self) -> list[str]:
        """See Installation."""
        return [ADMIN_KEY, SECRETS_KEY, str(ROOT), str(self.folder), str(self._server.temporary), "Traceback (most"]

    def host_log(self) -> str:
        """See Installation."""
        return self._server.log

    def gateway_log(self) -> str:
        """See Installation."""
        return self._server.log

    def failures(self) -> list[str]:
        """See Installation."""
        lines = self._server.log.splitlines()
        return [line for line in lines if '"exception":"' in line or line.startswith("Traceback")]


@contextmanager
def running(spares: int, storm: int, **settings: Any) -> Iterator[Tree]:
    """An installation for the length of a block."""
    one = Tree(spares, storm, **settings)
    one.start()
    try:
        yield one
    finally:
        one.stop()
