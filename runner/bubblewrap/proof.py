"""Proof that a sandbox of bubblewrap holds here, made by a probe before any tenant's code runs."""

from __future__ import annotations

import asyncio
import logging
import os
import platform
import re
import secrets
import shutil
import stat
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Final

from runner import probing, sockets, verdict
from runner.bubblewrap import command, enter
from runner.launcher import ControlMissing, LaunchFailed, Resources, RunnerSpec, Sandbox, Trust

log = logging.getLogger("plugbay.runner")

OLDEST: Final = (0, 8)
"""The first bubblewrap that takes user namespaces away from what it runs."""
AGAIN_SECS: Final = 10.0
"""Seconds a failed proof stands before it is tried again: an operator's fix shows without a restart."""
_VERSION_SECS: Final = 5.0
_RESOURCES: Final = Resources(memory_bytes=256 * 1024 * 1024, cpus=1)
_NO_USER_NAMESPACE: Final = (
    ("/proc/sys/user/max_user_namespaces", "0", "sysctl -w user.max_user_namespaces=10000"),
    ("/proc/sys/kernel/unprivileged_userns_clone", "0", "sysctl -w kernel.unprivileged_userns_clone=1"),
    (
        "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
        "1",
        "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
    ),
)
"""Switches of the kernel, the position in which an ordinary user gets no user namespace, and what turns them."""

Run = Callable[[RunnerSpec, list[str], bytes], Awaitable[Sandbox]]


class Prover:
    """Gives the proof there is, or makes it. `run` starts a program in a sandbox like every other."""

    def __init__(self, bwrap: str, run: Run) -> None:
        self.program = bwrap
        """Path of bubblewrap, once it was found."""
        self._run = run
        self._lock = asyncio.Lock()
        self._proved = False
        self._failure: tuple[float, str] | None = None

    async def prove(self) -> None:
        """Raises ControlMissing naming each control that is not in force, with its fix."""
        async with self._lock:
            if self._proved:
                return
            if self._failure is not None and time.monotonic() - self._failure[0] < AGAIN_SECS:
                raise ControlMissing(self._failure[1])
            try:
                await self._try()
            except ControlMissing as error:
                self._failure = (time.monotonic(), str(error))
                raise
            self._proved = True

    async def _try(self) -> None:
        await self._find()
        problems = [*_lacking()]
        if not problems:
            problems = await self._probed()
        if problems:
            raise ControlMissing("sandbox control missing: " + "; ".join(problems))
        log.info("tenants' sandbox proved (bubblewrap)")

    async def _find(self) -> None:
        """Finds a bubblewrap that is fit."""
        found = shutil.which(self.program)
        if found is None:
            raise ControlMissing("bubblewrap: not installed; run: sudo apt-get install bubblewrap")
        self.program = found
        if _is_setuid(found):
            raise ControlMissing(
                f"bubblewrap: {found} is setuid, which its makers have given up as unsafe; run: sudo chmod u-s,g-s {found}"
            )
        version = await _version(found)
        if version < OLDEST:
            shown, oldest = (".".join(map(str, numbers)) for numbers in (version, OLDEST))
            raise ControlMissing(f"bubblewrap: {found} is {shown or 'of no known version'}; install {oldest} or newer")

    async def _probed(self) -> list[str]:
        """What a probe found missing."""
        folder = Path(tempfile.mkdtemp(prefix="plugbay-probe-"))
        spec = RunnerSpec(
            id=secrets.token_hex(8),
            trust=Trust.TENANT,
            socket=folder / "probe" / "host.sock",
            nonce=b"",
            max_log=0,
            memory_bytes=0,
            resources=_RESOURCES,
        )
        program = ["-c", probing.SCRIPT.read_text("utf-8"), sockets.inside(spec)]
        try:
            spec.socket.parent.mkdir(mode=0o700)
            found = await probing.reported(spec.socket, lambda: self._run(spec, program, b""))
        except LaunchFailed as error:
            raise ControlMissing(f"sandbox: {error}; bubblewrap must be able to make one") from error
        finally:
            shutil.rmtree(folder)
        if found.peer == 0:
            return ["user: the runner is root; install setpriv (util-linux)"]
        contained = verdict.uncontained(found.report, found.peer, enter.TMP_BYTES, enter.TMP_INODES)
        return [*contained, *verdict.exposed(found.report)]


def _is_setuid(program: str) -> bool:
    return bool(Path(program).stat().st_mode & (stat.S_ISUID | stat.S_ISGID))


def _lacking() -> Iterator[str]:
    """What of this machine is known to stand against a sandbox before one is tried."""
    if not command.seccomp_filter().is_file():
        yield f"seccomp: no filter for {platform.machine()}; run on x86_64 or aarch64"
    if os.getuid() == 0:
        if not Path(command.SETPRIV).is_file():
            yield f"user: {command.SETPRIV}, which gives every runner a user of its own, is missing; install util-linux"
        return
    for switch, off, fix in _NO_USER_NAMESPACE:
        try:
            position = Path(switch).read_text().strip()
        except OSError:
            continue  # this kernel has no such switch
        if position == off:
            yield f"user namespaces: off for ordinary users; run: sudo {fix} (and put it into /etc/sysctl.d)"


async def _version(program: str) -> tuple[int, ...]:
    process = await asyncio.create_subprocess_exec(
        program, "--version", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(_VERSION_SECS):
            said, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return ()
    found = re.fullmatch(rb"bubblewrap (\d+)\.(\d+)(?:\.\d+)*\s*", said)
    return tuple(map(int, found.groups())) if found else ()
