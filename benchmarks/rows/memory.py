"""What the processes hold while nobody calls."""

from __future__ import annotations

import time
from typing import Final

from benchmarks.plan import Plan
from benchmarks.report import Table
from benchmarks.resident import PSS, called, pss_mib
from benchmarks.rows.calls import measured_product
from benchmarks.systems import FUNCTIONS_FRAMEWORK, REFERENCE, Running, running

_SETTLE_SECS: Final = 2.0
"""How long nobody calls before it is read."""


def memory(plan: Plan) -> Table:
    """The row `memory`."""
    lines: list[list[str]] = []
    for system in (measured_product(plan), REFERENCE, FUNCTIONS_FRAMEWORK):
        with running(system, plan.folder) as one:
            one.check(system.echo)
            time.sleep(_SETTLE_SECS)
            lines += _lines(one)
    return Table(
        title="Idle memory",
        note=f"After one call: {PSS}.",
        header=["system", "process", "PSS MiB"],
        lines=lines,
    )


def _lines(one: Running) -> list[list[str]]:
    processes = [one.process, *one.process.children(recursive=True)]
    sizes = [(called(process), pss_mib(process)) for process in processes]
    each = [[one.name, name, f"{size:.1f}"] for name, size in sizes]
    return [*each, [one.name, "**all**", f"**{sum(size for _, size in sizes):.1f}**"]]
