"""A real Redis of a test's own, on a Unix socket."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from redis import Redis


class RedisServer:
    """`redis-server` in a folder of its own; `config` is lines of redis.conf."""

    def __init__(self, folder: Path, *config: str) -> None:
        self._folder = folder
        self._config = config
        self.socket = folder / "s"
        self.url = f"unix://{self.socket}"
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Returns when it takes connections."""
        file = self._folder / "redis.conf"
        lines = ["port 0", f"unixsocket {self.socket}", 'save ""', f"dir {self._folder}", *self._config]
        file.write_text("\n".join(lines))
        self._process = subprocess.Popen(["redis-server", str(file)], stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if "eady to accept connections" in line:
                return
        raise AssertionError(f"redis-server ended with status {self._process.wait()}")

    def signal(self, number: signal.Signals) -> None:
        """Sends the server a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """Ends it without warning, whatever state it is in."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._process = None

    def client(self, **options: Any) -> Redis:
        """An ordinary client."""
        return Redis(unix_socket_path=str(self.socket), **options)

    def calls_of(self, command: str) -> int:
        """How often this command was executed."""
        with self.client() as client:
            return int(client.info("commandstats").get(f"cmdstat_{command}", {}).get("calls", 0))


@contextlib.contextmanager
def running(*config: str) -> Iterator[RedisServer]:
    """A Redis for the length of a block."""
    # Not below pytest's tmp_path: the path of a Unix socket is short.
    with tempfile.TemporaryDirectory(prefix="plugbay-redis-") as folder:
        server = RedisServer(Path(folder), *config)
        try:
            server.start()
            yield server
        finally:
            server.kill()
