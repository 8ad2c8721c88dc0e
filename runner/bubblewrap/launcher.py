"""Launcher kind `bubblewrap`: see runner.launcher.Launcher. For tenants' runners alone."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from pathlib import Path
from typing import Final

import msgspec

from runner import sockets
from runner.bubblewrap import command, enter, memory, sandbox
from runner.bubblewrap.proof import Prover
from runner.bubblewrap.sandbox import BubblewrapSandbox
from runner.launcher import LaunchFailed, RunnerSpec, Trust, Used
from runner.uids import NoUid, Uids
from runner.worker import kernel
from runner.worker_process import MEMORY_LIMIT

FIRST_UID: Final = 200_001
UIDS: Final = 5000
"""User ids of runners when this process is root's: FIRST_UID and those after it."""
WATCH_SECS: Final = 0.25
"""Seconds between two looks at what runners hold. Where no control group bounds them, this does."""
_REPORT_SECS: Final = 10.0
"""Seconds bubblewrap may take to make a sandbox."""
_MAX_REPORT: Final = 4096
"""Bytes of what it says of itself."""


class _Info(msgspec.Struct):
    """What bubblewrap reports of the sandbox that it made."""

    child: int = msgspec.field(name="child-pid")


class BubblewrapLauncher:
    """`bwrap`: name or path of the program."""

    def __init__(self, bwrap: str = "bwrap") -> None:
        self._prover = Prover(bwrap, self._run)
        self._uids = Uids(FIRST_UID, UIDS)
        self._users: dict[str, int] = {}
        """User id of every runner that there is or is about to be."""
        self._running: dict[str, BubblewrapSandbox] = {}
        self._watching: asyncio.Task[None] | None = None

    async def check(self, trust: Trust) -> None:
        """See launcher.Launcher."""
        assert trust is Trust.TENANT
        await self._prover.prove()

    async def start(self, spec: RunnerSpec) -> BubblewrapSandbox:
        """See launcher.Launcher."""
        await self.check(spec.trust)
        started = await self._run(spec, command.zygote(spec), spec.nonce)
        if self._watching is None:
            self._watching = asyncio.create_task(self._watch(), name="memory of sandboxes")
        return started

    def resizes(self, trust: Trust) -> bool:  # noqa: ARG002
        """See launcher.Launcher."""
        return False

    def has(self, runner: str) -> bool:
        """Whether this runner is one of this launcher's."""
        return runner in self._users

    def admits(self, runner: str, uid: int) -> bool:
        """See launcher.Launcher."""
        return self._users.get(runner) == uid

    async def _run(self, spec: RunnerSpec, program: list[str], given: bytes) -> BubblewrapSandbox:
        """Runs a program, with this on its standard input, in a sandbox like every other. Raises LaunchFailed."""
        try:
            uid = self._uids.take() if os.getuid() == 0 else os.getuid()
        except NoUid as error:
            raise LaunchFailed(str(error)) from error
        self._users[spec.id] = uid
        try:
            made = self._running[spec.id] = await self._bring_up(spec, program, given, uid)
        except BaseException as error:
            self._forget(spec.id)
            if isinstance(error, OSError):
                raise LaunchFailed(f"a sandbox could not be made: {error}") from error
            raise
        return made

    def _forget(self, runner: str) -> None:
        uid = self._users.pop(runner)
        if os.getuid() == 0:
            self._uids.give_back(uid)

    async def _bring_up(self, spec: RunnerSpec, program: list[str], given: bytes, uid: int) -> BubblewrapSandbox:
        tmp = spec.socket.parent.with_name(f"{spec.socket.parent.name}.tmp")
        tmp.mkdir(mode=0o700)
        try:
            if uid != os.getuid():
                sockets.open_to(spec.socket, uid)
            process, first = await self._make(spec, tmp, program, uid)
            made = BubblewrapSandbox(spec.id, process, first, tmp, spec.resources.memory_bytes, self._over)
        except BaseException:
            tmp.rmdir()
            raise
        assert process.stdin is not None
        process.stdin.write(given)
        process.stdin.close()
        return made

    async def _make(
        self, spec: RunnerSpec, tmp: Path, program: list[str], uid: int
    ) -> tuple[asyncio.subprocess.Process, int]:
        """bubblewrap, and the process id of process 1 in the sandbox that it made."""
        ours, theirs = socket.socketpair()
        with ours, theirs, command.seccomp_filter().open("rb") as seccomp:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", enter.__file__, str(tmp), self._prover.program),
                *command.arguments(spec, tmp, seccomp.fileno(), theirs.fileno(), uid, program),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
                env={},
                pass_fds=(seccomp.fileno(), theirs.fileno()),
                start_new_session=True,
            )
            theirs.close()
            try:
                async with asyncio.timeout(_REPORT_SECS):
                    return process, await _first(ours)
            except BaseException as error:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
                if not isinstance(error, TimeoutError | EOFError | ConnectionError | msgspec.DecodeError):
                    raise
                assert process.stderr is not None
                last = (await process.stderr.read(_MAX_REPORT)).decode(errors="replace").strip().splitlines()
                raise LaunchFailed(f"a sandbox could not be made: {last[-1] if last else 'not in time'}") from error

    def _over(self, runner: str) -> None:
        self._running.pop(runner, None)
        self._forget(runner)

    async def _watch(self) -> None:
        """Ends whoever holds more memory than it may, as long as there is anybody."""
        while self._running:
            watched = dict(self._running)
            for runner, used in (await asyncio.to_thread(_taken, watched)).items():
                if watched[runner].saw(used).memory_bytes > watched[runner].most:
                    watched[runner].end(MEMORY_LIMIT)
            await asyncio.sleep(WATCH_SECS)
        self._watching = None


async def _first(told: socket.socket) -> int:
    """Process id of process 1, as bubblewrap reports it."""
    reader, writer = await asyncio.open_connection(sock=told, limit=_MAX_REPORT)
    try:
        return msgspec.json.decode(await reader.readuntil(b"}"), type=_Info).child
    finally:
        writer.close()


def _taken(watched: dict[str, BubblewrapSandbox]) -> dict[str, Used]:
    """What each of these takes of the machine, by runner."""
    hidden = memory.hidden()
    children: dict[int, list[int]] = {}
    for child, parent in kernel.parents().items():
        children.setdefault(parent, []).append(child)
    found: dict[str, Used] = {}
    for runner, one in watched.items():
        everybody = [one.first]
        for process in everybody:
            everybody += children.get(process, ())
        found[runner] = sandbox.taken(everybody, one.most, hidden)
    return found
