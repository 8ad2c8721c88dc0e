"""Process 1 of a runner: forks workers, reaps them, kills them. It never runs plugin code.

Run as a script by a launcher, isolated (`python -I -S`):

    zygote.py ROOT SITE SOCKET MAX_LOG MAX_MEMORY      the nonce's 16 bytes on standard input

ROOT holds `calls`, `expose` and `runner`; SITE holds msgspec and what `late` names. Both leave the import path before
the first fork. Everything read from the control connection is a record of fixed size.
"""

from __future__ import annotations

import sys

if __name__ == "__main__":
    sys.path[:0] = sys.argv[1:3]
    from runner.worker import preloaded

    preloaded.install(sys.argv[1])

import errno
import gc
import os
import resource
import select
import shutil
import signal
import socket
from dataclasses import dataclass
from pathlib import Path

try:
    socket.socket(socket.AF_INET).close()
except OSError:
    # Without the Internet nothing here speaks TLS: asyncio is loaded as where Python has none. OpenSSL, a tenth
    # of a runner's memory, is left to functions that import it themselves.
    sys.modules["ssl"] = None  # type: ignore[assignment]

# What every worker needs is imported here, once: forked workers share these pages.
import asyncio
import asyncio.subprocess
import concurrent.futures
import datetime
import decimal
import json
import logging
import random
import subprocess
import tempfile
import threading
import urllib.parse
import uuid
import warnings

import msgspec

import expose
import vyperlogix.decorators
from calls import frames
from calls.frames import CONTROL, Order
from runner.worker import kernel, preloaded
from runner.worker.late import Late
from runner.worker.output import Output, Recorder
from runner.worker.worker import Worker

if sys.modules.get("ssl", sys) is None:
    del sys.modules["ssl"]

_NOT_FORKED = 71 << 8
"""Wait status reported for a worker that could not be forked: exit code 71, EX_OSERR of sysexits.h."""
_PRELOADED = (
    *(asyncio.subprocess, concurrent.futures, datetime, decimal, json, random, subprocess, tempfile),
    *(threading, urllib.parse, uuid, msgspec, expose, vyperlogix.decorators),
)


@dataclass
class _Forked:
    nonce: bytes
    recorder: Recorder
    folder: Path


