"""Which kind of launcher starts whose runners: the admin's are local processes, tenants' are sandboxed ones."""

from __future__ import annotations

from runner.bubblewrap.launcher import BubblewrapLauncher
from runner.launcher import RunnerSpec, Sandbox, Trust
from runner.process import ProcessLauncher


class EmbeddedLauncher:
    """See runner.launcher.Launcher."""

    def __init__(self, admin: ProcessLauncher, tenants: BubblewrapLauncher) -> None:
        self._admin = admin
        self._tenants = tenants

    def _kind(self, trust: Trust) -> ProcessLauncher | BubblewrapLauncher:
        return self._tenants if trust is Trust.TENANT else self._admin

    async def check(self, trust: Trust) -> None:
        """See Launcher."""
        await self._kind(trust).check(trust)

    async def start(self, spec: RunnerSpec) -> Sandbox:
        """See Launcher."""
        return await self._kind(spec.trust).start(spec)

    def resizes(self, trust: Trust) -> bool:
        """See Launcher."""
        return self._kind(trust).resizes(trust)

    def admits(self, runner: str, uid: int) -> bool:
        """See Launcher."""
        kind = self._tenants if self._tenants.has(runner) else self._admin
        return kind.admits(runner, uid)
