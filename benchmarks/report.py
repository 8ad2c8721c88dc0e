"""Tables in Markdown: what was measured, what is to be reached, and on which machine."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final

from benchmarks import load
from benchmarks.stack.images import containers

NONE: Final = "–"
"""A cell without a value."""
_PACKAGES: Final = (
    "fastapi",
    "starlette",
    "uvicorn",
    "uvloop",
    "httptools",
    "msgspec",
    "functions-framework",
    "gunicorn",
)


@dataclass(frozen=True)
class Table:
    """The measurements of one row of `benchmarks/run.sh`."""

    title: str
    note: str
    """What was done, in a sentence or two."""
    header: Sequence[str]
    lines: Sequence[Sequence[str]]
    valid: bool = True
    """False when at least one of its lines is not."""

    def markdown(self) -> str:
        """The section of this table."""
        rows = [self.header, ["---"] * len(self.header), *self.lines]
        table = "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows)
        return f"## {self.title}\n\n{self.note}\n\n{table}\n"


def invalid(row: str, problem: load.Invalid) -> Table:
    """What stands in place of a row that could not be measured."""
    return Table(row, f"**Invalid**: {problem}", ["result"], [[NONE]], valid=False)


def unable(row: str, problem: load.Unable) -> Table:
    """What stands in place of a row that this machine cannot measure."""
    return Table(row, f"**Not measured on this machine**: {problem}", ["result"], [[NONE]])


@dataclass(frozen=True)
class Target:
    """What is to be reached: at most (or at least) `bound`."""

    bound: float
    unit: str
    most: bool = True

    def verdict(self, value: float) -> str:
        """The value beside what it should be."""
        reached = value <= self.bound if self.most else value >= self.bound
        relation = "≤" if self.most else "≥"
        return f"{decimal(value)} {self.unit} (to reach: {relation} {self.bound:g}): {'reached' if reached else '**missed**'}"


def decimal(value: float) -> str:
    """With the digits that mean something."""
    return f"{value:.2f}" if value < 100 else f"{value:.0f}"


def document(tables: Sequence[Table], facts: str) -> str:
    """The whole report."""
    return "\n".join(["# Benchmarks\n", facts, *(table.markdown() for table in tables)])


def machine(how: str) -> str:
    """What the numbers depend on; `how` is how often and long was measured."""
    versions = ", ".join(f"{package} {version(package)}" for package in _PACKAGES)
    average = " ".join(f"{value:.2f}" for value in os.getloadavg())
    return "\n".join(
        [
            f"Measured {datetime.now(UTC):%Y-%m-%d %H:%M} UTC; {how}. Absolute numbers differ from machine to machine "
            "and from day to day: compare the ratios.\n",
            f"- {os.cpu_count()} CPUs ({_processor()}), {platform.system()} {platform.release()}, "
            f"load average at the start {average}",
            f"- {containers()}",
            f"- Python {platform.python_version()} ({sys.implementation.name}), {versions}",
            f"- load: wrk {load.version()}, one thread, on the same machine\n",
        ]
    )


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
