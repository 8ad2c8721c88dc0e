"""What the operator has set up, as far as it concerns containers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from runner.docker.template import Quota
from runner.launcher import Resources


@dataclass(frozen=True)
class Kind:
    """What runners of one trust are made of."""

    image: str
    """Name or content address; from images/runner.Dockerfile."""
    pids: int
    """Processes and threads of one runner."""
    tmp: int
    """Bytes of a runner's `/tmp`, unless half of its memory is less."""

    def quota(self, resources: Resources) -> Quota:
        """All bounds of a runner with these resources. Raises ValueError naming what is out of range."""
        tmp = min(self.tmp, resources.memory_bytes // 2)
        return Quota(memory=resources.memory_bytes, cpus=resources.cpus, pids=self.pids, tmp=tmp)


@dataclass(frozen=True)
class Installation:
    """One runner host's installation."""

    name: str
    """Marks its containers: two hosts that share an Engine need different ones."""
    folder: Path
    """A folder of this host alone (mode 700), at the same path for the Engine."""
    admin: Kind
    tenant: Kind
    network: str
    """The network of the admin's runners; nothing of the platform's may be in it."""
    runtime: str
    """The Engine's runtime for tenants: `runc`, or `runsc` for gVisor (TENANT_RUNTIME)."""
    profile: Path
    """Seccomp profile of tenants' runners."""
