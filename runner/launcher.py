"""The launcher contract: starts and stops one runner. Kinds: `process`, `docker`.

A launcher knows nothing of calls. It starts a sandbox whose process 1 is the zygote of
`runner.worker.zygote`, which connects to the given socket and presents the given nonce.
"""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Protocol

import msgspec


class Trust(enum.StrEnum):
    """Whose code a runner will run."""

    ADMIN = "admin"
    """Trusted: network, packages of `requirements.txt`."""
    TENANT = "tenant"
    """Untrusted: every control of the hardening table, or nothing runs."""


class ControlMissing(Exception):
    """A sandbox control cannot be applied here, so untrusted code does not run.

    The message names the control and the fix; it is shown to callers and operators as it is.
    """


class LaunchFailed(Exception):
    """The sandbox could not be started; the message says why, for operators."""


class Resources(msgspec.Struct, frozen=True, kw_only=True):
    """How much of the machine one runner gets."""

    memory_bytes: int
    """RAM of all its processes and its `/tmp` together. There is no swap."""
    cpus: float
    """CPUs' worth of time; fractions are allowed."""


class Used(msgspec.Struct, frozen=True):
    """What a runner takes of the machine, all of its processes together, as the kernel counts it."""

    memory_bytes: int
    """RAM it holds now, without what the kernel would take back."""
    cpu_seconds: float
    """Processor time since it was started, its start included."""


class RunnerSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What a runner is started with. No field of it is a tenant's to choose."""

    id: str
    """Unique for ever, 16 hexadecimal digits."""
    trust: Trust
    socket: Path
    """The host's listening socket for this runner alone."""
    nonce: bytes
    """16 bytes; the zygote presents them in the first record of its control connection."""
    max_log: int
    """Bytes of output kept per call."""
    memory_bytes: int
    """Address space of one worker at most; 0: no limit of its own."""
    resources: Resources
    """What the whole runner gets, where its kind of launcher can hold it to that."""


class Sandbox(Protocol):
    """One started runner."""

    @property
    def id(self) -> str:
        """The RunnerSpec's id."""

    async def wait(self) -> str:
        """Completes when process 1 has ended, at once if it already has, and says of what:
        "exit code 3", "signal 9 (SIGKILL)", "memory limit". May be awaited by several tasks."""

    async def resize(self, resources: Resources) -> None:
        """Gives it other resources from now on. Raises LaunchFailed; what it has then is not known."""

    async def used(self) -> Used | None:
        """What it takes of the machine. None where nobody counts that, or it has ended and nobody knows any more;
        processor time never becomes less."""

    async def destroy(self, reason: str) -> None:
        """Ends every process inside and frees what the launcher made for it. When it returns
        nothing is left. May be called in any state, any number of times; the first reason counts."""


class Launcher(Protocol):
    """What every kind of launcher promises; `tests/runner/test_launcher_contract.py` proves it."""

    async def check(self, trust: Trust) -> None:
        """Raises ControlMissing when runners of this trust cannot be started safely here."""

    async def start(self, spec: RunnerSpec) -> Sandbox:
        """Starts a runner. When it returns the zygote is about to connect; when it raises
        (LaunchFailed, ControlMissing) nothing is left behind."""

    def resizes(self, trust: Trust) -> bool:
        """Whether runners of this trust can be resized here; not known to be possible before one was started."""

    def admits(self, runner: str, uid: int) -> bool:
        """Whether a process of this user at the other end of the runner's socket can be one of the runner's."""
