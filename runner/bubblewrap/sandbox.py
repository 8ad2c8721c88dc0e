"""One sandbox of bubblewrap: its process 1, what all in it take of the machine, and their end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable
from pathlib import Path

from runner.bubblewrap.memory import held
from runner.launcher import LaunchFailed, Resources, Used
from runner.worker import kernel
from runner.worker_process import describe


class BubblewrapSandbox:
    """See runner.launcher.Sandbox. `first` is the process id of its process 1; `over` hears of its end, once.
    Raises ProcessLookupError when that has ended already."""

    def __init__(
        self,
        runner: str,
        process: asyncio.subprocess.Process,
        first: int,
        tmp: Path,
        most: int,
        over: Callable[[str], None],
    ) -> None:
        self._id = runner
        self.first = first
        self._pidfd = os.pidfd_open(first)
        self.most = most
        """Bytes of RAM all its processes may have together."""
        self._process = process
        self._tmp = tmp
        self._over = over
        self._cpu_seconds = 0.0
        """As last seen."""
        self._reason: str | None = None
        self._ended = asyncio.create_task(self._end(), name=f"wait for runner {runner}")

    @property
    def id(self) -> str:
        """See launcher.Sandbox."""
        return self._id

    async def _end(self) -> int:
        # Process 1 takes its whole process namespace with it, and bubblewrap ends after it.
        code = await self._process.wait()
        os.close(self._pidfd)
        self._tmp.rmdir()
        self._over(self._id)
        return code

    async def wait(self) -> str:
        """See launcher.Sandbox."""
        code = await asyncio.shield(self._ended)
        # bubblewrap ends with the exit code of its process 1, or with 128 and the signal that killed it.
        return self._reason or describe(-code if code < 0 else code - 128 if code > 128 else code << 8)

    async def resize(self, resources: Resources) -> None:
        """See launcher.Sandbox."""
        raise LaunchFailed(f"a sandbox of bubblewrap keeps the resources it was started with ({resources} wanted)")

    async def used(self) -> Used | None:
        """See launcher.Sandbox. Once it has ended, what was last seen."""
        if self._ended.done():
            return Used(0, self._cpu_seconds)
        return self.saw(taken([self.first, *kernel.descendants(self.first)]))

    def saw(self, used: Used) -> Used:
        """Somebody has looked. What was counted of a process that has ended unseen since stays counted."""
        self._cpu_seconds = max(self._cpu_seconds, used.cpu_seconds)
        return Used(used.memory_bytes, self._cpu_seconds)

    async def destroy(self, reason: str) -> None:
        """See launcher.Sandbox."""
        self.end(reason)
        await asyncio.shield(self._ended)

    def end(self, reason: str) -> None:
        """Orders the end of every process in it."""
        if not self._ended.done():
            self._reason = self._reason or reason
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)


def taken(processes: list[int], enough: int = 0, hidden: int = 0) -> Used:
    """What these processes take of the machine together; see `memory.held`. The kernel adds a process's time to that of
    its parent, once that has waited for it."""
    return Used(held(processes, enough, hidden), sum(map(kernel.cpu_seconds, processes)))
