"""Launcher kind `process`: a runner as a local process tree, for the admin's own, trusted code."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from runner.launcher import ControlMissing, LaunchFailed, Resources, RunnerSpec, Trust, Used
from runner.worker import kernel, zygote
from runner.worker_process import describe

_ROOT: Final = Path(__file__).resolve().parent.parent
_SITE: Final = Path(msgspec.__file__).resolve().parent.parent
_ROUNDS: Final = 200
"""Times the process tree is scanned for what is left before giving up."""


class ProcessLauncher:
    """Starts zygotes as child processes, whose resources are the machine's. `environ` is what admin
    functions see of the environment."""

    def __init__(self, python: str, environ: Mapping[str, str]) -> None:
        self._python = python
        self._environ = dict(environ)

    async def check(self, trust: Trust) -> None:
        """See launcher.Launcher."""
        if trust is Trust.TENANT:
            raise ControlMissing(
                "sandbox: a local process is no boundary for a tenant's code; "
                "deploy the platform with a launcher that isolates tenants"
            )

    async def start(self, spec: RunnerSpec) -> ProcessSandbox:
        """See launcher.Launcher."""
        await self.check(spec.trust)
        mark = f"PLUGBAY_RUNNER={spec.id}"
        home = tempfile.mkdtemp(prefix="home-", dir=spec.socket.parent)
        try:
            process = await asyncio.create_subprocess_exec(
                self._python,
                *("-I", "-S", zygote.__file__),
                *(str(_ROOT), str(_SITE), str(spec.socket), str(spec.max_log), str(spec.memory_bytes)),
                stdin=asyncio.subprocess.PIPE,
                env=self._environ | {"TMPDIR": home, "PLUGBAY_RUNNER": spec.id},
                start_new_session=True,
            )
        except OSError as error:
            raise LaunchFailed(f"{self._python} cannot be started: {error.strerror}") from error
        assert process.stdin is not None
        process.stdin.write(spec.nonce)
        process.stdin.close()
        return ProcessSandbox(spec.id, process, mark)

    def resizes(self, trust: Trust) -> bool:  # noqa: ARG002
        """See launcher.Launcher: there is nothing that would have to change."""
        return True

    def admits(self, runner: str, uid: int) -> bool:  # noqa: ARG002
        """See launcher.Launcher."""
        return uid == os.getuid()


class ProcessSandbox:
    """One zygote process and whatever descends from it."""

    def __init__(self, runner: str, process: asyncio.subprocess.Process, mark: str) -> None:
        self._id = runner
        self._mark = mark.encode()
        self._process = process
        self._reason: str | None = None
        self._ended = asyncio.create_task(process.wait(), name=f"wait for runner {runner}")

    @property
    def id(self) -> str:
        """See launcher.Sandbox."""
        return self._id

    async def wait(self) -> str:
        """See launcher.Sandbox."""
        code = await asyncio.shield(self._ended)
        if self._reason is not None:
            return self._reason
        return describe(-code if code < 0 else code << 8)

    async def resize(self, resources: Resources) -> None:
        """See launcher.Sandbox."""

    async def used(self) -> Used | None:
        """See launcher.Sandbox: it has no group of its own to be counted in."""
        return None

    async def destroy(self, reason: str) -> None:
        """See launcher.Sandbox. What functions left running is found as the zygote's descendants and,
        once orphaned, by the runner's mark in its environment."""
        if self._reason is None and not self._ended.done():
            self._reason = reason
        left = set(kernel.descendants(self._process.pid)) if not self._ended.done() else set()
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()  # the event loop waits for it: nobody else may
        await asyncio.shield(self._ended)
        for _ in range(_ROUNDS):
            left = {pid for pid in left | kernel.marked(self._mark) | kernel.orphans(self._process.pid) if _kill(pid)}
            if not left:
                return
            await asyncio.sleep(0.01)


def _kill(pid: int) -> bool:
    """SIGKILL; False when the process is gone. Reaps it when it had become our child."""
    try:
        os.kill(pid, signal.SIGKILL)
        return os.waitpid(pid, os.WNOHANG)[0] == 0
    except ProcessLookupError:
        return False
    except ChildProcessError:
        return True