class Zygote:
    """Obeys the host's orders until the host closes the control connection."""

    def __init__(self, address: str, max_log: int, max_memory: int) -> None:
        self._address = address
        self._max_log = max_log
        self._max_memory = max_memory
        self._workers: dict[int, _Forked] = {}
        self._host = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        # Not a pipe: under gVisor, workers could open its ends at /proc/1/fd. Sockets cannot be opened.
        self._wake, self._woken = socket.socketpair()
        self._oom_kills = kernel.oom_kills()

    def run(self, nonce: bytes) -> None:
        """Connects, and serves. Returns in a forked worker only when that worker is done."""
        kernel.set_name("plugbay-zygote")
        kernel.set_dumpable(False)
        kernel.adopt_orphans()
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        _agree_on_sockets()
        self._wake.setblocking(False)
        self._woken.setblocking(False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the host decides
        signal.set_wakeup_fd(self._woken.fileno(), warn_on_full_buffer=False)
        self._host.connect(self._address)
        self._send(Order.HELLO, nonce)
        gc.collect()
        gc.freeze()
        poll = select.poll()
        poll.register(self._host, select.POLLIN)
        poll.register(self._wake, select.POLLIN)
        while True:
            ready = {fd for fd, _ in poll.poll()}
            if self._wake.fileno() in ready:
                self._wake.recv(4096)
                self._reap()
            if self._host.fileno() in ready:
                record = self._receive()
                if record is None:
                    self._end_all()
                    return
                order, nonce, _, _ = CONTROL.unpack(record)
                if order == Order.KILL:
                    self._kill(nonce)
                elif order == Order.FORK and self._fork(nonce):
                    return

    def _receive(self) -> bytes | None:
        record = b""
        while len(record) < CONTROL.size:
            try:
                part = self._host.recv(CONTROL.size - len(record))
            except ConnectionResetError:
                return None
            if not part:
                return None
            record += part
        return record

    def _send(self, order: Order, nonce: bytes, status: int = 0, tail: bytes = b"") -> None:
        self._host.sendall(CONTROL.pack(order, nonce, status, len(tail)) + tail)

    def _fork(self, nonce: bytes) -> bool:
        """Forks a worker; True in the worker, once it has run to its end."""
        recorder = Recorder(self._max_log)
        self._oom_kills = kernel.oom_kills()  # what functions had started may have been killed as well
        try:
            pid = os.fork()
        except OSError as error:  # the process limit is reached
            recorder.close()
            self._send(Order.EXITED, nonce, _NOT_FORKED, str(error).encode())
            return False
        if pid:
            self._workers[pid] = _Forked(nonce, recorder, _folder(pid))
            return False
        self._become_worker(nonce, recorder)
        return True

    def _become_worker(self, nonce: bytes, recorder: Recorder) -> None:
        kernel.set_name(kernel.WORKER_NAME)
        kernel.die_with_parent()
        os.setsid()
        kernel.set_dumpable(True)
        kernel.die_first()
        kernel.adopt_orphans()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        self._host.close()
        self._wake.close()
        self._woken.close()
        if self._max_memory:
            resource.setrlimit(resource.RLIMIT_AS, (self._max_memory, self._max_memory))
        random.seed()
        output = Output(recorder)
        output.install()
        logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s", stream=output.stream)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.connect(self._address)
            Worker(connection, output, _folder(os.getpid())).run(nonce)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            if pid in self._workers:
                self._gone(pid, status)

    def _kill(self, nonce: bytes) -> None:
        for pid, worker in self._workers.items():
            if worker.nonce == nonce:
                # The worker first: what it leaves becomes ours, and can then be found and killed.
                os.kill(pid, signal.SIGKILL)
                _, status = os.waitpid(pid, 0)
                self._gone(pid, status)
                return

    def _gone(self, pid: int, status: int) -> None:
        """Ends what a dead worker left behind and reports its death."""
        starved = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL and self._kernel_killed()
        worker = self._workers.pop(pid)
        if kernel.kill_descendants(os.getpid(), spare=frozenset(self._workers)):
            sys.exit(70)  # Something outruns us: the launcher ends the whole sandbox.
        shutil.rmtree(worker.folder, ignore_errors=True)
        if os.getpid() == 1 and not self._workers:
            _empty(Path(tempfile.gettempdir()))
        self._send(Order.STARVED if starved else Order.EXITED, worker.nonce, status, worker.recorder.read())
        worker.recorder.close()

    def _kernel_killed(self) -> bool:
        """Whether the kernel has killed a process for want of memory that was not told of yet."""
        known = self._oom_kills < kernel.oom_kills()
        self._oom_kills += known
        return known

    def _end_all(self) -> None:
        for pid in self._workers:
            os.kill(pid, signal.SIGKILL)
        kernel.kill_descendants(os.getpid())


def _agree_on_sockets() -> None:
    """Where only AF_UNIX is allowed, every runtime refuses other families with the same number."""
    try:
        socket.socket(socket.AF_INET).close()
    except PermissionError:
        kernel.refuse_other_sockets()
    except OSError as error:
        if error.errno != errno.EAFNOSUPPORT:
            raise


def _empty(folder: Path) -> None:
    """Removes what calls have left in a sandbox's own /tmp, where it takes memory, once nobody can be using it."""
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink(missing_ok=True)


def _folder(pid: int) -> Path:
    """Where the worker `pid` unpacks packages."""
    return Path(tempfile.gettempdir()) / f"modules-{pid}"


def _main() -> None:
    root, site, address, max_log, max_memory = sys.argv[1:]
    sys.argv[1:] = []  # plugin code sees it
    preloaded.close()
    os.closerange(3, resource.getrlimit(resource.RLIMIT_NOFILE)[0])  # whatever its launcher had open
    nonce = os.read(0, 16)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    if os.getpid() == 1:  # of a container: nobody reads what it prints, but the Engine would have to carry it away
        os.dup2(nothing, 1)
        os.dup2(nothing, 2)
    os.close(nothing)
    sys.path[:] = [entry for entry in sys.path if entry not in (root, site)]
    sys.meta_path.insert(0, Late(site))
    warnings.filterwarnings("ignore", message=".*multi-threaded.*fork")
    kernel.die_with_parent()
    os.chdir(tempfile.gettempdir())
    frames.encode(frames.Hello(nonce))  # compiles the codec before the first fork
    Zygote(address, int(max_log), int(max_memory)).run(nonce)


if __name__ == "__main__":
    _main()
