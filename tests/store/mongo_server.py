"""A server that speaks MongoDB's wire protocol, as a process of its own.

It is a stand-in, SecantusDB, because MongoDB is in no package registry. It is installed once, into an
environment of its own below XDG_CACHE_HOME (`~/.cache`), from surrogate.lock.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections import deque
from functools import cache
from pathlib import Path

import pytest

LOCK = Path(__file__).with_name("surrogate.lock")


class NotInstalled(Exception):
    """The stand-in cannot be had here; the message says why."""


@cache
def interpreter() -> Path:
    """The Python that has the stand-in; installs it when that was not done yet. Raises NotInstalled."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "plugbay-tests"
    environment = folder / f"mongo-{hashlib.sha256(LOCK.read_bytes()).hexdigest()[:16]}"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "mongo.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # of two test runs, one installs
        if not environment.exists():
            _install(environment)
    return environment / "bin/python"


def _install(environment: Path) -> None:
    new = environment.with_suffix(".new")
    shutil.rmtree(new, ignore_errors=True)
    commands = [
        [sys.executable, "-m", "venv", str(new)],
        [
            str(new / "bin/python"),
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--no-input",
            "--require-hashes",
            "--only-binary",
            ":all:",
            "-r",
            str(LOCK),
        ],
    ]
    for command in commands:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300)
        if done.returncode:
            raise NotInstalled(f"SecantusDB could not be installed: {done.stdout.strip().splitlines()[-1]}")
    new.rename(environment)


STANDALONE = "--standalone"
"""Option of a server without change streams, as a mongod without `replSet`."""


class MongoServer:
    """One server with its files in a folder."""

    def __init__(self, folder: Path, *options: str) -> None:
        self._folder = folder
        self.options = options
        self._port = 0
        self._process: subprocess.Popen[str] | None = None
        self._log: deque[str] = deque(maxlen=50)

    @property
    def address(self) -> str:
        """Host and port, the same after a restart."""
        return f"127.0.0.1:{self._port}"

    @property
    def uri(self) -> str:
        """What MONGO_URI would be."""
        return f"mongodb://{self.address}/"

    def start(self) -> None:
        """Returns when it takes connections."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._process = subprocess.Popen(
            [
                str(interpreter()),
                "-u",
                "-m",
                "secantus",
                "--host",
                "127.0.0.1",
                "--port",
                str(self._port),
                "--storage-path",
                str(self._folder / "files"),
                "--log-level",
                "INFO",
                *self.options,
            ],
            cwd=self._folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._log.append(line)
            if found := re.search(r"listening on 127\.0\.0\.1:(\d+)", line):
                self._port = int(found[1])
                threading.Thread(target=self._log.extend, args=[self._process.stdout], daemon=True).start()
                return
        raise AssertionError(f"SecantusDB ended with status {self._process.wait()}: {''.join(self._log)}")

    def signal(self, number: signal.Signals) -> None:
        """Sends the server a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    def stop(self) -> None:
        """Ends it in its own way: users that were made stay only so."""
        assert self._process is not None
        self._process.terminate()
        self._process.wait()
        self._process = None

    def kill(self) -> None:
        """Ends it without warning, whatever state it is in."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def installed() -> None:
    """Skips the test where it cannot be installed."""
    try:
        interpreter()
    except NotInstalled as error:
        pytest.skip(str(error))


def started(server: MongoServer) -> MongoServer:
    """Starts it. Skips the test where it cannot be installed."""
    installed()
    server.start()
    return server
