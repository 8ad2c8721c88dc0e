"""What a tenant's runner holds in memory while nobody calls."""

from __future__ import annotations

import time
from typing import Final

import psutil

from benchmarks.client import Client
from benchmarks.load import Invalid
from benchmarks.plan import Plan
from benchmarks.report import Table, Target, decimal
from benchmarks.resident import PSS, called, pss_mib
from benchmarks.stack.images import RUNTIMES
from benchmarks.stack.stack import serving, site, without

_SETTLE_SECS: Final = 3.0
"""How long nobody calls before it is read: more than it takes until workers that were not needed for long end."""
_IDLE_SECS: Final = "1"
_SHIM: Final = "containerd-shim"
_BOUND: Final = Target(20, "MiB")


def idle(plan: Plan) -> Table:
    """The row `idle`."""
    lines: list[list[str]] = []
    with site(plan) as at:
        for runtime in at.runtimes:
            with serving(at, runtime, tenants=1, WORKER_IDLE_SECS=_IDLE_SECS) as stack:
                with Client(stack.gateway.port) as client:
                    for question in stack.tenants.values():
                        client.check(question)
                time.sleep(_SETTLE_SECS)
                bound = [one for one, owner in stack.containers().items() if owner in stack.tenants]
                if len(bound) != 1:
                    raise Invalid(f"the tenant has {len(bound)} runners")
                sizes = [(called(process), pss_mib(process)) for process in container_processes(bound[0])]
            total = sum(size for _, size in sizes)
            lines += [[runtime, name, decimal(size), ""] for name, size in sizes]
            said = _BOUND.verdict(total) if runtime == RUNTIMES[0] else ""
            lines.append([runtime, "**all**", f"**{decimal(total)}**", said])
    return Table(
        title="An idle runner",
        note=f"A tenant's runner after its calls: {PSS}, of the container's processes and containerd's for it."
        + without(at),
        header=["runtime", "process", "PSS MiB", "to reach"],
        lines=lines,
    )


def container_processes(container: str) -> list[psutil.Process]:
    """The shim that containerd has for a container, and all below it. Raises Invalid when there is none."""
    for process in psutil.process_iter(["name", "cmdline"]):
        # The kernel cuts names after 15 characters.
        if _SHIM.startswith(process.info["name"][:15]) and container in (process.info["cmdline"] or ()):
            return [process, *process.children(recursive=True)]
    raise Invalid(f"container {container[:12]} has no shim that can be seen from here")
