"""What the processes hold while nobody calls."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

import psutil

from benchmarks.load import Invalid
from benchmarks.plan import Plan
from benchmarks.report import Table
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
        note="After one call: proportional set size (PSS, shared pages divided among those who share them).",
        header=["system", "process", "PSS MiB"],
        lines=lines,
    )


def _lines(one: Running) -> list[list[str]]:
    processes = [one.process, *one.process.children(recursive=True)]
    sizes = [(_called(process), _pss_mib(process)) for process in processes]
    each = [[one.system.name, name, f"{size:.1f}"] for name, size in sizes]
    return [*each, [one.system.name, "**all**", f"**{sum(size for _, size in sizes):.1f}**"]]


def _called(process: psutil.Process) -> str:
    """The program, and the name that the process gave itself."""
    script = next((Path(part).name for part in process.cmdline()[1:] if not part.startswith("-")), "")
    return f"{process.name()} {script}".strip()


def _pss_mib(process: psutil.Process) -> float:
    try:
        # Not psutil's: it reads the whole table of mappings, which is slow, for the same sum.
        text = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
    except PermissionError as error:
        raise Invalid("the memory of the runner's processes can only be read by root") from error
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:")) / 1024
