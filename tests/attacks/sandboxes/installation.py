"""What attacks need of a Plugbay, whatever kind of sandbox its tenants have.

Kinds: `processes.Stack` (containers, under runc or gVisor) and `tree.Tree` (one process tree, with bubblewrap).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import psutil

BUBBLEWRAP = "bubblewrap"
GVISOR = "runsc"


class Installation(Protocol):
    """One that runs, with the tenants of `tenancy`. All its processes are this test's own."""

    name: str
    """Unlike that of any other."""
    plugins: Path

    @property
    def url(self) -> str:
        """Where it is reached."""

    @property
    def runtime(self) -> str:
        """What makes its sandboxes: `runc`, GVISOR or BUBBLEWRAP."""

    @property
    def runner_fds(self) -> int:
        """Descriptors that its host holds for each runner, besides one for each worker."""

    def pools(self) -> dict[str, list[dict[str, Any]]]:
        """The runners of each pool."""

    def processes(self) -> Sequence[psutil.Process]:
        """What serves; the one with the runners last."""

    def traces(self) -> list[set[str]]:
        """Runners of which there is a sandbox on this machine, and those of which there is a folder."""

    def socket_folder(self, runner: str) -> Path:
        """Where a runner's socket lies."""

    def ports(self) -> list[int]:
        """What the platform itself listens on."""

    def secrets(self) -> list[str]:
        """What no caller may read in an answer."""

    def host_log(self) -> str:
        """The log of what has the runners."""

    def gateway_log(self) -> str:
        """The log of what serves HTTP."""

    def failures(self) -> list[str]:
        """Tracebacks in any log."""
